"""Expectations at a time, and targets reached within a time: the recursion on blocks, at several times at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from lumpability.certificate.bounds.proofs import HULL, MEMBERS, Evidence, Evolution, evolution_of
from lumpability.certificate.bounds.recursion import SCALE
from lumpability.certificate.verification import Contradiction
from lumpability.errors import SizeLimit
from lumpability.markov.approximate.bounds.ends import Ends, Task
from lumpability.markov.approximate.bounds.members import Floats, Members

_NARROW = 50
"""Steps end once the values differ by at most 2^-50 of the span of what is averaged."""
_MOST_STEPS = 10**7
_MOST_TERMS, _FEW_STEPS = (
    2_000_000,
    2_000,
)  # of the recursion over the members, which often ends early
_MOST_JUMPS = 10_000.0


def evolution(task: Task, over: str | None = None) -> Evolution:
    """Return the recursion of a task, at twice the outflow of its rows.

    - over ({"hull", "members"}): by default the members, unless these are so many that the recursion would take
      long; the choice depends on sizes alone
    """
    try:
        if over is None:
            found = evolution_of(task.asked, task.parts, task.partition, None, over=MEMBERS)
            time = task.asked.time or Fraction(0)
            steps = min(time * (found.rate or Fraction(1)), Fraction(_FEW_STEPS))
            if len(found.rows.target) * steps <= _MOST_TERMS:
                return found
        return evolution_of(task.asked, task.parts, task.partition, None, over=over or HULL)
    except Contradiction as found:
        raise SizeLimit(f"{found.rejection.reason}: use the stationary average") from None


def timed_ends(
    evolution: Evolution,
    times: Sequence[Fraction],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Ends]:
    """Return the ends at every time, in one pass over the longest."""
    span = max(evolution.most.values) - min(evolution.least.values)
    narrow = int(span * SCALE) >> _NARROW
    ends = [Ends() for _ in times]
    for upper in (False, True):
        found, steps = evolution.ends(
            list(times), _MOST_STEPS, upper=upper, narrow=narrow, progress=progress
        )
        evidence = Evidence(steps=steps)
        for i, end in enumerate(found):
            one = Ends(upper=end, above=evidence) if upper else Ends(lower=end, below=evidence)
            ends[i] = ends[i].better(one)
    return ends


def estimates_at(task: Task, times: Sequence[Fraction]) -> list[float]:
    """Return the expectations at the times for the mean of the members, in floating point; NaN if too costly."""
    members = task.members()
    values = members.means(task.asked.earning(task.parts).to_floats())
    mass = members.starting(task.asked.start)
    return [float(mass @ _evolved(members, values, time, task.discrete)) for time in times]


def _evolved(members: Members, values: Floats, time: Fraction, discrete: bool) -> Floats:
    """Return e^(Q t) v, or P^t v, on the blocks of the mean of the members."""
    from scipy.linalg import expm
    from scipy.sparse.linalg import expm_multiply

    generator = members.nominal
    found: Floats
    if isinstance(generator, np.ndarray):
        step = generator + np.eye(members.k)
        power = (
            np.linalg.matrix_power(step, int(time)) if discrete else expm(generator * float(time))
        )
        found = power @ values
    elif float(time) * float(members.outflow.max()) > _MOST_JUMPS:
        found = np.full(members.k, np.nan)
    elif not discrete:
        found = expm_multiply(generator * float(time), values)
    else:
        found = values
        for _ in range(int(time)):
            found = found + generator @ found
    return found

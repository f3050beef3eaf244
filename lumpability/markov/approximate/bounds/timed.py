"""Expectations at a time, and targets reached within a time: the recursion on the hull, at several times at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from lumpability.certificate.bounds.proofs import Evidence, Evolution, evolution_of
from lumpability.certificate.bounds.question import absorbing
from lumpability.certificate.bounds.recursion import SCALE
from lumpability.certificate.verification import Contradiction
from lumpability.errors import SizeLimit
from lumpability.markov.approximate.bounds.ends import Ends, Task
from lumpability.markov.approximate.bounds.members import Members

__all__ = ["estimates_at", "evolution", "timed_ends"]

_NARROW = 50
"""Steps end once the values differ by at most 2^-50 of the span of what is averaged."""
_MOST_STEPS = 10**7


def evolution(task: Task) -> Evolution:
    """Return the recursion of a task, at twice the outflow of its hull.

    Raises `SizeLimit` if it takes too many steps.
    """
    try:
        return evolution_of(task.asked, task.parts, task.partition, None)
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
    """Return the expectations at the times for the mean of the members, in floating point."""
    from scipy.sparse.linalg import expm_multiply

    matrix = task.chain.matrix
    if task.asked.kind == "time_bounded":
        matrix = absorbing(matrix, task.asked.goal(task.parts), discrete=task.discrete)
    members = Members(matrix, task.partition)
    values = members.means(task.asked.earning(task.parts).to_floats())
    start = task.asked.start
    mass = (
        np.full(members.k, 1 / members.k)
        if start is None
        else np.bincount(members.labels, start.to_floats(), minlength=members.k)
    )
    estimates: dict[Fraction, float] = {}
    now = Fraction(0)
    for time in sorted(set(times)):
        if task.discrete:
            for _ in range(int(time - now)):
                values = values + members.nominal @ values
        elif members.nominal.nnz:
            values = expm_multiply(members.nominal * float(time - now), values, traceA=0.0)
        estimates[time], now = float(mass @ values), time
    return [estimates[time] for time in times]

"""Stationary and long-run averages.

With one recurrent class the average is the same from every start, and one vector v bounds it.  With several the
long-run average depends on where the chain is absorbed: every class is bounded apart, and two vectors
h and v on states, with Q h <= 0 and g + Q v <= h, bound the average from every state.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lumpability.certificate.bounds.question import Asked
from lumpability.certificate.digest import ChainParts
from lumpability.markov.approximate.bounds.average import adversary, bias_system, nominal_bias
from lumpability.markov.approximate.bounds.ends import (
    Ends,
    Progress,
    Task,
    exact_vector,
    shrink,
    vector_of,
)
from lumpability.markov.approximate.bounds.krylov import poisson_steps, solve_directly
from lumpability.markov.approximate.bounds.members import Floats, Members
from lumpability.markov.solve.classes import recurrent_classes
from lumpability.markov.solve.linear import solve_exact
from lumpability.errors import NotUnique
from lumpability.certificate.bounds.drift import drift
from lumpability.certificate.bounds.hull import hull_of
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition

__all__ = ["average_ends", "long_run_ends"]

_STEPS = 12


def average_ends(
    task: Task, *, accuracy: float | None, progress: Progress | None
) -> tuple[Ends, float]:
    """Return ends of the average under every stationary distribution, and an estimate."""
    earning = task.asked.earning(task.parts)
    floats, members = earning.to_floats(), task.members()
    if task.quotient_is_exact():
        exact = _exact(task, earning)
        if exact is not None:
            return exact, float(exact.upper or 0)
    guess, estimate = nominal_bias(members, floats)
    above = adversary(members, floats, guess)
    below = -adversary(members, -floats, -guess)
    ends = _proved(task, below, above)
    if accuracy is not None:
        span = float(max(earning.values) - min(earning.values))
        search = _OnStates(task, members, floats, guess)
        ends = shrink(ends, search.improve, lambda _: accuracy * span, progress)
    return ends, estimate


def _proved(task: Task, below: Floats, above: Floats) -> Ends:
    ends = Ends().better(task.proved((vector_of(below),), upper=False))
    return ends.better(task.proved((vector_of(above),), upper=True))


def _exact(task: Task, earning: ExactArray) -> Ends | None:
    """Solve Poisson's equation on the blocks of a lumping in exact arithmetic."""
    first, k = task.partition.representatives, len(task.partition)
    hull = hull_of(task.chain.matrix, task.partition, inner=False)
    rows: list[dict[int, Fraction]] = [{b: Fraction(0), k: Fraction(1)} for b in range(k)]
    for b, c, rate in zip(hull.source.tolist(), hull.target.tolist(), hull.most, strict=True):
        rows[b][b] += rate
        rows[b][c] = rows[b].get(c, Fraction(0)) - rate
    try:
        found = solve_exact([*rows, {0: Fraction(1)}], [*(earning[x] for x in first), Fraction(0)])
    except NotUnique:
        return None
    vector = exact_vector(found[:k])
    below = task.proved((vector,), upper=False)
    return None if below is None else below.better(task.proved((vector,), upper=True))


class _OnStates:
    """Rounds of Krylov steps on states, whose residual an adversary on blocks redistributes."""

    def __init__(self, task: Task, members: Members, earning: Floats, guess: Floats) -> None:
        self._task, self._members, self._earning = task, members, earning
        self._steps = poisson_steps(members, earning)
        self._values = guess[members.labels]
        self._residual = np.inf

    def improve(self, number: int) -> Ends:
        """Return the ends after some more steps."""
        if number and self._stalls():
            self._solve_directly()
        else:
            self._values = self._steps(self._values, _STEPS)
        self._values -= self._values.mean()
        members, zeros = self._members, np.zeros(self._members.k)
        rest = self._earning + members.drift(self._values)
        above = self._values + adversary(members, rest, zeros)[members.labels]
        below = self._values - adversary(members, -rest, zeros)[members.labels]
        return _proved(self._task, below, above)

    def _stalls(self) -> bool:
        rest = self._earning + self._members.drift(self._values)
        before, self._residual = self._residual, float(rest.max() - rest.min())
        return self._residual > 0.5 * before

    def _solve_directly(self) -> None:
        from scipy.sparse import diags_array

        members = self._members
        generator = (members.rates - diags_array(members.exits)).tocsr()
        solve = bias_system(generator, np.full(members.n, 1 / members.n), 0.0)
        if solve is not None:
            rest = self._earning + members.drift(self._values)
            found = solve(rest)[0]
            if np.isfinite(found).all():
                self._values = self._values + found


def long_run_ends(
    task: Task, *, accuracy: float | None, progress: Progress | None
) -> tuple[Ends, float]:
    """Return ends of the long-run average from the start, and an estimate."""
    classes = recurrent_classes(task.chain)
    if len(classes) == 1:
        stationary = Task(task.chain, task.parts, task.partition, Asked("stationary", task.asked.of))
        found, estimate = average_ends(stationary, accuracy=accuracy, progress=progress)
        return _with_level(task, found), estimate
    raise NotImplementedError


def _with_level(task: Task, found: Ends) -> Ends:
    """Return ends of the long-run average given those of the only stationary one."""
    ends, k = Ends(), len(task.partition)
    for end, evidence, upper in ((found.lower, found.below, False), (found.upper, found.above, True)):
        if end is not None:
            vectors = (ExactArray.constant(end, k), *evidence.vectors)
            ends = ends.better(task.proved(vectors, upper=upper))
    return ends

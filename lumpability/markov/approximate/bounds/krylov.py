"""Krylov steps on states, preconditioned by the diagonal and by the blocks.

A residual r is first corrected on blocks, by the mean of the members, and then by the inverse of the diagonal.
GMRES with this preconditioner needs few steps where the partition is nearly a lumping; otherwise it is ordinary
GMRES.  What is solved for is always a correction: the solution so far is a vector of integers and its residual exact
before it is rounded, so that corrections go on beyond the precision of floats.  Nothing here is proved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lumpability.certificate.bounds.drift import drift
from lumpability.certificate.bounds.vector import Vector
from lumpability.markov.approximate.bounds.average import bias_system
from lumpability.markov.approximate.bounds.members import (
    Floats,
    Members,
    rounded,
    solver,
    stopped,
)
from lumpability.numbers.exact_array import ExactArray

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Map = Callable[[Floats], Floats]

_STEPS, _SLOW, _MOST_ROUNDS = 20, 0.7, 100
_ENOUGH = 1e-8  # of the residual; what is left is corrected with an exact one


class System(NamedTuple):
    """A large linear system: roughly solved by Krylov steps, or with a factorisation."""

    steps: Map
    directly: Map


class Solution:
    """A solution of a large system, which Krylov steps improve, and a factorisation where these are slow.

    Attributes
    ----------
    values : Vector
    rest : array of float, shape (n,)
        The residual.
    """

    def __init__(
        self, values: Vector, rest: Floats, system: System, residual: Callable[[Vector], Floats]
    ) -> None:
        self.values, self.rest = values, rest
        self._system, self._residual = system, residual
        self.largest = np.inf

    def improve(self) -> None:
        """Make some more steps."""
        before = self.largest
        self._correct(self._system.steps(self.rest))
        if self.largest > _SLOW * before:
            now = self.values, self.rest, self.largest
            self._correct(self._system.directly(self.rest))
            if self.largest > now[-1]:  # an incomplete factorisation may lead away
                self.values, self.rest, self.largest = now

    def _correct(self, correction: Floats) -> None:
        if np.isfinite(correction).all():
            self.values = rounded(correction, onto=self.values)
            self.rest = self._residual(self.values)
        self.largest = float(np.abs(self.rest).max(initial=0.0))


def averaged(members: Members, earning: ExactArray, start: Floats) -> Solution:
    """Return a solution of (-Q + 1 u^T) x = g, u uniform; its residual is that of g + Q x = c, centred."""
    n = members.n
    coarse = bias_system(members.nominal, members.sizes / n)

    def apply(x: Floats) -> Floats:
        image: Floats = members.exits * x - members.rates @ x + x.mean()
        return image

    def on_blocks(residual: Floats) -> Floats:
        assert coarse is not None
        values, average = coarse(members.means(residual))
        found: Floats = (values + average)[members.labels]
        return found

    steps = _gmres(apply, members.exits + 1 / n, None if coarse is None else on_blocks)

    def without_mean(residual: Floats) -> Floats:
        found = steps(residual)
        found -= found.mean()
        return found

    def directly(rest: Floats) -> Floats:
        solve = bias_system(members.of_states, np.full(n, 1 / n), roughly=True)
        return np.zeros(n) if solve is None else solve(rest)[0]

    def centred(values: Vector) -> Floats:
        return drift(members.matrix, values).plus(earning).centred().to_floats()

    rest = earning.to_floats() + members.drift(start)
    return Solution(rounded(start), rest, System(without_mean, directly), centred)


def absorbed(members: Members, free: Mask) -> System:
    """Return the systems -Q x = b in free states, x = 0 in the others; blocks lie in one of the two sorts."""
    inside = free.astype(np.float64)
    fixed = members.sums(inside) == 0
    coarse = solver(stopped(members.nominal, ~fixed, fixed.astype(np.float64)))

    def apply(x: Floats) -> Floats:  # of x that vanishes in the others, as corrections do
        found: Floats = inside * (members.exits * x - members.rates @ x)
        return found

    def on_blocks(residual: Floats) -> Floats:
        assert coarse is not None
        found: Floats = coarse(members.means(residual))[members.labels]
        return found

    steps = _gmres(apply, members.exits, None if coarse is None else on_blocks)

    def directly(rest: Floats) -> Floats:
        solve = solver(stopped(members.of_states, free, 1 - inside), roughly=True)
        return np.zeros(members.n) if solve is None else solve(rest)

    return System(steps, directly)


def solved(members: Members, right: Floats, free: Mask, *, residual: float) -> Floats:
    """Return a solution of -Q x = b in free states, x = 0 in the others, up to a largest residual if possible."""

    def rest(values: Vector) -> Floats:
        return np.where(free, right + members.drift_beyond_floats(values), 0.0)

    start, first = rounded(np.zeros(members.n)), np.where(free, right, 0.0)
    found = Solution(start, first, absorbed(members, free), rest)
    for _ in range(_MOST_ROUNDS):
        before = found.largest
        found.improve()
        if found.largest <= residual or found.largest > _SLOW * before:
            break
    return found.values.exact().to_floats()


def _gmres(apply: Map, exits: Floats, on_blocks: Map | None) -> Map:
    from scipy.sparse.linalg import LinearOperator, gmres

    n = len(exits)
    divisor = np.where(exits > 0, exits, 1.0)

    def precondition(residual: Floats) -> Floats:
        residual = residual.ravel()
        if on_blocks is None:
            found: Floats = residual / divisor
            return found
        first = on_blocks(residual)
        return first + (residual - apply(first)) / divisor

    operator = LinearOperator((n, n), matvec=lambda x: apply(x.ravel()), dtype=np.float64)
    inverse = LinearOperator((n, n), matvec=precondition, dtype=np.float64)

    def steps(residual: Floats) -> Floats:
        if not np.any(residual):
            return np.zeros(n)
        found: Floats = gmres(
            operator, residual, M=inverse, restart=_STEPS, maxiter=1, rtol=_ENOUGH, atol=0.0
        )[0]
        return found if np.isfinite(found).all() else np.zeros(n)

    return steps

"""Krylov steps on states, preconditioned by the diagonal and by the blocks.

A residual r is first corrected on blocks, by the mean of the members, and then by the inverse of the diagonal.
GMRES with this preconditioner needs few steps where the partition is nearly a lumping; otherwise it is ordinary
GMRES.  Nothing here is proved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lumpability.markov.approximate.bounds.average import bias_system
from lumpability.markov.approximate.bounds.members import Floats, Members, diagonal, solver

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Map = Callable[[Floats], Floats]

_STEPS, _SLOW, _MOST_ROUNDS = 20, 0.7, 100


class Solution:
    """A rough solution of a large system, which Krylov steps improve, and a factorisation where these are slow.

    Attributes
    ----------
    values : array of float, shape (n,)
    rest : array of float, shape (n,)
        The residual.
    """

    def __init__(self, values: Floats, steps: Map, residual: Map, directly: Map) -> None:
        self.values, self.rest = values, residual(values)
        self._steps, self._residual, self._directly = steps, residual, directly
        self.largest = np.inf

    def improve(self) -> None:
        """Make some more steps."""
        before = self.largest
        self._move(self._steps(self.values))
        if self.largest > _SLOW * before:
            self._move(self.values + self._directly(self.rest))

    def _move(self, values: Floats) -> None:
        if np.isfinite(values).all():
            self.values, self.rest = values, self._residual(values)
        self.largest = float(np.abs(self.rest).max(initial=0.0))


def averaged(members: Members, earning: Floats, start: Floats) -> Solution:
    """Return a solution of (-Q + 1 u^T) x = g, u uniform; its residual is that of g + Q x = c, centred."""
    n = members.n
    coarse = bias_system(members.k, members.nominal, members.sizes / n)

    def apply(x: Floats) -> Floats:
        image: Floats = members.exits * x - members.rates @ x + x.mean()
        return image

    def on_blocks(residual: Floats) -> Floats:
        assert coarse is not None
        values, average = coarse(members.means(residual))
        found: Floats = (values + average)[members.labels]
        return found

    steps = _gmres(apply, earning, members.exits + 1 / n, None if coarse is None else on_blocks)

    def centred(values: Floats) -> Floats:
        found: Floats = earning + members.drift(values)
        found -= (found.max() + found.min()) / 2
        return found

    def directly(rest: Floats) -> Floats:
        solve = bias_system(n, members.of_states, np.full(n, 1 / n))
        return np.zeros(n) if solve is None else solve(rest)[0]

    def without_mean(values: Floats) -> Floats:
        found = steps(values)
        found -= found.mean()
        return found

    return Solution(start, without_mean, centred, directly)


def absorbed(members: Members, right: Floats, free: Mask, start: Floats) -> Solution:
    """Return a solution of -Q x = b in free states, x = 0 in the others."""
    inside = free.astype(np.float64)
    counts = members.sums(inside)
    shares = np.divide(1.0, counts, out=np.zeros(members.k), where=counts > 0)
    rows, columns, data = members.of_states
    kept = free[rows] & free[columns]
    into, of = members.labels[rows[kept]].astype(np.int64), members.labels[columns[kept]]
    empty = diagonal((counts == 0).astype(np.float64))
    coarse = solver(members.k, (into, of, -data[kept] * shares[into]), empty)

    def apply(x: Floats) -> Floats:
        return np.where(free, members.exits * x - members.rates @ (inside * x), x)

    def on_blocks(residual: Floats) -> Floats:
        assert coarse is not None
        means = shares * members.sums(residual * inside)
        found: Floats = coarse(means)[members.labels] * inside
        return found

    exits = np.where(free, members.exits, 1.0)
    goal = np.where(free, right, 0.0)
    steps = _gmres(apply, goal, exits, None if coarse is None else on_blocks)

    def directly(rest: Floats) -> Floats:
        states = np.flatnonzero(free)
        place = np.zeros(members.n, dtype=np.int64)
        place[states] = np.arange(len(states))
        solve = solver(len(states), (place[rows[kept]], place[columns[kept]], -data[kept]))
        found = np.zeros(members.n)
        if solve is not None:
            found[states] = solve(rest[states])
        return found

    return Solution(start, steps, lambda x: np.where(free, right + members.drift(x), 0.0), directly)


def solved(members: Members, right: Floats, free: Mask, *, residual: float) -> Floats:
    """Return a solution of -Q x = b in free states, x = 0 in the others, up to a largest residual if possible."""
    found = absorbed(members, right, free, np.zeros(members.n))
    for _ in range(_MOST_ROUNDS):
        before = found.largest
        found.improve()
        if found.largest <= residual or found.largest > _SLOW * before:
            break
    return found.values


def _gmres(apply: Map, right: Floats, exits: Floats, on_blocks: Map | None) -> Map:
    from scipy.sparse.linalg import LinearOperator, gmres

    n = len(right)
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

    def steps(start: Floats) -> Floats:
        # The correction is solved for, so that its rounding is relative to the residual.
        residual = right - apply(start)
        if not np.any(residual):
            return start
        found, _ = gmres(
            operator, residual, M=inverse, restart=_STEPS, maxiter=1, rtol=0.0, atol=0.0
        )
        improved: Floats = start + found
        return improved if np.isfinite(improved).all() else start

    return steps

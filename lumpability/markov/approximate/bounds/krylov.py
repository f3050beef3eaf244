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
from lumpability.markov.approximate.bounds.members import Floats, Members, solver

__all__ = ["absorbed_steps", "poisson_steps", "solve_directly", "solved"]

Mask = np.ndarray[Any, np.dtype[np.bool_]]
_STEPS, _MOST_ROUNDS = 20, 100
Steps = Callable[[Floats, int], Floats]
"""Improves a vector on states by so many Krylov steps."""


def poisson_steps(members: Members, earning: Floats) -> Steps:
    """Return steps towards a solution of (-Q + 1 u^T) x = g, u uniform."""
    n = members.n
    coarse = bias_system(members.nominal, members.sizes / n, 0.0)

    def apply(x: Floats) -> Floats:
        image: Floats = members.exits * x - members.rates @ x + x.mean()
        return image

    def on_blocks(residual: Floats) -> Floats:
        assert coarse is not None
        values, average = coarse(members.means(residual))
        found: Floats = (values + average)[members.labels]
        return found

    return _gmres(apply, earning, members.exits + 1 / n, None if coarse is None else on_blocks)


def absorbed_steps(members: Members, right: Floats, free: Mask) -> Steps:
    """Return steps towards the solution of -Q x = b in free states, x = 0 in the others."""
    from scipy.sparse import diags_array

    inside = free.astype(np.float64)
    counts = np.bincount(members.labels, inside, minlength=members.k)
    kept = diags_array(inside) @ members.indicator
    mass = diags_array(np.where(counts > 0, 1 / np.maximum(counts, 1), 0.0))
    matrix = mass @ kept.T @ (diags_array(members.exits) @ kept - members.rates @ kept)
    coarse = solver((matrix + diags_array((counts == 0).astype(np.float64))).tocsr())

    def apply(x: Floats) -> Floats:
        return np.where(free, members.exits * x - members.rates @ (inside * x), x)

    def on_blocks(residual: Floats) -> Floats:
        assert coarse is not None
        found: Floats = coarse(mass @ (kept.T @ residual))[members.labels] * inside
        return found

    diagonal = np.where(free, members.exits, 1.0)
    return _gmres(
        apply, np.where(free, right, 0.0), diagonal, None if coarse is None else on_blocks
    )


def _gmres(
    apply: Callable[[Floats], Floats],
    right: Floats,
    diagonal: Floats,
    on_blocks: Callable[[Floats], Floats] | None,
) -> Steps:
    from scipy.sparse.linalg import LinearOperator, gmres

    n = len(right)
    divisor = np.where(diagonal > 0, diagonal, 1.0)

    def precondition(residual: Floats) -> Floats:
        residual = residual.ravel()
        if on_blocks is None:
            found: Floats = residual / divisor
            return found
        first = on_blocks(residual)
        return first + (residual - apply(first)) / divisor

    operator = LinearOperator((n, n), matvec=lambda x: apply(x.ravel()), dtype=np.float64)
    inverse = LinearOperator((n, n), matvec=precondition, dtype=np.float64)

    def steps(start: Floats, count: int) -> Floats:
        # The correction is solved for, so that its rounding is relative to the residual.
        residual = right - apply(start)
        if not np.any(residual):
            return start
        found, _ = gmres(
            operator, residual, M=inverse, restart=count, maxiter=1, rtol=0.0, atol=0.0
        )
        improved: Floats = start + found
        return improved if np.isfinite(improved).all() else start

    return steps


def solve_directly(members: Members, right: Floats, free: Mask) -> Floats | None:
    """Return the solution of -Q x = b in free states, x = 0 in the others, by a factorisation; None without one."""
    from scipy.sparse import diags_array

    states = np.flatnonzero(free)
    matrix = (diags_array(members.exits) - members.rates).tocsr()[states][:, states]
    solve = solver(matrix)
    if solve is None:
        return None
    found = np.zeros(members.n)
    found[states] = solve(right[states])
    return found if np.isfinite(found).all() else None


def solved(members: Members, right: Floats, free: Mask, *, residual: float) -> Floats:
    """Return a solution of -Q x = b in free states, x = 0 in the others, up to a largest residual if possible."""
    steps = absorbed_steps(members, right, free)
    values, before = np.zeros(members.n), np.inf
    for _ in range(_MOST_ROUNDS):
        values = steps(values, _STEPS)
        error = np.where(free, right + members.drift(values), 0.0)
        largest = float(np.abs(error).max(initial=0.0))
        if largest <= residual:
            return values
        if largest > 0.7 * before:
            found = solve_directly(members, error, free)
            return values if found is None else values + found
        before = largest
    return values

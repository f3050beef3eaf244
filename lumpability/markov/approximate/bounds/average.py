"""Vectors that bound long-run averages: policy iteration on blocks, Poisson's equation on states.

For any v the average of g is at most the largest entry of g + Q v.  On blocks the best v is the bias of the
Markov decision process "blocks as states, members as actions" with average reward (Puterman 1994, chapter 8);
policy iteration takes a few rounds.  On states it solves Poisson's equation Q x = c - g; with
A = -Q + 1 u^T, u uniform, the solution of A x = g has c = u^T x, so Krylov steps never meet a singular matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lumpability.markov.approximate.bounds.members import (
    Floats,
    Members,
    bordered,
    solver,
    stopped,
)

_ROUNDS = 60


def bias_system(
    generator: Any, weights: Floats, damping: float = 0.0, *, roughly: bool = False
) -> Callable[[Floats], tuple[Floats, float]] | None:
    """Return a solver of (damping - Q) v + c 1 = g, weights v = 0, for v and c; None if it is singular."""
    ones = np.ones(len(weights))
    damped = stopped(generator, True, damping * ones)
    solve = solver(bordered(damped, ones, weights), roughly=roughly)

    def both(right: Floats) -> tuple[Floats, float]:
        assert solve is not None
        found = solve(np.append(right, 0.0))
        return found[:-1], float(found[-1])

    return None if solve is None else both


def bias(members: Members, generator: Any, earning: Floats) -> tuple[Floats, float] | None:
    """Return the bias and the average of a generator on blocks, with a little damping if it has several classes."""
    weights = members.sizes / members.n
    for damping in (0.0, 1e-9 * float(members.exits.max(initial=0.0) or 1.0)):
        solve = bias_system(generator, weights, damping)
        found = None if solve is None else solve(earning)
        if found is not None and np.isfinite(found[0]).all():
            return found
    return None


def nominal_bias(members: Members, earning: Floats) -> tuple[Floats, float]:
    """Return the bias and the average of the mean of the members; zeros where they cannot be found."""
    found = bias(members, members.nominal, members.means(earning))
    return (np.zeros(members.k), float("nan")) if found is None else found


def adversary(members: Members, earning: Floats, start: Floats) -> Floats:
    """Return a vector v on blocks for which the largest entry of g + Q v is small.

    - earning: array of float, shape (n,)
    - start (array of float, shape (k,)): A first guess; the result is no worse
    """
    best, least = start, float((earning + members.drift_of_blocks(start)).max())
    values, before = start, None
    for _ in range(_ROUNDS):
        policy = members.best(earning + members.drift_of_blocks(values))
        if before is not None and np.array_equal(policy, before):
            break
        before = policy
        found = bias(members, members.generator(policy), earning[policy])
        if found is None:
            break
        values = found[0]
        largest = float((earning + members.drift_of_blocks(values)).max())
        if largest < least:
            best, least = values, largest
    return best

"""Vectors that bound long-run averages: policy iteration on blocks, Poisson's equation on states.

For any v the average of g is at most the largest entry of g + Q v.  On blocks the best v is the bias of the
Markov decision process "blocks as states, members as actions" with average reward (Puterman 1994, chapter 8);
policy iteration takes a few rounds.  On states it solves Poisson's equation Q x = c - g; with
A = -Q + 1 u^T, u uniform, the solution of A x = g has c = u^T x, so Krylov steps never meet a singular matrix.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.markov.approximate.bounds.members import Floats, Members, solver

__all__ = ["adversary", "bias_system", "nominal_bias"]

_ROUNDS = 60


def bias_system(generator: Any, weights: Floats, damping: float) -> Any:
    """Return a solver of (damping - Q) v + c 1 = g, weights v = 0, for v and c; None if it is singular."""
    from scipy.sparse import block_array, csr_array, diags_array

    k = generator.shape[0]
    ones = csr_array(np.ones((k, 1)))
    shifted = diags_array(np.full(k, damping)) - generator
    solve = solver(
        block_array([[shifted, ones], [csr_array(weights[None, :]), None]], format="csr")
    )
    if solve is None:
        return None

    def both(right: Floats) -> tuple[Floats, float]:
        found = solve(np.append(right, 0.0))
        return found[:-1], float(found[-1])

    return both


def nominal_bias(members: Members, earning: Floats) -> tuple[Floats, float]:
    """Return the bias and the average of the mean of the members; zeros where they cannot be found."""
    solve = bias_system(members.nominal, members.sizes / members.n, 0.0)
    if solve is None:
        solve = bias_system(members.nominal, members.sizes / members.n, _damping(members))
    if solve is None:
        return np.zeros(members.k), float("nan")
    found, average = solve(members.means(earning))
    return (found, average) if np.isfinite(found).all() else (np.zeros(members.k), float("nan"))


def _damping(members: Members) -> float:
    return 1e-9 * float(members.exits.max(initial=0.0) or 1.0)


def adversary(members: Members, earning: Floats, start: Floats) -> Floats:
    """Return a vector v on blocks for which the largest entry of g + Q v is small.

    Parameters
    ----------
    earning : array of float, shape (n,)
    start : array of float, shape (k,)
        A first guess; the result is no worse.
    """
    best, least = start, float((earning + members.drift_of_blocks(start)).max())
    values, before = start, None
    weights = members.sizes / members.n
    for _ in range(_ROUNDS):
        policy = members.best(earning + members.drift_of_blocks(values))
        if before is not None and np.array_equal(policy, before):
            break
        before = policy
        solve = bias_system(members.generator(policy), weights, 0.0)
        found = None if solve is None else solve(earning[policy])[0]
        if found is None or not np.isfinite(found).all():  # several classes under this policy
            solve = bias_system(members.generator(policy), weights, _damping(members))
            found = None if solve is None else solve(earning[policy])[0]
        if found is None or not np.isfinite(found).all():
            break
        values = found
        largest = float((earning + members.drift_of_blocks(values)).max())
        if largest < least:
            best, least = values, largest
    return best

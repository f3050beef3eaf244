"""Vectors that bound what happens until a target: policy iteration on blocks, linear systems on states.

The upper bound is the value of a stochastic shortest path problem in which an adversary chooses the member of
every block; the lower bound that of the same problem with the opposite sign.  A policy under which
the target and the states that cannot reach it are never met is improper: then blocks alone give no finite bound
of an expected time (Bertsekas and Tsitsiklis 1991).  A little discount keeps every system regular.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.markov.approximate.bounds.members import (
    Floats,
    Ints,
    Members,
    solver,
    stopped,
)

Mask = np.ndarray[Any, np.dtype[np.bool_]]

_ROUNDS = 100


@dataclass(frozen=True, eq=False)
class Until:
    """A problem on states: maximise what is earned until the states that are fixed.

    Attributes
    ----------
    earning : array of float, shape (n,)
        Per unit of time where nothing is fixed.
    fixed : array of bool, shape (n,)
    values : array of float, shape (n,)
        Of fixed states.
    """

    earning: Floats
    fixed: Mask
    values: Floats


def never_leaving(members: Members, fixed: Mask) -> int | None:
    """Return a state with which an adversary can avoid all fixed states for ever; None if there is none.

    It is a member, not fixed, all of whose transitions lead into blocks where the adversary has such a choice.
    """
    staying = np.ones(members.k, dtype=bool)
    free = ~fixed
    while True:
        escapes = members.leaving @ (~staying).astype(np.float64) > 0
        stays = free & ~escapes & staying[members.labels]
        remaining = np.zeros(members.k, dtype=bool)
        remaining[members.labels[stays]] = True
        if np.array_equal(remaining, staying):
            return int(np.flatnonzero(stays)[0]) if stays.any() else None
        staying = remaining


def worst_case(members: Members, problem: Until, start: Floats, *, damping: float = 0.0) -> Floats:
    """Return the values on blocks of an adversary who maximises, nearly; `damping` is a rate of ending with nothing."""
    damping = damping or _little(members)
    values, before = start, None
    for _ in range(_ROUNDS):
        scores = np.where(
            problem.fixed,
            problem.values - values[members.labels],
            problem.earning + members.drift_of_blocks(values),
        )
        policy = _at_least_as_good(members.best(scores), before, scores)
        if before is not None and np.array_equal(policy, before):
            break
        before = policy
        found = _evaluated(members, problem, policy, damping)
        if found is None:
            break
        values = found
    return values


def _at_least_as_good(policy: Ints, before: Ints | None, scores: Floats) -> Ints:
    """Keep the former choice where the new one is no better, so that rounding does not go round in circles."""
    if before is None:
        return policy
    better = scores[policy] > scores[before] + 1e-13 * np.abs(scores).max(initial=0.0)
    return np.where(better, policy, before)


def _evaluated(members: Members, problem: Until, policy: Ints, damping: float) -> Floats | None:
    fixed = problem.fixed[policy]
    right = np.where(fixed, problem.values[policy], problem.earning[policy])
    return _solved(members.generator(policy), fixed, right, damping)


def _solved(generator: Any, fixed: Mask, right: Floats, damping: float) -> Floats | None:
    """Return v with v = b in fixed blocks and (damping - Q) v = b in the others; None if it cannot be found."""
    solve = solver(stopped(generator, ~fixed, np.where(fixed, 1.0, damping)))
    found = None if solve is None else solve(right)
    return found if found is not None and np.isfinite(found).all() else None


def nominal_value(members: Members, problem: Until) -> Floats:
    """Return the values on blocks of the mean of the members; fixed ones where a block has any."""
    count = members.sums(problem.fixed.astype(np.float64))
    fixed = count > 0
    sums = members.sums(np.where(problem.fixed, problem.values, 0.0))
    right = np.where(fixed, sums / np.maximum(count, 1), members.means(problem.earning))
    found = _solved(members.nominal, fixed, right, _little(members))
    return np.zeros(members.k) if found is None else found


def _little(members: Members) -> float:
    return 1e-12 * float(members.exits.max(initial=0.0) or 1.0)

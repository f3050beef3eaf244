"""Where the width of an interval about a target comes from; see `lumpability.markov.approximate.bounds.width`.

Blocks are pure: in the target, unable to reach it, or free.  With the choices Q+ of the adversary who maximises, the
difference D of the values of both solves -Q+ D = e on free blocks; so the weights solve -Q+^T w = p(0).  A little
damping stands for policies that never end, which have no value otherwise; refinement removes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.markov.approximate.bounds.ends import Task
from lumpability.markov.approximate.bounds.members import Floats, Ints, solver, stopped
from lumpability.markov.approximate.bounds.reaching import Reaching
from lumpability.markov.approximate.bounds.until import Until, nominal_value, worst_case
from lumpability.markov.approximate.bounds.width import Width

Mask = np.ndarray[Any, np.dtype[np.bool_]]

_SHARE = 0.1


def reaching_width(task: Task) -> Width:
    """Return the width of a question of the kinds "hitting" and "expected", on a partition with pure blocks."""
    search = Reaching(task)
    members, problem = search.members, search.problem
    guess = nominal_value(members, problem)
    times = nominal_value(members, Until(np.ones(members.n), problem.fixed, np.zeros(members.n)))
    damping = _SHARE / max(float(times.max(initial=0.0)), 1e-300) if search.earns else 0.0
    above = worst_case(members, problem, guess, damping=damping)
    below = search.below(guess, damping=damping)
    free = search.free[task.partition.representatives]
    drifts = problem.earning + members.drift_of_blocks(below)
    upwards = problem.earning + members.drift_of_blocks(above)
    chosen = members.best(np.where(search.free, upwards, -np.inf))
    excess = np.where(free, drifts[chosen] - drifts[members.best(-drifts)], 0.0)
    mass = _weights(search, chosen, free, damping)
    scores = problem.earning + members.drift_of_blocks((above + below) / 2)
    start = members.starting(task.asked.start)
    half = max(float(start @ (above - below)) / 2, 0.0)
    size = max(float(start @ above), 1e-6 * float(above.max())) or 1.0 if search.earns else 1.0
    return Width(half, size, mass * np.maximum(excess, 0.0), scores)


def _weights(search: Reaching, chosen: Ints, free: Mask, damping: float) -> Floats:
    """Return the expected time in every free block under the choices of the one who maximises."""
    members = search.members
    little = damping + 1e-12 * float(members.exits.max(initial=1.0))
    solve = solver(stopped(members.generator(chosen), free, np.where(free, little, 1.0)).T)
    start = np.where(free, members.starting(search.task.asked.start), 0.0)
    found: Floats = start if solve is None else np.maximum(solve(start), 0.0)
    return np.where(free, found, 0.0)

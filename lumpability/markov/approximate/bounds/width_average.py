"""Where the width of an interval about an average comes from; see `lumpability.markov.approximate.bounds.width`.

Let v+ and v- be the vectors of the adversaries who maximise and minimise the average, c+ and c- their averages, and p the
stationary distribution on blocks of the choices of the first.  In every block c- is at most the least g + Q V v- of a
member, so that c+ - c- is at most the sum over B of p_B e_B, where e_B is what his member has beyond the least one.
The members of a block are told apart by their drift along the mean of both vectors.

With several recurrent classes each is treated as a chain of its own, and its width counts with the probability
that the chain ends in it.
"""

from __future__ import annotations

import numpy as np

from lumpability.markov.approximate.bounds.average import adversary, nominal_bias
from lumpability.markov.approximate.bounds.ends import Task
from lumpability.markov.approximate.bounds.longrun import within_class
from lumpability.markov.approximate.bounds.members import (
    Floats,
    Ints,
    Members,
    bordered,
    solver,
    stopped,
)
from lumpability.markov.approximate.bounds.width import Width
from lumpability.markov.solve.classes import recurrent_classes


def average_width(task: Task) -> Width:
    """Return the width of a question of the kinds "stationary" and "long_run", on blocks within classes."""
    classes = recurrent_classes(task.chain)
    earning = task.asked.earning(task.parts)
    half, scores = 0.0, np.zeros(task.chain.n)
    contribution = np.zeros(len(task.partition))
    for states, chance in zip(classes, _chances(task, classes), strict=True):
        one = within_class(task, states, earning)
        found, score = _of_class(one.members(), one.asked.earning(one.parts).to_floats())
        blocks = task.partition.labels[states[one.partition.representatives]]
        contribution[blocks] += chance * found
        scores[states] = score
        half += chance * float(found.sum()) / 2
    floats = earning.to_floats()
    size = float(floats.max() - floats.min()) or 1.0
    return Width(half, size, contribution, scores)


def _of_class(members: Members, earning: Floats) -> tuple[Floats, Floats]:
    """Return the contributions of blocks and the scores of states of an irreducible chain."""
    guess, _ = nominal_bias(members, earning)
    above, below = adversary(members, earning, guess), -adversary(members, -earning, -guess)
    upwards = earning + members.drift_of_blocks(above)
    drifts = earning + members.drift_of_blocks(below)
    chosen = members.best(upwards)
    excess = np.maximum(drifts[chosen] - drifts[members.best(-drifts)], 0.0)
    scores: Floats = earning + members.drift_of_blocks((above + below) / 2)
    return _stationary(members, chosen) * excess, scores


def _stationary(members: Members, policy: Ints) -> Floats:
    """Return the stationary distribution on blocks of some choices; damped if there are several."""
    generator, shares = members.generator(policy), members.sizes / members.n
    ones = np.ones(members.k)
    for damping in (0.0, 1e-9 * float(members.exits.max(initial=0.0) or 1.0)):
        damped = stopped(generator, True, damping * ones)
        solve = solver(bordered(damped.T, shares, ones))
        found = None if solve is None else solve(np.append(np.zeros(members.k), 1.0))[:-1]
        if found is not None and np.isfinite(found).all():
            return np.maximum(found, 0.0)
    return shares


def _chances(task: Task, classes: list[Ints]) -> Floats:
    """Return the probability to end in each class from the start."""
    n = task.chain.n
    if len(classes) == 1:
        return np.ones(1)
    start = np.full(n, 1 / n) if task.asked.start is None else task.asked.start.to_floats()
    class_of = np.full(n, -1)
    for number, states in enumerate(classes):
        class_of[states] = number
    free = class_of < 0
    moving = stopped(task.view.members.of_states, free, np.where(free, 0.0, 1.0))
    solve = solver(moving.T)
    arriving = (
        start if solve is None else solve(start)
    )  # where the chain leaves the transient states
    return np.bincount(class_of[~free], arriving[~free], len(classes)).astype(np.float64)

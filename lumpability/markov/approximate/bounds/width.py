"""Where the width of an interval comes from: the contribution of every block, and how its members differ.

Let u+ and u- be the values of the adversaries who maximise and minimise.  Their difference D obeys
D' <= Q+ D + e with e_B = max - min over the members x of B of the drift (g + Q V u-)_x, where Q+ are the choices
of the one who maximises; so the width at the start is the sum over B of e_B times the time that his chain spends in B,
its weights.  These are the weights of the interval problem itself: those of a nominal chain never see where the
adversaries lead.  The members of a block are told apart by their drift along the weighted mean of u+ and u-.

Floating point; what is proved is proved for the partition that results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.errors import SizeLimit
from lumpability.markov.approximate.bounds.ends import Task
from lumpability.markov.approximate.bounds.members import Floats, Ints, Members
from lumpability.markov.solve.poisson import poisson_window

_MOST_NUMBERS = 200_000_000


@dataclass(frozen=True, eq=False)
class Width:
    """The half-width of an interval, and what to do about it."""

    half: float
    size: float  # what it is relative to
    contribution: Floats  # of every block, shape (k,)
    score: Floats  # of every state: states of a block with different scores should be parted, shape (n,)


class _Choices:
    """The distinct rows of the members, which are what an adversary chooses from."""

    def __init__(self, members: Members) -> None:
        labels, leaving = members.labels, members.leaving
        draws = np.random.default_rng(0).random((members.k, 2))
        key = np.column_stack([labels, np.round(leaving @ draws, 9)])
        _, first, row_of = np.unique(key, axis=0, return_index=True, return_inverse=True)
        self.row_of: Ints = row_of.ravel()
        self.rows, self.outflow, self.block = leaving[first], members.outflow[first], labels[first]
        self.begins = np.searchsorted(self.block, np.arange(members.k))

    def drift(self, values: Floats) -> Floats:
        """Return the drift of a vector on blocks in every row."""
        found: Floats = self.rows @ values - self.outflow * values[self.block]
        return found

    def largest(self, drifts: Floats) -> tuple[Floats, Ints]:
        """Return the largest drift of every block, and its first row."""
        top = np.maximum.reduceat(drifts, self.begins)
        wins = np.flatnonzero(drifts == top[self.block])
        return top, wins[np.searchsorted(wins, self.begins)]

    def scores(self, mean: Floats) -> Floats:
        """Return for every state its drift along the row ``mean[block]``, a vector for each block."""
        entries = self.rows.tocoo()
        blocks = self.block[entries.row]
        along = entries.data * (mean[blocks, entries.col] - mean[blocks, blocks])
        return np.bincount(entries.row, along, minlength=len(self.block))[self.row_of].astype(float)


def timed_width(task: Task) -> Width:
    """Return the width of a question about a time.

    Raises `SizeLimit` if values at all steps do not fit the memory.
    """
    members = task.members()
    choices = _Choices(members)
    earning = task.asked.earning(task.parts).to_floats()
    rate, weights = _steps(task, choices, members.k)
    above = _values(choices, -members_least(members, -earning), len(weights), rate, 1)
    below = _values(choices, members_least(members, earning), len(weights), rate, -1)
    start = members.starting(task.asked.start)
    half = max(float(start @ (weights @ (above - below))) / 2, 0.0)
    contribution, mean = _adjoint(choices, (above, below), weights, start, rate)
    scores = choices.scores(mean)
    at_first = np.flatnonzero(above[0] > below[0])
    spread = np.isin(members.labels, at_first)  # what is averaged differs inside these blocks
    size = float(earning.max() - earning.min()) or 1.0
    return Width(half, size, contribution, np.where(spread, earning, scores))


def members_least(members: Members, values: Floats) -> Floats:
    """Return the least value of the members of every block."""
    found: Floats = -np.asarray(-values)[members.best(-values)]
    return found


def _steps(task: Task, choices: _Choices, blocks: int) -> tuple[float, Floats]:
    """Return the rate of uniformisation and the weights of 0, 1, 2, ... steps."""
    time, outflow = float(task.asked.time or 0), float(choices.outflow.max(initial=0.0))
    rate = 1.0 if task.discrete else 2 * outflow
    if rate * time * blocks > _MOST_NUMBERS:
        raise SizeLimit(
            f"about {rate * time:.1e} steps on {blocks} blocks are too many for a refinement: the intervals of "
            "small.bounds.transient need less memory"
        )
    if task.discrete:
        return 1.0, np.append(np.zeros(int(time)), 1.0)
    if not outflow:
        return 1.0, np.ones(1)
    window = poisson_window(rate * time, 1e-9)
    return rate, np.append(np.zeros(window.first), window.weights)


def _values(choices: _Choices, first: Floats, count: int, rate: float, sign: int) -> Floats:
    """Return u_0, u_1, ... of the adversary who maximises (sign 1) or minimises (sign -1)."""
    found = np.empty((count, len(first)))
    found[0] = first
    for j in range(count - 1):
        top, _ = choices.largest(sign * choices.drift(found[j]))
        found[j + 1] = found[j] + sign * top / rate
    return found


def _adjoint(
    choices: _Choices, values: tuple[Floats, Floats], weights: Floats, start: Floats, rate: float
) -> tuple[Floats, Any]:
    """Go back through the steps with the weights of blocks; return contributions and weighted means of values."""
    above, below = values
    k, count = len(start), len(weights)
    held = np.zeros((count, k))
    mass, contribution = weights[-1] * start, np.zeros(k)
    for j in range(count - 2, -1, -1):
        held[j] = mass
        drifts = choices.drift(below[j])
        _, chosen = choices.largest(choices.drift(above[j]))
        least, _ = choices.largest(-drifts)
        contribution += mass * (drifts[chosen] + least) / rate
        flow = choices.rows[chosen].T @ mass - choices.outflow[chosen] * mass
        mass = weights[j] * start + mass + flow / rate
    contribution += mass * (above[0] - below[0])
    return contribution, held.T @ ((above + below) / 2)

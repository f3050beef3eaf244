"""Questions about a chain whose answers are bounded, and what they ask in terms of its states.

`of` is what is averaged: a label (its probability) or a reward (what it earns per unit of time, or per
step), or a vector with one number for each state.  `target` is a set of states: a label, or a mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.certificate.digest import ChainParts
from lumpability.certificate.respected import with_earned_rewards
from lumpability.certificate.verification import Contradiction
from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure

Mask = np.ndarray[Any, np.dtype[np.bool_]]

KINDS = ("transient", "time_bounded", "stationary", "long_run", "hitting", "expected")
"""The kinds of questions."""

AVERAGED = ("transient", "stationary", "long_run", "expected")
AIMED = ("time_bounded", "hitting", "expected")
TIMED = ("transient", "time_bounded")


@dataclass(frozen=True, eq=False)
class Asked:
    """A question of one of the `KINDS`.

    Attributes
    ----------
    kind : str
    of : str or ExactArray or None
        ``"label:NAME"``, ``"reward:NAME"``, or a number for each state.
    target : str or array of bool or None
        ``"label:NAME"``, or a mask.
    time : Fraction or None
    start : ExactArray or None
        The initial distribution; None for every state.
    """

    kind: str
    of: str | ExactArray | None = None
    target: str | Mask | None = None
    time: Fraction | None = None
    start: ExactArray | None = None

    def __str__(self) -> str:
        of = self.of if isinstance(self.of, str) else "the given numbers"
        if self.kind == "expected" and isinstance(self.of, ExactArray) and self.of.values == (1,):
            of = "time"
        target = self.target if isinstance(self.target, str) else "the given states"
        of, target = (x.removeprefix("label:").removeprefix("reward:") for x in (of, target))
        return {
            "transient": f"{of} at time {self.time}",
            "time_bounded": f"{target} reached within time {self.time}",
            "stationary": f"stationary {of}",
            "long_run": f"long-run average of {of}",
            "hitting": f"{target} ever reached",
            "expected": f"expected {of} until {target}",
        }[self.kind]

    def earning(self, parts: ChainParts) -> ExactArray:
        """Return the vector g that is averaged; `Contradiction` if the chain has no such label or reward."""
        if self.kind in ("time_bounded", "hitting"):
            return _indicator(self.goal(parts))
        if isinstance(self.of, ExactArray):
            if len(self.of) != parts.matrix.n:
                raise Contradiction("of", f"it has {len(self.of)} numbers for the states")
            return self.of
        sort, _, name = (self.of or "").partition(":")
        if sort == "label" and name in parts.labels:
            return _indicator(parts.labels[name])
        if sort == "reward" and name in parts.rewards:
            return _earned(parts, name)
        raise Contradiction("of", f"the model has no {self.of!r}")

    def goal(self, parts: ChainParts) -> Mask:
        """Return the target as a mask; `Contradiction` if the chain has no such label."""
        if isinstance(self.target, np.ndarray):
            if len(self.target) != parts.matrix.n:
                raise Contradiction("target", f"it has {len(self.target)} entries for the states")
            return self.target
        sort, _, name = (self.target or "").partition(":")
        if sort == "label" and name in parts.labels:
            return parts.labels[name]
        raise Contradiction("target", f"the model has no {self.target!r}")


def _indicator(mask: Mask) -> ExactArray:
    return ExactArray.of_values(mask.astype(np.int64), [Fraction(0), Fraction(1)])


def _earned(parts: ChainParts, name: str) -> ExactArray:
    if parts.time == "continuous":
        parts = with_earned_rewards(parts)
    held, left = parts.rewards[name]
    if held is None:
        held = ExactArray.constant(Fraction(0), parts.matrix.n)
    return held if left is None else held.combine(left, lambda one, other: one + other)


def absorbing(matrix: WeightedStructure, states: Mask, *, discrete: bool) -> WeightedStructure:
    """Return the matrix with some states made absorbing.

    >>> matrix = WeightedStructure.from_edges(2, [0, 1], [1, 0], ["1/3", 2])
    >>> absorbing(matrix, np.array([False, True]), discrete=False).m
    1
    """
    stopped = matrix.without(np.flatnonzero(states[matrix.sources()]))
    if not discrete:
        return stopped
    kept, goals = stopped.sources(), np.flatnonzero(states)
    return WeightedStructure.from_edges(
        matrix.n,
        np.concatenate([kept, goals]),
        np.concatenate([stopped.indices, goals]),
        stopped.weights.concatenate(ExactArray.constant(Fraction(1), len(goals))),
    )


def bounds_on_blocks(
    numbers: ExactArray, labels: np.ndarray[Any, Any], blocks: int
) -> tuple[ExactArray, ExactArray]:
    """Return the least and the largest number of the states of each block.

    >>> bounds_on_blocks(ExactArray.read([1, "1/2", 3])[0], np.array([0, 0, 1]), 2)
    (ExactArray([1/2, 3]), ExactArray([1, 3]))
    """
    values = sorted(numbers.values)
    rank = {value: i for i, value in enumerate(values)}
    ranks = np.array([rank[value] for value in numbers.values], dtype=np.int64)[numbers.codes]
    least, most = np.full(blocks, len(values)), np.full(blocks, -1)
    np.minimum.at(least, labels, ranks)
    np.maximum.at(most, labels, ranks)
    return ExactArray.of_values(least, values), ExactArray.of_values(most, values)

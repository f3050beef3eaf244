"""The construction of a formula that separates two blocks.

Suppose blocks a, b have different sums into X.  Then out(psi) >= r separates them if psi holds in those of
their successors that lie in X, and in none of their other successors.  So psi has to separate X from a few
blocks only.  For each of these it has one literal: a label, or a sum of X into a block of a lower level, for
which a subformula is requested in the same way.  Requests for the same block are collected before they are
answered, highest levels first: a block of a level gets one subformula for all requests.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.markov.distinguishing import Difference, Separation
from lumpability.markov.formulas import (
    And,
    Formula,
    Given,
    HasLabel,
    HasReward,
    Node,
    Not,
    Share,
    Starts,
    Sum,
)
from lumpability.numbers.exact_array import Exact

Array = np.ndarray[Any, Any]

Key = tuple[int, int]
"""A block by its label and the level at which it arose."""


@dataclass
class _Request:
    """A request for a subformula that holds in some final blocks and not in others."""

    inside: Array = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    outside: Array = field(default_factory=lambda: np.empty(0, dtype=np.int64))


@dataclass(frozen=True)
class _Literal:
    """A sum, or a share, whose subformulas are not made yet."""

    direction: str
    into: Key
    own: Key | None
    comparison: str
    value: Exact


def separating_formula(separation: Separation, block: int, other: int) -> Formula:
    """Return a formula that holds in the states of one block and not in those of another."""
    return _Maker(separation).make(block, other)


class _Maker:
    def __init__(self, separation: Separation) -> None:
        self.separation = separation
        self.requests: defaultdict[Key, _Request] = defaultdict(_Request)
        self.plans: dict[Key, list[tuple[_Literal | Node, bool]]] = {}
        self.nodes: dict[Node, int] = {}
        self.built: dict[Key, int] = {}

    def make(self, block: int, other: int) -> Formula:
        if self.separation.levels.depth(block, other) == 0:
            self._add(*self._attribute(block, self._telling(block, other)))
        else:
            literal, positive = self._threshold(block, other)
            while self.requests:
                key = max(self.requests, key=lambda key: key[1])
                self.plans[key] = self._plan(key, self.requests.pop(key))
            for key in sorted(self.plans, key=lambda key: key[1]):
                self.built[key] = self._conjunction(key)
            self._add(self._node(literal), positive)
        return Formula(self.separation.kind.name, tuple(self.nodes))

    def _threshold(self, block: int, other: int) -> tuple[_Literal, bool]:
        """Return the outermost comparison, and False if it is negated."""
        chosen = self.separation.differences(block, other)[0]
        first, second = chosen.sums
        self._ask(chosen, block, np.array([block, other]))
        if not isinstance(first, Fraction) or not isinstance(second, Fraction):
            return self._literal(chosen, block, "=", first), True
        return self._literal(chosen, block, ">=", max(first, second)), first > second

    def _literal(
        self, difference: Difference, block: int, comparison: str, value: Exact
    ) -> _Literal:
        separation, level = self.separation, difference.level
        own = (
            None
            if separation.normal.counts_own
            else self._key(separation.label(block, level), level)
        )
        direction = separation.conditions[difference.condition].direction
        return _Literal(direction, self._key(difference.splitter, level), own, comparison, value)

    def _key(self, label: int, level: int) -> Key:
        return label, self.separation.levels.since(label, level)

    def _ask(self, difference: Difference, block: int, blocks: Array) -> None:
        """Request the subformulas that a literal needs to be right in some blocks."""
        level = difference.level
        concerned = self.separation.successors(blocks)
        labels = self.separation.levels.labels(concerned, level)
        wanted = [difference.splitter]
        if not self.separation.normal.counts_own:
            wanted.append(self.separation.label(block, level))
        for label in wanted:
            request = self.requests[self._key(label, level)]
            request.inside = self.separation.united(request.inside, concerned[labels == label])
            request.outside = self.separation.united(request.outside, concerned[labels != label])

    def _plan(self, key: Key, request: _Request) -> list[tuple[_Literal | Node, bool]]:
        """Choose literals that hold inside and exclude what is outside, each with False if negated."""
        plan: dict[tuple[_Literal | Node, bool], None] = {}
        if len(request.inside) == 0:  # nothing to separate: the sums are zero
            return [(And(()), False)]
        inside, left = int(request.inside[0]), request.outside
        while len(left):
            other = int(left[0])
            if self.separation.levels.depth(inside, other) == 0:
                name = self._telling(inside, other)
                plan[self._attribute(inside, name)] = None
                left = left[self.separation.alike(name, inside, left)]
                continue
            chosen = self.separation.differences(inside, other)[0]
            excluded = self.separation.differing(left, chosen, inside)
            self._ask(chosen, inside, self.separation.united(request.inside, left[excluded]))
            plan[self._literal(chosen, inside, "=", chosen.sums[0]), True] = None
            left = left[~excluded]
        return list(plan)

    def _telling(self, block: int, other: int) -> str | None:
        """Return the first attribute in which two blocks differ; None if they differ in the given partition."""
        own, others = self.separation.attributes(block), self.separation.attributes(other)
        return next((name for name, value in own.items() if value != others[name]), None)

    def _attribute(self, block: int, name: str | None) -> tuple[Node, bool]:
        """Return a literal about something respected that holds in a block."""
        if name is None:
            respected = self.separation.respected.labels
            root = respected[self.separation.partition.representatives[block]]
            return Given(tuple(np.flatnonzero(respected == root).tolist())), True
        value = self.separation.attributes(block)[name]
        sort, _, of = name.partition(":")
        if sort == "label":
            return HasLabel(of), value
        return (HasReward(of, value) if sort == "reward" else Starts(value)), True

    def _conjunction(self, key: Key) -> int:
        literals = [self._add(self._node(node), positive) for node, positive in self.plans[key]]
        return literals[0] if len(literals) == 1 else self._number(And(tuple(literals)))

    def _node(self, literal: _Literal | Node) -> Node:
        if not isinstance(literal, _Literal):
            return literal
        into = self.built[literal.into]
        if literal.own is not None:
            return Share(into, self.built[literal.own], literal.comparison, literal.value)
        return Sum(literal.direction, into, literal.comparison, literal.value)

    def _add(self, node: Node, positive: bool) -> int:
        number = self._number(node)
        return number if positive else self._number(Not(number))

    def _number(self, node: Node) -> int:
        """Return the number of a node, the next one if it is new."""
        return self.nodes.setdefault(node, len(self.nodes))

"""The computation of the explanation of two states; see `explanation` for its contents.

A pair of depth d (see `distinguishing`) differs in its sums into a block X of P_{d-1}, a proper part of a
block Y of P_{d-2} into which its sums agree.  So a state of X and a state of the rest of Y are a pair of
depth d - 1: the next step.  After d steps the pair differs in something respected.  No explanation has
fewer steps, because a step that uses sums into a set of depth k separates no pair of depth k + 2.
"""

from __future__ import annotations

from difflib import get_close_matches
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.markov.attributes import States
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.distinguishing import Difference, Separation, share
from lumpability.markov.explanation import Ending, EqualSum, Explanation, Flow, Group, Step
from lumpability.markov.kinds.kind import Condition, Kind
from lumpability.markov.separating_formula import separating_formula
from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.refinement import Witness
from lumpability.refinement.definition import block_sums

_COMPARED = 20_000

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def explain(separation: Separation, state: int, other: int) -> Explanation:
    """Explain why two states of a chain share a block of its coarsest lumping, or why not.

    Notes
    -----
    O(m) on the quotient for each level up to the depth of the pair, and less where little changes.
    """
    states, partition = separation.chain.states, separation.partition
    block, against = (int(b) for b in partition.labels[[state, other]])
    told: dict[str, Any] = {
        "kind": separation.kind.name,
        "states": (str(states[state]), str(states[other])),
        "block": Group.of(states, partition.blocks[block]),
        "measure": _measure(separation.chain, separation.kind),
    }
    if block == against:
        return Explanation(**told, together=True, table=_table(separation, state, other))
    steps, ending = _Chain(separation).follow(state, other)
    return Explanation(
        **told,
        steps=tuple(steps),
        ending=ending,
        make_formula=lambda: separating_formula(separation, block, against),
    )


def explain_witness(chain: MarkovChain, kind: Kind, partition: Partition, witness: Witness) -> Step:
    """Return the transitions that make up the two sums of a witness against a partition.

    - partition: the partition that is not a lumping
    - witness: two of its states, a block, and two different sums
    """
    condition = next(c for c in kind.conditions(chain) if c.direction == witness.direction)
    own = partition.labels == partition.labels[witness.state]
    into = partition.labels == witness.block
    sums = {witness.state: witness.total, witness.other: witness.other_total}
    return _step(chain, kind, condition, sums, own=own, into=into)


def state_number(states: States, given: Any) -> int:
    """Return the number of a state given by name, by its name as text, or by number.

    Raises `InvalidInput` if there is none; the message names similar ones.

    >>> state_number(States(3, ["up", "down", (1, 2)]), "(1, 2)"), state_number(States(3), "2")
    (2, 2)
    >>> state_number(States(2, ["up", "down"]), "dwon")
    Traceback (most recent call last):
        ...
    lumpability.errors.InvalidInput: there is no state 'dwon'; did you mean down?
    """
    if given in states:
        return states.index(given)
    text = str(given)
    if states.named:
        names = list(map(str, states))
        if names.count(text) == 1:
            return names.index(text)
    # A number among names that are numbers, or one with zeros before it, is a name that was mistyped.
    meant = text.isdecimal() and len(text) < 11 and str(int(text)) == text
    if states.named and any(map(str.isdecimal, names[:_COMPARED])):
        meant = False
    if isinstance(given, int | np.integer) or meant:
        number = int(given)
        if 0 <= number < len(states):
            return number
    message = f"there is no state {text[:60]!r}"
    if not states.named:
        raise InvalidInput(f"{message}; states are 0 .. {len(states) - 1}", state=text)
    similar = get_close_matches(text, names[:_COMPARED], n=3)
    hint = f"; did you mean {' or '.join(similar)}?" if similar else ""
    raise InvalidInput(f"{message}{hint}", state=text)


def _measure(chain: MarkovChain, kind: Kind) -> str:
    if not kind.normal.counts_own:
        return "shares of the rates"
    return "rates" if isinstance(chain, CTMC) else "probabilities"


def _step(
    chain: MarkovChain,
    kind: Kind,
    condition: Condition,
    sums: dict[int, Exact],
    *,
    own: Mask,
    into: Mask,
) -> Step:
    """Return the step of two states of the set `own` that have these sums into the set `into`."""
    inside = None if kind.normal.counts_own else own
    first, second = (
        _flow(chain, condition, state, total, into=into, own=inside)
        for state, total in sums.items()
    )
    block, splitter = (Group.of(chain.states, np.flatnonzero(mask)) for mask in (own, into))
    return Step(block, splitter, _measure(chain, kind), condition.direction, (first, second))


def _flow(
    chain: MarkovChain,
    condition: Condition,
    state: int,
    total: Exact,
    *,
    into: Mask,
    own: Mask | None,
) -> Flow:
    """Collect the transitions of a state whose other end is in a set; `own` is given for shares."""
    names, transitions = chain.states, []
    leaving: Exact | None = None if own is None else Fraction(0)
    for target, weight in condition.jumps(state):
        if own is not None and not own[target]:
            leaving += weight
        if into[target]:
            ends = (state, target) if condition.direction == "out" else (target, state)
            transitions.append((str(names[ends[0]]), str(names[ends[1]]), weight))
    return Flow(str(names[state]), total, tuple(transitions), leaving)


def _table(separation: Separation, state: int, other: int) -> tuple[EqualSum, ...]:
    partition, rows = separation.partition, []
    own = int(partition.labels[state])
    for condition in separation.conditions:
        first, second = (block_sums(condition.matrix, partition, s) for s in (state, other))
        if not condition.counts_own(separation.normal):
            first.pop(own, None)
            second.pop(own, None)
        whole = sum(first.values())
        for block, total in first.items():
            rows.append(
                EqualSum(
                    Group.of(separation.chain.states, partition.blocks[block]),
                    condition.direction,
                    (total, second[block]),
                    None if separation.normal.counts_own else share(total, whole),
                )
            )
    return tuple(rows)


class _Chain:
    """The steps from two states to something respected."""

    def __init__(self, separation: Separation) -> None:
        self.separation = separation
        self.labels = separation.partition.labels

    def follow(self, state: int, other: int) -> tuple[list[Step], Ending | None]:
        steps: list[Step] = []
        while True:
            block, against = int(self.labels[state]), int(self.labels[other])
            if self.separation.levels.depth(block, against) == 0:
                return steps, self._ending(state, other)
            step, difference = self._step(state, other)
            steps.append(step)
            into = self._members(difference.splitter, difference.level)
            if into.all():
                return steps, None
            state, other = self._next(state, other, difference, into)

    def _members(self, label: int, level: int) -> Mask:
        """Return which states are in a block of a level."""
        chosen: Mask = (self.separation.levels.all_labels(level) == label)[self.labels]
        return chosen

    def _step(self, state: int, other: int) -> tuple[Step, Difference]:
        """Return the step with the fewest transitions."""
        levels = self.separation.levels
        found = self.separation.differences(int(self.labels[state]), int(self.labels[other]))
        level = found[0].level
        own = self.separation.label(int(self.labels[state]), level)
        # Only sums that changed in the last round lead to a pair of the round before.
        fresh = [d for d in found if level == 0 or levels.since(d.splitter, level) == level]
        chosen = min(
            fresh,
            key=lambda d: (d.splitter == own, sum(self._transitions(s, d) for s in (state, other))),
        )
        return self._told(state, other, chosen), chosen

    def _transitions(self, state: int, difference: Difference) -> int:
        """Count the transitions that make up a sum."""
        matrix = self.separation.conditions[difference.condition].matrix
        targets = [target for target, _ in matrix.row(state)]
        labels = self.separation.levels.labels(self.labels[targets], difference.level)
        return int((labels == difference.splitter).sum())

    def _told(self, state: int, other: int, difference: Difference) -> Step:
        chain, level = self.separation.chain, difference.level
        condition = self.separation.conditions[difference.condition]
        own = self._members(self.separation.label(int(self.labels[state]), level), level)
        into = self._members(difference.splitter, level)
        sums = dict(zip((state, other), difference.sums, strict=True))
        return _step(chain, self.separation.kind, condition, sums, own=own, into=into)

    def _next(self, state: int, other: int, difference: Difference, into: Mask) -> tuple[int, int]:
        """Return a state of the splitter, and one of the rest of the set that it was split from.

        If possible, both are ends of transitions of the two states.
        """
        level = difference.level
        matrix = self.separation.conditions[difference.condition].matrix
        # Prefer the state whose sum is larger, or at least not zero.
        ends = {s: [target for target, _ in matrix.row(s)] for s in (state, other)}
        donor, rival = (state, other) if any(into[t] for t in ends[state]) else (other, state)
        inside = next((t for t in [*ends[donor], donor] if into[t]), None)
        chosen = int(np.flatnonzero(into)[0]) if inside is None else inside
        if level == 0:
            around = np.ones(len(into), dtype=bool)
        else:
            label = self.separation.label(int(self.labels[chosen]), level - 1)
            around = self._members(label, level - 1)
        rest = around & ~into
        near = [*ends[rival], *ends[donor], rival, donor]
        outside = next((t for t in near if rest[t]), None)
        return chosen, int(np.flatnonzero(rest)[0]) if outside is None else outside

    def _ending(self, state: int, other: int) -> Ending:
        names = self.separation.chain.states
        pair = str(names[state]), str(names[other])
        first, second = (self.separation.attributes(int(self.labels[s])) for s in (state, other))
        name = next((name for name in first if first[name] != second[name]), None)
        if name is None:
            return Ending("given", pair, (None, None))
        return Ending(name, pair, (first[name], second[name]))

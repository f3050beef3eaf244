"""Near misses: pairs of blocks that would be one block if a few weights were different.

Blocks A and B of an ordinary lumping can be merged, everything else kept, exactly when they have equal sums
into every other block C; for a DTMC and for bisimulation, also into A and B together.  If they differ in d
of these sums, changing the sums in all members of A, or of B, makes the pair mergeable.  The fewest weights
change if an existing one is raised, or the largest ones are lowered first.

Candidates are rows of the quotient that agree in all but a few entries.  A row has a hash that is a sum over
its entries, and also the hashes without one or two of its entries.  If two rows agree after leaving out up
to two entries of each, one hash of the first equals one of the second.  So sorting the hashes finds the
pairs whose rows differ in up to two entries (transitions between the two included) without comparing all
pairs.  Hashes only propose; what is reported has been compared exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, NotJustified, warn
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.distinguishing import Separation
from lumpability.markov.explanation import Group
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.rationals import shown
from lumpability.partition import Partition
from lumpability.refinement.exact_rounds import scrambled
from lumpability.structure import WeightedStructure

_HASHES = 4_000_000
_PROPOSED = 2_000_000
_COMPARED = 20_000
_NEIGHBOURS = 8
_LISTED = 8

Array = np.ndarray[Any, Any]
Column = tuple[frozenset[int], Exact, Exact]
"""Blocks, and two different sums into them."""


@dataclass(frozen=True)
class WeightChange:
    """A rate or probability, and the value that it would need.

    Attributes
    ----------
    source, target : int
        State numbers.
    names : tuple of two str
    value, needed : Fraction
        The present value (0 if there is no transition), and the needed one.
    """

    source: int
    target: int
    names: tuple[str, str]
    value: Fraction
    needed: Fraction

    def __str__(self) -> str:
        return f"{self.names[0]} -> {self.names[1]}: {shown(self.value)} -> {shown(self.needed)}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `json.dumps` accepts; exact numbers are texts such as "1/3"."""
        return {
            "source": self.names[0],
            "target": self.names[1],
            "value": str(self.value),
            "needed": str(self.needed),
        }


@dataclass(frozen=True)
class NearMiss:
    """Two blocks that would be one block if some weights were different.

    Attributes
    ----------
    blocks : tuple of two int
    groups : tuple of two Group
        Their states.
    changes : tuple of WeightChange
    """

    blocks: tuple[int, int]
    groups: tuple[Group, Group]
    changes: tuple[WeightChange, ...]

    @property
    def distance(self) -> Fraction:
        """The sum of all changes, as absolute values."""
        return _effort(self.changes)[1]

    def merged(self, partition: Partition) -> Partition:
        """Return the partition with the two blocks merged."""
        first, second = self.blocks
        return Partition(np.where(partition.labels == second, first, partition.labels))

    def apply(self, chain: MarkovChain) -> MarkovChain:
        """Return the chain with the needed weights."""
        matrix = chain.matrix
        weights, _ = ExactArray.read([change.needed - change.value for change in self.changes])
        changed = WeightedStructure.from_edges(
            chain.n,
            np.concatenate([matrix.sources(), [change.source for change in self.changes]]),
            np.concatenate([matrix.indices, [change.target for change in self.changes]]),
            matrix.weights.concatenate(weights),
        )
        return chain.rebuilt(
            changed,
            states=chain.states,
            labels=chain.labels,
            rewards=chain.rewards,
            initial=chain.initial,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `json.dumps` accepts; exact numbers are texts such as "1/3"."""
        return {
            "blocks": [group.to_json() for group in self.groups],
            "changes": [change.to_json() for change in self.changes],
            "distance": str(self.distance),
        }

    def __str__(self) -> str:
        listed = "; ".join(map(str, self.changes[:_LISTED]))
        more = len(self.changes) - _LISTED
        return (
            f"{self.groups[0]} and {self.groups[1]} would be one block with {listed}"
            f"{f'; ... {more} more' if more > 0 else ''}"
        )


def find_near_misses(separation: Separation, limit: int = 10) -> list[NearMiss]:
    """Return the pairs of blocks that need the fewest changed weights to be merged.

    Raises `NotJustified` for another kind: there a changed weight has effects on further blocks.  Raises
    `InvalidInput` for a chain with parameters, or a limit below 1.

    - separation: of a lumping of kind "ordinary" or "bisimulation", without parameters
    - returns list of NearMiss: by number of changed weights, then by the sum of the changes

    Warns `UserWarning` if there are none among blocks that may be merged.

    A row with r entries has (r + 1) r / 2 + 1 hashes to sort.  If these are more than four million, only
    single entries are left out.  Each row is compared with the next 8 rows of the same hash, and of all
    pairs the 20,000 with the smallest blocks are compared in full; beyond these limits some are not found.
    """
    if separation.kind.incoming or separation.kind.scaled:
        raise NotJustified(
            f"near misses of {separation.kind.name} lumping are not sought: a changed weight has effects "
            "on more than the two blocks; use kind='ordinary' or 'bisimulation'",
            kind=separation.kind.name,
        )
    if not separation.chain.is_rational:
        raise InvalidInput(
            "near misses need numbers: see coarser_when for parameters, or substitute numbers first"
        )
    if limit < 1:
        raise InvalidInput(f"the limit must be at least 1, not {limit}", limit=limit)
    found = _Search(separation).best(limit)
    if not found and len(separation.partition) > len(separation.respected):
        warn(
            "no two blocks differ in so few sums that a few other weights would merge them: "
            "lumping.tolerance_merging(state, other) tells the tolerance that merges two states"
        )
    return found


class _Search:
    """The quotient, its rows without transitions inside blocks, and the members of blocks."""

    def __init__(self, separation: Separation) -> None:
        self.separation, self.chain = separation, separation.chain
        self.matrix = separation.conditions[0].matrix
        self.quotient = separation.matrices[0]
        self.leaving = self.quotient.without_diagonal()
        self.members = separation.partition.blocks
        # A generator's other sums determine those into a state's own block; otherwise these count.
        self.own_counts = separation.conditions[0].counts_own(separation.normal)

    def best(self, limit: int) -> list[NearMiss]:
        pairs = self._candidates()
        sizes = self.members.sizes[pairs].min(axis=1).tolist()
        columns = [self._columns(a, b) for a, b in pairs.tolist()]
        # Every member of the smaller block needs at least one weight for each column.
        least = [
            (len(parts) * size, size * sum((abs(x - y) for _, x, y in parts), start=Fraction(0)))
            for parts, size in zip(columns, sizes, strict=True)
        ]
        found: list[tuple[tuple[int, Fraction], NearMiss]] = []
        for i in sorted(range(len(pairs)), key=least.__getitem__):
            if len(found) >= limit and least[i] >= found[-1][0]:
                break
            first, second = pairs[i].tolist()
            miss = self._miss(first, second, columns[i])
            found.append((_effort(miss.changes), miss))
            found = sorted(found, key=lambda one: (one[0], one[1].blocks))[:limit]
        return [miss for _, miss in found]

    def _candidates(self) -> Array:
        """Return pairs of blocks whose rows are nearly equal, smallest blocks first."""
        blocks = len(self.separation.partition)
        hashes, owner = self._hashes()
        order = np.argsort(hashes, kind="stable")
        hashes, owner = hashes[order], owner[order]
        found = [np.empty(0, dtype=np.int64)]
        for distance in range(1, _NEIGHBOURS + 1):
            near = np.flatnonzero(hashes[:-distance] == hashes[distance:])
            one, other = owner[near], owner[near + distance]
            pairs = np.minimum(one, other) * blocks + np.maximum(one, other)
            found.append(np.unique(pairs[one != other]))
            if sum(map(len, found)) > _PROPOSED:
                break
        pairs = np.stack(np.divmod(np.unique(np.concatenate(found)), max(blocks, 1)), axis=1)
        smallest = np.argsort(self.members.sizes[pairs].min(axis=1), kind="stable")[:_COMPARED]
        chosen: Array = pairs[np.sort(smallest)]
        return chosen

    def _hashes(self) -> tuple[Array, Array]:
        """Return the hashes of rows with up to two entries left out, and the row of each hash."""
        rows, entries = self.leaving, self.leaving.weights.codes.astype(np.uint64)
        entries = scrambled(rows.indices.astype(np.uint64) << np.uint64(32) | entries, seed=0)
        owner = rows.sources().astype(np.int64)
        roots = self.separation.respected.labels[self.separation.partition.representatives]
        whole = scrambled(roots.astype(np.uint64), seed=1)
        np.add.at(whole, owner, entries)
        found = [(whole, np.arange(rows.n)), (whole[owner] - entries, owner)]
        lengths = np.diff(rows.indptr)
        if int((lengths * (lengths - 1) // 2).sum()) <= _HASHES:
            for distance in range(1, int(lengths.max(initial=1))):
                first = np.flatnonzero(owner[:-distance] == owner[distance:])
                both = entries[first] + entries[first + distance]
                found.append((whole[owner[first]] - both, owner[first]))
        hashes, owners = (np.concatenate(parts) for parts in zip(*found, strict=True))
        movable = self._movable()[owners]
        return hashes[movable], owners[movable]

    def _movable(self) -> Array:
        """Return which blocks may have their rates changed: not if a reward for leaving would change too."""
        movable = np.ones(self.quotient.n, dtype=bool)
        first = self.separation.partition.representatives
        for reward in self.chain.rewards.values():
            if reward.action is not None and not self.own_counts:
                movable &= ~reward.action.where(bool)[first]
        return movable

    def _columns(self, first: int, second: int) -> list[Column]:
        """Return the sums that must agree but differ."""
        one, other = dict(self.quotient.row(first)), dict(self.quotient.row(second))
        zero = Fraction(0)
        own = [sum((row.pop(b, zero) for b in (first, second)), start=zero) for row in (one, other)]
        columns = [
            (frozenset([block]), one.get(block, zero), other.get(block, zero))
            for block in sorted({*one, *other})
            if one.get(block, zero) != other.get(block, zero)
        ]
        if self.own_counts and own[0] != own[1]:
            columns.append((frozenset([first, second]), own[0], own[1]))
        return columns

    def _miss(self, first: int, second: int, columns: list[Column]) -> NearMiss:
        """Choose the cheaper side for each column; in a DTMC one side for all, so that rows sum to one."""
        options = [
            (self._changes(first, blocks, x, y), self._changes(second, blocks, y, x))
            for blocks, x, y in columns
        ]
        if isinstance(self.chain, CTMC):
            changes = [change for option in options for change in min(option, key=_effort)]
        else:
            sides = ([change for option in options for change in option[i]] for i in (0, 1))
            changes = min(sides, key=_effort)
        return NearMiss((first, second), (self._group(first), self._group(second)), tuple(changes))

    def _changes(
        self, block: int, into: frozenset[int], old: Fraction, new: Fraction
    ) -> list[WeightChange]:
        """Return few changes of weights that change the sums of all members of a block into some blocks."""
        labels, names, found = self.separation.partition.labels, self.chain.states, []
        for state in self.members[block].tolist():
            row = [(w, t) for t, w in self.matrix.row(state) if labels[t] in into]
            row.sort(key=lambda entry: -entry[0])
            if new > old and not row:
                # Into the state's own block by a self-loop, into another block to its first state.
                target = state if block in into else int(self.members[min(into)][0])
                row = [(Fraction(0), target)]
            left = new - old
            for weight, target in row:
                needed = max(weight + left, Fraction(0))
                left -= needed - weight
                pair = str(names[state]), str(names[target])
                found.append(WeightChange(state, target, pair, weight, needed))
                if left == 0:
                    break
        return found

    def _group(self, block: int) -> Group:
        return Group.of(self.chain.states, self.members[block])


def _effort(changes: Sequence[WeightChange]) -> tuple[int, Fraction]:
    return len(changes), sum((abs(c.needed - c.value) for c in changes), start=Fraction(0))

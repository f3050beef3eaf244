"""The rounds of the definition, stored: the number of rounds that separates two states, and all partitions.

P_0 is the initial partition, and P_{i+1} splits every block of P_i by the normal forms of the sums into
the blocks of P_i, as `definition.rounds` does.  The *depth* of two states is the first i for which P_i separates
them; no chain of splits separates them in fewer levels.  A state's row is summed again only if a successor has
another label than a round before.  When a block is split, the states that were not summed again keep the label; if
there are none, the largest part keeps it.  Only changes of labels are stored.  Sums are exact.  The first round costs
O(m); each further one costs O(n) and the rows of the predecessors of renamed states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpability.errors import InvalidPartition
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.partition import Partition
from lumpability.refinement.normal_form import SUMS, NormalForm
from lumpability.structure import WeightedStructure

__all__ = ["Levels", "scrambled"]

Array = np.ndarray[Any, Any]


class Levels:
    """The partitions of all rounds so far; further rounds are computed on request.

    - matrices: sums of all of them must agree.  Diagonals are explicit.

    >>> line = WeightedStructure.from_edges(4, [0, 1, 2], [1, 2, 3], [1, 1, 1])
    >>> levels = Levels([line], Partition.of([{0, 1, 2}, {3}]))
    >>> levels.depth(0, 3), levels.depth(0, 2), levels.depth(0, 1)
    (0, 1, 2)
    >>> [levels.labels(np.arange(4), level).tolist() for level in range(3)]
    [[0, 0, 0, 1], [0, 0, 2, 1], [0, 3, 2, 1]]
    """

    def __init__(
        self,
        matrices: Sequence[WeightedStructure],
        within: Partition,
        normal: NormalForm = SUMS,
    ) -> None:
        self.matrices, self.normal = tuple(matrices), normal
        self._initial: Array = within.labels.astype(np.int64)
        self._current = self._initial.copy()
        self._count = len(within)
        self._stale = np.arange(within.n)
        self._renamed: list[tuple[Array, Array, Array]] = []  # states, labels before and after
        self._whole = 0, self._initial
        self._affected: list[set[int]] = []
        self._index: tuple[Array, Array] | None = None

    def labels(self, states: Any, level: int) -> Array:
        """Return the labels of states after a number of rounds; a block that is not split keeps its label.

        O(states log(changes)).
        """
        rounds = len(self._renamed) + 1
        if self._index is None:
            none = np.empty(0, dtype=np.int64)
            changes = enumerate(self._renamed, start=1)
            keys = np.concatenate([none, *(renamed * rounds + i for i, (renamed, *_) in changes)])
            new = np.concatenate([none, *(new for *_, new in self._renamed)])
            order = np.argsort(keys)
            self._index = keys[order], new[order]
        keys, new = self._index
        states = np.asarray(states, dtype=np.int64)
        last = np.searchsorted(keys, states * rounds + level, side="right") - 1
        result: Array = self._initial[states]
        changed = np.flatnonzero(last >= 0)
        changed = changed[keys[last[changed]] // rounds == states[changed]]
        result[changed] = new[last[changed]]
        return result

    def all_labels(self, level: int) -> Array:
        """Return the labels of all states after a number of rounds; O(changes) from the last level computed."""
        known, labels = self._whole
        if level == known:
            return labels
        labels = labels.copy()
        for states, _, new in self._renamed[known:level]:
            labels[states] = new
        for states, old, _ in reversed(self._renamed[level:known]):
            labels[states] = old
        self._whole = level, labels
        return labels

    def since(self, label: int, level: int) -> int:
        """Return the first level at which a block had its members of the given level."""
        rounds = range(level, 0, -1)
        return next((i for i in rounds if label in self._affected[i - 1]), 0)

    def depth(self, state: int, other: int) -> int:
        """Return the number of rounds that it takes to separate two states.

        Raises `InvalidPartition` if no round separates them.
        """
        while self._current[state] == self._current[other]:
            if not self._advance():
                raise InvalidPartition(
                    f"nothing separates blocks {state} and {other}", blocks=(state, other)
                )
        apart, together = len(self._renamed), -1
        while apart - together > 1:
            middle = (apart + together) // 2
            first, second = self.labels([state, other], middle).tolist()
            apart, together = (apart, middle) if first == second else (middle, together)
        return apart

    def advance(self, level: int) -> int:
        """Compute rounds up to a level; return the last level, up to this, at which a block was split.

        >>> line = WeightedStructure.from_edges(4, [0, 1, 2], [1, 2, 3], [1, 1, 1])
        >>> levels = Levels([line], Partition.of([{0, 1, 2}, {3}]))
        >>> levels.advance(1), levels.advance(9)
        (1, 2)
        """
        while len(self._renamed) < level and self._advance():
            pass
        return min(level, len(self._renamed))

    def _advance(self) -> bool:
        """Compute one more round; return whether a block was split."""
        rows, quiet = self._rows_to_compare()
        if len(rows) == 0:
            return False
        own = self._current[rows]
        parts = Partition.by(len(rows), [own, *(self._classes(m, rows) for m in self.matrices)])
        # The part that keeps the label: the one with the quiet state, or else the largest.
        sizes = parts.blocks.sizes.copy()
        sizes[:quiet] = len(self._current)  # quiet states come first, each from another block
        block = own[parts.representatives]
        order = np.lexsort((-sizes, block))
        keeps = order[np.append(True, np.diff(block[order]) != 0)]
        label = np.empty(len(parts), dtype=np.int64)
        label[keeps] = block[keeps]
        moved = np.setdiff1d(np.arange(len(parts)), keeps)
        label[moved] = self._count + np.arange(len(moved))
        self._count += len(moved)
        new = label[parts.labels]
        changed = new != own
        states = rows[changed]
        self._current[states] = new[changed]
        self._stale = self._above(states)
        if len(states):
            self._renamed.append((states.astype(np.int64), own[changed], new[changed]))
            self._affected.append({*own[changed].tolist(), *new[changed].tolist()})
            self._index = None
        return len(states) > 0

    def _rows_to_compare(self) -> tuple[Array, int]:
        """Return for each affected block a state that is not stale, if any, and the stale ones.

        States that are not stale have equal sums inside blocks.  Also return their number.
        """
        sizes = np.bincount(self._current, minlength=self._count)
        stale = self._stale[sizes[self._current[self._stale]] > 1]
        concerned = np.zeros(self._count, dtype=bool)
        concerned[self._current[stale]] = True
        is_quiet = concerned[self._current]
        is_quiet[stale] = False
        others = np.flatnonzero(is_quiet)
        quiet = others[np.unique(self._current[others], return_index=True)[1]]
        return np.concatenate([quiet, stale]), len(quiet)

    def _above(self, states: Array) -> Array:
        """Return the states whose sums may have changed because others were renamed."""
        mark = np.zeros(len(self._current), dtype=bool)
        for matrix in self.matrices:
            incoming = matrix.transposed
            mark[incoming.indices[incoming.entries_of(states)[1]]] = True
        if not self.normal.counts_own:  # the rate out of the block has changed
            mark[states] = True
        return np.flatnonzero(mark)

    def _classes(self, matrix: WeightedStructure, rows: Array) -> Array:
        """Number rows so that equal normal forms of their sums get equal numbers."""
        owner, positions = matrix.entries_of(rows)
        blocks = self._current[matrix.indices[positions]]
        weights = ExactArray(matrix.weights.codes[positions], matrix.weights.values)
        summed = sum_entries((len(rows), self._count), owner, blocks, weights)
        sums = WeightedStructure.without_zeros(*summed, None)
        return _equal_rows(self.normal.of_rows(sums, self._current[rows]))


def _equal_rows(rows: WeightedStructure) -> Array:
    """Number rows so that exactly equal ones get equal numbers; by hash, then compared in full."""
    pairs = rows.indices.astype(np.uint64) << np.uint64(32) | rows.weights.codes.astype(np.uint64)
    lengths = np.diff(rows.indptr)
    seed = 0
    while True:
        hashes = np.zeros(len(pairs) + 1, dtype=np.uint64)
        np.cumsum(scrambled(pairs, seed), out=hashes[1:])
        sums = hashes[rows.indptr[1:]] - hashes[rows.indptr[:-1]]
        number = Partition(np.unique(sums, return_inverse=True)[1])
        first = number.representatives[number.labels]
        if np.array_equal(lengths, lengths[first]):
            expected = rows.entries_of(first)[1]
            if np.array_equal(pairs, pairs[expected]):
                return number.labels
        seed += 1  # two different rows have the same hash


def scrambled(numbers: Array, seed: int) -> Array:
    """Return pseudo-random 64-bit numbers for given ones (Steele, Lea and Flood: splitmix64).

    >>> numbers = scrambled(np.arange(3, dtype=np.uint64), seed=0)
    >>> len(set(numbers.tolist())), numbers.dtype
    (3, dtype('uint64'))
    """
    z = numbers + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))

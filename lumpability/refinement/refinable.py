"""Blocks that can be split in time proportional to the states touched, and that remember every split.

A block is a range of one permutation of the states, and a split permutes states inside that range only.  So every
block that ever existed, a *node*, stays a range of the permutation, and recording a split takes a few numbers: its
node, the splitter, the parts and their values.  Blocks are numbered in the order in which they arise, and the
largest part of a split block keeps its number; so a state gets another number at most log2(n) times.

`Entries` are the rows of a structure as plain lists, which a Python loop reads faster than arrays.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.partition import Partition
from lumpability.split_history import History
from lumpability.structure import WeightedStructure

__all__ = ["Entries", "RefinableBlocks"]


class Entries:
    """The rows of a structure."""

    def __init__(self, structure: WeightedStructure) -> None:
        self.starts: list[int] = structure.indptr.tolist()
        self.columns: list[int] = structure.indices.tolist()
        self.codes: list[int] = structure.weights.codes.tolist()
        self.values = structure.weights.values

    def sums(self, rows: list[int]) -> dict[int, Exact]:
        """Sum some rows, column by column, in O(entries); columns without entries are left out."""
        sums: dict[int, Exact] = {}
        values, columns, codes = self.values, self.columns, self.codes
        for row in rows:
            for position in range(self.starts[row], self.starts[row + 1]):
                column, weight = columns[position], values[codes[position]]
                sums[column] = sums[column] + weight if column in sums else weight
        return sums

    def row(self, row: int) -> list[tuple[int, Exact]]:
        """Return the entries of a row as (column, weight) pairs."""
        low, high = self.starts[row], self.starts[row + 1]
        weights = map(self.values.__getitem__, self.codes[low:high])
        return list(zip(self.columns[low:high], weights, strict=True))


class RefinableBlocks:
    """The blocks during a refinement.

    Invariant: ``order[starts[b]:ends[b]]`` are the members of block b, `place` is the inverse of `order`,
    and ``node_of[b]`` is the number of its node.

    >>> from fractions import Fraction
    >>> blocks = RefinableBlocks(Partition.trivial(3))
    >>> blocks.split(0, {1: Fraction(5)}, splitter=0)
    [0, 1]
    >>> blocks.members(0), blocks.members(1), blocks.node_of
    ([0, 2], [1], [1, 2])
    """

    def __init__(self, within: Partition) -> None:
        self.block_of: list[int] = within.labels.tolist()
        self.order: list[int] = within.blocks.members.tolist()
        self.place = [0] * within.n
        for place, state in enumerate(self.order):
            self.place[state] = place
        self.starts: list[int] = within.blocks.bounds[:-1].tolist()
        self.ends: list[int] = within.blocks.bounds[1:].tolist()
        self.node_of = list(range(len(within)))
        self._roots = len(within)
        self._nodes = list(zip(self.starts, self.ends, strict=True))
        self._values: list[Exact] = []
        self._splits: list[tuple[int, int, int]] = []
        self._first_parts = [self._roots]

    def __len__(self) -> int:
        return len(self.starts)

    def members(self, block: int) -> list[int]:
        """Return the states of a block."""
        return self.order[self.starts[block] : self.ends[block]]

    def split(
        self, block: int, values: dict[int, Exact], *, splitter: int, condition: int = 0
    ) -> list[int]:
        """Split a block by values, none of them zero; states without one have value zero.

        - values: of some members of the block
        - splitter, condition: recorded as the reason: the node, and the number of the matrix

        Returns the numbers of the parts, the largest first, which keeps the number of the block.  O(members with a value).
        """
        groups: defaultdict[Exact, list[int]] = defaultdict(list)
        for state, value in values.items():
            groups[value].append(state)
        start, end = self.starts[block], self.ends[block]
        rest_end = end - len(values)
        if len(groups) == 1 and rest_end == start:
            return [block]
        parts: list[tuple[int, int, Exact]] = []
        for value, group in groups.items():  # each group moves to the end of the remaining range
            for offset, state in enumerate(group, start=1):
                self._move(state, end - offset)
            parts.append((end - len(group), end, value))
            end -= len(group)
        if rest_end > start:
            parts.append((start, rest_end, 0))
        parts.sort(key=lambda part: part[0] - part[1])
        self._splits.append((self.node_of[block], splitter, condition))
        numbers = [
            self._add(block if i == 0 else len(self), low, high, value)
            for i, (low, high, value) in enumerate(parts)
        ]
        self._first_parts.append(len(self._nodes))
        return numbers

    def _move(self, state: int, place: int) -> None:
        other, old = self.order[place], self.place[state]
        self.order[place], self.order[old] = state, other
        self.place[state], self.place[other] = place, old

    def _add(self, number: int, low: int, high: int, value: Exact) -> int:
        """Add a node for a range, with the number of a block."""
        if number == len(self):
            self.starts.append(low)
            self.ends.append(high)
            self.node_of.append(len(self._nodes))
            for state in self.order[low:high]:
                self.block_of[state] = number
        else:
            self.starts[number], self.ends[number] = low, high
            self.node_of[number] = len(self._nodes)
        self._nodes.append((low, high))
        self._values.append(value)
        return number

    def partition(self) -> Partition:
        """Return the present blocks."""
        return Partition(np.array(self.block_of, dtype=np.int64))

    def history(self, zero: Exact) -> History:
        """Return the history of all splits; each block must be a single state, and zero is that of the field of weights."""
        assert len(self) == len(self.order)
        starts, ends = np.array(self._nodes, dtype=np.int64).reshape(-1, 2).T
        split_node, splitter, condition = np.array(self._splits, dtype=np.int64).reshape(-1, 3).T
        return History(
            order=np.array(self.order, dtype=np.int64),
            starts=starts,
            ends=ends,
            roots=self._roots,
            split_node=split_node,
            splitter=splitter,
            condition=condition,
            first_part=np.array(self._first_parts, dtype=np.int64),
            sums=ExactArray.of_values(
                np.arange(len(self._values)), [zero + value for value in self._values]
            ),
        )

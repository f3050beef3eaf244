"""Refinement up to a positive factor of every state, by a worklist of splitters, in plain Python.

States s, t of a block N may stay together if their weights into the other blocks are proportional:
q(s, C) = lambda q(t, C) for every block C != N.  Equivalently, their *shares* q(s, C) / q(s, outside N) are equal,
where zero over zero is zero.  So take a splitter from the list of `worklist`, and split every other block by
shares in place of sums.  When N is split, its other parts are outside of each part, and all shares change.  But if
the shares in every other part agree, so do the shares in all other blocks, which are the old ones times one minus
their sum.  So it suffices to split the smaller parts also by their share in the largest, at once; the smaller parts
become splitters anyway.  Only rows and columns of the smaller parts are read: O(m log n) exact operations.
"""

from __future__ import annotations

from collections import defaultdict

from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.refinement.refinable import Entries, RefinableBlocks
from lumpability.structure import WeightedStructure

__all__ = ["split_by_shares"]


def split_by_shares(structure: WeightedStructure, within: Partition) -> RefinableBlocks:
    """Split until the states of each block have proportional weights, which are positive, into the other blocks.

    >>> structure = WeightedStructure.from_edges(4, [0, 0, 1, 1], [2, 3, 2, 3], [1, 2, 3, 6])
    >>> split_by_shares(structure, Partition.of([0, 0, 1, 2])).partition()
    Partition([[0, 1], [2], [3]])
    """
    return _Shares(structure, within).run()


class _Shares:
    """Invariant: ``outside[s]`` is the total weight from s to states outside of its block."""

    def __init__(self, structure: WeightedStructure, within: Partition) -> None:
        self.outgoing = Entries(structure)
        self.incoming = Entries(structure.transposed)
        self.blocks = RefinableBlocks(within)
        self.outside: list[Exact] = [0] * structure.n
        for state, own in enumerate(self.blocks.block_of):
            for target, weight in self.outgoing.row(state):
                if self.blocks.block_of[target] != own:
                    self.outside[state] += weight

    def run(self) -> RefinableBlocks:
        blocks = self.blocks
        splitter = 0
        while splitter < len(blocks) < len(self.outside):
            node = blocks.node_of[splitter]
            touched: defaultdict[int, dict[int, Exact]] = defaultdict(dict)
            for state, total in self.incoming.sums(blocks.members(splitter)).items():
                block = blocks.block_of[state]
                if block != splitter:
                    touched[block][state] = total
            for block, sums in touched.items():
                self._split(block, sums, node)
            splitter += 1
        return blocks

    def _split(self, block: int, sums: dict[int, Exact], splitter: int) -> None:
        """Split a block, then the smaller parts by their shares in the largest, and so on."""
        pending = [(block, sums, splitter)]
        while pending:
            whole, into, node = pending.pop()
            low, high = self.blocks.starts[whole], self.blocks.ends[whole]
            shares = {state: total / self.outside[state] for state, total in into.items()}
            largest, *smaller = self.blocks.split(whole, shares, splitter=node)
            node = self.blocks.node_of[largest]
            for part in smaller:
                into_largest = self._part_with(part, largest, low, high)
                if into_largest:
                    pending.append((part, into_largest, node))

    def _part_with(self, part: int, largest: int, low: int, high: int) -> dict[int, Exact]:
        """Count the weights between a part and the other parts as outside.

        The part comes from the block ``order[low:high]``.  Return the sums into the largest part.
        """
        block_of, place = self.blocks.block_of, self.blocks.place
        into_largest: dict[int, Exact] = {}
        for state in self.blocks.members(part):
            for target, weight in self.outgoing.row(state):
                if low <= place[target] < high and block_of[target] != part:
                    self.outside[state] += weight
                    if block_of[target] == largest:
                        into_largest[state] = into_largest.get(state, 0) + weight
            for source, weight in self.incoming.row(state):
                if block_of[source] == largest:
                    self.outside[source] += weight
        return into_largest

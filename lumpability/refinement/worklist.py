"""The coarsest stable refinement by a worklist of splitters, in plain Python, with its history.

Paige and Tarjan (1987), for weights Valmari and Franceschinis (2010): take a splitter C off the
list, sum for every predecessor its weights into C, and split each block by these sums (states with no
transition into C have sum zero).  When a block that is not itself waiting falls into parts, all parts
but the largest are put on the list: stability for the block and for all but one of its parts implies
stability for the last.  A state is therefore in a splitter at most log2(n) times after the first, and
the run costs O(m log n) exact additions.  Works over any exact weights and records the trace.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from lumpability.exact_array import Exact
from lumpability.partition import Partition
from lumpability.refinement.trace import Split, Trace
from lumpability.structure import WeightedStructure

__all__ = ["refine"]


def refine(structure: WeightedStructure, initial: Partition) -> tuple[Partition, Trace]:
    """Return the coarsest stable partition that refines `initial`, and the trace of splits.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [3, 4])
    >>> partition, trace = refine(structure, Partition.trivial(3))
    >>> partition
    Partition([[0], [1], [2]])
    >>> [(split.node, split.splitter, split.sums) for split in trace.splits]
    [(0, 0, (Fraction(3, 1), Fraction(4, 1), 0))]
    """
    incoming = _Incoming(structure)
    blocks = _RefinableBlocks(initial)
    node_of_block = list(range(len(initial)))
    nodes = len(initial)
    waiting = list(range(len(initial)))
    is_waiting = [True] * len(initial)
    splits: list[Split] = []

    while waiting:
        splitter = waiting.pop()
        is_waiting[splitter] = False
        splitter_node = node_of_block[splitter]
        sums = incoming.sums_into(blocks.members(splitter))
        touched: defaultdict[int, list[int]] = defaultdict(list)
        for state, total in sums.items():
            if total != 0:
                touched[blocks.block_of[state]].append(state)
        for block, states in touched.items():
            parts = blocks.split(block, states, sums)
            if len(parts) == 1:
                continue
            new_nodes = tuple(range(nodes, nodes + len(parts)))
            nodes += len(parts)
            totals = tuple(total for _, total in parts)
            splits.append(Split(node_of_block[block], splitter_node, new_nodes, totals))
            for (number, _), node in zip(parts, new_nodes, strict=True):
                if number == block:  # the largest part; it waits if the whole did
                    node_of_block[block] = node
                else:
                    node_of_block.append(node)
                    waiting.append(number)
                    is_waiting.append(True)

    partition = Partition(np.array(blocks.block_of, dtype=np.int64))
    leaves = tuple(node_of_block[blocks.block_of[s]] for s in partition.representatives.tolist())
    return partition, Trace(len(initial), tuple(splits), leaves)


class _Incoming:
    """The incoming transitions as plain lists, which a Python loop reads faster than arrays."""

    def __init__(self, structure: WeightedStructure) -> None:
        transposed = structure.transposed
        self.starts = transposed.indptr.tolist()
        self.sources = transposed.indices.tolist()
        self.codes = transposed.weights.codes.tolist()
        self.values = transposed.weights.values

    def sums_into(self, splitter: list[int]) -> dict[int, Exact]:
        """Sum the weights into the splitter for each of its predecessors, in O(transitions)."""
        sums: dict[int, Exact] = {}
        values, sources, codes = self.values, self.sources, self.codes
        for target in splitter:
            for position in range(self.starts[target], self.starts[target + 1]):
                source, weight = sources[position], values[codes[position]]
                sums[source] = sums[source] + weight if source in sums else weight
        return sums


class _RefinableBlocks:
    """Blocks as ranges of one permutation of the states: splitting costs O(states touched).

    Invariant: ``order[starts[b]:ends[b]]`` are the members of block b, and ``place`` is the inverse of
    ``order``.
    """

    def __init__(self, initial: Partition) -> None:
        self.block_of: list[int] = initial.labels.tolist()
        self.order: list[int] = initial.blocks.members.tolist()
        self.place = [0] * initial.n
        for place, state in enumerate(self.order):
            self.place[state] = place
        self.starts: list[int] = initial.blocks.bounds[:-1].tolist()
        self.ends: list[int] = initial.blocks.bounds[1:].tolist()

    def members(self, block: int) -> list[int]:
        return self.order[self.starts[block] : self.ends[block]]

    def split(
        self, block: int, touched: list[int], sums: dict[int, Exact]
    ) -> list[tuple[int, Exact]]:
        """Split by sums; untouched states have sum zero.  Returns (block number, sum) of the parts."""
        groups: defaultdict[Exact, list[int]] = defaultdict(list)
        for state in touched:
            groups[sums[state]].append(state)
        start, end = self.starts[block], self.ends[block]
        rest_end = end - len(touched)
        if len(groups) == 1 and rest_end == start:
            return [(block, sums[touched[0]])]
        ranges: list[tuple[int, int, Exact]] = []
        for total, group in groups.items():  # each group moves to the end of what is left
            for offset, state in enumerate(group, start=1):
                self._move(state, end - offset)
            ranges.append((end - len(group), end, total))
            end -= len(group)
        if rest_end > start:
            ranges.append((start, rest_end, 0))
        largest = max(range(len(ranges)), key=lambda i: ranges[i][1] - ranges[i][0])
        return [
            (self._number(block if i == largest else len(self.starts), low, high), total)
            for i, (low, high, total) in enumerate(ranges)
        ]

    def _move(self, state: int, place: int) -> None:
        other, old = self.order[place], self.place[state]
        self.order[place], self.order[old] = state, other
        self.place[state], self.place[other] = place, old

    def _number(self, number: int, low: int, high: int) -> int:
        """Give the range low..high the block number, a new one if it is the next."""
        if number == len(self.starts):
            self.starts.append(low)
            self.ends.append(high)
            for state in self.order[low:high]:
                self.block_of[state] = number
        else:
            self.starts[number], self.ends[number] = low, high
        return number

"""The coarsest stable refinement by a worklist of splitters, in plain Python.

Paige and Tarjan (1987), for weights Valmari and Franceschinis (2010): take a block C, sum for every
predecessor its weights into C, and split each block by these sums (states with no transition into C
have sum zero).  When a block whose turn has been falls into parts, all parts but the largest have to have
theirs: stability for the block and for all but one of its parts implies stability for the last.  As the
largest part keeps the number of the block, and blocks are numbered in the order of their making, the
worklist is the order of numbers.  A state is therefore in a splitter at most log2(n) times after the
first, and the run costs O(m log n) exact additions.  Works over any exact weights, and for several
matrices at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.refinement.refinable import RefinableBlocks
from lumpability.structure import WeightedStructure

__all__ = ["Entries", "refine", "split_by_sums"]


def refine(structure: WeightedStructure, initial: Partition) -> Partition:
    """Return the coarsest stable partition that refines `initial`.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [3, 4])
    >>> refine(structure, Partition.trivial(3))
    Partition([[0], [1], [2]])
    """
    return split_by_sums([structure], initial).partition()


def split_by_sums(matrices: Sequence[WeightedStructure], initial: Partition) -> RefinableBlocks:
    """Split until every block is stable for all matrices; return the blocks and how they came about.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [3, 4])
    >>> from fractions import Fraction
    >>> history = split_by_sums([structure], Partition.trivial(3)).history(Fraction(0))
    >>> [history.blocks(node) for node in range(4)], history.sums
    ([[0, 1, 2], [0], [2], [1]], ExactArray([3, 4, 0]))
    """
    incoming = [Entries(matrix.transposed) for matrix in matrices]
    blocks = RefinableBlocks(initial)
    splitter = 0
    while splitter < len(blocks) < initial.n:
        node, members = blocks.node_of[splitter], blocks.members(splitter)
        for condition, entries in enumerate(incoming):
            touched: defaultdict[int, dict[int, Exact]] = defaultdict(dict)
            for state, total in entries.sums(members).items():
                if total != 0:
                    touched[blocks.block_of[state]][state] = total
            for block, sums in touched.items():
                blocks.split(block, sums, splitter=node, condition=condition)
        splitter += 1
    return blocks


class Entries:
    """The rows of a structure as plain lists, which a Python loop reads faster than arrays."""

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

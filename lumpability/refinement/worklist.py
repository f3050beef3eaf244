"""The accelerator in plain Python: a worklist of splitters.

Paige and Tarjan (1987); for weights Valmari and Franceschinis (2010).  Take a block C, sum for every predecessor its
weights into C, and split each block by these sums (a state with no transition into C has the sum zero).  When a
block that has been a splitter is split, all its parts but the largest become splitters: stability for the block and
for all but one of its parts implies stability for the last.  The largest part keeps the number of the block, and
blocks are numbered in the order in which they arise; so the worklist is the order of numbers.  After its first turn
a state is in at most log2(n) splitters, and the run costs O(m log n) exact additions.  It works over any exact
weights, and for several matrices at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from lumpability.errors import InvalidInput
from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.refinement.normal_form import SHARES, SUMS, NormalForm
from lumpability.refinement.proportional_worklist import split_by_shares
from lumpability.refinement.refinable import Entries, RefinableBlocks
from lumpability.structure import WeightedStructure

__all__ = ["refine", "split_all", "split_by_sums"]


def refine(
    structures: Sequence[WeightedStructure], within: Partition, normal: NormalForm = SUMS
) -> Partition:
    """Return the coarsest stable partition that refines `within`.

    - normal: `SUMS` or `SHARES`

    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [3, 4])
    >>> refine([structure], Partition.trivial(3))
    Partition([[0], [1], [2]])
    """
    return split_all(structures, within, normal).partition()


def split_all(
    structures: Sequence[WeightedStructure], within: Partition, normal: NormalForm
) -> RefinableBlocks:
    """Split until every block is stable; return the blocks, which record every split.

    Raises `InvalidInput` for shares of several matrices.
    """
    if normal is SUMS:
        return split_by_sums(structures, within)
    if normal is not SHARES or len(structures) != 1:
        raise InvalidInput(f"the worklist does not serve {normal} of {len(structures)} matrices")
    return split_by_shares(structures[0], within)


def split_by_sums(matrices: Sequence[WeightedStructure], within: Partition) -> RefinableBlocks:
    """Split until every block is stable for all matrices; return the blocks, which record every split.

    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [3, 4])
    >>> from fractions import Fraction
    >>> history = split_by_sums([structure], Partition.trivial(3)).history(Fraction(0))
    >>> [history.blocks(node) for node in range(4)], history.sums
    ([[0, 1, 2], [0], [2], [1]], ExactArray([3, 4, 0]))
    """
    incoming = [Entries(matrix.transposed) for matrix in matrices]
    blocks = RefinableBlocks(within)
    splitter = 0
    while splitter < len(blocks) < within.n:
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

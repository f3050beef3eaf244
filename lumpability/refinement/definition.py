"""The coarsest stable refinement, by its definition.  Slow, short, obviously right.

A partition is stable for a weight matrix M when states of one block have equal sums of weights into
every block: M V has equal rows inside blocks, V the indicator of the partition.  Starting from the
initial partition, every round splits all blocks by the vector of these sums; states that any stable
refinement keeps together are never separated, so what remains when nothing splits is the coarsest
one.  At most n rounds of O(m) exact additions each.
"""

from __future__ import annotations

from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure

__all__ = ["refine", "signature"]


def signature(
    structure: WeightedStructure, partition: Partition, state: int
) -> frozenset[tuple[int, Exact]]:
    """Return the non-zero sums of weights of a state into each block, as (block, sum) pairs.

    Examples
    --------
    >>> from lumpability.structure import WeightedStructure
    >>> structure = WeightedStructure.from_edges(3, [0, 0], [1, 2], ["1/2", "1/2"])
    >>> signature(structure, Partition.of([{0}, {1, 2}]), 0)
    frozenset({(1, Fraction(1, 1))})
    """
    sums: dict[int, Exact] = {}
    for target, weight in structure.row(state):
        block = int(partition.labels[target])
        sums[block] = sums[block] + weight if block in sums else weight
    return frozenset((block, total) for block, total in sums.items() if total != 0)


def refine(structure: WeightedStructure, initial: Partition) -> Partition:
    """Return the coarsest stable partition that refines `initial`.

    Examples
    --------
    >>> from lumpability.structure import WeightedStructure
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [0.5, "1/2"])
    >>> refine(structure, Partition.trivial(3))
    Partition([[0, 2], [1]])
    """
    partition = initial
    while True:
        signatures = [signature(structure, partition, s) for s in range(structure.n)]
        keys = list(zip(partition.labels.tolist(), signatures, strict=True))
        refined = Partition.of(lambda s, keys=keys: keys[s], states=structure.n)  # type: ignore[misc]
        if len(refined) == len(partition):
            return partition
        partition = refined

"""The coarsest stable partition, as a textbook defines it.

Given are one or more weight matrices over the same states, an initial partition, and a normal form
(`normal_form`).  The *sums* of a state s for a matrix M are the sums of its weights into every block C,

    M(s, C) = sum of M[s, u] over u in C.

A partition is *stable* if states of one block have equal normal forms of their sums, for every matrix.
Blocks into which states of one block have different sums are *splitters*.  A round splits every block by
the normal forms of its states' sums into all blocks, that is by all splitters at once.  Rounds are
repeated until none splits.  A round never separates two states that a stable refinement of the initial
partition keeps together, because normal forms survive the merging of blocks.  What remains is therefore the
coarsest stable refinement, and it is unique.

This file is the specification.  At most n rounds of O(m) exact additions each; every accelerator
(see `engines`) is tested to return the same partition.  Kemeny and Snell 1976; Paige and Tarjan 1987.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.refinement.normal_form import SUMS, NormalForm
from lumpability.structure import Structure

__all__ = ["block_sums", "refine", "rounds", "split"]


def refine(
    structures: Sequence[Structure], within: Partition, normal: NormalForm = SUMS
) -> Partition:
    """Return the coarsest stable partition that refines `within`.

    Parameters
    ----------
    structures : sequence of Structure
        Over the same states; the partition is stable for each of them.
    within : Partition
        The initial partition.
    normal : NormalForm
        Decides when two vectors of sums count as equal.

    Examples
    --------
    >>> from lumpability.structure import WeightedStructure
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [0.5, "1/2"])
    >>> refine([structure], Partition.trivial(3))
    Partition([[0, 2], [1]])
    """
    *_, last = rounds(structures, within, normal)
    return last


def rounds(
    structures: Sequence[Structure], within: Partition, normal: NormalForm = SUMS
) -> Iterator[Partition]:
    """Yield the initial partition, and the partition after each round that splits.

    Examples
    --------
    >>> from lumpability.structure import WeightedStructure
    >>> path = WeightedStructure.from_edges(3, [0, 1], [1, 2], [1, 1])
    >>> [len(partition) for partition in rounds([path], Partition.trivial(3))]
    [1, 2, 3]
    """
    partition = within
    while True:
        yield partition
        refined = split(structures, partition, normal)
        if len(refined) == len(partition):
            return
        partition = refined


def split(structures: Sequence[Structure], partition: Partition, normal: NormalForm) -> Partition:
    """Split every block by the normal forms of its states' sums into all blocks: one round.

    Examples
    --------
    >>> from lumpability.structure import WeightedStructure
    >>> path = WeightedStructure.from_edges(3, [0, 1], [1, 2], [1, 1])
    >>> split([path], Partition.trivial(3), SUMS)
    Partition([[0, 1], [2]])
    """

    def key(state: int) -> object:
        own = int(partition.labels[state])
        forms = (
            normal.of(block_sums(structure, partition, state), own) for structure in structures
        )
        return own, *(frozenset(form.items()) for form in forms)

    return Partition.of(key, states=partition.n)


def block_sums(structure: Structure, partition: Partition, state: int) -> dict[int, Exact]:
    """Return the nonzero sums of a state's weights into blocks, in ascending order of blocks.

    Examples
    --------
    >>> from lumpability.structure import WeightedStructure
    >>> structure = WeightedStructure.from_edges(3, [0, 0], [1, 2], [1, 2])
    >>> block_sums(structure, Partition.of([0, 1, 1]), 0)
    {1: Fraction(3, 1)}
    """
    sums: dict[int, Exact] = {}
    _, targets, weights = structure.rows(np.array([state]))
    for block, weight in zip(partition.labels[targets].tolist(), weights, strict=True):
        sums[block] = sums[block] + weight if block in sums else weight
    return {block: sums[block] for block in sorted(sums) if sums[block] != 0}

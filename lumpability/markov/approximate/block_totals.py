"""Total rates between blocks, compiled: the sum over all members x of B of q(x, C), for every pair of blocks, exactly.

Rationals are summed as integers over their common denominator, limb by limb (`numbers.integers.Limbs`).  The members
of a block come one after another, so that its totals stay in the cache: O(m), and sorting the blocks that it reaches.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import Limbs
from lumpability.partition import Partition
from lumpability.refinement.kernel.arrays import Codes, Int32s, Int64s
from lumpability.refinement.kernel.compiling import compiled, prefetch
from lumpability.structure import WeightedStructure

_AHEAD = 8  # states


def totals_between_blocks(
    matrix: WeightedStructure, partition: Partition, *, inner: bool
) -> tuple[Int64s, Int32s, ExactArray]:
    """Return compressed rows of blocks (indptr, indices, totals); own blocks count only if `inner`.

    - matrix: with a narrow common denominator of its weights

    >>> matrix = WeightedStructure.from_edges(3, [0, 0, 1], [0, 2, 2], [5, 1, 2])
    >>> indptr, into, totals = totals_between_blocks(matrix, Partition([0, 0, 1]), inner=True)
    >>> indptr.tolist(), into.tolist(), totals
    ([0, 2, 2], [0, 1], ExactArray([5, 3]))
    """
    from scipy.sparse import csr_array

    k, blocks = len(partition), partition.blocks
    begins = np.zeros(k + 1, dtype=np.int64)
    into, totals = np.empty(matrix.m, dtype=np.int32), np.empty(matrix.m, dtype=np.int64)
    grouped = blocks.members.astype(np.int32), blocks.bounds.astype(np.int64), partition.labels
    rows = matrix.indptr, matrix.indices, matrix.weights.codes
    integers, denominator = matrix.weights.integers
    sums = []
    for table in Limbs(integers, terms=matrix.m).tables:
        room = np.zeros(k, dtype=np.int64), np.zeros(k, dtype=np.int32)
        found = _add_up(table, *rows, *grouped, inner, *room, begins, into, totals)
        row = csr_array((totals[:found], into[:found], begins), shape=(k, k), copy=True)
        row.sort_indices()
        sums.append(row.data)
    codes, distinct = Limbs.recombine(sums)
    exact = ExactArray(codes, tuple(Fraction(total, denominator) for total in distinct))
    return begins, row.indices.astype(np.int32, copy=False), exact


@compiled
def _add_up(
    table: Int64s,
    pointers: Int64s,
    states: Int32s,
    codes: Codes,
    members: Int32s,
    bounds: Int64s,
    labels: Int32s,
    inner: bool,
    room: Int64s,
    seen: Int32s,
    begins: Int64s,
    into: Int32s,
    totals: Int64s,
) -> Any:
    """Write the blocks that each block reaches, and the totals; return how many."""
    found: Any = 0
    for own in range(len(begins) - 1):
        for i in range(bounds[own], bounds[own + 1]):
            if i + 2 * _AHEAD < len(members):
                prefetch(pointers, members[i + 2 * _AHEAD])
                prefetch(states, pointers[members[i + _AHEAD]])
                prefetch(codes, pointers[members[i + _AHEAD]])
            for p in range(pointers[members[i]], pointers[members[i] + 1]):
                block = labels[states[p]]
                if block == own and not inner:
                    continue
                if seen[block] != own + 1:
                    seen[block], room[block] = own + 1, 0
                    into[found] = block
                    found += 1
                room[block] += table[codes[p]]
        for i in range(begins[own], found):
            totals[i] = room[into[i]]
        begins[own + 1] = found
    return found

"""The quotient of a large structure, summed by a compiled loop over the first members of blocks.

Most sums have one term; they keep the code of their weight.  Only the others are integers that have to be
interned and turned back into rationals.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lumpability.exact_array import ExactArray
from lumpability.integers import Limbs
from lumpability.partition import Partition
from lumpability.refinement.kernel_arrays import Rows
from lumpability.refinement.kernel_check import collapse_rows
from lumpability.structure import WeightedStructure

__all__ = ["collapse"]


def collapse(
    structure: WeightedStructure, partition: Partition, initial: Partition
) -> WeightedStructure | None:
    """Return the structure on blocks (see `quotient.collapse`), or None if sums may exceed 64 bits.

    Sums that come out as zero are dropped.  O(transitions of the first members).
    """
    if not structure.weights.is_narrow:
        return None
    integers, denominator = structure.weights.integers
    firsts = partition.representatives
    lengths = structure.indptr[firsts + 1] - structure.indptr[firsts]
    limbs = Limbs(integers, terms=int(lengths.max(initial=0)))
    if len(limbs.tables) > 1:
        return None
    rows = np.zeros(len(partition) + 1, dtype=np.int64)
    capacity = int(lengths.sum())
    columns = np.empty(capacity, dtype=np.int32)
    codes = np.empty(capacity, dtype=np.int64)
    sums = np.empty(capacity, dtype=np.int64)
    source = Rows(
        structure.indptr,
        structure.indices,
        structure.weights.codes,
        limbs.tables[0],
        structure.closed,
    )
    used, distinct = collapse_rows(firsts, source, partition.labels, rows, columns, codes, sums)
    totals = [Fraction(total, denominator) for total in sums[:distinct].tolist()]
    weights = ExactArray.of_values(codes[:used], [*structure.weights.values, *totals])
    columns = columns[:used].copy()
    return WeightedStructure.without_zeros(rows, columns, weights, initial, closed=structure.closed)

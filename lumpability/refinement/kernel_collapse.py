"""The quotient of a large structure, summed by compiled loops over the first members of blocks.

Most sums have one term; they keep the code of their weight.  The others are told apart in 64 bits where
they fit, otherwise modulo primes whose product exceeds any difference, and are turned into rationals
once for each distinct sum.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.exact_array import ExactArray
from lumpability.integers import primes_beyond
from lumpability.partition import Partition
from lumpability.refinement.kernel_arrays import Rows
from lumpability.refinement.kernel_sums import collapse_rows, number_sums, sum_again
from lumpability.structure import WeightedStructure

__all__ = ["collapse"]

Array = np.ndarray[Any, Any]


def collapse(
    structure: WeightedStructure, partition: Partition, initial: Partition
) -> WeightedStructure | None:
    """Return the structure on blocks (see `quotient.collapse`).

    Sums that come out as zero are dropped.  O(transitions of the first members).  None if the weights have
    too wide a common denominator, or residues of different sums collide.
    """
    weights, firsts, labels = structure.weights, partition.representatives, partition.labels
    if not weights.is_narrow:
        return None
    lengths = structure.indptr[firsts + 1] - structure.indptr[firsts]
    capacity = int(lengths.sum())
    moduli = _moduli(weights, int(lengths.max(initial=0)))
    pointers = np.zeros(len(partition) + 1, dtype=np.int64)
    columns = np.empty(capacity, dtype=np.int32)
    codes = np.empty(capacity, dtype=np.int64)
    sums = np.empty(capacity, dtype=np.uint64)
    rows = _rows(structure, moduli[0])
    p = np.uint64(moduli[0])
    used = collapse_rows(firsts, rows, labels, p, pointers, columns, codes, sums)
    columns, codes, sums = columns[:used].copy(), codes[:used], sums[:used]
    base = len(weights.values)
    distinct = number_sums(base, codes, sums)  # an entry of each
    several = np.flatnonzero(codes >= base)
    alike = distinct[codes[several] - base]
    if moduli[0] == 0:
        numerators = sums[distinct].view(np.int64).tolist()
        totals = [Fraction(total, weights.denominator) for total in numerators]
    else:
        totals = _sums_of_entries(structure, partition, pointers, columns, distinct)
    for further in moduli[1:]:
        rows, p = _rows(structure, further), np.uint64(further)
        slot = np.empty(len(partition), dtype=np.int64)
        sum_again(firsts, rows, labels, p, pointers, columns, slot, sums)
        if not np.array_equal(sums[several], sums[alike]):
            return None
    summed = ExactArray.of_values(codes, [*weights.values, *totals])
    return WeightedStructure.without_zeros(
        pointers, columns, summed, initial, closed=structure.closed
    )


def _moduli(weights: ExactArray, terms: int) -> list[int]:
    """Return 0, for 64 bits, where sums fit them, else primes whose product exceeds any difference."""
    largest = max(map(abs, weights.integers[0]), default=0) * terms
    if largest < 1 << 63:
        return [0]
    return list(primes_beyond(2 * largest, avoiding=weights.denominator))


def _rows(structure: WeightedStructure, p: int) -> Rows:
    weights = structure.weights
    if p:
        table = weights.residues(p)
    else:
        table = np.array(weights.integers[0], dtype=np.int64).view(np.uint64)
    return Rows(structure.indptr, structure.indices, weights.codes, table, structure.closed)


def _sums_of_entries(
    structure: WeightedStructure,
    partition: Partition,
    pointers: Array,
    columns: Array,
    entries: Array,
) -> list[Fraction]:
    """Return the exact sums that some entries of the quotient stand for."""
    blocks = np.searchsorted(pointers, entries, side="right") - 1
    owner, positions = structure.entries_of(partition.representatives[blocks])
    inside = partition.labels[structure.indices[positions]] == columns[entries][owner]
    owner, positions = owner[inside], positions[inside]
    bounds = np.searchsorted(owner, np.arange(len(entries) + 1))
    weights = structure.weights
    sums = ExactArray(weights.codes[positions], weights.values).segment_sums(bounds)
    return list(sums)

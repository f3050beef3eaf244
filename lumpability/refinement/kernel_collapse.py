"""The quotient of a large structure, summed by compiled loops over the first members of blocks.

Most sums have one term; they keep the code of their weight.  The others are told apart by tables
that decide whether sums are equal, see `kernel_tables`, and each distinct sum is computed exactly, once.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.integers import primes_avoiding, smallest_unsigned
from lumpability.partition import Partition
from lumpability.refinement.kernel_arrays import Rows
from lumpability.refinement.kernel_scratch import blank
from lumpability.refinement.kernel_sums import collapse_rows, number_sums, sum_again
from lumpability.refinement.kernel_tables import (
    combined_table,
    common_denominator_of,
    deciding_tables,
)
from lumpability.refinement.stability import initial_of_blocks
from lumpability.structure import WeightedStructure

__all__ = ["collapse"]

_ROOM = 1 << 20  # entries, for which there may be more room than they need
_AT_ONCE = 1 << 16  # transitions that are gathered; more take no less time, but memory

Array = np.ndarray[Any, Any]


def collapse(structure: WeightedStructure, partition: Partition) -> WeightedStructure | None:
    """Return the structure on blocks (see `quotient.collapse`).

    Sums that come out as zero are dropped.  O(transitions of the first members).  None if the weights have
    too wide a common denominator or too many monomials, or residues of different sums collide.
    """
    weights, firsts, labels = structure.weights, partition.representatives, partition.labels
    components = weights.components
    if components is None or not all(component.is_narrow for component in components):
        return None
    # A bound on the entries, in all and of a row, that is mostly good enough: memory that nothing is
    # written to costs little.
    capacity = structure.m
    tables = list(deciding_tables(components, capacity))
    wasteful = capacity > _ROOM and 2 * len(firsts) < structure.n
    if wasteful or any(p for p, _ in tables):
        lengths = _lengths(structure, firsts)
        capacity = int(lengths.sum())
        tables = list(deciding_tables(components, int(lengths.max(initial=0))))
        del lengths
    if len(components) > 1:
        prime = next(primes_avoiding(common_denominator_of(components)))
        tables.insert(0, (prime, combined_table(components, prime, 0)))
    pointers = np.empty(len(partition) + 1, dtype=np.int64)
    pointers[0] = 0
    columns = np.empty(capacity, dtype=np.int32)
    codes = np.empty(capacity, dtype=weights.codes.dtype)
    places = np.empty(capacity // 2, dtype=np.int64)
    sums = np.empty(capacity // 2, dtype=np.uint64)
    rows, p = _rows(structure, *tables[0])
    scratch = blank((2, len(partition)), np.uint64)
    used, several = collapse_rows(
        firsts, rows, labels, p, pointers, columns, codes, places, sums, *scratch
    )
    del scratch
    for array, size in ((columns, used), (codes, used), (places, several), (sums, several)):
        array.resize(size, refcheck=False)  # in place
    examples, distinct = number_sums(sums)
    numbers = sums  # of them, as they are now
    integers = None
    if len(tables) == 1 and p == 0 and weights.is_rational:
        numerators = distinct.view(np.int64).tolist()
        totals = [Fraction(total, weights.denominator) for total in numerators]
        integers = [*weights.integers[0], *numerators]
    else:
        totals = _sums_of_entries(structure, partition, pointers, columns, places[examples])
    for further in tables[1:]:
        rows, p = _rows(structure, *further)
        again = np.empty_like(sums)
        if not sum_again(
            firsts, rows, labels, p, pointers, columns, places, numbers, examples, again
        ):
            return None
    values = [*weights.values, *totals]
    codes = codes.astype(smallest_unsigned(len(values)), copy=False)
    numbers += np.uint64(len(weights.values))
    codes[places] = numbers
    del places, sums, numbers
    summed = ExactArray.of_values(codes, values, integers=integers)
    return WeightedStructure.without_zeros(
        pointers, columns, summed, initial_of_blocks(structure, partition), closed=structure.closed
    )


def _lengths(structure: WeightedStructure, states: Array) -> Array:
    """Return the lengths of the rows of some states."""
    lengths: Array = structure.indptr[states + 1]
    lengths -= structure.indptr[states]
    return lengths


def _rows(structure: WeightedStructure, p: int, table: Array) -> tuple[Rows, np.uint64]:
    s = structure
    return Rows(s.indptr, s.indices, s.weights.codes, table, s.closed), np.uint64(p)


def _sums_of_entries(
    structure: WeightedStructure,
    partition: Partition,
    pointers: Array,
    columns: Array,
    entries: Array,
) -> list[Exact]:
    """Return the exact sums that some entries of the quotient stand for."""
    firsts = partition.representatives[np.searchsorted(pointers, entries, side="right") - 1]
    work = np.concatenate([[0], np.cumsum(_lengths(structure, firsts))])
    sums: list[Exact] = []
    while len(sums) < len(entries):
        low = len(sums)
        high = int(np.searchsorted(work, work[low] + _AT_ONCE, side="right")) - 1
        chosen = slice(low, max(high, low + 1))
        owner, positions = structure.entries_of(firsts[chosen])
        inside = partition.labels[structure.indices[positions]] == columns[entries[chosen]][owner]
        owner, positions = owner[inside], positions[inside]
        bounds = np.searchsorted(owner, np.arange(len(firsts[chosen]) + 1))
        sums.extend(structure.weights.take(positions).segment_sums(bounds))
    return sums

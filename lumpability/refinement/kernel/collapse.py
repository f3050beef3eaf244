"""The quotient of a large structure: sums of the rows of first members into blocks.

Most sums have one term; they keep the code of their weight.  The others are told apart by residues that decide
whether sums are equal, see `field`, and each distinct sum is computed exactly, once.  If rows are closed, sums into the
own block are left out: the understood diagonal makes up for them.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.integers import intern, primes_avoiding, smallest_unsigned
from lumpability.numbers.residues import (
    combined_residues,
    common_denominator_of,
    deciding_residues,
)
from lumpability.partition import Partition
from lumpability.refinement.kernel.arrays import (
    Codes,
    Int32s,
    Int64s,
    Rows,
    UInt64s,
    blank,
)
from lumpability.refinement.kernel.compiling import FIRST, compiled, inlined
from lumpability.refinement.kernel.field import add_modulo
from lumpability.refinement.stability import initial_of_blocks
from lumpability.structure import WeightedStructure

ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
_ROOM = 1 << 20  # entries, for which there may be more room than they need
_AT_ONCE = 1 << 16  # transitions that are gathered; more take no less time, but memory
_SMALL = 48  # entries of a row that are sorted in any case
_MANY = 4  # blocks for each entry: it takes longer then to look at them all than to sort


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
    tables = list(deciding_residues(components, capacity))
    wasteful = capacity > _ROOM and 2 * len(firsts) < structure.n
    if wasteful or any(p for p, _ in tables):
        lengths = _lengths(structure, firsts)
        capacity = int(lengths.sum())
        tables = list(deciding_residues(components, int(lengths.max(initial=0))))
        del lengths
    if len(components) > 1:
        prime = next(primes_avoiding(common_denominator_of(components)))
        tables.insert(0, (prime, combined_residues(components, prime, 0)))
    pointers = np.empty(len(partition) + 1, dtype=np.int64)
    pointers[0] = 0
    columns = np.empty(capacity, dtype=np.int32)
    codes = np.empty(capacity, dtype=weights.codes.dtype)
    places = np.empty(capacity // 2, dtype=np.int64)
    sums = np.empty(capacity // 2, dtype=np.uint64)
    p, residues = tables[0]
    rows = Rows.of(structure, residues)
    scratch = blank((2, len(partition)), np.uint64)
    used, several = collapse_rows(
        firsts, rows, labels, np.uint64(p), pointers, columns, codes, places, sums, *scratch
    )
    del scratch
    for array, size in ((columns, used), (codes, used), (places, several), (sums, several)):
        array.resize(size, refcheck=False)  # in place
    numbers, distinct = intern(sums)
    del sums
    examples = _first_places(numbers, len(distinct))
    integers = None
    if len(tables) == 1 and p == 0 and weights.is_rational:
        numerators = distinct.view(np.int64).tolist()
        totals: list[Exact] = [Fraction(total, weights.denominator) for total in numerators]
        integers = [*weights.integers[0], *numerators]
    else:
        totals = _sums_of_entries(structure, partition, pointers, columns, places[examples])
    for q, residues in tables[1:]:
        rows, again = Rows.of(structure, residues), np.empty(len(places), dtype=np.uint64)
        if not sum_again(
            firsts, rows, labels, np.uint64(q), pointers, columns, places,
            numbers.astype(np.uint32), examples, again,
        ):  # fmt: skip
            return None
    values = [*weights.values, *totals]
    codes = codes.astype(smallest_unsigned(len(values)), copy=False)
    codes[places] = numbers.astype(codes.dtype) + codes.dtype.type(len(weights.values))
    del places, numbers
    summed = ExactArray.of_values(codes, values, integers=integers)
    return WeightedStructure.without_zeros(
        pointers, columns, summed, initial_of_blocks(structure, partition), closed=structure.closed
    )


def _first_places(numbers: Codes, count: int) -> Int64s:
    """Return where each of the numbers below `count`, which all occur, is first."""
    firsts = np.empty(count, dtype=np.int64)
    firsts[numbers[::-1]] = np.arange(len(numbers) - 1, -1, -1)  # the last one written stays
    return firsts


def _lengths(structure: WeightedStructure, states: Int64s) -> Int64s:
    """Return the lengths of the rows of some states."""
    lengths: Int64s = structure.indptr[states + 1]
    lengths -= structure.indptr[states]
    return lengths


def _sums_of_entries(
    structure: WeightedStructure,
    partition: Partition,
    pointers: Int64s,
    columns: Int32s,
    entries: Int64s,
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


@inlined
def _add_equal(
    begin: Any, end: Any, several: Any, residues: UInt64s, p: np.uint64,
    columns: Int32s, codes: Codes, places: Int64s, sums: UInt64s,
) -> tuple[int, int]:  # fmt: skip
    """Sort the entries of a row by column and add up those that share one; return where the row ends then.

    And how many sums there are: from number `several` on they and their places are written.  Shell's sort: most
    rows are short and nearly in order.
    """
    gap = 1
    while 9 * gap < end - begin:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(begin + gap, end):
            column, code, j = columns[i], codes[i], i
            while j >= begin + gap and columns[j - gap] > column:
                columns[j], codes[j] = columns[j - gap], codes[j - gap]
                j -= gap
            columns[j], codes[j] = column, code
        gap //= 3
    used, entry = begin, begin
    while entry < end:
        column, code = columns[entry], codes[entry]
        total, following = residues[code], entry + 1
        while following < end and columns[following] == column:
            total = add_modulo(total, residues[codes[following]], p)
            following += 1
        columns[used], codes[used] = column, code
        if following - entry > 1:
            places[several], sums[several] = used, total
            several += 1
        used += 1
        entry = following
    return used, several


@inlined
def _add_many(
    begin: Any, end: Any, several: Any, residues: UInt64s, p: np.uint64,
    columns: Int32s, codes: Codes, places: Int64s, sums: UInt64s, terms: UInt64s, totals: UInt64s,
) -> tuple[int, int]:  # fmt: skip
    """Do the same with a row that has about as many entries as there are blocks, in O(entries + blocks).

    ``terms`` holds for each block whether there are none, one, whose code is in ``totals`` then, or more.
    """
    for entry in range(begin, end):
        column, code = columns[entry], codes[entry]
        if terms[column] == ZERO:
            terms[column], totals[column] = ONE, code
        else:
            before = residues[totals[column]] if terms[column] == ONE else totals[column]
            terms[column], totals[column] = TWO, add_modulo(before, residues[code], p)
    used = begin
    for block in range(len(terms)):
        if terms[block] == ZERO:
            continue
        columns[used] = block
        if terms[block] == ONE:
            codes[used] = totals[block]
        else:
            places[several], sums[several] = used, totals[block]
            several += 1
        terms[block] = ZERO
        used += 1
    return used, several


@compiled
def collapse_rows(
    firsts: Int64s, rows: Rows, labels: Int32s, p: np.uint64,
    pointers: Int64s, columns: Int32s, codes: Codes, places: Int64s, sums: UInt64s,
    terms: UInt64s, totals: UInt64s,
) -> tuple[int, int]:  # fmt: skip
    """Sum the rows of the first members of blocks into blocks, columns ascending.

    ``pointers`` (k + 1) receives the row pointers; ``columns`` and ``codes`` one entry for each block with
    transitions, with the code of the transition if there is just one: there has to be room for all
    transitions.  Where there are several, ``places`` receives the number of the entry, ascending, and
    ``sums`` the sum of residues: there has to be room for half as many.  ``terms``, zero, and
    ``totals``, both of shape (k,), are scratch that only long rows touch.  Returns the numbers of entries and of sums.
    """
    indptr, indices, _, residues, closed = rows
    used, several = FIRST, FIRST
    for block in range(len(firsts)):
        state = np.uint64(firsts[block])
        begin, latest = used, np.int64(-1)
        ascending: Any = True
        for position in range(np.uint64(indptr[state]), np.uint64(indptr[state + ONE])):
            target = np.uint32(labels[np.uint32(indices[position])])
            if closed and target == block:
                continue
            place = np.uint64(used)
            columns[place], codes[place] = target, rows.codes[position]
            ascending &= np.int64(target) > latest
            latest = np.int64(target)
            used += 1
        if not ascending:
            if used - begin > max(_SMALL, len(firsts) // _MANY):
                used, several = _add_many(
                    begin, used, several, residues, p, columns, codes, places, sums, terms, totals
                )
            else:
                used, several = _add_equal(
                    begin, used, several, residues, p, columns, codes, places, sums
                )
        pointers[block + 1] = used
    return used, several


@compiled
def sum_again(
    firsts: Int64s, rows: Rows, labels: Int32s, p: np.uint64, pointers: Int64s, columns: Int32s,
    places: Int64s, numbers: Codes, examples: Int64s, sums: UInt64s,
) -> bool:  # fmt: skip
    """Whether the sums that got the same number are equal by other residues as well.

    ``sums`` (one for each place) is scratch.
    """
    begin: Any = 0
    for block in range(len(firsts)):
        end = begin
        while end < len(places) and places[end] < pointers[block + 1]:
            sums[end] = ZERO
            end += 1
        if begin == end:
            continue
        state = np.uint64(firsts[block])
        for position in range(np.uint64(rows.indptr[state]), np.uint64(rows.indptr[state + ONE])):
            target = np.uint32(labels[np.uint32(rows.indices[position])])
            low, high = begin, end  # by bisection: columns ascend
            while low < high:
                middle = (low + high) // 2
                if columns[places[middle]] < target:
                    low = middle + 1
                else:
                    high = middle
            if low < end and columns[places[low]] == target:
                sums[low] = add_modulo(sums[low], rows.residues[rows.codes[position]], p)
        for i in range(begin, end):
            if sums[i] != sums[examples[numbers[i]]]:
                return False
        begin = end
    return True

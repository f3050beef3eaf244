"""Compiled sums of the rows of first members into blocks: the entries of a quotient.

Sums are taken modulo a prime, or modulo 2^64 (p = 0), where sums below 2^63 are themselves, with the sign of
int64.  If ``closed``, sums into the own block are left out, see `kernel_check`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_compile import FIRST, allocating, compiled, inlined, subroutine
from lumpability.refinement.kernel_field import SPREAD, add_modulo

__all__ = ["collapse_rows", "number_sums", "sum_again"]

ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
_SMALL = 48
_MANY = 4  # blocks for each transition: it takes longer then to look at them all than to sort


@inlined
def _swap(i: Any, j: Any, columns: Any, codes: Any) -> None:
    columns[i], columns[j] = columns[j], columns[i]
    codes[i], codes[j] = codes[j], codes[i]


@subroutine
def _sift(begin: Any, root: Any, length: Any, columns: Any, codes: Any) -> None:
    """Let an entry sink until no child in the heap is larger."""
    while 2 * root + 1 < length:
        child = 2 * root + 1
        if child + 1 < length and columns[begin + child] < columns[begin + child + 1]:
            child += 1
        if columns[begin + root] >= columns[begin + child]:
            return
        _swap(begin + root, begin + child, columns, codes)
        root = child


@subroutine
def _sort_row(begin: Any, end: Any, columns: Any, codes: Any) -> None:
    """Sort the entries begin .. end-1 by column: a few by insertion, as they are most often nearly in order.

    Many by a heap; numpy's own sort would take longer to compile than all the rest.
    """
    length = end - begin
    if length > _SMALL:
        for root in range(length // 2 - 1, -1, -1):
            _sift(begin, np.int64(root), length, columns, codes)
        for last in range(length - 1, 0, -1):
            _swap(begin, begin + last, columns, codes)
            _sift(begin, FIRST, last, columns, codes)
        return
    for i in range(begin + 1, end):
        column, code, j = columns[i], codes[i], i
        while j > begin and columns[j - 1] > column:
            columns[j], codes[j] = columns[j - 1], codes[j - 1]
            j -= 1
        columns[j], codes[j] = column, code


@inlined
def _add_equal(
    begin: Any, end: Any, several: Any, table: Any, p: Any,
    columns: Any, codes: Any, places: Any, sums: Any,
) -> Any:  # fmt: skip
    """Put one entry in place of those of a sorted row that share a column; return where the row ends then.

    And how many sums there are: from number `several` on they and their places are written.
    """
    used, entry = begin, begin
    while entry < end:
        column, code = columns[entry], codes[entry]
        total, following = table[code], entry + 1
        while following < end and columns[following] == column:
            total = add_modulo(total, table[codes[following]], p)
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
    begin: Any, end: Any, several: Any, table: Any, p: Any,
    columns: Any, codes: Any, places: Any, sums: Any, terms: Any, totals: Any,
) -> Any:  # fmt: skip
    """Do as `_add_equal` with a row in any order, in O(entries + blocks).

    ``terms`` holds for each block whether there are none, one, whose code is in ``totals`` then, or more.
    """
    for entry in range(begin, end):
        column, code = columns[entry], codes[entry]
        if terms[column] == ZERO:
            terms[column], totals[column] = ONE, code
        else:
            before = table[totals[column]] if terms[column] == ONE else totals[column]
            terms[column], totals[column] = TWO, add_modulo(before, table[code], p)
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
    firsts: Any, rows: Any, labels: Any, p: Any,
    pointers: Any, columns: Any, codes: Any, places: Any, sums: Any,
    terms: Any, totals: Any,
) -> Any:  # fmt: skip
    """Sum the rows of the first members of blocks into blocks, columns ascending.

    ``pointers`` int64 (k + 1) receives the row pointers; ``columns`` and ``codes`` one entry for each block with
    transitions, with the code of the transition if there is just one: there has to be room for all
    transitions.  Where there are several, ``places`` int64 receives the number of the entry, ascending, and
    ``sums`` the sum of ``table[code]``: there has to be room for half as many.  ``terms``, zero, and
    ``totals``, both uint64 (k), are scratch that only long rows touch.  Returns the numbers of entries and of sums.
    """
    indptr, indices, _, table, closed = rows
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
                    begin, used, several, table, p, columns, codes, places, sums, terms, totals
                )
            else:
                _sort_row(begin, used, columns, codes)
                used, several = _add_equal(
                    begin, used, several, table, p, columns, codes, places, sums
                )
        pointers[block + 1] = used
    return used, several


@compiled
def sum_again(
    firsts: Any, rows: Any, labels: Any, p: Any, pointers: Any, columns: Any,
    places: Any, numbers: Any, examples: Any, sums: Any,
) -> Any:  # fmt: skip
    """Whether the sums that got the same number are equal by another table as well.

    ``sums`` uint64 (one for each place) is scratch.
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
                sums[low] = add_modulo(sums[low], rows.table[rows.codes[position]], p)
        for i in range(begin, end):
            if sums[i] != sums[examples[numbers[i]]]:
                return False
        begin = end
    return True


@subroutine
def _place_of(total: Any, slots: Any, distinct: Any) -> Any:
    """Return the slot with the number of a sum, or the free one that it is to go to."""
    last = len(slots) - 1
    place = np.int64((total * SPREAD) >> np.uint64(32)) & last
    while slots[place] >= 0 and distinct[slots[place]] != total:
        place = (place + 1) & last
    return place


@allocating
def number_sums(sums: Any) -> Any:
    """Replace sums by their numbers among distinct ones, in order of appearance.

    Returns for each distinct sum where it is first, and the sum.  With a hash table of open addressing, which
    grows with them, in expected time O(sums).
    """
    size: Any = 64
    slots = np.full(size, -1)
    examples, distinct = np.empty(size // 2, dtype=np.int64), np.empty(size // 2, dtype=np.uint64)
    found = 0
    for i in range(len(sums)):
        total = sums[i]
        place = _place_of(total, slots, distinct)
        if slots[place] < 0:
            if found == len(distinct):
                size *= 2
                slots = np.full(size, -1)
                examples = np.append(examples, examples)
                distinct = np.append(distinct, distinct)
                for number in range(found):
                    slots[_place_of(distinct[number], slots, distinct)] = number
                place = _place_of(total, slots, distinct)
            slots[place] = found
            examples[found], distinct[found] = i, total
            found += 1
        sums[i] = slots[place]
    return examples[:found], distinct[:found]

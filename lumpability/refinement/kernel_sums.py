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

ZERO, ONE = np.uint64(0), np.uint64(1)
_SMALL = 48


@inlined
def _swap(i: Any, j: Any, columns: Any, codes: Any, sums: Any) -> None:
    columns[i], columns[j] = columns[j], columns[i]
    codes[i], codes[j] = codes[j], codes[i]
    sums[i], sums[j] = sums[j], sums[i]


@subroutine
def _sift(begin: Any, root: Any, length: Any, columns: Any, codes: Any, sums: Any) -> None:
    """Let an entry sink until no child in the heap is larger."""
    while 2 * root + 1 < length:
        child = 2 * root + 1
        if child + 1 < length and columns[begin + child] < columns[begin + child + 1]:
            child += 1
        if columns[begin + root] >= columns[begin + child]:
            return
        _swap(begin + root, begin + child, columns, codes, sums)
        root = child


@subroutine
def _sort_row(begin: Any, end: Any, columns: Any, codes: Any, sums: Any) -> None:
    """Sort the entries begin .. end-1 by column: a few by insertion, which are most often in order.

    Many by a heap; numpy's own sort would take longer to compile than all the rest.
    """
    length = end - begin
    if length > _SMALL:
        for root in range(length // 2 - 1, -1, -1):
            _sift(begin, np.int64(root), length, columns, codes, sums)
        for last in range(length - 1, 0, -1):
            _swap(begin, begin + last, columns, codes, sums)
            _sift(begin, FIRST, last, columns, codes, sums)
        return
    for i in range(begin + 1, end):
        column, code, total, j = columns[i], codes[i], sums[i], i
        while j > begin and columns[j - 1] > column:
            columns[j], codes[j], sums[j] = columns[j - 1], codes[j - 1], sums[j - 1]
            j -= 1
        columns[j], codes[j], sums[j] = column, code, total


@compiled
def collapse_rows(
    firsts: Any, rows: Any, labels: Any, p: Any,
    pointers: Any, columns: Any, codes: Any, sums: Any, slot: Any,
) -> Any:  # fmt: skip
    """Sum the rows of the first members of blocks into blocks, columns ascending.

    ``pointers`` int64 (k + 1) receives the row pointers; ``columns``, ``codes`` and ``sums`` one entry for each
    block with transitions: the code of the transition if there is just one, else -1, and the sum of
    ``table[code]``.  ``slot`` int (k) is scratch.  Returns the number of entries.
    """
    indptr, indices, _, table, closed = rows
    for block in range(len(slot)):
        slot[block] = -1
    used: Any = 0
    for block in range(len(firsts)):
        state = np.uint64(firsts[block])
        begin, latest = used, np.int64(-1)
        ascending: Any = True
        for position in range(np.uint64(indptr[state]), np.uint64(indptr[state + ONE])):
            target = np.uint32(labels[np.uint32(indices[position])])
            if closed and target == block:
                continue
            code = np.uint64(rows.codes[position])
            entry = slot[target]
            if entry < begin:
                slot[target] = used
                place = np.uint64(used)
                columns[place], codes[place], sums[place] = target, code, table[code]
                ascending &= np.int64(target) > latest
                latest = np.int64(target)
                used += 1
            else:
                place = np.uint64(entry)
                codes[place] = -1
                sums[place] = add_modulo(sums[place], table[code], p)
        if not ascending:
            _sort_row(np.int64(begin), np.int64(used), columns, codes, sums)
        pointers[block + 1] = used
    return used


@compiled
def sum_again(
    firsts: Any, rows: Any, labels: Any, p: Any, pointers: Any, columns: Any, sums: Any, slot: Any
) -> None:
    """Write the sums of the entries that `collapse_rows` found modulo another prime.

    ``slot`` int (k) is scratch.
    """
    for block in range(len(firsts)):
        for position in range(np.uint64(pointers[block]), np.uint64(pointers[block + 1])):
            slot[columns[position]] = position
            sums[position] = ZERO
        state = firsts[block]
        for position in range(np.uint64(rows.indptr[state]), np.uint64(rows.indptr[state + 1])):
            target = np.uint32(labels[np.uint32(rows.indices[position])])
            if not (rows.closed and target == block):
                entry = np.uint64(slot[target])
                sums[entry] = add_modulo(sums[entry], rows.table[rows.codes[position]], p)


@allocating
def number_sums(base: Any, codes: Any, sums: Any) -> Any:
    """Replace codes -1 by `base` plus the number of the sum among distinct ones.

    Returns for each distinct sum the first entry that has it.  With a hash table of open addressing, in
    expected time O(entries).
    """
    several: Any = 0
    for entry in range(len(codes)):
        several += np.int64(codes[entry] < 0)
    size = 64
    while size < 2 * several:
        size *= 2
    slots = np.empty(size, dtype=np.int64)
    for slot in range(size):
        slots[slot] = -1
    firsts = np.empty(several, dtype=np.int64)
    found = 0
    for entry in range(len(codes)):
        if codes[entry] >= 0:
            continue
        total = sums[entry]
        place = np.int64((total * SPREAD) >> np.uint64(32)) & (size - 1)
        while slots[place] >= 0 and sums[firsts[slots[place]]] != total:
            place = (place + 1) & (size - 1)
        if slots[place] < 0:
            slots[place] = found
            firsts[found] = entry
            found += 1
        codes[entry] = base + slots[place]
    return firsts[:found]

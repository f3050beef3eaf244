"""Compiled checks and collapse: sums into blocks, compared modulo a prime or added up exactly.

Both run over rows of a partition given by canonical labels.  If ``closed``, sums into the own block are
left out: the implied diagonal makes rows sum to zero, so the other sums determine it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_compile import allocating, inlined, subroutine

__all__ = ["collapse_rows", "first_rows", "first_unstable", "used_codes"]

ZERO, ONE = np.uint64(0), np.uint64(1)
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio, odd


@allocating
def used_codes(indptr: Any, codes: Any, alone: Any, used: Any) -> None:
    """Mark the codes of weights in the rows of states that share a block."""
    for state in range(len(alone)):
        if not alone[state]:
            for position in range(indptr[state], indptr[state + 1]):
                used[codes[position]] = True


@inlined
def _add_row(state: Any, own: Any, rows: Any, p: Any, labels: Any, sums: Any) -> Any:
    """Add a state's weights to the sums into blocks; return how many of these are not zero then.

    Modulo p, or modulo 2^64 if p is 0: then sums below 2^63 are themselves, with the sign of int64.
    """
    nonzero = 0
    for position in range(np.uint64(rows.indptr[state]), np.uint64(rows.indptr[state + 1])):
        target = np.uint32(labels[np.uint32(rows.indices[position])])
        if rows.closed and target == own:
            continue
        before = sums[target]
        after = before + rows.table[rows.codes[position]]
        if p != ZERO and after >= p:
            after -= p
        sums[target] = after
        nonzero += np.int64(after != ZERO) - np.int64(before != ZERO)
    return nonzero


@allocating
def first_rows(firsts: Any, rows: Any, p: Any, alone: Any, labels: Any) -> Any:
    """Return the sums into blocks of the first members of blocks that have others, as compressed rows.

    Sums that are zero are left out.
    """
    pointers = np.zeros(len(firsts) + 1, dtype=np.int64)
    for block in range(len(firsts)):
        state = firsts[block]
        length = 0 if alone[state] else rows.indptr[state + 1] - rows.indptr[state]
        pointers[block + 1] = pointers[block] + length
    columns = np.empty(pointers[-1], dtype=np.int32)
    expected = np.empty(pointers[-1], dtype=np.uint64)
    sums = np.zeros(len(firsts), dtype=np.uint64)
    used = 0
    for block in range(len(firsts)):
        state = firsts[block]
        pointers[block] = used
        if not alone[state]:
            _add_row(state, block, rows, p, labels, sums)
            for position in range(rows.indptr[state], rows.indptr[state + 1]):
                target = labels[rows.indices[position]]
                if sums[target] != ZERO:
                    columns[used], expected[used] = target, sums[target]
                    sums[target] = ZERO
                    used += 1
    pointers[-1] = used
    return pointers, columns, expected


@allocating
def first_unstable(
    low: Any, high: Any, rows: Any, p: Any, alone: Any, labels: Any, first: Any
) -> Any:
    """Compare the sums into every block of states low .. high-1 with those of their blocks' first members.

    Returns the first state whose sums differ, or -1.
    """
    pointers, columns, expected = first
    sums = np.zeros(len(pointers) - 1, dtype=np.uint64)
    for state in range(low, high):
        if alone[state]:
            continue
        own = np.uint32(labels[state])
        begin, end = np.uint64(pointers[own]), np.uint64(pointers[own + ONE])
        unequal = np.uint64(_add_row(np.uint32(state), own, rows, p, labels, sums)) != end - begin
        for entry in range(begin, end):
            column = np.uint32(columns[entry])
            unequal |= sums[column] != expected[entry]
            sums[column] = ZERO
        if unequal:
            return state
    return -1


@allocating
def collapse_rows(
    firsts: Any, rows: Any, labels: Any, pointers: Any, columns: Any, codes: Any, sums: Any
) -> Any:
    """Sum the rows of the first members of blocks into blocks, columns ascending.

    ``pointers`` int64 (k + 1) receives the row pointers, ``columns`` and ``codes`` one entry for each block
    with transitions: the code of the transition if there is just one, else the number of distinct
    weights plus the position of the sum of the integers ``table[code]`` among the distinct sums, which
    ``sums`` receives.

    Returns the number of entries and of distinct sums.
    """
    slot = np.full(len(firsts), -1, dtype=np.int64)
    used, several = 0, 0
    for block in range(len(firsts)):
        state = firsts[block]
        begin = used
        for position in range(np.uint64(rows.indptr[state]), np.uint64(rows.indptr[state + 1])):
            target = np.uint32(labels[np.uint32(rows.indices[position])])
            if rows.closed and target == block:
                continue
            code = np.int64(rows.codes[position])
            entry = slot[target]
            if entry < begin:
                slot[target] = used
                columns[used], codes[used], sums[used] = target, code, rows.table[code]
                used += 1
            else:
                several += np.int64(codes[entry] >= 0)
                codes[entry] = -1
                sums[entry] += rows.table[code]
        for i in range(begin + 1, used):
            column, code, total, j = columns[i], codes[i], sums[i], i
            while j > begin and columns[j - 1] > column:
                columns[j], codes[j], sums[j] = columns[j - 1], codes[j - 1], sums[j - 1]
                j -= 1
            columns[j], codes[j], sums[j] = column, code, total
        pointers[block + 1] = used
    return used, _intern_sums(used, several, len(rows.table), codes, sums)


@subroutine
def _intern_sums(used: Any, several: Any, base: Any, codes: Any, sums: Any) -> Any:
    """Replace codes -1 by `base` plus the number of the sum, and list distinct sums at the front.

    In a hash table of open addressing, expected time O(used).
    """
    size = 64
    while size < 2 * several:
        size *= 2
    slots = np.full(size, -1, dtype=np.int64)
    found = 0
    for entry in range(used):
        if codes[entry] >= 0:
            continue
        total = sums[entry]
        place = np.int64((np.uint64(total) * SPREAD) >> np.uint64(32)) & (size - 1)
        while slots[place] >= 0 and sums[slots[place]] != total:
            place = (place + 1) & (size - 1)
        if slots[place] < 0:
            slots[place] = found
            sums[found] = total  # found <= entry: what stood there has been read
            found += 1
        codes[entry] = base + slots[place]
    return found

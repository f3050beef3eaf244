"""Compiled checks and collapse: sums into blocks, compared modulo a prime or added up exactly.

Both run over rows of a partition given by canonical labels.  If ``closed``, sums into the own block are
left out: the implied diagonal makes rows sum to zero, so the other sums determine it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from lumpability.refinement.kernel_arrays import BLOCK, END, START
from lumpability.refinement.kernel_field import add_modulo, subtract_modulo

__all__ = ["collapse_rows", "first_unstable", "used_codes"]

ZERO = np.uint64(0)


@numba.njit(cache=True, nogil=True)
def used_codes(indptr: Any, codes: Any, alone: Any, used: Any) -> None:
    """Mark the codes of weights in the rows of states that share a block."""
    for state in range(len(alone)):
        if not alone[state]:
            for position in range(indptr[state], indptr[state + 1]):
                used[codes[position]] = True


@numba.njit(inline="always")
def _add(
    state: Any, own: Any, left: Any, negated: Any, rows: Any, p: Any, labels: Any, sums: Any
) -> Any:
    """Add a state's weights, or take them away, and return how many sums are not zero then."""
    for position in range(rows.indptr[state], rows.indptr[state + 1]):
        target = np.uint32(labels[np.uint32(rows.indices[position])])
        if rows.closed and target == own:
            continue
        weight = rows.table[rows.codes[position]]
        before = sums[target]
        after = subtract_modulo(before, weight, p) if negated else add_modulo(before, weight, p)
        sums[target] = after
        left += int(after != ZERO) - int(before != ZERO)
    return left


@numba.njit(cache=True, nogil=True)
def first_unstable(
    low: Any, high: Any, rows: Any, p: Any, arrays: Any, labels: Any, count: Any
) -> Any:
    """Compare sums into every block modulo p of the states ``order[low:high]``; -1 if all agree.

    For each block the first member's sums are set up; each other member's weights are taken away,
    which must leave nothing, and put back.
    """
    order, blocks, spots = arrays.order, arrays.blocks, arrays.spots
    sums = np.zeros(count, dtype=np.uint64)
    position = low
    while position < high:
        number = spots[order[position], BLOCK]
        start, end = blocks[number, START], min(blocks[number, END], high)
        if blocks[number, END] - start > 1:
            first = order[start]
            own = labels[first]
            left = _add(first, own, 0, False, rows, p, labels, sums)
            for member in range(max(position, start + 1), end):
                left = _add(order[member], own, left, True, rows, p, labels, sums)
                if left != 0:
                    return number
                left = _add(order[member], own, left, False, rows, p, labels, sums)
            _add(first, own, left, True, rows, p, labels, sums)
        position = end
    return -1


@numba.njit(cache=True, nogil=True)
def collapse_rows(
    firsts: Any, rows: Any, labels: Any, pointers: Any, columns: Any, first_codes: Any, sums: Any
) -> Any:
    """Sum the rows of the first members of blocks into blocks, columns ascending.

    ``pointers`` int64 (k + 1) receives the row pointers; ``columns``, ``first_codes`` and ``sums`` one entry
    for each block with transitions: the code of the transition if there is just one, else -1, and the sum
    of the integers ``table[code]``.
    """
    slot = np.full(len(firsts), -1, dtype=np.int64)
    used = 0
    for block in range(len(firsts)):
        state = firsts[block]
        begin = used
        for position in range(rows.indptr[state], rows.indptr[state + 1]):
            target = np.uint32(labels[np.uint32(rows.indices[position])])
            if rows.closed and target == block:
                continue
            code = rows.codes[position]
            entry = slot[target]
            if entry < begin:
                slot[target] = used
                columns[used], first_codes[used], sums[used] = target, code, rows.table[code]
                used += 1
            else:
                first_codes[entry] = -1
                sums[entry] += rows.table[code]
        for i in range(begin + 1, used):
            column, code, total, j = columns[i], first_codes[i], sums[i], i
            while j > begin and columns[j - 1] > column:
                columns[j], first_codes[j], sums[j] = (
                    columns[j - 1],
                    first_codes[j - 1],
                    sums[j - 1],
                )
                j -= 1
            columns[j], first_codes[j], sums[j] = column, code, total
        pointers[block + 1] = used
    return used

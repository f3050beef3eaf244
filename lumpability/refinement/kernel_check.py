"""Compiled checks: sums into blocks, compared modulo a prime or in 64 bits.

They run over rows of a partition given by canonical labels.  If ``closed``, sums into the own block are
left out: the implied diagonal makes rows sum to zero, so the other sums determine it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_compile import allocating, inlined
from lumpability.refinement.kernel_prefetch import FAR, is_far, prefetch

__all__ = ["first_rows", "first_unstable", "used_codes"]

ZERO, ONE = np.uint64(0), np.uint64(1)


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
    nonzero: Any = 0
    far = is_far(len(labels))
    for position in range(np.uint64(rows.indptr[state]), np.uint64(rows.indptr[state + 1])):
        if far and position + FAR < np.uint64(len(rows.indices)):
            prefetch(labels, np.uint32(rows.indices[position + FAR]))
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

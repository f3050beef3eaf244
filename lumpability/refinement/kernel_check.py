"""Compiled checks: sums into blocks, compared modulo a prime or in 64 bits.

They run over rows of a partition given by canonical labels: blocks are numbered by first member.  If
``closed``, sums into the own block are left out: the implied diagonal makes rows sum to zero, so the other
sums determine it.

Residues are added without reducing them: the primes are small enough for the sums of a row to stay below
2^64.  Rows of like states add up like residues, and their sums are mostly equal as they are; only
those that are not are compared modulo p.  For p = 0, sums modulo 2^64 are meant, and that is all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_compile import allocating, compiled, inlined, subroutine
from lumpability.refinement.kernel_field import subtract_modulo
from lumpability.refinement.kernel_prefetch import FAR, is_far, prefetch

__all__ = ["NEAR", "first_rows", "first_unstable", "used_codes"]

ZERO, ONE = np.uint64(0), np.uint64(1)
SHORT = np.uint64(3)
"""Transitions of a row whose blocks are looked for one by one: memory for all blocks is not touched then."""
NEAR = 1 << 14
"""Blocks; sums into so few take little memory, and less time than looking for them."""


@compiled
def used_codes(indptr: Any, codes: Any, alone: Any, used: Any) -> None:
    """Mark the codes of weights in the rows of states that share a block."""
    for state in range(len(alone)):
        if not alone[state]:
            for position in range(indptr[state], indptr[state + 1]):
                used[codes[position]] = True


@inlined
def _find(column: Any, begin: Any, end: Any, columns: Any) -> Any:
    """Return the place of a column among few; `end` if it is not there."""
    place = begin
    while place < end and np.uint32(columns[place]) != column:
        place += ONE
    return place


@allocating
def first_rows(firsts: Any, rows: Any, alone: Any, labels: Any, pointers: Any, after: Any) -> Any:
    """Return the sums into blocks of the first members of blocks that have others, as compressed rows.

    Sums that are zero are left out.  ``pointers`` unsigned (blocks + 1) receives the row pointers;
    ``after``, of the same type (blocks) and zero, is scratch, which only long rows touch: what follows
    the place of a column.  The first members themselves come last.
    """
    indptr, indices, codes, table, closed = rows
    size: Any = 0
    for block in range(len(firsts)):
        state = np.uint64(firsts[block])
        if not alone[state]:
            size += indptr[state + ONE] - indptr[state]
    columns = np.empty(size, dtype=np.int32)
    expected = np.empty(size, dtype=np.uint64)
    used = ZERO
    for block in range(len(firsts)):
        state = np.uint64(firsts[block])
        begin = used
        pointers[block] = begin
        if alone[state]:
            continue
        low, high = np.uint64(indptr[state]), np.uint64(indptr[state + ONE])
        cancelled = False
        for position in range(low, high):
            target = np.uint32(labels[np.uint32(indices[position])])
            weight = table[codes[position]]
            if weight == ZERO or (closed and target == block):
                continue
            if high - low <= SHORT:
                place = _find(target, begin, used, columns)
            else:
                known = np.uint64(after[target])
                place = known - ONE if known > begin else used
                after[target] = place + ONE
            if place == used:
                columns[place], expected[place] = target, weight
                used += ONE
            else:
                total = expected[place] + weight
                expected[place] = total
                cancelled |= total == ZERO
        if cancelled:
            end, used = used, begin
            for place in range(begin, end):
                column, total = columns[place], expected[place]
                after[column] = ZERO  # places of the next row begin below this one's end
                columns[used], expected[used] = column, total
                used += np.uint64(total != ZERO)
    pointers[len(firsts)] = used
    return pointers, columns, expected, firsts


@inlined
def _differ_shortly(
    begin: Any, end: Any, own: Any, entry: Any, last: Any, rows: Any, labels: Any,
    columns: Any, expected: Any, far: Any, rest: Any,
) -> Any:  # fmt: skip
    """Return 0 if a row has the few expected sums as they are, and no transitions to other blocks.

    Only as many first numbers of ``rest`` are used, which are zero before and after.  A block is mostly where
    it was in the first member's row, so that nothing is searched for.
    """
    transitions = np.uint64(len(rows.indices))
    for place in range(entry, last):
        rest[place - entry] = expected[place]
    different = ZERO
    for position in range(begin, end):
        if far:
            prefetch(labels, np.uint32(rows.indices[min(position + FAR, transitions - ONE)]))
        target = np.uint32(labels[np.uint32(rows.indices[position])])
        if rows.closed and target == own:
            continue
        place = entry + (position - begin)
        if place >= last or np.uint32(columns[place]) != target:
            place = _find(target, entry, last, columns)
        if place == last:
            different = ONE
        else:
            rest[place - entry] -= rows.table[rows.codes[position]]
    for i in range(last - entry):
        different |= rest[i]
        rest[i] = ZERO
    return different


@inlined
def _add_row(begin: Any, end: Any, rows: Any, labels: Any, sums: Any) -> Any:
    """Add weights to the sums into blocks; return how many more of these are not zero then."""
    nonzero = ZERO
    for position in range(begin, end):
        target = np.uint32(labels[np.uint32(rows.indices[position])])
        before = sums[target]
        after = before + rows.table[rows.codes[position]]
        sums[target] = after
        nonzero += np.uint64(before == ZERO) - np.uint64(after == ZERO)
    return nonzero


@subroutine
def _agree_modulo(
    p: Any, own: Any, begin: Any, end: Any, rows: Any, labels: Any, first: Any, sums: Any
) -> Any:
    """Whether a row has the expected sums modulo p, or modulo 2^64 for 0, though not as they are.

    ``sums`` may hold what was added up into the blocks of the row; afterwards it is zero.
    """
    pointers, columns, expected, _ = first
    for position in range(begin, end):
        sums[np.uint32(labels[np.uint32(rows.indices[position])])] = ZERO
    for place in range(pointers[own], pointers[own + 1]):
        sums[np.uint32(columns[place])] = expected[place] % p if p else expected[place]
    for position in range(begin, end):
        target = np.uint32(labels[np.uint32(rows.indices[position])])
        if not (rows.closed and target == own):
            sums[target] = subtract_modulo(sums[target], rows.table[rows.codes[position]], p)
    different = ZERO
    for position in range(begin, end):
        target = np.uint32(labels[np.uint32(rows.indices[position])])
        different |= sums[target]
        sums[target] = ZERO
    for place in range(pointers[own], pointers[own + 1]):
        column = np.uint32(columns[place])
        different |= sums[column]
        sums[column] = ZERO
    return different == ZERO


@inlined
def _blocks_begun(state: Any, firsts: Any) -> Any:
    """How many blocks have members below a state (by bisection: numpy's takes long to compile)."""
    low, high = np.uint32(0), np.uint32(len(firsts))
    while low < high:
        middle = np.uint32((low + high) // np.uint32(2))
        if firsts[middle] < state:
            low = np.uint32(middle + np.uint32(1))
        else:
            high = middle
    return low


@compiled
def first_unstable(
    low: Any, high: Any, rows: Any, p: Any, labels: Any, first: Any, sums: Any
) -> Any:
    """Compare the sums into every block of states low .. high-1 with those of their blocks' first members.

    ``sums`` uint64 (blocks or more) is scratch, zero before and after.  Returns the first state whose sums differ,
    or -1.
    """
    indptr, indices, codes, table, closed = rows
    pointers, columns, expected, firsts = first
    far, transitions = is_far(len(labels)), np.uint64(len(indices))
    short = SHORT if len(sums) > NEAR else ZERO
    fresh = _blocks_begun(low, firsts)  # the next to begin
    for state in range(np.uint64(low), np.uint64(high)):
        own = np.uint32(labels[state])
        if own == fresh:
            fresh += np.uint32(1)
            continue
        begin, end = np.uint64(indptr[state]), np.uint64(indptr[state + ONE])
        entry, last = np.uint64(pointers[own]), np.uint64(pointers[own + ONE])
        unequal = ZERO
        if end - begin == ONE and last - entry == ONE:
            if (
                np.uint32(labels[np.uint32(indices[begin])]) == np.uint32(columns[entry])
                and table[codes[begin]] == expected[entry]
            ):
                continue
            unequal = ONE
        elif end - begin <= short and last - entry <= short:
            unequal = _differ_shortly(
                begin, end, own, entry, last, rows, labels, columns, expected, far, sums
            )
            if unequal == ZERO:
                continue
        elif end - begin == last - entry:
            # As many transitions as sums that are not zero: rows are equal only if each sum is one weight.
            for position in range(begin, end):
                if far:
                    prefetch(labels, np.uint32(indices[min(position + FAR, transitions - ONE)]))
                sums[np.uint32(labels[np.uint32(indices[position])])] = table[codes[position]]
        else:
            unequal = last - entry - _add_row(begin, end, rows, labels, sums)
            if closed:
                unequal += np.uint64(sums[own] != ZERO)
                sums[own] = ZERO
        for place in range(entry, last):
            column = np.uint32(columns[place])
            unequal |= sums[column] ^ expected[place]
            sums[column] = ZERO
        if unequal != ZERO:
            if _agree_modulo(p, own, begin, end, rows, labels, first, sums):
                continue
            for block in range(len(sums)):
                sums[block] = ZERO
            return np.int64(state)
    return np.int64(-1)

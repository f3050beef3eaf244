"""The proof of a partition: sums into every block, compared inside blocks.

Every state is compared with the first member of its block, over rows of a partition given by canonical labels.  If
rows are closed, sums into the own block are left out: the implied diagonal makes rows sum to zero, so the other sums
determine it.  Residues are such that their agreement decides (Chinese remainder theorem, see `field`).

Residues are added without reducing them: primes are small enough for the sums of a row to stay below 2^64.  Rows of
like states add up alike, and their sums are mostly equal as they are; only those that are not are compared modulo
p.  For p = 0, sums modulo 2^64 are meant, and that is all.  O(m) for each modulus.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lumpability.refinement.kernel.arrays import (
    Bools,
    Codes,
    Int32s,
    Int64s,
    Integer,
    Pointers,
    Rows,
    UInt64s,
)
from lumpability.refinement.kernel.compiling import (
    allocating,
    compiled,
    inlined,
    prefetch,
    subroutine,
)
from lumpability.refinement.kernel.field import subtract_modulo

ZERO, ONE = np.uint64(0), np.uint64(1)
NEAR_SUMS = 1 << 14
"""Blocks; sums into so few take little memory, and less time than looking for them."""
_SHORT = np.uint64(3)
"""Transitions of a row whose blocks are looked for one by one: memory for all blocks is not touched then."""
_AHEAD = np.uint64(32)  # transitions whose targets are asked for ahead
_FAR_LABELS = 4_000_000  # states; labels of fewer are in the cache most of the time


class Expected(NamedTuple):
    """Sums into blocks of the first members of blocks that have others, as compressed rows.

    Attributes
    ----------
    pointers : array of unsigned int, shape (k + 1,)
    columns : array of int32
    sums : array of uint64
        Not zero.
    firsts : array of int64, shape (k,)
        The first members, ascending.
    """

    pointers: Pointers
    columns: Int32s
    sums: UInt64s
    firsts: Int64s


@compiled
def mark_alone(labels: Int32s, sizes: Int32s, alone: Bools) -> None:
    """Mark the states that are their whole block; ``sizes`` (k), zero, receives those of the blocks."""
    for state in range(len(labels)):
        sizes[np.uint32(labels[state])] += 1
    for state in range(len(labels)):
        alone[state] = sizes[np.uint32(labels[state])] == 1


@compiled
def used_codes(indptr: Int64s, codes: Codes, alone: Bools, used: Bools) -> None:
    """Mark the codes of weights in the rows of states that share a block."""
    for state in range(len(alone)):
        if not alone[state]:
            for position in range(indptr[state], indptr[state + 1]):
                used[codes[position]] = True


@inlined
def _find(column: Integer, begin: Integer, end: Integer, columns: Int32s) -> np.uint64:
    """Return the place of a column among few; `end` if it is not there."""
    place: Any = begin
    while place < end and np.uint32(columns[place]) != column:
        place += ONE
    return place


@allocating
def first_rows(
    firsts: Int64s, rows: Rows, alone: Bools, labels: Int32s, pointers: Pointers, after: Pointers
) -> tuple[Pointers, Int32s, UInt64s, Int64s]:
    """Return what is `Expected` of the states of each block.

    ``pointers`` (k + 1) receives the row pointers; ``after`` (k), zero, is scratch, which only long rows touch: what
    follows the place of a column.
    """
    indptr, indices, codes, residues, closed = rows
    size: Any = 0
    for block in range(len(firsts)):
        state = np.uint64(firsts[block])
        if not alone[state]:
            size += indptr[state + ONE] - indptr[state]
    columns = np.empty(size, dtype=np.int32)
    sums = np.empty(size, dtype=np.uint64)
    used: Any = ZERO
    for block in range(len(firsts)):
        state = np.uint64(firsts[block])
        begin = used
        pointers[block] = begin
        if alone[state]:
            continue
        low, high = np.uint64(indptr[state]), np.uint64(indptr[state + ONE])
        cancelled: Any = False
        for position in range(low, high):
            target = np.uint32(labels[np.uint32(indices[position])])
            weight = residues[codes[position]]
            if weight == ZERO or (closed and target == block):
                continue
            if high - low <= _SHORT:
                place = _find(target, begin, used, columns)
            else:
                known = np.uint64(after[target])
                place = known - ONE if known > begin else used
                after[target] = place + ONE
            if place == used:
                columns[place], sums[place] = target, weight
                used += ONE
            else:
                total = sums[place] + weight
                sums[place] = total
                cancelled |= total == ZERO
        if cancelled:
            end, used = used, begin
            for entry in range(begin, end):
                column, total = columns[entry], sums[entry]
                after[column] = ZERO  # places of the next row begin below this one's end
                columns[used], sums[used] = column, total
                used += np.uint64(total != ZERO)
    pointers[len(firsts)] = used
    return pointers, columns, sums, firsts


@inlined
def _differ_shortly(
    begin: Integer, end: Integer, own: Integer, entry: Integer, last: Integer, rows: Rows, labels: Int32s,
    expected: Expected, far: bool, rest: UInt64s,
) -> np.uint64:  # fmt: skip
    """Return 0 if the few unreduced sums of a row equal the expected ones.

    Only as many first numbers of ``rest`` are used, which are zero before and after.  A block is mostly where it
    stands among the expected ones.
    """
    transitions = np.uint64(len(rows.indices))
    for i in range(last - entry):
        rest[i] = expected.sums[entry + i]
    different: Integer = ZERO
    for position in range(begin, end):
        if far:
            prefetch(labels, np.uint32(rows.indices[min(position + _AHEAD, transitions - ONE)]))
        target = np.uint32(labels[np.uint32(rows.indices[position])])
        if rows.closed and target == own:
            continue
        place: Integer = entry + (position - begin)
        if place >= last or np.uint32(expected.columns[place]) != target:
            place = _find(target, entry, last, expected.columns)
        if place == last:
            different = ONE
        else:
            rest[place - entry] -= rows.residues[rows.codes[position]]
    for i in range(last - entry):
        different |= rest[i]
        rest[i] = ZERO
    return different


@inlined
def _add_row(begin: Integer, end: Integer, rows: Rows, labels: Int32s, sums: UInt64s) -> np.uint64:
    """Add weights to the sums into blocks; return how many more of these are not zero then."""
    nonzero: Any = ZERO
    for position in range(begin, end):
        target = np.uint32(labels[np.uint32(rows.indices[position])])
        before = sums[target]
        after = before + rows.residues[rows.codes[position]]
        sums[target] = after
        nonzero += np.uint64(before == ZERO) - np.uint64(after == ZERO)
    return nonzero


@subroutine
def _agree_modulo(
    p: np.uint64, own: Integer, begin: Integer, end: Integer, rows: Rows, labels: Int32s, expected: Expected,
    sums: UInt64s,
) -> bool:  # fmt: skip
    """Whether a row has the expected sums modulo p, or modulo 2^64 for 0, though not as they are.

    ``sums`` may hold what was added up into the blocks of the row; afterwards it is zero.
    """
    pointers, columns, wanted, _ = expected
    for position in range(begin, end):
        sums[np.uint32(labels[np.uint32(rows.indices[position])])] = ZERO
    for place in range(pointers[own], pointers[own + 1]):
        sums[np.uint32(columns[place])] = wanted[place] % p if p else wanted[place]
    for position in range(begin, end):
        target = np.uint32(labels[np.uint32(rows.indices[position])])
        if not (rows.closed and target == own):
            sums[target] = subtract_modulo(sums[target], rows.residues[rows.codes[position]], p)
    different: Integer = ZERO
    for position in range(begin, end):
        target = np.uint32(labels[np.uint32(rows.indices[position])])
        different |= sums[target]
        sums[target] = ZERO
    for place in range(pointers[own], pointers[own + 1]):
        column = np.uint32(columns[place])
        different |= sums[column]
        sums[column] = ZERO
    return bool(different == ZERO)


@inlined
def _blocks_begun(state: Integer, firsts: Int64s) -> np.uint32:
    """How many blocks have members below a state (by bisection: numpy's takes long to compile)."""
    low: Any = np.uint32(0)
    high: Any = np.uint32(len(firsts))
    while low < high:
        middle = np.uint32((low + high) // np.uint32(2))
        if firsts[middle] < state:
            low = np.uint32(middle + np.uint32(1))
        else:
            high = middle
    return low


@compiled
def first_unstable(
    low: Integer, high: Integer, desk: Integer, rows: Rows, p: np.uint64, labels: Int32s, expected: Expected,
    desks: UInt64s,
) -> Integer:  # fmt: skip
    """Compare the sums into every block of states low .. high-1 with those of their blocks' first members.

    ``desks`` uint64 (ranges, k or more) is scratch, zero before and after; whoever runs at the same time has another
    one.  Returns the first state whose sums differ, or -1.
    """
    indptr, indices, codes, residues, closed = rows
    pointers, columns, wanted, firsts = expected
    sums = desks[desk]
    far, transitions = len(labels) > _FAR_LABELS, np.uint64(len(indices))
    short = _SHORT if len(sums) > NEAR_SUMS else ZERO
    fresh = _blocks_begun(low, firsts)  # the next to begin
    for state in range(np.uint64(low), np.uint64(high)):
        own = np.uint32(labels[state])
        if own == fresh:
            fresh += np.uint32(1)
            continue
        begin, end = np.uint64(indptr[state]), np.uint64(indptr[state + ONE])
        entry, last = np.uint64(pointers[own]), np.uint64(pointers[own + ONE])
        unequal: Any = ZERO
        if end - begin == ONE and last - entry == ONE:
            if (
                np.uint32(labels[np.uint32(indices[begin])]) == np.uint32(columns[entry])
                and residues[codes[begin]] == wanted[entry]
            ):
                continue
            unequal = ONE
        elif end - begin <= short and last - entry <= short:
            unequal = _differ_shortly(
                begin, end, own, entry, last, rows, labels, expected, far, sums
            )
            if unequal == ZERO:
                continue
        elif end - begin == last - entry:
            # As many transitions as sums that are not zero: rows are equal only if each sum is one weight.
            for position in range(begin, end):
                if far:
                    prefetch(labels, np.uint32(indices[min(position + _AHEAD, transitions - ONE)]))
                sums[np.uint32(labels[np.uint32(indices[position])])] = residues[codes[position]]
        else:
            unequal = last - entry - _add_row(begin, end, rows, labels, sums)
            if closed:
                unequal += np.uint64(sums[own] != ZERO)
                sums[own] = ZERO
        for place in range(entry, last):
            column = np.uint32(columns[place])
            unequal |= sums[column] ^ wanted[place]
            sums[column] = ZERO
        if unequal != ZERO:
            if _agree_modulo(p, own, begin, end, rows, labels, expected, sums):
                continue
            for block in range(len(sums)):
                sums[block] = ZERO
            return np.int64(state)
    return np.int64(-1)

"""The proof of a partition: sums into every block, compared inside blocks.

Every state is compared with the first member of its block, over rows of a partition given by canonical labels.  If
rows are closed, sums into the own block are left out: the implied diagonal makes rows sum to zero, so the other sums
determine it.  Residues are such that their agreement decides (Chinese remainder theorem, see `numbers.residues`).

Residues are added without reducing them: primes are small enough for the sums of a row to stay below 2^64.  Rows of
like states add up alike, and their sums are mostly equal as they are; only those that are not are compared modulo
p.  For p = 0, sums modulo 2^64 are meant, and that is all.  O(m) for each modulus.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lumpability.partition import Partition
from lumpability.refinement.kernel.arrays import (
    Bools,
    Int32s,
    Int64s,
    Integer,
    Pointers,
    Rows,
    UInt64s,
)
from lumpability.refinement.kernel.compiling import compiled, inlined, subroutine
from lumpability.refinement.kernel.field import subtract_modulo

ZERO, ONE = np.uint64(0), np.uint64(1)


class Expected(NamedTuple):
    """Sums into blocks of the first members of blocks that have others, as compressed rows."""

    pointers: Pointers  # (k + 1,)
    columns: Int32s
    sums: UInt64s  # not zero
    firsts: Int64s  # (k,): the first members, ascending


@compiled
def mark_alone(labels: Int32s, sizes: Int32s, alone: Bools) -> None:
    """Mark the states that are their whole block; ``sizes`` (k), zero, receives those of the blocks."""
    for state in range(len(labels)):
        sizes[np.uint32(labels[state])] += 1
    for state in range(len(labels)):
        alone[state] = sizes[np.uint32(labels[state])] == 1


def expected_sums(rows: Rows, alone: Bools, partition: Partition, sums: UInt64s) -> Expected:
    """Return the sums of the first members of blocks; ``sums`` (k) is scratch, zero before and after."""
    firsts = partition.representatives
    shared = firsts[~alone[firsts]]
    size = int((rows.indptr[shared + 1] - rows.indptr[shared]).sum())
    expected = Expected(
        pointers=np.empty(len(firsts) + 1, np.uint32 if size < 2**32 else np.uint64),
        columns=np.empty(size, dtype=np.int32),
        sums=np.empty(size, dtype=np.uint64),
        firsts=firsts,
    )
    write_expected(rows, alone, partition.labels, expected, sums)
    return expected


@compiled
def write_expected(
    rows: Rows, alone: Bools, labels: Int32s, expected: Expected, sums: UInt64s
) -> None:
    """Write the sums of first members; ``sums`` (k) is scratch, zero before and after."""
    indptr, indices, codes, residues, closed = rows
    pointers, columns, wanted, firsts = expected
    used: Any = ZERO
    for block in range(len(firsts)):
        state = np.uint64(firsts[block])
        pointers[block] = used
        if alone[state]:
            continue
        low, high = np.uint64(indptr[state]), np.uint64(indptr[state + ONE])
        for position in range(low, high):
            sums[np.uint32(labels[np.uint32(indices[position])])] += residues[codes[position]]
        if closed:
            sums[block] = ZERO
        for position in range(low, high):
            target = np.uint32(labels[np.uint32(indices[position])])
            if sums[target] != ZERO:
                columns[used], wanted[used] = target, sums[target]
                sums[target] = ZERO
                used += ONE
    pointers[len(firsts)] = used


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

    ``desks`` uint64 (ranges, k) is scratch, zero before and after; whoever runs at the same time has another
    one.  Returns the first state whose sums differ, or -1.
    """
    indptr, indices, codes, residues, closed = rows
    pointers, columns, wanted, firsts = expected
    sums = desks[desk]
    fresh = _blocks_begun(low, firsts)  # the next to begin
    for state in range(np.uint64(low), np.uint64(high)):
        own = np.uint32(labels[state])
        if own == fresh:
            fresh += np.uint32(1)
            continue
        begin, end = np.uint64(indptr[state]), np.uint64(indptr[state + ONE])
        entry, last = np.uint64(pointers[own]), np.uint64(pointers[own + ONE])
        unequal: Any = last - entry  # sums that are not zero in one of the rows only
        if end - begin == ONE and last - entry == ONE:
            target = np.uint32(labels[np.uint32(indices[begin])])
            if target == np.uint32(columns[entry]) and residues[codes[begin]] == wanted[entry]:
                continue
        else:
            for position in range(begin, end):
                target = np.uint32(labels[np.uint32(indices[position])])
                before = sums[target]
                after = before + residues[codes[position]]
                sums[target] = after
                unequal += np.uint64(after == ZERO) - np.uint64(before == ZERO)
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

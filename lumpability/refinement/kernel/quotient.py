"""Sums of rows into blocks: the proof of a partition, and its quotient.

Every state is compared with the first member of its block, over rows of a partition given by canonical labels.  If
rows are closed, sums into the own block are left out: the implied diagonal makes rows sum to zero, so the other sums
determine it.  Residues are such that their agreement decides (Chinese remainder theorem, see `numbers.residues`).

Residues are added without reducing them: primes are small enough for the sums of a row to stay below 2^64.  Rows of
like states add up alike, and their sums are mostly equal as they are; only those that are not are compared modulo
p.  For p = 0, sums modulo 2^64 are meant, and that is all.  O(m) for each modulus.

The quotient has the rows of first members, sorted by the blocks of their targets.  Most sums have one term and keep the
code of its weight.  Others are sums of integers over the common denominator, if these fit 64 bits; otherwise their
terms are listed, and `ExactArray.segment_sums` adds them exactly.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import intern, smallest_unsigned
from lumpability.numbers.residues import fits_words
from lumpability.partition import Partition
from lumpability.refinement.kernel.arrays import (
    ONE,
    ZERO,
    Bools,
    Codes,
    Int32s,
    Int64s,
    Integer,
    Pointers,
    Rows,
    UInt32s,
    UInt64s,
    subtract_modulo,
)
from lumpability.refinement.kernel.compiling import FIRST, compiled, inlined, subroutine
from lumpability.refinement.stability import initial_of_blocks
from lumpability.structure import WeightedStructure

_ROOM = 1 << 20  # entries, for which there may be more room than they need
_SMALL = 48  # entries of a row that are sorted by comparing them in any case
_MANY = 4  # blocks for each entry: it takes longer then to count in all of them than to compare


class Expected(NamedTuple):
    """Sums into blocks of the first members of blocks that have others, as compressed rows."""

    pointers: Pointers  # (k + 1,)
    columns: Int32s
    sums: UInt64s  # not zero
    firsts: Int64s  # (k,): the first members, ascending


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
    for state in range(np.uint64(low), np.uint64(high)):
        own = np.uint32(labels[state])
        if np.uint64(firsts[own]) == state:
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


class _Sums(NamedTuple):
    """The rows of a quotient with k blocks, as they are found."""

    pointers: Int64s  # (k + 1,)
    columns: Int32s  # blocks, ascending in each row,
    codes: Codes  # and the code of the weight where a sum has one term
    several: Int64s  # the entries with several terms;
    totals: UInt64s  # of each the sum of the residues of its terms,
    bounds: Int64s  # where these terms end, unless sums fit 64 bits,
    terms: Codes  # and the codes of all these terms
    counts: UInt32s  # (k,): zero; scratch that only long rows touch, as are
    into: UInt64s  # (k,): the sums into blocks, zero,
    latest: Codes  # (k,): and the code of the latest term of each


def collapse(structure: WeightedStructure, partition: Partition) -> WeightedStructure:
    """Return the structure on blocks (see `quotient.collapse`); O(transitions of the first members).

    Sums that come out as zero are dropped.
    """
    weights, firsts, k = structure.weights, partition.representatives, len(partition)
    capacity = structure.m  # memory that nothing is written to costs little
    if capacity > _ROOM and 2 * k < structure.n:
        capacity = int((structure.indptr[firsts + 1] - structure.indptr[firsts]).sum())
    fits = weights.is_rational and weights.is_narrow and fits_words(weights, structure.m)
    words = weights.integers[0] if fits else [0] * len(weights.values)
    sums = _Sums(
        pointers=np.empty(k + 1, dtype=np.int64),
        columns=np.empty(capacity, dtype=np.int32),
        codes=np.empty(capacity, dtype=weights.codes.dtype),
        several=np.empty(capacity // 2, dtype=np.int64),
        totals=np.empty(capacity // 2, dtype=np.uint64),
        bounds=np.empty(0 if fits else capacity // 2, dtype=np.int64),
        terms=np.empty(capacity, dtype=weights.codes.dtype),
        counts=np.zeros(k, dtype=np.uint32),
        into=np.zeros(k, dtype=np.uint64),
        latest=np.empty(k, dtype=weights.codes.dtype),
    )
    rows = Rows.of(structure, np.array(words, dtype=np.int64).view(np.uint64))
    used, several = collapse_rows(firsts, rows, partition.labels, sums)
    pointers, columns, codes = sums.pointers, sums.columns, sums.codes
    for array in (columns, codes):
        array.resize(used, refcheck=False)  # in place
    values: Any = weights.values
    if fits:
        numbers, distinct = intern(sums.totals[:several].view(np.int64))
        totals = distinct.tolist()
        values = [*values, *(Fraction(total, weights.denominator) for total in totals)]
        integers = [*words, *totals]
    else:
        bounds = np.append(0, sums.bounds[:several])
        added = ExactArray(sums.terms[: bounds[-1]], values).segment_sums(bounds)
        numbers, integers = added.codes, None
        values = [*values, *added.values]
    codes = codes.astype(smallest_unsigned(len(values)), copy=False)
    codes[sums.several[:several]] = numbers.astype(np.int64) + len(weights.values)
    del sums
    summed = ExactArray.of_values(codes, values, integers=integers)
    return WeightedStructure.without_zeros(
        pointers, columns, summed, initial_of_blocks(structure, partition), closed=structure.closed
    )


@inlined
def _sort(begin: Integer, end: Integer, columns: Int32s, codes: Codes) -> None:
    """Sort the entries of a row by column.  Shell's sort: most rows are short and nearly in order."""
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


@inlined
def _add_many(
    begin: Integer, end: Integer, several: Integer, residues: UInt64s, sums: _Sums
) -> tuple[Integer, Integer]:
    """Add up a row that has about as many entries as there are blocks; return where it ends then, and `several`."""
    columns, codes, counts, into = sums.columns, sums.codes, sums.counts, sums.into
    for entry in range(begin, end):
        block = columns[entry]
        counts[block] += np.uint32(1)
        into[block] += residues[codes[entry]]
        sums.latest[block] = codes[entry]
    used: Any = begin
    for block in range(len(counts)):
        if counts[block] > 0:
            columns[used], codes[used] = block, sums.latest[block]
            if counts[block] > 1:
                sums.several[several], sums.totals[several] = used, into[block]
                several += 1
            counts[block], into[block] = np.uint32(0), np.uint64(0)
            used += 1
    return used, several


@compiled
def collapse_rows(
    firsts: Int64s, rows: Rows, labels: Int32s, sums: _Sums
) -> tuple[Integer, Integer]:
    """Sum the rows of the first members of blocks; return the numbers of entries and of those with several terms."""
    indptr, indices = rows.indptr, rows.indices
    columns, codes, bounds = sums.columns, sums.codes, sums.bounds
    used, several, listed = FIRST, FIRST, FIRST
    sums.pointers[0] = 0
    for block in range(len(firsts)):
        state = np.uint64(firsts[block])
        begin, end, latest = used, used, np.int64(-1)
        ascending: Any = True
        for position in range(np.uint64(indptr[state]), np.uint64(indptr[state + ONE])):
            target = np.uint32(labels[np.uint32(indices[position])])
            if rows.closed and target == block:
                continue
            place = np.uint64(end)
            columns[place], codes[place] = target, rows.codes[position]
            ascending &= np.int64(target) > latest
            latest = np.int64(target)
            end += 1
        if ascending:
            used = end
        elif len(bounds) == 0 and end - begin > max(_SMALL, len(firsts) // _MANY):
            used, several = _add_many(begin, end, several, rows.residues, sums)
        else:
            _sort(begin, end, columns, codes)
            entry = begin
            while entry < end:
                after = entry + 1
                while after < end and columns[after] == columns[entry]:
                    after += 1
                columns[used], codes[used] = columns[entry], codes[entry]
                if after - entry > 1:
                    total: Any = np.uint64(0)
                    for i in range(entry, after):
                        total += rows.residues[codes[i]]
                    sums.several[several], sums.totals[several] = used, total
                    if len(bounds) > 0:
                        for i in range(entry, after):
                            sums.terms[listed] = codes[i]
                            listed += 1
                        bounds[several] = listed
                    several += 1
                used += 1
                entry = after
        sums.pointers[block + 1] = used
    return used, several

"""A sweep splits every block by fresh fingerprints of its states, in memory order.

The fingerprint of state s is F(s) = sum over u of M[s, u] value(block of u).  Rows are short, and a processor that
guesses wrong where one ends forgets the memory it has asked for.  So modulo 2^64 a sweep runs through the rows of some
thousand states as through one, and a fingerprint is the difference of two running totals.

A vote chooses a representative of each block, so that most of the block agrees with it and stays.  States that differ
are listed and grouped by block and fingerprint; these parts are numbered as they turn up, and become blocks in that
order.  In a sweep a block has the value of its number.  Its NAME says which part keeps the value in rounds that
follow: the largest, so that these follow smaller parts only.  Ranges of states are fingerprinted at the same time; the
result does not depend on them.

Indices known not to be negative are cast to unsigned types: numba then leaves out the test for indices that count from
the end, which takes up to half of the time of an inner loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lumpability.partition import Partition
from lumpability.refinement.kernel.arrays import (
    ALONE,
    BLOCK,
    COUNT,
    LARGEST,
    NOTE,
    ONE,
    SIZE,
    ZERO,
    Bools,
    Field,
    Int32s,
    Int64s,
    Integer,
    Rows,
    Sweeping,
    UInt32s,
    UInt64s,
    add_modulo,
    add_to_part,
    block_value,
    last_slot,
    measure_parts,
    multiply,
    reduce_modulo,
    slot_of,
    subtract_modulo,
)
from lumpability.refinement.kernel.compiling import (
    FIRST,
    add_product,
    compiled,
    inlined,
    prefetch,
    subroutine,
)

MEMBER, NAME = 0, 3  # columns of blocks: a member, which the vote may replace by a representative
_TOGETHER = 1024  # states that are fingerprinted in one way
_LONG = 40  # transitions in a row, after which its end may as well come as a surprise
_STRIDE = 17  # one of so many states votes; prime, as regular models have all sorts of periods
_AHEAD = 8  # states or parts
_NEAR_SLOTS = np.uint64(1 << 14)  # that are in the cache
_FEW = 2048  # blocks, whose values are in the fastest cache,
_FAR = 200_000  # when the values of more states would be in none

# Nanoseconds, measured on a machine with 2 cores; only ratios matter, and they decide about time alone.
_SUM_COST = 0.85  # of a transition
_SCATTERED = 3  # times as much, where rows are summed one by one, as most states are alone
_STATE_COST = 2.5  # of a state
_HAND_OUT_COST = 1_000_000  # of threads, which have to be woken
_FETCH_COST = 1  # of a state that another thread had in its cache


def ranges_for(states: int, sharing: int, transitions: int, threads: int) -> int:
    """In how many ranges to cut a loop over rows: a thread that is handed little only delays.

    `sharing` of the states share a block.
    """
    active = transitions * sharing // states
    alone = _STATE_COST * states + _SUM_COST * min(_SCATTERED * active, transitions)
    together = alone / threads + _HAND_OUT_COST + _FETCH_COST * sharing
    return 1 if alone <= together else threads


@compiled
def fill(labels: Int32s, count: Integer, field: Field, arrays: Sweeping) -> Integer:
    """Set up the arrays for a sweep from a partition given by labels 0 .. count-1.

    Returns how many states are their whole block.
    """
    alone, own_labels, blocks = arrays.alone, arrays.labels, arrays.blocks
    for block in range(count):
        blocks[block, SIZE], blocks[block, LARGEST] = 0, 0
        blocks[block, NAME] = block
    # Neighbours are often of one block: odd ones are counted elsewhere, so that none waits for the other.
    for state in range(len(labels)):
        own = np.uint32(labels[state])
        blocks[own, LARGEST if state & 1 else SIZE] += np.uint32(1)
        blocks[own, MEMBER] = state
        own_labels[state] = own
        alone[state] = False
    lone: Any = np.int64(0)
    for block in range(count):
        blocks[block, SIZE] += blocks[block, LARGEST]
        blocks[block, LARGEST] = 0
        if blocks[block, SIZE] == 1:
            alone[np.uint32(blocks[block, MEMBER])] = True
            lone += 1
        arrays.expected[block] = block_value(block, field)
    if not _are_few(count, field, arrays):
        for state in range(len(labels)):
            arrays.values[state] = arrays.expected[np.uint32(labels[state])]
    return lone


@inlined
def _are_few(count: Integer, field: Field, arrays: Sweeping) -> bool:
    """Whether so few blocks, of many states, have values modulo 2^64, and states have none of their own."""
    return bool(field.p == ZERO and count <= _FEW and len(arrays.alone) > _FAR)


@inlined
def _fingerprint_row(state: Integer, rows: Rows, field: Field, arrays: Sweeping) -> np.uint64:
    """Sum of weight x value of the target's block."""
    high, low, total = ZERO, ZERO, ZERO
    entry, end = np.uint64(rows.indptr[state]), np.uint64(rows.indptr[state + 1])
    full = entry + np.uint64(field.step)
    while entry < end:
        value = arrays.values[np.uint32(rows.indices[entry])]
        weight = rows.residues[rows.codes[entry]]
        if field.p == ZERO:
            total += weight * value
        else:
            if entry == full:  # only many large weights come here
                total = add_modulo(total, reduce_modulo(high, low, field.p, field.inverse), field.p)
                high, low = ZERO, ZERO
                full += np.uint64(field.step)
            high, low = add_product(high, low, weight, value)
        entry += ONE
    if field.p == ZERO:
        return total
    return add_modulo(total, reduce_modulo(high, low, field.p, field.inverse), field.p)


@subroutine
def _sum_values(
    begin: Integer, end: Integer, total: Integer, few: bool, rows: Rows, arrays: Sweeping, totals: UInt64s
) -> np.uint64:  # fmt: skip
    """Write the running total of weight x value of the target modulo 2^64, from `total` on; return the last."""
    indices, codes, residues = rows.indices, rows.codes, rows.residues
    totals[0] = total
    labels, values, expected = arrays.labels, arrays.values, arrays.expected
    if few:
        for entry in range(begin, end):
            value = expected[np.uint32(labels[np.uint32(indices[entry])])]
            total += residues[codes[entry]] * value
            totals[entry - begin + ONE] = total
    else:
        for entry in range(begin, end):
            total += residues[codes[entry]] * values[np.uint32(indices[entry])]
            totals[entry - begin + ONE] = total
    return total


@inlined
def _fingerprint_all(
    low: Integer, high: Integer, few: bool, rows: Rows, arrays: Sweeping, totals: UInt64s
) -> None:
    """Fingerprint the states low .. high-1 modulo 2^64, as differences of running totals."""
    indptr, prints = rows.indptr, arrays.prints
    begin, last = np.uint64(indptr[low]), np.uint64(indptr[high])
    total: Any = ZERO
    before: Any = ZERO
    state = np.uint64(low)
    while state < np.uint64(high):
        end = min(begin + np.uint64(len(totals) - 1), last)
        total = _sum_values(begin, end, total, few, rows, arrays, totals)
        while state < np.uint64(high) and np.uint64(indptr[state + ONE]) <= end:
            after = totals[np.uint64(indptr[state + ONE]) - begin]
            prints[state] = after - before
            if rows.closed:
                own = arrays.expected[arrays.labels[state]] if few else arrays.values[state]
                prints[state] -= arrays.leaving[state] * own
            before = after
            state += ONE
        begin = end


@compiled
def fingerprint(
    low: Integer, high: Integer, desk: Integer, count: Integer, rows: Rows, field: Field, arrays: Sweeping
) -> None:  # fmt: skip
    """Fingerprint the states low .. high-1 of `count` blocks; some that are alone are left out.

    Where rows are closed, ``leaving`` times the own value is what the understood diagonal adds, and a stored one is
    in both.  Whoever runs at the same time has another desk for running totals.
    """
    prints, alone, few = arrays.prints, arrays.alone, _are_few(count, field, arrays)
    for first in range(low, high, _TOGETHER):
        end = min(first + _TOGETHER, high)
        skipped = 0
        for state in range(first, end):
            skipped += alone[state]
        short = rows.indptr[end] - rows.indptr[first] < _LONG * (end - first)
        if few or (field.p == ZERO and short and 10 * skipped < 7 * (end - first)):
            _fingerprint_all(first, end, few, rows, arrays, arrays.totals[desk])
        elif skipped < end - first:
            for state in range(first, end):
                if not alone[state]:
                    total = _fingerprint_row(state, rows, field, arrays)
                    if rows.closed:
                        loss = multiply(arrays.leaving[state], arrays.values[state], field)
                        total = subtract_modulo(total, loss, field.p)
                    prints[state] = total


def sum_rows(
    look: Callable[[int, Rows, Field, Sweeping], object], rows: Rows, field: Field, arrays: Sweeping
) -> None:
    """Write the sum of each row, if rows are closed: what `look` finds as fingerprints if all states have the value 1."""
    if rows.closed:
        arrays.alone.fill(False)
        arrays.values.fill((1 << 64) % int(field.p) if field.p else 1)
        look(_FEW + 1, rows._replace(closed=False), field, arrays._replace(prints=arrays.leaving))


@inlined
def _vote(arrays: Sweeping) -> None:
    """Make the fingerprint that some states vote for, if it has a majority, that of the block's member."""
    labels, prints, alone, blocks = arrays.labels, arrays.prints, arrays.alone, arrays.blocks
    for state in range(0, len(alone), _STRIDE):
        if alone[state]:
            continue
        own = np.uint32(labels[state])
        votes = blocks[own, LARGEST]
        if votes == 0:
            blocks[own, MEMBER], blocks[own, LARGEST] = state, 1
        elif prints[np.uint32(blocks[own, MEMBER])] == prints[state]:
            blocks[own, LARGEST] = votes + np.uint32(1)
        else:
            blocks[own, LARGEST] = votes - np.uint32(1)
    for state in range(0, len(alone), _STRIDE):
        blocks[np.uint32(labels[state]), LARGEST] = 0


@inlined
def _choose_representatives(count: Integer, arrays: Sweeping) -> None:
    """Choose a representative of every block, and write down its fingerprint."""
    prints, blocks, expected = arrays.prints, arrays.blocks, arrays.expected
    for block in range(count):
        blocks[block, LARGEST], blocks[block, NAME] = 0, block
    if _STRIDE * count < len(prints):
        _vote(arrays)
    for block in range(count):
        expected[block] = prints[np.uint32(blocks[block, MEMBER])]


@inlined
def _find_different(arrays: Sweeping) -> Integer:
    """List the states that differ from the representative of their block; return how many there are.

    Without branches, which nothing could predict.
    """
    labels, prints, expected = arrays.labels, arrays.prints, arrays.expected
    different = arrays.different
    number: Any = np.int64(0)
    for state in range(len(labels)):
        different[number] = state  # overwritten by the next unless it counts
        number += np.int64(prints[state] != expected[np.uint32(labels[state])])
    return number


@inlined
def _look_ahead(place: Integer, last: np.uint64, arrays: Sweeping) -> None:
    """Ask for the slots, and the parts, of states that are listed further on."""
    labels, prints, different, slots = arrays.labels, arrays.prints, arrays.different, arrays.slots
    farther, far = np.uint32(different[place + 2 * _AHEAD]), np.uint32(different[place + _AHEAD])
    prefetch(slots, slot_of(prints[farther], np.uint64(np.uint32(labels[farther])), last))
    slot = slot_of(prints[far], np.uint64(np.uint32(labels[far])), last)
    prefetch(arrays.parts, np.uint32(slots[slot]))


@inlined
def _find_parts(listed: Integer, arrays: Sweeping) -> Integer:
    """Group the listed states by block and fingerprint; note the first of each part.  Return how many parts there are."""
    labels, prints, parts = arrays.labels, arrays.prints, arrays.parts
    different, part_of = arrays.different, arrays.prints
    last, found = last_slot(listed), np.int64(0)
    for place in range(listed):
        if last > _NEAR_SLOTS and place + 2 * _AHEAD < listed:
            _look_ahead(place, last, arrays)
        state = np.uint32(different[place])
        word = np.uint64(np.uint32(labels[state]))
        part = np.int64(add_to_part(prints[state], word, found, last, parts, arrays.slots))
        if part > found:
            found = part
            parts[part, NOTE] = state
        # The fingerprints of this place and those before are not needed any more.
        part_of[place] = part
    return found


@inlined
def _make_blocks(found: Integer, count: Integer, arrays: Sweeping) -> tuple[Integer, Integer]:
    """Make blocks of the parts; the largest part of a block keeps its name.

    A new block notes in LARGEST which block it was cut off.  Returns how many states have a new name, and how many are
    their whole block now.
    """
    parts, blocks, alone = arrays.parts, arrays.blocks, arrays.alone
    moved: Any = np.int64(0)
    lone: Any = np.int64(0)
    for part in range(1, found + 1):
        if part + _AHEAD <= found:
            prefetch(blocks, np.uint32(parts[part + _AHEAD, BLOCK]))
        old, block = np.uint32(parts[part, BLOCK]), np.uint32(count + part - 1)
        first, size = np.uint32(parts[part, NOTE]), np.int64(parts[part, COUNT])
        rest = np.int64(blocks[old, SIZE])
        blocks[block, MEMBER], blocks[block, SIZE] = first, size
        blocks[block, LARGEST], blocks[block, NAME] = old, block
        if size > rest and blocks[old, LARGEST] == part:
            blocks[block, NAME], blocks[old, NAME] = old, block
            moved += rest
        else:
            moved += size
        if size == 1:
            alone[first] = True
            lone += 1
        if rest == 1:
            member = np.uint32(blocks[old, MEMBER])
            lone += np.int64(not alone[member])
            alone[member] = True
    for part in range(1, found + 1):
        blocks[np.uint32(parts[part, BLOCK]), LARGEST] = 0
    return moved, lone


@compiled
def split(count: Integer, field: Field, arrays: Sweeping) -> tuple[Integer, Integer, Integer]:
    """Split all blocks by the fingerprints of their states; there are `count`.

    Returns the new number of blocks, how many states have a new name, and how many are their whole block from now on.
    """
    different, part_of = arrays.different, arrays.prints
    _choose_representatives(count, arrays)
    listed = _find_different(arrays)
    found = _find_parts(listed, arrays)
    measure_parts(found, arrays.blocks, arrays.parts, arrays.slots)
    moved, lone = _make_blocks(found, count, arrays)
    few = _are_few(count + found, field, arrays)
    for place in range(listed):
        state = np.uint32(different[place])
        new = np.int64(count) + np.int64(np.uint32(part_of[place])) - 1
        arrays.labels[state] = new
        if not few:
            arrays.values[state] = block_value(new, field)
    for block in range(count + found if few else 0):
        arrays.expected[block] = block_value(block, field)
    if not few and _are_few(count, field, arrays):
        for own in range(len(arrays.labels)):
            arrays.values[own] = block_value(np.uint32(arrays.labels[own]), field)
    return count + found, moved, lone


@compiled
def sweep_all(
    count: Integer, rows: Rows, field: Field, arrays: Sweeping
) -> tuple[Integer, Integer, Integer]:
    """Fingerprint all states, and return what `split` does."""
    fingerprint(FIRST, len(arrays.alone), FIRST, count, rows, field, arrays)
    return split(count, field, arrays)


@compiled
def canonical_labels(labels: UInt32s, alone: Bools, firsts: Int64s, number: Int32s) -> None:
    """Number blocks by first member in ``labels``, and write these members.

    States with the label `ALONE` are blocks too.  ``number``, with an entry for each other label, is scratch.
    """
    for block in range(len(number)):
        number[block] = -1
    used: Any = np.int64(0)
    for state in range(len(labels)):
        own = labels[state]
        if own == ALONE:
            alone[state] = True
            labels[state], firsts[used] = used, state
            used += 1
            continue
        if number[own] < 0:
            number[own], firsts[used] = used, state
            used += 1
        labels[state] = number[own]


def partition_of(labels: Int32s, count: int, alone: Bools) -> Partition:
    """Return the partition that labels give, in their memory; `ALONE` is marked in ``alone``."""
    firsts, number = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int32)
    canonical_labels(labels.view(np.uint32), alone, firsts, number)
    return Partition.from_canonical(labels, firsts)

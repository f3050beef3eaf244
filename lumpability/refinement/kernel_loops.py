"""The compiled passes of the kernel over all states: fingerprints, transposed rows, labels.

See `kernel` for what they compute and why, `kernel_arrays` for the arrays they share.

Indices that are known not to be negative are cast to unsigned types: numba then leaves out the test for
indices that count from the end, which takes up to half of the time of the inner loops.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_arrays import ALONE, MEMBER, NAME, SIZE, TOUCHED
from lumpability.refinement.kernel_compile import compiled, inlined, subroutine
from lumpability.refinement.kernel_field import (
    add_modulo,
    add_product,
    reduce_modulo,
    subtract_modulo,
)
from lumpability.refinement.kernel_split import are_few, write_values

__all__ = [
    "canonical_labels",
    "count_incoming",
    "fill",
    "fill_incoming",
    "fingerprint_rows",
    "sum_leaving",
]

ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
_TOGETHER = 1024  # states that are treated alike
_LONG = 40  # transitions in a row, after which its end may as well come as a surprise


@compiled
def fill(labels: Any, count: Any, field: Any, arrays: Any) -> Any:
    """Set up the arrays for a sweep from a partition given by labels 0 .. count-1.

    Returns how many states are their whole block.
    """
    alone, own_labels, blocks = arrays.alone, arrays.labels, arrays.blocks
    for number in range(count):
        blocks[number, SIZE], blocks[number, TOUCHED] = 0, 0
        blocks[number, NAME] = number
    # Neighbours are often of one block: odd ones are counted elsewhere, so that none waits for the other.
    for state in range(len(labels)):
        own = np.uint32(labels[state])
        blocks[own, TOUCHED if state & 1 else SIZE] += np.uint32(1)
        blocks[own, MEMBER] = state
        own_labels[state] = own
        alone[state] = False
    for number in range(count):
        blocks[number, SIZE] += blocks[number, TOUCHED]
        blocks[number, TOUCHED] = 0
    lone: Any = np.int64(0)
    for number in range(count):
        if blocks[number, SIZE] == 1:
            alone[np.uint32(blocks[number, MEMBER])] = True
            lone += 1
    write_values(count, field, arrays)
    return lone


@compiled
def canonical_labels(labels: Any, alone: Any, firsts: Any, number: Any) -> None:
    """Number blocks by first member in ``labels`` uint32 (n), and write these members.

    States with the label `ALONE` are blocks too.  ``number`` int32 (labels of others) is scratch.
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


@inlined
def _value(state: Any, few: Any, arrays: Any) -> Any:
    """Value of the block of a state."""
    return arrays.value_of[arrays.shorts[state]] if few else arrays.values[state]


@inlined
def _fingerprint(state: Any, few: Any, rows: Any, field: Any, arrays: Any) -> Any:
    """Sum of weight x value of the target's block."""
    indptr, indices, codes, table, closed = rows
    own, high, low, total = _value(state, few, arrays), ZERO, ZERO, ZERO
    entry, end = np.uint64(indptr[state]), np.uint64(indptr[state + 1])
    full = entry + np.uint64(field.step)
    while entry < end:
        value = _value(np.uint32(indices[entry]), few, arrays)
        weight = table[codes[entry]]
        if closed:  # w (value(u) - value(s)) brings in the diagonal and ignores a stored one
            value = subtract_modulo(value, own, field.p)
        if field.p == ZERO:
            total += weight * value
        else:
            if (
                entry == full
            ):  # at most `step` products at a time: only many large weights come here
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
    begin: Any, end: Any, total: Any, indices: Any, codes: Any, table: Any, values: Any, totals: Any
) -> Any:
    """Write the running total of weight x value of the target modulo 2^64, from `total` on; return the last.

    No row ends in between: a processor that is surprised by one forgets the memory it has asked for.
    """
    totals[0] = total
    for entry in range(begin, end):
        total += table[codes[entry]] * values[np.uint32(indices[entry])]
        totals[entry - begin + ONE] = total
    return total


@subroutine
def _sum_shorts(
    begin: Any, end: Any, total: Any, indices: Any, codes: Any, table: Any,
    shorts: Any, value_of: Any, totals: Any,
) -> Any:  # fmt: skip
    """Do the same, where targets have short numbers of blocks."""
    totals[0] = total
    for entry in range(begin, end):
        total += table[codes[entry]] * value_of[shorts[np.uint32(indices[entry])]]
        totals[entry - begin + ONE] = total
    return total


@subroutine
def _sum_weights(begin: Any, end: Any, total: Any, codes: Any, table: Any, totals: Any) -> Any:
    """Write the running total of the weights modulo 2^64."""
    totals[0] = total
    for entry in range(begin, end):
        total += table[codes[entry]]
        totals[entry - begin + ONE] = total
    return total


@inlined
def _fingerprint_all(
    low: Any, high: Any, few: Any, rows: Any, arrays: Any, totals: Any, leaving: Any
) -> None:
    """Fingerprint the states low .. high-1 modulo 2^64, as differences of running totals."""
    indptr, indices, codes, table, closed = rows
    prints = arrays.prints
    begin, last = np.uint64(indptr[low]), np.uint64(indptr[high])
    total: Any = ZERO
    left: Any = ZERO
    before: Any = ZERO
    before_left: Any = ZERO
    state = np.uint64(low)
    while state < np.uint64(high):
        end = min(begin + np.uint64(len(totals) - 1), last)
        if few:
            total = _sum_shorts(
                begin, end, total, indices, codes, table, arrays.shorts, arrays.value_of, totals
            )
        else:
            total = _sum_values(begin, end, total, indices, codes, table, arrays.values, totals)
        if closed:
            left = _sum_weights(begin, end, left, codes, table, leaving)
        while state < np.uint64(high) and np.uint64(indptr[state + ONE]) <= end:
            place = np.uint64(indptr[state + ONE]) - begin
            after = totals[place]
            fingerprint = after - before
            before = after
            if closed:  # w (value(u) - value(s)) brings in the diagonal and ignores a stored one
                after_left = leaving[place]
                fingerprint -= (after_left - before_left) * _value(state, few, arrays)
                before_left = after_left
            prints[state] = fingerprint
            state += ONE
        begin = end


@compiled
def fingerprint_rows(
    low: Any, high: Any, count: Any, desk: Any, rows: Any, field: Any, arrays: Any
) -> None:
    """Fingerprint the states low .. high-1 of `count` blocks, in memory order, but for some that are alone.

    Whoever runs at the same time has another desk.
    """
    prints, alone = arrays.prints, arrays.alone
    few = are_few(count, arrays)
    totals, leaving = arrays.totals[desk, 0], arrays.totals[desk, 1]
    for first in range(low, high, _TOGETHER):
        end = min(first + _TOGETHER, high)
        skipped = 0
        for state in range(first, end):
            skipped += alone[state]
        length = rows.indptr[end] - rows.indptr[first]
        short = length < _LONG * (end - first)
        if field.p == ZERO and short and 10 * skipped < 7 * (end - first):
            _fingerprint_all(first, end, few, rows, arrays, totals, leaving)
        elif skipped < end - first:
            for state in range(first, end):
                if not alone[state]:
                    prints[state] = _fingerprint(state, few, rows, field, arrays)


@compiled
def count_incoming(rows: Any, alone: Any, every: Any, pointers: Any) -> None:
    """Count what enters every state from those that still share a block, or from every state.

    ``pointers`` int (n + 2) receives where the row of each state begins, one place late: `fill_incoming`
    moves every pointer on to the end of its row, which is where the next begins.
    """
    indptr, indices = rows.indptr, rows.indices
    n = len(alone)
    for state in range(n + 2):
        pointers[state] = 0
    if every:  # in one loop, whose end is no surprise
        for position in range(len(indices)):
            pointers[np.uint32(indices[position]) + TWO] += 1
    else:
        for state in range(n):
            if not alone[state]:
                for position in range(np.uint64(indptr[state]), np.uint64(indptr[state + 1])):
                    pointers[np.uint32(indices[position]) + TWO] += 1
    for state in range(n):
        pointers[state + 2] += pointers[state + 1]


@compiled
def fill_incoming(
    rows: Any, alone: Any, every: Any, pointers: Any, bits: Any, entries: Any
) -> None:
    """Write the transposed rows: the source and the code of the weight of every entry, in one word."""
    indptr, indices, codes = rows.indptr, rows.indices, rows.codes
    for state in range(len(alone)):
        if every or not alone[state]:
            source = np.uint64(state) << bits
            for position in range(np.uint64(indptr[state]), np.uint64(indptr[state + 1])):
                target = np.uint32(indices[position]) + ONE
                entry = np.uint64(pointers[target])
                entries[entry] = source | np.uint64(codes[position])
                pointers[target] = entry + ONE


@compiled
def sum_leaving(rows: Any, field: Any, alone: Any, totals: Any) -> None:
    """Write the total weight modulo p of the transitions of each state to others: minus the implied diagonal.

    States that are alone need none.
    """
    indptr, indices, codes, table, _ = rows
    for state in range(len(totals)):
        total = ZERO
        if not alone[state]:
            for position in range(np.uint64(indptr[state]), np.uint64(indptr[state + 1])):
                if indices[position] != state:
                    total = add_modulo(total, table[codes[position]], field.p)
        totals[state] = total

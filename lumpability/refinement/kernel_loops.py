"""The compiled rounds of the kernel: fingerprints of all states, or of those that changes reach.

See `kernel` for what they compute and why, `kernel_arrays` for the arrays they share.

Indices that are known not to be negative are cast to unsigned types: numba then leaves out the test for
indices that count from the end, which takes up to half of the time of the inner loops.

Invariant of every round: states of one block had equal fingerprints when the round began.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from lumpability.refinement.kernel_arrays import BLOCK, END, PLACE, START, TOUCHED
from lumpability.refinement.kernel_field import (
    add_modulo,
    add_product,
    block_value,
    reduce_modulo,
    subtract_modulo,
)
from lumpability.refinement.kernel_split import split

__all__ = [
    "canonical_labels",
    "fill",
    "fingerprint_blocks",
    "fingerprint_rows",
    "incoming_rows",
    "leaving",
    "propagate",
]

ZERO, ONE = np.uint64(0), np.uint64(1)


@numba.njit(cache=True, nogil=True, _nrt=False)
def fill(labels: Any, count: Any, field: Any, arrays: Any) -> None:
    """Set up the arrays for a partition given by labels 0 .. count-1."""
    values, alone, spots = arrays.values, arrays.alone, arrays.spots
    order, blocks = arrays.order, arrays.blocks
    for number in range(count):
        blocks[number, START] = 0
        blocks[number, END] = 0
        blocks[number, TOUCHED] = 0
    for state in range(len(labels)):
        blocks[labels[state], END] += 1
    total = 0
    for number in range(count):
        size = blocks[number, END]
        blocks[number, START] = total
        blocks[number, END] = total
        total += size
    for state in range(len(labels)):
        number = labels[state]
        order[blocks[number, END]] = state
        blocks[number, END] += 1
        spots[state, BLOCK] = number
        values[state] = block_value(number, field.seed)
    for state in range(len(labels)):
        own = labels[state]
        alone[state] = blocks[own, END] - blocks[own, START] == 1


@numba.njit(cache=True, nogil=True)
def canonical_labels(count: Any, arrays: Any, labels: Any) -> None:
    """Write the block of every state, blocks numbered by first member."""
    spots = arrays.spots
    number = np.full(count, -1, dtype=np.int32)
    used = 0
    for state in range(len(labels)):
        block = spots[state, BLOCK]
        if number[block] < 0:
            number[block] = used
            used += 1
        labels[state] = number[block]


@numba.njit(inline="always")
def _fingerprint(
    state: Any,
    indptr: Any,
    indices: Any,
    codes: Any,
    table: Any,
    closed: Any,
    values: Any,
    field: Any,
) -> Any:
    """Sum of weight x value of the target's block; at most `step` products at a time."""
    own, total = values[state], ZERO
    high, low = ZERO, ZERO
    entry, end = np.uint64(indptr[state]), np.uint64(indptr[state + 1])
    full = entry + np.uint64(field.step)
    while entry < end:
        if entry == full:  # only rows of many large weights come here
            total = add_modulo(total, reduce_modulo(high, low, field.p, field.inverse), field.p)
            high, low = ZERO, ZERO
            full += np.uint64(field.step)
        value = values[np.uint32(indices[entry])]
        if closed:  # w (value(u) - value(s)) brings in the diagonal and ignores a stored one
            value = subtract_modulo(value, own, field.p)
        high, low = add_product(high, low, table[codes[entry]], value)
        entry += ONE
    return add_modulo(total, reduce_modulo(high, low, field.p, field.inverse), field.p)


@numba.njit(cache=True, nogil=True, _nrt=False)
def fingerprint_rows(low: Any, high: Any, rows: Any, field: Any, arrays: Any) -> None:
    """Fingerprint the states low .. high-1 that share a block, in memory order."""
    indptr, indices, codes, table, closed = rows
    prints, values, alone = arrays.prints, arrays.values, arrays.alone
    for state in range(low, high):
        if not alone[state]:
            prints[state] = _fingerprint(
                state, indptr, indices, codes, table, closed, values, field
            )


@numba.njit(cache=True, nogil=True, _nrt=False)
def fingerprint_blocks(low: Any, high: Any, rows: Any, field: Any, arrays: Any) -> None:
    """Fingerprint the states of blocks low .. high-1: faster when few states share a block."""
    indptr, indices, codes, table, closed = rows
    prints, values, order, blocks = arrays.prints, arrays.values, arrays.order, arrays.blocks
    for number in range(low, high):
        start, end = blocks[number, START], blocks[number, END]
        if end - start > 1:
            for position in range(start, end):
                state = order[position]
                prints[state] = _fingerprint(
                    state, indptr, indices, codes, table, closed, values, field
                )


@numba.njit(cache=True, nogil=True)
def incoming_rows(rows: Any, arrays: Any) -> Any:
    """Transpose the rows of the states that still share a block; the others will not split."""
    indptr, indices, codes, alone = rows.indptr, rows.indices, rows.codes, arrays.alone
    n = len(alone)
    pointers = np.zeros(n + 1, dtype=np.int64)
    for state in range(n):
        if not alone[state]:
            for position in range(indptr[state], indptr[state + 1]):
                pointers[np.uint32(indices[position]) + ONE] += 1
    for state in range(n):
        pointers[state + 1] += pointers[state]
    sources = np.empty(pointers[n], dtype=np.int32)
    source_codes = np.empty(pointers[n], dtype=codes.dtype)
    # Filling moves every pointer to the end of its row, the start of the next.
    for state in range(n):
        if not alone[state]:
            for position in range(indptr[state], indptr[state + 1]):
                target = np.uint32(indices[position])
                entry = np.uint64(pointers[target])
                sources[entry] = state
                source_codes[entry] = codes[position]
                pointers[target] += 1
    for state in range(n, 0, -1):
        pointers[state] = pointers[state - 1]
    pointers[0] = 0
    return pointers, sources, source_codes


@numba.njit(cache=True, nogil=True)
def leaving(rows: Any, field: Any) -> Any:
    """Total weight modulo p of the transitions of each state to others: minus the implied diagonal."""
    indptr, indices, codes, table = rows.indptr, rows.indices, rows.codes, rows.table
    totals = np.zeros(len(indptr) - 1, dtype=np.uint64)
    for state in range(len(totals)):
        total = ZERO
        for position in range(indptr[state], indptr[state + 1]):
            if indices[position] != state:
                total = add_modulo(total, table[codes[position]], field.p)
        totals[state] = total
    return totals


@numba.njit(inline="always")
def _touch(
    source: Any, weight: Any, change: Any, number: Any, field: Any,
    prints: Any, spots: Any, order: Any, blocks: Any, touched: Any,
) -> Any:  # fmt: skip
    """Add weight x change to a fingerprint; move the state to the touched front of its block.

    Returns the number of touched blocks.
    """
    high, low = add_product(ZERO, ZERO, weight, change)
    product = reduce_modulo(high, low, field.p, field.inverse)
    prints[source] = add_modulo(prints[source], product, field.p)
    own, here = np.uint32(spots[source, BLOCK]), np.uint32(spots[source, PLACE])
    already = blocks[own, TOUCHED]
    front = np.uint32(blocks[own, START] + already)
    if here < front:
        return number
    if already == 0:
        touched[number] = own
        number += 1
    other = np.uint32(order[front])
    order[front] = source
    order[here] = other
    spots[source, PLACE] = front
    spots[other, PLACE] = here
    blocks[own, TOUCHED] = already + 1
    return number


@numba.njit(cache=True, nogil=True, _nrt=False)
def propagate(
    count: Any, moved: Any, budget: Any, incoming: Any, totals: Any, field: Any, arrays: Any
) -> Any:
    """Run rounds that follow only what changed, until nothing does or the budget is spent.

    A fingerprint is linear in the values of blocks: when u moves to a block whose value differs by d,
    every predecessor s gains M[s, u] d (and u itself its diagonal entry times d, where rows are
    closed).  All rounds together cost O(m log n), because a state is renamed at most log2(n) times.

    Returns the number of blocks, of states renamed in the last round, and the work done.
    """
    indptr, sources, codes, table, closed = incoming
    prints, values, alone, spots, order, blocks, renamed, changes = arrays[:8]
    keys, group_keys, groups, slots, touched = arrays[8:]
    work = 0
    while moved > 0 and work < budget:
        number = 0
        for i in range(moved):
            target, change = np.uint32(renamed[i]), changes[i]
            begin, end = indptr[target], indptr[target + 1]
            for position in range(begin, end):
                source = np.uint32(sources[np.uint64(position)])
                if alone[source] or (closed and source == target):
                    continue
                weight = table[codes[np.uint64(position)]]
                number = _touch(
                    source, weight, change, number, field, prints, spots, order, blocks, touched
                )
            if closed and not alone[target]:
                weight = subtract_modulo(ZERO, totals[target], field.p)
                number = _touch(
                    target, weight, change, number, field, prints, spots, order, blocks, touched
                )
            work += end - begin + 1
        moved = 0
        for i in range(number):
            block = np.uint32(touched[i])
            start = blocks[block, START]
            touched_end = start + blocks[block, TOUCHED]
            blocks[block, TOUCHED] = 0
            count, moved = split(
                block, touched_end, count, moved, False, field,
                prints, values, alone, spots, order, blocks, renamed, changes,
                keys, group_keys, groups, slots,
            )  # fmt: skip
            for position in range(start, touched_end):
                spots[np.uint32(order[position]), PLACE] = position
            work += touched_end - start
    return count, moved, work

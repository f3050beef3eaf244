"""The compiled passes of the kernel over all states: fingerprints, transposed rows, labels.

See `kernel` for what they compute and why, `kernel_arrays` for the arrays they share.

Indices that are known not to be negative are cast to unsigned types: numba then leaves out the test for
indices that count from the end, which takes up to half of the time of the inner loops.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_arrays import BLOCK, NAME, PRINT, SIZE, START, TOUCHED
from lumpability.refinement.kernel_compile import allocating, compiled, inlined
from lumpability.refinement.kernel_field import (
    SPREAD,
    add_modulo,
    add_product,
    block_value,
    reduce_modulo,
    subtract_modulo,
)
from lumpability.refinement.kernel_prefetch import FAR, is_far, prefetch
from lumpability.refinement.kernel_split import HIGH_HALF, leave_alone

__all__ = [
    "canonical_labels",
    "count_incoming",
    "fill",
    "fill_incoming",
    "fingerprint_blocks",
    "fingerprint_rows",
    "leaving",
]

ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)


@compiled
def fill(labels: Any, count: Any, field: Any, arrays: Any) -> None:
    """Set up the arrays for a partition given by labels 0 .. count-1."""
    values, alone, cells = arrays.values, arrays.alone, arrays.cells
    order, blocks, value_of = arrays.order, arrays.blocks, arrays.keys
    for number in range(count):
        value_of[number] = block_value(number, field)
        blocks[number, SIZE] = 0
        blocks[number, NAME] = number
    # Neighbours are often of one block: what counts them stays in a register.
    last: Any = np.uint32(0)
    run: Any = np.uint32(0)
    for state in range(len(labels)):
        own = np.uint32(labels[state])
        if own != last:
            blocks[last, SIZE] += run
            last, run = own, np.uint32(0)
        run += np.uint32(1)
    blocks[last, SIZE] += run
    total: Any = np.uint32(0)
    for number in range(count):
        blocks[number, START] = total
        blocks[number, TOUCHED] = total  # where its next state comes
        total += np.uint32(blocks[number, SIZE])
    last, place = np.uint32(0), blocks[0, TOUCHED]
    for state in range(len(labels)):
        own = np.uint32(labels[state])
        if own != last:
            blocks[last, TOUCHED] = place
            last, place = own, blocks[own, TOUCHED]
        order[np.uint32(place)] = state
        cells[state, PRINT] = ZERO
        cells[state, BLOCK] = own
        values[state] = value_of[own]
        alone[state] = False
        place += np.uint32(1)
    for number in range(count):
        blocks[number, TOUCHED] = 0
        if blocks[number, SIZE] == 1:
            leave_alone(np.uint32(order[blocks[number, START]]), arrays)


@allocating
def canonical_labels(count: Any, arrays: Any, labels: Any, firsts: Any) -> None:
    """Write the block of every state, blocks numbered by first member, and these members."""
    cells = arrays.cells
    number = np.full(count, -1, dtype=np.int32)
    used = 0
    for state in range(len(labels)):
        block = np.uint32(cells[state, BLOCK])
        if number[block] < 0:
            number[block] = used
            firsts[used] = state
            used += 1
        labels[state] = number[block]


@inlined
def _fingerprint(state: Any, rows: Any, values: Any, field: Any) -> Any:
    """Sum of weight x value of the target's block."""
    indptr, indices, codes, table, closed = rows
    own, high, low, total = values[state], ZERO, ZERO, ZERO
    entry, end = np.uint64(indptr[state]), np.uint64(indptr[state + 1])
    full = entry + np.uint64(field.step)
    far = is_far(len(values))
    while entry < end:
        if far and entry + FAR < np.uint64(len(indices)):
            prefetch(values, np.uint32(indices[entry + FAR]))
        value = values[np.uint32(indices[entry])]
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
    total = add_modulo(total, reduce_modulo(high, low, field.p, field.inverse), field.p)
    return total << TWO


@compiled
def fingerprint_rows(low: Any, high: Any, rows: Any, field: Any, arrays: Any) -> None:
    """Fingerprint the states low .. high-1 that share a block, in memory order."""
    cells, values, alone = arrays.cells, arrays.values, arrays.alone
    for state in range(low, high):
        if not alone[state]:
            cells[state, PRINT] = _fingerprint(state, rows, values, field)


@compiled
def fingerprint_blocks(low: Any, high: Any, rows: Any, field: Any, arrays: Any) -> None:
    """Fingerprint the states of blocks low .. high-1: faster when few states share a block."""
    cells, values, order, blocks = arrays.cells, arrays.values, arrays.order, arrays.blocks
    for number in range(low, high):
        start, size = np.uint64(blocks[number, START]), np.uint64(blocks[number, SIZE])
        if size > ONE:
            for position in range(start, start + size):
                state = np.uint32(order[position])
                cells[state, PRINT] = _fingerprint(state, rows, values, field)


@compiled
def count_incoming(rows: Any, alone: Any, pointers: Any) -> None:
    """Count what enters every state from those that still share a block; the others will not split.

    ``pointers`` int (n + 2) receives where the row of each state begins, one place late: `fill_incoming`
    moves every pointer on to the end of its row, which is where the next begins.
    """
    indptr, indices = rows.indptr, rows.indices
    n = len(alone)
    for state in range(n + 2):
        pointers[state] = 0
    for state in range(n):
        if not alone[state]:
            for position in range(np.uint64(indptr[state]), np.uint64(indptr[state + 1])):
                pointers[np.uint32(indices[position]) + TWO] += 1
    for state in range(n):
        pointers[state + 2] += pointers[state + 1]


@compiled
def fill_incoming(rows: Any, alone: Any, pointers: Any, bits: Any, entries: Any) -> None:
    """Write the transposed rows: the source and the code of the weight of every entry, in one word."""
    indptr, indices, codes = rows.indptr, rows.indices, rows.codes
    for state in range(len(alone)):
        if not alone[state]:
            source = np.uint64(state) << bits
            for position in range(np.uint64(indptr[state]), np.uint64(indptr[state + 1])):
                target = np.uint32(indices[position]) + ONE
                entry = np.uint64(pointers[target])
                entries[entry] = source | np.uint64(codes[position])
                pointers[target] = entry + ONE


@allocating
def leaving(rows: Any, field: Any, arrays: Any) -> Any:
    """Total weight modulo p of the transitions of each state to others: minus the implied diagonal.

    Cells receive a hash of it; states that are alone need none.
    """
    indptr, indices, codes, table, closed = rows
    cells, alone = arrays.cells, arrays.alone
    totals = np.empty(len(indptr) - 1 if closed else 0, dtype=np.uint64)
    for state in range(len(totals)):
        if alone[state]:
            continue
        total = ZERO
        for position in range(np.uint64(indptr[state]), np.uint64(indptr[state + 1])):
            if indices[position] != state:
                total = add_modulo(total, table[codes[position]], field.p)
        totals[state] = total
        own = np.uint64(np.uint32(cells[state, BLOCK]))
        cells[state, BLOCK] = own | ((total * SPREAD) & HIGH_HALF)
    return totals

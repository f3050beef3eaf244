"""The compiled rounds of the kernel: fingerprints of all states, or of those that changes reach.

See `kernel` for what they compute and why, `kernel_arrays` for the arrays they share.

Indices that are known not to be negative are cast to unsigned types: numba then leaves out the test for
indices that count from the end, which takes up to half of the time of the inner loops.

Invariant of every round: states of one block had equal fingerprints when the round began.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_arrays import (
    ALONE,
    END,
    MARKED,
    OLD,
    PRINT,
    SPOT,
    START,
    TOUCHED,
)
from lumpability.refinement.kernel_compile import allocating, compiled, inlined
from lumpability.refinement.kernel_field import (
    add_modulo,
    add_product,
    block_value,
    reduce_modulo,
    subtract_modulo,
)
from lumpability.refinement.kernel_prefetch import FAR, is_far, prefetch
from lumpability.refinement.kernel_split import find_parts, leave_alone, spot

__all__ = [
    "canonical_labels",
    "count_incoming",
    "fill",
    "fill_incoming",
    "fill_values",
    "fingerprint_blocks",
    "fingerprint_rows",
    "leaving",
    "propagate",
]

_AHEAD = 8  # states
LOW_HALF = np.uint64(2**32 - 1)
ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
FIRST = np.int64(0)  # typed, as a plain one would compile one more version


@compiled
def fill(labels: Any, count: Any, field: Any, arrays: Any) -> None:
    """Set up the arrays for a partition given by labels 0 .. count-1."""
    values, alone, cells = arrays.values, arrays.alone, arrays.cells
    order, blocks, value_of = arrays.order, arrays.blocks, arrays.keys
    for number in range(count):
        value_of[number] = block_value(number, field.seed)
        blocks[number, START] = 0
        blocks[number, END] = 0
        blocks[number, TOUCHED] = 0
    # Neighbours are often of one block: what counts them stays in a register.
    last: Any = np.uint32(0)
    run: Any = np.int32(0)
    for state in range(len(labels)):
        own = np.uint32(labels[state])
        if own != last:
            blocks[last, END] += run
            last, run = own, np.int32(0)
        run += np.int32(1)
    blocks[last, END] += run
    total: Any = np.int32(0)
    for number in range(count):
        size = blocks[number, END]
        blocks[number, START] = total
        blocks[number, END] = total
        total += size
    last, place = np.uint32(0), blocks[0, END]
    for state in range(len(labels)):
        own = np.uint32(labels[state])
        if own != last:
            blocks[last, END] = place
            last, place = own, blocks[own, END]
        order[np.uint32(place)] = state
        cells[state, PRINT] = ZERO
        cells[state, SPOT] = spot(own, place)
        values[state] = value_of[own]
        alone[state] = False
        place += np.int32(1)
    blocks[last, END] = place
    for number in range(count):
        if blocks[number, END] - blocks[number, START] == 1:
            leave_alone(np.uint32(order[blocks[number, START]]), arrays)


@compiled
def fill_values(field: Any, arrays: Any) -> None:
    """Write the value of every state's block, which propagation leaves as it was."""
    cells, values = arrays.cells, arrays.values
    for state in range(len(values)):
        values[state] = block_value(np.uint32(cells[state, SPOT]), field.seed)


@allocating
def canonical_labels(count: Any, arrays: Any, labels: Any, firsts: Any) -> None:
    """Write the block of every state, blocks numbered by first member, and these members."""
    cells = arrays.cells
    number = np.full(count, -1, dtype=np.int32)
    used = 0
    for state in range(len(labels)):
        block = np.uint32(cells[state, SPOT])
        if number[block] < 0:
            number[block] = used
            firsts[used] = state
            used += 1
        labels[state] = number[block]


@inlined
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
    far = is_far(len(values))
    while entry < end:
        if entry == full:  # only rows of many large weights come here
            total = add_modulo(total, reduce_modulo(high, low, field.p, field.inverse), field.p)
            high, low = ZERO, ZERO
            full += np.uint64(field.step)
        if far and entry + FAR < np.uint64(len(indices)):
            prefetch(values, np.uint32(indices[entry + FAR]))
        value = values[np.uint32(indices[entry])]
        if closed:  # w (value(u) - value(s)) brings in the diagonal and ignores a stored one
            value = subtract_modulo(value, own, field.p)
        high, low = add_product(high, low, table[codes[entry]], value)
        entry += ONE
    return add_modulo(total, reduce_modulo(high, low, field.p, field.inverse), field.p)


@compiled
def fingerprint_rows(low: Any, high: Any, rows: Any, field: Any, arrays: Any) -> None:
    """Fingerprint the states low .. high-1 that share a block, in memory order."""
    indptr, indices, codes, table, closed = rows
    cells, values, alone = arrays.cells, arrays.values, arrays.alone
    for state in range(low, high):
        if not alone[state]:
            cells[state, PRINT] = _fingerprint(
                state, indptr, indices, codes, table, closed, values, field
            )


@compiled
def fingerprint_blocks(low: Any, high: Any, rows: Any, field: Any, arrays: Any) -> None:
    """Fingerprint the states of blocks low .. high-1: faster when few states share a block."""
    indptr, indices, codes, table, closed = rows
    cells, values, order, blocks = arrays.cells, arrays.values, arrays.order, arrays.blocks
    for number in range(low, high):
        start, end = blocks[number, START], blocks[number, END]
        if end - start > 1:
            for position in range(start, end):
                state = np.uint32(order[position])
                cells[state, PRINT] = _fingerprint(
                    state, indptr, indices, codes, table, closed, values, field
                )


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


@inlined
def _touch(source: Any, weight: Any, change: Any, number: Any, field: Any, arrays: Any) -> Any:
    """Add weight x change to a fingerprint, and list the state if it is marked for the first time.

    Returns how many states are listed.  Without branches, which nothing could predict.
    """
    cells, touched = arrays.cells, arrays.touched
    high, low = add_product(ZERO, ZERO, weight, change)
    product = reduce_modulo(high, low, field.p, field.inverse)
    word = cells[source, PRINT]
    fingerprint = add_modulo(word & (MARKED - ONE), product, field.p)
    cells[source, PRINT] = fingerprint | MARKED | (word & ALONE)
    touched[number] = source  # overwritten by the next unless it counts
    return number + np.int64(word < MARKED)


@inlined
def _look_ahead(i: Any, moved: Any, renamed: Any, indptr: Any, entries: Any) -> None:
    """Ask for what the next states need: rows are short and lie anywhere."""
    if i + 2 * _AHEAD < moved:
        prefetch(indptr, np.uint32(renamed[i + 2 * _AHEAD]))
    if i + _AHEAD < moved:
        prefetch(entries, np.uint64(indptr[np.uint32(renamed[i + _AHEAD])]))


@inlined
def _gather(number: Any, arrays: Any) -> Any:
    """Move the touched states to the front of their blocks, and list these blocks in their place."""
    cells, order, blocks, touched = arrays.cells, arrays.order, arrays.blocks, arrays.touched
    listed: Any = 0
    for i in range(number):
        if i + _AHEAD < number:  # the mark was set in the same line of memory, so it is near
            ahead = cells[np.uint32(touched[i + _AHEAD]), SPOT]
            prefetch(blocks, ahead & LOW_HALF)
            prefetch(order, ahead >> np.uint64(32))
        state = np.uint32(touched[i])
        cells[state, PRINT] &= MARKED - ONE
        word = cells[state, SPOT]
        own, here = np.uint32(word), np.uint32(word >> np.uint64(32))
        already = blocks[own, TOUCHED]
        touched[listed] = own
        listed += np.int64(already == 0)
        blocks[own, TOUCHED] = already + 1
        front = np.uint32(blocks[own, START] + already)
        other = np.uint32(order[front])
        order[here] = other
        order[front] = state
        cells[other, SPOT] = spot(own, here)
        cells[state, SPOT] = spot(own, front)
    return listed


@inlined
def _list_states(first: Any, last: Any, moved: Any, arrays: Any) -> Any:
    """Write blocks first .. last-1 into their states, and list these; return the length of the list."""
    cells, blocks, order, renamed = arrays.cells, arrays.blocks, arrays.order, arrays.renamed
    for block in range(first, last):
        low, high = np.uint64(blocks[block, START]), np.uint64(blocks[block, END])
        for position in range(low, high):
            state = np.uint32(order[position])
            cells[state, SPOT] = spot(block, position)
            renamed[moved] = state
            moved += 1
        if high - low == ONE:
            leave_alone(np.uint32(order[low]), arrays)
    return moved


@inlined
def _follow(fresh: Any, count: Any, moved: Any, incoming: Any, field: Any, arrays: Any) -> Any:
    """Change the fingerprints that the listed states changed; return how many are touched, and the work."""
    indptr, entries, bits, table, totals, closed = incoming
    code = (ONE << bits) - ONE
    alone, blocks, renamed = arrays.alone, arrays.blocks, arrays.renamed
    number: Any = 0
    work: Any = 0
    listed: Any = 0
    for block in range(fresh, count):
        value = block_value(block, field.seed)
        before = block_value(blocks[block, OLD], field.seed)
        change = subtract_modulo(value, before, field.p)
        last = listed + np.int64(blocks[block, END] - blocks[block, START])
        while listed < last:
            _look_ahead(listed, moved, renamed, indptr, entries)
            target = np.uint32(renamed[listed])
            listed += 1
            begin, end = np.uint64(indptr[target]), np.uint64(indptr[target + ONE])
            for entry in range(begin, end):
                word = np.uint64(entries[entry])
                source = word >> bits
                if closed and source == target:
                    continue
                weight = table[word & code]
                number = _touch(source, weight, change, number, field, arrays)
            if closed and not alone[target]:
                weight = subtract_modulo(ZERO, totals[target], field.p)
                number = _touch(target, weight, change, number, field, arrays)
            work += np.int64(end - begin) + 1
    return number, work + number


@inlined
def _split_touched(number: Any, count: Any, arrays: Any) -> Any:
    """Split the blocks of the touched states; return the new number of blocks, and how many states moved."""
    blocks, touched = arrays.blocks, arrays.touched
    moved: Any = 0
    for i in range(_gather(number, arrays)):
        block = np.uint32(touched[i])
        touched_end = np.int64(blocks[block, START] + blocks[block, TOUCHED])
        blocks[block, TOUCHED] = 0
        found = find_parts(block, touched_end, FIRST, count, arrays)
        moved = _list_states(count, found, moved, arrays)
        count = found
    return count, moved


@compiled
def propagate(
    fresh: Any, count: Any, moved: Any, limit: Any, budget: Any,
    incoming: Any, field: Any, arrays: Any,
) -> Any:  # fmt: skip
    """Run rounds that follow only what changed, while 0 < moved <= limit, until the budget is spent.

    A fingerprint is linear in the values of blocks: when u moves to a block whose value differs by d,
    every predecessor s gains M[s, u] d (and u itself its diagonal entry times d, where rows are
    closed).  All rounds together cost O(m log n), because a state is renamed at most log2(n) times.

    What moved are the states of the blocks fresh .. count-1, `moved` of them.  Returns these three after the
    last round.
    """
    _list_states(fresh, count, FIRST, arrays)
    spent: Any = 0
    while 0 < moved <= limit and spent < budget:
        number, work = _follow(fresh, count, moved, incoming, field, arrays)
        spent += work
        fresh = count
        count, moved = _split_touched(number, count, arrays)
    return fresh, count, moved

"""The compiled loops of the kernel.  See `kernel` for what they compute and why.

For n states and m transitions; loops take these bundles of arrays:

* `Rows`: ``indptr`` int64 (n + 1), ``indices`` int32 (m), ``codes`` uint (m); ``table`` uint64 holds the residue
  of every distinct weight modulo p.  If ``closed``, diagonal entries are ignored and every row is
  understood to have the one that makes it sum to zero.
* `Field`: the prime p, its Montgomery inverse, the seed of block values, and how many products of a
  weight and a value may be summed before they must be reduced.
* `Arrays`: per state its fingerprint (``prints``), the value of its block (``values``, kept by sweeps),
  whether it is its whole block (``alone``; such states cannot split and are skipped), and in ``spots``
  its block and its place in ``order``; per block in ``blocks`` its range of ``order`` and how many of its
  states were touched; ``renamed`` and ``changes``: the states that moved to another block in this
  round, and the difference of the two values; ``keys``, ``group_keys``, ``groups``, ``slots``, ``touched``: room
  for grouping and for lists of blocks.

Indices that are known not to be negative are cast to unsigned types: numba then leaves out the test for
indices that count from the end, which takes up to half of the time of the inner loops.

Invariant of every round: states of one block had equal fingerprints when the round began.
What is used together lies together in memory: one cache miss instead of three.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from lumpability.refinement.kernel_field import (
    add_modulo,
    add_product,
    block_value,
    reduce_modulo,
    subtract_modulo,
)

__all__ = [
    "Arrays",
    "Field",
    "Rows",
    "canonical_labels",
    "fill",
    "fingerprint_blocks",
    "fingerprint_rows",
    "incoming_rows",
    "leaving",
    "propagate",
    "split_all",
]

BLOCK, PLACE = 0, 1  # columns of spots
START, END, TOUCHED = 0, 1, 2  # columns of blocks
GROUP, MEMBER = 0, 2  # further columns of groups, beside END
ZERO, ONE = np.uint64(0), np.uint64(1)
_SMALL = 24


class Rows(NamedTuple):
    """Compressed rows; see the module."""

    indptr: Any
    indices: Any
    codes: Any
    table: Any
    closed: bool


class Field(NamedTuple):
    """A prime field and pseudo-random values in it; see the module."""

    p: np.uint64
    inverse: np.uint64
    seed: np.uint64
    step: int


class Arrays(NamedTuple):
    """The state of a refinement; see the module."""

    prints: Any
    values: Any
    alone: Any
    spots: Any
    order: Any
    blocks: Any
    renamed: Any
    changes: Any
    keys: Any
    group_keys: Any
    groups: Any
    slots: Any
    touched: Any


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


@numba.njit(inline="always")
def _group(
    low: Any, high: Any, order: Any, keys: Any, group_keys: Any, groups: Any, slots: Any
) -> None:
    """Permute ``order[low:high]`` and ``keys[low:high]`` so that equal keys stand together.

    Few states are sorted by insertion.  Many are counted by key in a hash table of open addressing, in
    expected time O(high - low); keys are pseudo-random, so their low bits serve as the hash.  Groups
    stand in order of first occurrence.
    """
    first, middle, last = keys[low], keys[(low + high) // 2], keys[high - 1]
    if high - low > _SMALL and (first == middle or middle == last or first == last):
        # Probably most keys are equal: one pass that sets them aside is cheapest.
        common = middle if middle == last else first
        i = low
        while i < high:
            if keys[i] == common:
                high -= 1
                keys[i], keys[high] = keys[high], keys[i]
                order[i], order[high] = order[high], order[i]
            else:
                i += 1
    if high - low <= _SMALL:
        for i in range(low + 1, high):
            key, state, j = keys[i], order[i], i
            while j > low and keys[j - 1] > key:
                keys[j], order[j] = keys[j - 1], order[j - 1]
                j -= 1
            keys[j], order[j] = key, state
    else:
        size = 64
        while 2 * size < 3 * (high - low):
            size *= 2
        for i in range(size):
            slots[i] = -1
        found = 0
        for i in range(low, high):
            key = keys[i]
            place = np.int64(key & np.uint64(size - 1))
            while slots[place] >= 0 and group_keys[slots[place]] != key:
                place = (place + 1) & (size - 1)
            group = slots[place]
            if group < 0:
                group = found
                slots[place] = group
                group_keys[group] = key
                groups[group, END] = 0
                found += 1
            groups[i - low, GROUP] = group
            groups[group, END] += 1
        total = low
        for group in range(found):
            total += groups[group, END]
            groups[group, END] = total
        # Filling from behind turns every end into the start of its group.
        for i in range(high - 1, low - 1, -1):
            group = groups[i - low, GROUP]
            groups[group, END] -= 1
            groups[groups[group, END] - low, MEMBER] = order[i]
        for i in range(low, high):
            order[i] = groups[i - low, MEMBER]
        end = high
        for group in range(found - 1, -1, -1):
            for i in range(groups[group, END], end):
                keys[i] = group_keys[group]
            end = groups[group, END]


@numba.njit(inline="always")
def _rename(
    low: Any, high: Any, old: Any, count: Any, moved: Any, sweeping: Any, field: Any,
    values: Any, alone: Any, spots: Any, order: Any, blocks: Any, renamed: Any, changes: Any,
) -> Any:  # fmt: skip
    """Make ``order[low:high]`` block number `count`; returns how many states have been renamed."""
    blocks[count, START] = low
    blocks[count, END] = high
    blocks[count, TOUCHED] = 0
    value = block_value(count, field.seed)
    change = subtract_modulo(value, block_value(old, field.seed), field.p)
    for position in range(low, high):
        state = np.uint32(order[position])
        spots[state, BLOCK] = count
        if sweeping:
            values[state] = value
        renamed[moved] = state
        changes[moved] = change
        moved += 1
    if high - low == 1:
        alone[order[low]] = True
    return moved


@numba.njit(inline="always")
def _split(
    number: Any, touched_end: Any, count: Any, moved: Any, sweeping: Any, field: Any,
    prints: Any, values: Any, alone: Any, spots: Any, order: Any, blocks: Any, renamed: Any,
    changes: Any, keys: Any, group_keys: Any, groups: Any, slots: Any,
) -> Any:  # fmt: skip
    """Split one block by fingerprints; states from `touched_end` on have the block's old one.

    The largest part keeps the number, so that a state is renamed at most log2(n) times.
    Returns the new numbers of blocks and of renamed states.
    """
    start, end = blocks[number, START], blocks[number, END]
    if touched_end < end:
        # Touched states whose fingerprint came out as before join the untouched ones.
        common = prints[np.uint32(order[touched_end])]
        position = start
        while position < touched_end:
            if prints[np.uint32(order[position])] == common:
                touched_end -= 1
                order[position], order[touched_end] = order[touched_end], order[position]
            else:
                position += 1
        if touched_end == start:
            return count, moved
    first = prints[order[start]]
    same = True
    for position in range(start, touched_end):
        keys[position] = prints[np.uint32(order[position])]
        same = same and keys[position] == first
    if same and touched_end == end:
        return count, moved
    if not same:
        _group(start, touched_end, order, keys, group_keys, groups, slots)
    # Find the largest part; the untouched states are the last part.
    best_low, best_high = touched_end, end
    low = start
    while low < touched_end:
        high = low + 1
        while high < touched_end and keys[high] == keys[low]:
            high += 1
        if high - low > best_high - best_low:
            best_low, best_high = low, high
        low = high
    low = start
    while low < end:
        high = low + 1
        if low == best_low:
            high = best_high
        elif low == touched_end:
            high = end
        else:
            while high < touched_end and keys[high] == keys[low]:
                high += 1
        if low != best_low:
            moved = _rename(
                low,
                high,
                number,
                count,
                moved,
                sweeping,
                field,
                values,
                alone,
                spots,
                order,
                blocks,
                renamed,
                changes,
            )
            count += 1
        low = high
    blocks[number, START] = best_low
    blocks[number, END] = best_high
    if best_high - best_low == 1:
        alone[order[best_low]] = True
    return count, moved


@numba.njit(cache=True, nogil=True, _nrt=False)
def split_all(count: Any, field: Any, arrays: Any) -> Any:
    """Split every block by freshly computed fingerprints; returns numbers of blocks and of moves."""
    prints, values, alone, spots, order, blocks, renamed, changes = arrays[:8]
    keys, group_keys, groups, slots, _ = arrays[8:]
    moved = 0
    for number in range(count):
        end = blocks[number, END]
        if end - blocks[number, START] > 1:
            count, moved = _split(
                number, end, count, moved, True, field,
                prints, values, alone, spots, order, blocks, renamed, changes,
                keys, group_keys, groups, slots,
            )  # fmt: skip
    return count, moved


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
            count, moved = _split(
                block, touched_end, count, moved, False, field,
                prints, values, alone, spots, order, blocks, renamed, changes,
                keys, group_keys, groups, slots,
            )  # fmt: skip
            for position in range(start, touched_end):
                spots[np.uint32(order[position]), PLACE] = position
            work += touched_end - start
    return count, moved, work

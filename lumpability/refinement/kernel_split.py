"""How the kernel splits blocks: states are grouped by fingerprint, and all groups but one renamed.

Fingerprints that are equal stand for equal sums into every block (or for a collision, which is found
later).  Grouping takes expected time proportional to the states; the largest group keeps the number of
the block.  Finding the parts of blocks and renaming them are two steps, so that many blocks can be
split at the same time: between them it is settled which numbers the parts of each will have, and the
result does not depend on the number of threads.  See `kernel_arrays` for the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_arrays import ALONE, END, PRINT, SPOT, START, TOUCHED
from lumpability.refinement.kernel_compile import compiled, inlined, subroutine
from lumpability.refinement.kernel_field import block_value, subtract_modulo

__all__ = [
    "cut_blocks",
    "find_parts",
    "find_parts_of_blocks",
    "group_by_key",
    "rename_parts",
    "spot",
]

GROUP, MEMBER = 0, 2  # further columns of groups, beside END
LOW, HIGH, OLD = 0, 1, 2  # columns of parts
_SMALL = 24


@inlined
def spot(block: Any, place: Any) -> Any:
    """Return the number of a block and a place in `order` as one word."""
    return np.uint64(np.uint32(block)) | (np.uint64(np.uint32(place)) << np.uint64(32))


@subroutine
def group_by_key(
    low: Any, high: Any, order: Any, keys: Any, group_keys: Any, groups: Any, slots: Any
) -> None:
    """Permute ``order[low:high]`` and their keys so that equal keys stand together.

    A few are sorted, by insertion.  Many are counted by key in a hash table of open addressing; keys are
    pseudo-random, so their low bits serve as the hash, and groups stand in order of first occurrence.
    Works in the parts of the scratch arrays that belong to low .. high-1: ``group_keys`` (n), ``groups``
    (n, 3) and ``slots`` (3 n).
    """
    if high - low <= _SMALL:
        for i in range(low + 1, high):
            key, state, j = keys[i], order[i], i
            while j > low and keys[j - 1] > key:
                keys[j], order[j] = keys[j - 1], order[j - 1]
                j -= 1
            keys[j], order[j] = key, state
        return
    size = 64
    while 2 * size <= 3 * (high - low):
        size *= 2
    table = 3 * low
    for i in range(table, table + size):
        slots[i] = -1
    found = low
    for i in range(low, high):
        key = keys[i]
        place = np.int64(key & np.uint64(size - 1))
        while slots[table + place] >= 0 and group_keys[slots[table + place]] != key:
            place = (place + 1) & (size - 1)
        group = slots[table + place]
        if group < 0:
            group = found
            slots[table + place] = group
            group_keys[group] = key
            groups[group, END] = 0
            found += 1
        groups[i, GROUP] = group
        groups[group, END] += 1
    total = low
    for group in range(low, found):
        total += groups[group, END]
        groups[group, END] = total
    # Filling from behind turns every end into the start of its group.
    for i in range(high - 1, low - 1, -1):
        group = groups[i, GROUP]
        groups[group, END] -= 1
        groups[groups[group, END], MEMBER] = order[i]
    for i in range(low, high):
        order[i] = groups[i, MEMBER]
    end = high
    for group in range(found - 1, low - 1, -1):
        for i in range(groups[group, END], end):
            keys[i] = group_keys[group]
        end = groups[group, END]


@inlined
def find_parts(number: Any, touched_end: Any, found: Any, arrays: Any) -> Any:
    """Find the parts of one block; its states from `touched_end` on have the block's old fingerprint.

    All parts but the largest, which keeps the number, are listed in ``parts`` from `found` on, to be renamed:
    so a state is renamed at most log2(n) times.  Returns the end of the list.
    """
    cells, order, blocks, keys = arrays.cells, arrays.order, arrays.blocks, arrays.keys
    parts = arrays.parts
    start, end = blocks[number, START], blocks[number, END]
    for position in range(start, touched_end):
        keys[position] = cells[np.uint32(order[position]), PRINT]
    if touched_end < end:
        common = cells[np.uint32(order[touched_end]), PRINT]
    else:  # probably the most frequent one; any would do
        common, last = keys[start], keys[end - 1]
        if keys[(start + end) // 2] == last:
            common = last
    # Those with another fingerprint move to the front.
    front = start
    for position in range(start, touched_end):
        if keys[position] != common:
            if position != front:
                state, other = np.uint32(order[position]), np.uint32(order[front])
                order[front], order[position] = state, other
                keys[front], keys[position] = keys[position], keys[front]
                cells[other, SPOT] = spot(number, position)
            front += 1
    if front == start:
        return found
    group_by_key(
        np.int64(start),
        np.int64(front),
        order,
        keys,
        arrays.group_keys,
        arrays.groups,
        arrays.slots,
    )
    largest_low, largest_high = front, end
    low = start
    while low < front:
        high = low + 1
        while high < front and keys[high] == keys[low]:
            high += 1
        smaller_low, smaller_high = low, high
        if high - low > largest_high - largest_low:
            smaller_low, smaller_high = largest_low, largest_high
            largest_low, largest_high = low, high
        parts[found, LOW], parts[found, HIGH], parts[found, OLD] = smaller_low, smaller_high, number
        found += 1
        low = high
    blocks[number, START] = largest_low
    blocks[number, END] = largest_high
    for position in range(largest_low, min(largest_high, front)):
        cells[np.uint32(order[position]), SPOT] = spot(number, position)
    if largest_high - largest_low == 1:
        state = np.uint32(order[largest_low])
        cells[state, PRINT] = ALONE
        arrays.alone[state] = True
    return found


@compiled
def cut_blocks(count: Any, arrays: Any, cuts: Any, offsets: Any) -> Any:
    """Cut the blocks into ranges with about equally many states that share a block.

    Range i is ``cuts[i] .. cuts[i + 1] - 1``, and `offsets[i]` such states come before it.
    """
    blocks = arrays.blocks
    total = 0
    for number in range(count):
        size = blocks[number, END] - blocks[number, START]
        if size > 1:
            total += size
    ranges = len(cuts) - 1
    cuts[0], offsets[0] = 0, 0
    i, before = 1, 0
    for number in range(count):
        while i < ranges and before * ranges >= total * i:
            cuts[i], offsets[i] = number, before
            i += 1
        size = blocks[number, END] - blocks[number, START]
        if size > 1:
            before += size
    while i <= ranges:
        cuts[i], offsets[i] = count, total
        i += 1


@compiled
def find_parts_of_blocks(low: Any, high: Any, first: Any, arrays: Any) -> Any:
    """Find the parts of blocks low .. high-1 by fresh fingerprints; list them from `first` on.

    Returns how many parts have to be renamed, and how many states they have.
    """
    blocks, parts = arrays.blocks, arrays.parts
    found = first
    for number in range(low, high):
        end = blocks[number, END]
        if end - blocks[number, START] > 1:
            found = find_parts(number, end, found, arrays)
    states = 0
    for i in range(first, found):
        states += parts[i, HIGH] - parts[i, LOW]
    return found - first, states


@compiled
def rename_parts(
    first: Any, last: Any, count: Any, moved: Any, sweeping: Any, field: Any, arrays: Any
) -> Any:
    """Make parts first .. last-1 the blocks from `count` on, and list their states from `moved` on.

    Values of states are written only if `sweeping`.  Returns the new ends of both.
    """
    cells, values, order, blocks = arrays.cells, arrays.values, arrays.order, arrays.blocks
    renamed, changes, parts = arrays.renamed, arrays.changes, arrays.parts
    for i in range(first, last):
        low, high, old = parts[i, LOW], parts[i, HIGH], parts[i, OLD]
        blocks[count, START] = low
        blocks[count, END] = high
        blocks[count, TOUCHED] = 0
        value = block_value(count, field.seed)
        change = subtract_modulo(value, block_value(old, field.seed), field.p)
        for position in range(low, high):
            state = np.uint32(order[position])
            cells[state, SPOT] = spot(count, position)
            if sweeping:
                values[state] = value
            renamed[moved] = state
            changes[moved] = change
            moved += 1
        if high - low == 1:
            state = np.uint32(order[low])
            cells[state, PRINT] = ALONE
            arrays.alone[state] = True
        count += 1
    return count, moved

"""How the kernel splits a block: its states are grouped by fingerprint, and all groups but one renamed.

Fingerprints that are equal stand for equal sums into every block (or for a collision, which is found
later).  Grouping takes expected time proportional to the states; the largest group keeps the number of
the block.  See `kernel` for the algorithm and `kernel_arrays` for the arrays.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from lumpability.refinement.kernel_arrays import BLOCK, END, START, TOUCHED
from lumpability.refinement.kernel_field import block_value, subtract_modulo

__all__ = ["split", "split_all"]

GROUP, MEMBER = 0, 2  # further columns of groups, beside END
_SMALL = 24


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
def split(
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
            count, moved = split(
                number, end, count, moved, True, field,
                prints, values, alone, spots, order, blocks, renamed, changes,
                keys, group_keys, groups, slots,
            )  # fmt: skip
    return count, moved

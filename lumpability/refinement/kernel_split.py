"""How the kernel splits blocks: states are grouped by fingerprint, and all groups but one become blocks.

Fingerprints that are equal stand for equal sums into every block (or for a collision, which is found
later).  Grouping takes expected time proportional to the states; the largest group keeps the number of
the block.  Finding the parts of blocks and moving their states are two steps, so that many blocks can be
split at the same time: between them it is settled which numbers the parts of each will have, and the
result does not depend on the number of threads.  See `kernel_arrays` for the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_arrays import ALONE, BLOCK, NAME, PRINT, SIZE, START, TOUCHED
from lumpability.refinement.kernel_compile import compiled, inlined, subroutine
from lumpability.refinement.kernel_field import SPREAD, block_value

__all__ = [
    "cut_blocks",
    "find_parts_of_blocks",
    "group_by_key",
    "leave_alone",
    "move",
    "move_parts",
]

FIRST, ONE = np.int64(0), np.uint64(1)  # typed, as plain ones would compile one more version
HIGH_HALF = np.uint64((2**32 - 1) << 32)
_FEW = 16
_DIGIT = 10  # bits by which keys are distributed at a time


@inlined
def move(state: Any, number: Any, arrays: Any) -> None:
    """Write the number of its block into a state."""
    word = arrays.cells[state, BLOCK]
    arrays.cells[state, BLOCK] = (word & HIGH_HALF) | np.uint64(np.uint32(number))


@inlined
def leave_alone(state: Any, arrays: Any) -> None:
    """Mark a state that is its whole block."""
    arrays.cells[state, PRINT] = ALONE
    arrays.alone[state] = True


@inlined
def _sort(low: Any, base: Any, size: Any, order: Any, keys: Any) -> None:
    """Sort a few states by key, by insertion."""
    for i in range(1, size):
        key, state, j = keys[base + i], order[low + i], i
        while j > 0 and keys[base + j - 1] > key:
            keys[base + j], order[low + j] = keys[base + j - 1], order[low + j - 1]
            j -= 1
        keys[base + j], order[low + j] = key, state


@subroutine
def _distribute(
    low: Any, base: Any, size: Any, taken: Any,
    order: Any, keys: Any, spare_order: Any, spare_keys: Any, counters: Any,
) -> None:  # fmt: skip
    """Group many states: by the leading bits of hashed keys after the first `taken`, then further."""
    other = base + 1
    while other < base + size and keys[other] == keys[base]:
        other += 1
    if other == base + size:
        return
    bits = 1
    while bits < _DIGIT and (4 << bits) <= size:
        bits += 1
    bits = min(bits, 64 - taken)
    left, right = np.uint64(taken), np.uint64(64 - bits)
    first = base >> 1
    for i in range(first, first + (1 << bits)):
        counters[i] = 0
    for i in range(base, base + size):
        digit = np.int64(((keys[i] * SPREAD) << left) >> right)
        counters[first + digit] += 1
    total = 0
    for i in range(first, first + (1 << bits)):
        total, counters[i] = total + counters[i], total
    for i in range(size):
        key = keys[base + i]
        digit = np.int64(((key * SPREAD) << left) >> right)
        place = base + counters[first + digit]
        counters[first + digit] += 1
        spare_keys[place], spare_order[place] = key, order[low + i]
    for i in range(size):
        keys[base + i], order[low + i] = spare_keys[base + i], spare_order[base + i]
    begin = np.int64(0)
    while begin < size:
        digit = ((keys[base + begin] * SPREAD) << left) >> right
        end = begin + 1
        while end < size and ((keys[base + end] * SPREAD) << left) >> right == digit:
            end += 1
        if end - begin <= _FEW:
            _sort(low + begin, base + begin, end - begin, order, keys)
        else:
            _distribute(
                low + begin, base + begin, end - begin, taken + bits,
                order, keys, spare_order, spare_keys, counters,
            )  # fmt: skip
        begin = end


@inlined
def group_by_key(
    low: Any, base: Any, size: Any, order: Any, keys: Any,
    spare_order: Any, spare_keys: Any, counters: Any,
) -> None:  # fmt: skip
    """Permute ``order[low:low + size]`` so that equal keys, ``keys[base:base + size]``, stand together.

    A few are sorted.  Many are distributed, first by the leading bits of their hashed keys, which leaves
    them in the order in which they stood where these agree; memory likes that.  The spare arrays
    are scratch at the places of the keys, ``counters`` at half of them.
    """
    if size <= _FEW:  # here, as passing arrays on would take longer than that
        _sort(low, base, size, order, keys)
    else:
        _distribute(low, base, size, FIRST, order, keys, spare_order, spare_keys, counters)


@inlined
def _find_parts(number: Any, found: Any, arrays: Any) -> Any:
    """Find the parts of one block by fresh fingerprints.

    All parts but the largest, which keeps the number, become blocks from `found` on, whose states are still
    to be moved: so a state is moved at most log2(n) times.  Returns the end of the new blocks.
    """
    cells, order, blocks, keys = arrays.cells, arrays.order, arrays.blocks, arrays.keys
    start = np.int64(blocks[number, START])
    end = start + np.int64(blocks[number, SIZE])
    # Probably the most frequent one; any would do.
    common = cells[np.uint32(order[start]), PRINT]
    last = cells[np.uint32(order[end - 1]), PRINT]
    if cells[np.uint32(order[(start + end) // 2]), PRINT] == last:
        common = last
    front: Any = start  # states with another fingerprint move there
    for position in range(start, end):
        state = np.uint32(order[position])
        key = cells[state, PRINT]
        if key != common:
            keys[front] = key
            order[position], order[front] = order[front], state
            front += 1
    if front == start:
        return found
    group_by_key(
        start, start, front - start,
        order, keys, arrays.spare_order, arrays.spare_keys, arrays.counters,
    )  # fmt: skip
    largest_low, largest_high = front, end
    low: Any = start
    while low < front:
        key = keys[low]
        high = low + 1
        while high < front and keys[high] == key:
            high += 1
        smaller_low, smaller_high = low, high
        low = high
        if smaller_high - smaller_low > largest_high - largest_low:
            smaller_low, largest_low = largest_low, smaller_low
            smaller_high, largest_high = largest_high, smaller_high
        blocks[found, START], blocks[found, SIZE] = smaller_low, smaller_high - smaller_low
        blocks[found, TOUCHED] = number
        found += 1
    blocks[number, START], blocks[number, SIZE] = largest_low, largest_high - largest_low
    if largest_high - largest_low == 1:
        leave_alone(np.uint32(order[largest_low]), arrays)
    return found


@compiled
def cut_blocks(count: Any, arrays: Any, cuts: Any, offsets: Any) -> Any:
    """Cut the blocks into ranges that can split into about equally many parts.

    Range i is ``cuts[i] .. cuts[i + 1] - 1``, and those before it can split off ``offsets[i]`` parts.
    """
    blocks = arrays.blocks
    total = len(arrays.alone) - count
    ranges = len(cuts) - 1
    cuts[0], offsets[0] = 0, 0
    i, before = 1, FIRST
    for number in range(count):
        while i < ranges and before * ranges >= total * i:
            cuts[i], offsets[i] = number, before
            i += 1
        if i == ranges:
            break
        before += np.int64(blocks[number, SIZE]) - 1
    while i <= ranges:
        cuts[i], offsets[i] = count, total
        i += 1


@compiled
def find_parts_of_blocks(low: Any, high: Any, first: Any, arrays: Any) -> Any:
    """Find the parts of blocks low .. high-1 by fresh fingerprints; they become blocks from `first` on.

    Returns how many there are, and how many states they have.
    """
    blocks = arrays.blocks
    found = first
    for number in range(low, high):
        blocks[number, TOUCHED] = 0
        if blocks[number, SIZE] > 1:
            found = _find_parts(number, found, arrays)
    states = FIRST
    for number in range(first, found):
        states += np.int64(blocks[number, SIZE])
    return found - first, states


@compiled
def move_parts(first: Any, last: Any, field: Any, arrays: Any) -> None:
    """Name the blocks first .. last-1, and write them, and their values, into their states."""
    values, order, blocks = arrays.values, arrays.order, arrays.blocks
    for number in range(first, last):
        blocks[number, NAME] = number
        low = np.uint64(blocks[number, START])
        high = low + np.uint64(blocks[number, SIZE])
        value = block_value(number, field)
        for position in range(low, high):
            state = np.uint32(order[position])
            move(state, number, arrays)
            values[state] = value
        if high - low == ONE:
            leave_alone(np.uint32(order[low]), arrays)

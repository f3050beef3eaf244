"""The compiled loops of the kernel.  See `kernel` for what they compute and why.

Common arrays, n states and m transitions:

* ``indptr`` int64 (n + 1), ``indices`` int32 (m), ``codes`` uint (m): the rows; ``table`` uint64 holds the
  residue of every distinct weight modulo ``p``.
* ``block`` int32 (n): block of each state.  ``order`` int32 (n): the states, block after block;
  ``starts``, ``ends`` int32 (n): block b is ``order[starts[b]:ends[b]]``.
* ``prints`` uint64 (n): fingerprint of each state that shares its block.
* ``renamed``, ``old`` int32 (n): states whose block got a new number in this round, and the old number.

Invariant of every round: states of one block had equal fingerprints when the round began.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from lumpability.refinement.kernel_field import (
    add_modulo,
    block_value,
    multiply_modulo,
    subtract_modulo,
)

__all__ = ["fingerprint_rows", "first_unstable", "incoming_rows", "propagate", "split_all"]

_SMALL = 24


@numba.njit(cache=True, nogil=True)
def fingerprint_rows(
    low: Any,
    high: Any,
    indptr: Any,
    indices: Any,
    codes: Any,
    table: Any,
    block: Any,
    starts: Any,
    ends: Any,
    prints: Any,
    p: Any,
    inverse: Any,
    seed: Any,
) -> None:
    """Fingerprint states low .. high-1 that share a block: sum of weight x value of target's block."""
    for state in range(low, high):
        own = block[state]
        if ends[own] - starts[own] == 1:
            continue
        total = np.uint64(0)
        for position in range(indptr[state], indptr[state + 1]):
            value = block_value(block[indices[position]], seed)
            product = multiply_modulo(table[codes[position]], value, p, inverse)
            total = add_modulo(total, product, p)
        prints[state] = total


@numba.njit(cache=True, nogil=True)
def _sort(keys: Any, order: Any, low: Any, high: Any, stack: Any) -> None:
    """Sort ``keys[low:high]`` with ``order`` alongside; equal keys, of which there are many, are cheap.

    Three-way quicksort: O(k log groups) expected, since fingerprints are pseudo-random.  Ties end up
    in an order that depends only on the input.
    """
    depth = 0
    stack[0], stack[1] = low, high
    while depth >= 0:
        low, high = stack[2 * depth], stack[2 * depth + 1]
        depth -= 1
        while high - low > _SMALL:
            x, y, z = keys[low], keys[(low + high) // 2], keys[high - 1]
            pivot = max(min(x, y), min(max(x, y), z))
            less, i, more = low, low, high
            while i < more:
                key = keys[i]
                if key < pivot:
                    keys[i], keys[less] = keys[less], key
                    order[i], order[less] = order[less], order[i]
                    less += 1
                    i += 1
                elif key > pivot:
                    more -= 1
                    keys[i], keys[more] = keys[more], key
                    order[i], order[more] = order[more], order[i]
                else:
                    i += 1
            # The larger side waits, so that the stack stays logarithmic.
            if less - low < high - more:
                depth += 1
                stack[2 * depth], stack[2 * depth + 1] = more, high
                high = less
            else:
                depth += 1
                stack[2 * depth], stack[2 * depth + 1] = low, less
                low = more
        for i in range(low + 1, high):
            key, state, j = keys[i], order[i], i
            while j > low and keys[j - 1] > key:
                keys[j], order[j] = keys[j - 1], order[j - 1]
                j -= 1
            keys[j], order[j] = key, state


@numba.njit(cache=True, nogil=True)
def _rename(
    low: Any, high: Any, number: Any, blocks: Any, block: Any, order: Any, starts: Any, ends: Any,
    renamed: Any, old: Any, count: Any,
) -> Any:  # fmt: skip
    """Give ``order[low:high]``, until now in block `number`, the new number `blocks`."""
    starts[blocks], ends[blocks] = low, high
    for position in range(low, high):
        state = order[position]
        block[state] = blocks
        renamed[count], old[count] = state, number
        count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _split(
    number: Any, touched_end: Any, blocks: Any, block: Any, order: Any, starts: Any, ends: Any,
    prints: Any, keys: Any, stack: Any, renamed: Any, old: Any, count: Any,
) -> Any:  # fmt: skip
    """Split one block by fingerprints; states from `touched_end` on have the block's old one.

    The largest part keeps the number, so that a state is renamed at most log2(n) times.
    Returns the new numbers of blocks and of renamed states.
    """
    start, end = starts[number], ends[number]
    if touched_end < end:
        # Touched states whose fingerprint came out as before join the untouched ones.
        common = prints[order[touched_end]]
        position = start
        while position < touched_end:
            if prints[order[position]] == common:
                touched_end -= 1
                order[position], order[touched_end] = order[touched_end], order[position]
            else:
                position += 1
        if touched_end == start:
            return blocks, count
    first = prints[order[start]]
    same = True
    for position in range(start, touched_end):
        keys[position] = prints[order[position]]
        same = same and keys[position] == first
    if same and touched_end == end:
        return blocks, count
    if not same:
        _sort(keys, order, start, touched_end, stack)
    # Find the largest part; the untouched ones are the last part.
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
        if low == touched_end:
            high = end
        else:
            while high < touched_end and keys[high] == keys[low]:
                high += 1
        if low != best_low:
            count = _rename(
                low, high, number, blocks, block, order, starts, ends, renamed, old, count
            )
            blocks += 1
        low = high
    starts[number], ends[number] = best_low, best_high
    return blocks, count


@numba.njit(cache=True, nogil=True)
def split_all(
    blocks: Any, block: Any, order: Any, starts: Any, ends: Any, prints: Any, keys: Any, stack: Any,
    renamed: Any, old: Any,
) -> Any:  # fmt: skip
    """Split every block by freshly computed fingerprints.

    Returns the number of blocks and of renamed states.
    """
    count = 0
    for number in range(blocks):
        if ends[number] - starts[number] > 1:
            blocks, count = _split(
                number, ends[number], blocks, block, order, starts, ends, prints, keys, stack,
                renamed, old, count,
            )  # fmt: skip
    return blocks, count


@numba.njit(cache=True, nogil=True)
def incoming_rows(indptr: Any, indices: Any, codes: Any, block: Any, starts: Any, ends: Any) -> Any:
    """Transpose the rows of the states that still share a block; the others will not split."""
    n = len(block)
    pointers = np.zeros(n + 1, dtype=np.int64)
    for state in range(n):
        own = block[state]
        if ends[own] - starts[own] > 1:
            for position in range(indptr[state], indptr[state + 1]):
                pointers[indices[position] + 1] += 1
    for state in range(n):
        pointers[state + 1] += pointers[state]
    sources = np.empty(pointers[n], dtype=np.int32)
    source_codes = np.empty(pointers[n], dtype=codes.dtype)
    fill = pointers[:-1].copy()
    for state in range(n):
        own = block[state]
        if ends[own] - starts[own] > 1:
            for position in range(indptr[state], indptr[state + 1]):
                target = indices[position]
                sources[fill[target]] = state
                source_codes[fill[target]] = codes[position]
                fill[target] += 1
    return pointers, sources, source_codes


@numba.njit(cache=True, nogil=True)
def propagate(
    blocks: Any, count: Any, budget: Any, pointers: Any, sources: Any, source_codes: Any, table: Any,
    block: Any, order: Any, place: Any, starts: Any, ends: Any, prints: Any, keys: Any, stack: Any,
    marked: Any, touched: Any, renamed: Any, old: Any, p: Any, inverse: Any, seed: Any,
) -> Any:  # fmt: skip
    """Run rounds that follow only what changed, until nothing does or the budget is spent.

    A fingerprint is linear in the values of blocks: when u moves from block a to block b, every
    predecessor s gains M[s, u] (value(b) - value(a)).  ``place`` is the inverse of ``order``; the
    ``marked[b]`` first states of block b are those touched in this round.  All rounds together cost
    O(m log n), because a state is renamed at most log2(n) times.

    Returns the number of blocks, of states renamed in the last round, and of transitions followed.
    """
    work = 0
    while count > 0 and work < budget:
        touched_blocks = 0
        for i in range(count):
            target = renamed[i]
            change = subtract_modulo(
                block_value(block[target], seed), block_value(old[i], seed), p
            )
            for position in range(pointers[target], pointers[target + 1]):
                source = sources[position]
                own = block[source]
                start = starts[own]
                if ends[own] - start == 1:
                    continue
                product = multiply_modulo(table[source_codes[position]], change, p, inverse)
                prints[source] = add_modulo(prints[source], product, p)
                here, front = place[source], start + marked[own]
                if here < front:
                    continue  # touched before
                if marked[own] == 0:
                    touched[touched_blocks] = own
                    touched_blocks += 1
                other = order[front]
                order[front], order[here] = source, other
                place[source], place[other] = front, here
                marked[own] += 1
            work += pointers[target + 1] - pointers[target] + 1
        count = 0
        for i in range(touched_blocks):
            number = touched[i]
            start, end = starts[number], ends[number]
            touched_end = start + marked[number]
            marked[number] = 0
            blocks, count = _split(
                number, touched_end, blocks, block, order, starts, ends, prints, keys, stack,
                renamed, old, count,
            )  # fmt: skip
            for position in range(start, touched_end):
                place[order[position]] = position
            work += touched_end - start
    return blocks, count, work


@numba.njit(cache=True, nogil=True)
def first_unstable(
    blocks: Any, indptr: Any, indices: Any, codes: Any, table: Any, block: Any, order: Any,
    starts: Any, ends: Any, p: Any,
) -> Any:  # fmt: skip
    """Compare the sums into every block, modulo p, of all states with those of their block's first.

    Returns the first block (in the order of numbers) in which they differ, or -1.
    """
    sums = np.zeros(blocks, dtype=np.uint64)
    for number in range(blocks):
        start, end = starts[number], ends[number]
        if end - start == 1:
            continue
        first = order[start]
        for position in range(indptr[first], indptr[first + 1]):
            target = block[indices[position]]
            sums[target] = add_modulo(sums[target], table[codes[position]], p)
        agree = True
        for member in range(start + 1, end):
            state = order[member]
            # Take this state's weights away, look whether nothing is left, and put them back.
            for position in range(indptr[state], indptr[state + 1]):
                target = block[indices[position]]
                sums[target] = subtract_modulo(sums[target], table[codes[position]], p)
            for position in range(indptr[state], indptr[state + 1]):
                agree = agree and sums[block[indices[position]]] == np.uint64(0)
            for position in range(indptr[first], indptr[first + 1]):
                agree = agree and sums[block[indices[position]]] == np.uint64(0)
            if not agree:
                return number
            for position in range(indptr[state], indptr[state + 1]):
                target = block[indices[position]]
                sums[target] = add_modulo(sums[target], table[codes[position]], p)
        for position in range(indptr[first], indptr[first + 1]):
            sums[block[indices[position]]] = np.uint64(0)
    return -1

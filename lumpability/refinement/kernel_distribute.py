"""Grouping by keys in place: a few are sorted, many are distributed by the leading bits of their hashes."""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_compile import FIRST, inlined, subroutine
from lumpability.refinement.kernel_field import SPREAD

__all__ = ["group_by_key"]

_FEW = 16
_DIGIT = 10  # bits by which keys are distributed at a time


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

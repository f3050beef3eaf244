"""Groups of states that belong together, found in one table by two numbers: a key, and their block.

Open addressing: a slot holds the number of a group or 0; groups are numbered from 1 as they turn up.  A table
may begin small and grow with the groups, as it is looked up in the cache if they are few.  Expected
time is proportional to the states.  See `kernel_arrays` for the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_arrays import (
    COUNT,
    DIFFERENCE,
    GAIN,
    SIZE,
    TOUCHED,
    WORD,
)
from lumpability.refinement.kernel_compile import inlined, subroutine
from lumpability.refinement.kernel_field import SPREAD
from lumpability.refinement.kernel_prefetch import prefetch

__all__ = ["add_to_group", "enlarged", "is_full", "measure_groups", "slot_of", "start_table"]

ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
_AHEAD = 8  # groups
HALF, WIDTH = np.uint64(32), np.uint64(64)


@inlined
def slot_of(key: Any, own: Any, bits: Any) -> Any:
    """Where to look first in a table of 2^bits slots."""
    return ((key ^ (own << HALF)) * SPREAD) >> (WIDTH - bits)


@inlined
def is_full(found: Any, bits: Any) -> Any:
    """Whether a table has too little room for one more group; never if it is as large as it gets."""
    return np.uint64(3 * found) > (TWO << bits)


@inlined
def start_table(most: Any, arrays: Any) -> Any:
    """Empty a table with room for so many groups; return the bits of its slots."""
    bits: Any = TWO
    while is_full(most, bits):
        bits += ONE
    for slot in range(ONE << bits):
        arrays.table[slot] = 0
    return bits


@subroutine
def enlarged(found: Any, arrays: Any) -> Any:
    """Put all groups into a larger table; return its bits."""
    groups, table = arrays.groups, arrays.table
    bits = start_table(min(4 * found, len(arrays.labels)), arrays)
    last = (ONE << bits) - ONE
    for group in range(1, found + 1):
        own = np.uint64(np.uint32(groups[group, WORD]))
        slot = slot_of(groups[group, GAIN], own, bits)
        while table[slot] != 0:
            slot = (slot + ONE) & last
        table[slot] = group
    return bits


@inlined
def add_to_group(key: Any, word: Any, found: Any, bits: Any, arrays: Any) -> Any:
    """Count a state with a key and a block, the lower half of a word, to its group; return that.

    It is `found` + 1 if it is new.
    """
    groups, table = arrays.groups, arrays.table
    own = np.uint64(np.uint32(word))
    last = (ONE << bits) - ONE
    slot = slot_of(key, own, bits)
    group: Any = np.uint32(table[slot])
    while group != 0 and (groups[group, GAIN] != key or np.uint32(groups[group, WORD]) != own):
        slot = (slot + ONE) & last
        group = np.uint32(table[slot])
    if group == 0:
        group = np.uint32(found + 1)
        table[slot] = group
        groups[group, GAIN], groups[group, WORD] = key, word
        groups[group, DIFFERENCE], groups[group, COUNT] = ZERO, ZERO
    groups[group, COUNT] += ONE
    return group


@inlined
def measure_groups(found: Any, arrays: Any) -> None:
    """Write down how many states are left of blocks, and which of the groups that leave them is the largest."""
    groups, blocks = arrays.groups, arrays.blocks
    for group in range(1, found + 1):
        if group + _AHEAD <= found:
            prefetch(blocks, np.uint32(groups[group + _AHEAD, WORD]))
        own, size = np.uint32(groups[group, WORD]), groups[group, COUNT]
        blocks[own, SIZE] -= size
        largest = np.uint32(blocks[own, TOUCHED])
        if largest == 0 or size > groups[largest, COUNT]:
            blocks[own, TOUCHED] = group

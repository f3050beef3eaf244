"""Groups of states that belong together, found in one table by two numbers: a key, and their block.

Open addressing: a slot holds the number of a group, and a part of its hash, or 0; groups are numbered from 1 as they turn up.  The
table begins small and grows with the groups, as it is looked up in the cache if they are few.  Expected
time is proportional to the states.  See `kernel_arrays` for the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_arrays import COUNT, DIFFERENCE, GAIN, SMALLEST_TABLE, WORD
from lumpability.refinement.kernel_compile import inlined, subroutine
from lumpability.refinement.kernel_field import SPREAD

__all__ = ["SMALLEST", "add_to_group", "enlarged", "hash_of", "is_full", "slot_of", "start_table"]

SMALLEST = np.uint64(SMALLEST_TABLE.bit_length() - 1)  # bits of a slot's number to begin with
ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
EIGHT, HALF, WIDTH = np.uint64(8), np.uint64(32), np.uint64(64)


@inlined
def hash_of(key: Any, own: Any) -> Any:
    """A hash whose leading bits say where to look first."""
    return (key ^ (own << HALF)) * SPREAD


@inlined
def slot_of(hashed: Any, bits: Any) -> Any:
    """Where to look first."""
    return hashed >> (WIDTH - bits)


@inlined
def _marked(hashed: Any) -> Any:
    """What a slot holds of a hash, in its upper half: so it is hardly ever in vain that a group is looked at."""
    return (hashed >> EIGHT) << HALF


@inlined
def start_table(bits: Any, arrays: Any) -> None:
    """Empty a table of 2^bits slots."""
    for slot in range(ONE << bits):
        arrays.table[slot] = ZERO


@inlined
def is_full(found: Any, bits: Any) -> Any:
    """Whether the table has too little room for one more group; never if it is as large as it gets."""
    return np.uint64(3 * found) > (TWO << bits)


@subroutine
def enlarged(found: Any, bits: Any, arrays: Any) -> Any:
    """Put all groups into a larger table; return its bits."""
    groups, table = arrays.groups, arrays.table
    bits += ONE
    if (ONE << bits) < np.uint64(len(table)):
        bits += ONE
    start_table(bits, arrays)
    last = (ONE << bits) - ONE
    for group in range(1, found + 1):
        own = np.uint64(np.uint32(groups[group, WORD]))
        hashed = hash_of(groups[group, GAIN], own)
        slot = slot_of(hashed, bits)
        while table[slot] != ZERO:
            slot = (slot + ONE) & last
        table[slot] = _marked(hashed) | np.uint64(group)
    return bits


@inlined
def add_to_group(key: Any, word: Any, found: Any, bits: Any, arrays: Any) -> Any:
    """Count a state with a key and a block, the lower half of a word, to its group; return that.

    It is `found` + 1 if it is new.
    """
    groups, table = arrays.groups, arrays.table
    own = np.uint64(np.uint32(word))
    last = (ONE << bits) - ONE
    hashed = hash_of(key, own)
    marked = _marked(hashed)
    slot = slot_of(hashed, bits)
    group: Any = np.uint32(0)
    while True:
        entry = table[slot]
        group = np.uint32(entry)
        if group == 0:
            group = np.uint32(found + 1)
            table[slot] = marked | np.uint64(group)
            groups[group, GAIN], groups[group, WORD] = key, word
            groups[group, DIFFERENCE], groups[group, COUNT] = ZERO, ONE
            break
        if (entry >> HALF) == (marked >> HALF) and (
            groups[group, GAIN] == key and np.uint32(groups[group, WORD]) == own
        ):
            groups[group, COUNT] += ONE
            break
        slot = (slot + ONE) & last
    return group

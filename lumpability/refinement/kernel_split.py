"""How a sweep splits blocks: states whose fingerprint is not that of a chosen member go to new blocks.

Fingerprints that are equal stand for equal sums into every block (or for a collision, which is found
later).  Members are chosen by a vote, so that most of a block agrees with its own, stays, and costs
nothing more than a look in memory order.  Those that differ are listed, and grouped by block and fingerprint; groups
are numbered as they turn up, and become blocks in that order.  In a sweep a block has the value of its number; names are
exchanged for rounds that follow, which then follow the smaller parts only.  Looking and moving are done on ranges of states or of the
list, at the same time; the result does not depend on who does what.  See `kernel_arrays` for the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_arrays import (
    COUNT,
    FEW,
    FIRST_STATE,
    MEMBER,
    NAME,
    SIZE,
    TOUCHED,
    WORD,
)
from lumpability.refinement.kernel_compile import compiled, inlined
from lumpability.refinement.kernel_field import block_value
from lumpability.refinement.kernel_group import (
    add_to_group,
    enlarged,
    is_full,
    measure_groups,
    slot_of,
    start_table,
)
from lumpability.refinement.kernel_prefetch import prefetch

__all__ = [
    "are_few",
    "cut",
    "expect",
    "find_different",
    "move_different",
    "write_values",
]

_STRIDE = 17  # one of so many states votes; prime, as regular models have all sorts of periods
_FEW_GROUPS = 40  # that there is room for in the table at first
_AHEAD = 8  # states or groups
NEAR = np.uint64(14)  # bits of a table that is in the cache


@inlined
def are_few(count: Any, arrays: Any) -> Any:
    """Whether so many blocks have short numbers, which states have if they are many."""
    return count <= FEW and len(arrays.shorts) > 0


@inlined
def _vote(arrays: Any) -> None:
    """Make the fingerprint that some states vote for, if it has a majority, that of the chosen member."""
    labels, prints, alone, blocks = arrays.labels, arrays.prints, arrays.alone, arrays.blocks
    for state in range(0, len(alone), _STRIDE):
        if alone[state]:
            continue
        own = np.uint32(labels[state])
        votes = blocks[own, TOUCHED]
        if votes == 0:
            blocks[own, MEMBER], blocks[own, TOUCHED] = state, 1
        elif prints[np.uint32(blocks[own, MEMBER])] == prints[state]:
            blocks[own, TOUCHED] = votes + np.uint32(1)
        else:
            blocks[own, TOUCHED] = votes - np.uint32(1)
    for state in range(0, len(alone), _STRIDE):
        blocks[np.uint32(labels[state]), TOUCHED] = 0


@compiled
def expect(count: Any, arrays: Any) -> None:
    """Choose a member of every block, and write down its fingerprint."""
    prints, blocks, expected = arrays.prints, arrays.blocks, arrays.expected
    for number in range(count):
        blocks[number, TOUCHED], blocks[number, NAME] = 0, number
    if _STRIDE * count < len(prints):
        _vote(arrays)
    for number in range(count):
        expected[number] = prints[np.uint32(blocks[number, MEMBER])]


@compiled
def find_different(low: Any, high: Any, arrays: Any) -> Any:
    """List the states low .. high-1 that differ from the chosen member of their block, from `low` on.

    Returns how many there are.  Without branches, which nothing could predict.
    """
    labels, prints, expected = arrays.labels, arrays.prints, arrays.expected
    touched = arrays.touched
    number = np.int64(0)
    for state in range(low, high):
        touched[low + number] = state  # overwritten by the next unless it counts
        number += np.int64(prints[state] != expected[np.uint32(labels[state])])
    return number


@inlined
def _look_ahead(place: Any, bits: Any, arrays: Any) -> None:
    """Ask for the slots, and the groups, of states that are listed further on."""
    labels, prints, touched, table = arrays.labels, arrays.prints, arrays.touched, arrays.table
    farther, far = np.uint32(touched[place + 2 * _AHEAD]), np.uint32(touched[place + _AHEAD])
    prefetch(table, slot_of(prints[farther], np.uint64(np.uint32(labels[farther])), bits))
    slot = slot_of(prints[far], np.uint64(np.uint32(labels[far])), bits)
    prefetch(arrays.groups, np.uint32(table[slot]))


@inlined
def _group(segments: Any, arrays: Any) -> Any:
    """Group what is listed by block and fingerprint; return how many groups there are."""
    labels, prints, groups = arrays.labels, arrays.prints, arrays.groups
    touched, group_of = arrays.touched, arrays.prints
    bits: Any = start_table(_FEW_GROUPS, arrays)
    found: Any = np.int64(0)
    for segment in range(len(segments)):
        low, size = segments[segment, 0], segments[segment, 1]
        for place in range(low, low + size):
            if bits > NEAR and place + 2 * _AHEAD < low + size:
                _look_ahead(place, bits, arrays)
            state = np.uint32(touched[place])
            if is_full(found, bits):
                bits = enlarged(found, arrays)
            word = np.uint64(np.uint32(labels[state]))
            group = np.int64(add_to_group(prints[state], word, found, bits, arrays))
            if group > found:
                found = group
                groups[group, FIRST_STATE] = state
            # The fingerprints of this place and those before are not needed any more.
            group_of[place] = group
    return found


@inlined
def _make_blocks(found: Any, count: Any, arrays: Any) -> Any:
    """Make blocks of the groups; the largest part of a block keeps its name.

    Returns how many states have a new name, and how many are their whole block now.
    """
    groups, blocks, alone = arrays.groups, arrays.blocks, arrays.alone
    moved: Any = np.int64(0)
    lone: Any = np.int64(0)
    for group in range(1, found + 1):
        if group + _AHEAD <= found:
            prefetch(blocks, np.uint32(groups[group + _AHEAD, WORD]))
        own, block = np.uint32(groups[group, WORD]), np.uint32(count + group - 1)
        first, size = np.uint32(groups[group, FIRST_STATE]), np.int64(groups[group, COUNT])
        rest = np.int64(blocks[own, SIZE])
        blocks[block, MEMBER], blocks[block, SIZE] = first, size
        blocks[block, TOUCHED], blocks[block, NAME] = own, block
        if size > rest and blocks[own, TOUCHED] == group:
            blocks[block, NAME], blocks[own, NAME] = own, block
            moved += rest
        else:
            moved += size
        if size == 1:
            alone[first] = True
            lone += 1
        if rest == 1:
            member = np.uint32(blocks[own, MEMBER])
            lone += np.int64(not alone[member])
            alone[member] = True
    for group in range(1, found + 1):
        blocks[np.uint32(groups[group, WORD]), TOUCHED] = 0
    return moved, lone


@compiled
def cut(count: Any, segments: Any, field: Any, arrays: Any) -> Any:
    """Cut off the states that differ, listed in segments of ``touched`` that begin somewhere and have a size.

    They are not moved yet.  Returns the new number of blocks, how many states have a new name, and how many
    are their whole block from now on.
    """
    found = _group(segments, arrays)
    measure_groups(found, arrays)
    moved, lone = _make_blocks(found, count, arrays)
    if are_few(count + found, arrays):
        for number in range(count, count + found):
            arrays.value_of[number] = block_value(number, field)
    return count + found, moved, lone


@compiled
def move_different(low: Any, high: Any, before: Any, count: Any, field: Any, arrays: Any) -> None:
    """Write block and value into the states listed at low .. high-1; there were `before` blocks, and are `count`."""
    labels, values, shorts = arrays.labels, arrays.values, arrays.shorts
    touched, group_of = arrays.touched, arrays.prints
    few = are_few(count, arrays)
    for place in range(low, high):
        state = np.uint32(touched[place])
        number = before + np.int64(np.uint32(group_of[place])) - 1
        labels[state] = number
        if few:
            shorts[state] = number
        else:
            values[state] = block_value(number, field)


@compiled
def write_values(count: Any, field: Any, arrays: Any) -> None:
    """Write what fingerprints are made of: the values of few blocks, and short numbers of these, or of all states."""
    labels, shorts, values, value_of = arrays.labels, arrays.shorts, arrays.values, arrays.value_of
    if are_few(count, arrays):
        for number in range(count):
            value_of[number] = block_value(number, field)
        for state in range(len(labels)):
            shorts[state] = labels[state]
    else:
        for state in range(len(labels)):
            values[state] = block_value(np.uint32(labels[state]), field)

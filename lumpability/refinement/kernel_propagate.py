"""Rounds of the kernel that follow only what changed, compiled.

States of one block have equal sums into every block when a round begins, but for those that have just been
divided.  So sums into their new parts decide: when u comes to a part of value v, every predecessor s gains
M[s, u] v, and where rows are closed, u itself loses v times what leaves it.  Only the gains of this round
are kept, and a state that gains nothing costs nothing.  Into the part that is not followed the rest goes.

A state that is touched is listed in ``records``; its label is a mark and its place in the list meanwhile.  Place 0
collects what nobody wants to know: a state that is its whole block has the label `ALONE`, which is the mark with that place.

Those of a block with equal gains become a block, whose states stand at the end of ``order``; what is
left of the block stays where it was, gaps and all, until it is itself the smaller part and its states are
looked up.  So no state is moved but for being touched.  The largest part is not followed, so
a state is followed at most log2(n) times, O(m log n) in all.  Single states need no number of a block; numbers that
are free are chained and used again.

Where all states of a block lose the same, none needs to: gains are compared inside blocks only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_arrays import (
    ALONE,
    COUNT,
    DIFFERENCE,
    GAIN,
    MEMBER,
    NAME,
    NEXT,
    PART,
    PLACE,
    SIZE,
    START,
    TOUCHED,
    WORD,
)
from lumpability.refinement.kernel_compile import compiled, inlined
from lumpability.refinement.kernel_costs import (
    NEAR_LABELS,
    cost_of_following,
    cost_of_splitting,
)
from lumpability.refinement.kernel_field import (
    SPREAD,
    add_modulo,
    block_value,
    multiply,
    subtract_modulo,
)
from lumpability.refinement.kernel_group import (
    add_to_group,
    enlarged,
    is_full,
    measure_groups,
    start_table,
)
from lumpability.refinement.kernel_prefetch import prefetch

__all__ = ["begin", "leave", "propagate"]

_AHEAD = 8  # states
_FEW_GROUPS = 40  # that there is room for in the table at least
_ROUND = 64  # transitions that cost as much as a round beyond what it follows
_WORTHWHILE = 2  # transitions followed for each state, when packing early costs little beside, and spares memory
HALF = np.uint64(32)
HIGH_HALF = np.uint64((2**32 - 1) << 32)
ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
STAYS, FOLLOWED, LEFT, MIXED = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(4)
"""Of a group: nothing is to follow, or it is, or what it left of its block; and whether what leaves its states differs."""


@inlined
def _touch(source: Any, weight: Any, change: Any, number: Any, field: Any, arrays: Any) -> Any:
    """Add weight x change to what a state gains, and list the state if it is marked for the first time.

    Returns how many states are listed.  Without branches, which nothing could predict.
    """
    labels, records = arrays.labels, arrays.records
    label = labels[source]
    marked = label >= ALONE
    place = np.uint64(label - ALONE) if marked else np.uint64(number)
    before = records[place, GAIN]
    before = before if marked else ZERO
    labels[source] = ALONE + np.uint32(place)
    records[place, GAIN] = add_modulo(before, multiply(weight, change, field), field.p)
    # Overwritten by the next unless it counts.
    records[np.uint64(number), WORD] = source | (np.uint64(label) << HALF)
    return number + np.int64(not marked)


@inlined
def _block_of(state: Any, arrays: Any) -> Any:
    """The block of a state, touched or not; `ALONE` if that is all."""
    label: Any = arrays.labels[state]
    if label >= ALONE:
        label = np.uint32(arrays.records[np.uint64(label - ALONE), WORD] >> HALF)
    return label


@inlined
def _look_ahead(
    i: Any, tail: Any, order: Any, labels: Any, indptr: Any, entries: Any, bits: Any
) -> None:
    """Ask for what the next states need: rows are short and lie anywhere."""
    if i + 3 * _AHEAD < tail:
        prefetch(indptr, np.uint32(order[i + 3 * _AHEAD]))
    if i + 2 * _AHEAD < tail:
        prefetch(entries, np.uint64(indptr[np.uint32(order[i + 2 * _AHEAD])]))
    if len(labels) > NEAR_LABELS and i + _AHEAD < tail:
        begin = np.uint64(indptr[np.uint32(order[i + _AHEAD])])
        for entry in range(begin, min(begin + TWO, np.uint64(len(entries)))):
            prefetch(labels, np.uint64(entries[entry]) >> bits)


@inlined
def _look_up(block: Any, totals: Any, closed: Any, arrays: Any) -> Any:
    """Bring the states of a block together that others left; return whether what leaves them differs."""
    order, blocks = arrays.order, arrays.blocks
    start = np.uint64(blocks[block, START])
    end = start + np.uint64(blocks[block, SIZE])
    place: Any = start
    here: Any = start
    differs: Any = False
    while place < end:
        state = np.uint32(order[here])
        here += ONE
        if _block_of(state, arrays) == block:
            order[place] = state
            if closed:
                differs |= totals[state] != totals[np.uint32(order[start])]
            place += ONE
    return differs


@inlined
def _is_alone_now(block: Any, free: Any, arrays: Any) -> Any:
    """Note that the only state of a block is alone, though it may be touched; return the first free number, its own."""
    labels, blocks = arrays.labels, arrays.blocks
    state = np.uint32(arrays.order[np.uint32(blocks[block, START])])
    label = labels[state]
    if label >= ALONE:
        arrays.records[np.uint64(label - ALONE), WORD] = state | (np.uint64(ALONE) << HALF)
    labels[state] = ALONE
    return _freed(block, free, blocks)


@inlined
def _freed(block: Any, free: Any, blocks: Any) -> Any:
    """Put the number of a block before the first free one; return it, plus one."""
    blocks[block, NEXT], blocks[block, SIZE] = free, 0
    return np.int64(block) + 1


@inlined
def _follow(
    found: Any, count: Any, tail: Any, free: Any, incoming: Any, field: Any, arrays: Any
) -> Any:
    """Add up what states gain by the parts that are new, of which the values follow those of `count` others.

    Returns how many records there are, how many transitions were followed, and the first free number.
    """
    indptr, entries, bits, table, totals, closed = incoming
    code = (ONE << bits) - ONE
    order, blocks, groups, labels = arrays.order, arrays.blocks, arrays.groups, arrays.labels
    arrays.records[0, GAIN], arrays.records[0, WORD] = ZERO, np.uint64(ALONE) << HALF
    number: Any = 1
    followed: Any = 0
    first: Any = tail
    if found > 0:
        first = np.int64(np.uint32(groups[1, PLACE])) - np.int64(groups[1, COUNT])
    if tail - first > _AHEAD:  # nobody has asked for the first ones
        for place in range(first, min(first + 2 * _AHEAD, tail)):
            prefetch(indptr, np.uint32(order[place]))
        for place in range(first, min(first + 2 * _AHEAD, tail)):
            prefetch(entries, np.uint64(indptr[np.uint32(order[place])]))
    for group in range(1, found + 1):
        part = groups[group, PART]
        if part == STAYS:
            continue
        size: Any = np.int64(groups[group, COUNT])
        start: Any = np.int64(np.uint32(groups[group, PLACE])) - size
        mixed: Any = part & MIXED != ZERO
        if part & LEFT:
            block = np.uint32(groups[group, WORD])
            mixed = _look_up(block, totals, closed, arrays)
            start, size = np.int64(blocks[block, START]), np.int64(blocks[block, SIZE])
            if size == 1:
                free = _is_alone_now(block, free, arrays)
        change = block_value(count + group, field)
        for place in range(start, start + size):
            _look_ahead(place, tail, order, labels, indptr, entries, bits)
            target = np.uint32(order[place])
            begin, end = np.uint64(indptr[target]), np.uint64(indptr[target + ONE])
            for entry in range(begin, end):
                word = np.uint64(entries[entry])
                source = word >> bits
                if closed and source == target:
                    continue
                number = _touch(source, table[word & code], change, number, field, arrays)
            if closed and mixed:
                loss = subtract_modulo(ZERO, totals[target], field.p)
                number = _touch(np.uint64(target), loss, change, number, field, arrays)
            followed += np.int64(end - begin)
    return number, followed, free


@inlined
def _find_groups(number: Any, most: Any, totals: Any, closed: Any, arrays: Any) -> Any:
    """Find out which touched states that gained something belong together: of one block, with equal gains.

    There is room for `most` groups at first.  The states are listed, each with its group, and have labels again
    when they are moved; the others have them at once.
    Returns the end of the list, and how many groups there are.
    """
    labels, records, groups = arrays.labels, arrays.records, arrays.groups
    bits: Any = start_table(min(most, number), arrays)
    end: Any = np.int64(1)
    found: Any = np.int64(0)
    for i in range(1, number):
        if closed and i + _AHEAD < number:
            prefetch(totals, np.uint32(records[i + _AHEAD, WORD]))
        gain, word = records[i, GAIN], records[i, WORD]
        state, own = np.uint32(word), word >> HALF
        if gain == ZERO or own == np.uint64(ALONE):
            labels[state] = own
            continue
        if closed:  # above the block there is room to tell states apart that lose something else
            own |= (totals[state] * SPREAD) & HIGH_HALF
        if is_full(found, bits):
            bits = enlarged(found, arrays)
        group = np.int64(add_to_group(gain, own, found, bits, arrays))
        found = max(found, group)
        groups[group, DIFFERENCE] |= own ^ groups[group, WORD]
        records[end, WORD] = state | (np.uint64(group) << HALF)
        end += 1
    return end, found


@inlined
def _divide(found: Any, tail: Any, used: Any, free: Any, arrays: Any) -> Any:
    """Make blocks of the groups; what did not gain stays, or else the largest group does.

    `used` numbers of blocks are in use or free.  Returns how many are then, the first free one, how many blocks
    are new, how many states are in parts that are to be followed, and how many new blocks have one state.
    """
    groups, blocks = arrays.groups, arrays.blocks
    measure_groups(found, arrays)
    new: Any = np.int64(0)
    moved: Any = np.int64(0)
    single: Any = np.int64(0)
    place: Any = np.int64(tail)
    for group in range(1, found + 1):
        own = np.uint32(groups[group, WORD])
        size = np.int64(groups[group, COUNT])
        rest = np.int64(blocks[own, SIZE])
        largest = blocks[own, TOUCHED] == group
        mixed = MIXED if groups[group, DIFFERENCE] != ZERO else ZERO
        block: Any = own
        if largest and rest == 0:
            groups[group, PART] = STAYS
            if size == 1:
                free = _freed(own, free, blocks)
        else:
            new += 1
            single += np.int64(size == 1)
            groups[group, PART] = FOLLOWED | mixed
            if largest and size > rest:
                groups[group, PART] = LEFT
                moved += rest
            else:
                moved += size
            if size > 1:
                if free > 0:
                    block = np.uint32(free - 1)
                    free = np.int64(blocks[block, NEXT])
                else:
                    block = np.uint32(used)
                    used += 1
                blocks[block, TOUCHED] = 0
        if size > 1:
            blocks[block, START], blocks[block, SIZE] = place, size
        else:
            block = ALONE
        groups[group, PLACE] = np.uint64(place) | (np.uint64(block) << HALF)
        place += size
    return used, free, new, moved, single


@inlined
def _move(end: Any, found: Any, arrays: Any) -> None:
    """Write the states of every group behind one another, and their block into them; clear up."""
    labels, order, blocks = arrays.labels, arrays.order, arrays.blocks
    records, groups = arrays.records, arrays.groups
    for i in range(1, end):
        if i + _AHEAD < end:
            prefetch(labels, np.uint32(records[i + _AHEAD, WORD]))
        word = records[i, WORD]
        state, group = np.uint32(word), word >> HALF
        target = groups[group, PLACE]
        groups[group, PLACE] = target + ONE
        order[np.uint32(target)] = state
        labels[state] = target >> HALF
    for group in range(1, found + 1):
        blocks[np.uint32(groups[group, WORD]), TOUCHED] = 0


@compiled
def _pack(used: Any, arrays: Any) -> Any:
    """Write the states of all blocks that have several to the front of ``order``; return their number."""
    order, blocks = arrays.order, arrays.blocks
    total: Any = np.int64(0)
    for block in range(used):
        blocks[block, START] = total
        size = np.int64(blocks[block, SIZE])
        total += size if size > 1 else np.int64(0)
    for state in range(len(arrays.labels)):
        own = _block_of(np.uint32(state), arrays)
        if own < ALONE and blocks[own, SIZE] > 1:
            place = np.uint32(blocks[own, START])
            order[place] = state
            blocks[own, START] = place + np.uint32(1)
    for block in range(used):
        if blocks[block, SIZE] > 1:
            blocks[block, START] -= blocks[block, SIZE]
    return total


@inlined
def _list_parts(fresh: Any, count: Any, incoming: Any, arrays: Any) -> None:
    """Make a group of each part that is to be followed after a sweep, where states are in order."""
    order, blocks, groups = arrays.order, arrays.blocks, arrays.groups
    totals = incoming.totals
    for block in range(fresh, count):
        group = block - fresh + 1
        part: Any = np.uint32(block)
        if blocks[block, NAME] != part:  # what was left has the name that is new
            part = blocks[block, TOUCHED]
        start, size = np.int64(blocks[part, START]), np.int64(blocks[part, SIZE])
        differs: Any = False
        if incoming.closed:
            first = totals[np.uint32(order[start])]
            for place in range(start, start + size):
                differs |= totals[np.uint32(order[place])] != first
        groups[group, PLACE], groups[group, COUNT] = start + size, size
        groups[group, PART] = FOLLOWED | (MIXED if differs else ZERO)


@compiled
def begin(fresh: Any, count: Any, incoming: Any, arrays: Any) -> Any:
    """Set up the arrays after a sweep, where the blocks from `fresh` on are new.

    Returns the place from where to go on: how many parts there are to follow, how many numbers of blocks are in use or
    free, the first that is free (plus one, or 0), where ``order`` is free, and what was done since it was packed.
    """
    labels, order, blocks = arrays.labels, arrays.order, arrays.blocks
    total: Any = np.int64(0)
    for block in range(count):
        blocks[block, START] = total
        total += np.int64(blocks[block, SIZE])
    for state in range(len(labels)):
        own = labels[state]
        place = np.uint32(blocks[own, START])
        order[place] = state
        blocks[own, START] = place + np.uint32(1)
        if blocks[own, SIZE] == 1:
            labels[state] = ALONE
    for block in range(count):
        blocks[block, START] -= blocks[block, SIZE]
    _list_parts(fresh, count, incoming, arrays)
    free: Any = np.int64(0)
    for block in range(count):
        blocks[block, TOUCHED] = 0
        if blocks[block, SIZE] == 1:
            free = _freed(block, free, blocks)
    return count - fresh, np.int64(count), free, total, np.int64(0)


@compiled
def leave(used: Any, free: Any, arrays: Any) -> Any:
    """Set up the blocks for sweeps: each has a number, a member, and its number as its name.

    Returns how many blocks there are.
    """
    labels, alone, blocks = arrays.labels, arrays.alone, arrays.blocks
    for state in range(len(labels)):
        own: Any = labels[state]
        if own == ALONE:
            if free > 0:
                own = np.uint32(free - 1)
                free = np.int64(blocks[own, NEXT])
            else:
                own = np.uint32(used)
                used += 1
            labels[state] = own
            blocks[own, SIZE] = 1
        alone[state] = blocks[own, SIZE] == 1
        blocks[own, MEMBER] = state
    for block in range(used):
        blocks[block, NAME], blocks[block, TOUCHED] = block, 0
    return used


_following, _splitting = inlined(cost_of_following), inlined(cost_of_splitting)


@compiled
def propagate(
    place: Any, count: Any, moved: Any, degree: Any, sharing: Any, look: Any, budget: Any,
    incoming: Any, field: Any, arrays: Any,
) -> Any:  # fmt: skip
    """Run rounds that follow only what changed, one at least, until a sweep costs less or the budget is spent.

    `place` is what `begin` returns.  There are `count` blocks; `moved` > 0 states are in parts to be followed.  For the
    costs, `degree` is how many transitions enter a state, `sharing` how many states share a block, and
    `look` what it costs to sweep, but for what it costs to split.
    Returns the first three after the last round, how many blocks came in it, how many states were touched for each that
    moved, and how many have become their whole block.
    """
    spent: Any = 0
    lone: Any = np.int64(0)
    states = len(arrays.labels)
    totals, closed = incoming.totals, incoming.closed
    found, used, free, tail, since = place
    while True:
        number, followed, free = _follow(found, count, tail, free, incoming, field, arrays)
        spent += followed + number
        since += followed + number + _ROUND
        ratio = (number - 1) / moved
        crowded = tail + number > states + states // 2 and since > _WORTHWHILE * states
        if crowded or tail + number > len(arrays.order):
            tail = _pack(used, arrays)
            since = np.int64(0)
        end, found = _find_groups(number, max(2 * found, _FEW_GROUPS), totals, closed, arrays)
        used, free, new, moved, single = _divide(found, tail, used, free, arrays)
        count += new
        lone += single
        _move(end, found, arrays)
        if moved:
            tail += end - 1
        follow = _following(moved, new, ratio, degree, sharing, states)
        if moved == 0 or spent >= budget or follow > look + _splitting(moved, new, sharing):
            return (found, used, free, tail, since), count, moved, new, ratio, lone

"""Rounds of the kernel that follow only what changed, compiled.

States of one block have equal sums into every block when a round begins, but for those that have just been
divided.  So sums into their new parts decide: when u comes to a part of value v, every predecessor s gains
M[s, u] v, and where rows are closed, u itself loses v times what leaves it.  Only the gains of this round
are kept, and a state that gains nothing costs nothing.  Into the part that is not followed the rest goes.

Those of a block with equal gains become a block, whose states stand at the end of ``order``; what is
left of the block stays where it was, gaps and all, until it is itself the smaller part and its states are
looked up.  So no state is moved but for being touched.  The largest part keeps the *name* that gives
a block its value, and only the others are followed: a state is at most log2(n) times, O(m log n) in all.

Where all states of a block lose the same, none needs to: gains are compared inside blocks only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_arrays import (
    ALONE,
    BLOCK,
    COUNT,
    DIFFERENCE,
    GAIN,
    MARKED,
    MIXED,
    NAME,
    PRINT,
    SIZE,
    START,
    TOUCHED,
    WORD,
)
from lumpability.refinement.kernel_compile import FIRST, compiled, inlined
from lumpability.refinement.kernel_costs import (
    NEAR_CELLS,
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
    measure_groups,
    start_table,
)
from lumpability.refinement.kernel_prefetch import prefetch

__all__ = ["begin", "propagate"]

_AHEAD = 8  # states
HALF = np.uint64(32)
HIGH_HALF = np.uint64((2**32 - 1) << 32)
ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)


@inlined
def _touch(source: Any, weight: Any, change: Any, number: Any, field: Any, arrays: Any) -> Any:
    """Add weight x change to what a state gains, and list the state if it is marked for the first time.

    Returns how many states are listed.  Without branches, which nothing could predict.
    """
    cells, touched = arrays.cells, arrays.touched
    word = cells[source, PRINT]
    product = multiply(weight, change, field)
    if field.p == ZERO:  # a multiple of 4, as the change is
        cells[source, PRINT] = (word + product) | MARKED
    else:
        gain = add_modulo(word >> TWO, product, field.p) << TWO
        cells[source, PRINT] = gain | (word & ALONE) | MARKED
    touched[number] = source  # overwritten by the next unless it counts
    return number + np.int64(word & (MARKED | ALONE) == ZERO)


@inlined
def _look_ahead(
    i: Any, tail: Any, order: Any, cells: Any, indptr: Any, entries: Any, bits: Any
) -> None:
    """Ask for what the next states need: rows are short and lie anywhere."""
    if i + 3 * _AHEAD < tail:
        prefetch(indptr, np.uint32(order[i + 3 * _AHEAD]))
    if i + 2 * _AHEAD < tail:
        prefetch(entries, np.uint64(indptr[np.uint32(order[i + 2 * _AHEAD])]))
    if len(cells) > NEAR_CELLS and i + _AHEAD < tail:
        begin = np.uint64(indptr[np.uint32(order[i + _AHEAD])])
        for entry in range(begin, min(begin + TWO, np.uint64(len(entries)))):
            prefetch(cells, np.uint64(entries[entry]) >> bits)


@inlined
def _look_up(block: Any, arrays: Any) -> Any:
    """Bring the states of a block together that others left; return whether what leaves them differs."""
    cells, order, blocks = arrays.cells, arrays.order, arrays.blocks
    start = np.uint64(blocks[block, START])
    end = start + np.uint64(blocks[block, SIZE])
    place: Any = start
    here: Any = start
    differs: Any = ZERO
    first: Any = ZERO
    while place < end:
        state = np.uint32(order[here])
        word = cells[state, BLOCK]
        here += ONE
        if np.uint32(word) == np.uint32(block):
            if place == start:
                first = word
            differs |= (word ^ first) >> HALF
            order[place] = state
            place += ONE
    return differs != ZERO


@inlined
def _follow(fresh: Any, count: Any, tail: Any, incoming: Any, field: Any, arrays: Any) -> Any:
    """Add up what states gain by the names that are new; return how many are touched, by how many transitions."""
    indptr, entries, bits, table, totals, closed = incoming
    code = (ONE << bits) - ONE
    order, blocks, cells = arrays.order, arrays.blocks, arrays.cells
    number: Any = 0
    followed: Any = 0
    first = np.int64(blocks[fresh, START])
    if tail - first > _AHEAD:  # nobody has asked for the first ones
        for place in range(first, min(first + 2 * _AHEAD, tail)):
            prefetch(indptr, np.uint32(order[place]))
        for place in range(first, min(first + 2 * _AHEAD, tail)):
            prefetch(entries, np.uint64(indptr[np.uint32(order[place])]))
    for name in range(fresh, count):
        parent = np.uint32(blocks[name, TOUCHED])
        mixed: Any = parent >= MIXED
        parent &= MIXED - np.uint32(1)
        blocks[name, TOUCHED] = 0
        block: Any = np.uint32(name)
        if blocks[name, NAME] != block:  # the part that was left is smaller, and has the name
            block = parent
            mixed = _look_up(block, arrays)
        change = block_value(name, field)
        start = np.int64(blocks[block, START])
        size = np.int64(blocks[block, SIZE])
        if size == 1:
            cells[np.uint32(order[start]), PRINT] = ALONE
        for place in range(start, start + size):
            _look_ahead(place, tail, order, cells, indptr, entries, bits)
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
                number = _touch(target, loss, change, number, field, arrays)
            followed += np.int64(end - begin)
    return number, followed


@inlined
def _find_groups(number: Any, arrays: Any) -> Any:
    """Find out which touched states that gained something belong together: of one block, with equal gains.

    They are listed, each with its group.  Returns how many states and groups there are.
    """
    cells, touched, group_of = arrays.cells, arrays.touched, arrays.group_of
    groups = arrays.groups
    bits = start_table(number, arrays)
    states: Any = 0
    found: Any = np.int64(0)
    for i in range(number):
        if i + _AHEAD < number:
            prefetch(cells, np.uint32(touched[i + _AHEAD]))
        state = np.uint32(touched[i])
        gain = cells[state, PRINT] & ~(MARKED | ALONE)
        if gain == ZERO:
            cells[state, PRINT] &= ALONE
            continue
        word = cells[state, BLOCK]
        group = np.int64(add_to_group(gain, word, found, bits, arrays))
        found = max(found, group)
        groups[group, DIFFERENCE] |= word ^ groups[group, WORD]
        touched[states], group_of[states] = state, group
        states += 1
    return states, found


@inlined
def _divide(found: Any, tail: Any, count: Any, arrays: Any) -> Any:
    """Make blocks of the groups; what did not gain stays, or else the largest group does.

    Returns the new number of blocks, how many states have a new name, and how many new blocks have one state.
    """
    groups, blocks = arrays.groups, arrays.blocks
    measure_groups(found, arrays)
    moved: Any = 0
    single: Any = np.int64(0)
    place: Any = np.int64(tail)
    for group in range(1, found + 1):
        own = np.uint32(groups[group, WORD])
        size = np.int64(groups[group, COUNT])
        rest = np.int64(blocks[own, SIZE])
        largest = blocks[own, TOUCHED] == group
        block: Any = own
        if not largest or rest > 0:
            block = np.uint32(count)
            count += 1
            mixed = groups[group, DIFFERENCE] != ZERO
            blocks[block, TOUCHED] = own | (MIXED if mixed else np.uint32(0))
            blocks[block, NAME] = block
            single += np.int64(size == 1)
            if largest and size > rest:
                blocks[block, NAME], blocks[own, NAME] = blocks[own, NAME], block
                moved += rest
            else:
                moved += size
        blocks[block, START], blocks[block, SIZE] = place, size
        groups[group, GAIN] = np.uint64(place) | (np.uint64(block) << HALF)
        place += size
    return count, moved, single


@inlined
def _move(states: Any, found: Any, arrays: Any) -> None:
    """Write the states of every group behind one another, and their block into them; clear up."""
    cells, order, blocks = arrays.cells, arrays.order, arrays.blocks
    touched, group_of, groups = arrays.touched, arrays.group_of, arrays.groups
    for i in range(states):
        if i + _AHEAD < states:
            prefetch(cells, np.uint32(touched[i + _AHEAD]))
        state, group = np.uint32(touched[i]), np.uint32(group_of[i])
        target = groups[group, GAIN]
        groups[group, GAIN] = target + ONE
        order[np.uint32(target)] = state
        cells[state, PRINT] = ALONE if groups[group, COUNT] == 1 else ZERO
        cells[state, BLOCK] = (cells[state, BLOCK] & HIGH_HALF) | (target >> HALF)
    for number in range(1, found + 1):
        blocks[np.uint32(groups[number, WORD]), TOUCHED] = 0


@compiled
def _pack(fresh: Any, count: Any, arrays: Any) -> Any:
    """Write the states of all blocks that have several, or are new, to the front of ``order``.

    Returns their number.
    """
    cells, order, blocks = arrays.cells, arrays.order, arrays.blocks
    total: Any = np.int64(0)
    for block in range(count):
        blocks[block, START] = total
        size = np.int64(blocks[block, SIZE])
        total += size if size > 1 or block >= fresh else np.int64(0)
    for state in range(len(cells)):
        own = np.uint32(cells[state, BLOCK])
        if own >= fresh or blocks[own, SIZE] > 1:
            place = np.uint32(blocks[own, START])
            order[place] = state
            blocks[own, START] = place + np.uint32(1)
    for block in range(count):
        if block >= fresh or blocks[block, SIZE] > 1:
            blocks[block, START] -= blocks[block, SIZE]
    return total


@compiled
def begin(fresh: Any, count: Any, incoming: Any, arrays: Any) -> Any:
    """Set up the arrays after a sweep, where the blocks from `fresh` on are new; return where ``order`` is free."""
    cells, labels, alone = arrays.cells, arrays.labels, arrays.alone
    order, blocks = arrays.order, arrays.blocks
    for state in range(len(labels)):
        word = np.uint64(np.uint32(labels[state]))
        if incoming.closed:
            word |= (incoming.totals[state] * SPREAD) & HIGH_HALF
        cells[state, PRINT] = ALONE if alone[state] else ZERO
        cells[state, BLOCK] = word
    tail = _pack(FIRST, count, arrays)
    if incoming.closed:
        for block in range(fresh, count):
            start = np.int64(blocks[block, START])
            first = cells[np.uint32(order[start]), BLOCK]
            differs: Any = ZERO
            for place in range(start, start + np.int64(blocks[block, SIZE])):
                differs |= (cells[np.uint32(order[place]), BLOCK] ^ first) >> HALF
            if differs:
                blocks[block, TOUCHED] |= MIXED
    return tail


_following, _splitting = inlined(cost_of_following), inlined(cost_of_splitting)


@compiled
def propagate(
    fresh: Any, count: Any, tail: Any, moved: Any, degree: Any, sharing: Any, look: Any, budget: Any,
    incoming: Any, field: Any, arrays: Any,
) -> Any:  # fmt: skip
    """Run rounds that follow only what changed, one at least, until a sweep costs less or the budget is spent.

    The names fresh .. count-1 are new, `moved` > 0 states have one of them, and ``order`` is free from `tail`
    on.  For the costs, `degree` is how many transitions enter a state, `sharing` how many states share a block, and
    `look` what it costs to sweep, but for what it costs to split.
    Returns the first four after the last round, how many states were touched in it for each that moved, and how
    many have become their whole block.
    """
    spent: Any = 0
    lone: Any = np.int64(0)
    while True:
        number, followed = _follow(fresh, count, tail, incoming, field, arrays)
        spent += followed + number
        ratio = number / moved
        if tail + number > len(arrays.order):
            tail = _pack(count, count, arrays)
        gaining, found = _find_groups(number, arrays)
        fresh = count
        count, moved, single = _divide(found, tail, count, arrays)
        lone += single
        _move(gaining, found, arrays)
        if moved:
            tail += gaining
        names = count - fresh
        follow = _following(moved, names, ratio, degree, sharing, len(arrays.cells))
        if moved == 0 or spent >= budget or follow > look + _splitting(moved, names, sharing):
            return fresh, count, tail, moved, ratio, lone

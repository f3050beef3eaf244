"""Rounds that follow only what changed: Paige and Tarjan's splitters, all of a round at once.

States of one block have equal sums into every block when a round begins, but for those that have just been divided.
So sums into their new parts, the splitters, decide: when u comes to a splitter of value v, every predecessor s gains
M[s, u] v, and where rows are closed, u itself loses v times what leaves it.  Only the gains of this round are kept, and
a state that gains nothing costs nothing.  The largest part of a block is no splitter, so a state is in a splitter at
most log2(n) times: O(m log n) in all (Valmari and Franceschinis 2010).  Where all states of a splitter lose the same,
none needs to: gains are compared inside blocks only.

A state with a gain is listed in ``gains``; meanwhile its label is a mark and its place in the list.  Gain 0 is a dummy:
a state that is its whole block has the label `ALONE`, which is the mark with that place, so its gains land there.

States of a block with equal gains are a part.  Parts become blocks, whose states stand at the end of ``members``; what
is left of a block stays where it was, gaps and all, until it is itself the smaller part and its states are looked up.
So no state is moved unless it gains.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lumpability.refinement.kernel.arrays import (
    ALONE,
    BLOCK,
    COUNT,
    HALF,
    KEY,
    LARGEST,
    NOTE,
    ONE,
    SIZE,
    SPREAD,
    TWO,
    ZERO,
    Bools,
    Codes,
    Field,
    Following,
    Int32s,
    Integer,
    Pointers,
    Rows,
    UInt32s,
    UInt64s,
    add_modulo,
    add_to_part,
    block_value,
    last_slot,
    measure_parts,
    multiply,
    subtract_modulo,
)
from lumpability.refinement.kernel.compiling import compiled, inlined, prefetch, subroutine
from lumpability.refinement.kernel.sweep import NAME

START = 0
"""Column of blocks: the first place in members.  SIZE is 0 where the only state has the label `ALONE`."""
GAIN, WORD = 0, 1
"""Columns of gains; the word is a state below its block, later below its part."""
END, ROLE = KEY, NOTE
"""Columns of splitters: the end of a part in members below its block, and a sum of:"""
NONE, NEW, REST, MIXED = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(4)
"""No splitter; the part itself is; what it left of its block is; and what leaves the states of it differs."""
_HIGH_HALF = np.uint64((2**32 - 1) << 32)
_AHEAD = 8  # states
_NEAR_LABELS = 200_000  # states, whose labels are in the cache

# In transitions that are swept.
_SWEEP_COST = 3  # of a state that is swept
_FOLLOW_COST = 6  # of a transition into a state that has moved
_TRANSPOSE_COST = 3.5  # of a transition that is transposed
_EAGER = 0.66  # of a transition that is transposed, if that looks promising
_PATIENCE = 1.5  # by how much less likely many more rounds are after each sweep
_FIRST_SWEEPS = 30  # of which that is said; floats end after some hundreds more


class Incoming(NamedTuple):
    """The transposed rows of states that share a block."""

    pointers: Pointers  # (n + 1,)
    entries: Codes  # source x 2^bits + code of the weight
    bits: np.uint64
    residues: UInt64s
    leaving: UInt64s  # (n,) or (0,): the sum of each row, if rows are closed
    closed: bool


class Agenda(NamedTuple):
    """What rounds pass on to the next."""

    splitters: Integer  # rows of the array that may be splitters
    tail: Integer  # from where on ``members`` is free


def most_followed(states: int, active: float) -> int:
    """How many states may move until it costs less to sweep over `active` transitions than to follow."""
    return int((active / states + _SWEEP_COST) * states**2 / (_FOLLOW_COST * active))


def begins_to_pay(rent: float, sweeps: int, states: int) -> bool:
    """Whether to transpose the rows, if so many fewer states have moved than `most_followed`, all sweeps together.

    That is renting until the rent is the price.  Where few states move in the first rounds, many more rounds will come.
    """
    eager = _EAGER * _PATIENCE ** min(sweeps - 1, _FIRST_SWEEPS)
    return _FOLLOW_COST * rent > min(eager, _TRANSPOSE_COST) * states


def transposed(rows: Rows, leaving: UInt64s, alone: Bools, lone: int) -> Incoming:
    """Return the transposed rows of states that share a block.

    The other `lone` states do not split; but where they are few, leaving them out costs more than it saves.
    """
    n, m = len(alone), len(rows.indices)
    every = lone < n // 8
    pointers = np.empty(n + 2, dtype=np.uint32 if m < 2**32 else np.uint64)
    _count_incoming(rows, alone, every, pointers)
    bits = max(len(rows.residues) - 1, 0).bit_length()
    wide = max(n - 1, 0).bit_length() + bits > 32
    entries = np.empty(pointers[-1], dtype=np.uint64 if wide else np.uint32)
    _fill_incoming(rows, alone, every, pointers, np.uint64(bits), entries)
    return Incoming(pointers[:-1], entries, np.uint64(bits), rows.residues, leaving, rows.closed)


@compiled
def _count_incoming(rows: Rows, alone: Bools, every: bool, pointers: Pointers) -> None:
    """Count what enters every state from those that still share a block, or from every state.

    ``pointers`` (n + 2) receives where the row of each state begins, one place late: `_fill_incoming` moves
    every pointer on to the end of its row, which is where the next begins.
    """
    indptr, indices = rows.indptr, rows.indices
    n = len(alone)
    for state in range(n + 2):
        pointers[state] = 0
    if every:  # in one loop, whose end is no surprise
        for position in range(len(indices)):
            pointers[np.uint32(indices[position]) + TWO] += 1
    else:
        for state in range(n):
            if not alone[state]:
                for position in range(np.uint64(indptr[state]), np.uint64(indptr[state + 1])):
                    pointers[np.uint32(indices[position]) + TWO] += 1
    for state in range(n):
        pointers[state + 2] += pointers[state + 1]


@compiled
def _fill_incoming(
    rows: Rows, alone: Bools, every: bool, pointers: Pointers, bits: np.uint64, entries: Codes
) -> None:
    """Write the transposed rows: the source and the code of the weight of every entry, in one word."""
    indptr, indices, codes = rows.indptr, rows.indices, rows.codes
    for state in range(len(alone)):
        if every or not alone[state]:
            source = np.uint64(state) << bits
            for position in range(np.uint64(indptr[state]), np.uint64(indptr[state + 1])):
                target = np.uint32(indices[position]) + ONE
                entry = np.uint64(pointers[target])
                entries[entry] = source | np.uint64(codes[position])
                pointers[target] = entry + ONE


@inlined
def _add_gain(
    source: Integer, weight: np.uint64, change: np.uint64, number: Integer, field: Field, arrays: Following
) -> Integer:  # fmt: skip
    """Add weight x change to what a state gains, and list the state if that is its first gain.

    Returns how many gains are listed.  Without branches, which nothing could predict.
    """
    labels, gains = arrays.labels, arrays.gains
    label = labels[source]
    listed = label >= ALONE
    place = np.uint64(label - ALONE) if listed else np.uint64(number)
    before = gains[place, GAIN]
    before = before if listed else ZERO
    labels[source] = ALONE + np.uint32(place)
    gains[place, GAIN] = add_modulo(before, multiply(weight, change, field), field.p)
    # Overwritten by the next unless it counts.
    gains[np.uint64(number), WORD] = source | (np.uint64(label) << HALF)
    return number + np.int64(not listed)


@inlined
def _block_of(state: Integer, arrays: Following) -> np.uint32:
    """The block of a state, whether it gains or not; `ALONE` if that is all."""
    label: Any = arrays.labels[state]
    if label >= ALONE:
        label = np.uint32(arrays.gains[np.uint64(label - ALONE), WORD] >> HALF)
    return label


@inlined
def _look_ahead(
    i: Integer, tail: Integer, members: Int32s, labels: UInt32s, incoming: Incoming
) -> None:
    """Ask for what the next states need: rows are short and lie anywhere."""
    pointers, entries = incoming.pointers, incoming.entries
    if i + 3 * _AHEAD < tail:
        prefetch(pointers, np.uint32(members[i + 3 * _AHEAD]))
    if i + 2 * _AHEAD < tail:
        prefetch(entries, np.uint64(pointers[np.uint32(members[i + 2 * _AHEAD])]))
    if len(labels) > _NEAR_LABELS and i + _AHEAD < tail:
        begin = np.uint64(pointers[np.uint32(members[i + _AHEAD])])
        for entry in range(begin, min(begin + TWO, np.uint64(len(entries)))):
            prefetch(labels, np.uint64(entries[entry]) >> incoming.bits)


@inlined
def _gather_rest(block: np.uint32, incoming: Incoming, arrays: Following) -> bool:
    """Bring the states of a block together that others left; return whether what leaves them differs."""
    members, blocks, leaving = arrays.members, arrays.blocks, incoming.leaving
    start = np.uint64(blocks[block, START])
    end = start + np.uint64(blocks[block, SIZE])
    place: Any = start
    here: Any = start
    differs: Any = False
    while place < end:
        state = np.uint32(members[here])
        here += ONE
        if _block_of(state, arrays) == block:
            members[place] = state
            if incoming.closed:
                differs |= leaving[state] != leaving[np.uint32(members[start])]
            place += ONE
    return differs


@inlined
def _is_alone_now(block: np.uint32, arrays: Following) -> None:
    """Note that the only state of a block is alone, though it may gain."""
    labels, blocks = arrays.labels, arrays.blocks
    state = np.uint32(arrays.members[np.uint32(blocks[block, START])])
    label = labels[state]
    if label >= ALONE:
        arrays.gains[np.uint64(label - ALONE), WORD] = state | (np.uint64(ALONE) << HALF)
    labels[state], blocks[block, SIZE] = ALONE, 0


@inlined
def _add_gains(
    found: Integer, count: Integer, tail: Integer, incoming: Incoming, field: Field, arrays: Following
) -> tuple[Integer, Integer]:  # fmt: skip
    """Add up what states gain by the splitters, of which the values follow those of `count` other blocks.

    Returns how many gains there are with the dummy, and how many transitions were followed.
    """
    pointers, entries, bits, residues, leaving, closed = incoming
    code = (ONE << bits) - ONE
    members, blocks, splitters = arrays.members, arrays.blocks, arrays.splitters
    arrays.gains[0, GAIN], arrays.gains[0, WORD] = ZERO, np.uint64(ALONE) << HALF
    number: Integer = 1
    followed: Integer = 0
    first: Integer = tail
    if found > 0:
        first = np.int64(np.uint32(splitters[1, END])) - np.int64(splitters[1, COUNT])
    if tail - first > _AHEAD:  # nobody has asked for the first ones
        for place in range(first, min(first + 2 * _AHEAD, tail)):
            prefetch(pointers, np.uint32(members[place]))
        for place in range(first, min(first + 2 * _AHEAD, tail)):
            prefetch(entries, np.uint64(pointers[np.uint32(members[place])]))
    for splitter in range(1, found + 1):
        role = splitters[splitter, ROLE]
        if role == NONE:
            continue
        size: Integer = np.int64(splitters[splitter, COUNT])
        start: Integer = np.int64(np.uint32(splitters[splitter, END])) - size
        mixed: Integer = role & MIXED != ZERO
        if role & REST:
            block = np.uint32(splitters[splitter, BLOCK])
            mixed = _gather_rest(block, incoming, arrays)
            start, size = np.int64(blocks[block, START]), np.int64(blocks[block, SIZE])
            if size == 1:
                _is_alone_now(block, arrays)
        change = block_value(count + splitter, field)
        for place in range(start, start + size):
            _look_ahead(place, tail, members, arrays.labels, incoming)
            target = np.uint32(members[place])
            begin, end = np.uint64(pointers[target]), np.uint64(pointers[target + ONE])
            for entry in range(begin, end):
                word = np.uint64(entries[entry])
                source = word >> bits
                number = _add_gain(source, residues[word & code], change, number, field, arrays)
            if closed and mixed:
                loss = subtract_modulo(ZERO, leaving[target], field.p)
                number = _add_gain(np.uint64(target), loss, change, number, field, arrays)
            followed += np.int64(end - begin)
    return number, followed


@inlined
def _find_parts(number: Integer, incoming: Incoming, arrays: Following) -> tuple[Integer, Integer]:
    """Group the states that gained something by block and gain.

    The states are listed, each with its part, and have labels again
    when they are moved; the others have them at once.  Returns the end of the list, and how many parts there are.
    """
    labels, gains, parts = arrays.labels, arrays.gains, arrays.parts
    leaving, closed = incoming.leaving, incoming.closed
    last, end, found = last_slot(number - 1), np.int64(1), np.int64(0)
    for i in range(1, number):
        if closed and i + _AHEAD < number:
            prefetch(leaving, np.uint32(gains[i + _AHEAD, WORD]))
        gain, word = gains[i, GAIN], gains[i, WORD]
        state, own = np.uint32(word), word >> HALF
        if gain == ZERO or own == np.uint64(ALONE):
            labels[state] = own
            continue
        if closed:  # above the block there is room for a hash of what leaves the state
            own |= (leaving[state] * SPREAD) & _HIGH_HALF
        part = np.int64(add_to_part(gain, own, found, last, parts, arrays.slots))
        found = max(found, part)
        parts[part, NOTE] |= own ^ parts[part, BLOCK]
        gains[end, WORD] = state | (np.uint64(part) << HALF)
        end += 1
    return end, found


@inlined
def _divide(
    found: Integer, tail: Integer, count: Integer, arrays: Following
) -> tuple[Integer, Integer, Integer]:
    """Make blocks of the parts, and splitters of all but the largest part of each block; what did not gain is a part.

    Returns how many blocks there are then, how many states are in splitters, and how many new blocks have one state.
    """
    parts, splitters, blocks = arrays.parts, arrays.splitters, arrays.blocks
    measure_parts(found, blocks, parts, arrays.slots)
    moved: Any = np.int64(0)
    single: Any = np.int64(0)
    place: Any = np.int64(tail)
    for part in range(1, found + 1):
        block: Any = np.uint32(parts[part, BLOCK])
        size, rest = np.int64(parts[part, COUNT]), np.int64(blocks[block, SIZE])
        largest, mixed = blocks[block, LARGEST] == part, parts[part, NOTE] != ZERO
        if largest and rest == 0:
            splitters[part, ROLE] = NONE
        else:
            splitters[part, ROLE] = NEW | (MIXED if mixed else ZERO)
            if largest and size > rest:
                splitters[part, ROLE] = REST
                moved += rest
            else:
                moved += size
            single += np.int64(size == 1)
            block = np.uint32(count)
            count += 1
            blocks[block, LARGEST] = 0
        blocks[block, START], blocks[block, SIZE] = place, size if size > 1 else 0
        label = block if size > 1 else ALONE
        splitters[part, END] = np.uint64(place) | (np.uint64(label) << HALF)
        place += size
    return count, moved, single


@inlined
def _move(end: Integer, found: Integer, arrays: Following) -> None:
    """Write the states of every part behind one another, and their block into them; clear up.

    Until then END is where the next state of the part goes.
    """
    labels, members, blocks = arrays.labels, arrays.members, arrays.blocks
    gains, splitters = arrays.gains, arrays.splitters
    for i in range(1, end):
        if i + _AHEAD < end:
            prefetch(labels, np.uint32(gains[i + _AHEAD, WORD]))
        word = gains[i, WORD]
        state, part = np.uint32(word), word >> HALF
        target = splitters[part, END]
        splitters[part, END] = target + ONE
        members[np.uint32(target)] = state
        labels[state] = target >> HALF
    for part in range(1, found + 1):
        blocks[np.uint32(splitters[part, BLOCK]), LARGEST] = 0


@subroutine
def _pack(count: Integer, arrays: Following) -> Integer:
    """Write the states of all blocks that have several to the front of ``members``; return their number."""
    members, blocks = arrays.members, arrays.blocks
    total: Any = np.int64(0)
    for block in range(count):
        blocks[block, START] = total
        size = np.int64(blocks[block, SIZE])
        total += size if size > 1 else np.int64(0)
    for state in range(len(arrays.labels)):
        own = _block_of(np.uint32(state), arrays)
        if own < ALONE and blocks[own, SIZE] > 1:
            place = np.uint32(blocks[own, START])
            members[place] = state
            blocks[own, START] = place + np.uint32(1)
    for block in range(count):
        if blocks[block, SIZE] > 1:
            blocks[block, START] -= blocks[block, SIZE]
    return total


@inlined
def _list_splitters(fresh: Integer, count: Integer, incoming: Incoming, arrays: Following) -> None:
    """Make splitters of what a sweep cut off, or of what it left where that is less."""
    members, blocks, splitters = arrays.members, arrays.blocks, arrays.splitters
    leaving = incoming.leaving
    for block in range(fresh, count):
        splitter = block - fresh + 1
        part: Any = np.uint32(block)
        if blocks[block, NAME] != part:  # what was left has the name that is new
            part = blocks[block, LARGEST]
        start, size = np.int64(blocks[part, START]), np.int64(blocks[part, SIZE])
        differs: Any = False
        if incoming.closed:
            first = leaving[np.uint32(members[start])]
            for place in range(start, start + size):
                differs |= leaving[np.uint32(members[place])] != first
        splitters[splitter, END], splitters[splitter, COUNT] = start + size, size
        splitters[splitter, ROLE] = NEW | (MIXED if differs else ZERO)


@compiled
def begin(fresh: Integer, count: Integer, incoming: Incoming, arrays: Following) -> Agenda:
    """Set up the arrays after a sweep, where the blocks from `fresh` on are new; return an `Agenda`."""
    labels, members, blocks = arrays.labels, arrays.members, arrays.blocks
    total: Any = np.int64(0)
    for block in range(count):
        blocks[block, START] = total
        total += np.int64(blocks[block, SIZE])
    for state in range(len(labels)):
        own = labels[state]
        place = np.uint32(blocks[own, START])
        members[place] = state
        blocks[own, START] = place + np.uint32(1)
        if blocks[own, SIZE] == 1:
            labels[state] = ALONE
    for block in range(count):
        blocks[block, START] -= blocks[block, SIZE]
    _list_splitters(fresh, count, incoming, arrays)
    for block in range(count):
        blocks[block, LARGEST] = 0
        if blocks[block, SIZE] == 1:
            blocks[block, SIZE] = 0
    return Agenda(count - fresh, total)


@compiled
def follow_changes(
    agenda: Agenda, count: Integer, most: Integer, budget: Integer, incoming: Incoming, field: Field,
    arrays: Following,
) -> tuple[Agenda, Integer, Integer, Integer]:  # fmt: skip
    """Run rounds that follow only what changed, one at least, until no states move, or too many, or the budget is spent.

    There are `count` blocks.  Returns the first two after the last round, how many states moved in it, and how many have
    become their whole block.
    """
    spent: Any = 0
    lone: Any = np.int64(0)
    found, tail = agenda
    while True:
        number, followed = _add_gains(found, count, tail, incoming, field, arrays)
        spent += followed + number
        if tail + number > len(arrays.members):
            tail = _pack(count, arrays)
        end, found = _find_parts(number, incoming, arrays)
        count, moved, single = _divide(found, tail, count, arrays)
        lone += single
        _move(end, found, arrays)
        if moved:
            tail += end - 1
        if moved == 0 or moved > most or spent >= budget:
            return Agenda(found, tail), count, moved, lone

"""Settling: the final blocks of states whose targets have theirs, in one depth-first walk.

Let U be a set of states that no transition leaves.  The coarsest stable partition, restricted to U, is that of U alone.
So when all targets of a state s, itself aside, are settled, its row alone settles s: it joins the only settled
block of the same initial block whose rows have the same sums into every block, where s itself counts as a member; or it
begins a new block.  That block is one that s goes to, and there are few of these; or it is none of them, and then its
hash finds it: the hash of the sums of s into other blocks and into itself.  Candidates are compared with the first
member of the block.  If sums fit 64 bits, that is exact, and the result needs no other proof.

The walk begins at the last state, as models are mostly numbered as they are explored, so that targets come after their
sources.  Acyclic structures settle entirely.  A state that goes to one that is being visited lies on a cycle; it does
not settle, and neither does a state that goes to it.  Such states are left alone in their block, and rounds refine
the quotient, which is small then.  If there are too many of them, nothing is gained, and the walk ends early.
Rows with one transition, which are frequent, are looked up in a small cache first.  Expected time O(m); memory 17 to 25
bytes for each state, and 8 for each block that only the hash table finds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lumpability.numbers.residues import combined_residues, deciding_residues, fits_words, moduli
from lumpability.partition import Partition
from lumpability.refinement.kernel.arrays import (
    HALF,
    ONE,
    SPREAD,
    ZERO,
    Bools,
    Int32s,
    Int64s,
    Integer,
    Rows,
    UInt32s,
    UInt64s,
)
from lumpability.refinement.kernel.compiling import compiled, inlined, subroutine
from lumpability.refinement.kernel.sweep import partition_of
from lumpability.structure import WeightedStructure

_UNVISITED, _OPEN, _UNSETTLED = np.int32(-1), np.int32(-2), np.int32(-3)
_OWN = np.uint64(0xD1342543DE82EF95)  # odd: stands for a state's own block
_CACHE_BITS = np.uint64(12)
_LONGEST = 256  # transitions of a row that settles; its blocks are searched one by one
_ROW_LENGTH = 3  # transitions of a row on average; sweeps do longer ones in less time
_TRIED = 64  # one of so many states is visited before the walk may be given up
_REST = 8  # at most one of so many states may be left unsettled


class _Settled(NamedTuple):
    """The blocks settled so far, n at most, and the states that are being visited."""

    labels: Int32s  # (n,): the block of each settled state, or a negative number
    keys: UInt64s  # of each block the hash of its sums into others, of that into itself, and of its initial block
    firsts: Int32s  # of each block the state that began it
    joinable: Bools  # whether a block has a sum into itself or rows are closed; if not, nobody with such a sum is in it
    eldest: UInt32s  # of each block the first, plus one, that goes to it and to no block with a larger number; or 0
    slots: UInt32s  # other blocks, plus one, by open addressing at [size : 2 size], for the table's present size
    cache: UInt32s  # (4096, 4): (code, initial block, target's block, block) of states with a single transition
    columns: UInt32s  # the row that is looked at: blocks, each once,
    sums: UInt64s  # and sums into them;
    rest: UInt64s  # and what is left of these when those of another row are subtracted
    path: Int32s  # (n,): the states that are being visited,
    offsets: UInt32s  # and how many of their transitions have been looked at


class Settled(NamedTuple):
    """The outcome of settling."""

    partition: Partition  # states that did not settle are alone
    complete: bool  # all states settled: the partition is no finer than the coarsest stable one
    exact: bool  # sums were compared as they are: the partition is stable; otherwise sums may have collided


def settled(structure: WeightedStructure, within: Partition) -> Settled | None:
    """Settle as many states as possible; return None if too few settle, or too many weights would be confused.

    >>> structure = WeightedStructure.from_edges(4, [0, 1, 2], [1, 3, 3], [2, 2, 2])
    >>> settled(structure, Partition.of([{0, 1, 2}, {3}]))
    Settled(partition=Partition([[0], [1, 2], [3]]), complete=True, exact=True)
    """
    components, n, m = structure.weights.components, structure.n, structure.m
    if m > _ROW_LENGTH * n or components is None or next(moduli(components)) != 0:
        return None
    if not _has_sink(structure.indptr, structure.indices):
        return None  # nothing settles, and nobody waits for the rest to be compiled
    longest = _longest(m)
    exact = len(components) == 1 and fits_words(components[0], longest)
    if exact:
        ((_, residues),) = deciding_residues(components, longest)
    else:
        residues = combined_residues(components, 0, 0)
    labels = np.full(n, _UNVISITED)
    arrays = _Settled(
        labels,
        keys=np.empty(n, dtype=np.uint64),
        firsts=np.empty(n, dtype=np.int32),
        joinable=np.empty(n, dtype=np.bool_),
        eldest=np.empty(n, dtype=np.uint32),
        slots=np.empty(max(2 << (n + n // 2).bit_length(), 128), dtype=np.uint32),
        cache=np.full((1 << int(_CACHE_BITS), 4), 2**32 - 1, dtype=np.uint32),
        columns=np.empty(2 * longest + 1, dtype=np.uint32),
        sums=np.empty(2 * longest + 1, dtype=np.uint64),
        rest=np.empty(2 * longest + 1, dtype=np.uint64),
        path=np.empty(n, dtype=np.int32),
        offsets=np.empty(n, dtype=np.uint32),
    )
    blocks, unsettled = _settle(Rows.of(structure, residues), within.labels, arrays)
    if blocks < 0 or (unsettled and (not exact or 2 * (blocks + unsettled) > n)):
        return None
    del arrays
    total = blocks + unsettled
    if unsettled:
        labels[labels < 0] = np.arange(blocks, total)
    partition = partition_of(labels, total, np.empty(0, dtype=np.bool_))
    return Settled(partition, bool(unsettled == 0), exact)


def _longest(transitions: int) -> int:
    """How many transitions a row may have that settles."""
    return min(transitions, _LONGEST)


@compiled
def _has_sink(indptr: Int64s, indices: Int32s) -> bool:
    """Whether there is a state that goes nowhere but to itself; the last ones are looked at first."""
    for backwards in range(len(indptr) - 1):
        state = len(indptr) - 2 - backwards
        begin, end = np.uint64(indptr[state]), np.uint64(indptr[state + 1])
        if begin == end or (end - begin == ONE and indices[begin] == state):
            return True
    return False


@inlined
def _value(block: Integer) -> np.uint64:
    """A pseudo-random value of a block."""
    z = (np.uint64(block) + ONE) * SPREAD
    z = (z ^ (z >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return z ^ (z >> np.uint64(32))


@inlined
def _add(
    block: Integer, weight: Integer, used: Integer, sums: UInt64s, arrays: _Settled
) -> Integer:
    """Add a weight to the sum into a block, one of `used` columns or the next; return how many there are now."""
    columns = arrays.columns
    place: Any = np.int64(0)
    while place < used and columns[place] != block:
        place += 1
    if place < used:
        sums[place] += weight
        return used
    columns[place], sums[place] = block, weight
    return used + 1


@inlined
def _read_row(state: Integer, rows: Rows, arrays: _Settled) -> tuple[Integer, np.uint64]:
    """Sum the row of a state by blocks; return how many have sums, and the sum into the state itself."""
    labels, columns, sums = arrays.labels, arrays.columns, arrays.sums
    used: Any = np.int64(0)
    own: Any = ZERO
    for position in range(np.uint64(rows.indptr[state]), np.uint64(rows.indptr[state + 1])):
        target = np.uint32(rows.indices[position])
        weight = rows.residues[rows.codes[position]]
        if target == state:
            own = weight if not rows.closed else ZERO
        else:
            used = _add(np.uint32(labels[target]), weight, used, sums, arrays)
    place: Any = np.int64(0)
    while place < used:  # sums that are zero do not count
        if sums[place] == ZERO:
            used -= 1
            columns[place], sums[place] = columns[used], sums[used]
        else:
            place += 1
    return used, own


@subroutine
def _is_like(
    block: Integer, state: Integer, used: Integer, own: Integer, rows: Rows, within: Int32s, arrays: _Settled
) -> bool:  # fmt: skip
    """Whether a state with the row that was read, and a sum into itself, fits in a block."""
    labels, rest = arrays.labels, arrays.rest
    first = np.int64(arrays.firsts[block])
    if within[first] != within[state]:
        return False
    for i in range(used):
        rest[i] = arrays.sums[i]
    wide = _add(block, own, used, rest, arrays)
    for position in range(np.uint64(rows.indptr[first]), np.uint64(rows.indptr[first + 1])):
        target = np.uint32(rows.indices[position])
        into = block if target == first else np.uint32(labels[target])
        wide = _add(into, ZERO - rows.residues[rows.codes[position]], wide, rest, arrays)
    different: Any = ZERO
    for i in range(wide):
        if not (rows.closed and arrays.columns[i] == block):
            different |= rest[i]
    return bool(different == ZERO)


@inlined
def _first_slot(key: np.uint64, size: np.uint64) -> np.uint64:
    """Where to look first in a table."""
    return size | (((key * SPREAD) >> (HALF - ONE)) & (size - ONE))


@subroutine
def _enlarge(size: np.uint64, arrays: _Settled) -> np.uint64:
    """Enter what is in the table into one of four times the size, or of as many slots as can be needed."""
    slots = arrays.slots
    larger = min(np.uint64(4) * size, np.uint64(len(slots) // 2))
    for empty in range(larger, larger + larger):
        slots[empty] = 0
    for old in range(size, size + size):
        if slots[old] != 0:
            slot: Any = _first_slot(arrays.keys[slots[old] - 1], larger)
            while slots[slot] != 0:
                slot = larger | ((slot + ONE) & (larger - ONE))
            slots[slot] = slots[old]
    return larger


@inlined
def _block_of_row(
    state: Integer, used: Integer, own: Integer, blocks: Integer, size: Integer, rows: Rows,
    within: Int32s, arrays: _Settled,
) -> tuple[Integer, np.uint64]:  # fmt: skip
    """Return the block in which a state with the row that was read fits; the next number if there is none yet.

    Also returns how many blocks are new in the table.
    """
    keys, slots, columns, sums = arrays.keys, arrays.slots, arrays.columns, arrays.sums
    total: Any = _value(within[state]) * _OWN
    largest: Any = np.int64(-1)
    for i in range(used):
        total += sums[i] * _value(columns[i])
        largest = max(largest, np.int64(columns[i]))
    for i in range(used):
        if not arrays.joinable[columns[i]] and sums[i] + own != ZERO:
            continue
        # As a member of this block, the state has these sums into others, and into its own.
        key = total - sums[i] * _value(columns[i])
        if not rows.closed:
            key += (sums[i] + own) * _OWN
        block = np.int64(columns[i])
        if keys[block] == key and _is_like(block, state, used, own, rows, within, arrays):
            return block, ZERO
    key = total + own * _OWN
    keys[blocks], arrays.firsts[blocks] = key, state
    arrays.joinable[blocks], arrays.eldest[blocks] = rows.closed or own != ZERO, 0
    if largest >= 0:
        block = np.int64(arrays.eldest[largest]) - 1
        if block < 0:
            arrays.eldest[largest] = blocks + 1
            return blocks, ZERO
        if keys[block] == key and _is_like(block, state, used, own, rows, within, arrays):
            return block, ZERO
    slot = _first_slot(key, size)
    while slots[slot] != 0:
        block = np.int64(slots[slot]) - 1
        if keys[block] == key and _is_like(block, state, used, own, rows, within, arrays):
            return block, ZERO
        slot = size | ((slot + ONE) & (size - ONE))
    slots[slot] = blocks + 1
    return blocks, ONE


@inlined
def _next_unvisited(state: Integer, begin: Integer, rows: Rows, arrays: _Settled) -> np.uint64:
    """Return the first place, from `begin` on, of a transition to a state that is not visited; or the end of the row.

    One more than the end if a target does not settle, or the row is too long.
    """
    place: Any = begin
    end = np.uint64(rows.indptr[state + 1])
    if end - begin > np.uint64(len(arrays.columns) // 2):
        return end + ONE
    while place < end:
        target = np.uint32(rows.indices[place])
        label = arrays.labels[target]
        if label < 0 and target != state:
            return place if label == _UNVISITED else end + ONE
        place += ONE
    return end


@inlined
def _cached(
    state: Integer, rows: Rows, within: Int32s, arrays: _Settled
) -> tuple[np.uint64, Integer]:
    """Return where in the cache a state with a single transition belongs, and its block if that is known, else -1.

    A place behind the cache for other states.
    """
    labels, cache = arrays.labels, arrays.cache
    begin = np.uint64(rows.indptr[state])
    slot: Any = ONE << _CACHE_BITS
    block: Any = np.int64(-1)
    if np.uint64(rows.indptr[state + 1]) == begin + ONE:
        target, code = np.uint32(rows.indices[begin]), np.uint32(rows.codes[begin])
        label, initial = labels[target], np.uint32(within[state])
        if label >= 0 and target != state:
            number = np.uint64(label) * SPREAD + np.uint64(code) + np.uint64(initial)
            slot = number & (slot - ONE)
            if cache[slot, 2] == label and cache[slot, 0] == code and cache[slot, 1] == initial:
                block = np.int64(cache[slot, 3])
    return slot, block


@compiled
def _settle(rows: Rows, within: Int32s, arrays: _Settled) -> tuple[Integer, Integer]:
    """Visit all states; return the numbers of blocks and of unsettled states; (-1, -1) if these are too many."""
    labels, cache, path, offsets = arrays.labels, arrays.cache, arrays.path, arrays.offsets
    indptr, indices, codes, n = rows.indptr, rows.indices, rows.codes, len(arrays.labels)
    blocks: Any = np.int64(0)
    unsettled: Any = np.int64(0)
    done: Any = np.int64(0)
    entered: Any = ZERO
    size: Any = np.uint64(64)
    for empty in range(64, 128):
        arrays.slots[empty] = 0
    for backwards in range(n):
        root = np.int64(n - 1 - backwards)
        if labels[root] != _UNVISITED:
            continue
        _, known = _cached(root, rows, within, arrays)
        if known >= 0:
            labels[root] = known
            done += 1
            continue
        place: Any = ZERO
        depth: Any = np.int64(0)
        path[0], offsets[0] = root, 0
        while depth >= 0:
            state = np.int64(path[depth])
            labels[state] = _OPEN
            begin, end = np.uint64(indptr[state]), np.uint64(indptr[state + 1])
            place = _next_unvisited(state, begin + np.uint64(offsets[depth]), rows, arrays)
            if place < end:
                offsets[depth] = np.uint32(place - begin)
                depth += 1
                path[depth], offsets[depth] = indices[place], 0
                continue
            depth, done = depth - 1, done + 1
            if place > end:
                labels[state], unsettled = _UNSETTLED, unsettled + 1
                if _REST * unsettled > (n if _TRIED * done < n else done):
                    return np.int64(-1), np.int64(-1)
                continue
            slot, known = _cached(state, rows, within, arrays)
            if known >= 0:
                labels[state] = known
                continue
            used, own = _read_row(state, rows, arrays)
            block, new = _block_of_row(state, used, own, blocks, size, rows, within, arrays)
            labels[state] = block
            if block == blocks:
                blocks += 1
                entered += new
                if np.uint64(3) * entered > np.uint64(2) * size:
                    size = _enlarge(size, arrays)
            if slot < ONE << _CACHE_BITS:
                cache[slot, 0], cache[slot, 1] = codes[begin], within[state]
                cache[slot, 2], cache[slot, 3] = labels[indices[begin]], block
    return blocks, unsettled

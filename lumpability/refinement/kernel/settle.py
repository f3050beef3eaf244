"""Settling: the final blocks of states whose targets have theirs, in one walk from the last state to the first.

Let U be a set of states that no transition leaves.  The coarsest stable partition, restricted to U, is that of U alone.
So when all targets of a state s, itself aside, are settled, its row alone settles s: it joins the only settled
block of the same initial block whose rows have the same sums into every block, where s itself counts as a member; or it
begins a new block.  That block is one that s goes to, and there are few of these; or it is none of them, and then a
hash table finds it by the sums of s into other blocks and into itself.  Candidates are compared with the first
member of the block, exactly, so the result needs no other proof.

Models are mostly numbered as they are explored, so that targets come after their sources: acyclic structures settle
entirely.  States that do not settle are left alone in their block, and rounds refine the quotient, which is small
then.  If too many do not, nothing is gained, and the walk ends early.  Rows with one transition, which are frequent, are
looked up in a small cache first.  Expected time O(m); memory about 24 bytes for each block.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lumpability.numbers.residues import deciding_residues, fits_words
from lumpability.partition import Partition
from lumpability.refinement.kernel.arrays import Int32s, Integer, Rows, UInt32s, UInt64s
from lumpability.refinement.kernel.compiling import compiled, inlined, subroutine
from lumpability.refinement.kernel.sweep import canonical_labels
from lumpability.structure import WeightedStructure

ZERO, ONE = np.uint64(0), np.uint64(1)
_UNSETTLED = np.int32(-1)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_OWN = np.uint64(0xD1342543DE82EF95)  # odd: stands for a state's own block
_WIDTH = np.uint64(64)
_FEW = 4  # columns, which are searched
_CACHE_BITS = np.uint64(12)
_ROW_LENGTH = 3  # transitions of a row on average; sweeps do longer ones in less time
_TRIED = 16  # one of so many states is visited before the walk may be given up
_REST = 4  # at most one of so many states may be left unsettled


class _Settled(NamedTuple):
    """The blocks settled so far.

    Attributes
    ----------
    labels : array of int32, shape (n,)
        The block of each settled state, or -1.
    keys : array of uint64, shape (n,)
        Of each block the hash of its sums into other blocks, of that into itself, and of its initial block.
    firsts : array of int32, shape (n,)
        Of each block the state that began it.
    slots : array of uint32
        Numbers of blocks plus one, found by their keys with open addressing.
    cache : array of uint32, shape (4096, 4)
        Rows (code, initial block, target's block, block) of states with a single transition.
    columns, sums, rest : array of uint32, two arrays of uint64, shape (2 longest row + 1,)
        The row that is looked at: blocks, each once, and sums into them; and what is left of these when those of
        another row are subtracted.
    where : array of uint32, shape (n,), or (1,) if no row is that long
        Where a block may be among more than a few columns; anything where it is not.
    """

    labels: Int32s
    keys: UInt64s
    firsts: Int32s
    slots: UInt32s
    cache: UInt32s
    columns: UInt32s
    sums: UInt64s
    rest: UInt64s
    where: UInt32s


def settled(structure: WeightedStructure, within: Partition) -> tuple[Partition, bool] | None:
    """Return a stable partition that the coarsest one coarsens, and whether it is that itself.

    None if too few states settle, or if sums of weights do not fit 64 bits as they are.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(4, [0, 1, 2], [1, 3, 3], [2, 2, 2])
    >>> settled(structure, Partition.of([{0, 1, 2}, {3}]))
    (Partition([[0], [1, 2], [3]]), True)
    """
    components, n = structure.weights.components, structure.n
    if structure.m > _ROW_LENGTH * n or components is None or len(components) > 1:
        return None
    longest = int((structure.indptr[1:] - structure.indptr[:-1]).max())
    if not components[0].is_narrow or not fits_words(components[0], longest):
        return None
    ((_, residues),) = deciding_residues(components, longest)
    room, labels = 2 * longest + 1, np.empty(n, dtype=np.int32)
    arrays = _Settled(
        labels,
        keys=np.empty(n, dtype=np.uint64),
        firsts=np.empty(n, dtype=np.int32),
        slots=np.empty(max(1 << (n + n // 2).bit_length(), 64), dtype=np.uint32),
        cache=np.full((1 << int(_CACHE_BITS), 4), 2**32 - 1, dtype=np.uint32),
        columns=np.empty(room, dtype=np.uint32),
        sums=np.empty(room, dtype=np.uint64),
        rest=np.empty(room, dtype=np.uint64),
        where=np.empty(n if room > _FEW else 1, dtype=np.uint32),
    )
    blocks, unsettled = _settle(Rows.of(structure, residues), within.labels, arrays)
    if blocks < 0 or (unsettled and 2 * (blocks + unsettled) > n):
        return None
    del arrays
    total = blocks + unsettled
    firsts, number = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int32)
    canonical_labels(labels.view(np.uint32), np.empty(0, dtype=np.bool_), firsts, number)
    return Partition.from_canonical(labels, firsts), unsettled == 0


@inlined
def _value(block: Integer) -> np.uint64:
    """A pseudo-random value of a block."""
    z = (np.uint64(block) + ONE) * _SPREAD
    z = (z ^ (z >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return z ^ (z >> np.uint64(32))


@inlined
def _add(
    block: Integer, weight: Integer, used: Integer, sums: UInt64s, arrays: _Settled
) -> Integer:
    """Add a weight to the sum into a block, one of `used` columns or the next; return how many there are now."""
    columns, where = arrays.columns, arrays.where
    place: Any = np.int64(0)
    if used <= _FEW:
        while place < used and columns[place] != block:
            place += 1
    else:
        place = np.int64(where[block])
        if place >= used or columns[place] != block:
            place = used
    if place < used:
        sums[place] += weight
        return used
    columns[place], sums[place] = block, weight
    if place == _FEW:
        for i in range(_FEW):
            where[columns[i]] = i
    if place >= _FEW:
        where[block] = place
    return used + 1


@inlined
def _read_row(state: Integer, rows: Rows, arrays: _Settled) -> tuple[Integer, np.uint64]:
    """Sum the row of a state by blocks; return how many have sums and the sum into itself; or -1 if a target is unsettled."""
    labels, columns, sums = arrays.labels, arrays.columns, arrays.sums
    used: Any = np.int64(0)
    own: Any = ZERO
    for position in range(np.uint64(rows.indptr[state]), np.uint64(rows.indptr[state + 1])):
        target = np.uint32(rows.indices[position])
        weight = rows.residues[rows.codes[position]]
        if target == state:
            own = weight if not rows.closed else ZERO
        elif target < state or labels[target] < 0:  # labels below are not written yet
            return np.int64(-1), own
        else:
            used = _add(np.uint32(labels[target]), weight, used, sums, arrays)
    place: Any = np.int64(0)
    while place < used:  # sums that are zero do not count
        if sums[place] == ZERO:
            used -= 1
            columns[place], sums[place] = columns[used], sums[used]
            arrays.where[columns[place] if len(arrays.where) > 1 else 0] = place
        else:
            place += 1
    return used, own


@subroutine
def _is_like(
    block: Integer,
    state: Integer,
    used: Integer,
    own: Integer,
    rows: Rows,
    within: Int32s,
    arrays: _Settled,
) -> bool:
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


@subroutine
def _enlarge(blocks: Integer, bits: Integer, arrays: _Settled) -> np.uint64:
    """Enter all blocks into four times as many slots; return the bits of their number."""
    keys, slots = arrays.keys, arrays.slots
    bits = bits + np.uint64(2)
    if np.uint64(len(slots)) < ONE << bits:
        bits -= ONE
    last = (ONE << bits) - ONE
    for slot in range(ONE << bits):
        slots[slot] = 0
    for block in range(blocks):
        slot = (keys[block] * _SPREAD) >> (_WIDTH - bits)
        while slots[slot] != 0:
            slot = (slot + ONE) & last
        slots[slot] = block + 1
    return bits


@inlined
def _block_of_row(
    state: Integer, used: Integer, own: Integer, blocks: Integer, bits: Integer, rows: Rows, within: Int32s,
    arrays: _Settled,
) -> Integer:  # fmt: skip
    """Return the block in which a state with the row that was read fits; the next number if there is none yet."""
    keys, slots, columns, sums = arrays.keys, arrays.slots, arrays.columns, arrays.sums
    total: Integer = _value(within[state]) * _OWN
    for i in range(used):
        total += sums[i] * _value(columns[i])
    for i in range(used):
        # As a member of this block, the state has these sums into others, and into its own.
        key = total - sums[i] * _value(columns[i])
        if not rows.closed:
            key += (sums[i] + own) * _OWN
        block = np.int64(columns[i])
        if keys[block] == key and _is_like(
            np.uint32(block), state, used, own, rows, within, arrays
        ):
            return block
    key = total + own * _OWN
    last = (ONE << bits) - ONE
    slot = (key * _SPREAD) >> (_WIDTH - bits)
    while slots[slot] != 0:
        block = np.int64(slots[slot]) - 1
        if keys[block] == key and _is_like(
            np.uint32(block), state, used, own, rows, within, arrays
        ):
            return block
        slot = (slot + ONE) & last
    keys[blocks], arrays.firsts[blocks] = key, state
    slots[slot] = blocks + 1
    return blocks


@compiled
def _settle(rows: Rows, within: Int32s, arrays: _Settled) -> tuple[Integer, Integer]:
    """Walk the states from the last to the first; return the numbers of blocks and of unsettled states.

    In the end unsettled states have labels of their own, from the number of blocks on.  (-1, -1) if too many are.
    """
    labels, cache, slots = arrays.labels, arrays.cache, arrays.slots
    indices, codes, n = rows.indices, rows.codes, len(arrays.labels)
    blocks: Any = np.int64(0)
    unsettled: Any = np.int64(0)
    bits: Any = np.uint64(6)
    for slot in range(64):
        slots[slot] = 0
    for visited in range(n):
        if _REST * unsettled > n or (_TRIED * visited > n and 2 * unsettled > visited):
            return np.int64(-1), np.int64(-1)
        state = np.int64(n - 1 - visited)
        labels[state] = _UNSETTLED
        begin = np.uint64(rows.indptr[state])
        single: Any = np.uint64(rows.indptr[state + 1]) - begin == ONE and indices[begin] != state
        place: Any = np.uint64(0)
        target: Any = np.uint32(0)
        if single:
            successor = np.uint32(indices[begin])
            if successor < state or labels[successor] < 0:
                unsettled += 1
                continue
            target, code = np.uint32(labels[successor]), np.uint32(codes[begin])
            initial = np.uint32(within[state])
            place = (np.uint64(target) * _SPREAD + np.uint64(code) + np.uint64(initial)) & (
                (ONE << _CACHE_BITS) - ONE
            )
            if cache[place, 0] == code and cache[place, 1] == initial and cache[place, 2] == target:
                labels[state] = cache[place, 3]
                continue
        used, own = _read_row(state, rows, arrays)
        if used < 0:
            unsettled += 1
            continue
        block = _block_of_row(state, used, own, blocks, bits, rows, within, arrays)
        labels[state] = block
        if block == blocks:
            blocks += 1
            if np.uint64(3 * blocks) > np.uint64(2) << bits:
                bits = _enlarge(blocks, bits, arrays)
        if single:
            cache[place, 0], cache[place, 1] = codes[begin], within[state]
            cache[place, 2], cache[place, 3] = target, block
    if unsettled > 0:
        fresh: Any = blocks
        for i in range(n):
            if labels[i] < 0:
                labels[i] = fresh
                fresh += 1
    return blocks, unsettled

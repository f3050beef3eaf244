"""The arrays that compiled functions share, the table in which states are grouped to parts of blocks, and arithmetic.

For n states, m transitions and k blocks.  What is used together lies together in memory: one cache miss instead of
three.  What is only for sweeps is given back before `Following` is made.

A *part* is a set of states of one block with one key: a fingerprint, a gain, or a sum.  Parts are numbered from 1 as
they turn up.  A row of ``parts`` uint64 (n + 1, 4) holds the KEY; the BLOCK, in the lower half of a word whose upper half
belongs to the caller; a NOTE of the caller; and the COUNT of states.  ``slots`` uint32 is a hash table with open
addressing that holds the number of a part or 0.

A sum of products modulo 2^64 takes a multiplication and an addition for each.  Two different sums of integers are
confused with a probability of 2^(k - 64), if 2^k is the largest power of two in all their differences; where that
is too often, refinement goes on modulo primes.  There sums of products are collected in 128 bits and reduced once, by
Montgomery's method: t < 2^64 p becomes t 2^-64 mod p without division.  The constant factor 2^-64 is left in place,
as fingerprints are only compared with one another.

# Invariant: between rounds all slots are 0; until `size_of_part`, the upper half of COUNT is the slot of the part.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from lumpability.refinement.kernel.compiling import add_product, inlined, prefetch
from lumpability.structure import WeightedStructure

Array: TypeAlias = np.ndarray[Any, Any]
Bools: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Int32s: TypeAlias = np.ndarray[Any, np.dtype[np.int32]]
Int64s: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
UInt32s: TypeAlias = np.ndarray[Any, np.dtype[np.uint32]]
UInt64s: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]
Codes: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""Numbers of distinct weights: unsigned integers of one, two or four bytes."""
Pointers: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""Positions among transitions: unsigned integers of four bytes, or eight if there are many transitions."""
Integer: TypeAlias = Any
"""A machine integer: numba compiles for the width that it finds."""

SIZE, LARGEST = 1, 2  # columns of blocks
KEY, BLOCK, NOTE, COUNT = range(4)  # columns of parts
ALONE = np.uint32(1 << 31)
"""In rounds that follow, the label of a state that is its whole block; see `follow`."""
ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
HALF = np.uint64(32)  # bits
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd
_TOTALS = 2048  # running totals that are kept at a time, in the fastest cache
_AHEAD = 8  # parts


class Rows(NamedTuple):
    """A structure as compressed rows, with residues of its weights, see `numbers.residues`.

    If rows are ``closed``, diagonal entries are ignored, and each row is understood to have the one that makes it sum to
    zero.
    """

    indptr: Int64s
    indices: Int32s
    codes: Codes
    residues: UInt64s  # of every distinct weight
    closed: bool

    @classmethod
    def of(cls, structure: WeightedStructure, residues: UInt64s) -> Rows:
        """Return the rows of a structure."""
        s = structure
        return cls(s.indptr, s.indices, s.weights.codes, residues, s.closed)


class Sweeping(NamedTuple):
    """The partition that sweeps have reached, and what else they use."""

    labels: Int32s  # (n,): the number of each state's block
    alone: Bools  # (n,): whether a state is its whole block; it cannot split then, and is skipped
    blocks: UInt32s  # (n, 4): its SIZE, its LARGEST part while it splits, and two more, see `sweep` and `follow`
    parts: UInt64s  # the table of parts, see the module
    slots: UInt32s
    prints: UInt64s  # (n,): fingerprints; later, at the places of ``different``, numbers of parts
    values: UInt64s  # (n,): the value of each state's block, unless there are few blocks
    expected: UInt64s  # values of few blocks, later fingerprints of representatives; where parts come afterwards
    different: Int32s  # (n + 1,): the states that differ from the representative of their block
    totals: UInt64s  # (ranges, 2049): a running total for each range of states that is fingerprinted at a time
    leaving: UInt64s  # (n,) or (0,): the sum of each row, if rows are closed

    @classmethod
    def over(cls, n: int, closed: bool, ranges: int = 1) -> Sweeping:
        """Room for sweeps over n states, not initialised."""
        parts, slots = room_for_parts(n)
        return cls(
            labels=np.empty(n, dtype=np.int32),
            alone=np.empty(n, dtype=np.bool_),
            blocks=np.empty((n, 4), dtype=np.uint32),
            parts=parts,
            slots=slots,
            prints=np.empty(n, dtype=np.uint64),
            values=np.empty(n, dtype=np.uint64),
            expected=parts.reshape(-1)[:n],
            different=np.empty(n + 1, dtype=np.int32),  # one more, see `_find_different` in `sweep`
            totals=np.empty((ranges, _TOTALS + 1), dtype=np.uint64),
            leaving=np.empty(n if closed else 0, dtype=np.uint64),
        )


class Following(NamedTuple):
    """What rounds that follow use: the first arrays of `Sweeping`, with unsigned labels, and more."""

    labels: UInt32s
    blocks: UInt32s
    parts: UInt64s
    slots: UInt32s
    splitters: UInt64s  # the memory of parts, which become the splitters of the next round in place
    members: Int32s  # (3 n,): the states of each block, one after another, with gaps
    gains: UInt64s  # (n + 2, 2): what states gain in a round, and a word: the state below its block

    @classmethod
    def after(cls, sweeps: Sweeping) -> Following:
        """Room for rounds that follow sweeps, not initialised."""
        n = len(sweeps.labels)
        return cls(
            sweeps.labels.view(np.uint32),
            sweeps.blocks,
            sweeps.parts,
            sweeps.slots,
            splitters=sweeps.parts,
            members=np.empty(3 * n, dtype=np.int32),
            gains=np.empty((n + 2, 2), dtype=np.uint64),  # the dummy, and one more, see `_add_gain`
        )


def room_for_parts(n: int) -> tuple[UInt64s, UInt32s]:
    """Return room for as many parts as states, and the slots in which they are found."""
    slots = max(1 << (n + n // 2).bit_length(), 64)
    return np.empty((n + 1, 4), dtype=np.uint64), np.zeros(slots, dtype=np.uint32)


@inlined
def last_slot(most: Integer) -> np.uint64:
    """Return the last of the slots in which so many parts are found; few slots stay in the cache."""
    last: Any = np.uint64(63)
    while TWO * last + ONE < np.uint64(3 * most):
        last = TWO * last + ONE
    return last


@inlined
def slot_of(key: np.uint64, block: np.uint64, last: np.uint64) -> np.uint64:
    """Where to look first among the slots 0 .. last."""
    return (((key ^ (block << HALF)) * SPREAD) >> (HALF - ONE)) & last


@inlined
def add_to_part(
    key: np.uint64, word: np.uint64, found: Integer, last: np.uint64, parts: UInt64s, slots: UInt32s
) -> np.uint32:
    """Count a state with a key and a block, the lower half of a word, to its part; return that.

    It is `found` + 1 if it is new; then its NOTE is 0.
    """
    block = np.uint64(np.uint32(word))
    slot = slot_of(key, block, last)
    part: Any = np.uint32(slots[slot])
    while part != 0 and (parts[part, KEY] != key or np.uint32(parts[part, BLOCK]) != block):
        slot = (slot + ONE) & last
        part = np.uint32(slots[slot])
    if part == 0:
        part = np.uint32(found + 1)
        slots[slot] = part
        parts[part, KEY], parts[part, BLOCK] = key, word
        parts[part, NOTE], parts[part, COUNT] = ZERO, slot << HALF
    parts[part, COUNT] += ONE
    return part


@inlined
def size_of_part(part: Integer, parts: UInt64s, slots: UInt32s) -> np.uint64:
    """Empty the slot of a part; return its COUNT, which is only that afterwards."""
    size = np.uint64(np.uint32(parts[part, COUNT]))
    slots[parts[part, COUNT] >> HALF] = 0
    parts[part, COUNT] = size
    return size


@inlined
def measure_parts(found: Integer, blocks: UInt32s, parts: UInt64s, slots: UInt32s) -> None:
    """Empty the slots; take the parts from the SIZE of their blocks, and note which is the LARGEST of each block."""
    for part in range(1, found + 1):
        if part + _AHEAD <= found:
            prefetch(blocks, np.uint32(parts[part + _AHEAD, BLOCK]))
        block, size = np.uint32(parts[part, BLOCK]), size_of_part(part, parts, slots)
        blocks[block, SIZE] -= size
        largest = np.uint32(blocks[block, LARGEST])
        if largest == 0 or size > parts[largest, COUNT]:
            blocks[block, LARGEST] = part


class Field(NamedTuple):
    """Integers modulo a prime p, or modulo 2^64 where ``p`` is 0."""

    p: np.uint64
    inverse: np.uint64  # -1/p modulo 2^64
    seed: np.uint64  # of the values of blocks
    step: int  # so many products of a residue and a value have a sum below 2^64 p

    @classmethod
    def modulo(cls, p: int, seed: int, residues: UInt64s) -> Field:
        """Return the field of a modulus, for weights with these residues."""
        step = max(1, min(2**62 // (int(residues.max(initial=0)) + 1), 2**31))
        inverse = -pow(p, -1, 1 << 64) % (1 << 64) if p else 0
        return cls(np.uint64(p), np.uint64(inverse), np.uint64(seed), step)


@inlined
def reduce_modulo(high: np.uint64, low: np.uint64, p: np.uint64, inverse: np.uint64) -> np.uint64:
    """(high, low) 2^-64 mod p, where `inverse` is -1/p and the number < 2^64 p."""
    # Adding the right multiple of p clears the low half; what is left is below 2 p.
    reduced, _ = add_product(high, low, low * inverse, p)
    return reduced - p if reduced >= p else reduced


@inlined
def add_modulo(x: np.uint64, y: np.uint64, p: np.uint64) -> np.uint64:
    """x + y mod p for x, y < p < 2^63, or modulo 2^64 for p = 0."""
    total = x + y
    return total - p if total >= p else total


@inlined
def subtract_modulo(x: np.uint64, y: np.uint64, p: np.uint64) -> np.uint64:
    """x - y mod p for x, y < p, or modulo 2^64 for p = 0."""
    return x - y if x >= y else x + p - y


@inlined
def multiply(weight: np.uint64, value: np.uint64, field: Field) -> np.uint64:
    """weight x value modulo 2^64 where p is 0, otherwise weight x value 2^-64 modulo p."""
    if field.p == ZERO:
        return weight * value
    high, low = add_product(ZERO, ZERO, weight, value)
    return reduce_modulo(high, low, field.p, field.inverse)


@inlined
def block_value(name: Integer, field: Field) -> np.uint64:
    """A pseudo-random value for the name of a block (Steele, Lea and Flood: splitmix64).

    Below 2^60; where p is 0, any number below 2^64.
    """
    z = np.uint64(name) * SPREAD + field.seed
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z if field.p == ZERO else z >> np.uint64(4)

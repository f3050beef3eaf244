"""Rows of stored weights: their bits and hashes, and exact sums of the columns of one class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidNetwork
from lumpability.partition import Partition

Array = np.ndarray[Any, Any]
_DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}  # binary
_MIXER = np.uint64(0x9E3779B97F4A7C15)
_INFINITE = "{} holds values that are not finite, or sums that are too large"


@dataclass(frozen=True)
class Classes:
    """The classes of units that stay; `members` of those that are summed, each from one of `starts` on."""

    first: Array
    several: Array
    members: Array
    starts: Array

    @classmethod
    def of(cls, partition: Partition, kept: Array, summed: Array) -> Classes:
        """Return the classes of a mask; of those of another one with several members, members are summed."""
        order = np.argsort(partition.labels, kind="stable")
        sizes = partition.blocks.sizes
        several = kept & summed & (sizes > 1)
        members = order[several[partition.labels[order]]]
        ends = np.cumsum(sizes[several])
        return cls(
            partition.representatives[kept],
            np.flatnonzero(several[kept]),
            members,
            ends - sizes[several],
        )

    def groups(self, cut: slice) -> Iterator[tuple[int, Array]]:
        """Yield the places, from the start of a range of the classes on, and the members that are summed there."""
        ends = np.append(self.starts[1:], len(self.members))
        low, high = np.searchsorted(self.several, [cut.start, cut.stop])
        for i in range(low, high):
            yield int(self.several[i]) - cut.start, self.members[self.starts[i] : ends[i]]


def bits_of(numbers: Array, name: str) -> Array:
    """Return the bits of floats, one zero for both; refuse what is not finite."""
    kind = np.dtype(f"u{numbers.dtype.itemsize}")
    bits = np.ascontiguousarray(numbers).view(kind)
    sign = kind.type(1 << (8 * kind.itemsize - 1))
    negative = bits == sign
    if negative.any():
        bits = np.where(negative, kind.type(0), bits)
    infinite = np.array(np.inf, numbers.dtype).view(kind)[()]
    if ((bits & infinite) == infinite).any():
        raise InvalidNetwork(_INFINITE.format(name))
    return bits


def hash_of(bits: Array, seed: Sequence[int]) -> Array:
    """Return for each row the sum of its bits times random odd numbers, modulo 2^64."""
    wide = 8 // bits.itemsize
    words = bits.view(np.uint64) if bits.shape[1] % wide == 0 else bits.astype(np.uint64)
    # Bits of round numbers are zeros at the low end, and products keep those: high bits are mixed into low ones.
    words = (words ^ (words >> np.uint64(32))) * _MIXER
    words ^= words >> np.uint64(32)
    random = np.random.default_rng(seed)
    odd = random.integers(0, 1 << 64, size=words.shape[1], dtype=np.uint64) | np.uint64(1)
    found: Array = words @ odd
    return found


@dataclass(frozen=True)
class Sums:
    """Numbers in the stored type, and which rows hold one that was rounded; how many were, and by how much."""

    numbers: Array
    rounded: Array
    changed: int = 0
    largest: Fraction = Fraction(0)


def summed(part: Array, classes: Classes, name: str) -> Sums:
    """Return rows with one column for each class, the sum of its members' columns.

    Sums of doubles are exact where the binary digits of all terms lie within 53; others are made of fractions.
    """
    result = part[:, classes.first]
    if not len(classes.several):
        return Sums(result, np.zeros(len(part), dtype=bool))
    terms = part[:, classes.members].astype(np.float64)
    sums = np.add.reduceat(terms, classes.starts, axis=1)
    exponents = np.frexp(terms)[1]
    highest = np.maximum.reduceat(np.where(terms == 0, -5000, exponents), classes.starts, axis=1)
    lowest = np.minimum.reduceat(np.where(terms == 0, 5000, exponents), classes.starts, axis=1)
    ends = np.append(classes.starts[1:], len(classes.members))
    carries = np.ceil(np.log2(ends - classes.starts))
    sure = highest - lowest + _DIGITS[part.dtype.name] + carries <= _DIGITS["float64"]
    with np.errstate(over="ignore"):
        stored = sums.astype(part.dtype)
    if not np.isfinite(stored).all():
        raise InvalidNetwork(_INFINITE.format(name))
    off = np.abs(stored.astype(np.float64) - sums)
    rounded = sure & (off != 0)
    largest = Fraction(float(off[rounded].max())) if rounded.any() else Fraction(0)
    for row, place in np.argwhere(~sure).tolist():
        exact = sum(map(Fraction, terms[row, classes.starts[place] : ends[place]].tolist()))
        stored[row, place] = float(exact)
        change = abs(Fraction(float(stored[row, place])) - exact)
        rounded[row, place], largest = change != 0, max(largest, change)
    result[:, classes.several] = stored
    return Sums(result, rounded.any(axis=1), int(rounded.sum()), largest)


def sum_of_rows(part: Array, name: str) -> Sums:
    """Return the sum of all rows, as a column."""
    place = np.zeros(1, dtype=np.int64)
    return summed(part.T, Classes(place, place, np.arange(len(part)), place), name)

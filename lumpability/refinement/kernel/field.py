"""The arithmetic that fingerprints are made of: integers modulo 2^64, or modulo a prime below 2^61.

A sum of products modulo 2^64 takes a multiplication and an addition for each.  Two different sums of integers are
confused with a probability of 2^(k - 64), if 2^k is the largest power of two in all their differences; where that
is too often, refinement goes on modulo primes.  There sums of products are collected in 128 bits and reduced once, by
Montgomery's method: t < 2^64 p becomes t 2^-64 mod p without division.  The constant factor 2^-64 is left in place,
as fingerprints are only compared with one another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lumpability.refinement.kernel.arrays import Integer, UInt64s
from lumpability.refinement.kernel.compiling import add_product, inlined

_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd
ZERO = np.uint64(0)


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
        return cls(np.uint64(p), montgomery_inverse(p), np.uint64(seed), step)


def montgomery_inverse(p: int) -> np.uint64:
    """Return -1/p modulo 2^64 for an odd p; 0 for 0.

    Examples
    --------
    >>> int(montgomery_inverse(7)) * 7 % 2**64 == 2**64 - 1
    True
    """
    return np.uint64(-pow(p, -1, 1 << 64) % (1 << 64) if p else 0)


@inlined
def reduce_modulo(high: np.uint64, low: np.uint64, p: np.uint64, inverse: np.uint64) -> np.uint64:
    """(high, low) 2^-64 mod p, where `inverse` is ``montgomery_inverse(p)`` and the number < 2^64 p."""
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
    z = np.uint64(name) * _SPREAD + field.seed
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z if field.p == ZERO else z >> np.uint64(4)

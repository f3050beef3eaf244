"""The arithmetic that fingerprints are made of, compiled: modulo 2^64, or modulo a prime below 2^61.

A sum of products modulo 2^64 needs nothing but a multiplication and an addition each.  Two different sums
of integers are confused with a probability of 2^(k - 64), if 2^k is the largest power of two in all their
differences; where that is too often, refinement goes on modulo primes.  There sums of products are collected in
128 bits and reduced once, by Montgomery's method: t < 2^64 p becomes t 2^-64 mod p without division.
The constant factor 2^-64 is left in place everywhere; fingerprints are only compared with one
another.  128-bit products and sums are a handful of machine instructions, which numba reaches
through intrinsics.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import config, types
from numba.extending import intrinsic

from lumpability.refinement.kernel_compile import inlined

__all__ = [
    "SPREAD",
    "add_modulo",
    "add_product",
    "block_value",
    "montgomery_inverse",
    "multiply",
    "reduce_modulo",
    "subtract_modulo",
]

U64 = np.uint64
SPREAD = U64(
    0x9E3779B97F4A7C15
)  # 2^64 divided by the golden ratio, odd: spreads what it multiplies
_WORD = 2**64 - 1


@intrinsic  # type: ignore[untyped-decorator]
def add_product(typing_context: Any, high: Any, low: Any, x: Any, y: Any) -> Any:
    """(high, low) + x y as a 128-bit number, again as (high, low); all are uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, word = ir.IntType(128), ir.IntType(64)
        high, low, x, y = (builder.zext(argument, wide) for argument in arguments)
        shift = ir.Constant(wide, 64)
        total = builder.add(builder.or_(builder.shl(high, shift), low), builder.mul(x, y))
        parts = (builder.trunc(builder.lshr(total, shift), word), builder.trunc(total, word))
        return context.make_tuple(builder, signature.return_type, parts)

    uint64 = types.uint64
    return types.UniTuple(uint64, 2)(uint64, uint64, uint64, uint64), generate


def interpreted_add_product(high: Any, low: Any, x: Any, y: Any) -> tuple[np.uint64, np.uint64]:
    """Return what `add_product` does, without a compiler."""
    total = (int(high) << 64) + int(low) + int(x) * int(y)
    return U64(total >> 64 & _WORD), U64(total & _WORD)


if config.DISABLE_JIT:  # an intrinsic is code for the compiler only
    add_product = interpreted_add_product


@inlined
def reduce_modulo(high: Any, low: Any, p: Any, inverse: Any) -> Any:
    """(high, low) 2^-64 mod p, where `inverse` is ``montgomery_inverse(p)`` and the number < 2^64 p."""
    # Adding the right multiple of p clears the low half; what is left is below 2 p.
    reduced, _ = add_product(high, low, low * inverse, p)
    return reduced - p if reduced >= p else reduced


@inlined
def add_modulo(x: Any, y: Any, p: Any) -> Any:
    """x + y mod p for x, y < p < 2^63, or modulo 2^64 for p = 0."""
    total = x + y
    return total - p if total >= p else total


@inlined
def subtract_modulo(x: Any, y: Any, p: Any) -> Any:
    """x - y mod p for x, y < p, or modulo 2^64 for p = 0."""
    return x - y if x >= y else x + p - y


@inlined
def multiply(weight: Any, value: Any, field: Any) -> Any:
    """weight x value modulo 2^64 where p is 0, otherwise weight x value 2^-64 modulo p."""
    if field.p == U64(0):
        return weight * value
    high, low = add_product(U64(0), U64(0), weight, value)
    return reduce_modulo(high, low, field.p, field.inverse)


@inlined
def block_value(name: Any, field: Any) -> Any:
    """A pseudo-random value for the name of a block (Steele, Lea and Flood: splitmix64).

    Below 2^60; where p is 0, any number below 2^64.
    """
    z = U64(name) * SPREAD + field.seed
    z = (z ^ (z >> U64(30))) * U64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> U64(27))) * U64(0x94D049BB133111EB)
    z ^= z >> U64(31)
    return z if field.p == U64(0) else z >> U64(4)


def montgomery_inverse(p: int) -> np.uint64:
    """Return -1/p modulo 2^64 for an odd p; 0 for 0.

    Examples
    --------
    >>> int(montgomery_inverse(7)) * 7 % 2**64 == 2**64 - 1
    True
    """
    return U64(-pow(p, -1, 1 << 64) % (1 << 64) if p else 0)

"""Arithmetic modulo a prime below 2^61, compiled: what fingerprints are made of.

Products are reduced by Montgomery's method: for x, y with x y < 2^64 p it gives x y 2^-64 mod p without
division.  The constant factor 2^-64 is left in place everywhere; fingerprints are only compared with
one another.  The high half of a 64 x 64 bit product is one machine instruction, which numba reaches
through an intrinsic.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

__all__ = ["add_modulo", "block_value", "montgomery_inverse", "multiply_modulo", "subtract_modulo"]

U64 = np.uint64


@intrinsic  # type: ignore[untyped-decorator]
def _high_product(typing_context: Any, x: Any, y: Any) -> Any:
    """High 64 bits of the 128-bit product of two uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        left, right = (builder.zext(argument, wide) for argument in arguments)
        high = builder.lshr(builder.mul(left, right), ir.Constant(wide, 64))
        return builder.trunc(high, ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@numba.njit(inline="always")
def add_modulo(x: Any, y: Any, p: Any) -> Any:
    """x + y mod p for x, y < p < 2^63."""
    total = x + y
    return total - p if total >= p else total


@numba.njit(inline="always")
def subtract_modulo(x: Any, y: Any, p: Any) -> Any:
    """x - y mod p for x, y < p."""
    return x - y if x >= y else x + p - y


@numba.njit(inline="always")
def multiply_modulo(x: Any, y: Any, p: Any, inverse: Any) -> Any:
    """x y 2^-64 mod p, where `inverse` is ``montgomery_inverse(p)``."""
    low = x * y
    high = _high_product(x, y)
    # m p has the same low half as x y up to sign, so that the halves cancel exactly.
    reduced = high + _high_product(low * inverse, p) + (U64(1) if low != U64(0) else U64(0))
    return reduced - p if reduced >= p else reduced


@numba.njit(inline="always")
def block_value(block: Any, seed: Any) -> Any:
    """A pseudo-random value below 2^60 for a block number (Steele, Lea and Flood: splitmix64)."""
    z = U64(block) * U64(0x9E3779B97F4A7C15) + seed
    z = (z ^ (z >> U64(30))) * U64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> U64(27))) * U64(0x94D049BB133111EB)
    return (z ^ (z >> U64(31))) >> U64(4)


def montgomery_inverse(p: int) -> np.uint64:
    """Return -1/p modulo 2^64 for an odd p.

    Examples
    --------
    >>> int(montgomery_inverse(7)) * 7 % 2**64 == 2**64 - 1
    True
    """
    return U64(-pow(p, -1, 1 << 64) % (1 << 64))

"""Matrices of dyadic rationals as integers with one common scale: exact sums and products.

A finite float is m 2^-e, so a matrix of floats is a matrix of integers times 2^-e for one e.  Sums and products of
such matrices are exact in Python's integers.  Products of matrices are too slow in them; so integers are cut into
slices of 20 bits, V = sum over i of S_i 2^(20 i), and slices are multiplied by BLAS in doubles,

    V W = sum over i, j of (S_i T_j) 2^(20 (i + j)).

Every partial sum of a product of two slices with n <= 8192 terms is an integer below 2^53, which a double holds: the
product is exact in whatever order BLAS adds.  Rounding is explicit, down or up to a multiple of a power of two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.numbers.float_arrays import Array

_BITS, _MOST_TERMS = 20, 1 << 13
_MASK = (1 << _BITS) - 1


@dataclass(frozen=True, eq=False, repr=False)
class Scaled:
    """An array of dyadic rationals: integers times 2^-scale.

    >>> half = Scaled.of([[0.5, -3.0]])
    >>> half, half @ Scaled.of([[1.0], [2.0**-3]])
    (Scaled([[0.5, -3.0]]), Scaled([[0.125]]))
    >>> (half + Scaled.of(1.0)).floats().tolist()
    [[1.5, -2.0]]
    """

    numbers: Array  # Python integers
    scale: int

    @classmethod
    def of(cls, values: Any) -> Scaled:
        """Return finite floats exactly.

        Raises `InvalidInput` if one is not finite.
        """
        array = np.asarray(values, dtype=np.float64)
        if not np.isfinite(array).all():
            raise InvalidInput("a number is not finite, and nothing can be proved with it")
        fraction, exponent = np.frexp(array)
        whole = (fraction * 2.0**53).astype(np.int64)
        used = exponent[whole != 0]
        lowest = int(used.min()) if used.size else 0
        shift = np.where(whole != 0, exponent - lowest, 0)
        while used.size and not (whole & 1).any():  # short numbers stay short
            whole, lowest = whole >> 1, lowest + 1
        small = whole.astype(object) << shift.astype(object)
        return cls(np.asarray(small, dtype=object), 53 - lowest)

    @classmethod
    def zeros(cls, *shape: int) -> Scaled:
        """Return zeros."""
        return cls(np.full(shape, 0, dtype=object), 0)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        shape: tuple[int, ...] = self.numbers.shape
        return shape

    def to(self, scale: int) -> Array:
        """Return the integers at a scale that is not smaller."""
        return np.asarray(self.numbers << (scale - self.scale), dtype=object)

    def __add__(self, other: Scaled) -> Scaled:
        scale = max(self.scale, other.scale)
        return Scaled(np.asarray(self.to(scale) + other.to(scale), dtype=object), scale)

    def __sub__(self, other: Scaled) -> Scaled:
        return self + -other

    def __neg__(self) -> Scaled:
        return self._like(np.asarray(-self.numbers, dtype=object), np.negative)

    def __mul__(self, other: Scaled) -> Scaled:
        """Multiply elementwise, with broadcasting."""
        product = np.asarray(self.numbers * other.numbers, dtype=object)
        return Scaled(product, self.scale + other.scale)

    def __getitem__(self, key: Any) -> Scaled:
        return self._like(np.asarray(self.numbers[key], dtype=object), lambda one: one[key])

    def _like(self, numbers: Array, moved: Callable[[Array], Array]) -> Scaled:
        """Return numbers whose slices follow from those of this matrix: all slices of a number have its sign."""
        made = Scaled(numbers, self.scale)
        if self.numbers.ndim == 2:
            vars(made)["_slices"] = [moved(one) for one in self._slices]
        return made

    def where(self, mask: Array) -> Scaled:
        """Return the array with zeros outside a mask."""
        return Scaled(np.where(mask, self.numbers, 0), self.scale)

    def replaced(self, units: Array, other: Scaled) -> Scaled:
        """Return a vector with the numbers of some units replaced."""
        scale = max(self.scale, other.scale)
        numbers = np.array(self.to(scale), dtype=object)
        numbers[units] = other.to(scale)
        return Scaled(numbers, scale)

    @property
    def positive(self) -> Scaled:
        """The positive part."""
        return self._like(np.maximum(self.numbers, 0), lambda one: np.maximum(one, 0))

    @property
    def negative(self) -> Scaled:
        """The negative part."""
        return self._like(np.minimum(self.numbers, 0), lambda one: np.minimum(one, 0))

    @property
    def size(self) -> Scaled:
        """The absolute values."""
        return Scaled(np.abs(self.numbers), self.scale)

    def least(self, other: Scaled) -> Scaled:
        """Return the smaller of two numbers, elementwise."""
        scale = max(self.scale, other.scale)
        return Scaled(np.minimum(self.to(scale), other.to(scale)), scale)

    def most(self, other: Scaled) -> Scaled:
        """Return the larger of two numbers, elementwise."""
        return -(-self).least(-other)

    def exceeds(self, other: Scaled) -> Array:
        """Return where the number is larger than the other."""
        scale = max(self.scale, other.scale)
        return np.asarray(self.to(scale) > other.to(scale), dtype=bool)

    @property
    def nonzero(self) -> Array:
        """Return where the number is not zero."""
        return np.asarray(self.numbers != 0, dtype=bool)

    def down(self, bits: int) -> Scaled:
        """Round down to a multiple of 2^-bits."""
        if self.scale <= bits:
            return self
        return Scaled(np.asarray(self.numbers >> (self.scale - bits), dtype=object), bits)

    @cached_property
    def _slices(self) -> list[Array]:
        size, sign = np.abs(self.numbers), np.where(self.numbers < 0, -1.0, 1.0)
        largest = int(np.max(size, initial=0))
        if largest < 1 << 62:
            size = size.astype(np.int64)
        count = -(-largest.bit_length() // _BITS)
        return [((size >> (_BITS * i)) & _MASK).astype(np.float64) * sign for i in range(count)]

    def __matmul__(self, other: Scaled) -> Scaled:
        """Multiply matrices exactly."""
        scale = self.scale + other.scale
        total = np.full((*self.shape[:-1], *other.shape[1:]), 0, dtype=object)
        for place, part in enumerate(self._parts(other)):
            total = total + (part.astype(object) << (_BITS * place))
        return Scaled(np.asarray(total, dtype=object), scale)

    def matmul_down(self, other: Scaled, bits: int) -> tuple[Scaled, Array]:
        """Multiply matrices and round down to a multiple of 2^-bits or finer; return also what was not exact.

        The low slices are only carried upward, which is faster than the exact product.
        """
        scale, parts = self.scale + other.scale, self._parts(other)
        dropped = min(max(0, (scale - bits) // _BITS), len(parts) - 1)
        carry = np.zeros((), dtype=np.int64)
        lost = np.zeros(parts[0].shape, dtype=np.int64)
        for part in parts[:dropped]:
            lost |= (part + carry) & _MASK
            carry = (part + carry) >> _BITS
        total = np.asarray((parts[dropped] + carry).astype(object))
        for place, part in enumerate(parts[dropped + 1 :], start=1):
            total = total + (part.astype(object) << (_BITS * place))
        return Scaled(np.asarray(total, dtype=object), scale - _BITS * dropped), lost != 0

    def _parts(self, other: Scaled) -> list[Array]:
        """Return P_0, P_1, ... with product = sum of P_k 2^(20 k), each below 2^62."""
        terms, shape = self.shape[-1], (*self.shape[:-1], *other.shape[1:])
        left, right = self._slices, other._slices
        used = other.nonzero.any(axis=tuple(range(1, len(other.shape))))
        if not used.all():  # inactive units leave many rows of zeros
            terms = int(used.sum())
            left, right = [one[..., used] for one in left], [two[used] for two in right]
        count = max(len(left) + len(right) - 1, 1)
        parts = [np.zeros(shape, dtype=np.int64) for _ in range(count)]
        for low in range(0, terms, _MOST_TERMS):
            some = slice(low, low + _MOST_TERMS)
            for i, one in enumerate(left):
                for j, two in enumerate(right):
                    parts[i + j] += (one[..., some] @ two[some]).astype(np.int64)
        return parts

    def fractions(self) -> list[Fraction]:
        """Return the numbers of a vector."""
        return [Fraction(int(number)) / Fraction(2) ** self.scale for number in self.numbers]

    def floats(self) -> Array:
        """Return the nearest doubles, for people."""
        flat = [
            number / 2**self.scale if self.scale >= 0 else float(number << -self.scale)
            for number in self.numbers.ravel().tolist()
        ]
        return np.array(flat, dtype=np.float64).reshape(self.shape)

    def __repr__(self) -> str:
        return f"Scaled({self.floats().tolist()})"

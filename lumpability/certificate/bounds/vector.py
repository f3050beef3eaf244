"""Functions on states or blocks, as integers over one denominator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import intern

Integers = np.ndarray[Any, Any]
"""Integers as int64 if all lie below 2^62, as Python integers otherwise."""

SAFE_BITS = 62


@dataclass(frozen=True, eq=False, repr=False)
class Vector:
    """The numbers ``numerators / scale``.

    Attributes
    ----------
    numerators : array of int, shape (n,)
    scale : int

    Examples
    --------
    >>> vector = Vector.of(ExactArray.read(["1/2", "1/3"])[0])
    >>> vector.numerators.tolist(), vector.scale, vector.largest()
    ([3, 2], 6, Fraction(1, 2))
    """

    numerators: Integers
    scale: int

    def __len__(self) -> int:
        return len(self.numerators)

    @classmethod
    def of(cls, numbers: ExactArray) -> Vector:
        """Return rational numbers over their common denominator."""
        integers, scale = numbers.integers
        return cls(whole_numbers(integers)[numbers.codes], scale)

    @classmethod
    def constant(cls, number: Fraction, length: int) -> Vector:
        """Return a constant vector."""
        return cls.of(ExactArray.constant(number, length))

    def exact(self) -> ExactArray:
        """Return an array of rationals."""
        if self.numerators.dtype == object:
            return ExactArray.read([Fraction(x, self.scale) for x in self.numerators])[0]
        codes, distinct = intern(self.numerators)
        return ExactArray(codes, tuple(Fraction(x, self.scale) for x in distinct.tolist()))

    def take(self, places: Integers) -> Vector:
        """Return the numbers at some places."""
        return Vector(self.numerators[places], self.scale)

    def times(self, sign: int) -> Vector:
        """Return the vector, or its negative."""
        return Vector(sign * self.numerators, self.scale)

    def largest(self) -> Fraction:
        """Return the largest number."""
        return Fraction(int(self.numerators.max()), self.scale)

    def smallest(self) -> Fraction:
        """Return the least number."""
        return Fraction(int(self.numerators.min()), self.scale)

    def expectation(self, start: ExactArray) -> Fraction:
        """Return the expectation under a distribution."""
        support = start.support().tolist()
        total = sum((start[x] * int(self.numerators[x]) for x in support), Fraction(0))
        return total / self.scale


def whole_numbers(values: Sequence[int] | Integers) -> Integers:
    """Return integers as int64 if they are small enough for it, and else as an array of Python integers."""
    # numpy would turn a list of integers below -2^63 and above 2^63 - 1 into floats.
    given = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
    small = width(given) < SAFE_BITS
    return given.astype(np.int64 if small else object, copy=False)


def width(integers: Integers) -> int:
    """Return the bits of the largest absolute value."""
    if not len(integers):
        return 0
    return max(abs(int(integers.min())), abs(int(integers.max()))).bit_length()

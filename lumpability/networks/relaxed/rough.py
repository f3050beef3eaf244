"""Arrays of doubles with the interface of `Scaled`: for a search, which proves nothing.

What a search finds with these numbers is derived again with `lumpability.networks.relaxed.scaled` before anything is
claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.numbers.float_arrays import Array

__all__ = ["Rough"]


@dataclass(frozen=True, eq=False)
class Rough:
    """An array of doubles.

    Examples
    --------
    >>> (Rough.of([1.0, -2.0]).positive + Rough.of(1.0)).floats().tolist()
    [2.0, 1.0]
    """

    numbers: Array

    @classmethod
    def of(cls, values: Any) -> Rough:
        """Return numbers as they are."""
        return cls(np.asarray(values, dtype=np.float64))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        shape: tuple[int, ...] = self.numbers.shape
        return shape

    def __add__(self, other: Rough) -> Rough:
        return Rough(self.numbers + other.numbers)

    def __sub__(self, other: Rough) -> Rough:
        return Rough(self.numbers - other.numbers)

    def __neg__(self) -> Rough:
        return Rough(-self.numbers)

    def __mul__(self, other: Rough) -> Rough:
        return Rough(self.numbers * other.numbers)

    def __matmul__(self, other: Rough) -> Rough:
        return Rough(self.numbers @ other.numbers)

    def __getitem__(self, key: Any) -> Rough:
        return Rough(self.numbers[key])

    def matmul_down(self, other: Rough, bits: int) -> Rough:
        """Multiply matrices."""
        return self @ other

    def down(self, bits: int) -> Rough:
        """Return the numbers as they are."""
        return self

    def where(self, mask: Array) -> Rough:
        """Return the array with zeros outside a mask."""
        return Rough(np.where(mask, self.numbers, 0))

    @property
    def positive(self) -> Rough:
        """The positive part."""
        return Rough(np.maximum(self.numbers, 0))

    @property
    def negative(self) -> Rough:
        """The negative part."""
        return Rough(np.minimum(self.numbers, 0))

    def least(self, other: Rough) -> Rough:
        """Return the smaller of two numbers, elementwise."""
        return Rough(np.minimum(self.numbers, other.numbers))

    def most(self, other: Rough) -> Rough:
        """Return the larger of two numbers, elementwise."""
        return Rough(np.maximum(self.numbers, other.numbers))

    def exceeds(self, other: Rough) -> Array:
        """Return where the number is larger than the other by more than rounding."""
        slack = 1e-12 * (np.abs(self.numbers) + np.abs(other.numbers))
        return np.asarray(self.numbers > other.numbers + slack)

    @property
    def nonzero(self) -> Array:
        """Return where the number is not zero."""
        return np.asarray(self.numbers != 0)

    def floats(self) -> Array:
        """Return the numbers."""
        return self.numbers

"""Rounded weights of divisions and of batch normalisation, with errors that are proved in rational arithmetic.

Batch normalisation computes x g + b - m g with g = s / sqrt(v + eps).  A float f is within the share r of g, that is
|f - g| <= r |f|, if and only if f has the sign of s and f^2 (1 - r)^2 (v + eps) <= s^2 <= f^2 (1 + r)^2 (v + eps).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lumpability.errors import NotJustified
from lumpability.numbers.float_arrays import Array


def proved_fold(
    parameters: tuple[Array, Array, Array, Array, float],
    folded: tuple[Array, Array, Array],
    share: float,
) -> None:
    """Check the factors and shifts of a batch normalisation, or raise `NotJustified`.

    - folded: every factor is within the share of itself, every shift within the error of its own

    >>> ones = np.ones(1)
    >>> proved_fold((ones, ones, ones, 3 * ones, 1.0), (ones / 2, ones / 2, 0 * ones), 0.0)
    >>> proved_fold((ones, ones, ones, ones, 1.0), (ones / 2, ones / 2, 0 * ones), 0.0)
    Traceback (most recent call last):
        ...
    lumpability.errors.NotJustified: the factors of a batch normalisation round by more than is known
    """
    *arrays, epsilon = parameters
    near = Fraction(share)
    for row in zip(*(array.tolist() for array in (*arrays, *folded)), strict=True):
        scale, bias, mean, variance, factor, shift, error = map(Fraction, row)
        square = factor**2 * (variance + Fraction(epsilon))
        off = abs(shift - bias + mean * factor) + abs(mean * factor) * near
        fits = square * (1 - near) ** 2 <= scale**2 <= square * (1 + near) ** 2
        if not fits or factor * scale < 0 or off > error:
            raise NotJustified("the factors of a batch normalisation round by more than is known")


def proved_reciprocals(values: Array, share: float) -> Array:
    """Return floats within a share of 1 / values, or raise `NotJustified`.

    >>> proved_reciprocals(np.array([4.0, 3.0]), 2.0**-52).round(6).tolist()
    [0.25, 0.333333]
    """
    found = 1 / values
    for value in np.unique(values).tolist():
        near = Fraction(1 / value)
        if abs(near - 1 / Fraction(value)) > Fraction(share) * abs(near):
            raise NotJustified(f"1 / {value:g} rounds by more than is known")
    return np.asarray(found)

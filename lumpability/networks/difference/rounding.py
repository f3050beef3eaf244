"""Bounds on what float64 sums, products and activations round.

With u = 2^-53, a product of matrices in any order of additions satisfies |fl(W C) - W C| <= gamma_n |W| |C|,
gamma_n = n u / (1 - n u) (Higham, Accuracy and Stability of Numerical Algorithms, section 3.5).  So the error of a
functional h C that is pushed through W is at most gamma_n (max |h| |W|) |C|: one product of a vector and a matrix,
and no directed rounding.  All bounds of errors are sums of non-negative terms; doubling gamma_n covers their own
rounding, and `TINY` covers underflow.
"""

from __future__ import annotations

import numpy as np

from lumpability.numbers.float_arrays import Array

UNIT = 2.0**-53
TINY = 1e-280
"""More than what underflow changes in sums of products of numbers below 1e20."""


def gamma(terms: int) -> float:
    """Return twice the relative error bound of a sum of products with so many terms, a few more included."""
    return 2 * (terms + 8) * UNIT


def down(values: Array) -> Array:
    """Return numbers a little below: by one part in 2^51, and by `TINY`."""
    return np.asarray(values - (4 * UNIT * np.abs(values) + TINY))


def up(values: Array) -> Array:
    """Return numbers a little above."""
    return np.asarray(values + (4 * UNIT * np.abs(values) + TINY))

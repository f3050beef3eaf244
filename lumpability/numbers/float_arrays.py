"""Exact arithmetic on arrays of floats, without tolerances.

A stored weight is a dyadic rational m 2^e and means exactly that.  Machine floats compute exactly with such
numbers, because of three facts.

The rounding error of a sum or a product of two floats is itself a float and can be computed (Knuth's
two-sum, Dekker's two-product); where it is zero, the result is exact.

Division is correctly rounded: fl(x / y) depends on the rational x / y alone, so if the columns of a matrix
are divided by their first entries, proportional columns have bitwise equal quotients.  Equal quotients
select candidates; they prove nothing.

The equation x a = y b holds exactly when both two-products agree in both halves.

Numbers that do not fit (more than 53 bits, or beyond the range in which no product under- or overflows)
are handled as `fractions.Fraction`.  Everywhere below an *exact array* is a float array whose values are
meant literally, or an object array of fractions.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.numbers.integers import scale_to_integers

Array = np.ndarray[Any, Any]

_SPLIT = float(2**27 + 1)
_SAFE = 2.0**400
"""Products of two numbers between 1 / _SAFE and _SAFE, and their rounding errors, are normal floats."""


def to_fractions(values: Any) -> Array:
    """Return an object array of `Fraction` with exactly the same values."""
    source = np.asarray(values)
    result = np.empty(source.shape, dtype=object)
    if source.dtype == object or source.dtype.kind in "iub":
        items = [Fraction(value) for value in source.ravel().tolist()]
    else:
        items = [Fraction(value) for value in source.astype(np.float64).ravel().tolist()]
    result.ravel()[:] = items
    return result


def exact_sum(rows: Array, factors: Array) -> Array:
    """Return the sum of rows of floats times rationals, exactly: an object array of fractions.

    Everything is a multiple of one fraction, so that only integers are multiplied.

    >>> exact_sum(np.array([[0.5, 3], [1, 0]]), np.array([Fraction(1), Fraction(1, 3)])).tolist()
    [Fraction(5, 6), Fraction(3, 1)]
    """
    whole, denominator = scale_to_integers(factors.tolist())
    parts, exponents = np.frexp(rows.astype(np.float64))
    mantissas, shifts = np.ldexp(parts, 53).astype(np.int64), exponents - 53
    low = int(shifts[mantissas != 0].min(initial=0))
    shifts[mantissas == 0] = low
    integers = mantissas.astype(object) << (shifts - low).astype(object)
    result = np.empty(rows.shape[1], dtype=object)
    sums = np.array(whole, dtype=object) @ integers if whole else [0] * rows.shape[1]
    result[:] = [Fraction(total, denominator << -low) for total in sums]
    return result


def varying_axes(values: Array) -> list[int]:
    """Return the axes along which an array changes.

    >>> varying_axes(np.array([[1, 2, 2], [1, 2, 2]]))
    [1]
    """
    return [
        axis
        for axis, size in enumerate(values.shape)
        if size > 1 and bool((values != np.take(values, [0], axis=axis)).any())
    ]


def first_non_finite(values: Array) -> tuple[int, ...] | None:
    """Return the index of the first NaN or infinity, or None.

    >>> first_non_finite(np.array([[0, 1], [np.nan, 2]]))
    (1, 0)
    """
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return None
    position = int(np.flatnonzero(~np.isfinite(values))[0])
    return tuple(int(i) for i in np.unravel_index(position, values.shape))


def is_safe(values: Array) -> bool:
    """Whether products of these numbers neither over- nor underflow, their errors included."""
    if values.dtype.itemsize <= 4:  # between 2^-149 and 2^128
        return True
    size = np.abs(values[values != 0])
    return size.size == 0 or bool(size.min() > 1 / _SAFE and size.max() < _SAFE)


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return fl(a + b) and the exact rest: ``a + b == total + rest`` (Knuth).

    >>> total, rest = two_sum(np.array([1.0]), np.array([2.0**-60]))
    >>> total.tolist(), (rest * 2**60).tolist()
    ([1.0], [1.0])
    """
    total = a + b
    seen = total - a
    return total, (a - (total - seen)) + (b - seen)


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return fl(a b) and the exact rest (Dekker); both arguments must be `is_safe`.

    >>> product, rest = two_product(np.array([1 + 2.0**-30]), np.array([1 + 2.0**-30]))
    >>> (rest * 2**60).tolist()
    [1.0]
    """
    product = a * b
    scaled_a, scaled_b = a * _SPLIT, b * _SPLIT
    high_a, high_b = scaled_a - (scaled_a - a), scaled_b - (scaled_b - b)
    low_a, low_b = a - high_a, b - high_b
    rest = low_a * low_b - (((product - high_a * high_b) - low_a * high_b) - high_a * low_b)
    return product, rest


def products_agree(a: Array, b: Array, c: Array, d: Array) -> Array:
    """Return where a b = c d holds exactly, elementwise with broadcasting.

    - a, b, c, d: of the same float type; float32 is compared in float64, where such products are exact
    """
    if max(x.dtype.itemsize for x in (a, b, c, d)) <= 4:
        wide = np.float64
        return np.asarray(np.multiply(a, b, dtype=wide) == np.multiply(c, d, dtype=wide))
    left, left_rest = two_product(a.astype(np.float64), b.astype(np.float64))
    right, right_rest = two_product(c.astype(np.float64), d.astype(np.float64))
    return np.asarray((left == right) & (left_rest == right_rest))


def divided(values: Array, scale: Array) -> Array:
    """Divide the columns of an exact array, exactly: floats where all quotients are floats.

    - values: exact array, shape (..., n)
    - scale: object array of Fraction, shape (n,)

    >>> divided(np.array([[6.0, 1.0]]), to_fractions([3, 1])).tolist()
    [[2.0, 1.0]]
    >>> divided(np.array([[6.0, 1.0]]), to_fractions([3, 3])).tolist()
    [[Fraction(2, 1), Fraction(1, 3)]]
    """
    if all(factor == 1 for factor in scale.tolist()):
        return values
    if values.dtype != object:
        by, known = as_floats(scale)
        wide = values.astype(np.float64)
        if known.all() and is_safe(by) and is_safe(wide):
            with np.errstate(under="ignore"):
                quotients = wide / by
            if is_safe(quotients) and products_agree(quotients, by, wide, np.ones(1)).all():
                return np.asarray(quotients)
    return np.asarray(to_fractions(values) / scale, dtype=object)


def as_floats(factors: Array) -> tuple[Array, Array]:
    """Return the nearest floats of fractions, and where they are exact.

    >>> as_floats(to_fractions([Fraction(1, 2), Fraction(1, 3)]))[1].tolist()
    [True, False]
    """
    rounded, exact = np.ones(len(factors)), np.ones(len(factors), dtype=bool)
    for i, factor in enumerate(factors.tolist()):
        if factor != 1:
            rounded[i] = _nearest(factor)
            exact[i] = np.isfinite(rounded[i]) and Fraction(rounded[i].item()) == factor
    return rounded, exact


def exact_ratios(a: Array, b: Array) -> list[Fraction]:
    """Return a / b as fractions, elementwise; b has no zeros.

    Ratios that are floats, the usual case, become fractions once for each distinct ratio.

    >>> exact_ratios(np.array([3.0, 1.0]), np.array([2.0, 3.0]))
    [Fraction(3, 2), Fraction(1, 3)]
    """
    if not is_safe(a) or not is_safe(b):
        return [Fraction(x) / Fraction(y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    a, b = a.astype(np.float64), b.astype(np.float64)
    quotients = a / b
    exact = products_agree(quotients, b, a, np.ones(1)).tolist()
    known: dict[float, Fraction] = {}
    ratios = []
    for q, fits, x, y in zip(quotients.tolist(), exact, a.tolist(), b.tolist(), strict=True):
        if not fits:
            ratios.append(Fraction(x) / Fraction(y))
            continue
        if q not in known:
            known[q] = Fraction(q)
        ratios.append(known[q])
    return ratios


def float_sum(rows: Array, factors: Array, known: Array, starts: Array) -> tuple[Array, Array]:
    """Sum scaled rows in consecutive segments, and say which sums are exact.

    - rows: float array, shape (k, n)
    - factors: float64 array, shape (k,)
    - known (bool array, shape (k,)): whether the factor is exact
    - starts (array of int, shape (c,)): segment j consists of rows ``starts[j] .. starts[j + 1] - 1``; none is
      empty
    - returns sums, float64 array, shape (c, n)
    - returns exact, bool array, shape (c,): whether every entry of the segment's sum is exact

    O(k n); one vectorised step for each member of the largest segment.
    """
    wide = rows.astype(np.float64)
    exact_rows = known.copy()
    scaled = np.flatnonzero(factors != 1)
    if len(scaled):
        by = factors[scaled]
        if is_safe(by) and is_safe(wide[scaled]):
            wide[scaled], rest = two_product(wide[scaled], by[:, None])
            exact_rows[scaled] &= ~rest.any(axis=1)
        else:
            exact_rows[scaled] = False
    sizes = np.diff(np.append(starts, len(rows)))
    sums = wide[starts]
    exact = np.logical_and.reduceat(exact_rows, starts) if len(starts) else exact_rows
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # what overflows has a rest that is no number
        for step in range(1, int(sizes.max(initial=1))):
            longer = np.flatnonzero(sizes > step)
            sums[longer], rest = two_sum(sums[longer], wide[starts[longer] + step])
            exact[longer] &= ~rest.any(axis=1)
    return sums, exact


def round_to(values: Array, dtype: Any) -> tuple[Array, Array]:
    """Round an exact array to a float type.

    - returns rounded, array of `dtype`
    - returns changed, object array of Fraction, shape (k,): the changes |rounded - value| of the values that
      are not representable
    """
    if values.dtype == np.dtype(dtype):
        return values, np.empty(0, dtype=object)
    with np.errstate(over="ignore"):
        if values.dtype == object:
            flat = np.array([_nearest(v) for v in values.ravel().tolist()], dtype=np.float64)
            rounded = flat.reshape(values.shape).astype(dtype)
        else:
            rounded = values.astype(dtype)
    if values.dtype == object:
        exact = to_fractions(np.where(np.isfinite(rounded), rounded, 0))
        wrong = np.array(exact != values, dtype=bool) | ~np.isfinite(rounded)
    else:
        wrong = rounded.astype(np.result_type(values.dtype, np.float64)) != values
    if not wrong.any():
        return rounded, np.empty(0, dtype=object)
    before, after = to_fractions(values[wrong]), rounded[wrong]
    finite = np.isfinite(after)
    after_exact = to_fractions(np.where(finite, after, 0))
    return rounded, np.abs(after_exact - before)


def _nearest(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")

"""Exact numbers: how the library reads numbers as rationals.

Integers, `fractions.Fraction`, sympy numbers and text ("0.1", "1/3", "1e-6") are read literally.
A float is a dyadic rational m 2^e, but the float of a chain usually stands for a simpler number: 0.1 means
1/10, and 0.050000000000000044 = 1 - 0.95 means 1/20.  So a float x is read as the simple number r that is
too close to be a coincidence.  Let d = max(|x - r| / |x|, 2^-53) be the relative change, and let N(r) be
the complexity: p q for a fraction p/q, m for a decimal m 10^e and for a short binary number m 2^e.  About
N d numbers as simple as r lie so close to a random x.  The rule: |x - r| <= float_tolerance |x| and N d <= 10^-4;
of several such r, the one with the least N d.
Floats of 32 and of 16 bits are read by the same rule with their own precision.
Integers up to 2^53 and floats without such an r keep their binary value.  The reading of a value
depends on nothing but the value (see docs/decisions/0001-reading-floats.md).
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidValue

DEFAULT_TOLERANCE = 1e-12
"""Largest relative change when a float is read as the rational that was meant."""


@dataclass(frozen=True)
class _Precision:
    """The precision of a type of floats."""

    unit: float  # half a unit in the last place, relative; a smaller distance counts as this
    chance: float  # expected number of equally simple numbers at that distance
    least_tolerance: float = 0.0  # some rounding errors

    @property
    def most_complex(self) -> int:
        return int(self.chance / self.unit)

    @property
    def most_digits(self) -> int:
        return len(str(self.most_complex))


_DOUBLE = _Precision(2.0**-53, 1e-4)
_PRECISIONS = {
    np.dtype(np.float32): _Precision(2.0**-24, 1e-2, 2.0**-21),
    np.dtype(np.float16): _Precision(2.0**-11, 5e-2, 2.0**-10),
}
_LARGEST_EXACT_INTEGER = 2**53
_MAX_TEXT, _MAX_EXPONENT = 100_000, 5000
_DIGITS_AT_ONCE = 4000  # Python converts no more than 4300 digits between integers and text
_SHOWN_BITS = 300
_BRIEF = 16
_TEXT = re.compile(
    r"\s*(?P<head>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE](?P<exponent>[+-]?[0-9]{1,9}))?"
    r"(?:\s*/\s*(?P<denominator>[0-9]+))?\s*",
)


@dataclass(frozen=True)
class Reading:
    """The number of distinct floats that were read, and their changes.

    Attributes
    ----------
    distinct : int
        Distinct floating-point values read (numbers given exactly are not counted).
    nearest : int
        Values read as a rational other than their binary value, of which they are the nearest
        float: 0.1 read as 1/10.
    neighbours : int
        Values read as a rational that is nearest to *another* float: 0.050000000000000044 as 1/20.
    largest_change : Fraction
        The largest relative change over all values.
    rescaled : Fraction
        The largest distance from one of the sums by which rows of a DTMC were divided.

    Examples
    --------
    >>> values, reading = read_floats([0.5, 0.1, 1 - 0.95])
    >>> [str(value) for value in values]
    ['1/2', '1/10', '1/20']
    >>> reading.distinct, reading.nearest, reading.neighbours
    (3, 1, 1)
    >>> print(reading)
    3 distinct floats read as rationals, 1 as a neighbour; largest relative change 8.9e-16
    """

    distinct: int = 0
    nearest: int = 0
    neighbours: int = 0
    largest_change: Fraction = Fraction(0)
    rescaled: Fraction = Fraction(0)

    def __add__(self, other: Reading) -> Reading:
        if not other.distinct:
            return self
        return Reading(
            self.distinct + other.distinct,
            self.nearest + other.nearest,
            self.neighbours + other.neighbours,
            max(self.largest_change, other.largest_change),
            max(self.rescaled, other.rescaled),
        )

    def __str__(self) -> str:
        if not self.distinct:
            return "all numbers were given exactly"
        changed = (
            f"{self.neighbours} as a neighbour; largest relative change "
            f"{float(self.largest_change):.2g}"
            if self.neighbours
            else "each the nearest float to what was read"
        )
        if self.rescaled:
            changed += f"; rows divided by sums that are off by up to {float(self.rescaled):.2g}"
        plural = "" if self.distinct == 1 else "s"
        return f"{self.distinct} distinct float{plural} read as rationals, {changed}"


def shown(value: Any) -> str:
    """Return an exact number as text for people, cut where it would fill the screen.

    >>> shown(Fraction(1, 3)), shown(Fraction(1, 7**400))
    ('1/3', 'about 9.1e-339 (a fraction with a denominator of 1123 bits)')
    """
    if not isinstance(value, Fraction):
        try:
            return str(value)
        except ValueError:  # Python writes no integers of more than 4300 digits
            return "a rational function with very long coefficients"
    bits = value.numerator.bit_length(), value.denominator.bit_length()
    if sum(bits) <= _SHOWN_BITS:
        return str(value)
    # Powers of ten by logarithms, because the number may be beyond the range of floats.
    logarithm = _log10(abs(value.numerator)) - _log10(value.denominator)
    exponent = math.floor(logarithm)
    sign = "-" if value < 0 else ""
    near = f"about {sign}{10 ** (logarithm - exponent):.1f}e{exponent}"
    if value.denominator == 1:
        return f"{near} (an integer of {bits[0]} bits)"
    return f"{near} (a fraction with a denominator of {bits[1]} bits)"


def brief(value: Any) -> str:
    """Return an exact number as text for pictures and tables: a long fraction as the nearest short decimal.

    >>> brief(Fraction(1, 3)), brief(Fraction(352115733488927608429447, 175921860444160000000000))
    ('1/3', '2.001546213')
    """
    text = shown(value)
    if not isinstance(value, Fraction) or len(text) <= _BRIEF:
        return text
    try:
        return f"{float(value):.10g}" if float(value) or not value else text
    except OverflowError:
        return text


def _log10(number: int) -> float:
    surplus = max(number.bit_length() - 1000, 0)
    return math.log10(number >> surplus) + surplus * math.log10(2)


def exact_text(value: Any) -> str:
    """Write a number of any length as a text that is read as the same number.

    >>> exact_text(Fraction(1, 3)), len(exact_text(Fraction(1, 10**9000)))
    ('1/3', 9003)
    """
    if not isinstance(value, Fraction):
        try:
            return str(value)
        except ValueError as error:
            raise InvalidValue(
                "a rational function has coefficients of more than 4300 digits, which no text holds"
            ) from error
    below = "" if value.denominator == 1 else f"/{_digits(value.denominator)}"
    return f"{'-' if value < 0 else ''}{_digits(abs(value.numerator))}{below}"


def _digits(number: int) -> str:
    if number < 10**_DIGITS_AT_ONCE:
        return str(number)
    half = _DIGITS_AT_ONCE
    while number >= 10 ** (2 * half):
        half *= 2
    high, low = divmod(number, 10**half)
    return _digits(high) + _digits(low).zfill(half)


def _integer(digits: str) -> int:
    if len(digits) <= _DIGITS_AT_ONCE:
        return int(digits)
    half = len(digits) // 2
    power: int = 10**half
    return _integer(digits[:-half]) * power + _integer(digits[-half:])


def read_text(text: str) -> Fraction:
    """Read a number from text, literally.

    Raises `InvalidValue` if the text is not a finite number, or its exponent exceeds 5000 in absolute value.

    Parameters
    ----------
    text : str
        An integer or a decimal, with or without an exponent, or a quotient of one by an integer.

    Examples
    --------
    >>> read_text("0.1"), read_text("1/3"), read_text("1e-6")
    (Fraction(1, 10), Fraction(1, 3), Fraction(1, 1000000))
    """
    match = _TEXT.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        shown = text if len(text) <= 40 else text[:40] + "..."
        raise InvalidValue(
            f"{shown!r} is not a number; write 3, 0.25, 1e-6 or 1/3 (at most {_MAX_TEXT} characters)",
            value=text[:_MAX_TEXT],
        )
    exponent = int(match["exponent"] or 0)
    if abs(exponent) > _MAX_EXPONENT:
        raise InvalidValue(
            f"the exponent of {text[:80]!r} is beyond {_MAX_EXPONENT}",
            value=text[:1000],
            exponent=exponent,
        )
    whole, _, after = match["head"].partition(".")
    value = _integer(whole.lstrip("+-") + after) * Fraction(10) ** (exponent - len(after))
    value = -value if whole.startswith("-") else value
    if match["denominator"] is None:
        return value
    denominator = _integer(match["denominator"])
    if denominator == 0:
        raise InvalidValue(f"{text[:80]!r} divides by zero", value=text[:1000])
    return value / denominator


def read_float(
    x: float | np.floating[Any], *, float_tolerance: float = DEFAULT_TOLERANCE
) -> Fraction:
    """Read a float as the rational that was meant, by the rule of the module's docstring.

    Raises `InvalidValue` if `x` is NaN or infinite.

    - float_tolerance: largest relative change (raised to a few rounding errors of the type); 0 reads the binary value
      literally

    >>> read_float(0.3333333333333333), read_float(3.1709791983764586e-08)
    (Fraction(1, 3), Fraction(1, 31536000))
    >>> read_float(0.1, float_tolerance=0)
    Fraction(3602879701896397, 36028797018963968)
    >>> read_float(np.float32(0.1))
    Fraction(1, 10)
    """
    return _read_float(
        float(x), float_tolerance, _PRECISIONS.get(getattr(x, "dtype", None), _DOUBLE)
    )


def _read_float(x: float, float_tolerance: float, precision: _Precision) -> Fraction:
    if not math.isfinite(x):
        raise InvalidValue(f"{x} is not a finite number", value=x)
    numerator, denominator = abs(x).as_integer_ratio()
    if float_tolerance == 0 or (denominator == 1 and numerator <= _LARGEST_EXACT_INTEGER):
        return Fraction(x)
    float_tolerance = max(float_tolerance, precision.least_tolerance)
    best, least = (numerator, denominator), precision.chance
    for complexity, p, q in _candidates(abs(x), numerator, denominator, precision):
        change = abs(numerator * q - p * denominator) / (numerator * q)
        chance = complexity * max(change, precision.unit)
        if change <= float_tolerance and chance <= least:
            best, least = (p, q), chance
    return Fraction(*best) if x > 0 else -Fraction(*best)


def _candidates(
    x: float, numerator: int, denominator: int, precision: _Precision
) -> Iterator[tuple[int, int, int]]:
    """Yield (complexity, p, q) of the simple numbers p/q near x = numerator/denominator > 0."""
    # A short binary number stands for itself; its odd mantissa is its complexity.
    yield numerator >> ((numerator & -numerator).bit_length() - 1), numerator, denominator
    # Legendre: a fraction p/q with p q d < 1/2 is a convergent of the continued fraction of x.
    high, low = numerator, denominator
    p, q, p_before, q_before = 1, 0, 0, 1
    while low:
        quotient, rest = divmod(high, low)
        p, p_before = quotient * p + p_before, p
        q, q_before = quotient * q + q_before, q
        if p * q > precision.most_complex:
            break
        if p:
            yield p * q, p, q
        high, low = low, rest
    # A decimal of k digits is near enough only if the digits after them begin with 000 or 999.
    text, _, exponent = f"{x:.16e}".partition("e")
    digits = text.replace(".", "")
    for k in range(1, precision.most_digits + 1):
        after = digits[k : k + 3]
        if after in ("000", "999") or precision is not _DOUBLE:
            mantissa = int(digits[:k]) + (after >= "500")
            shift = int(exponent) - k + 1
            yield mantissa, mantissa * 10 ** max(shift, 0), 10 ** max(-shift, 0)


def read_floats(
    values: Sequence[float] | np.ndarray[Any, Any], *, float_tolerance: float = DEFAULT_TOLERANCE
) -> tuple[list[Fraction], Reading]:
    """Read distinct floats, each by itself, and report the changes.

    Parameters
    ----------
    values : sequence of float or array of floats of 16 to 64 bits, shape (k,)
        Distinct values: a matrix is interned first, see `lumpability.numbers.exact_array.ExactArray`.
    float_tolerance : float
        Largest relative change; 0 reads binary values literally.

    Returns
    -------
    fractions : list of Fraction, length k
    reading : Reading

    Raises
    ------
    InvalidValue
        If a value is NaN or infinite; carries ``index``.

    Notes
    -----
    About 15 microseconds for each value that has a simple neighbour and 2 for each that has none.

    Examples
    --------
    >>> fractions, reading = read_floats([0.2, 1e-3])
    >>> fractions
    [Fraction(1, 5), Fraction(1, 1000)]
    """
    array = np.asarray(values)
    precision = _PRECISIONS.get(array.dtype, _DOUBLE)
    rounded = float if precision is _DOUBLE else array.dtype.type
    array = array.astype(np.float64, copy=False)
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise InvalidValue(
            f"value {float(array[bad[0]])} at position {int(bad[0])} is not a finite number",
            value=float(array[bad[0]]),
            index=int(bad[0]),
        )
    hopeful = _may_be_simple(array, float_tolerance, precision)
    fractions: list[Fraction] = []
    nearest = neighbours = 0
    largest = Fraction(0)
    for x, hope in zip(array.tolist(), hopeful.tolist(), strict=True):
        exact = Fraction(x)
        value = _read_float(x, float_tolerance, precision) if hope else exact
        fractions.append(value)
        if value != exact:
            largest = max(largest, abs(value / exact - 1))
            if rounded(float(value)) == x:
                nearest += 1
            else:
                neighbours += 1
    return fractions, Reading(len(fractions), nearest, neighbours, largest)


def _may_be_simple(
    x: np.ndarray[Any, Any], float_tolerance: float, precision: _Precision
) -> np.ndarray[Any, Any]:
    """Mark all values that `read_float` may change, by a fast test in floating point with slack.

    A value that is not marked has no simple neighbour.
    """
    if float_tolerance == 0 or len(x) < 1000:
        return np.full(len(x), float_tolerance != 0)
    float_tolerance = max(float_tolerance, precision.least_tolerance)
    slack = 1e-15
    chance = 1.1 * precision.chance
    size = np.abs(x)
    # Powers of ten lose precision for very small and very large numbers: mark these.
    marked: np.ndarray[Any, Any] = (size < 1e-280) | (size > 1e280)
    size = np.where(marked, 1.0, size)

    def near(complexity: np.ndarray[Any, Any], value: np.ndarray[Any, Any]) -> Any:
        change = np.abs(value - size) / size
        simple = complexity * np.maximum(change - slack, precision.unit) <= chance
        return simple & (change <= float_tolerance * (1 + 1e-6) + slack)

    exponent = np.floor(np.log10(size))
    scaled = size / 10.0**exponent
    for digits in range(1, precision.most_digits + 1):
        mantissa = np.rint(scaled * 10.0 ** (digits - 1))
        marked |= near(mantissa, mantissa / 10.0 ** (digits - 1) * 10.0**exponent)
    p, q = np.ones_like(size), np.zeros_like(size)
    p_before, q_before, rest = q, p, size
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(64):  # p q at least doubles every second step
            quotient = np.floor(rest)
            p, p_before = quotient * p + p_before, p
            q, q_before = quotient * q + q_before, q
            marked |= (p > 0) & near(p * q, p / q)
            rest = 1 / (rest - quotient)
            if not np.any(p * q <= 2 * precision.most_complex):
                break
    return marked


def read_number(value: Any, *, float_tolerance: float = DEFAULT_TOLERANCE) -> Fraction:
    """Read one number of any supported type as a rational.

    Parameters
    ----------
    value : int, Fraction, Decimal, str, float, numpy scalar or sympy number
        Floats follow the policy of `read_float`; everything else is read literally.
    float_tolerance : float
        Largest relative change of a float; 0 reads binary values literally.

    Raises
    ------
    InvalidValue
        If it is not a finite real rational number.

    Examples
    --------
    >>> import numpy, sympy
    >>> read_number("1/3") + read_number(numpy.float64(0.1) * 3) + read_number(sympy.Rational(1, 6))
    Fraction(4, 5)
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool | np.bool_):
        return Fraction(int(value))
    if isinstance(value, np.timedelta64):  # for numpy an integer, of a unit that it does not say
        raise InvalidValue(f"{value!r} is a span of time: divide it by its unit", value=value)
    if isinstance(value, numbers.Integral):
        return Fraction(int(value))
    if isinstance(value, numbers.Rational):
        return Fraction(int(value.numerator), int(value.denominator))
    if isinstance(value, str):
        return read_text(value)
    if isinstance(value, float | np.floating):
        return read_float(value, float_tolerance=float_tolerance)
    return _read_foreign(value, float_tolerance)


def _read_foreign(value: Any, float_tolerance: float) -> Fraction:
    """Read Decimal and sympy numbers; sympy is imported only for its own numbers."""
    if getattr(value, "is_Rational", False):
        return Fraction(int(value.p), int(value.q))
    if getattr(value, "is_Float", False):
        return read_float(float(value), float_tolerance=float_tolerance)
    if type(value).__module__ == "decimal" and value.is_finite():
        return Fraction(value)
    raise InvalidValue(
        f"{value!r} of type {type(value).__name__} is not a finite rational number", value=value
    )

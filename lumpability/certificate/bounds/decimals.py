"""Intervals as decimals, rounded outward, so that what is printed is proved too."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

_FEWEST, _MOST = 7, 24  # digits


def decimals(lower: Fraction, upper: Fraction) -> str:
    """Return an interval with about four digits more than its ends share.

    >>> decimals(Fraction(1, 3), Fraction(2, 3)), decimals(Fraction(1, 4), Fraction(1, 4))
    ('[0.3333333, 0.6666667]', '[0.25, 0.25]')
    """
    width, size = upper - lower, max(abs(lower), abs(upper))
    digits = _FEWEST
    while width > 0 and digits < _MOST and width * 10 ** (digits - 4) < size:
        digits += 1
    return f"[{_decimal(lower, digits, ROUND_FLOOR)}, {_decimal(upper, digits, ROUND_CEILING)}]"


def _decimal(value: Fraction, digits: int, rounding: str) -> str:
    context = Context(prec=digits, rounding=rounding)
    number = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    return format(number.normalize(), "f" if abs(number.adjusted()) <= digits else "")

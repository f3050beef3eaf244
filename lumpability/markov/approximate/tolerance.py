"""How tolerances are read: "1%", 0.01, "1/100" and Fraction(1, 100) are the same."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from lumpability.errors import InvalidInput, InvalidValue
from lumpability.numbers.rationals import read_number

__all__ = ["in_percent", "read_absolute", "read_tolerance"]


def read_tolerance(value: Any, what: str = "tolerance") -> Fraction:
    """Return a relative tolerance as a fraction.

    Raises
    ------
    InvalidInput
        If it is not a number, or not at least 0 and below 1.

    Examples
    --------
    >>> read_tolerance("1%"), read_tolerance(0.025)
    (Fraction(1, 100), Fraction(1, 40))
    >>> read_tolerance("1%%")
    Traceback (most recent call last):
        ...
    lumpability.errors.InvalidInput: the tolerance '1%%' is not a number: give a share such as "1%", 0.01 or "1/100"
    """
    text = value.strip() if isinstance(value, str) else value
    percent = isinstance(text, str) and text.endswith("%")
    number = _read(
        text[:-1] if percent else text, value, what, 'a share such as "1%", 0.01 or "1/100"'
    )
    number = number / 100 if percent else number
    if not 0 <= number < 1:
        raise InvalidInput(
            f'the {what} {value!r} is not a share from 0 to below 1: "1%" and 0.01 are one per cent',
            value=value,
        )
    return number


def read_absolute(value: Any, what: str = "absolute tolerance") -> Fraction:
    """Return an absolute tolerance, in the unit of the rates, as a fraction.

    Raises
    ------
    InvalidInput
        If it is not a number, or negative.

    Examples
    --------
    >>> read_absolute("1e-6")
    Fraction(1, 1000000)
    """
    number = _read(value, value, what, "a number in the unit of the rates, such as 1e-6")
    if number < 0:
        raise InvalidInput(f"the {what} {value!r} is negative: give 0 or more", value=value)
    return number


def _read(text: Any, value: Any, what: str, example: str) -> Fraction:
    message = f"the {what} {value!r} is not a number: give {example}"
    if isinstance(text, bool):
        raise InvalidInput(message, value=value)
    try:
        return read_number(text)
    except InvalidValue:
        raise InvalidInput(message, value=value) from None


def in_percent(share: Fraction) -> str:
    """Return a share in per cent, with three digits.

    Examples
    --------
    >>> in_percent(Fraction(1, 100)), in_percent(Fraction(1, 128))
    ('1%', '0.781%')
    """
    return f"{float(100 * share):.3g}%"

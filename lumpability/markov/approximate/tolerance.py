"""How tolerances, times and numbers of steps are read: "1%", 0.01, "1/100" and Fraction(1, 100) are the same."""

from __future__ import annotations

import operator
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, InvalidValue
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.rationals import read_number


def require_numbers(chain: MarkovChain) -> None:
    """Refuse a chain with parameters: whether two of its rates are near each other is not determined."""
    if not chain.is_rational:
        names = ", ".join(map(str, chain.parameters))
        raise InvalidInput(
            f"a tolerance compares numbers, and this chain has the parameters {names}: substitute numbers "
            "for them first, with chain.subs",
            parameters=chain.parameters,
        )


def read_tolerance(value: Any, what: str = "tolerance") -> Fraction:
    """Return a relative tolerance as a fraction.

    Raises `InvalidInput` if it is not a number, or not at least 0 and below 1.

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


def read_positive_share(value: Any, what: str) -> Fraction:
    """Return a relative error that can be reached, as a fraction: a tolerance above 0.

    >>> read_positive_share("1e-6", "accuracy")
    Fraction(1, 1000000)
    >>> read_positive_share(0, "error")
    Traceback (most recent call last):
        ...
    lumpability.errors.InvalidInput: the error 0 is not reached: give a share above it
    """
    share = read_tolerance(value, what)
    if not share:
        raise InvalidInput(f"the {what} 0 is not reached: give a share above it", value=value)
    return share


def read_time(value: Any) -> Fraction:
    """Return a point of time as a fraction.

    Raises `InvalidInput` if it is not a number, or negative.

    >>> read_time("7/2")
    Fraction(7, 2)
    """
    number = _read(value, value, "time", 'a number such as 10, 0.5 or "1/2"')
    if number < 0:
        raise InvalidInput(f"the time {value!r} is negative: give 0 or more", time=value)
    return number


def read_steps(value: Any, what: str) -> int:
    """Return a number of steps.

    Raises `InvalidInput` if it is not a whole number, or negative.

    >>> read_steps(3, "horizon")
    3
    """
    try:
        number = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = -1
    if number < 0:
        raise InvalidInput(f"the {what} {value!r} is not a number of steps: give 0, 1, 2 and so on")
    return number


def read_absolute(value: Any, what: str = "absolute tolerance") -> Fraction:
    """Return an absolute tolerance, in the unit of the rates, as a fraction.

    Raises `InvalidInput` if it is not a number, or negative.

    >>> read_absolute("1e-6")
    Fraction(1, 1000000)
    """
    number = _read(value, value, what, "a number in the unit of the rates, such as 1e-6")
    if number < 0:
        raise InvalidInput(f"the {what} {value!r} is negative: give 0 or more", value=value)
    return number


def _read(text: Any, value: Any, what: str, example: str) -> Fraction:
    message = f"the {what} {value!r} is not a number: give {example}"
    if isinstance(text, bool | np.bool_):
        raise InvalidInput(message, value=value)
    try:
        return read_number(text)
    except InvalidValue:
        raise InvalidInput(message, value=value) from None


def in_percent(share: Fraction) -> str:
    """Return a share in per cent, with three digits.

    >>> in_percent(Fraction(1, 100)), in_percent(Fraction(1, 128))
    ('1%', '0.781%')
    """
    return f"{float(100 * share):.3g}%"

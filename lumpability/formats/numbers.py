"""Numbers in text files: one rule for all formats, each distinct token read once.

A text file can say more than a double: "1/3" and "0.1" mean exactly that and are read literally.  But programs
print doubles with 16 or 17 significant digits, because that many identify a double uniquely:
0.10000000000000001 is the double 0.1, not a decimal that somebody meant.

A fraction, an integer, or a decimal of up to 15 or of more than 17 significant digits is literal.
A decimal of 16 or 17 significant digits is a double, read by `rationals.read_float` as the rational that was
meant, and counted in the chain's ``reading``.  With ``float_tolerance=0`` every decimal is literal.

Files rounded to fewer digits have lost what was meant: 0.333333333333 three times is no distribution.
With ``digits=N`` a decimal of N significant digits, or N after the point, is the simplest rational that
rounds to it: 1/3.  Shorter ones stay literal, because writers leave trailing zeros out.

Literal decimals of 15 digits lose no double: 15 digits always survive the conversion to a double and back.
Expressions in parameters are read if the format has them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidValue
from lumpability.formats.tokens import Array, Chunk, Spans, shown
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.parameters import is_symbolic, parse, read_elements
from lumpability.numbers.rationals import DEFAULT_TOLERANCE, Reading, read_floats, read_text
from lumpability.numbers.rationals import shown as number_shown

_NUMBER = re.compile(r"[0-9.+-]+(?:[eE][+-]?[0-9]+)?(?:/[0-9]+)?")
_DECIMAL = re.compile(r"[+-]?0*\.?0*([0-9]*)\.?([0-9]*)(?:[eE][+-]?[0-9]+)?")


def names_a_double(text: str) -> bool:
    """Whether a number's text is a double as programs print it: 16 or 17 significant digits."""
    if "." not in text and "e" not in text and "E" not in text:
        return False
    match = _DECIMAL.fullmatch(text)
    return match is not None and 16 <= len(match[1]) + len(match[2]) <= 17


def read_exact(text: str, parameters: Collection[str]) -> Any:
    """Return the number, or the expression in some parameters, that a text stands for."""
    return (
        read_expression(text, parameters) if parameters and is_symbolic(text) else read_text(text)
    )


def is_rounded(text: str, digits: int) -> bool:
    """Whether a decimal has `digits` significant digits, or `digits` after the point.

    >>> [is_rounded(t, 6) for t in ("0.333333", "0.083333", "0.25", "1.23457e-05", "1/3")]
    [True, True, False, True, False]
    """
    match = _DECIMAL.fullmatch(text)
    if match is None or "." not in text:
        return False
    after = text.partition(".")[2].lower().partition("e")[0]
    return len(match[1]) + len(match[2]) == digits or len(after) == digits


def simplest_rounded(text: str) -> Fraction:
    """Return the rational of least denominator that differs from a decimal by half its last digit at most.

    >>> simplest_rounded("0.333333"), simplest_rounded("-0.857142857143"), simplest_rounded("2.50")
    (Fraction(1, 3), Fraction(-6, 7), Fraction(5, 2))
    """
    value = read_text(text)
    mantissa, _, exponent = text.lower().partition("e")
    half = Fraction(10) ** (int(exponent or 0) - len(mantissa.partition(".")[2])) / 2
    low, high = abs(value) - half, abs(value) + half
    simplest = Fraction(0) if low <= 0 else _simplest_between(low, high)
    return simplest if value > 0 else -simplest


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """Descend into the Stern-Brocot tree by continued fractions; 0 < low < high."""
    quotients = []
    while low.numerator % low.denominator and low // 1 == high // 1:
        quotients.append(low // 1)
        low, high = 1 / (high % 1), 1 / (low % 1)
    result = Fraction(-(-low // 1))
    for quotient in reversed(quotients):
        result = quotient + 1 / result
    return result


def read_expression(text: str, parameters: Collection[str]) -> Any:
    """Read an expression in declared parameters, with powers written ``^`` or ``**``.

    Raises `InvalidValue` if it is not arithmetic, or mentions another name.

    >>> read_expression("2*mu^2 + 1/3", ["mu"])
    2*mu**2 + 1/3
    >>> read_expression("nu", ["mu"])
    Traceback (most recent call last):
        ...
    lumpability.errors.InvalidValue: 'nu' mentions nu, which is not among the parameters mu
    """
    expression = parse(text.replace("^", "**"))
    unknown = sorted({str(symbol) for symbol in expression.free_symbols} - set(parameters))
    if unknown:
        raise InvalidValue(
            f"{shown(text)!r} mentions {', '.join(unknown)}, which is not among the parameters "
            f"{' '.join(sorted(parameters))}",
            value=text,
        )
    return expression


class NumberTable:
    """The distinct number tokens of a file, in order of appearance.

    - path: for messages
    - float_tolerance: as for `rationals.read_float`; 0 reads every decimal literally
    - parameters: the names that may occur in expressions
    - placeholders: tokens that are names of other tokens
    - digits: the number of digits to which numbers were rounded; see the module
    - non_negative: whether a negative number is an error
    - what: A noun for the numbers, for messages

    >>> table = NumberTable("a.tra", what="probability")
    >>> [table.code(text, line=lambda: 1) for text in ("1/3", "0.10000000000000001", "1/3")]
    [0, 1, 0]
    >>> table.array(np.array([0, 1, 0])), table.reading.distinct
    (ExactArray([1/3, 1/10, 1/3]), 1)
    """

    def __init__(
        self,
        path: str | Path,
        *,
        what: str = "number",
        float_tolerance: float = DEFAULT_TOLERANCE,
        digits: int | None = None,
        parameters: Collection[str] = (),
        placeholders: Mapping[str, str] | None = None,
        non_negative: bool = False,
    ) -> None:
        self._path, self._what, self._tolerance, self._digits = path, what, float_tolerance, digits
        self._rounded = Reading()
        self._parameters, self._non_negative = frozenset(parameters), non_negative
        self._placeholders = placeholders or {}
        self._number: dict[str, int] = {}
        self._items: list[Any] = []  # Fraction, sympy expression, or float not read yet

    def __len__(self) -> int:
        return len(self._items)

    def code(self, text: str, *, line: Callable[[], int | None]) -> int:
        """Return the code of a token; a new one is checked at once, while its line is known.

        Raises `FormatError` if it is not a number, or is negative and must not be.

        - line (callable): finds the line number, only when it is needed
        """
        text = self._placeholders.get(text, text)
        code = self._number.setdefault(text, len(self._items))
        if code == len(self._items):
            self._items.append(self._read(text, line))
        return code

    def codes(self, chunk: Chunk, spans: Spans) -> Array:
        """Return the codes of pieces of a chunk, int64, shape (k,)."""
        if len(spans) == 0:
            return np.empty(0, dtype=np.int64)
        local, first = chunk.distinct(spans)
        table = [
            self.code(chunk.text(first, i), line=partial(chunk.line_number, int(first.starts[i])))
            for i in range(len(first))
        ]
        return np.array(table, dtype=np.int64)[local]

    def _read(self, text: str, line: Callable[[], int | None]) -> Any:
        try:
            if self._parameters and not _NUMBER.fullmatch(text):
                return read_expression(text, self._parameters)
            value = read_text(text)
        except InvalidValue as error:
            message = f"the {self._what} {shown(text)!r} cannot be read: {error}"
            raise FormatError(message, path=self._path, line=line(), value=text[:1000]) from error
        if self._non_negative and value < 0:
            message = f"the {self._what} {shown(text)!r} is negative"
            raise FormatError(message, path=self._path, line=line(), value=text)
        if self._digits and is_rounded(text, self._digits):
            meant = simplest_rounded(text)
            change = abs(meant / value - 1) if value else Fraction(0)
            self._rounded += Reading(1, 1, 0, change)
            return meant
        if not self._tolerance or not names_a_double(text):
            return value
        double = float(text)
        return double if math.isfinite(double) and (double or not value) else value

    @cached_property
    def _resolved(self) -> tuple[list[Any], Reading]:
        """Fractions and expressions by code, the doubles read."""
        items = list(self._items)
        places = [i for i, item in enumerate(items) if isinstance(item, float)]
        doubles, reading = read_floats([items[i] for i in places], float_tolerance=self._tolerance)
        for i, value in zip(places, doubles, strict=True):
            items[i] = value
        return items, reading + self._rounded

    @property
    def reading(self) -> Reading:
        """The doubles among the tokens, and how they were read; valid after the last token."""
        return self._resolved[1]

    def array(self, codes: Array) -> ExactArray:
        """Return the numbers of an array of codes; valid after the last token."""
        items = self._resolved[0]
        used = np.flatnonzero(np.bincount(codes, minlength=len(items))) if len(codes) else codes
        chosen = [items[i] for i in used.tolist()]
        if not all(isinstance(item, Fraction) for item in chosen):
            chosen = read_elements(chosen)
        place = np.zeros(len(items), dtype=np.int64)
        place[used] = np.arange(len(used))
        return ExactArray.of_values(place[codes], chosen)


def double_text(value: Exact) -> str:
    """Write the nearest double with 17 digits, which identify it; integers without a point.

    Raises `InvalidValue` if the number is larger than any double.
    """
    try:
        return f"{float(value):.17g}"
    except OverflowError:
        raise InvalidValue(
            f"the number {number_shown(value)} is beyond every double: write it exactly",
            value=value,
        ) from None

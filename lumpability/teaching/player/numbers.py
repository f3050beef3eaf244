"""Exact weights for the browser: polynomials with rational coefficients over one common divisor.

A number is a polynomial with one term.  Weights with parameters are fractions of polynomials; over their
least common denominator only polynomials remain, which the browser adds, multiplies and compares exactly.
Coefficients are texts "p/q"; the key of a term is its exponents, "1,0,2".
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from lumpability.numbers.exact_array import Exact
from lumpability.numbers.rationals import shown


def polynomial(element: Any) -> dict[str, str]:
    """Return a polynomial of sympy's, or a number, as coefficients by exponents.

    >>> polynomial(Fraction(3, 2)), polynomial(Fraction(0))
    ({'': '3/2'}, {})
    """
    if isinstance(element, Fraction):
        return {"": str(element)} if element else {}
    return {
        ",".join(map(str, exponents)): str(Fraction(int(c.numerator), int(c.denominator)))
        for exponents, c in element.terms()
    }


class WeightTable:
    """Distinct weights, in the order of first use.

    >>> table = WeightTable()
    >>> table.code(Fraction(1, 3)), table.code(Fraction(2)), table.code(Fraction(1, 3))
    (0, 1, 0)
    >>> table.texts, table.positive
    (['1/3', '2'], [True, True])
    """

    def __init__(self) -> None:
        self._codes: dict[Exact, int] = {}

    def code(self, value: Exact) -> int:
        """Return the number of a weight."""
        return self._codes.setdefault(value, len(self._codes))

    @property
    def texts(self) -> list[str]:
        """The weights as texts for people."""
        return [shown(value) for value in self._codes]

    @property
    def positive(self) -> list[bool]:
        """Whether each weight is positive; with parameters, whether no coefficient is negative."""
        return [
            value > 0
            if isinstance(value, Fraction)
            else all(c > 0 for c in value.numer.coeffs())
            and all(c > 0 for c in value.denom.coeffs())
            for value in self._codes
        ]

    def to_json(self) -> dict[str, Any]:
        """Return parameters, the common divisor, and the texts and polynomials of all weights."""
        values = list(self._codes)
        symbolic = [value for value in values if not isinstance(value, Fraction)]
        if not symbolic:
            numerators, divisor, names = values, Fraction(1), []
        else:
            field = symbolic[0].field
            ring = field.ring
            divisor = ring.one
            for value in symbolic:
                divisor = divisor.lcm(value.denom)
            numerators = [_over(field(value), divisor) for value in values]
            names = [str(symbol) for symbol in field.symbols]
        return {
            "parameters": names,
            "divisor": polynomial(divisor),
            "values": [
                {"text": text, "terms": polynomial(numerator)}
                for text, numerator in zip(self.texts, numerators, strict=True)
            ],
        }


def _over(value: Any, divisor: Any) -> Any:
    """Return the numerator of an element over a multiple of its denominator."""
    return value.numer * divisor.exquo(value.denom)

"""Chains with parameters: finding the parameters, and substituting numbers or expressions for them.

Rates may be rational functions of positive parameters (`lumpability.numbers.parameters`).  A lumping of such
a chain holds for all values of the parameters for which the rates are valid, because its identity is
proved in the field of rational functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lumpability.errors import InvalidValue
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.parameters import is_symbolic, one_for_each_name, parameters_of, substitute
from lumpability.numbers.rationals import read_number


def parameters_in(arrays: Iterable[ExactArray]) -> tuple[Any, ...]:
    """Return the parameters of some arrays as sympy symbols, one for each name, by name.

    >>> parameters_in([ExactArray.read(["b", 1])[0], ExactArray.read([2])[0]])
    (b,)
    """
    symbols = {symbol for array in arrays for symbol in parameters_of(array.values)}
    return tuple(one_for_each_name(symbols)) if symbols else ()


def read_point(values: Mapping[Any, Any], parameters: tuple[Any, ...]) -> dict[str, Any]:
    """Read the values to substitute for parameters, by name; keys are symbols or their names.

    Raises `InvalidValue` for a parameter that does not occur or occurs twice, or a number that is not positive.

    >>> import sympy
    >>> read_point({sympy.Symbol("mu"): "1/2"}, (sympy.Symbol("mu"),))
    {'mu': Fraction(1, 2)}
    """
    names = {str(symbol) for symbol in parameters}
    point: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key)
        if name not in names:
            known = ", ".join(sorted(names)) or "none"
            raise InvalidValue(f"there is no parameter {key}; there are {known}", parameter=key)
        if name in point:
            raise InvalidValue(f"parameter {key} is given twice", parameter=key)
        if is_symbolic(value):
            point[name] = value
            continue
        number = read_number(value)
        if number <= 0:
            raise InvalidValue(
                f"parameter {key} stands for a positive number, not {number}",
                parameter=key,
                value=number,
            )
        point[name] = number
    return point


def substitute_array(array: ExactArray, point: Mapping[str, Any]) -> ExactArray:
    """Substitute in every entry; arrays without these parameters are returned unchanged.

    >>> substitute_array(ExactArray.read(["2*mu", "mu/3"])[0], {"mu": 3})
    ExactArray([6, 1])
    """
    if not set(point) & {symbol.name for symbol in parameters_of(array.values)}:
        return array
    return ExactArray.of_values(array.codes, substitute(array.values, point))

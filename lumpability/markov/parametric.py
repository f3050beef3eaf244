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
from lumpability.numbers.parameters import parameters_of, substitute, to_expression
from lumpability.numbers.rationals import read_number


def parameters_in(arrays: Iterable[ExactArray]) -> tuple[Any, ...]:
    """Return the parameters of some arrays as sympy symbols, by name.

    >>> parameters_in([ExactArray.read(["b", 1])[0], ExactArray.read([2])[0]])
    (b,)
    """
    return tuple(sorted({s for array in arrays for s in parameters_of(array.values)}, key=str))


def read_point(values: Mapping[Any, Any], parameters: tuple[Any, ...]) -> dict[Any, Any]:
    """Read the values to substitute for parameters; keys are symbols or their names.

    Raises `InvalidValue` for a parameter that does not occur, or a number that is not positive.

    >>> import sympy
    >>> read_point({"mu": "1/2"}, (sympy.Symbol("mu", positive=True),))
    {mu: 1/2}
    """
    by_name = {str(symbol): symbol for symbol in parameters}
    point = {}
    for key, value in values.items():
        symbol = by_name.get(str(key))
        if symbol is None:
            known = ", ".join(by_name) or "none"
            raise InvalidValue(f"there is no parameter {key}; there are {known}", parameter=key)
        if getattr(value, "free_symbols", None):
            point[symbol] = value
            continue
        number = read_number(value)
        if number <= 0:
            raise InvalidValue(
                f"parameter {key} stands for a positive number, not {number}",
                parameter=key,
                value=number,
            )
        point[symbol] = to_expression(number)
    return point


def substitute_array(array: ExactArray, point: Mapping[Any, Any]) -> ExactArray:
    """Substitute in every entry; arrays without these parameters are returned unchanged.

    >>> import sympy
    >>> array, _ = ExactArray.read(["2*mu", "mu/3"])
    >>> substitute_array(array, {sympy.Symbol("mu", positive=True): 3})
    ExactArray([6, 1])
    """
    if not set(point) & set(parameters_of(array.values)):
        return array
    return ExactArray.of_values(array.codes, substitute(array.values, point))

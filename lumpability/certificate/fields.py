"""Numbers of a certificate as numbers of the model: fractions, or elements of its field of functions.

Only in one field are equal rational functions equal objects.
"""

from __future__ import annotations

from lumpability.certificate.verification import Contradiction
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.parameters import to_expression

__all__ = ["like"]


def like(array: ExactArray, weights: ExactArray, field: str) -> ExactArray:
    """Return an array of a certificate in the field of the model's weights.

    Parameters
    ----------
    array : ExactArray
    weights : ExactArray
        Of the model.
    field : str
        Of the certificate, for messages.

    Raises
    ------
    Contradiction
        If it mentions a parameter that the model does not have.
    """
    if weights.is_rational:
        if not array.is_rational:
            raise Contradiction(field, "it has parameters, and the model has none")
        return array
    functions = weights.values[0].field
    try:
        elements = [functions.from_expr(to_expression(value)) for value in array.values]
    except ValueError:
        raise Contradiction(field, "it has a parameter that the model does not have") from None
    return ExactArray.of_values(array.codes, elements)

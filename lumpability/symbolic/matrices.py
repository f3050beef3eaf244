"""Matrices of rational functions: products and differences in normal form.

Entries are sympy expressions.  All matrices of a proof are converted to one field, Q or Q(a, b, ...), in which
every element is a reduced fraction of two polynomials.  So equality is decided exactly, whether or not an
expression simplifies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lumpability.errors import InvalidInput
from lumpability.numbers.parameters import positive, to_expression
from lumpability.symbolic.proof import Identity


def matrix_of(rows: Iterable[Iterable[Any]], shape: tuple[int, int]) -> Any:
    """Return an immutable sympy matrix of exact numbers (fractions, integers, field elements).

    >>> from fractions import Fraction
    >>> matrix_of([[Fraction(1, 2), 0]], (1, 2))
    Matrix([[1/2, 0]])
    """
    import sympy

    entries = [x if isinstance(x, int | sympy.Expr) else to_expression(x) for r in rows for x in r]
    return sympy.ImmutableDenseMatrix(*shape, entries)


def compare(
    text: str,
    left: Sequence[Any],
    right: Sequence[Any],
    rows: Sequence[str],
    columns: Sequence[str],
) -> Identity:
    """Multiply out both sides of an equation and subtract.

    Raises `InvalidInput` if the factors do not fit each other.

    Parameters
    ----------
    text : str
        The equation.
    left, right : sequence of sympy matrices
        Factors of the products.
    rows, columns : sequence of str
        Names of rows and columns.
    """
    from sympy import QQ
    from sympy.polys.matrices import DomainMatrix

    factors = [*left, *right]
    symbols = sorted(set().union(*(factor.free_symbols for factor in factors)), key=str)
    field = QQ.frac_field(*symbols) if symbols else QQ

    def product(parts: Sequence[Any]) -> Any:
        result = None
        for part in parts:
            entries = [[field.from_sympy(x) for x in row] for row in part.tolist()]
            one = DomainMatrix(entries, part.shape, field)
            if result is not None and result.shape[1] != one.shape[0]:
                raise InvalidInput(f"matrices of {text} have shapes {result.shape} and {one.shape}")
            result = one if result is None else result * one
        return result

    ours, theirs = product(left), product(right)
    if ours.shape != theirs.shape:
        raise InvalidInput(f"sides of {text} have shapes {ours.shape} and {theirs.shape}")
    shown = (one.to_Matrix().as_immutable() for one in (ours, theirs, ours - theirs))
    left_side, right_side, difference = shown
    return Identity(text, left_side, right_side, difference, tuple(rows), tuple(columns))


def signs(expressions: Iterable[Any], *, zero: bool) -> tuple[list[Any], list[Any]]:
    """Sort conditions "positive" (or "not negative" if zero is allowed) into false and undecided ones.

    Symbols stand for positive numbers.

    - zero: whether zero meets the condition
    - returns undecided, list of sympy relations: conditions to assume, each once

    >>> import sympy
    >>> a, b = sympy.symbols("a b")
    >>> signs([a + b, a - b, -a], zero=True)
    ([-a], [a - b >= 0])
    """
    import sympy

    relation = sympy.Ge if zero else sympy.Gt
    false: list[Any] = []
    undecided: dict[Any, Any] = {}
    for expression in expressions:
        reduced = sympy.factor(sympy.cancel(expression))
        assumed = positive(reduced)
        known = assumed.is_nonnegative if zero else assumed.is_positive
        if known is False:
            false.append(expression)
        elif known is None:
            undecided.setdefault(reduced, relation(sympy.cancel(expression), 0, evaluate=False))
    return false, list(undecided.values())

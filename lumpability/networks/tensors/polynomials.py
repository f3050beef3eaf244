"""Polynomials with whole coefficients in numbered variables: the arithmetic of sizes.

A polynomial is an int or a sorted tuple of (variables, coefficient), a variable occurring as often as its power says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

Polynomial = tuple[tuple[tuple[int, ...], int], ...]
Size = int | Polynomial


def _terms(size: Size) -> dict[tuple[int, ...], int]:
    if isinstance(size, int):
        return {(): size} if size else {}
    return dict(size)


def _made(terms: dict[tuple[int, ...], int]) -> Size:
    left = tuple(sorted((variables, n) for variables, n in terms.items() if n))
    if not left:
        return 0
    return left[0][1] if len(left) == 1 and not left[0][0] else left


def plus(first: Size, second: Size) -> Size:
    """Return a sum.

    >>> x = (((1,), 1),)
    >>> plus(x, 2), plus(x, minus(2, x))
    ((((), 2), ((1,), 1)), 2)
    """
    found = _terms(first)
    for variables, n in _terms(second).items():
        found[variables] = found.get(variables, 0) + n
    return _made(found)


def minus(first: Size, second: Size) -> Size:
    """Return a difference."""
    return plus(first, times(-1, second))


def times(first: Size, second: Size) -> Size:
    """Return a product."""
    found: dict[tuple[int, ...], int] = {}
    for a, m in _terms(first).items():
        for b, n in _terms(second).items():
            both = tuple(sorted(a + b))
            found[both] = found.get(both, 0) + m * n
    return _made(found)


def product(sizes: Iterable[Size]) -> Size:
    """Return the product of several sizes."""
    found: Size = 1
    for size in sizes:
        found = times(found, size)
    return found


def over(first: Size, second: Size) -> Size | None:
    """Return a quotient where it is a polynomial, else None.

    >>> x = (((1,), 1),)
    >>> over(times(6, x), 2) == times(3, x), over(x, 2), over(times(x, x), x) == x
    (True, None, True)
    """
    divisor = _terms(second)
    if divisor and first == second:
        return 1
    if len(divisor) != 1:
        return None
    ((variables, n),) = divisor.items()
    found: dict[tuple[int, ...], int] = {}
    for mine, m in _terms(first).items():
        left = list(mine)
        for variable in variables:
            if variable not in left:
                return None
            left.remove(variable)
        if m % n:
            return None
        found[tuple(left)] = m // n
    return _made(found)


def at(size: Size, trials: Mapping[int, Sequence[int]], place: int) -> int:
    """Return the value of a polynomial at one trial of its variables."""
    return sum(
        n * math.prod(trials[variable][place] for variable in variables)
        for variables, n in _terms(size).items()
    )

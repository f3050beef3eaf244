"""Weights as the machine integers that the compiled loops add up.

A *table* holds a number below 2^64 for each distinct weight.  Sums of weights are equal only if sums of table
entries are; *deciding* tables are such that the converse holds for all of them together.  For rationals
that is one table of integers over the common denominator, added up modulo 2^64, if sums fit, otherwise
residues modulo primes whose product exceeds any difference of sums (Chinese remainder theorem).  For
rational functions over one common denominator each monomial of the numerators has such tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import ceil, gcd, lcm
from typing import Any

import numpy as np

from lumpability.exact_array import ExactArray
from lumpability.integers import primes_avoiding, primes_beyond

__all__ = ["combined_table", "common_denominator_of", "deciding_tables", "fits_words", "moduli"]

_WORD = 2**64 - 1
_POWER = 2**24  # modulo which no weight may equal another or zero, if 2^64 is to be the modulus

Array = np.ndarray[Any, Any]


def common_denominator_of(components: tuple[ExactArray, ...]) -> int:
    """Return a number that no prime shall divide modulo which the components are taken."""
    return lcm(*(component.denominator for component in components))


def moduli(components: tuple[ExactArray, ...]) -> Iterator[int]:
    """Yield what to refine by: 0 for 2^64, unless weights differ by large powers of two, then primes.

    A sum that is a multiple of 2^k keeps only 62 - k random bits there.

    Examples
    --------
    >>> first, second, *_ = zip(moduli((ExactArray.read([1, "1/2"])[0],)), range(3))
    >>> first[0], second[0].bit_length()
    (0, 61)
    """
    if len(components) == 1 and components[0].is_narrow:
        integers = sorted({0, *_in_lowest_terms(components[0])})
        differences = (high - low for low, high in pairwise(integers))
        if all(difference % _POWER for difference in differences):
            yield 0
    yield from primes_avoiding(common_denominator_of(components))


def combined_table(components: tuple[ExactArray, ...], p: int, seed: int) -> Array:
    """Return residues of the first component plus pseudo-random multiples of the others, modulo p.

    Different weights have different entries but for a collision.  For p = 0, integers modulo 2^64.

    Examples
    --------
    >>> combined_table((ExactArray.read([1, "1/2"])[0],), 7, 0).tolist()
    [2, 1]
    """
    first, *others = components
    if p == 0:
        return np.array([x & _WORD for x in _in_lowest_terms(first)], dtype=np.uint64)
    total = first.residues(p)
    if not others:
        return total
    from random import Random

    random = Random(f"{p} {seed}")  # noqa: S311  # no secret: the result is proved afterwards
    for component in others:
        factor = random.randrange(1, p)
        products = [int(residue) * factor % p for residue in component.residues(p).tolist()]
        total = (total + np.array(products, dtype=np.uint64)) % np.uint64(p)
    return total


def deciding_tables(
    components: tuple[ExactArray, ...], terms: int, chosen: Array | None = None
) -> Iterator[tuple[int, Array]]:
    """Yield tables that decide together whether sums of at most `terms` weights are equal.

    Parameters
    ----------
    components : tuple of ExactArray
        See `ExactArray.components`.
    terms : int
    chosen : array of int, optional
        Codes of the weights that occur; all by default.

    Yields
    ------
    p : int
        The prime, or 0 for integers modulo 2^64.
    table : array of uint64, shape (k,)
        Zero for weights that were not chosen.

    Examples
    --------
    >>> weights = ExactArray.read([1, "1/2", -3])[0]
    >>> [(p, table.view(np.int64).tolist()) for p, table in deciding_tables((weights,), 10)]
    [(0, [2, 1, -6])]
    """
    for component in components:
        size = len(component.values)
        places: Any = slice(None) if chosen is None else chosen
        compared = component if chosen is None else _restricted(component, chosen)
        table = np.zeros(size, dtype=np.uint64)
        if fits_words(compared, terms):
            table[places] = np.array(compared.integers[0], dtype=np.int64).view(np.uint64)
            yield 0, table
            continue
        largest_sum = _largest(compared) * max(terms, 1)
        for p in primes_beyond(2 * largest_sum, avoiding=compared.denominator):
            residues = np.zeros(size, dtype=np.uint64)
            residues[places] = compared.residues(p)
            yield p, residues


def _in_lowest_terms(weights: ExactArray) -> list[int]:
    """Integers in the same proportions, without a common divisor."""
    integers, _ = weights.integers
    shared = gcd(*integers) or 1
    return [integer // shared for integer in integers]


def fits_words(weights: ExactArray, terms: int) -> bool:
    """Whether sums of so many of the weights are below 2^63 over their common denominator, as they are.

    Examples
    --------
    >>> weights = ExactArray.read([2**40, 1])[0]
    >>> fits_words(weights, 2**22), fits_words(weights, 2**23)
    (True, False)
    """
    return _largest(weights) * max(terms, 1) < 1 << 63


def _restricted(component: ExactArray, chosen: Array) -> ExactArray:
    values = tuple(component.values[code] for code in chosen.tolist())
    return ExactArray(np.arange(len(values)), values)


def _largest(weights: ExactArray) -> int:
    """A bound on the absolute values of the weights over their common denominator."""
    if weights.is_narrow:
        return max(map(abs, weights.integers[0]), default=0)
    return ceil(max(map(abs, weights.values), default=0) * weights.denominator)

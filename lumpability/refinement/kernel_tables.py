"""Weights as the machine integers that the compiled loops add up.

A *table* holds a number below 2^64 for each distinct weight.  Sums of weights are equal only if sums of table
entries are; *deciding* tables are such that the converse holds for all of them together.  For rationals
that is one table of integers over the common denominator, added up modulo 2^64, if sums fit, otherwise
residues modulo primes whose product exceeds any difference of sums (Chinese remainder theorem).  For
rational functions over one common denominator each monomial of the numerators has such tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, lcm
from typing import Any

import numpy as np

from lumpability.exact_array import ExactArray
from lumpability.integers import primes_beyond

__all__ = ["combined_table", "common_denominator_of", "deciding_tables"]

Array = np.ndarray[Any, Any]


def common_denominator_of(components: tuple[ExactArray, ...]) -> int:
    """Return a number that no prime shall divide modulo which the components are taken."""
    return lcm(*(component.denominator for component in components))


def combined_table(components: tuple[ExactArray, ...], p: int, seed: int) -> Array:
    """Return residues of the first component plus pseudo-random multiples of the others, modulo p.

    Different weights have different entries but for a collision.

    Examples
    --------
    >>> combined_table((ExactArray.read([1, "1/2"])[0],), 7, 0).tolist()
    [2, 1]
    """
    from random import Random

    random = Random(f"{p} {seed}")  # noqa: S311  # no secret: the result is proved afterwards
    first, *others = components
    total = first.residues(p)
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
        largest = _largest(compared) * max(terms, 1)  # the weights themselves must fit
        table = np.zeros(size, dtype=np.uint64)
        if largest < 1 << 63:
            table[places] = np.array(compared.integers[0], dtype=np.int64).view(np.uint64)
            yield 0, table
            continue
        for p in primes_beyond(2 * largest, avoiding=compared.denominator):
            residues = np.zeros(size, dtype=np.uint64)
            residues[places] = compared.residues(p)
            yield p, residues


def _restricted(component: ExactArray, chosen: Array) -> ExactArray:
    values = tuple(component.values[code] for code in chosen.tolist())
    return ExactArray(np.arange(len(values)), values)


def _largest(weights: ExactArray) -> int:
    """A bound on the absolute values of the weights over their common denominator."""
    if weights.is_narrow:
        return max(map(abs, weights.integers[0]), default=0)
    return ceil(max(map(abs, weights.values), default=0) * weights.denominator)

"""Weights as machine integers: numbers below 2^64 whose sums tell sums of weights apart.

*Residues* give a number below 2^64 for each distinct weight.  Sums of weights are equal only if sums of their
residues are.  *Deciding* residues are such that the converse holds for all of them together: for rationals,
integers over the common denominator, added up modulo 2^64, if sums fit; otherwise residues modulo primes as
well, so that the product of all moduli exceeds any difference of sums (Chinese remainder theorem).  Rational
functions over one common denominator have such residues for each monomial of their numerators.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import ceil, gcd, prod
from random import Random
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import primes_avoiding, primes_beyond

_WORD = 2**64 - 1
_POWER = 2**24  # modulo which no weight may equal another or zero, if 2^64 is to be the modulus

UInt64s = np.ndarray[Any, np.dtype[np.uint64]]
Int64s = np.ndarray[Any, np.dtype[np.int64]]


def moduli(components: tuple[ExactArray, ...]) -> Iterator[int]:
    """Yield the moduli for refinement: 0, which means 2^64, unless weights differ by large powers of two; then primes.

    A sum that is a multiple of 2^k keeps only 64 - k random bits there.

    >>> first, second, *_ = zip(moduli((ExactArray.read([1, "1/2"])[0],)), range(3))
    >>> first[0], second[0].bit_length()
    (0, 61)
    """
    if all(component.is_narrow and _differ_visibly(component) for component in components):
        yield 0
    yield from primes_avoiding({x for part in components for x in part.denominators})


def combined_residues(components: tuple[ExactArray, ...], p: int, seed: int) -> UInt64s:
    """Return residues of the first component plus pseudo-random multiples of the others, modulo p.

    Different weights have different residues, except for collisions.  For p = 0, integers modulo 2^64.

    >>> combined_residues((ExactArray.read([1, "1/2"])[0],), 7, 0).tolist()
    [2, 1]
    """
    first, *others = (_residues(component, p) for component in components)
    if others:
        random = Random(f"{p} {seed}")  # noqa: S311  # no secret: the result is proved afterwards
        for residues in others:
            factor, modulus = random.randrange(1, p or 1 << 64, 2), p or 1 << 64
            first = [(x + factor * y) % modulus for x, y in zip(first, residues, strict=True)]
    return np.array(first, dtype=np.uint64)


def deciding_residues(
    components: tuple[ExactArray, ...], terms: int, chosen: Int64s | None = None
) -> Iterator[tuple[int, UInt64s]]:
    """Yield residues that decide together whether sums of at most `terms` weights are equal.

    - components: see `ExactArray.components`
    - chosen: codes of the weights that occur; all by default
    - yields p, int: A prime so small that sums of residues stay below 2^64, or 0 for integers modulo 2^64,
      which come last, or alone if sums fit
    - yields residues, array of uint64, shape (k,): zero for weights that were not chosen

    >>> weights = ExactArray.read([1, "1/2", -3])[0]
    >>> [(p, residues.view(np.int64).tolist()) for p, residues in deciding_residues((weights,), 10)]
    [(0, [2, 1, -6])]
    """
    for component in components:
        size = len(component.values)
        places = np.arange(size) if chosen is None else chosen
        compared = component if chosen is None else _restricted(component, chosen)
        words = np.zeros(size, dtype=np.uint64)
        difference = 2 * _largest(compared) * max(terms, 1)  # of two sums, at most
        fits = fits_words(compared, terms)
        if not fits:
            # A difference that is zero modulo 2^64 is a multiple of that.
            bound = difference >> 64 if compared.is_narrow else difference
            bits = min(64 - terms.bit_length(), 61)  # so that sums of residues stay below 2^64
            for p in primes_beyond(bound, avoiding=compared.denominators, bits=bits):
                residues = np.zeros(size, dtype=np.uint64)
                residues[places] = compared.residues(p)
                yield p, residues
        if fits or compared.is_narrow:
            integers = [x & _WORD for x in compared.integers[0]]
            words[places] = np.array(integers, dtype=np.uint64)
            yield 0, words


def fits_words(weights: ExactArray, terms: int) -> bool:
    """Whether sums of so many of the weights are below 2^63 over their common denominator.

    >>> weights = ExactArray.read([2**40, 1])[0]
    >>> fits_words(weights, 2**22), fits_words(weights, 2**23)
    (True, False)
    """
    return _largest(weights) * max(terms, 1) < 1 << 63


def _residues(component: ExactArray, p: int) -> list[int]:
    if p == 0:
        return [x & _WORD for x in _in_lowest_terms(component)]
    residues: list[int] = component.residues(p).tolist()
    return residues


def _differ_visibly(component: ExactArray) -> bool:
    """Whether no two numbers, or one and zero, differ by a multiple of a large power of two in lowest terms."""
    integers = sorted({0, *_in_lowest_terms(component)})
    return all((high - low) % _POWER for low, high in pairwise(integers))


def _in_lowest_terms(weights: ExactArray) -> list[int]:
    """Integers in the same proportions, without a common divisor."""
    integers, _ = weights.integers
    shared = gcd(*integers) or 1
    return [integer // shared for integer in integers]


def _restricted(component: ExactArray, chosen: Int64s) -> ExactArray:
    values = tuple(component.values[code] for code in chosen.tolist())
    return ExactArray(np.arange(len(values)), values)


def _largest(weights: ExactArray) -> int:
    """A bound on the absolute values of the weights over a common denominator, the product of all if that is wide."""
    if weights.is_narrow:
        return max(map(abs, weights.integers[0]), default=0)
    return ceil(max(map(abs, weights.values), default=0) * prod(weights.denominators))

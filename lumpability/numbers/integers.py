"""Exact integer arithmetic at machine speed: common denominators, primes, residues, exact sums.

Rational weights w_1, ..., w_k become integers W_i = D w_i over their least common denominator D.
Sums of many of them are taken without overflow in one of two ways.

* Limbs: W = sum_j L_j 2^(30 j) with 0 <= L_j < 2^30 except for the signed top limb; limbs are summed
  in int64 and recombined.  One limb suffices when (terms in a sum) * max |W_i| < 2^62.
* Residues: W mod p for primes p < 2^61.  Two integers a, b that agree modulo primes whose product
  exceeds |a - b| are equal (Chinese remainder theorem), so enough primes *prove* equality.

Nothing here is computed modulo 2^64, where weights that share a power of two may vanish; `residues` says when
refinement takes that modulus.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np

from lumpability.numbers.interning import number_words

_UNSIGNED = [
    (np.dtype(f"u{size}"), 1 << 8 * size) for size in (1, 2, 4)
]  # with their numbers of values

_LIMB_BITS = 30
_SAFE_BITS = 62
_PRIME_BITS = 61
_CHUNK = 1 << 16
_LONG = 1 << 12
_SHORT = 256  # for so few a Python loop is faster than calls of numpy


def common_denominator(values: Sequence[Fraction]) -> int:
    """Return the least common denominator of rationals (1 if there are none)."""
    return math.lcm(*(value.denominator for value in values))


def scale_to_integers(values: Sequence[Fraction]) -> tuple[list[int], int]:
    """Return integers W and their denominator D with ``values[i] == Fraction(W[i], D)``."""
    denominator = common_denominator(values)
    return [v.numerator * (denominator // v.denominator) for v in values], denominator


def _is_prime(n: int) -> bool:
    """Miller-Rabin with the bases that decide every n < 3.3e24 (Sorenson and Webster 2015)."""
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41):
        x = pow(base, odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


@lru_cache(maxsize=4096)
def prime(index: int, bits: int = _PRIME_BITS) -> int:
    """Return the prime number `index`, counted downwards from 2^61 (index 0 is 2^61 - 1).

    - bits: count downwards from 2^bits; products of numbers modulo a prime of 31 bits fit 64
    """
    candidate = (1 << bits) - 1 if index == 0 else prime(index - 1, bits) - 2
    while not _is_prime(candidate):
        candidate -= 2
    return candidate


def primes_avoiding(numbers: Iterable[int], bits: int = _PRIME_BITS) -> Iterator[int]:
    """Yield the primes below 2^bits, downwards, that divide none of some numbers.

    Modulo these every fraction with such a denominator has a residue.

    >>> next(primes_avoiding([6 * prime(0)])) == prime(1)
    True
    """
    avoided = tuple(numbers)
    return (p for p in (prime(i, bits) for i in count()) if all(x % p for x in avoided))


def primes_beyond(
    bound: int, *, avoiding: Iterable[int] = (), bits: int = _PRIME_BITS
) -> Iterator[int]:
    """Yield primes until their product exceeds `bound`: enough for a Chinese-remainder proof.

    Parameters
    ----------
    bound : int
    avoiding : int
        A number, such as a common denominator, that none of the primes divides.
    bits : int
        The primes are below 2^bits.

    Examples
    --------
    >>> len(list(primes_beyond(2**100)))
    2
    >>> next(primes_beyond(2, avoiding=[2**61 - 1])) == prime(1)
    True
    """
    product = 1
    for p in primes_avoiding(avoiding, bits):
        if product > bound:
            return
        yield p
        product *= p


def residues(integers: Sequence[int], p: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return the integers modulo p as uint64, shape (k,)."""
    return np.fromiter((w % p for w in integers), dtype=np.uint64, count=len(integers))


def smallest_unsigned(count: int) -> np.dtype[Any]:
    """Return the smallest unsigned dtype that holds ``0 .. count - 1``."""
    for dtype, most in _UNSIGNED:
        if count <= most:
            return dtype
    return np.dtype(np.int64)


def intern(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Replace values by small codes: ``distinct[codes]`` equals the array, of shape (m,).

    - returns codes, array of the smallest unsigned dtype that fits, shape (m,)
    - returns distinct, sorted array, shape (k,)

    O(m) while k is below about a thousand, else O(m log m); one byte for each entry when k <= 256.
    """
    if _is_constant(array):  # such as the row sums of a DTMC
        return np.zeros(array.shape, dtype=np.uint8), array[:1].copy()
    if len(array) < _SHORT and array.ndim == 1 and array.dtype.kind in "iu":
        values = array.tolist()
        number = {value: code for code, value in enumerate(sorted(set(values)))}
        codes = np.array([number[value] for value in values], smallest_unsigned(len(number)))
        return codes, np.array(list(number), dtype=array.dtype)
    if len(array) >= _LONG and array.dtype.kind in "iufb" and array.itemsize <= 8:
        found = number_words(array.view(f"u{array.itemsize}"))
        if found is not None:
            return _in_order(found[0], found[1].view(array.dtype))
    distinct = np.sort(np.unique(array, sorted=False))
    codes = np.empty(array.shape, dtype=smallest_unsigned(len(distinct)))
    for start in range(0, len(array), _CHUNK):
        codes[start : start + _CHUNK] = np.searchsorted(distinct, array[start : start + _CHUNK])
    return codes, distinct


def gather(
    table: np.ndarray[Any, Any],
    codes: np.ndarray[Any, Any],
    out: np.ndarray[Any, Any] | None = None,
) -> np.ndarray[Any, Any]:
    """Return ``table[codes]``; for codes of one or two bytes it takes a third of numpy's time.

    All codes must be in range.  The result is read-only if codes and table are both bytes.
    """
    if out is None and table.dtype == codes.dtype == np.uint8:
        renamed = codes.tobytes().translate(table.tobytes().ljust(256))
        return np.frombuffer(renamed, dtype=np.uint8)
    result = np.empty(len(codes), dtype=table.dtype) if out is None else out
    for start in range(0, len(codes), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        np.take(table, codes[chunk], out=result[chunk], mode="clip")  # writes without a copy
    return result


def _is_constant(array: np.ndarray[Any, Any]) -> bool:
    return len(array) > 0 and all(
        (array[start : start + _CHUNK] == array[0]).all() for start in range(0, len(array), _CHUNK)
    )


def _in_order(
    codes: np.ndarray[Any, Any], values: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Renumber codes so that values ascend; 0.0 and -0.0 become one value, and so do all NaNs."""
    distinct = np.unique(values)
    number = np.searchsorted(distinct, values).astype(smallest_unsigned(len(distinct)))
    if np.array_equal(number, np.arange(len(values))):
        return codes, distinct
    return gather(number, codes), distinct


class Limbs:
    """Integers of any size as one or more int64 tables, so that sums of them stay exact.

    - integers: the distinct integers, addressed by code
    - terms: no sum has more terms than this (at most 2^32)

    >>> limbs = Limbs([10**30, -7], terms=2)
    >>> codes = np.array([0, 1])
    >>> limbs.recombine([np.array([table[codes].sum()]) for table in limbs.tables])[1]
    [999999999999999999999999999993]
    """

    tables: list[np.ndarray[Any, np.dtype[np.int64]]]

    def __init__(self, integers: Sequence[int], *, terms: int) -> None:
        bits = max((abs(w) for w in integers), default=0).bit_length()
        if bits + max(terms, 1).bit_length() <= _SAFE_BITS:
            self.tables = [np.array(integers, dtype=np.int64)]
            return
        count = bits // _LIMB_BITS + 1
        mask = (1 << _LIMB_BITS) - 1
        low = [[(w >> (_LIMB_BITS * j)) & mask for w in integers] for j in range(count - 1)]
        top = [w >> (_LIMB_BITS * (count - 1)) for w in integers]
        self.tables = [np.array(limb, dtype=np.int64) for limb in [*low, top]]

    @staticmethod
    def recombine(
        sums: Sequence[np.ndarray[Any, np.dtype[np.int64]]],
    ) -> tuple[np.ndarray[Any, Any], list[int]]:
        """Turn sums of limbs, one array of shape (m,) for each, into codes and distinct integers."""
        codes, distinct = intern(sums[0])
        integers = distinct.tolist()
        for j, limb in enumerate(sums[1:], start=1):
            limb_codes, limb_values = intern(limb)
            width = len(limb_values)
            codes, pairs = intern(codes.astype(np.int64) * width + limb_codes)
            integers = [
                integers[pair // width] + (int(limb_values[pair % width]) << (_LIMB_BITS * j))
                for pair in pairs.tolist()
            ]
        # Different limbs may stand for the same integer after carries.
        first: dict[int, int] = {}
        renamed = np.array([first.setdefault(w, len(first)) for w in integers], dtype=np.int64)
        if len(first) < len(integers):
            codes = renamed[codes].astype(smallest_unsigned(len(first)))
            integers = list(first)
        return codes, integers

"""The drift of a function on states, exactly: (Q v)_x = sum over u of q(x, u) (v_u - v_x).

Rates are integers W over a common denominator D, and values of v integers over a scale S, so the drift is an integer over
D S.  Both are cut into limbs of b bits, and scipy multiplies the sparse matrices of the one by the vectors of the other, in
int64: 2 b + 1 bits of a product, the length of a row and the number of limbs fit 62 bits, and so does every sum.  Drifts
stay limbs, because Python integers for all states take longer than everything else.
Rates without a narrow common denominator are rounded down to multiples of 2^-128, and `slack` bounds the error:
zero where v is constant on a state and its successors.

One pass over the transitions, about 0.01 microseconds for each; a self-loop has no drift.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np

from lumpability.certificate.bounds.vector import (
    SAFE_BITS,
    Integers,
    Vector,
    whole_numbers,
    width,
)
from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure

Limb = np.ndarray[Any, np.dtype[np.int64]]

_FRACTION_BITS = 128
_PIECE = 1 << 22  # transitions at a time, which bounds the memory


@dataclass(frozen=True, eq=False)
class Drift:
    """The drift in every state: the sum of ``limbs[i] << bits * i``, wrong by at most the slack, over a denominator."""

    limbs: list[Limb]  # each of shape (n,); all but the last in [0, 2^bits)
    bits: int
    denominator: int
    slack: Integers | int  # shape (n,), or 0

    @cached_property
    def numerators(self) -> Integers:
        """The drifts times the denominator, as Python integers."""
        total = self.limbs[-1].astype(object)
        for limb in self.limbs[-2::-1]:
            total = (total << self.bits) + limb
        return total

    def plus(self, earning: ExactArray | None) -> Drift:
        """Return the drift plus a vector of rationals."""
        if earning is None:
            return self
        numerators, scale = earning.integers
        return self._plus([x * self.denominator for x in numerators], earning.codes, scale)

    def minus(self, vector: Vector) -> Drift:
        """Return the drift less a vector."""
        lost = vector.numerators.astype(object) * -self.denominator
        return self._plus(lost, slice(None), vector.scale)

    def _plus(self, numbers: Any, places: Any, scale: int) -> Drift:
        """Add ``numbers[places]`` over the product of both denominators."""
        limbs = self.limbs if scale == 1 else _limbs(self.numerators * scale, self.bits)
        more = (limb[places] for limb in _limbs(whole_numbers(numbers), self.bits))
        added = [np.add(one, other) for one, other in zip_longest(limbs, more, fillvalue=0)]
        return Drift(
            _carried(added, self.bits), self.bits, self.denominator * scale, self.slack * scale
        )

    def centred(self) -> Drift:
        """Return the drift less a constant, so that the largest and the least number have nearly the same size."""
        middle = (self._extreme(np.max) + self._extreme(np.min)) // 2
        return self._plus([-middle], np.zeros(len(self.limbs[0]), dtype=np.int64), 1)

    def to_floats(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return floats near the drifts, infinite beyond their range."""
        total = self.limbs[-1].astype(np.float64)
        for i, limb in enumerate(self.limbs[-2::-1], start=1):
            total += np.ldexp(limb.astype(np.float64), -self.bits * i)
        shift = self.denominator.bit_length() - 60
        divisor = float(Fraction(self.denominator) / Fraction(2) ** shift)
        return np.ldexp(total / divisor, self.bits * (len(self.limbs) - 1) - shift)

    @property
    def most(self) -> Drift:
        """The upper bound of the drifts."""
        return self if isinstance(self.slack, int) else self._plus(self.slack, slice(None), 1)

    @property
    def least(self) -> Drift:
        """The lower bound of the drifts."""
        return self if isinstance(self.slack, int) else self._plus(-self.slack, slice(None), 1)

    def signs(self) -> Limb:
        """Return -1, 0 or 1 for each number, without its slack."""
        return np.where(self.limbs[-1] < 0, -1, np.any(self.limbs, axis=0))

    def largest(self, where: Any = slice(None)) -> Fraction:
        """Return an upper bound of all drifts, or of those in some states."""
        return Fraction(self.most._extreme(np.max, where), self.denominator)

    def smallest(self) -> Fraction:
        """Return a lower bound of all drifts."""
        return Fraction(self.least._extreme(np.min), self.denominator)

    def _extreme(self, best: Callable[[Limb], Any], where: Any = slice(None)) -> int:
        """Return the largest or the least number, which its limbs decide from the highest on."""
        limbs, found = np.array(self.limbs)[:, where], 0
        for _ in self.limbs:
            end = int(best(limbs[-1]))
            limbs, found = limbs[:-1, limbs[-1] == end], (found << self.bits) + end
        return found


def drift(matrix: WeightedStructure, vector: Vector) -> Drift:
    """Return the drift of a vector on states.

    - matrix: rates or probabilities, not negative

    >>> matrix = WeightedStructure.from_edges(2, [0, 1], [1, 0], ["1/3", 2])
    >>> found = drift(matrix, Vector(np.array([0, 5]), 10))
    >>> [str(Fraction(int(x), found.denominator)) for x in found.numerators]
    ['1/6', '-1']
    """
    values, scale = whole_numbers(vector.numerators), vector.scale
    weights, below = _weights(matrix.weights)
    longest = int(np.diff(matrix.indptr).max(initial=0))
    bits = _limb_bits(longest, width(weights), width(values))
    limbs = _limbs(values, bits), _limbs(weights, bits)
    sums = np.zeros((len(limbs[0]) + len(limbs[1]) - 1, matrix.n), dtype=np.int64)
    pieces = np.searchsorted(matrix.indptr, np.arange(0, matrix.m, _PIECE)).tolist()
    for low, high in pairwise([*pieces, matrix.n]):
        _add_rows(matrix, low, high, limbs, sums)
    found = _carried(list(sums), bits)
    if below is None:
        return Drift(found, bits, matrix.weights.denominator * scale, 0)
    span = int(values.max()) - int(values.min()) if len(values) else 0
    return Drift(found, bits, below * scale, _unequal(matrix, values) * span)


def _unequal(matrix: WeightedStructure, values: Integers) -> Integers:
    """Count for every state the successors with another value."""
    rows = matrix.sources()
    unequal = (values[rows] != values[matrix.indices]).astype(bool)
    return np.bincount(rows[unequal], minlength=matrix.n).astype(object)


def _weights(weights: ExactArray) -> tuple[Integers, int | None]:
    """Return the distinct weights as integers; rounded down over the denominator that is returned, if any."""
    if weights.is_narrow:
        return whole_numbers(weights.integers[0]), None
    rounded = [(w.numerator << _FRACTION_BITS) // w.denominator for w in weights.values]
    return whole_numbers(rounded), 1 << _FRACTION_BITS


def _limb_bits(longest: int, weight_bits: int, value_bits: int) -> int:
    """Return the bits of a limb: the most for which sums over a row of products of limbs fit an int64."""
    bits = (SAFE_BITS - 1 - longest.bit_length()) // 2
    while True:
        pairs = min(weight_bits // bits, value_bits // bits) + 1
        if 2 * bits + 1 + longest.bit_length() + pairs.bit_length() <= SAFE_BITS or bits == 1:
            return bits
        bits -= 1


def _limbs(integers: Integers, bits: int) -> list[Limb]:
    """Cut integers into limbs, the lowest first; all but the last lie in [0, 2^bits)."""
    limbs = []
    rest, mask = integers, (1 << bits) - 1
    for _ in range(width(integers) // bits):
        limbs.append((rest & mask).astype(np.int64))
        rest = rest >> bits
    return [*limbs, rest.astype(np.int64)]


def _carried(limbs: list[Limb], bits: int) -> list[Limb]:
    """Move what is beyond each limb to the next one, in place."""
    for i in range(len(limbs) - 1):
        limbs[i + 1] += limbs[i] >> bits
        limbs[i] &= (1 << bits) - 1
    return limbs


def _add_rows(
    matrix: WeightedStructure,
    low: int,
    high: int,
    limbs: tuple[list[Limb], list[Limb]],
    sums: Limb,
) -> None:
    """Add the products of limbs of values and weights for some consecutive states."""
    from scipy.sparse import csr_array

    first, last = int(matrix.indptr[low]), int(matrix.indptr[high])
    place = matrix.indices[first:last], matrix.indptr[low : high + 1] - first
    codes = matrix.weights.codes[first:last]
    for j, weight in enumerate(limbs[1]):
        rows = csr_array((weight[codes], *place), shape=(high - low, matrix.n))
        leaving = rows @ np.ones(matrix.n, dtype=np.int64)
        for i, value in enumerate(limbs[0]):
            sums[i + j, low:high] += rows @ value - leaving * value[low:high]

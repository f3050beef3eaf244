"""The drift of a function on states, exactly: (Q v)_x = sum over u of q(x, u) (v_u - v_x).

Rates are integers W over a common denominator D, and values of v integers over a scale S, so the drift
is an integer over D S.  Both are cut into limbs of b bits; products of limbs are summed in int64, which holds
every such sum because 2 b + 1 bits of a product, the length of a row and the number of limbs fit 62 bits.
Rates without a narrow common denominator are rounded down to multiples of 2^-128, and `slack` bounds the error:
zero where v is constant on a state and its successors.

One pass over the transitions, about 0.1 microseconds for each; a self-loop has no drift.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
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


@dataclass(frozen=True)
class Drift:
    """The drift in every state: ``numerators[x] / denominator``, wrong by at most ``slack[x] / denominator``."""

    numerators: Integers  # of Python integers, shape (n,)
    denominator: int
    slack: Integers | int  # shape (n,), or 0

    def plus(self, earning: ExactArray | None) -> Drift:
        """Return the drift plus a vector of rationals."""
        if earning is None:
            return self
        common = earning.denominator
        earned = [int(g * common) * self.denominator for g in earning.values]
        return self._plus(np.array(earned, dtype=object)[earning.codes], common)

    def minus(self, vector: Vector) -> Drift:
        """Return the drift less a vector."""
        lost = vector.numerators.astype(object) * -self.denominator
        return self._plus(lost, vector.scale)

    def _plus(self, numerators: Integers, scale: int) -> Drift:
        """Add numerators over the product of both denominators."""
        if scale == 1:
            return Drift(self.numerators + numerators, self.denominator, self.slack)
        return Drift(
            self.numerators * scale + numerators, self.denominator * scale, self.slack * scale
        )

    def centred(self) -> Drift:
        """Return the drift less a constant, so that the largest and the least number have nearly the same size."""
        middle = (int(max(self.numerators)) + int(min(self.numerators))) // 2
        return Drift(self.numerators - middle, self.denominator, self.slack)

    def to_floats(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return floats near the drifts; NaN if one is too large."""
        try:
            return (self.numerators / self.denominator).astype(np.float64)
        except OverflowError:
            return np.full(len(self.numerators), np.nan)

    def largest(self) -> Fraction:
        """Return an upper bound of all drifts."""
        return Fraction(int(max(self.numerators + self.slack)), self.denominator)

    def smallest(self) -> Fraction:
        """Return a lower bound of all drifts."""
        return Fraction(int(min(self.numerators - self.slack)), self.denominator)


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
    value_limbs, weight_limbs = _limbs(values, bits), _limbs(weights, bits)
    sums = np.zeros((len(value_limbs) + len(weight_limbs) - 1, matrix.n), dtype=np.int64)
    for states in matrix.chunks():
        _add_chunk(matrix, states, (value_limbs, weight_limbs), sums)
    total = sums[-1].astype(object)
    for limb in sums[-2::-1]:
        total = (total << bits) + limb
    if below is None:
        return Drift(total, matrix.weights.denominator * scale, 0)
    span = int(values.max()) - int(values.min()) if len(values) else 0
    return Drift(total, below * scale, _unequal(matrix, values) * span)


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


def _add_chunk(
    matrix: WeightedStructure,
    states: Integers,
    limbs: tuple[list[Limb], list[Limb]],
    sums: Limb,
) -> None:
    """Add the transitions of some consecutive states to the sums of products of limbs of values and weights."""
    low, high = int(states[0]), int(states[-1]) + 1
    first, last = int(matrix.indptr[low]), int(matrix.indptr[high])
    if first == last:
        return
    lengths = np.diff(matrix.indptr[low : high + 1])
    filled = np.flatnonzero(lengths)
    starts = (matrix.indptr[low:high] - first)[filled]
    rows = np.repeat(np.arange(low, high), lengths)
    targets, codes = matrix.indices[first:last], matrix.weights.codes[first:last]
    weights = [limb[codes] for limb in limbs[1]]
    for i, limb in enumerate(limbs[0]):
        differences = limb[targets] - limb[rows]
        for j, weight in enumerate(weights):
            sums[i + j, low + filled] += np.add.reduceat(weight * differences, starts)

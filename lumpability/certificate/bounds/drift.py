"""The drift of a function on states, exactly: (Q v)_x = sum over u of q(x, u) (v_u - v_x).

Rates are integers W over a common denominator D, and values of v integers over a scale S, so the drift
is an integer over D S.  Both are cut into limbs of b bits; products of limbs are summed in int64, which holds
every such sum because 2 b + 1 bits of a product, the length of a row and the number of limbs fit 62 bits.
Rates without a narrow common denominator are rounded down to multiples of 2^-128, and `slack` bounds the error:
zero where v is constant on a state and its successors.

One pass over the transitions, about 0.1 microseconds for each; a self-loop has no drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure

Integers = np.ndarray[Any, Any]
"""Integers as int64 if all lie below 2^62, as Python integers otherwise."""

Limb = np.ndarray[Any, np.dtype[np.int64]]

_SAFE_BITS = 62
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
        earned = np.array([int(g * common) for g in earning.values], dtype=object)[earning.codes]
        return Drift(
            self.numerators * common + earned * self.denominator,
            self.denominator * common,
            self.slack * common,
        )

    def largest(self) -> Fraction:
        """Return an upper bound of all drifts."""
        return Fraction(int(max(self.numerators + self.slack)), self.denominator)

    def smallest(self) -> Fraction:
        """Return a lower bound of all drifts."""
        return Fraction(int(min(self.numerators - self.slack)), self.denominator)

    def minus(self, vector: ExactArray) -> Drift:
        """Return the drift less a vector of rationals."""
        return self.plus(vector.map(lambda value: -value))


def whole_numbers(values: Sequence[int] | Integers) -> Integers:
    """Return integers as int64 if they are small enough for it, and else as an array of Python integers."""
    # numpy would turn a list of integers below -2^63 and above 2^63 - 1 into floats.
    given = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
    small = _width(given) < _SAFE_BITS
    return given.astype(np.int64 if small else object, copy=False)


def drift(matrix: WeightedStructure, values: Integers, scale: int) -> Drift:
    """Return the drift of ``values / scale``.

    - matrix: rates or probabilities, not negative
    - values: array of int, shape (n,)

    >>> matrix = WeightedStructure.from_edges(2, [0, 1], [1, 0], ["1/3", 2])
    >>> found = drift(matrix, np.array([0, 5]), 10)
    >>> [str(Fraction(int(x), found.denominator)) for x in found.numerators]
    ['1/6', '-1']
    """
    values = whole_numbers(values)
    weights, below = _weights(matrix.weights)
    longest = int(np.diff(matrix.indptr).max(initial=0))
    bits = _limb_bits(longest, _width(weights), _width(values))
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


def _width(integers: Integers) -> int:
    """Return the bits of the largest absolute value."""
    if not len(integers):
        return 0
    return max(abs(int(integers.min())), abs(int(integers.max()))).bit_length()


def _limb_bits(longest: int, weight_bits: int, value_bits: int) -> int:
    """Return the bits of a limb: the most for which sums over a row of products of limbs fit an int64."""
    bits = (_SAFE_BITS - 1 - longest.bit_length()) // 2
    while True:
        pairs = min(weight_bits // bits, value_bits // bits) + 1
        if 2 * bits + 1 + longest.bit_length() + pairs.bit_length() <= _SAFE_BITS or bits == 1:
            return bits
        bits -= 1


def _limbs(integers: Integers, bits: int) -> list[Limb]:
    """Cut integers into limbs, the lowest first; all but the last lie in [0, 2^bits)."""
    limbs = []
    rest, mask = integers, (1 << bits) - 1
    for _ in range(_width(integers) // bits):
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

"""Exact values of small piecewise linear networks along segments, and exact maxima by integer programming."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from lumpability.networks.difference import AffineNetwork, Ranges, ranges

Affine = tuple[list[Fraction], list[Fraction]]
"""Values c + s m of some units as functions of s in [0, 1]: all c, then all m."""


def fractions(values: Any) -> list[Any]:
    """Nested lists of the exact values of floats."""
    array = np.asarray(values)
    if array.ndim > 1:
        return [fractions(row) for row in array]
    return [Fraction(x) for x in array.tolist()]


def walk(network: AffineNetwork, start: list[Fraction], end: list[Fraction]) -> list[Fraction]:
    """Places in [0, 1] between which the network is affine along the segment, both ends included."""
    places = [Fraction(0), Fraction(1)]
    for layer in range(len(network.layers)):
        if network.layers[layer].activation.name == "identity":
            continue
        more: set[Fraction] = set()
        for left, right in pairwise(places):
            at = [arguments(network, layer, between(start, end, s)) for s in (left, right)]
            for a, b in zip(*at, strict=True):
                if a * b < 0:
                    more.add(left + (right - left) * a / (a - b))
        places = sorted({*places, *more})
    return places


def between(start: list[Fraction], end: list[Fraction], share: Fraction) -> list[Fraction]:
    """The point of a segment."""
    return [a + share * (b - a) for a, b in zip(start, end, strict=True)]


def values(network: AffineNetwork, x: list[Fraction]) -> list[list[Fraction]]:
    """The exact values of the inputs and of every layer of a piecewise linear network."""
    found = [x]
    for number, layer in enumerate(network.layers):
        slopes = fractions(layer.slopes)
        arguments_here = _arguments(network, number, found)
        found.append([z if z >= 0 else s * z for z, s in zip(arguments_here, slopes, strict=True)])
    return found


def arguments(network: AffineNetwork, layer: int, x: list[Fraction]) -> list[Fraction]:
    """The exact pre-activations of a layer."""
    return _arguments(network, layer, values(network, x))


def _arguments(network: AffineNetwork, number: int, found: list[list[Fraction]]) -> list[Fraction]:
    layer = network.layers[number]
    total = fractions(layer.bias)
    for source, matrix in zip(layer.sources, layer.matrices, strict=True):
        dense = matrix.toarray() if hasattr(matrix, "toarray") else matrix
        for value, row in zip(found[source], fractions(dense), strict=True):
            total = [t + value * w for t, w in zip(total, row, strict=True)]
    return total


def largest_difference(
    a: AffineNetwork, b: AffineNetwork, box: Any, output: int, sign: int
) -> float:
    """The maximum of sign times the difference of an output of two ReLU networks on a box, by HiGHS."""
    program = _Program(a.inputs, *box)
    ends = [program.add(ranges(network, box)) for network in (a, b)]
    cost = sign * (ends[0][0][:, output] - ends[1][0][:, output])
    constant = sign * (ends[0][1][output] - ends[1][1][output])
    return program.maximum(cost) + float(constant)


class _Program:
    """A mixed integer program: the big-M encoding of ReLU with certified ranges."""

    def __init__(self, inputs: int, low: Any, high: Any) -> None:
        self.low = np.broadcast_to(low, (inputs,)).tolist()
        self.high = np.broadcast_to(high, (inputs,)).tolist()
        self.whole = [0] * inputs
        self.rows: list[tuple[dict[int, float], float]] = []
        self.size = 400  # more variables than a test has

    def add(self, found: Ranges) -> tuple[np.ndarray, np.ndarray]:
        """Add a network; return its outputs as columns of coefficients and constants."""
        inputs = found.network.inputs
        matrix = np.zeros((self.size, inputs))
        matrix[:inputs, :inputs] = np.eye(inputs)
        ends = [(matrix, np.zeros(inputs))]
        for number, layer in enumerate(found.network.layers):
            total = np.zeros((self.size, layer.units))
            constant = layer.bias.copy()
            for source, weight in zip(layer.sources, layer.matrices, strict=True):
                total, constant = (
                    total + ends[source][0] @ weight,
                    constant + ends[source][1] @ weight,
                )
            if layer.activation.name == "relu":
                for unit in range(layer.units):
                    self._relu(
                        total, constant, unit, found.low[number][unit], found.high[number][unit]
                    )
            ends.append((total, constant))
        return ends[-1]

    def _relu(
        self, total: np.ndarray, constant: np.ndarray, unit: int, low: float, high: float
    ) -> None:
        if low >= 0:
            return
        own = {int(i): float(total[i, unit]) for i in np.flatnonzero(total[:, unit])}
        shift = float(constant[unit])
        total[:, unit], constant[unit] = 0.0, 0.0
        if high <= 0:
            return
        value, active = self._variable(high, 0), self._variable(1.0, 1)
        negative = {i: -x for i, x in own.items()}
        self.rows.append(({**own, value: -1.0}, -shift))
        self.rows.append(({**negative, value: 1.0, active: -low}, shift - low))
        self.rows.append(({value: 1.0, active: -high}, 0.0))
        total[value, unit] = 1.0

    def _variable(self, high: float, whole: int) -> int:
        self.low.append(0.0)
        self.high.append(high)
        self.whole.append(whole)
        return len(self.low) - 1

    def maximum(self, cost: np.ndarray) -> float:
        """Return the largest value of a linear function of the variables."""
        count = len(self.low)
        matrix = np.zeros((len(self.rows) + 1, count))
        for place, (row, _) in enumerate(self.rows):
            for column, x in row.items():
                matrix[place, column] = x
        limits = [*(limit for _, limit in self.rows), 0.0]
        solved = milp(
            -cost[:count],
            constraints=LinearConstraint(matrix, -np.inf, limits),
            bounds=Bounds(self.low, self.high),
            integrality=self.whole,
        )
        assert solved.success, solved.message
        return float(-solved.fun)

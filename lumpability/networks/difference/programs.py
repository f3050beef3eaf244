"""The difference of two networks on a box as a linear program, with bounds that hold however it was solved.

Variables are the inputs, and of every unit that is not always zero the pre-activation z and the value h, in both
networks.  Rows are the affine maps, lines around the activations, and all lines of `pair_lines` around the difference
of a unit from its counterpart: the solver combines them as suits an output.  For *any* multipliers y of the rows
A v = b and y' <= 0 of the rows G v <= u, and any ranges l <= v <= r of the variables,

    min c v  >=  y b + y' u + sum_j min(s_j l_j, s_j r_j),      s = c - A^T y - G^T y'

(Neumaier and Shcherbina, Safe bounds in linear and mixed-integer linear programming, 2004).  So the solver, HiGHS,
only proposes multipliers.  The right side is computed here, and what rounding changes in s is at most a gamma times
|c| + |A|^T |y| + |G|^T |y'|.  With c = 0, a positive right side proves that no v satisfies the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from lumpability.networks.difference.affine import apply_activation
from lumpability.networks.difference.pair_bounds import PairRanges
from lumpability.networks.difference.pair_lines import relu_lines
from lumpability.networks.difference.ranges import NoInput, Ranges, weight_error
from lumpability.networks.difference.rounding import TINY, UNIT, gamma
from lumpability.numbers.float_arrays import Array

Cut = tuple[int, int, int]
"""The network, 0 or 1, the number of the layer, and the unit whose sign is asked."""


@dataclass(frozen=True, eq=False)
class Solution:
    """What a linear program yields.

    - bound: no difference is less
    - point: the inputs at which the solver has its optimum
    - cut: the unit of a piecewise linear activation that is furthest from its graph there, weighted
    """

    bound: float
    point: Array
    cut: Cut | None


class Rows:
    """Rows of a sparse matrix and right sides, appended in groups."""

    def __init__(self) -> None:
        self.count = 0
        self.entries: list[tuple[Array, Array, Array]] = []
        self.right: list[Array] = []

    def append(self, right: Array, *terms: tuple[Array, Any]) -> None:
        """Append rows that each add some variables, one of a term, times coefficients."""
        own = self._own(right)
        for variables, coefficients in terms:
            self.entries.append((own, variables, np.broadcast_to(coefficients, own.shape)))

    def affine(self, right: Array, own: Array, terms: list[tuple[Array, Any]]) -> None:
        """Append rows own - sum of variables times a matrix, which has a column for each row."""
        rows = self._own(right)
        self.entries.append((rows, own, np.ones(len(own))))
        for variables, matrix in terms:
            found = sparse.coo_array(matrix)
            self.entries.append((rows[found.col], variables[found.row], -found.data))

    def _own(self, right: Array) -> Array:
        self.right.append(right)
        self.count += len(right)
        return np.arange(self.count - len(right), self.count)

    def matrix(self, columns: int) -> tuple[Any, Array]:
        """Return the matrix and the right sides."""
        row, column, entry = (np.concatenate(x) for x in zip(*self.entries, strict=True))
        shape = (self.count, columns)
        return sparse.csr_array((entry, (row, column)), shape=shape), np.concatenate(self.right)


class Program:
    """The linear program of two networks on one box.

    - pair: their ranges, on the same inputs
    - layers: None if the networks are not aligned
    """

    def __init__(self, pair: tuple[Ranges, Ranges], layers: PairRanges | None) -> None:
        self.pair = pair
        self.ends: list[tuple[Array, Array]] = []
        self.count = 0
        equal, upper, self.errors = Rows(), Rows(), [np.zeros(0)]
        inputs = self._variables(pair[0].input_low, pair[0].input_high)
        # By network and number of the layer the variables of its units, -1 for none.
        self.arguments, self.values = [[inputs], [inputs]], [[inputs], [inputs]]
        for side in (0, 1):
            for number in range(1, len(pair[side].network.layers) + 1):
                self._layer(side, number, equal, upper)
        if layers is not None:
            for number in range(1, len(layers.residuals) + 1):
                self._counterparts(layers, number, upper)
        upper.append(np.zeros(0), (np.zeros(0, dtype=np.int64), 1.0))
        self.low, self.high = (np.concatenate(x) for x in zip(*self.ends, strict=True))
        self.equal, self.upper = equal.matrix(self.count), upper.matrix(self.count)

    def _variables(self, low: Array, high: Array) -> Array:
        self.ends.append((low, high))
        self.count += len(low)
        return np.arange(self.count - len(low), self.count)

    def _layer(self, side: int, number: int, equal: Rows, upper: Rows) -> None:
        """Append the variables of a layer, its affine map, and the lines around its activation."""
        found, values = self.pair[side], self.values[side]
        layer, bottom, top = found.network.layers[number - 1], *found.post(number)
        low, high = found.low[number - 1], found.high[number - 1]
        last = number == len(found.network.layers)
        live = np.flatnonzero((bottom != 0) | (top != 0) | last)
        argument, value = np.full(layer.units, -1), np.full(layer.units, -1)
        argument[live] = self._variables(low[live], high[live])
        terms = []
        for source, matrix in layer.terms:
            read = np.flatnonzero(values[source] >= 0)
            terms.append((values[source][read], matrix[read][:, live]))
        equal.affine(layer.bias[live], argument[live], terms)
        self.errors.append(weight_error(layer, found)[live])
        linear = np.zeros(layer.units, dtype=bool)
        if layer.slopes is not None:
            linear = (low >= 0) | (layer.slopes == 1)
        straight, bent = live[linear[live]], live[~linear[live]]
        value[straight] = argument[straight]
        value[bent] = self._variables(bottom[bent], top[bent])
        z, h, line = argument[bent], value[bent], found.lines[number - 1]
        upper.append(line.high_shift[bent], (h, 1.0), (z, -line.high_slope[bent]))
        if layer.slopes is None:
            upper.append(-line.low_shift[bent], (h, -1.0), (z, line.low_slope[bent]))
        else:
            for slope in (1.0, layer.slopes[bent]):
                upper.append(np.zeros(len(bent)), (h, -1.0), (z, slope))
        self.arguments[side].append(argument)
        values.append(value)

    def _counterparts(self, layers: PairRanges, number: int, upper: Rows) -> None:
        """Append the lines around h - c h^ for the units of a layer that have a counterpart."""
        lift, layer = layers.lifts[number], layers.original.network.layers[number - 1]
        z, h = (x[0][number] for x in (self.arguments, self.values))
        other_z, other_h = (x[1][number][lift.source] for x in (self.arguments, self.values))
        paired = lift.classes & (lift.source >= 0) & ~layers.split[number - 1]
        units = np.flatnonzero(
            paired & (z >= 0) & (other_z >= 0) & ((z != h) | (other_z != other_h))
        )
        if not len(units):
            return
        z, h, other_z, other_h = (x[units] for x in (z, h, other_z, other_h))
        factor, polygon = lift.factor[units], layers.polygons[number - 1].of(units)
        lines = layers.lines[number - 1]
        some = [[(a[units], b[units], c[units])] for a, b, c in (lines.low, lines.high)]
        if layer.slopes is not None and not layer.slopes.any():
            some = relu_lines(polygon)
        for sign, found in zip((-1.0, 1.0), some, strict=True):
            for alpha, beta, shift in found:
                slack = 8 * UNIT * (np.abs(alpha) + np.abs(beta)) * polygon.size + TINY
                upper.append(
                    sign * shift + slack,
                    *((h, sign), (other_h, -sign * factor)),
                    *((z, -sign * alpha), (other_z, sign * (alpha - beta) * factor)),
                )

    def least(self, output: int, sign: int) -> Solution | None:
        """Return a lower bound of an output's difference times a sign; None if the solver fails.

        Raises `NoInput` if no input has the ranges: that is proved.
        """
        cost = np.zeros(self.count)
        cost[self.values[0][-1][output]] += sign
        cost[self.values[1][-1][output]] -= sign
        found = _solved(cost, self.equal, self.upper, (self.low, self.high))
        if found.status == 2:
            self._refute()
        if found.status != 0:
            return None
        on_equal, on_upper = found.eqlin.marginals, found.ineqlin.marginals
        pull = cost - self.equal[0].T @ on_equal
        bound = self._proved(cost, on_equal, on_upper)
        inputs = len(self.ends[0][0])  # the solver keeps their ends up to its tolerance
        point = np.clip(found.x[:inputs], self.low[:inputs], self.high[:inputs])
        return Solution(bound, point, self._worst(found.x, pull))

    def _refute(self) -> None:
        """Raise `NoInput` if the least violation of the rows is proved to be positive."""
        (equal, b), (upper, u) = self.equal, self.upper
        one = sparse.eye_array(len(b))
        free = np.full(2 * len(b), np.inf)
        found = _solved(
            np.concatenate([np.zeros(self.count), np.ones(2 * len(b))]),
            (sparse.hstack([equal, one, -one], "csr"), b),
            (sparse.hstack([upper, sparse.csr_array((len(u), 2 * len(b)))], "csr"), u),
            (np.concatenate([self.low, 0 * b, 0 * b]), np.concatenate([self.high, free])),
        )
        if found.status == 0:
            on_equal, on_upper = found.eqlin.marginals, found.ineqlin.marginals
            if self._proved(np.zeros(self.count), on_equal, on_upper) > 0:
                raise NoInput("no input of the box has the signs of a case")

    def _proved(self, cost: Array, on_equal: Array, on_upper: Array) -> float:
        """Return the right side of the inequality, minus what rounding may have changed."""
        (equal, b), (upper, u) = self.equal, self.upper
        on_upper = np.minimum(on_upper, 0)
        rest = cost - equal.T @ on_equal - upper.T @ on_upper
        reach = np.abs(cost) + abs(equal).T @ np.abs(on_equal) - abs(upper).T @ on_upper
        ends = np.minimum(rest * self.low, rest * self.high)
        parts = np.concatenate([on_equal * b, on_upper * u, ends])
        size = np.maximum(np.abs(self.low), np.abs(self.high))
        rounds = gamma(len(parts)) * (np.abs(parts).sum() + reach @ size)
        moved = np.abs(on_equal) @ np.concatenate(self.errors)
        return float(parts.sum() - (rounds + moved) * (1 + 1e-9) - TINY * len(parts))

    def _worst(self, solution: Array, pull: Array) -> Cut | None:
        most, cut = 0.0, None
        for side in (0, 1):
            for number, layer in enumerate(self.pair[side].network.layers, start=1):
                z, h = self.arguments[side][number], self.values[side][number]
                units = np.flatnonzero(z != h)
                if layer.slopes is None or not len(units):
                    continue
                graph = apply_activation(layer, _scattered(layer.units, units, solution[z[units]]))
                off = np.abs(solution[h[units]] - graph[units]) * np.abs(pull[h[units]])
                place = int(np.argmax(off))
                if off[place] > most:
                    most, cut = float(off[place]), (side, number, int(units[place]))
        return cut


def _scattered(size: int, places: Array, values: Array) -> Array:
    full = np.zeros(size)
    full[places] = values
    return full


def _solved(cost: Array, equal: Any, upper: Any, ends: tuple[Array, Array]) -> Any:
    solve: Any = linprog
    return solve(
        cost,
        A_ub=upper[0],
        b_ub=upper[1],
        A_eq=equal[0],
        b_eq=equal[1],
        bounds=np.stack(ends, axis=1),
        method="highs",
    )

"""Bounds of the difference of two aligned networks, layer by layer (see `residuals` for the symbols).

For an activation with act(c z) = c act(z) for the factors of the lift, and y = z^ A,

    (1)  t_l = h^_{l-1} E_l + d_{l-1} W_l + beta_l
    (2)  d_l = act(y + t_l) - act(y) - a_l
    (3)  f - f^ = d_k.

Three bounds of every t are computed, and the least counts:

- *signed*: intervals in (1), and min(0, t) <= d + a <= max(0, t), which is exact where both units are stable;
- *d star*: back-substitution in the pair (h^, d), with the lines of `pair_lines` for d and those of `lines` for h^;
- *ranges*: the difference of both ranges.

For the outputs there is a fourth, see `product`.

A unit whose column of A has several entries, or whose activation does not pass its factor, is *split*: the lines of
both activations are used in place of those for their difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lumpability.networks.difference.affine import AffineLayer, added, as_dense
from lumpability.networks.difference.lifts import Lift
from lumpability.networks.difference.pair_lines import (
    PairLines,
    Polygon,
    difference_lines,
)
from lumpability.networks.difference.ranges import (
    NoInput,
    Ranges,
    Tally,
    Terms,
    both_signs,
    least_on_inputs,
    slices,
    through_affine,
    through_lines,
)
from lumpability.networks.difference.residuals import Residual
from lumpability.networks.difference.rounding import TINY, UNIT, down, gamma, up
from lumpability.numbers.float_arrays import Array

METHODS = ("d*", "signed", "ranges")


@dataclass(frozen=True, eq=False)
class PairRanges:
    """Bounds of the units of two aligned networks and of their differences.

    Lists have one entry for each layer; layer number i of the networks is at place i - 1.

    - lifts: one for the inputs, then one for each layer
    - t_low, t_high (list of float64 array, shape (units of the original,)): of z - z^ A
    - d_low, d_high: of h - h^ A - a
    - split: which units are split
    """

    original: Ranges
    reduced: Ranges
    lifts: Sequence[Lift]
    residuals: list[Residual]
    t_low: list[Array]
    t_high: list[Array]
    d_low: list[Array]
    d_high: list[Array]
    split: list[Array]
    lines: list[PairLines]
    errors: list[Array]  # what rounding changes for each unit of a coefficient of t
    polygons: list[Polygon]
    methods: list[str]  # of the output: the method of the least bound, of every output

    def d_size(self, layer: int) -> Array:
        """Return bounds of |d| of a layer by its number, zero for the inputs."""
        if layer == 0:
            return np.zeros(len(self.original.input_low))
        return np.maximum(np.abs(self.d_low[layer - 1]), np.abs(self.d_high[layer - 1]))

    def stable(self, layer: int) -> Array:
        """Whether d is affine in t and y for each unit of a layer: no sign of either argument is open."""
        ends = self.polygons[layer - 1]
        fixed = [(low >= 0) | (high <= 0) for low, high in (ends.y, ends.z)]
        return np.asarray(fixed[0] & fixed[1])

    def d(self, layer: int) -> tuple[Array, Array]:
        """Return bounds of d of a layer by its number, zero for the inputs."""
        if layer == 0:
            zero = np.zeros(len(self.original.input_low))
            return zero, zero
        return self.d_low[layer - 1], self.d_high[layer - 1]


def pair_ranges(
    original: Ranges,
    reduced: Ranges,
    lifts: Sequence[Lift],
    found: list[Residual],
    methods: Sequence[str] = METHODS,
    *,
    within: PairRanges | None = None,
) -> PairRanges:
    """Return bounds of the differences of all units of two aligned networks on a box.

    - original, reduced: on the same box
    - found: for these lifts
    - methods: some of ``METHODS``
    - within: bounds on more inputs, which are kept where these are tighter

    Raises `NoInput` if bounds contradict each other, as they may for an empty set of inputs.
    """
    pair = PairRanges(original, reduced, lifts, found, *([] for _ in range(9)))
    for number in range(1, len(found) + 1):
        _extend(pair, number, methods, within)
    return pair


def _extend(
    pair: PairRanges, number: int, methods: Sequence[str], within: PairRanges | None
) -> None:
    layer, lift = pair.original.network.layers[number - 1], pair.lifts[number]
    residual = pair.residuals[number - 1]
    size, own_error = _scales(pair, layer, residual)
    bounds = {}
    if "signed" in methods:
        bounds["signed"] = _signed(pair, layer, residual, size, own_error)
    y_low, y_high = lift.range_of(pair.reduced.low[number - 1], pair.reduced.high[number - 1])
    z_low, z_high = pair.original.low[number - 1], pair.original.high[number - 1]
    if "ranges" in methods:
        bounds["ranges"] = down(z_low - y_high), up(z_high - y_low)
    if "d*" in methods:
        units = np.arange(layer.units)
        if within is not None and number < len(pair.residuals):
            units = np.flatnonzero(~within.stable(number))
        bounds["d*"] = _crown(pair, layer, residual, own_error, units)
    low, high, chosen = tightest(bounds)
    if within is not None:
        low = np.fmax(low, within.t_low[number - 1])
        high = np.fmin(high, within.t_high[number - 1])
    pair.methods[:] = chosen
    exact = _is_zero(pair, layer, residual)
    low, high = np.where(exact, 0.0, low), np.where(exact, 0.0, high)
    pair.t_low.append(low)
    pair.t_high.append(high)
    y = np.fmax(y_low, down(z_low - high)), np.fmin(y_high, up(z_high - low))
    z = np.fmax(z_low, down(y_low + low)), np.fmin(z_high, up(y_high + high))
    pair.errors.append(
        gamma(layer.units) * size
        + own_error
        + 4 * UNIT * np.maximum(np.abs(low), np.abs(high))
        + np.where(exact, 0.0, TINY)
    )
    if any(np.any(ends[0] > ends[1]) for ends in (y, z, (low, high))):
        raise NoInput("no input of the box has the signs of a case")
    pair.polygons.append(Polygon(y, z, (low, high)))
    _activate(pair, number, pair.polygons[-1])


def _scales(pair: PairRanges, layer: AffineLayer, residual: Residual) -> tuple[Array, Array]:
    """Return bounds of |h^| |E| + |d| |W| + |beta|, and of what inexact E, W and beta change."""
    size, error = np.abs(residual.bias), residual.bias_error.copy()
    parts = zip(layer.sources, layer.sizes, residual.matrices, residual.errors, strict=True)
    for source, weight, matrix, inexact in parts:
        reach, moved = pair.reduced.size(source), pair.d_size(source) @ weight
        size = size + reach @ abs(matrix) + moved
        error = error + reach @ inexact + 2 * layer.relative * moved
    return size, error * (1 + 1e-9)


def _is_zero(pair: PairRanges, layer: AffineLayer, residual: Residual) -> Array:
    """Return for which units t is exactly zero: nothing that it adds is anything else."""
    terms = (residual.bias != 0) * 1.0 + (residual.bias_error != 0)
    parts = zip(layer.sources, layer.matrices, residual.matrices, residual.errors, strict=True)
    for source, weight, *both in parts:
        live = (pair.reduced.size(source) != 0) * 1.0
        terms = terms + (pair.d_size(source) != 0) @ ((weight != 0) * 1.0)
        for matrix in both:
            terms = terms + live @ ((matrix != 0) * 1.0)
    return np.asarray(terms == 0)


def _signed(
    pair: PairRanges, layer: AffineLayer, residual: Residual, size: Array, own_error: Array
) -> tuple[Array, Array]:
    """Return bounds of t by intervals."""
    low, high = residual.bias.copy(), residual.bias.copy()
    for source, weight, matrix in zip(
        layer.sources, layer.matrices, residual.matrices, strict=True
    ):
        for (bottom, top), factor in (
            (pair.reduced.post(source), matrix),
            (pair.d(source), weight),
        ):
            positive, negative = (factor + abs(factor)) / 2, (factor - abs(factor)) / 2
            low = low + bottom @ positive + top @ negative
            high = high + top @ positive + bottom @ negative
    count = sum(sum(m.shape[0] for m in ms) for ms in (layer.matrices, residual.matrices))
    slack = gamma(2 * count) * size + own_error
    return down(low - slack), up(high + slack)


def _crown(
    pair: PairRanges, layer: AffineLayer, residual: Residual, own_error: Array, units: Array
) -> tuple[Array, Array]:
    """Return bounds of t of some units by back-substitution in (h^, d), and no bounds of the others."""
    low, high = np.full(layer.units, -np.inf), np.full(layer.units, np.inf)
    for part in slices(len(units)):
        columns = units[part]
        reduced: Terms = {}
        moved: Terms = {}
        for source, weight, matrix in zip(
            layer.sources, layer.matrices, residual.matrices, strict=True
        ):
            added(reduced, source, both_signs(as_dense(matrix[:, columns])))
            if source:
                added(moved, source, both_signs(as_dense(weight[:, columns])))
        error = np.tile((own_error + 4 * UNIT * np.abs(residual.bias))[columns], 2)
        below = pair_least(pair, reduced, moved, both_signs(residual.bias[columns]), error)
        count = len(below) // 2
        low[columns], high[columns] = below[:count], -below[count:]
    return low, high


def pair_least(
    pair: PairRanges, reduced: Terms, moved: Terms, constant: Array, error: Array
) -> Array:
    """Return lower bounds of linear functionals of h^ and d, minus an error.

    - pair: of all layers that are read
    - reduced, moved (dict of int to float64 array, shape (units, functionals)): coefficients of h^ and of d, by
      the number of the layer
    - constant, error: float64 arrays, shape (functionals,)
    """
    reduced, moved, tally = dict(reduced), dict(moved), Tally(constant, error)
    for number in range(max([*reduced, *moved], default=0), 0, -1):
        arguments = None
        if number in moved:
            arguments = _through_pair(pair, number, moved.pop(number), (reduced, moved), tally)
        if number in reduced:
            pushed = through_lines(pair.reduced, number, reduced.pop(number), tally)
            if arguments is not None:
                size = pair.reduced.argument_size(number)
                tally.slack = tally.slack + 4 * UNIT * (size @ np.abs(pushed))
                pushed = pushed + arguments
            arguments = pushed
        if arguments is not None:
            through_affine(pair.reduced, number, arguments, reduced, tally)
    least_on_inputs(pair.reduced, reduced, tally)
    return tally.bound()


def _through_pair(
    pair: PairRanges,
    number: int,
    coefficients: Array,
    terms: tuple[Terms, Terms],
    tally: Tally,
) -> Array:
    """Replace differences of a layer by lines in t and y, and t by what it is computed from.

    Adds to the terms of h^ and d; returns the coefficients of the pre-activations of the reduced network.
    """
    reduced, moved = terms
    layer, lift = pair.original.network.layers[number - 1], pair.lifts[number]
    residual, lines, split = (
        pair.residuals[number - 1],
        pair.lines[number - 1],
        pair.split[number - 1],
    )
    positive, negative = np.maximum(coefficients, 0), np.minimum(coefficients, 0)
    (low_t, low_y, low), (high_t, high_y, high) = lines.low, lines.high
    in_t = positive * low_t[:, None] + negative * high_t[:, None]
    in_y = positive * low_y[:, None] + negative * high_y[:, None]
    units = gamma(2 * layer.units)
    tally.add(
        low @ positive + high @ negative,
        units * (np.abs(low) @ positive - np.abs(high) @ negative),
    )
    if lift.shift.any():
        tally.add(-(lift.shift @ coefficients), units * (np.abs(lift.shift) @ np.abs(coefficients)))
    if split.any():
        taken = np.where(split[:, None], coefficients, 0.0)
        _subtract_lifted(pair, number, taken, reduced, tally)
    tally.add(residual.bias @ in_t, pair.errors[number - 1] @ np.abs(in_t))
    for source, weight, matrix in zip(
        layer.sources, layer.matrices, residual.matrices, strict=True
    ):
        for found, factor, sizes in (
            (reduced, matrix, pair.reduced.size),
            (moved, weight, pair.d_size),
        ):
            if found is moved and source == 0:
                continue
            part = factor @ in_t
            if source in found:
                part = found[source] + part
                tally.slack = tally.slack + 2 * UNIT * (sizes(source) @ np.abs(part))
            found[source] = part
    size = pair.reduced.argument_size(number)
    if lift.matrix is None:
        tally.slack = tally.slack + 4 * UNIT * (size @ np.abs(in_y))
        return np.asarray(in_y)
    scale = size @ np.abs(lift.matrix)
    tally.slack = tally.slack + (units * scale + TINY) @ np.abs(in_y)
    return lift.lifted(np.asarray(in_y))


def _subtract_lifted(
    pair: PairRanges, number: int, coefficients: Array, reduced: Terms, tally: Tally
) -> None:
    """Subtract A times coefficients from those of h^."""
    lift, size = pair.lifts[number], pair.reduced.size(number)
    part = lift.lifted(-coefficients)
    if lift.matrix is not None:
        scale = size @ np.abs(lift.matrix)
        tally.slack = tally.slack + gamma(len(scale)) * (scale @ np.abs(coefficients)) + TINY
    if number in reduced:
        part = reduced[number] + part
        tally.slack = tally.slack + 2 * UNIT * (size @ np.abs(part))
    reduced[number] = part


def tightest(bounds: dict[str, tuple[Array, Array]]) -> tuple[Array, Array, list[str]]:
    """Return the largest lower and least upper bounds, and the method of the lesser largest difference."""
    names = list(bounds)
    lows, highs = (np.array([bounds[name][side] for name in names]) for side in (0, 1))
    finite = np.isfinite(lows) & np.isfinite(highs)
    lows, highs = np.where(finite, lows, -np.inf), np.where(finite, highs, np.inf)
    best = np.maximum(-lows, highs).argmin(axis=0)
    return lows.max(axis=0), highs.min(axis=0), [names[i] for i in best.tolist()]


def _activate(pair: PairRanges, number: int, polygon: Polygon) -> None:
    """Record the lines and the bounds of d of a layer."""
    layer, reduced = (n.network.layers[number - 1] for n in (pair.original, pair.reduced))
    lift = pair.lifts[number]
    straight = _straight_units(pair, number)
    split = _split_units(layer, reduced, lift) & ~straight
    lines, low, high = difference_lines(layer, polygon)
    if straight.any():
        one, zero = np.ones(layer.units), np.zeros(layer.units)
        lines = PairLines(
            _chosen(straight, (one, zero, zero), lines.low),
            _chosen(straight, (one, zero, zero), lines.high),
        )
        low, high = (np.where(straight, t, x) for t, x in zip(polygon.t, (low, high), strict=True))
    own = pair.original.lines[number - 1]
    if split.any():
        lines = PairLines(
            _chosen(split, (own.low_slope, own.low_slope, own.low_shift), lines.low),
            _chosen(split, (own.high_slope, own.high_slope, own.high_shift), lines.high),
        )
        low, high = np.where(split, -np.inf, low), np.where(split, np.inf, high)
    lifted = lift.range_of(*pair.reduced.post(number))
    bottom, top = pair.original.post(number)
    low = np.fmax(
        np.where(lift.shift == 0, low, down(low - lift.shift)),
        down(bottom - up(lifted[1] + lift.shift)),
    )
    high = np.fmin(
        np.where(lift.shift == 0, high, up(high - lift.shift)),
        up(top - down(lifted[0] + lift.shift)),
    )
    pair.split.append(split)
    pair.lines.append(lines)
    pair.d_low.append(low)
    pair.d_high.append(high)


def _straight_units(pair: PairRanges, number: int) -> Array:
    """Return for which units act(z) = z, and for those of their column of A: then d = t - a."""
    linear = []
    for found in (pair.original, pair.reduced):
        slopes = found.network.layers[number - 1].slopes
        none = np.zeros(found.network.layers[number - 1].units, dtype=bool)
        linear.append(none if slopes is None else (found.low[number - 1] >= 0) | (slopes == 1))
    entries = pair.lifts[number].full != 0
    return np.asarray(linear[0] & ~(entries & ~linear[1][:, None]).any(axis=0))


def _split_units(layer: AffineLayer, reduced: AffineLayer, lift: Lift) -> Array:
    """Return which units have no counterpart whose activation passes the factor."""
    if not reduced.units:
        return np.ones(layer.units, dtype=bool)
    alone = ~lift.classes | (lift.source < 0)
    if layer.slopes is None or reduced.slopes is None:
        return np.asarray(alone | (lift.factor != 1))
    return np.asarray(alone | (layer.slopes != reduced.slopes[lift.source]))


def _chosen(where: Array, *options: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    first, second, third = (np.where(where, a, b) for a, b in zip(*options, strict=True))
    return first, second, third

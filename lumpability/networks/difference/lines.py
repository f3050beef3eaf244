"""Lines below and above an activation on an interval.

For ReLU on [l, u] with l < 0 < u the upper line is the chord through (l, 0) and (u, u), the lower one is 0 or z,
whichever leaves less between them; a line of a stable unit is the function itself.  act(z) = s z + (1 - s) relu(z)
covers all slopes s in [0, 1] for negative numbers.  For another monotone activation, whose slope on [l, u] is at
least m, act(z) - m z increases, so the lines of slope m through both ends of the graph enclose it (Singh et al.,
An abstract domain for certifying neural networks, POPL 2019).

The chord's slope is a float, and its intercept is rounded up by ulps of u: the terms of u - slope u cancel, so a
slack that is relative to the intercept is unsound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lumpability.networks.difference.affine import AffineLayer, apply_activation
from lumpability.networks.difference.rounding import TINY, UNIT
from lumpability.numbers.float_arrays import Array


@dataclass(frozen=True, eq=False)
class Lines:
    """A lower and an upper line for each unit: slope times z plus intercept, exact in the floats stored.

    - low_slope, low_shift, high_slope, high_shift: float64 arrays, shape (units,)
    """

    low_slope: Array
    low_shift: Array
    high_slope: Array
    high_shift: Array


def relu_chord(low: Array, high: Array) -> tuple[Array, Array]:
    """Return slope and intercept of a line above ReLU on [low, high], tight at both ends if they straddle 0."""
    crossing = (low < 0) & (high > 0)
    width = np.where(crossing, high - low, 1.0)
    slope = np.where(crossing, np.minimum(high / width, 1.0), (low >= 0) * 1.0)
    # Absolute slack: both candidates round by at most an ulp of the larger end.
    shift = np.maximum(-slope * low, high - slope * high) + 4 * UNIT * np.maximum(high, -low) + TINY
    return slope, np.where(crossing, shift, 0.0)


def lines(layer: AffineLayer, low: Array, high: Array) -> Lines:
    """Return lines that enclose the activation of each unit between finite bounds of its argument.

    >>> from lumpability import Network
    >>> from lumpability.networks.difference import affine_layers
    >>> layer, _ = affine_layers(Network.dense([([[1, 1]], None, "relu"), ([[1], [1]], None, None)])).layers
    >>> found = lines(layer, np.array([-1.0, 1.0]), np.array([3.0, 2.0]))
    >>> found.low_slope.tolist(), found.high_slope.tolist(), found.high_shift.round(9).tolist()
    ([1.0, 1.0], [0.75, 1.0], [0.75, 0.0])
    """
    if layer.slopes is None:
        return _parallel_lines(layer, low, high)
    slope, shift = relu_chord(low, high)
    below = np.where(low >= 0, 1.0, np.where(high <= 0, 0.0, (high > -low) * 1.0))
    if not layer.slopes.any():
        return Lines(below, np.zeros_like(low), slope, shift)
    own = layer.slopes
    rest = 1 - own
    bent = (low < 0) & (own != 1)
    # `rest` and the slopes below round by an ulp of 1: an absolute slack in the ends covers both.
    slack = np.where(bent, 8 * UNIT * np.maximum(np.abs(low), np.abs(high)) + TINY, 0.0)
    crossing = bent & (high > 0)

    def tilted(relu_slope: Array) -> Array:
        inside = np.where(low >= 0, 1.0, own)
        return np.where(own == 1, 1.0, np.where(crossing, own + rest * relu_slope, inside))

    inactive = bent & (high <= 0)
    slack = np.where(inactive, 0.0, slack)
    return Lines(tilted(below), -slack, tilted(slope), rest * shift * (1 + 4 * UNIT) + slack)


def image(layer: AffineLayer, low: Array, high: Array) -> tuple[Array, Array]:
    """Return bounds of a monotone activation between bounds of its argument."""
    bottom, top = apply_activation(layer, low), apply_activation(layer, high)
    slack = _evaluation_error(layer, bottom, top)
    return bottom - slack, top + slack


def slope_range(layer: AffineLayer, low: Array, high: Array) -> tuple[Array, Array]:
    """Return bounds of the difference quotients of the activation between bounds of its argument."""
    if layer.slopes is not None:
        own = layer.slopes
        return np.where(low >= 0, 1.0, own), np.where(high <= 0, own, 1.0)
    least = _least_slope(layer, low, high)
    bound = layer.activation.lipschitz
    return least, np.full_like(low, 1.0 if bound is None else min(1.0, float(bound)))


def _parallel_lines(layer: AffineLayer, low: Array, high: Array) -> Lines:
    slope = _least_slope(layer, low, high)
    bottom, top = image(layer, low, high)
    slack = 4 * UNIT * (np.abs(bottom) + np.abs(top) + np.maximum(np.abs(low), np.abs(high))) + TINY
    return Lines(slope, bottom - slope * low - slack, slope, top - slope * high + slack)


def _evaluation_error(layer: AffineLayer, bottom: Array, top: Array) -> Array:
    size = np.maximum(np.abs(bottom), np.abs(top))
    if layer.slopes is not None:
        return np.asarray(np.where((layer.slopes > 0) & (layer.slopes < 1), 2 * UNIT * size, 0.0))
    if layer.activation.name == "clip":
        return np.zeros_like(size)
    return np.asarray(64 * UNIT * (size + 1))


def _least_slope(layer: AffineLayer, low: Array, high: Array) -> Array:
    """Return a lower bound of the slope: these derivatives are least at an end of the interval."""
    name, parameters = layer.activation.name, layer.activation.parameters
    if name == "clip":
        inside = (low >= parameters["low"]) & (high <= parameters["high"])
        return np.asarray(inside * 1.0)
    with np.errstate(over="ignore"):
        least = np.minimum(*(_derivative(name, parameters, z) for z in (low, high)))
    return np.asarray(np.maximum(least * (1 - 1e-9) - 1e-12, 0.0))


def _derivative(name: str, parameters: dict[str, float], z: Array) -> Array:
    if name == "tanh":
        return np.asarray(1 - np.tanh(z) ** 2)
    if name == "softsign":
        return np.asarray((1 + np.abs(z)) ** -2.0)
    if name == "atan":
        return np.asarray(1 / (1 + z * z))
    falling = np.exp(-np.abs(z))
    if name == "sigmoid":
        return np.asarray(falling / (1 + falling) ** 2)
    if name == "softplus":
        return np.asarray(np.where(z >= 0, 1, falling) / (1 + falling))
    assert name == "elu"
    return np.asarray(np.where(z >= 0, 1.0, parameters["alpha"] * np.exp(np.minimum(z, 0))))

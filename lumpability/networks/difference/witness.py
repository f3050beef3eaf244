"""An input at which two networks differ: searched by gradients, checked by running both.

The middle of the box, random points and random corners are tried; the best of them climb the difference of one output
by steps of its sign gradient.  What is found is a lower bound of the largest difference; the rounding
of floats is covered by the ranges on the box that is this one point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.networks.difference.affine import AffineNetwork, added, apply_activation
from lumpability.networks.difference.product import range_bounds
from lumpability.networks.difference.ranges import ranges
from lumpability.numbers.float_arrays import Array

_SAMPLES, _OUTPUTS, _STARTS, _STEPS = 1000, 4, 16, 20


@dataclass(frozen=True, eq=False)
class Witness:
    """The largest difference that was found, and where.

    Attributes
    ----------
    point : float64 array, shape (inputs,)
    output : int
    difference : float
        Not more than the absolute difference of this output at this point, in real arithmetic.
    values : (float, float)
        This output of both networks there, in float64.
    scale : float
        What bounds are multiplied by there: 1, or max(1, abs(x)) if the region is all inputs.
    """

    point: Array
    output: int
    difference: float
    values: tuple[float, float]
    scale: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """Return plain data; numbers are texts, as in other reports."""
        return {
            "point": [str(x) for x in self.point.tolist()],
            "output": self.output,
            "difference": str(self.difference),
            "values": [str(x) for x in self.values],
        }


def search(
    first: AffineNetwork, second: AffineNetwork, low: Array, high: Array, *, seed: int = 0
) -> Witness:
    """Return the point of a box with the largest difference found."""
    random = np.random.default_rng(seed)
    points = random.uniform(low, high, size=(_SAMPLES, len(low)))
    corners = np.where(random.integers(0, 2, size=points.shape).astype(bool), low, high)
    points[1::2] = corners[1::2]
    points[0] = (low + high) / 2
    gaps = _gaps(first, second, points)
    best, value = (points[0], 0), -1.0
    for output in np.argsort(-gaps.max(axis=0), kind="stable")[:_OUTPUTS].tolist():
        starts = points[np.argsort(-gaps[:, output], kind="stable")[:_STARTS]]
        climbed = _climbed(first, second, starts, (low, high), output)
        ends = _gaps(first, second, climbed)[:, output]
        place = int(np.argmax(ends))
        if ends[place] > value:
            best, value = (climbed[place], output), float(ends[place])
    return _at(first, second, *best)


def better(
    first: AffineNetwork, second: AffineNetwork, points: list[Array], than: Witness
) -> Witness:
    """Return the witness at one of some more points if the difference there is larger."""
    if not points:
        return than
    gaps = _gaps(first, second, np.array(points))
    place, output = (int(x) for x in np.unravel_index(np.argmax(gaps), gaps.shape))
    return max(than, _at(first, second, points[place], output), key=lambda one: one.difference)


def _gaps(first: AffineNetwork, second: AffineNetwork, points: Array) -> Array:
    gaps = np.abs(first(points) - second(points))
    return np.where(np.isfinite(gaps), gaps, 0.0)


def _climbed(
    first: AffineNetwork,
    second: AffineNetwork,
    points: Array,
    box: tuple[Array, Array],
    output: int,
) -> Array:
    """Return points after steps in the direction of the gradient's signs, of those that go up."""
    low, high = box
    reached = _gaps(first, second, points)[:, output]
    for step in range(_STEPS):
        slope = _gradients(first, points, output) - _gradients(second, points, output)
        upward = np.sign((first(points) - second(points))[:, output])[:, None]
        length = (high - low) / 2 ** (step / 2)
        tried = np.clip(points + np.sign(upward * slope) * length, low, high)
        gaps = _gaps(first, second, tried)[:, output]
        better = gaps > reached
        points, reached = np.where(better[:, None], tried, points), np.where(better, gaps, reached)
    return points


def _at(first: AffineNetwork, second: AffineNetwork, point: Array, output: int) -> Witness:
    """Return a witness; its difference is rounded down: both networks differ by at least so much there."""
    low, high = range_bounds(*(ranges(network, (point, point)) for network in (first, second)))
    values = [float(network(point[None])[0, output]) for network in (first, second)]
    difference = float(max(low[output], -high[output], 0.0))
    return Witness(point, output, difference, (values[0], values[1]))


def _gradients(network: AffineNetwork, points: Array, output: int) -> Array:
    """Return the derivatives of an output by the inputs, shape (points, inputs)."""
    values, last = network.values(points), len(network.layers)
    pending = {last: np.zeros_like(values[-1][1])}
    pending[last][:, output] = 1.0
    for number in range(last, 0, -1):
        if number not in pending:
            continue
        layer, (total, value) = network.layers[number - 1], values[number]
        step = 1e-6 * (1 + np.abs(total))
        if layer.slopes is not None:
            slopes = np.where(total > 0, 1.0, layer.slopes)
        else:
            slopes = (apply_activation(layer, total + step) - value) / step
        moved = pending.pop(number) * slopes
        for source, matrix in layer.terms:
            added(pending, source, (matrix @ moved.T).T)
    return pending.get(0, np.zeros_like(points))

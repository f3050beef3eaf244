"""An input at which two networks differ: searched by gradients, checked by running both.

The middle of the box, random points and random corners are tried; the best of them climb the difference of one output
by steps of its sign gradient.  What is found is a lower bound of the largest difference; the rounding
of floats is covered by the ranges on the box that is this one point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.networks.difference.affine import AffineNetwork, apply_activation
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
) -> tuple[Array, int, float]:
    """Return the point of a box with the largest difference found, the output, and the difference.

    The difference is rounded down: both networks differ by at least so much there.
    """
    random = np.random.default_rng(seed)
    points = random.uniform(low, high, size=(_SAMPLES, len(low)))
    corners = np.where(random.integers(0, 2, size=points.shape).astype(bool), low, high)
    points[1::2] = corners[1::2]
    points[0] = (low + high) / 2
    gaps = _gaps(first, second, points)
    best, value = None, -1.0
    for output in np.argsort(-gaps.max(axis=0), kind="stable")[:_OUTPUTS].tolist():
        starts = points[np.argsort(-gaps[:, output], kind="stable")[:_STARTS]]
        climbed = _climbed(first, second, starts, (low, high), output)
        ends = _gaps(first, second, climbed)[:, output]
        place = int(np.argmax(ends))
        if ends[place] > value:
            best, value = (climbed[place], output), float(ends[place])
    point, output = (points[0], 0) if best is None else best
    return point, output, _certain(first, second, point, output)


def better(
    first: AffineNetwork, second: AffineNetwork, points: list[Array], than: Witness
) -> Witness:
    """Return the witness at one of some more points if the difference there is larger."""
    if not points:
        return than
    gaps = _gaps(first, second, np.array(points))
    place, output = (int(x) for x in np.unravel_index(np.argmax(gaps), gaps.shape))
    difference = _certain(first, second, points[place], output)
    if difference <= than.difference:
        return than
    values = [float(network(points[place][None])[0, output]) for network in (first, second)]
    return Witness(points[place], output, difference, (values[0], values[1]))


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


def _certain(first: AffineNetwork, second: AffineNetwork, point: Array, output: int) -> float:
    low, high = range_bounds(*(ranges(network, (point, point)) for network in (first, second)))
    return float(max(low[output], -high[output], 0.0))


def _gradients(network: AffineNetwork, points: Array, output: int) -> Array:
    """Return the derivatives of an output by the inputs, shape (points, inputs)."""
    values, slopes = [points], []
    for layer in network.layers:
        terms = [values[s] @ m for s, m in zip(layer.sources, layer.matrices, strict=True)]
        total = sum(terms[1:], start=terms[0]) + layer.bias
        values.append(apply_activation(layer, total))
        if layer.slopes is not None:
            slopes.append(np.where(total > 0, 1.0, layer.slopes))
        else:
            step = 1e-6 * (1 + np.abs(total))
            slopes.append((apply_activation(layer, total + step) - values[-1]) / step)
    pending = {len(network.layers): np.zeros_like(values[-1])}
    pending[len(network.layers)][:, output] = 1.0
    for number in range(len(network.layers), 0, -1):
        if number not in pending:
            continue
        layer = network.layers[number - 1]
        moved = pending.pop(number) * slopes[number - 1]
        for source, matrix in zip(layer.sources, layer.matrices, strict=True):
            part = (matrix @ moved.T).T
            pending[source] = pending[source] + part if source in pending else part
    return pending.get(0, np.zeros_like(points))

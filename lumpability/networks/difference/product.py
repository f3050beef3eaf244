"""CROWN on f - f^ as one network: both halves have lines of their own, and meet at the inputs."""

from __future__ import annotations

import numpy as np

from lumpability.networks.difference.affine import added
from lumpability.networks.difference.ranges import (
    Ranges,
    Tally,
    Terms,
    both_signs,
    least_on_inputs,
    to_inputs,
)
from lumpability.networks.difference.rounding import UNIT, down, up
from lumpability.numbers.float_arrays import Array


def product_bounds(first: Ranges, second: Ranges) -> tuple[Array, Array]:
    """Return bounds of the differences of the outputs of two networks on one box."""
    outputs = first.network.outputs
    tally = Tally(np.zeros(2 * outputs), np.zeros(2 * outputs))
    inputs: Terms = {}
    for found, sign in ((first, 1.0), (second, -1.0)):
        pending: Terms = {len(found.network.layers): sign * both_signs(np.eye(outputs))}
        to_inputs(found, pending, tally)
        added(inputs, 0, pending[0])
    tally.slack = tally.slack + 2 * UNIT * (first.size(0) @ np.abs(inputs[0]))
    least_on_inputs(first, inputs, tally)
    bound = tally.bound()
    return bound[:outputs], -bound[outputs:]


def range_bounds(first: Ranges, second: Ranges) -> tuple[Array, Array]:
    """Return the difference of the ranges of the outputs of two networks."""
    (low, high), (below, above) = (n.post(len(n.network.layers)) for n in (first, second))
    return down(low - above), up(high - below)

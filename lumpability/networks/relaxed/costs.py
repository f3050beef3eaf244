"""What it costs to replace a unit, estimated: the order in which `relax` tries.

A unit h in [l, u] that becomes the constant (l + u) / 2 moves its layer by at most half the width, and an output by
at most that times the largest gradient of an output with respect to h.  A unit that becomes c times another one moves
by at most the interval bound of the residual of its incoming weights.  Gradients are bounded by intervals, from the
outputs down: J_l = D_l W_{l+1} J_{l+1} with the slopes D between the least and the largest of the activation.

Costs only order; what is claimed is derived afterwards for the network as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lumpability.networks.difference import AffineLayer
from lumpability.numbers.float_arrays import Array


def gradient_bounds(
    layers: Sequence[AffineLayer], low: Sequence[Array], high: Sequence[Array]
) -> list[Array]:
    """Return for each layer a bound of how fast an output moves with each of its values.

    - layers: a chain up to the output
    - low, high (sequence of float64 array, shape (units,)): ranges of the pre-activations
    - returns list of float64 array, shape (units,)

    >>> from lumpability import Network
    >>> from lumpability.networks.difference import affine_layers
    >>> layers = affine_layers(Network.dense([([[1, 1]], None, "relu"), ([[2], [-3]], None, None)])).layers
    >>> ends = [np.array([-1.0, -1.0]), np.zeros(1)], [np.array([1.0, 1.0]), np.zeros(1)]
    >>> [bound.tolist() for bound in gradient_bounds(layers, *ends)]
    [[2.0, 3.0], [1.0]]
    """
    least = most = np.eye(layers[-1].units)
    found = [np.ones(layers[-1].units)]
    for number in range(len(layers) - 1, -1, -1):
        layer = layers[number]
        own = np.zeros(layer.units) if layer.slopes is None else layer.slopes
        bent = layer.slopes is None  # then slopes lie between 0 and 1
        slow = np.where((low[number] >= 0) & (not bent), 1.0, own)[:, None]
        fast = np.where((high[number] <= 0) & (not bent), own, 1.0)[:, None]
        ends = (slow * least, fast * least, slow * most, fast * most)
        least, most = np.minimum.reduce(ends), np.maximum.reduce(ends)
        weight = layer.weight
        above, below = np.maximum(weight, 0), np.minimum(weight, 0)
        least, most = above @ least + below @ most, above @ most + below @ least
        if number:
            found.append(np.maximum(np.abs(least), np.abs(most)).max(axis=1))
    return found[::-1]


def class_costs(columns: Array, reach: Array, unit: int, leaders: Array) -> tuple[Array, Array]:
    """Return how far a unit is from the best multiples of others, and the factors.

    - columns (float64 array, shape (rows + 1, units)): incoming weights, and the biases as last row
    - reach (float64 array, shape (rows + 1,)): bounds of the absolute values of what the rows read, 1 for the
      biases
    - returns costs and factors, float64 arrays, shape (leaders,): the factor is positive; the cost is infinite
      where no positive one is good

    >>> columns = np.array([[2.0, 1.0, -1.0], [2.0, 1.5, 0.0]])
    >>> costs, factors = class_costs(columns, np.array([1.0, 1.0]), 0, np.array([1, 2]))
    >>> factors.round(3).tolist(), costs.round(3).tolist()
    ([1.538, 0.0], [0.769, inf])
    """
    scaled = columns * reach[:, None]
    ours, theirs = scaled[:, unit], scaled[:, leaders]
    size = (theirs**2).sum(axis=0)
    factors = np.maximum(ours @ theirs, 0) / np.where(size > 0, size, 1)
    costs = np.abs(ours[:, None] - theirs * factors).sum(axis=0)
    return np.where(factors > 0, costs, np.inf), factors

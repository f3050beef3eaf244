"""Bounds for all inputs: biases become weights of one more input.

If act(c z) = c act(z) for c >= 0, a network with bias b is the network without biases that reads (x, t) and carries t,
at t = 1; and the difference D of two such networks is homogeneous, D(c x, c t) = c D(x, t).  So

    |f - f^|(x) = |D(x, 1)| <= kappa max(1, |x|),      kappa = the bound of |D| on [-1, 1]^n x [0, 1],

with the largest absolute value of an input as |x|.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lumpability.networks.difference.affine import IDENTITY, AffineLayer, AffineNetwork
from lumpability.networks.relaxed.lift import Lift

__all__ = ["homogeneous", "homogeneous_lift"]


def homogeneous(network: AffineNetwork) -> AffineNetwork:
    """Return a chain of piecewise linear layers with one more input, which stands for 1.

    Examples
    --------
    >>> from lumpability import Network
    >>> from lumpability.networks.difference import affine_layers
    >>> found = homogeneous(affine_layers(Network.dense([([[1]], [2], "relu"), ([[3]], [4], None)])))
    >>> found(np.array([[5.0, 1.0], [10.0, 2.0]])).tolist()
    [[25.0], [50.0]]
    """
    layers = []
    for number, layer in enumerate(network.layers):
        assert layer.slopes is not None
        last = number == len(network.layers) - 1
        matrix, bias = layer.weight, layer.bias
        wide = np.vstack([matrix, bias])
        if not last:
            wide = np.hstack([wide, np.eye(len(matrix) + 1)[:, -1:]])
        slopes = layer.slopes if last else np.append(layer.slopes, 1.0)
        # Slopes say what the activation is; its name is not needed for bounds.
        layers.append(_layer(layer, number, wide, slopes))
    return AffineNetwork(network.inputs + 1, tuple(layers))


def _layer(layer: AffineLayer, number: int, matrix: np.ndarray, slopes: np.ndarray) -> AffineLayer:
    zero = np.zeros(matrix.shape[1])
    return replace(
        layer, sources=(number,), matrices=(matrix,), bias=zero, activation=IDENTITY, slopes=slopes
    )


def homogeneous_lift(lift: Lift, *, last: bool) -> Lift:
    """Return the lift with the row of t, which carries the constants.

    Examples
    --------
    >>> homogeneous_lift(Lift(np.array([[1.0, 0.0]]), np.array([0.0, 2.0])), last=False).matrix.tolist()
    [[1.0, 0.0, 0.0], [0.0, 2.0, 1.0]]
    """
    if last:
        return lift
    rows, units = lift.matrix.shape
    matrix = np.zeros((rows + 1, units + 1))
    matrix[:rows, :units] = lift.matrix
    matrix[rows, :units] = lift.shift
    matrix[rows, units] = 1
    return Lift(matrix, np.zeros(units + 1))

"""All inputs at once: biases become weights of an input t >= 0 that every layer carries along.

With ReLU, leaky ReLU and the identity, the network F(x, t) whose biases are multiplied by t satisfies F(s x, s t) =
s F(x, t) for s >= 0, and F(x, 1) = f(x).  With s = max(1, |x|), the largest absolute value of an input,
(x / s, 1 / s) lies in the box [-1, 1]^n x [0, 1].  So a bound k of |F - F^| on this one box gives
|f - f^|(x) <= k max(1, |x|) for every input.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lumpability.errors import NotJustified
from lumpability.networks.difference.affine import (
    AffineLayer,
    AffineNetwork,
    Matrix,
    as_dense,
)
from lumpability.networks.difference.lifts import Lift
from lumpability.numbers.float_arrays import Array


def homogeneous(network: AffineNetwork) -> AffineNetwork:
    """Return the network with one more input, the last one, that stands for 1.

    Raises `NotJustified` if an activation is not piecewise linear with its bend at zero.

    >>> from lumpability import Network
    >>> from lumpability.networks.difference import affine_layers
    >>> network = homogeneous(affine_layers(Network.dense([([[2]], [3], "relu"), ([[1]], [1], None)])))
    >>> network(np.array([[1.0, 1.0], [2.0, 2.0], [1.0, 0.0]])).tolist()
    [[6.0], [12.0], [2.0]]
    """
    last = len(network.layers)
    layers = [
        _carrying(layer, carries=number < last)
        for number, layer in enumerate(network.layers, start=1)
    ]
    return AffineNetwork(network.inputs + 1, tuple(layers))


def homogeneous_box(inputs: int) -> tuple[Array, Array]:
    """Return the box [-1, 1]^n x [0, 1] for n inputs."""
    return np.append(-np.ones(inputs), 0.0), np.ones(inputs + 1)


def homogeneous_lift(lift: Lift) -> Lift:
    """Return the lift with the carried unit, whose constants are multiplied by it."""
    if lift.matrix is None and not lift.shift.any():
        return Lift.identity(len(lift.shift) + 1)
    units = len(lift.shift)
    full = np.zeros((len(lift.full) + 1, units + 1))
    full[:-1, :-1], full[-1, :-1], full[-1, -1] = lift.full, lift.shift, 1.0
    return Lift(full, np.zeros(units + 1))


def _carrying(layer: AffineLayer, *, carries: bool) -> AffineLayer:
    if layer.slopes is None:
        raise NotJustified(
            f"no bound for all inputs with the activation {layer.activation.name}: give a region"
        )
    matrices = tuple(
        _extended(matrix, layer.bias if place == 0 else None, carries=carries)
        for place, matrix in enumerate(layer.matrices)
    )
    more = np.ones(1) if carries else np.ones(0)
    return replace(
        layer,
        matrices=matrices,
        bias=np.zeros(layer.units + len(more)),
        slopes=np.concatenate([layer.slopes, more]),
        bias_error=None
        if layer.bias_error is None
        else np.concatenate([layer.bias_error, 0 * more]),
    )


def _extended(matrix: Matrix, bias: Array | None, *, carries: bool) -> Array:
    rows, columns = matrix.shape
    full = np.zeros((rows + 1, columns + carries))
    full[:rows, :columns] = as_dense(matrix)
    if bias is not None:
        full[rows, :columns] = bias
        if carries:
            full[rows, columns] = 1.0
    return full

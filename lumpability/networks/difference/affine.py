"""A network as affine layers with elementwise activations, for bounds.

Numbers of an input are counted in C order without the batch axis.  Unit j of layer i computes

    h_i = act(z_i),    z_i = sum over sources s of h_s W_{s,i} + b_i,    h_0 = the input,

as row vectors.  A chain has one source for each layer, the layer before it; a residual join adds sources, a
concatenation gives each source its own columns.  Convolutions are unrolled, reshapes move indices, and a maximum
is max(a, b) = a + relu(b - a).  Stored weights are float64 copies of the stored numbers, hence exact.  Batch
normalisation, division and averages round: `AffineLayer.relative` and `bias_error` bound what they change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.errors import NotJustified
from lumpability.networks.activations import Activation, activation
from lumpability.numbers.float_arrays import Array

Matrix = Any
"""A float64 array or a scipy sparse array, shape (units of the source, units of the layer)."""

IDENTITY = activation("identity")


@dataclass(frozen=True, eq=False)
class AffineLayer:
    """One affine map with its activation.

    Attributes
    ----------
    sources : tuple of int
        Layers that are read, by their number; 0 is the input, and layer i of the list is number i + 1.
    matrices : tuple of Matrix
        One for each source, shape (units of the source, units).
    bias : float64 array, shape (units,)
    activation : Activation
        "identity" for none.
    slopes : float64 array, shape (units,), or None
        For piecewise linear activations the slope for negative numbers, between 0 and 1: act(z) is z for z >= 0
        and the slope times z otherwise.  0 for ReLU, 1 for the identity; None for other activations.
    relative : float
        Every weight meant differs from the float here by at most this share of it; 0 if weights are exact.
    bias_error : float64 array, shape (units,), or None
        Bounds how far the biases meant are from those here; None if they are exact.
    position : int or None
        The number of the `Dense` or `Conv` of `Network.layers`, or of the node of a graph, that it is made from.

    Examples
    --------
    >>> layer = AffineLayer((0,), (np.array([[1.0, -1.0]]),), np.zeros(2))
    >>> layer.units, layer.weight.tolist()
    (2, [[1.0, -1.0]])
    """

    sources: tuple[int, ...]
    matrices: tuple[Matrix, ...]
    bias: Array
    activation: Activation = IDENTITY
    slopes: Array | None = None
    relative: float = 0.0
    bias_error: Array | None = None
    position: int | None = None

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.bias)

    @property
    def terms(self) -> Iterator[tuple[int, Matrix]]:
        """Each source with its matrix."""
        return zip(self.sources, self.matrices, strict=True)

    @cached_property
    def sizes(self) -> tuple[Matrix, ...]:
        """The absolute values of the matrices."""
        return tuple(abs(matrix) for matrix in self.matrices)

    @property
    def weight(self) -> Array:
        """The weights as one array, of a layer that reads only one other."""
        if len(self.matrices) != 1:
            raise NotJustified("the layer adds several others: it has no single matrix of weights")
        (matrix,) = self.matrices
        return as_dense(matrix)


@dataclass(frozen=True, eq=False)
class AffineNetwork:
    """Affine layers in an order in which every layer follows those that it reads.

    Attributes
    ----------
    inputs : int
        How many numbers an input has.
    layers : tuple of AffineLayer
        The last one is the output.

    Examples
    --------
    >>> from lumpability import Network
    >>> from lumpability.networks.difference import affine_layers
    >>> found = affine_layers(Network.dense([([[1, 2]], None, "relu"), ([[1], [-1]], [3], None)]))
    >>> found.inputs, [layer.units for layer in found.layers], found(np.array([[1.0]])).tolist()
    (1, [2, 1], [[2.0]])
    """

    inputs: int
    layers: tuple[AffineLayer, ...]

    @property
    def outputs(self) -> int:
        """How many numbers an output has."""
        return self.layers[-1].units

    @property
    def is_chain(self) -> bool:
        """Whether every layer reads the one before it and no other."""
        return all(layer.sources == (number,) for number, layer in enumerate(self.layers))

    def __call__(self, x: Array) -> Array:
        """Evaluate in float64, for inputs of shape (points, inputs)."""
        return self.values(x)[-1][1]

    def values(self, x: Array) -> list[tuple[Array, Array]]:
        """Return the arguments and the values of every layer, those of the input first."""
        start = np.asarray(x, dtype=np.float64)
        found = [(start, start)]
        for layer in self.layers:
            total = sum(found[s][1] @ matrix for s, matrix in layer.terms) + layer.bias
            found.append((total, apply_activation(layer, total)))
        return found


def added(terms: dict[int, Any], source: int, part: Any) -> None:
    """Add coefficients of the values of a layer to those that are there."""
    terms[source] = terms[source] + part if source in terms else part


def as_dense(matrix: Matrix) -> Array:
    """Return a matrix as an array."""
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)


def apply_activation(layer: AffineLayer, values: Array) -> Array:
    """Return the activation of a layer at values, shape (..., units), in float64."""
    if layer.slopes is not None:
        return np.where(values >= 0, values, layer.slopes * values)
    return layer.activation(values)


def negative_slopes(function: Activation, units: int) -> Array | None:
    """Return the slopes of a piecewise linear activation for negative numbers; None for other activations.

    Raises `NotJustified` for an activation that is not monotone or steeper than 1.
    """
    if function.name == "identity":
        return np.ones(units)
    if function.name == "relu":
        return np.zeros(units)
    if function.name == "leaky_relu":
        slope = function.parameters["alpha"]
        if not 0 <= slope <= 1:
            raise NotJustified(
                f"no bound for a leaky ReLU of slope {slope:g}: supported are slopes between 0 and 1"
            )
        return np.full(units, slope)
    if function.name not in _MONOTONE or (
        function.name == "elu" and not 0 <= function.parameters["alpha"] <= 1
    ):
        raise NotJustified(
            f"no bound for the activation {function.name}: it is not known to be monotone with slopes of "
            "at most 1"
        )
    return None


_MONOTONE = frozenset(["tanh", "softsign", "atan", "sigmoid", "softplus", "elu", "clip"])
"""Activations that are monotone, with slopes of at most 1, and not of the ReLU family."""

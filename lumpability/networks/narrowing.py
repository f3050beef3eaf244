"""The quotient network: the same layers over the classes that stay.

W^ is the aggregated weight matrix restricted to the live classes of rows and to one column for each live
class, divided by the class's scale; what follows a weight matrix keeps the parameters of first members.
New weights are exact numbers; they are rounded to the stored type only where that type cannot hold them,
and every such change is counted and kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.arrays import Array, round_to
from lumpability.networks.elementwise import PReLU, Scale, Shift
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer, Shape
from lumpability.networks.merging import MergedStage
from lumpability.networks.network import Network
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.shaping import Reshape, ShapeLayer
from lumpability.networks.units import Units, fixed

__all__ = ["NewWeights", "Rounding", "quotient_network"]


@dataclass(frozen=True)
class Rounding:
    """Which new weights the stored type cannot hold.

    Attributes
    ----------
    weights : int
        Weights of the quotient.
    rounded : int
        Those that had to be rounded.
    largest : Fraction
        Largest absolute change.
    """

    weights: int = 0
    rounded: int = 0
    largest: Fraction = Fraction(0)

    def __add__(self, other: Rounding) -> Rounding:
        return Rounding(
            self.weights + other.weights,
            self.rounded + other.rounded,
            max(self.largest, other.largest),
        )

    def __str__(self) -> str:
        if not self.rounded:
            return f"all {self.weights} weights of the quotient are exact"
        return (
            f"{self.rounded} of {self.weights} weights of the quotient were rounded, by at most "
            f"{float(self.largest):.3g}"
        )


@dataclass(frozen=True, eq=False)
class NewWeights:
    """The exact weights of one stage of the quotient.

    Attributes
    ----------
    matrix : exact array, shape (row classes, classes)
        W^: live row classes of the layer below, live classes of this one.
    bias : exact array, shape (classes,), or None
        b^; None if the layer had none and needs none.
    """

    matrix: Array
    bias: Array | None


def quotient_network(
    network: Network, merged: Sequence[MergedStage], dtype: Any = None
) -> tuple[Network, tuple[NewWeights, ...], Rounding]:
    """Return the quotient, its exact weights by stage, and what rounding changed.

    Parameters
    ----------
    network : Network
    merged : sequence of MergedStage
    dtype : numpy float type, optional
        Of the new weights; the stored type of each layer by default.
    """
    layers = list(network.layers)
    rounding = Rounding()
    exact: list[NewWeights] = []
    below: MergedStage | None = None
    fewer: Units | None = None
    shape = network.input_shape
    position = 0
    for one in merged:
        while position < one.stage.position:  # layers outside stages stay as they are
            shape = layers[position].output_shape(shape)
            position += 1
        weights = _new_weights(one, below if one.stage.open else None)
        layer, change = _rounded_layer(one, weights, dtype)
        if one.stage.open and fewer is not None:
            layer = _in_order(layer, fewer)
        rounding += change
        exact.append(weights)
        layers[position] = layer
        units = Units.of_layer(one.stage.layer, network.shapes[position + 1])
        shape = layer.output_shape(shape)
        fewer = Units.of_layer(layer, shape)
        position += 1
        kept = one.partition.representatives[one.kept if one.live.any() else [0]]
        for number in one.stage.after:
            layers[number] = _narrowed(network.layers[number], units, fewer, kept)
            shape = layers[number].output_shape(shape)
            units = _moved(network.layers[number], units, network.shapes[number + 1])
            fewer = _moved(layers[number], fewer, shape)
            position = number + 1
        below = one
    made = replace(network, layers=tuple(layers))
    return (made if dtype is None else _cast(made, dtype)), tuple(exact), rounding


def _new_weights(one: MergedStage, below: MergedStage | None) -> NewWeights:
    rows = np.arange(one.summed.classes)
    if below is not None:
        rows = below.row_classes(below.kept).ravel()
    columns = one.partition.representatives[one.kept]
    bias = one.summed.bias[columns]
    has_bias = one.stage.layer.bias is not None or bool(np.any(bias != 0))
    if _is_everything(one, rows, columns):
        matrix = one.summed.matrix
    else:
        matrix = one.summed.entries(rows, columns)
        scale = one.scale[one.kept]
        matrix, bias = _divided(matrix, scale), _divided(bias, scale)
    return NewWeights(matrix, bias if has_bias else None)


def _is_everything(one: MergedStage, rows: Array, columns: Array) -> bool:
    """Whether the stored matrix itself is the new one."""
    shape = one.summed.matrix.shape
    return (
        (len(rows), len(columns)) == shape
        and one.summed.incoming.is_plain
        and all(scale == 1 for scale in one.scale.tolist())
    )


def _divided(values: Array, scale: Array) -> Array:
    """Divide columns by their scales, exactly: a scale divides every number of its column."""
    plain = [factor == 1 for factor in scale.tolist()]
    if all(plain):
        return values
    if values.dtype == object:
        return np.asarray(values / scale, dtype=object)
    # The quotient is exact, so correctly rounded division gives it.
    by = np.array([float(factor) for factor in scale.tolist()])
    return np.asarray(values.astype(np.float64) / by)


def _rounded_layer(
    one: MergedStage, weights: NewWeights, dtype: Any
) -> tuple[Dense | Conv, Rounding]:
    layer = one.stage.layer
    stored = layer.weight.dtype if dtype is None else np.dtype(dtype)
    if weights.matrix is one.summed.matrix and stored == layer.weight.dtype:
        matrix, changed = weights.matrix, np.empty(0, dtype=object)
    else:
        matrix, changed = round_to(weights.matrix, stored)
    bias = None
    if weights.bias is not None:
        kind = stored if dtype is not None or layer.bias is None else layer.bias.dtype
        bias, also = round_to(weights.bias, kind)
        changed = np.concatenate([changed, also])
    size = matrix.size + (0 if bias is None else bias.size)
    rounding = Rounding(size, len(changed), max(changed.tolist(), default=Fraction(0)))
    matrix, bias = _not_empty(matrix, bias, layer)
    if isinstance(layer, Dense):
        return Dense(matrix, bias), rounding
    kernel = layer.weight.shape[2:]
    return replace(
        layer, weight=matrix.T.reshape(matrix.shape[1], -1, *kernel), bias=bias
    ), rounding


def _in_order(layer: Dense | Conv, units: Units) -> Dense | Conv:
    """Move the rows of a weight, which go class by class, to where the units arrive."""
    rows = units.rows_of_weight(layer)
    assert rows is not None
    places = rows.ravel()
    if np.array_equal(places, np.arange(len(places))):
        return layer
    matrix = layer.weight if isinstance(layer, Dense) else layer.weight.reshape(layer.units, -1).T
    moved = np.empty_like(matrix)
    moved[places] = matrix
    if isinstance(layer, Dense):
        return Dense(moved, layer.bias)
    return replace(layer, weight=moved.T.reshape(layer.weight.shape))


def _not_empty(
    matrix: Array, bias: Array | None, layer: Dense | Conv
) -> tuple[Array, Array | None]:
    """Give a layer without units or inputs one that is zero: formats know no empty axes."""
    if matrix.shape[1] == 0:
        matrix = np.zeros((max(matrix.shape[0], 1), 1), dtype=matrix.dtype)
        bias = None if bias is None else np.zeros(1, dtype=bias.dtype)
    if matrix.shape[0] == 0:
        taps = 1 if isinstance(layer, Dense) else math.prod(layer.weight.shape[2:])
        matrix = np.zeros((taps, matrix.shape[1]), dtype=matrix.dtype)
    return matrix, bias


def _narrowed(layer: Layer, units: Units, fewer: Units, kept: Array) -> Layer:
    """Return a layer after the weights with the parameters of the kept units only."""
    if len(kept) == units.count:
        return layer
    if isinstance(layer, BatchNorm):
        parts = {name: values[kept] for name, values in layer.parameters.items()}
        return BatchNorm(**parts, epsilon=layer.epsilon)
    if isinstance(layer, PReLU):
        return PReLU(_taken(layer.slope, units, fewer, kept))
    if isinstance(layer, Shift):
        return Shift(_taken(layer.value, units, fewer, kept))
    if isinstance(layer, Scale):
        return Scale(_taken(layer.value, units, fewer, kept), layer.divide)
    if isinstance(layer, Reshape):
        axes = units.moved(layer).axes()
        target = list(layer.target)
        for axis in axes:
            if target[axis] > 0:
                target[axis] = target[axis] // units.count * len(kept)
        return Reshape(tuple(target))
    return layer


def _taken(values: Array, units: Units, fewer: Units, kept: Array) -> Array:
    """Return a broadcast constant over the kept units, in the form it had."""
    if values.size == 1:
        return values
    full = fewer.of_units(units.by_unit(values)[kept])
    form = (1,) * (full.ndim - values.ndim) + values.shape
    # Where the constant was spread over an axis it is the same all along it.
    narrow = full[tuple(slice(0, 1) if size == 1 else slice(None) for size in form)]
    return narrow.reshape(narrow.shape[full.ndim - values.ndim :])


def _moved(layer: Layer, units: Units, shape: Shape) -> Units:
    if isinstance(layer, ShapeLayer):
        return units.moved(layer)
    if isinstance(layer, MaxPool | AveragePool | GlobalPool):
        return Units.along(fixed(shape), 1)
    return units


def _cast(network: Network, dtype: Any) -> Network:
    """Return the network with every stored constant in another float type."""
    layers = []
    for layer in network.layers:
        fields = {
            name: values.astype(dtype)
            for name, values in layer.parameters.items()
            if name in layer.__dict__
        }
        layers.append(replace(layer, **fields) if fields else layer)  # type: ignore[type-var]
    return replace(network, layers=tuple(layers), dtype=dtype)

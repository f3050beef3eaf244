"""The quotient network: the same layers over the classes that stay.

W^ is the aggregated weight matrix, restricted to the live classes of rows and to one column for each live class,
divided by the class's scale.  The layers after a weight matrix keep the parameters of first members.
If units of opposite sign share a class, its pre-activation skips the activation: the activation and the next
weights W^ become one branch of a `Join`, and the weights S of the skip the other branch.
New weights are exact numbers.  They are rounded only if the stored type cannot hold them, and every such
change is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.bound_claims import NewWeights
from lumpability.networks.elementwise import PReLU, Scale, Shift
from lumpability.networks.joins import Join, Opaque
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer
from lumpability.networks.merging import MergedStage
from lumpability.networks.network import Network
from lumpability.networks.reshape import Reshape, ShapeLayer
from lumpability.networks.unit_layout import Units
from lumpability.numbers.float_arrays import Array, round_to, varying_axes


@dataclass(frozen=True)
class Rounding:
    """The new weights that the stored type cannot hold.

    Attributes
    ----------
    weights : int
        Weights of the quotient.
    rounded : int
        Those that had to be rounded.
    largest : Fraction
        Largest absolute change.

    Examples
    --------
    >>> print(Rounding(10) + Rounding(6, 1, Fraction(1, 8)))
    1 of 16 weights of the quotient were rounded, by at most 0.125
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


def quotient_network(
    network: Network, merged: Sequence[MergedStage], dtype: Any = None
) -> tuple[Network, tuple[NewWeights, ...], Rounding]:
    """Return the quotient, its exact weights by stage, and the changes by rounding.

    - dtype: of the new weights; the stored type of each layer by default
    """
    layers: list[Layer] = list(network.layers)
    skips: dict[int, tuple[MergedStage, Layer]] = {}
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
        below = below if one.stage.open else None
        weights = one.weights()
        layer, change = _rounded_layer(one, weights, below, dtype)
        rounding += change
        if below is not None and fewer is not None:
            layer = _in_order(layer, fewer)
            if weights.skip is not None:
                skip, change = _rounded_layer(one, NewWeights(weights.skip, None), below, dtype)
                skips[position] = (below, _in_order(skip, fewer))
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
            units = units.through(network.layers[number], network.shapes[number + 1])
            fewer = fewer.through(layers[number], shape)
            position = number + 1
        below = one
    if dtype is not None:
        layers, change = _cast(layers, dtype)
        rounding += change
    left = _joined(_without_placeholders(layers, merged, network), skips)
    kind = network.dtype if dtype is None else dtype
    return replace(network, layers=left, dtype=kind), tuple(exact), rounding


def _joined(
    layers: list[Layer | None], skips: dict[int, tuple[MergedStage, Layer]]
) -> tuple[Layer, ...]:
    """Replace activation, weights and skip by one join each; other layers stay."""
    for position, (below, skip) in skips.items():
        main = [layers[number] for number in (*below.stage.after, position)]
        present = [layer for layer in main if layer is not None]
        moves = [layer for layer in present if isinstance(layer, ShapeLayer)]
        for number in below.stage.after:
            layers[number] = None
        layers[position] = Join((tuple(present), (*moves, skip)))
    return tuple(layer for layer in layers if layer is not None)


def _rounded_layer(
    one: MergedStage, weights: NewWeights, below: MergedStage | None, dtype: Any
) -> tuple[Dense | Conv, Rounding]:
    layer = one.stage.layer
    stored = layer.weight.dtype if dtype is None else np.dtype(dtype)
    if weights.matrix is one.summed.matrix and stored == layer.weight.dtype:
        matrix, changed = weights.matrix, np.empty(0, dtype=object)
    else:
        matrix, changed = _fitted(weights.matrix, stored, one)
    bias = None
    if weights.bias is not None:
        kind = stored if dtype is not None or layer.bias is None else layer.bias.dtype
        bias, also = _fitted(weights.bias, kind, one)
        changed = np.concatenate([changed, also])
    size = matrix.size + (0 if bias is None else bias.size)
    rounding = Rounding(size, len(changed), max(changed.tolist(), default=Fraction(0)))
    matrix, bias = _not_empty(matrix, bias, below)
    return layer.with_matrix(matrix, bias), rounding


def _fitted(values: Array, dtype: Any, one: MergedStage) -> tuple[Array, Array]:
    """Round new weights; refuse those that are larger than all numbers of the type."""
    rounded, changed = round_to(values, dtype)
    if not np.isfinite(rounded).all():
        place = f"layer {one.stage.position}"
        wider = (
            "divide its weights, or those of the layer below, by a power of two"
            if np.dtype(dtype).itemsize >= 8
            else "give dtype='float64'"
        )
        raise NotJustified(
            f"{place}: weights of merged neurons add up to more than {np.dtype(dtype)} can hold: {wider}, or keep "
            "these neurons apart with within=...",
            stage=one,
            too_large=~np.isfinite(rounded),
        )
    return rounded, changed


def _in_order(layer: Dense | Conv, units: Units) -> Dense | Conv:
    """Move the rows of a weight from the order of classes to the order in which the units arrive."""
    rows = units.rows_of_weight(layer)
    assert rows is not None
    places = rows.ravel()
    if np.array_equal(places, np.arange(len(places))):
        return layer
    moved = np.empty_like(layer.matrix)
    moved[places] = layer.matrix
    return layer.with_matrix(moved, layer.bias)


def _not_empty(
    matrix: Array, bias: Array | None, below: MergedStage | None
) -> tuple[Array, Array | None]:
    """Give a layer without units or inputs a single zero one, because formats have no empty axes."""
    if matrix.shape[1] == 0:
        matrix = np.zeros((matrix.shape[0], 1), dtype=matrix.dtype)
        bias = None if bias is None else np.zeros(1, dtype=bias.dtype)
    if matrix.shape[0] == 0 and below is not None and below.stage.rows is not None:
        # The unit that the layer below keeps has as many rows as any other.
        matrix = np.zeros((below.stage.rows.shape[1], matrix.shape[1]), dtype=matrix.dtype)
    return matrix, bias


def _narrowed(layer: Layer, units: Units, fewer: Units, kept: Array) -> Layer:
    """Return a layer after the weights with the parameters of the kept units only."""
    if len(kept) == units.count:
        return layer
    if isinstance(layer, BatchNorm):
        parts = {name: values[kept] for name, values in layer.parameters.items()}
        return BatchNorm(**parts, epsilon=layer.epsilon)
    if isinstance(layer, Conv):  # depthwise
        bias = None if layer.bias is None else layer.bias[kept]
        return replace(layer, weight=layer.weight[kept], bias=bias, groups=len(kept))
    if isinstance(layer, PReLU | Shift | Scale):
        ((name, values),) = layer.parameters.items()
        taken: dict[str, Any] = {name: _taken(values, units, fewer, kept)}
        return replace(layer, **taken)
    if isinstance(layer, Reshape):
        target = list(layer.target)
        for axis in varying_axes(units.moved(layer).unit):
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
    # Along an axis over which the constant was broadcast, all its entries are equal.
    narrow = full[tuple(slice(0, 1) if size == 1 else slice(None) for size in form)]
    return narrow.reshape(narrow.shape[full.ndim - values.ndim :])


def _cast(layers: list[Layer], dtype: Any) -> tuple[list[Layer], Rounding]:
    """Return layers with every stored constant in another float type, and the changes by rounding."""
    result: list[Layer] = []
    rounding = Rounding()
    for layer in layers:
        fields: dict[str, Any] = {}
        if isinstance(layer, Opaque) and any(
            values.dtype.kind == "f" and values.dtype != dtype
            for values in layer.parameters.values()
        ):
            raise InvalidInput(
                f"layer {layer.title!r} is not understood, so its constants cannot become {dtype}: keep "
                "the stored type"
            )
        if isinstance(layer, Join):
            branches = [_cast(list(branch), dtype) for branch in layer.branches]
            fields["branches"] = tuple(tuple(branch) for branch, _ in branches)
            rounding += sum((change for _, change in branches), Rounding())
        for name, values in layer.parameters.items():
            if name in vars(layer):
                fields[name], changed = round_to(values, dtype)
                size = 0 if values.dtype == dtype else values.size  # others have been counted
                rounding += Rounding(size, len(changed), max(changed.tolist(), default=Fraction(0)))
        result.append(replace(layer, **fields) if fields else layer)  # type: ignore[type-var]
    return result, rounding


def _without_placeholders(
    layers: Sequence[Layer], merged: Sequence[MergedStage], network: Network
) -> list[Layer | None]:
    """Return the quotient's layers, with None for those below an empty one if they are all dense.

    If no unit of a layer stays, no layer above depends on the input.  In a chain of dense layers, one dense layer
    with zero weights and the constant as bias then replaces everything up to the next one.  In other networks
    the layer keeps a single zero unit, because formats have no empty axes.
    """
    result: list[Layer | None] = list(layers)
    empty = [i for i, one in enumerate(merged) if not one.live.any()]
    if not empty:
        return result
    last = empty[-1] + 1  # the stage that reads nothing
    first = last
    while merged[first].stage.open:
        first -= 1
    low, high = merged[first].stage.position, merged[last].stage.position
    before, after = layers[low], layers[high]
    others = {shape[:-1] for shape in network.shapes[low : high + 2]}
    if not all(isinstance(one.stage.layer, Dense) for one in merged[first : last + 1]):
        return result
    if len(others) != 1 or not isinstance(before, Dense) or not isinstance(after, Dense):
        return result
    zero = np.zeros((before.weight.shape[0], after.units), dtype=after.weight.dtype)
    result[low:high] = [None] * (high - low)
    result[high] = replace(after, weight=zero)
    return result

"""Affine layers appended one by one, for what the layers of a network or the nodes of a graph compute.

`Value` says which unit of which affine layer each number of an array is; layers that move numbers permute it, and
layers with weights append an affine layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from lumpability.errors import NotJustified
from lumpability.networks.activations import Activation
from lumpability.networks.difference.affine import (
    IDENTITY,
    AffineLayer,
    AffineNetwork,
    Matrix,
    as_dense,
    negative_slopes,
)
from lumpability.networks.difference.folding import proved_fold, proved_reciprocals
from lumpability.networks.elementwise import Activate, Constant, PReLU, Scale, Shift
from lumpability.networks.joins import Join
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer, pad_spatial, windows
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import ShapeLayer
from lumpability.numbers.float_arrays import Array

_ULP = 2.0**-52
_SPARSE = 1 << 20
"""Matrices of more entries than this are stored sparse if fewer than one in ten is not zero."""


@dataclass(frozen=True, eq=False)
class Value:
    """Numbers that are units of one affine layer, in the shape of the array that holds them."""

    layer: int
    numbers: Array

    @property
    def flat(self) -> Array:
        """The units in C order."""
        return self.numbers.ravel()


class Builder:
    """The affine layers made so far.

    - inputs: how many numbers an input has
    """

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.layers: list[AffineLayer] = []
        self.shared: set[int] = (
            set()
        )  # layers that have a reader already, or that two branches read

    def network(self, value: Value) -> AffineNetwork:
        """Return the network that computes a value."""
        in_order = np.array_equal(value.flat, np.arange(self.units(value.layer)))
        if value.layer != len(self.layers) or not in_order or not self.layers:
            value = self.append([(value, None)], value.numbers.shape)
        return AffineNetwork(self.inputs, tuple(self.layers))

    def units(self, layer: int) -> int:
        """Return the number of units of a layer, 0 for the input."""
        return self.layers[layer - 1].units if layer else self.inputs

    def append(
        self,
        terms: list[tuple[Value, Matrix | None]],
        shape: tuple[int, ...],
        bias: Array | None = None,
        **more: Any,
    ) -> Value:
        """Append the layer that adds values times matrices; None is the identity.

        Each matrix has a row for each number of its value, in C order.
        """
        size = math.prod(shape)
        sources, matrices = [], []
        for term, matrix in terms:
            # Rows of one number that is read twice would be added, which rounds: it is copied first.
            copied = matrix is not None and np.unique(term.flat).size < term.flat.size
            value = self.append([(term, None)], term.numbers.shape) if copied else term
            self.shared.add(value.layer)
            sources.append(value.layer)
            matrices.append(self._rows_of_units(value, matrix))
        known = np.zeros(size) if bias is None else np.asarray(bias, dtype=np.float64)
        more.setdefault("slopes", np.ones(size))
        self.layers.append(AffineLayer(tuple(sources), tuple(matrices), known, **more))
        return Value(len(self.layers), np.arange(size).reshape(shape))

    def _rows_of_units(self, value: Value, matrix: Matrix | None) -> Matrix:
        """Return the matrix with a row for each unit of the layer, those without a number zero."""
        units, flat = self.units(value.layer), value.flat
        if matrix is None:
            matrix = sparse.csr_array(sparse.eye_array(flat.size))
        if units == flat.size and np.array_equal(flat, np.arange(units)):
            return _stored(matrix)
        place: Any = sparse.csr_array(
            (np.ones(flat.size), (flat, np.arange(flat.size))), shape=(units, flat.size)
        )
        if not sparse.issparse(matrix):
            rows = np.zeros((units, matrix.shape[1]))
            rows[flat] = matrix
            return _stored(rows)
        return _stored(place @ matrix)

    def follow(self, layer: Layer, value: Value, position: int | None = None) -> Value:
        """Return the value after a layer, or raise `NotJustified`."""
        if isinstance(layer, ShapeLayer):
            return Value(value.layer, layer(value.numbers))
        if isinstance(layer, Activate):
            return self.activated(value, layer.function)
        if isinstance(layer, PReLU):
            slopes = np.broadcast_to(layer.slope, value.numbers.shape).astype(np.float64)
            if np.any(slopes < 0) or np.any(slopes > 1):
                raise NotJustified("no bound for a PReLU with a slope below 0 or above 1")
            return self.activated(value, Activate("leaky_relu").function, slopes.ravel())
        if isinstance(layer, Dense):
            return self._dense(layer, value, position)
        if isinstance(layer, Conv):
            return self._convolved(layer, value, position)
        if isinstance(layer, BatchNorm):
            return self._normalised(layer, value)
        if isinstance(layer, Shift):
            shift = np.broadcast_to(layer.value, value.numbers.shape).astype(np.float64)
            return self.shifted(value, shift)
        if isinstance(layer, Scale):
            factor = np.broadcast_to(layer.value, value.numbers.shape).astype(np.float64)
            by = proved_reciprocals(factor, _ULP) if layer.divide else factor
            return self.scaled(value, by, relative=_ULP * layer.divide)
        if isinstance(layer, AveragePool | GlobalPool | MaxPool):
            return self._pooled(layer, value)
        if isinstance(layer, Join):
            return self._joined(layer, value)
        if isinstance(layer, Constant):
            return self.constant(layer.value)
        raise NotJustified(f"no bound for {layer.title}: it is no affine map, ReLU or pooling")

    def activated(self, value: Value, function: Activation, slopes: Array | None = None) -> Value:
        """Return the value after an activation; `slopes` are those of a PReLU."""
        if function.name == "identity":
            return value
        own = self.layers[value.layer - 1] if value.layer else None
        alone = own is not None and value.layer not in self.shared and own.activation is IDENTITY
        whole = np.array_equal(np.sort(value.flat), np.arange(self.units(value.layer)))
        if not (alone and whole):
            value = self.append([(value, None)], value.numbers.shape)
        units = self.units(value.layer)
        if slopes is None:
            slopes = negative_slopes(function, units)
        else:
            ordered = np.empty(units)
            ordered[value.flat] = slopes
            slopes = ordered
        place = value.layer - 1
        self.layers[place] = replace(self.layers[place], activation=function, slopes=slopes)
        return value

    def shifted(self, value: Value, shift: Array) -> Value:
        """Return the value plus shifts in its shape; they become the biases of a layer that has none."""
        own, flat = self.layers[value.layer - 1] if value.layer else None, value.flat
        if own is None or value.layer in self.shared or own.activation is not IDENTITY:
            return self.scaled(value, np.ones(shift.shape), shift)
        whole = np.array_equal(np.sort(flat), np.arange(own.units))
        if own.bias.any() or own.bias_error is not None or not whole:
            return self.scaled(value, np.ones(shift.shape), shift)
        bias = np.zeros(own.units)
        bias[flat] = shift.ravel()
        self.layers[value.layer - 1] = replace(own, bias=bias)
        return value

    def scaled(
        self,
        value: Value,
        factor: Array,
        shift: Array | None = None,
        *,
        relative: float = 0.0,
        shift_error: Array | None = None,
    ) -> Value:
        """Return the value times factors plus shifts, each in the shape of the value."""
        matrix = sparse.csr_array(sparse.diags_array(factor.ravel()))
        return self.append(
            [(value, matrix)],
            value.numbers.shape,
            None if shift is None else shift.ravel(),
            relative=relative,
            bias_error=None if shift_error is None else shift_error.ravel(),
        )

    def _dense(self, layer: Dense, value: Value, position: int | None) -> Value:
        units, copies = layer.units, math.prod(value.numbers.shape[:-1])
        weight = layer.weight.astype(np.float64)
        matrix = weight if copies == 1 else sparse.kron(sparse.eye_array(copies), weight, "csr")
        bias = None if layer.bias is None else np.tile(layer.bias.astype(np.float64), copies)
        shape = (*value.numbers.shape[:-1], units)
        return self.append([(value, matrix)], shape, bias, position=position)

    def _convolved(self, layer: Conv, value: Value, position: int | None) -> Value:
        shape = value.numbers.shape
        places = np.arange(value.numbers.size).reshape(shape)
        found = windows(
            pad_spatial(places, layer.pads, -1),
            layer.weight.shape[2:],
            layer.strides,
            layer.dilations,
        )
        out = found.shape[2 : layer.weight.ndim]
        positions, spatial = math.prod(out), layer.weight.ndim - 2
        # Shape (channels in, taps, positions): the number that each tap reads.
        read = np.moveaxis(found[0].reshape(shape[1], positions, -1), 1, 2)
        share, width = layer.units // layer.groups, shape[1] // layer.groups
        weight = layer.weight.astype(np.float64).reshape(layer.units, width, -1)
        rows, columns, entries = [], [], []
        for unit in range(layer.units):
            first = unit // share * width
            rows.append(read[first : first + width].ravel())
            columns.append(
                np.broadcast_to(
                    unit * positions + np.arange(positions), (*weight.shape[1:], positions)
                ).ravel()
            )
            entries.append(np.repeat(weight[unit].ravel(), positions))
        row, column, entry = map(np.concatenate, (rows, columns, entries))
        kept = (row >= 0) & (entry != 0)
        matrix = sparse.csr_array(
            (entry[kept], (row[kept], column[kept])),
            shape=(value.numbers.size, layer.units * positions),
        )
        bias = None
        if layer.bias is not None:
            bias = np.repeat(layer.bias.astype(np.float64), positions)
        assert len(out) == spatial
        return self.append([(value, matrix)], (1, layer.units, *out), bias, position=position)

    def _normalised(self, layer: BatchNorm, value: Value) -> Value:
        scale, bias, mean, variance = (
            x.astype(np.float64) for x in (layer.scale, layer.bias, layer.mean, layer.variance)
        )
        factor = scale / np.sqrt(variance + layer.epsilon)
        shift = bias - mean * factor
        error = 8 * _ULP * (np.abs(bias) + np.abs(mean * factor)) + 1e-300
        proved_fold((scale, bias, mean, variance, layer.epsilon), (factor, shift, error), 4 * _ULP)
        along = (1, layer.units, *(1,) * (value.numbers.ndim - 2))
        full = [
            np.broadcast_to(x.reshape(along), value.numbers.shape) for x in (factor, shift, error)
        ]
        return self.scaled(value, full[0], full[1], relative=4 * _ULP, shift_error=full[2])

    def _pooled(self, layer: AveragePool | GlobalPool | MaxPool, value: Value) -> Value:
        if isinstance(layer, MaxPool) or (isinstance(layer, GlobalPool) and layer.maximum):
            return self._maximum(layer, value)
        found = layer.window_numbers(value.numbers.shape)
        shape = found.shape[:-1]
        taps = found.reshape(-1, found.shape[-1])
        count = np.full(shape, float(taps.shape[1]))
        if isinstance(layer, AveragePool):
            count = np.broadcast_to(layer.counts(value.numbers), shape).astype(np.float64)
        columns = np.repeat(np.arange(len(taps)), taps.shape[1])
        entries = np.repeat(proved_reciprocals(count.ravel(), _ULP), taps.shape[1])
        kept = taps.ravel() >= 0
        matrix = sparse.csr_array(
            (entries[kept], (taps.ravel()[kept], columns[kept])),
            shape=(value.numbers.size, len(taps)),
        )
        return self.append([(value, matrix)], shape, relative=_ULP)

    def _maximum(self, layer: MaxPool | GlobalPool, value: Value) -> Value:
        """Return max(a, b) = a + relu(b - a), pair by pair."""
        found = layer.window_numbers(value.numbers.shape)
        shape = found.shape[:-1]
        taps = found.reshape(-1, found.shape[-1])
        # A window over the edge repeats one of its own numbers.
        own = np.take_along_axis(taps, taps.argmax(axis=1)[:, None], axis=1)
        taps = np.where(taps < 0, own, taps)
        current = value
        while taps.shape[1] > 1:
            pairs = taps.shape[1] // 2
            left, right, rest = taps[:, :pairs], taps[:, pairs : 2 * pairs], taps[:, 2 * pairs :]
            chosen = [_selection(current.numbers.size, x.ravel()) for x in (left, right)]
            gain = self.append([(current, chosen[1] - chosen[0])], (left.size,))
            gain = self.activated(gain, Activate("relu").function)
            base = _selection(current.numbers.size, np.concatenate([left.ravel(), rest.ravel()]))
            added = _selection(left.size, np.arange(left.size), columns=base.shape[1])
            current = self.append([(current, base), (gain, added)], (base.shape[1],))
            firsts = np.arange(left.size).reshape(left.shape)
            taps = np.concatenate(
                [firsts, left.size + np.arange(rest.size).reshape(rest.shape)], axis=1
            )
        return Value(current.layer, current.flat[taps[:, 0]].reshape(shape))

    def _joined(self, layer: Join, value: Value) -> Value:
        self.shared.add(value.layer)
        ends = []
        for branch in layer.branches:
            end = value
            for inner in branch:
                end = self.follow(inner, end)
            ends.append(end)
        return self.added(ends)

    def largest(self, first: Value, second: Value, *, sign: int = 1) -> Value:
        """Return the larger of two values of one shape number by number, for the sign -1 the smaller."""
        one = sparse.eye_array(first.flat.size)
        gain = self.append([(first, -sign * one), (second, sign * one)], first.numbers.shape)
        gain = self.activated(gain, Activate("relu").function)
        return self.append([(first, None), (gain, sign * one)], first.numbers.shape)

    def constant(self, values: Array) -> Value:
        """Return a layer that reads nothing of the input."""
        nothing = sparse.csr_array((self.inputs, values.size))
        inputs = Value(0, np.arange(self.inputs))
        return self.append([(inputs, nothing)], values.shape, values.ravel())

    def added(self, values: list[Value]) -> Value:
        """Return the sum of values of one shape."""
        return self.append([(value, None) for value in values], values[0].numbers.shape)


def _selection(rows: int, chosen: Array, *, columns: int | None = None) -> Matrix:
    """Return the 0-1 matrix whose column j selects row ``chosen[j]``."""
    width = len(chosen) if columns is None else columns
    ones = np.ones(len(chosen))
    return sparse.csr_array((ones, (chosen, np.arange(len(chosen)))), shape=(rows, width))


def _stored(matrix: Matrix) -> Matrix:
    """Return the matrix dense, or sparse if it is large and mostly zero."""
    if not hasattr(matrix, "nnz"):
        return matrix
    size = math.prod(matrix.shape)
    return matrix if size > _SPARSE and matrix.nnz * 10 < size else as_dense(matrix)

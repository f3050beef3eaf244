"""The positions of units: neurons and channels followed through the layers that move numbers.

A unit is a neuron of a dense layer or a channel of a convolution; its output may have many positions
(pixels).  Two integer arrays with the shape of the output hold, for every number, its unit and its position.
Flatten, Reshape and Transpose move them like the numbers themselves.  So they show which rows of the next
weight matrix belong to which unit.  If the units are mixed there, nothing may be merged or removed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lumpability.networks.layers import Conv, Dense, Layer, Shape
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import ShapeLayer
from lumpability.numbers.float_arrays import Array, varying_axes


def fixed(shape: Shape) -> tuple[int, ...]:
    """Return the shape with free sizes taken as one."""
    return tuple(1 if size is None else size for size in shape)


@dataclass(frozen=True, eq=False)
class Units:
    """The unit and the position of every number of an array.

    >>> from lumpability.networks.reshape import Flatten
    >>> units = Units.along((1, 2, 3), axis=1).moved(Flatten(1))
    >>> units.rows(axis=-1).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """

    count: int
    unit: Array
    position: Array

    @classmethod
    def along(cls, shape: Shape, axis: int) -> Units:
        """Number the units along an axis and the positions over the others."""
        sizes = fixed(shape)
        others = tuple(size for i, size in enumerate(sizes) if i != axis % len(sizes))
        unit_shape = [1] * len(sizes)
        unit_shape[axis] = sizes[axis]
        unit = np.arange(sizes[axis]).reshape(unit_shape)
        position = np.expand_dims(np.arange(int(np.prod(others))).reshape(others), axis)
        return cls(sizes[axis], np.broadcast_to(unit, sizes), np.broadcast_to(position, sizes))

    @classmethod
    def of_layer(cls, layer: Dense | Conv, shape: Shape) -> Units:
        """Number the units of a layer whose output has this shape."""
        return cls.along(shape, -1 if isinstance(layer, Dense) else 1)

    def moved(self, layer: ShapeLayer) -> Units:
        """Return the units after a layer that moves numbers."""
        return Units(self.count, layer(self.unit), layer(self.position))

    def through(self, layer: Layer, shape: Shape) -> Units:
        """Return the units after a layer that acts on each separately; its output has this shape."""
        if isinstance(layer, ShapeLayer):
            return self.moved(layer)
        if isinstance(layer, MaxPool | AveragePool | GlobalPool | Conv):
            return Units.along(shape, 1)
        return self

    def keeping(self, kept: Array) -> Units | None:
        """Return the array of some units only, ascending and renumbered; None if units are not slices.

        >>> Units.along((1, 3), axis=1).keeping(np.array([0, 2])).unit.tolist()
        [[0, 1]]
        """
        if len(kept) == self.count:
            return self
        axes = varying_axes(self.unit)
        if len(axes) != 1:
            return None
        (axis,) = axes
        along = np.moveaxis(self.unit, axis, 0).reshape(self.unit.shape[axis], -1)[:, 0]
        places = np.flatnonzero(np.isin(along, kept))
        number = np.zeros(self.count, dtype=np.int64)
        number[kept] = np.arange(len(kept))
        unit = number[np.take(self.unit, places, axis=axis)]
        return Units(len(kept), unit, np.take(self.position, places, axis=axis))

    def same_as(self, other: Units) -> bool:
        """Whether both arrays hold the same units at the same positions."""
        return np.array_equal(self.unit, other.unit) and np.array_equal(
            self.position, other.position
        )

    def by_unit(self, values: Array) -> Array:
        """Broadcast values against the array and return them as (units, positions)."""
        order = np.lexsort((self.position.ravel(), self.unit.ravel()))
        full = np.broadcast_to(values, self.unit.shape).ravel()[order]
        return np.asarray(full.reshape(self.count, -1))

    def of_units(self, values: Array) -> Array:
        """Return values given as (units, positions) in the shape of the array: undoes `by_unit`."""
        order = np.lexsort((self.position.ravel(), self.unit.ravel()))
        full = np.empty(self.unit.size, dtype=values.dtype)
        full[order] = values.ravel()
        return full.reshape(self.unit.shape)

    def rows(self, axis: int) -> Array | None:
        """Return the indices along an axis that belong to each unit, shape (units, k), or None.

        It is None if a unit is not a set of whole slices along that axis, or if the slices of different units
        do not hold the same positions in the same order.
        """
        last = self.unit.shape[axis]
        unit = np.moveaxis(self.unit, axis, -1).reshape(-1, last)
        position = np.moveaxis(self.position, axis, -1).reshape(-1, last)
        if last % max(self.count, 1) or len(unit) == 0 or np.any(unit != unit[0]):
            return None
        order = np.lexsort((position[0], unit[0])).reshape(self.count, -1)
        if np.any(unit[0][order] != np.arange(self.count)[:, None]):
            return None
        same = position[:, order]
        return None if np.any(same != same[:, :1]) else order

    def rows_of_weight(self, layer: Layer) -> Array | None:
        """Return the rows of the next weight matrix that read each unit, shape (units, k), or None.

        The matrix of a convolution has one row for each input channel and tap of the kernel.
        """
        if isinstance(layer, Dense):
            return self.rows(-1)
        if not isinstance(layer, Conv) or layer.groups != 1:
            return None
        channels = self.rows(1)
        if channels is None:
            return None
        taps = int(np.prod(layer.weight.shape[2:]))
        return (channels[:, :, None] * taps + np.arange(taps)).reshape(self.count, -1)

"""Layers that only move numbers: Flatten, Reshape, Transpose, Squeeze, Unsqueeze.

They commute with every layer that acts unit by unit.  `lumpability.networks.weight_stages` sends the numbers
of units through such a layer to find where the units are afterwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lumpability.errors import InvalidNetwork
from lumpability.networks.layers import Layer, Shape
from lumpability.numbers.float_arrays import Array


class ShapeLayer(Layer):
    """A layer that moves numbers without changing them."""


@dataclass(frozen=True, eq=False)
class Flatten(ShapeLayer):
    """Join the axes before `axis`, and those from it on: two axes remain.

    Examples
    --------
    >>> Flatten(1).output_shape((None, 3, 4, 4))
    (None, 48)
    """

    axis: int = 1

    def output_shape(self, shape: Shape) -> Shape:
        if not -len(shape) <= self.axis <= len(shape):
            raise InvalidNetwork(f"shape {list(shape)} has no axis {self.axis} to flatten from")
        axis = self.axis + len(shape) if self.axis < 0 else self.axis
        return (_product(shape[:axis]), _product(shape[axis:]))

    def __call__(self, x: Array) -> Array:
        first = math.prod(x.shape[: self.axis])
        return x.reshape(first, x.size // first if first else 0)


@dataclass(frozen=True, eq=False)
class Reshape(ShapeLayer):
    """Give the numbers another shape, in the same order.

    Attributes
    ----------
    target : tuple of int
        -1 (at most once) for the remaining size, 0 for the size of the input.

    Examples
    --------
    >>> Reshape((0, -1)).output_shape((None, 2, 3))
    (None, 6)
    """

    target: tuple[int, ...]

    def output_shape(self, shape: Shape) -> Shape:
        target = self._resolved(shape)
        if target.count(-1) > 1 or any(size is not None and size < -1 for size in target):
            raise InvalidNetwork(f"{list(self.target)} is not a shape: at most one -1")
        total = _product(shape)
        known = math.prod(size for size in target if size is not None and size != -1)
        free = target.count(None)
        if total is None and free == 1:
            total = math.prod(size for size in shape if size is not None)
            if shape.count(None) > 1:
                raise InvalidNetwork(f"cannot reshape {list(shape)} to {list(self.target)}")
        if total is None:
            # -1 takes the free size; a fixed target contradicts a free batch only at run time.
            return tuple(None if size == -1 else size for size in target)
        if (total % known if -1 in target and known else total != known) and known != total:
            raise InvalidNetwork(f"cannot reshape {list(shape)} to {list(self.target)}")
        return tuple(total // known if size == -1 else size for size in target)

    def _resolved(self, shape: Shape) -> tuple[int | None, ...]:
        if any(size == 0 and i >= len(shape) for i, size in enumerate(self.target)):
            raise InvalidNetwork(f"{list(self.target)} copies an axis that {list(shape)} lacks")
        return tuple(shape[i] if size == 0 else size for i, size in enumerate(self.target))

    def __call__(self, x: Array) -> Array:
        return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(self.target)])


@dataclass(frozen=True, eq=False)
class Transpose(ShapeLayer):
    """Permute the axes: axis i of the output is axis ``order[i]`` of the input."""

    order: tuple[int, ...]

    def output_shape(self, shape: Shape) -> Shape:
        if sorted(self.order) != list(range(len(shape))):
            raise InvalidNetwork(
                f"{list(self.order)} does not permute the axes of shape {list(shape)}"
            )
        return tuple(shape[axis] for axis in self.order)

    def __call__(self, x: Array) -> Array:
        return x.transpose(self.order)


@dataclass(frozen=True, eq=False)
class Squeeze(ShapeLayer):
    """Remove axes of size one (non-negative numbers)."""

    axes: tuple[int, ...]

    def output_shape(self, shape: Shape) -> Shape:
        for axis in self.axes:
            if not 0 <= axis < len(shape) or shape[axis] not in (1, None):
                raise InvalidNetwork(f"axis {axis} of shape {list(shape)} is not of size 1")
        return tuple(size for axis, size in enumerate(shape) if axis not in self.axes)

    def __call__(self, x: Array) -> Array:
        return np.squeeze(x, axis=self.axes)


@dataclass(frozen=True, eq=False)
class Unsqueeze(ShapeLayer):
    """Insert axes of size one, numbered as in the output."""

    axes: tuple[int, ...]

    def output_shape(self, shape: Shape) -> Shape:
        rank = len(shape) + len(self.axes)
        if any(not 0 <= axis < rank for axis in self.axes):
            raise InvalidNetwork(f"axes {list(self.axes)} do not fit {rank} axes")
        sizes = iter(shape)
        return tuple(1 if axis in self.axes else next(sizes) for axis in range(rank))

    def __call__(self, x: Array) -> Array:
        return np.expand_dims(x, self.axes)


def _product(shape: Shape) -> int | None:
    if None in shape:
        return None
    return math.prod(size for size in shape if size is not None)

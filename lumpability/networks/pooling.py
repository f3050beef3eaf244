"""Pooling over windows: maximum and average, channel by channel.

The maximum commutes with positive factors (max(c x) = c max(x) for c > 0), the average with all factors.
A constant channel stays constant, except under an average that counts padded zeros.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lumpability.errors import InvalidNetwork
from lumpability.networks.layers import (
    Layer,
    Shape,
    complete_windows,
    pad_spatial,
    window_counts,
    windows,
)
from lumpability.numbers.float_arrays import Array


@dataclass(frozen=True, eq=False)
class _Pool(Layer):
    """The base of both poolings: windows of a kernel along the spatial axes."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...] = ()
    pads: tuple[tuple[int, int], ...] = ()
    dilations: tuple[int, ...] = ()
    ceil: bool = False

    def __post_init__(self) -> None:
        complete_windows(self, len(self.kernel))

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != len(self.kernel) + 2:
            raise InvalidNetwork(
                f"pooling over {len(self.kernel)} spatial axes cannot take shape {list(shape)}"
            )
        sizes = window_counts(
            shape[2:], self.kernel, self.strides, self.pads, self.dilations, ceil=self.ceil
        )
        return (*shape[:2], *sizes)

    def _windows(self, x: Array, fill: float) -> Array:
        """Return the windows over the padded input, extended at the end if `ceil` needs it."""
        pads = []
        counts = self.output_shape(x.shape)[2:]
        for axis, count in enumerate(counts):
            before, after = self.pads[axis]
            reach = (count or 0) * self.strides[axis] - self.strides[axis]
            reach += self.dilations[axis] * (self.kernel[axis] - 1) + 1
            pads.append((before, max(after, reach - before - x.shape[2 + axis])))
        found = windows(
            pad_spatial(x, tuple(pads), fill), self.kernel, self.strides, self.dilations
        )
        kept = tuple(slice(0, count) for count in counts)
        return found[(slice(None), slice(None), *kept)]

    def window_numbers(self, shape: tuple[int, ...]) -> Array:
        """Return which numbers of a flattened input each window holds, -1 for padding; taps last."""
        numbers = np.arange(math.prod(shape)).reshape(shape)
        found = self._windows(numbers, -1)
        return found.reshape(*found.shape[: len(shape)], -1)

    @property
    def _taps(self) -> tuple[int, ...]:
        return tuple(range(-len(self.kernel), 0))


@dataclass(frozen=True, eq=False)
class MaxPool(_Pool):
    """The largest number of each window.

    >>> MaxPool((2,), (2,))(np.array([[[1.0, 3, 2, 0]]])).tolist()
    [[[3.0, 2.0]]]
    """

    def __call__(self, x: Array) -> Array:
        return np.asarray(self._windows(x, -math.inf).max(axis=self._taps))


@dataclass(frozen=True, eq=False)
class AveragePool(_Pool):
    """The mean of each window; with `include_pad`, padded zeros count.

    >>> AveragePool((2,), (2,))(np.array([[[1.0, 3, 2, 0]]])).tolist()
    [[[2.0, 1.0]]]
    """

    include_pad: bool = False

    @property
    def keeps_constants(self) -> bool:
        """Whether a constant channel stays constant."""
        return not (self.include_pad and any(sum(pad) for pad in self.pads))

    def counts(self, x: Array) -> Array:
        """Return how many numbers each window averages, for an input of the shape of `x`."""
        ones = np.ones((1, 1, *x.shape[2:]), dtype=np.int64)
        if self.include_pad:  # padding counts, but not the extension for `ceil`
            ones = pad_spatial(ones, self.pads, 1)
            bare = AveragePool(self.kernel, self.strides, (), self.dilations, self.ceil)
            return np.asarray(bare._windows(ones, 0).sum(axis=self._taps))
        return np.asarray(self._windows(ones, 0).sum(axis=self._taps))

    def __call__(self, x: Array) -> Array:
        sums = self._windows(x, 0).sum(axis=self._taps)
        return np.asarray(sums / self.counts(x).astype(x.dtype), dtype=x.dtype)


@dataclass(frozen=True, eq=False)
class GlobalPool(Layer):
    """Maximum or average over all spatial axes, which shrink to one.

    Attributes
    ----------
    maximum : bool
        Whether to take the maximum; otherwise the average.
    """

    maximum: bool = False

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) < 3:
            raise InvalidNetwork(f"pooling needs spatial axes, and shape {list(shape)} has none")
        return (*shape[:2], *(1,) * (len(shape) - 2))

    def window_numbers(self, shape: tuple[int, ...]) -> Array:
        """Return which numbers of a flattened input each window holds; taps last."""
        numbers = np.arange(math.prod(shape))
        return numbers.reshape(*shape[:2], *(1,) * (len(shape) - 2), -1)

    def __call__(self, x: Array) -> Array:
        axes = tuple(range(2, x.ndim))
        pooled = (
            x.max(axis=axes, keepdims=True) if self.maximum else x.mean(axis=axes, keepdims=True)
        )
        return np.asarray(pooled, dtype=x.dtype)

    def exact(self, x: Array) -> Array:
        axes = tuple(range(2, x.ndim))
        if self.maximum:
            return np.asarray(x.max(axis=axes, keepdims=True), dtype=object)
        count = Fraction(math.prod(x.shape[2:]))
        return np.asarray(x.sum(axis=axes, keepdims=True) / count, dtype=object)

"""Layers with weights: dense, convolution, batch normalisation; and the base of all layers.

A network is a chain of layers.  Every layer maps one array to one array, in numpy at the precision of its
input or in exact rationals, and knows the shape of its output.  Weights keep their stored type and mean
exactly the dyadic rationals that they are.  Axis 0 is the batch, unless the layer says otherwise; a size
of None is free.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidNetwork
from lumpability.numbers.float_arrays import Array, first_non_finite, to_fractions

Shape = tuple[int | None, ...]
"""Sizes of an array; None is free (usually the batch)."""


class Layer(ABC):
    """One step of a network: an array in, an array out."""

    @property
    def parameters(self) -> dict[str, Array]:
        """The stored weights by name: the arrays among the fields."""
        found = ((item.name, getattr(self, item.name)) for item in fields(self))  # type: ignore[arg-type]
        return {name: value for name, value in found if isinstance(value, np.ndarray)}

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output, or raise `InvalidNetwork` if the input does not fit."""

    @abstractmethod
    def __call__(self, x: Array) -> Array:
        """Evaluate in numpy, at the precision of `x`."""

    def exact(self, x: Array) -> Array:
        """Evaluate on an object array of fractions: unless overridden, the same formula on exact weights."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        vars(twin).update((name, to_fractions(found)) for name, found in self.parameters.items())
        return np.asarray(twin(x), dtype=object)

    def operations(self, shape: Shape) -> int:
        """Multiplications with weights for one input (free sizes count as 1)."""
        return 0

    @property
    def title(self) -> str:
        """One or two words for tables."""
        return type(self).__name__


def check_stored(values: Array, what: str) -> None:
    """Raise `InvalidNetwork` unless the array holds finite floats; carries ``dtype``, or ``index`` and ``value``."""
    if values.dtype.kind != "f" or values.dtype.itemsize > 8:
        raise InvalidNetwork(
            f"{what} is of type {values.dtype}; supported are float16, float32 and float64",
            dtype=str(values.dtype),
        )
    index = first_non_finite(values)
    if index is not None:
        raise InvalidNetwork(
            f"{what} holds {values[index]} at index {list(index)}: weights must be finite",
            index=index,
            value=float(values[index]),
        )


def _check_bias(bias: Array | None, units: int, of: str, layer: str) -> None:
    if bias is not None:
        check_stored(bias, f"the bias of a {layer}")
        if bias.shape != (units,):
            raise InvalidNetwork(f"{units} {of} but a bias of shape {list(bias.shape)}")


def complete_windows(layer: Any, spatial: int) -> None:
    """Set the default strides, dilations and pads of a frozen layer, and check their number."""
    for name, default in (("strides", 1), ("dilations", 1), ("pads", (0, 0))):
        given = getattr(layer, name) or (default,) * spatial
        if len(given) != spatial:
            raise InvalidNetwork(f"{spatial} spatial axes but {len(given)} {name}")
        object.__setattr__(layer, name, tuple(given))


def exact_dot(x: Array, weight: Array) -> Array:
    """Multiply fractions, shape (..., n), by a float matrix, shape (n, m), skipping zero weights."""
    flat = x.reshape(-1, weight.shape[0])
    result = np.full((len(flat), weight.shape[1]), Fraction(0), dtype=object)
    rows, columns = np.nonzero(weight)
    values = to_fractions(weight[rows, columns]).tolist()
    for k, inputs in enumerate(flat.tolist()):
        sums = [Fraction(0)] * weight.shape[1]
        for i, j, value in zip(rows.tolist(), columns.tolist(), values, strict=True):
            if inputs[i]:
                sums[j] += inputs[i] * value
        result[k] = sums
    return result.reshape(*x.shape[:-1], weight.shape[1])


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """Fully connected: ``y = x W + b`` along the last axis.

    Attributes
    ----------
    weight : float array, shape (n_in, n_out)
        Column s holds the incoming weights of neuron s.
    bias : float array, shape (n_out,), or None
    name : str or None
        In a file of a framework, which holds ``NAME.weight`` with the shape (n_out, n_in).  It is no part of the function.

    Examples
    --------
    >>> layer = Dense(np.array([[1.0, 2], [3, 4]]), np.array([0.5, 0]))
    >>> layer(np.array([[1.0, 1]])).tolist()
    [[4.5, 6.0]]
    """

    weight: Array
    bias: Array | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_stored(self.weight, "the weight of a dense layer")
        if self.weight.ndim != 2:
            raise InvalidNetwork(f"a dense weight has 2 axes, not {self.weight.ndim}")
        _check_bias(self.bias, self.units, "neurons", "dense layer")

    @property
    def units(self) -> int:
        """Number of neurons."""
        return int(self.weight.shape[1])

    @property
    def matrix(self) -> Array:
        """The weights with one column for each neuron."""
        return self.weight

    def with_matrix(self, matrix: Array, bias: Array | None) -> Dense:
        """Return the layer with other weights, one column for each neuron."""
        return replace(self, weight=matrix, bias=bias)

    def output_shape(self, shape: Shape) -> Shape:
        if not shape or shape[-1] != self.weight.shape[0]:
            raise InvalidNetwork(
                f"a dense layer with {self.weight.shape[0]} inputs cannot take shape {list(shape)}"
            )
        return (*shape[:-1], self.units)

    def __call__(self, x: Array) -> Array:
        y = x @ self.weight
        return y if self.bias is None else y + self.bias

    def exact(self, x: Array) -> Array:
        y = exact_dot(x, self.weight)
        return y if self.bias is None else y + to_fractions(self.bias)

    def operations(self, shape: Shape) -> int:
        return math.prod(size or 1 for size in shape) * self.units


@dataclass(frozen=True, eq=False)
class Conv(Layer):
    """Convolution over one or more spatial axes (cross-correlation, as in every framework).

    Attributes
    ----------
    weight : float array, shape (channels out, channels in / groups, *kernel)
    bias : float array, shape (channels out,), or None
    strides, dilations : tuple of int, one for each spatial axis
    pads : tuple of (int, int)
        Zeros before and after each spatial axis.
    groups : int
    name : str or None
        In a file of a framework; no part of the function.

    Examples
    --------
    >>> layer = Conv(np.ones((1, 1, 3)), pads=((1, 1),))
    >>> layer(np.array([[[1.0, 2, 3]]])).tolist()
    [[[3.0, 6.0, 5.0]]]
    """

    weight: Array
    bias: Array | None = None
    strides: tuple[int, ...] = ()
    pads: tuple[tuple[int, int], ...] = ()
    dilations: tuple[int, ...] = ()
    groups: int = 1
    name: str | None = None

    def __post_init__(self) -> None:
        check_stored(self.weight, "the weight of a convolution")
        spatial = self.weight.ndim - 2
        if spatial < 1:
            raise InvalidNetwork(f"a convolution weight has 3 or more axes, not {self.weight.ndim}")
        complete_windows(self, spatial)
        if self.groups < 1 or self.units % self.groups:
            raise InvalidNetwork(f"{self.units} channels cannot form {self.groups} groups")
        _check_bias(self.bias, self.units, "channels", "convolution")

    @property
    def units(self) -> int:
        """Number of output channels."""
        return int(self.weight.shape[0])

    @property
    def matrix(self) -> Array:
        """The weights with one column for each channel, a row for each input channel and tap (a view)."""
        return self.weight.reshape(self.units, -1).T

    def with_matrix(self, matrix: Array, bias: Array | None) -> Conv:
        """Return the layer with other weights, one column for each channel."""
        weight = matrix.T.reshape(matrix.shape[1], -1, *self.weight.shape[2:])
        return replace(self, weight=weight, bias=bias)

    @property
    def is_depthwise(self) -> bool:
        """Whether every channel has a filter of its own."""
        return self.groups > 1 and self.weight.shape[:2] == (self.groups, 1)

    @property
    def is_padded(self) -> bool:
        """Whether zeros are added around the input."""
        return any(sum(pad) for pad in self.pads)

    def output_shape(self, shape: Shape) -> Shape:
        channels = self.weight.shape[1] * self.groups
        if len(shape) != self.weight.ndim or shape[1] != channels:
            raise InvalidNetwork(
                f"a convolution of {channels} channels over {self.weight.ndim - 2} spatial axes "
                f"cannot take shape {list(shape)}"
            )
        sizes = window_counts(
            shape[2:], self.weight.shape[2:], self.strides, self.pads, self.dilations
        )
        return (shape[0], self.units, *sizes)

    def __call__(self, x: Array) -> Array:
        weight = self.weight
        padded = pad_spatial(x, self.pads, 0)
        found = windows(padded, weight.shape[2:], self.strides, self.dilations)
        batch, channels, spatial = len(x), x.shape[1], weight.ndim - 2
        out = found.shape[2 : 2 + spatial]
        # (batch, positions, channels, taps), then one product for each group
        columns = np.moveaxis(found, 1, 1 + spatial).reshape(batch, math.prod(out), channels, -1)
        share, width = self.units // self.groups, channels // self.groups
        parts = []
        for g in range(self.groups):
            inputs = columns[:, :, g * width : (g + 1) * width].reshape(batch, math.prod(out), -1)
            parts.append(inputs @ weight[g * share : (g + 1) * share].reshape(share, -1).T)
        y = np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]
        y = y if self.bias is None else y + self.bias
        result: Array = np.moveaxis(y, 2, 1).reshape(batch, self.units, *out)
        return result

    def operations(self, shape: Shape) -> int:
        positions = math.prod(size or 1 for size in self.output_shape(shape)[2:])
        return positions * self.weight.size * (shape[0] or 1)


def window_counts(
    sizes: Shape,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[tuple[int, int], ...],
    dilations: tuple[int, ...],
    *,
    ceil: bool = False,
) -> tuple[int, ...]:
    """Return how many windows fit along each spatial axis."""
    counts = []
    for size, k, stride, pad, dilation in zip(sizes, kernel, strides, pads, dilations, strict=True):
        if size is None:
            raise InvalidNetwork("windows need fixed spatial sizes, but one of them is free")
        extent = size + sum(pad) - dilation * (k - 1) - 1
        if extent < 0:
            raise InvalidNetwork(f"a window of {k} does not fit an axis of size {size}")
        count = extent // stride + 1
        if ceil and extent % stride and count * stride < size + pad[0]:
            count += 1  # a last window that starts inside and ends outside
        counts.append(count)
    return tuple(counts)


def pad_spatial(x: Array, pads: tuple[tuple[int, int], ...], value: Any) -> Array:
    """Return the array with its spatial axes extended by a value."""
    if not any(sum(pad) for pad in pads):
        return x
    fill: Any = Fraction(value) if x.dtype == object and value == 0 else value
    return np.pad(x, ((0, 0), (0, 0), *pads), constant_values=fill)


def windows(
    x: Array, kernel: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]
) -> Array:
    """Return all windows as a view; the axes are batch, channels, positions, places in the kernel."""
    spatial = len(kernel)
    axes = tuple(range(2, 2 + spatial))
    extents = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, extents, axis=axes)
    steps = [slice(None, None, s) for s in strides] + [slice(None, None, d) for d in dilations]
    result: Array = view[(slice(None), slice(None), *steps)]
    return result


@dataclass(frozen=True, eq=False)
class BatchNorm(Layer):
    """Batch normalisation at inference, along axis 1: ``y = scale (x - mean) / sqrt(variance + epsilon) + bias``.

    Attributes
    ----------
    scale, bias, mean, variance : float arrays, shape (channels,)
    epsilon : float

    Examples
    --------
    >>> one = np.ones(1)
    >>> BatchNorm(2 * one, one, one, 3 * one, 1.0)(np.array([[5.0]])).tolist()
    [[5.0]]
    """

    scale: Array
    bias: Array
    mean: Array
    variance: Array
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        for name, values in self.parameters.items():
            check_stored(values, f"the {name} of a batch normalisation")
            if values.shape != (self.units,):
                raise InvalidNetwork(
                    f"{self.units} channels but a {name} of shape {list(values.shape)}"
                )
        if np.any(self.variance.astype(np.float64) + self.epsilon <= 0):
            raise InvalidNetwork("a variance plus epsilon is not positive")

    @property
    def units(self) -> int:
        """Number of channels."""
        return int(self.scale.size)

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) < 2 or shape[1] != self.units:
            raise InvalidNetwork(
                f"a batch normalisation of {self.units} channels cannot take shape {list(shape)}"
            )
        return shape

    def __call__(self, x: Array) -> Array:
        # Computed as in onnxruntime: one factor and one shift for each channel.
        factor = self.scale / np.sqrt(self.variance + self.variance.dtype.type(self.epsilon))
        shift = self.bias - self.mean * factor
        along = (self.units, *(1,) * (x.ndim - 2))
        return np.asarray(x * factor.reshape(along) + shift.reshape(along), dtype=x.dtype)

    def deviation(self) -> list[Fraction | None]:
        """Return the square roots of variance + epsilon, None where they are irrational."""
        return [_rational_root(Fraction(float(v)) + Fraction(self.epsilon)) for v in self.variance]

    def exact(self, x: Array) -> Array:
        roots = self.deviation()
        if any(root is None for root in roots):
            channel = roots.index(None)
            raise InvalidNetwork(
                f"batch normalisation divides channel {channel} by an irrational square root: it has no "
                "exact rational value",
                channel=channel,
            )
        along = (self.units, *(1,) * (x.ndim - 2))
        shifted = x - to_fractions(self.mean).reshape(along)
        factor = to_fractions(self.scale) / np.array(roots, dtype=object)
        return np.asarray(
            shifted * factor.reshape(along) + to_fractions(self.bias).reshape(along), dtype=object
        )


def _rational_root(square: Fraction) -> Fraction | None:
    root = Fraction(math.isqrt(square.numerator), math.isqrt(square.denominator))
    return root if root * root == square else None

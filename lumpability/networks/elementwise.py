"""Layers that act on every number separately: activations, PReLU, shift, scale; and softmax.

`Shift` and `Scale` hold constants that broadcast against the input, for example to normalise inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lumpability.errors import InvalidNetwork
from lumpability.networks.activations import Activation, activation
from lumpability.networks.layers import Layer, Shape, check_stored
from lumpability.numbers.float_arrays import Array, to_fractions


@dataclass(frozen=True, eq=False)
class Activate(Layer):
    """An activation from the table of `lumpability.networks.activations`.

    >>> Activate("relu")(np.array([-1.0, 2])).tolist()
    [0.0, 2.0]
    """

    function: Activation

    def __init__(self, function: str | Activation, **parameters: float) -> None:
        object.__setattr__(self, "function", activation(function, **parameters))

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def __call__(self, x: Array) -> Array:
        return self.function(x)

    def exact(self, x: Array) -> Array:
        result = np.empty(x.shape, dtype=object)
        for index, value in enumerate(x.ravel().tolist()):
            image = self.function.value(value)
            if image is None:
                raise InvalidNetwork(
                    f"{self.function.name} has no rational value at {value}: exact evaluation needs "
                    "piecewise linear activations",
                    activation=self.function.name,
                )
            result.ravel()[index] = image
        return result

    @property
    def title(self) -> str:
        return self.function.name


class _Broadcast(Layer):
    """The base of layers that combine their input with a constant, their only array."""

    def output_shape(self, shape: Shape) -> Shape:
        (value,) = self.parameters.values()
        return broadcast(shape, value)


@dataclass(frozen=True, eq=False)
class PReLU(_Broadcast):
    """A leaky ReLU with stored slopes: x where x >= 0, else slope x.

    Attributes
    ----------
    slope : float array
        Broadcasts against the input.
    """

    slope: Array

    def __post_init__(self) -> None:
        check_stored(self.slope, "the slope of a PReLU")

    def __call__(self, x: Array) -> Array:
        return np.where(x >= 0, x, x * self.slope)


@dataclass(frozen=True, eq=False)
class Shift(_Broadcast):
    """Add a constant array.

    >>> Shift(np.array([1.0, -1]))(np.array([[5.0, 5]])).tolist()
    [[6.0, 4.0]]
    """

    value: Array

    def __post_init__(self) -> None:
        check_stored(self.value, "an added constant")

    def __call__(self, x: Array) -> Array:
        return np.asarray(x + self.value)


@dataclass(frozen=True, eq=False)
class Scale(_Broadcast):
    """Multiply by a constant array, or divide by it.

    Attributes
    ----------
    value : float array
    divide : bool
        Whether to divide.  Division is kept as such, because one over a float is rarely a float.
    """

    value: Array
    divide: bool = False

    def __post_init__(self) -> None:
        check_stored(self.value, "a constant factor")
        if self.divide and not self.value.all():
            raise InvalidNetwork("a constant divisor is zero")

    @property
    def factor(self) -> Array:
        """The exact factor as fractions."""
        value = to_fractions(self.value)
        return np.asarray(Fraction(1) / value, dtype=object) if self.divide else value

    def __call__(self, x: Array) -> Array:
        return np.asarray(x / self.value if self.divide else x * self.value)


@dataclass(frozen=True, eq=False)
class Softmax(Layer):
    """Softmax along an axis.  It couples its inputs, so nothing is merged across it."""

    axis: int = -1

    def output_shape(self, shape: Shape) -> Shape:
        if not -len(shape) <= self.axis < len(shape):
            raise InvalidNetwork(f"shape {list(shape)} has no axis {self.axis} for a softmax")
        return shape

    def __call__(self, x: Array) -> Array:
        powers = np.exp(x - x.max(axis=self.axis, keepdims=True))
        return np.asarray(powers / powers.sum(axis=self.axis, keepdims=True))

    def exact(self, x: Array) -> Array:
        raise InvalidNetwork(
            "softmax has no rational values: evaluate up to it with network.layers[:-1]"
        )


@dataclass(frozen=True, eq=False)
class Constant(Layer):
    """An output that does not depend on the input."""

    value: Array

    def output_shape(self, shape: Shape) -> Shape:
        return tuple(self.value.shape)

    def __call__(self, x: Array) -> Array:
        return self.value


def broadcast(shape: Shape, value: Array) -> Shape:
    """Return the shape of an array of this shape combined with a constant.

    Raises `InvalidNetwork` if they do not broadcast, or the constant fixes a free size.
    """
    rank = max(len(shape), value.ndim)
    ours = (1,) * (rank - len(shape)) + shape
    theirs = (1,) * (rank - value.ndim) + value.shape
    result: list[int | None] = []
    for a, b in zip(ours, theirs, strict=True):
        if b != 1 and a is not None and a not in (1, b):
            raise InvalidNetwork(
                f"a constant of shape {list(value.shape)} does not fit an input of shape {list(shape)}"
            )
        result.append(a if b in (1, a) else b)
    return tuple(result)

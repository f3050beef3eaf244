"""Feed-forward networks: a chain of layers from one input to one output.

``network(x)`` evaluates in numpy at the stored precision, ``network.exact(x)`` in rationals.  The layers
are plain values; shapes and weights are checked once, when the network is made.  A residual connection is
one layer of the chain (`lumpability.networks.joins.Join`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from lumpability.errors import InvalidInput, InvalidNetwork
from lumpability.networks.activations import Activation
from lumpability.networks.elementwise import Activate
from lumpability.networks.joins import Join
from lumpability.networks.layers import Conv, Dense, Layer, Shape
from lumpability.notebook_hooks import Drawn
from lumpability.numbers.float_arrays import Array, to_fractions
from lumpability.numbers.rationals import read_number


@dataclass(frozen=True, eq=False, repr=False)
class Network(Drawn):
    """A feed-forward network.  Immutable; ``network(x)`` evaluates it, ``network.exact(x)`` in rationals.

    Attributes
    ----------
    layers : tuple of Layer
    input_shape : tuple of int or None
        With the batch axis, if there is one; None is a free size.
    dtype : numpy dtype
        Of input and output: float16, float32 or float64.
    input_name, output_name : str
        As in the file it came from.
    axis_names : tuple of str
        Of the input's axes, empty or missing where the file gives none.
    output_shape : tuple of int or None

    Raises
    ------
    InvalidNetwork
        If a layer does not fit its input; carries ``layer``, its number.

    Examples
    --------
    >>> network = Network.dense([([[1, 2], [3, 4]], [0, 1], "relu"), ([[1], [-1]], [0], None)])
    >>> network
    Network(2 -> 1, 2 hidden neurons, 9 parameters)
    >>> network([1, -1]).tolist(), network.exact([1, "-1/3"]).tolist()
    ([0.0], [Fraction(-5, 3)])
    """

    domain: ClassVar[str] = "network"
    layers: tuple[Layer, ...]
    input_shape: Shape
    dtype: Any = np.float32
    input_name: str = "input"
    output_name: str = "output"
    axis_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "input_shape", tuple(self.input_shape))
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        if self.dtype.kind != "f" or self.dtype.itemsize > 8:
            raise InvalidNetwork(f"inputs of type {self.dtype}: supported are float16, 32 and 64")
        _ = self.shapes

    @classmethod
    def dense(
        cls,
        layers: Iterable[Sequence[Any]],
        *,
        dtype: Any = np.float64,
        input_name: str = "input",
        output_name: str = "output",
    ) -> Network:
        """Build a fully connected network.

        Parameters
        ----------
        layers : iterable of (weight, bias, activation)
            Weight of shape (n_in, n_out), column s for neuron s; bias of shape (n_out,) or None; the
            name of an activation, an `Activation`, or None.
        dtype : numpy float type
            Numbers are stored in this type.

        Raises
        ------
        InvalidNetwork
            If shapes do not fit or a number is not finite.

        Examples
        --------
        >>> network = Network.dense([([[1, 2]], [0, 1], "relu"), ([[1], [-1]], None, None)])
        >>> network
        Network(1 -> 1, 2 hidden neurons, 6 parameters)
        """
        built: list[Layer] = []
        size: int | None = None
        for number, given in enumerate(layers):
            try:
                weight, bias, function = given
            except (TypeError, ValueError):
                raise InvalidNetwork(
                    f"layer {number} is not (weight, bias, activation): give all three, None where there is none"
                ) from None
            matrix = _floats(weight, dtype, f"layer {number}: a weight")
            if matrix.ndim != 2:
                raise InvalidNetwork(f"layer {number}: a weight has 2 axes, not {matrix.ndim}")
            size = matrix.shape[0] if size is None else size
            offset = None if bias is None else _floats(bias, dtype, f"layer {number}: a bias")
            built.append(Dense(matrix, offset))
            if function is not None:
                built.append(
                    Activate(function) if isinstance(function, str | Activation) else function
                )
        if size is None:
            raise InvalidNetwork("a network needs at least one layer")
        return cls(
            tuple(built), (None, size), dtype, input_name=input_name, output_name=output_name
        )

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape before each layer, and last that of the output.

        Examples
        --------
        >>> network = Network.dense([([[1, 2]], [0, 1], "relu"), ([[1], [-1]], None, None)])
        >>> network.shapes
        ((None, 1), (None, 2), (None, 2), (None, 1))
        """
        shapes = [self.input_shape]
        for number, layer in enumerate(self.layers):
            try:
                shapes.append(layer.output_shape(shapes[-1]))
            except InvalidNetwork as error:
                raise InvalidNetwork(
                    f"layer {number}: {error}", **{**error.evidence, "layer": number}
                ) from None
        return tuple(shapes)

    @property
    def output_shape(self) -> Shape:
        """Shape of the output.

        Examples
        --------
        >>> network = Network.dense([([[1, 2]], [0, 1], "relu"), ([[1], [-1]], None, None)])
        >>> network.output_shape
        (None, 1)
        """
        return self.shapes[-1]

    def __call__(self, x: Any) -> Array:
        """Evaluate in numpy at the stored precision.

        Parameters
        ----------
        x : array_like
            Of the input shape, or without its batch axis.

        Raises
        ------
        InvalidInput
            If the shape does not fit.
        """
        try:
            array = np.asarray(x, dtype=self.dtype)
        except (TypeError, ValueError):
            raise InvalidInput("the input is not an array of numbers") from None
        array, single = self._batched(array)
        for layer in self.layers:
            array = layer(array)
        return array[0] if single else array

    def exact(self, x: Any) -> Array:
        """Evaluate in rational arithmetic, for the stored weights as they are.

        Parameters
        ----------
        x : array_like of numbers
            Ints, fractions, decimal strings; floats are taken literally.

        Returns
        -------
        object array of Fraction

        Raises
        ------
        InvalidInput
            If the shape does not fit.
        InvalidNetwork
            If a layer has no rational value there (tanh, softmax, an irrational deviation).

        Notes
        -----
        One fraction operation, about a microsecond, for each non-zero weight.

        Examples
        --------
        >>> network = Network.dense([([[1, 2]], [0, 1], "relu"), ([[1], [-1]], None, None)])
        >>> network.exact(["1/3"]).tolist()
        [Fraction(-4, 3)]
        """
        source = np.asarray(x, dtype=object)
        array = np.empty(source.shape, dtype=object)
        array.ravel()[:] = [
            read_number(item, float_tolerance=0) for item in source.ravel().tolist()
        ]
        array, single = self._batched(to_fractions(array))
        for layer in self.layers:
            array = layer.exact(array)
        return np.asarray(array[0] if single else array, dtype=object)

    def _batched(self, array: Array) -> tuple[Array, bool]:
        expected = self.input_shape
        single = array.ndim == len(expected) - 1 and expected[0] in (None, 1)
        if single:
            array = array[None]
        fits = array.ndim == len(expected) and all(
            size is None or size == given or (axis == 0 and size == 1 and array.ndim > 1)
            for axis, (size, given) in enumerate(zip(expected, array.shape, strict=False))
        )
        if not fits:
            given = array.shape[1:] if single else array.shape
            raise InvalidInput(
                f"the network takes inputs of shape {_shown(expected)}, not {_shown(given)}",
                shape=given,
                expected=expected,
            )
        return array, single

    @property
    def hidden_neurons(self) -> int:
        """Units of all layers with weights but the last: neurons of dense layers, channels of convolutions.

        Examples
        --------
        >>> network = Network.dense([([[1, 2]], [0, 1], "relu"), ([[1], [-1]], None, None)])
        >>> network.hidden_neurons
        2
        """
        return sum(_units(self.layers)[:-1])

    @property
    def parameter_count(self) -> int:
        """Number of stored weights.

        Examples
        --------
        >>> network = Network.dense([([[1, 2]], [0, 1], "relu"), ([[1], [-1]], None, None)])
        >>> network.parameter_count
        6
        """
        return sum(v.size for layer in self.layers for v in layer.parameters.values())

    @property
    def operation_count(self) -> int:
        """Multiplications with weights for one input.

        Examples
        --------
        >>> network = Network.dense([([[1, 2]], [0, 1], "relu"), ([[1], [-1]], None, None)])
        >>> network.operation_count
        4
        """
        return sum(
            layer.operations(shape) for layer, shape in zip(self.layers, self.shapes, strict=False)
        )

    @property
    def byte_count(self) -> int:
        """Bytes of the stored weights.

        Examples
        --------
        >>> network = Network.dense([([[1, 2]], [0, 1], "relu"), ([[1], [-1]], None, None)])
        >>> network.byte_count
        48
        """
        return sum(v.nbytes for layer in self.layers for v in layer.parameters.values())

    @property
    def sizes(self) -> dict[str, int]:
        """How large the network is, by the keys of reports.

        Examples
        --------
        >>> Network.dense([([[1, 2]], [0, 1], "relu"), ([[1], [-1]], None, None)]).sizes
        {'hidden_neurons': 2, 'parameters': 6, 'operations': 4, 'bytes': 48}
        """
        return {
            "hidden_neurons": self.hidden_neurons,
            "parameters": self.parameter_count,
            "operations": self.operation_count,
            "bytes": self.byte_count,
        }

    def describe(self) -> list[dict[str, Any]]:
        """Return what each layer is, as plain data for tables.

        Examples
        --------
        >>> Network.dense([([[1, 2]], [0, 1], "relu")]).describe()[0]
        {'layer': 0, 'title': 'Dense', 'shape': [None, 2], 'parameters': 4, 'dtype': 'float64'}
        """
        return [
            {
                "layer": number,
                "title": layer.title,
                "shape": list(self.shapes[number + 1]),
                "parameters": sum(values.size for values in layer.parameters.values()),
                "dtype": ", ".join(sorted({str(v.dtype) for v in layer.parameters.values()})),
            }
            for number, layer in enumerate(self.layers)
        ]

    def __repr__(self) -> str:
        return (
            f"Network({_shown(self.input_shape[-1:])} -> {_shown(self.output_shape[-1:])}, "
            f"{self.hidden_neurons} hidden neurons, {self.parameter_count} parameters)"
        )


def _floats(values: Any, dtype: Any, what: str) -> Array:
    """Return numbers as floats; fractions in texts are no floats."""
    try:
        return np.asarray(values, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise InvalidNetwork(
            f"{what} is an array of floats, which the network holds exactly; fractions are rounded by float(Fraction("
            f"text)): {error}"
        ) from None


def _units(layers: Sequence[Layer]) -> list[int]:
    found: list[int] = []
    for layer in layers:
        if isinstance(layer, Dense | Conv):
            found.append(layer.units)
        elif isinstance(layer, Join):
            inside = [units for branch in layer.branches if (units := _units(branch))]
            found += [count for units in inside for count in units[:-1]]
            found += [units[-1] for units in inside[:1]]  # the outputs of the branches are added
    return found


def _shown(shape: Sequence[int | None]) -> str:
    sizes = ["free" if size is None else str(size) for size in shape]
    return sizes[0] if len(sizes) == 1 else "[" + ", ".join(sizes) + "]"

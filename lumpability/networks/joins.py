"""Layers for the parts of a network that are not chains: branches that meet again, and unknown operators.

Both are barriers: units are neither merged nor removed on either side of them.  A `Join` evaluates exactly; an
`Opaque` layer holds a piece of an ONNX graph, which can only be run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from lumpability.errors import InvalidNetwork, require
from lumpability.networks.layers import Layer, Shape
from lumpability.numbers.float_arrays import Array


@dataclass(frozen=True, eq=False)
class Join(Layer):
    """Several chains of layers with the same input, whose outputs are added (a residual connection).

    >>> from lumpability.networks.elementwise import Activate
    >>> Join(((Activate("relu"),), ()))(np.array([-1.0, 2])).tolist()
    [-1.0, 4.0]
    """

    branches: tuple[tuple[Layer, ...], ...]  # an empty branch returns its input

    @property
    def parameters(self) -> dict[str, Array]:
        return {
            f"{b}.{i}.{name}": values
            for b, branch in enumerate(self.branches)
            for i, layer in enumerate(branch)
            for name, values in layer.parameters.items()
        }

    def output_shape(self, shape: Shape) -> Shape:
        shapes = []
        for branch in self.branches:
            out = shape
            for layer in branch:
                out = layer.output_shape(out)
            shapes.append(out)
        if any(out != shapes[0] for out in shapes):
            raise InvalidNetwork(f"branches of shapes {shapes} cannot be added")
        return shapes[0]

    def __call__(self, x: Array) -> Array:
        return self._added(x, lambda layer, y: layer(y))

    def exact(self, x: Array) -> Array:
        return self._added(x, lambda layer, y: layer.exact(y))

    def _added(self, x: Array, evaluate: Callable[[Layer, Array], Array]) -> Array:
        first, *others = (
            reduce(lambda y, layer: evaluate(layer, y), branch, x) for branch in self.branches
        )
        return sum(others, start=first)

    def operations(self, shape: Shape) -> int:
        total = 0
        for branch in self.branches:
            out = shape
            for layer in branch:
                total += layer.operations(out)
                out = layer.output_shape(out)
        return total


@dataclass(frozen=True, eq=False)
class Opaque(Layer):
    """A piece of an ONNX graph, which stays unchanged."""

    model: bytes  # a serialised ONNX model with one input and one output
    operators: tuple[str, ...]  # what it contains
    shape: Shape | None  # shape of the output, None if it is not known

    @property
    def parameters(self) -> dict[str, Array]:
        onnx = require("onnx", extra="onnx")
        graph = onnx.load_from_string(self.model).graph
        return {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}

    def output_shape(self, shape: Shape) -> Shape:
        if self.shape is None:
            raise InvalidNetwork(
                f"the shape after {', '.join(self.operators)} is not known",
                operators=self.operators,
            )
        return self.shape

    def __call__(self, x: Array) -> Array:
        evaluator: Any = require("onnx.reference", extra="onnx").ReferenceEvaluator(self.model)
        try:
            (result,) = evaluator.run(None, {evaluator.input_names[0]: x})
        except Exception as error:
            raise InvalidNetwork(
                f"{', '.join(self.operators)} cannot be evaluated here: {error}",
                operators=self.operators,
            ) from error
        return np.asarray(result)

    def exact(self, x: Array) -> Array:
        raise InvalidNetwork(
            f"{', '.join(self.operators)}: no exact evaluation, the operators are not understood",
            operators=self.operators,
        )

    @property
    def title(self) -> str:
        return "opaque " + ", ".join(dict.fromkeys(self.operators))

"""From the layers of a network, or the nodes of its graph, to affine layers: `affine_layers`.

What is bounded takes one input at a time: no axis but the first may be free.  Nodes of a graph are followed in order:
residual joins, concatenations and everything that moves data.  A node that only moves data is run by onnx's evaluator on the numbers of
units; a concatenation of several tensors first becomes one affine layer with a source for each.  What is neither linear
nor an activation or a maximum is refused by name.

A value that is quantised and dequantised, with step s to integers from p to q around a zero point o, is
s round(clip(x / s, p - o, q - o)) in real arithmetic: x clipped to the multiples of s at both ends, and off by s / 2
at most.  A change of the floating-point type rounds an execution, but changes nothing in real arithmetic.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np
from scipy import sparse

from lumpability.errors import InvalidNetwork, NotJustified
from lumpability.networks.difference.affine import AffineNetwork
from lumpability.networks.difference.builder import Builder, Value
from lumpability.networks.elementwise import Activate, Scale
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.node_layers import node_layers, with_biases
from lumpability.networks.graph.source import graph_of
from lumpability.networks.joins import Opaque
from lumpability.networks.network import Network
from lumpability.networks.tensors.index import Facts
from lumpability.networks.tensors.protobuf import evaluated, onnx
from lumpability.networks.unit_layout import fixed
from lumpability.numbers.float_arrays import Array

_MOVING = frozenset(
    [
        *("Concat", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "GatherElements"),
        *("GatherND", "Identity", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile"),
        *("Transpose", "Unsqueeze"),
    ]
)
_FLOATS = frozenset([1, 10, 11, 16])
"""The codes of float, float16, double and bfloat16 in ONNX files."""
Operand = Value | Array


def affine_layers(network: Network | GraphNetwork) -> AffineNetwork:
    """Return a network as affine layers with elementwise activations.

    Parameters
    ----------
    network : Network or GraphNetwork
        Of dense layers, convolutions, batch normalisation, shifts and scales, pooling, reshapes and residual
        joins, with ReLU, leaky ReLU, PReLU, tanh, sigmoid, softplus, softsign, atan, ELU, clip.

    Raises
    ------
    NotJustified
        If a layer is not covered; the error names it and carries ``layer``, its number.

    Examples
    --------
    >>> found = affine_layers(Network.dense([([[1, 2]], [0, 1], "relu"), ([[1], [-1]], None, None)]))
    >>> [(layer.weight.tolist(), layer.activation.name) for layer in found.layers]
    [([[1.0, 2.0]], 'relu'), ([[1.0], [-1.0]], 'identity')]
    """
    graph = network if isinstance(network, GraphNetwork) else _graph_of_opaque(network)
    if graph is not None:
        return unrolled(graph)[0]
    assert isinstance(network, Network)
    _refuse_free(None in network.input_shape[1:])
    shape = fixed(network.input_shape)
    numbers = np.arange(math.prod(shape)).reshape(shape)
    builder = Builder(numbers.size)
    value = Value(0, numbers)
    for position, layer in enumerate(network.layers):
        try:
            value = builder.follow(layer, value, position)
        except NotJustified as error:
            raise NotJustified(f"layer {position}: {error}", layer=position) from None
    return builder.network(value)


def _graph_of_opaque(network: Network) -> GraphNetwork | None:
    """Return the graph that a network with unknown layers was read from, or None."""
    opaque = any(isinstance(layer, Opaque) for layer in network.layers)
    return graph_of(network) if opaque else None


def unrolled(network: GraphNetwork) -> tuple[AffineNetwork, dict[str, Value]]:
    """Return the graph of an ONNX file as affine layers, and the units of its tensors after activations.

    Raises `NotJustified`, which names the node.
    """
    index = network.index
    if len(index.inputs) != 1 or len(index.outputs) != 1 or index.defaults:
        raise NotJustified("no bound for a network with several inputs or outputs")
    (item,), (output,) = index.inputs, index.outputs
    _refuse_free(any(isinstance(size, str) for size in index.sizes(item)[1:]))
    facts = index.facts(dict.fromkeys((name for name, _ in index.symbols), 1))
    shape = facts.shape(item.name)
    if shape is None:
        raise NotJustified(f"the shape of the input {item.name!r} is not known")
    numbers = np.arange(math.prod(shape)).reshape(shape)
    several = {name for name, users in index.users.items() if len(users) + (name == output) > 1}
    reader = _Reader(facts, Builder(numbers.size), index.opsets, several)
    reader.values[item.name] = Value(0, numbers)
    for position, node in enumerate(index.nodes):
        if not all(name in facts.values for name in node.output if name):
            reader.read(node, position)
    if output not in reader.values:
        raise NotJustified(f"the output {output!r} does not depend on the input")
    return reader.builder.network(reader.values[output]), reader.values


def _refuse_free(free: bool) -> None:
    """Refuse inputs of several shapes: a bound for one of them says nothing about the others."""
    if free:
        raise NotJustified(
            "the input has free sizes besides the first one: fix them in the file, a bound is for one shape"
        )


class _Reader:
    """The values of the tensors of a graph that depend on its input."""

    def __init__(
        self, facts: Facts, builder: Builder, opsets: dict[str, int], several: set[str]
    ) -> None:
        self.facts, self.builder, self.opsets = facts, builder, opsets
        self.several = several  # tensors with several readers
        self.values: dict[str, Value] = {}
        self.quantised: dict[str, tuple[Value, float, Array]] = {}  # with step and zero point

    def read(self, node: Any, position: int) -> None:
        """Record the values of a node's outputs, or raise `NotJustified`; the position is kept with weights."""
        try:
            if node.op_type in _MOVING:
                self._move(node)
            elif node.op_type == "QuantizeLinear":
                self._quantise(node)
            elif node.op_type == "DequantizeLinear" and node.input[0] in self.quantised:
                self.values[node.output[0]] = self._dequantised(node)
            else:
                self.values[node.output[0]] = self._computed(node, position)
        except (NotJustified, InvalidNetwork) as error:
            title = node.name or next(filter(None, node.output))
            raise NotJustified(f"node {title!r} ({node.op_type}): {error}", node=title) from None

    def _operands(self, node: Any) -> list[Operand | None]:
        return [self._operand(name) if name else None for name in node.input]

    def _operand(self, name: str) -> Operand:
        if name in self.values:
            if name in self.several:  # an activation must not change what others read
                self.builder.shared.add(self.values[name].layer)
            return self.values[name]
        if name in self.facts.values:
            return self.facts.values[name]
        if name in self.quantised:
            raise NotJustified(
                "no bound for arithmetic with integers: only values that are dequantised at once are covered"
            )
        raise NotJustified(f"the tensor {name!r} is not known")

    def _computed(self, node: Any, position: int) -> Value:
        operands = self._operands(node)
        kind = node.op_type if node.domain in ("", "ai.onnx") else ""
        if kind in ("Add", "Sub", "Sum"):
            return self._sum(operands, subtract=kind == "Sub")
        if kind in ("Max", "Min"):
            return self._largest(operands, sign=1 if kind == "Max" else -1)
        first = operands[0]
        if kind in ("ReduceMean", "ReduceSum"):
            return self._reduced(node, operands)
        if kind == "Cast" and isinstance(first, Value):
            if onnx().helper.get_attribute_value(node.attribute[0]) not in _FLOATS:
                raise NotJustified("no bound for a change to integers")
            return first
        if kind in ("Neg", "Abs") and isinstance(first, Value):
            negative = self.builder.scaled(first, -np.ones(first.numbers.shape))
            return negative if kind == "Neg" else self.builder.largest(first, negative)
        if kind == "DynamicQuantizeLinear":
            raise NotJustified(
                "no bound where the step of a quantisation depends on the input: quantise with fixed steps"
            )
        if kind in ("Mul", "Div"):
            return self._scaled(operands, divide=kind == "Div")
        if not isinstance(first, Value) or any(isinstance(x, Value) for x in operands[1:]):
            raise NotJustified("no bound for this operator here")
        others = [None if x is None or isinstance(x, Value) else np.asarray(x) for x in operands]
        dtype = onnx().helper.tensor_dtype_to_np_dtype(self.facts.code(node.input[0]))
        shape, opset = first.numbers.shape, self.opsets[""]
        layers = node_layers(node, others, 0, shape=shape, dtype=dtype, opset=opset)
        if layers is None:
            raise NotJustified("no bound for this operator here")
        return reduce(
            lambda value, layer: self.builder.follow(layer, value, position),
            with_biases(layers),
            first,
        )

    def _reduced(self, node: Any, operands: list[Operand | None]) -> Value:
        """Return means or sums along constant axes."""
        options = {item.name: onnx().helper.get_attribute_value(item) for item in node.attribute}
        value, axes = operands[0], options.get("axes")
        if len(operands) > 1 and operands[1] is not None:
            axes = operands[1]
        if not isinstance(value, Value) or isinstance(axes, Value):
            raise NotJustified("the axes depend on the input")
        shape = value.numbers.shape
        none = axes is None or not len(axes)
        if none and options.get("noop_with_empty_axes", 0):
            return value
        given = range(len(shape)) if axes is None or none else np.asarray(axes).tolist()
        along = tuple(sorted(int(axis) % len(shape) for axis in given))
        kept = tuple(1 if axis in along else size for axis, size in enumerate(shape))
        columns = np.broadcast_to(np.arange(math.prod(kept)).reshape(kept), shape).ravel()
        count = math.prod(shape[axis] for axis in along)
        mean = node.op_type == "ReduceMean"
        entries = np.full(columns.size, 1 / count if mean else 1.0)
        matrix = sparse.csr_array((entries, (np.arange(columns.size), columns)))
        if not options.get("keepdims", 1):
            kept = tuple(size for axis, size in enumerate(shape) if axis not in along)
        return self.builder.append([(value, matrix)], kept, relative=2.0**-52 if mean else 0.0)

    def _quantise(self, node: Any) -> None:
        """Record the integers of `QuantizeLinear`, which only `DequantizeLinear` may read."""
        value, *rest = self._operands(node)
        step, zero = ([np.asarray(x) for x in rest if x is not None] + [np.uint8(0)])[:2]
        single = isinstance(value, Value) and step.size == zero.size == 1 and bool(step > 0)
        if not single or zero.dtype.kind not in "iu" or zero.dtype.itemsize > 2:
            raise NotJustified(
                "no bound for this quantisation: one step and one zero point are covered"
            )
        assert isinstance(value, Value)
        self.quantised[node.output[0]] = value, float(step), zero.ravel()

    def _dequantised(self, node: Any) -> Value:
        """Return a value that was quantised and is dequantised with the same step and zero point."""
        value, step, zero = self.quantised[node.input[0]]
        given = [self.facts.values.get(name) for name in node.input[1:] if name]
        known = ([*given, np.uint8(0)])[:2]
        if any(x is None for x in known) or known[0] != step or known[1] != zero[0]:
            raise NotJustified("it is dequantised otherwise than it was quantised")
        kind = np.iinfo(zero.dtype)
        ends = {
            name: step * (end - int(zero[0]))
            for name, end in (("low", kind.min), ("high", kind.max))
        }
        clipped = self.builder.activated(value, Activate("clip", **ends).function)
        shape = value.numbers.shape
        return self.builder.scaled(
            clipped, np.ones(shape), np.zeros(shape), shift_error=np.full(shape, step / 2)
        )

    def _sum(self, operands: list[Operand | None], *, subtract: bool) -> Value:
        values = [x for x in operands if isinstance(x, Value)]
        shape = np.broadcast_shapes(*(_shape(x) for x in operands))
        if len(values) == 1:
            return self._shifted(operands, shape, subtract=subtract)
        terms: list[tuple[Value, Any]] = []
        for place, operand in enumerate(operands):
            if isinstance(operand, Value):
                moved = Value(operand.layer, np.broadcast_to(operand.numbers, shape))
                negative = subtract and place == 1
                terms.append((moved, -sparse.eye_array(moved.flat.size) if negative else None))
            elif np.any(np.asarray(operand)):
                raise NotJustified("no bound for a sum of several tensors and a constant")
        return self.builder.append(terms, shape)

    def _shifted(
        self, operands: list[Operand | None], shape: tuple[int, ...], *, subtract: bool
    ) -> Value:
        (place,) = (i for i, x in enumerate(operands) if isinstance(x, Value))
        constants = [np.asarray(x) for i, x in enumerate(operands) if i != place]
        if len(constants) > 1:
            raise NotJustified("no bound for a sum with several constants")
        value = operands[place]
        assert isinstance(value, Value)
        value = Value(value.layer, np.broadcast_to(value.numbers, shape))
        shift = np.broadcast_to(constants[0], shape).astype(np.float64) if constants else None
        if subtract and place == 1:
            return self.builder.scaled(value, -np.ones(shape), shift)
        if shift is None:
            return value
        return self.builder.shifted(value, -shift if subtract else shift)

    def _largest(self, operands: list[Operand | None], *, sign: int) -> Value:
        shape = np.broadcast_shapes(*(_shape(x) for x in operands))
        values = [self._whole(x, shape) for x in operands]
        found = values[0]
        for value in values[1:]:
            found = self.builder.largest(found, value, sign=sign)
        return found

    def _whole(self, operand: Operand | None, shape: tuple[int, ...]) -> Value:
        """Return an operand in a larger shape, a constant as a layer that reads nothing of the input."""
        if isinstance(operand, Value):
            return Value(operand.layer, np.broadcast_to(operand.numbers, shape))
        return self.builder.constant(np.broadcast_to(np.asarray(operand, dtype=np.float64), shape))

    def _scaled(self, operands: list[Operand | None], *, divide: bool) -> Value:
        first, second = operands
        if not isinstance(first, Value) and not divide:
            first, second = second, first
        if not isinstance(first, Value) or isinstance(second, Value) or second is None:
            raise NotJustified("no bound for a product or quotient of tensors")
        shape = np.broadcast_shapes(first.numbers.shape, second.shape)
        value = Value(first.layer, np.broadcast_to(first.numbers, shape))
        return self.builder.follow(
            Scale(np.asarray(second, dtype=np.float64), divide=divide), value
        )

    def _move(self, node: Any) -> None:
        """Run a node on the numbers of units, after all tensors that it reads became parts of one layer."""
        operands = self._operands(node)
        values = [x for x in operands if isinstance(x, Value)]
        whole = values[0]
        data = len(operands) if node.op_type == "Concat" else 1
        if node.op_type == "Concat" and (
            len(values) < len(operands) or any(x.layer != whole.layer for x in values)
        ):
            parts = [x if isinstance(x, Value) else np.asarray(x) for x in operands]
            whole, numbers = self._joined(parts)
        else:
            if len(values) > data or not isinstance(operands[0], Value):
                raise NotJustified("what is moved depends on the input")
            numbers = [x.numbers for x in operands[:data] if isinstance(x, Value)]
        given: list[Array | None] = [*numbers]
        given += [None if x is None else np.asarray(x) for x in operands[data:]]
        if node.op_type == "Dropout":
            given, moved = [], [numbers[0]]
            if len(operands) > 2 and operands[2] is not None and np.any(np.asarray(operands[2])):
                raise NotJustified("no bound for a dropout in training mode")
        else:
            moved = evaluated(node, given, self.opsets)
        for name, result in zip(node.output, moved, strict=False):
            if name:
                self.values[name] = Value(whole.layer, np.asarray(result))

    def _joined(self, parts: list[Operand]) -> tuple[Value, list[Array]]:
        """Return one layer that holds all tensors, and the numbers of each."""
        sizes = [x.flat.size if isinstance(x, Value) else x.size for x in parts]
        starts = np.cumsum([0, *sizes])
        terms: list[tuple[Value, Any]] = []
        bias, numbers = np.zeros(starts[-1]), []
        for part, start, size in zip(parts, starts.tolist(), sizes, strict=False):
            own = np.arange(start, start + size)
            if isinstance(part, Value):
                placed = sparse.csr_array(
                    (np.ones(size), (np.arange(size), own)), shape=(size, int(starts[-1]))
                )
                terms.append((part, placed))
                numbers.append(own.reshape(part.numbers.shape))
            else:
                bias[own] = part.ravel()
                numbers.append(own.reshape(part.shape))
        return self.builder.append(terms, (int(starts[-1]),), bias), numbers


def _shape(operand: Operand | None) -> tuple[int, ...]:
    return operand.numbers.shape if isinstance(operand, Value) else np.asarray(operand).shape

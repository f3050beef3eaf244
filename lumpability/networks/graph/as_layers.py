"""From the graph of an ONNX file to a chain of layers, where layers describe it: `as_layers`.

The walk follows the graph from its input to its output.  A sequence of operators becomes layers.  Branches that
meet again in an Add, all of known operators, become a `Join`.  Everything else between two tensors that all paths
pass becomes one `Opaque` layer.  Folded constants and shapes are those of the graph's index; a size that differs
between the index's two choices of free dimensions is free.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lumpability.errors import InvalidNetwork
from lumpability.networks.elementwise import Constant
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.node_layers import COPIED, node_layers, with_biases
from lumpability.networks.joins import Join, Opaque
from lumpability.networks.layers import Layer, Shape
from lumpability.networks.network import Network
from lumpability.networks.reshape import Reshape
from lumpability.networks.tensors.index import reads_shape
from lumpability.networks.tensors.protobuf import attributes, onnx, subgraphs
from lumpability.numbers.float_arrays import Array

_FOLDED = frozenset(
    [
        *("Add", "Cast", "Concat", "Constant", "Div", "Floor", "Gather", "Identity", "Mul", "Neg"),
        *("Reshape", "Shape", "Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
    ]
)
"""Operators on constants that leave a network of layers; weights that others make, such as dequantised ones, are
kept as the graph has them."""
_MOVED_FIRST = frozenset({"Clip", "BatchNormalization", "PRelu"})


class _NotLayers(Exception):  # not an error: the network then stays a graph
    """A graph that no chain of layers describes."""


def as_layers(graph: GraphNetwork) -> Network | None:
    """Return a graph as a chain of layers, or None if layers do not describe it.

    >>> from lumpability.networks.graph.examples import residual
    >>> [layer.title for layer in as_layers(residual()).layers]
    ['Dense', 'relu', 'Join', 'relu', 'Dense']
    """
    if _has_no_form(graph):
        return None
    try:
        network = _Reader(graph).network()
    except (_NotLayers, InvalidNetwork):
        return None
    return network if _keeps_batches(network) and _shaped_alike(network, graph) else None


def _has_no_form(graph: GraphNetwork) -> bool:
    """Whether a node reads what no layer reads: sizes as numbers, defaults, graphs, constants in odd places."""
    index, facts = graph.index, graph.index.choices[0]
    known = index.constants.keys() | index.constant_nodes.keys()
    bodies = index.model is not graph.model
    if bodies or index.defaults or graph.model.graph.sparse_initializer:
        return True
    for node in index.nodes:
        given = attributes(node)
        if node.output[0] in facts.values:
            if node.op_type not in _FOLDED:
                return True
            continue
        if any(node.output[1:]) or node.op_type == "Gelu" or subgraphs(node):
            return True
        if node.op_type in _MOVED_FIRST and node.input[0] in known:
            return True
        bare = len(node.input) < 2 and "axes" not in given
        if node.op_type == "Squeeze" and bare and index.symbols:
            return True
        if node.op_type == "AveragePool":
            padded = given.get("ceil_mode", 0) and any(given.get("pads", ()))
            if padded or set(given.get("dilations", (1,))) != {1}:
                return True
        for slot, name in enumerate(node.input):
            if name in facts.derived and not reads_shape(node.op_type, slot):
                return True
    return False


def _keeps_batches(network: Network) -> bool:
    """Whether no layer moves numbers from one member of a batch to another."""
    for layer, before in zip(network.layers, network.shapes, strict=False):
        free = bool(before) and before[0] is None
        if isinstance(layer, Reshape) and free and layer.target[0] != 0:
            if layer.target[0] != -1 or None in before[1:]:
                return False
            if math.prod(layer.target[1:]) != math.prod(n or 1 for n in before[1:]):
                return False
    return True


def _shaped_alike(network: Network, graph: GraphNetwork) -> bool:
    """Whether the output has the shape that onnx infers."""
    (name,) = graph.index.outputs
    for facts in graph.index.choices:
        found = facts.shape(name)
        if found is None:
            continue
        if len(found) != len(network.output_shape) or any(
            n not in (None, m) for n, m in zip(network.output_shape, found, strict=True)
        ):
            return False
    return True


class _Reader:
    """One walk through one graph."""

    def __init__(self, graph: GraphNetwork) -> None:
        index = graph.index
        if len(index.inputs) != 1 or len(index.outputs) != 1:
            raise _NotLayers
        self.model, self.choices, self.opset = graph.model, index.choices, index.opsets[""]
        (self.input,), (self.output,) = index.inputs, index.outputs
        self.constants = self.choices[0].values
        self.dtype = self._dtype()
        self.nodes = _needed(self._moving_nodes(index.nodes), self.output)

    def network(self) -> Network:
        shape = _stated(self.input)
        if shape is None:
            raise _NotLayers
        if self.output in self.constants:
            value = self.constants[self.output].astype(self.dtype)
            if not np.isfinite(value).all():
                raise _NotLayers
            layers: list[Layer] = [Constant(value)]
        else:
            layers = list(with_biases(self._chain(self.nodes, self.input.name, self.output, shape)))
        names = {"input_name": self.input.name, "output_name": self.output}
        axes = tuple(dim.dim_param for dim in self.input.type.tensor_type.shape.dim)
        return Network(tuple(layers), shape, self.dtype, **names, axis_names=axes)

    def _dtype(self) -> Any:
        code = self.input.type.tensor_type.elem_type
        try:
            dtype = np.dtype(onnx().helper.tensor_dtype_to_np_dtype(code))
        except (KeyError, TypeError, ValueError):
            raise _NotLayers from None
        if dtype.kind != "f" or dtype.itemsize > 8:
            raise _NotLayers
        return dtype

    def _moving_nodes(self, nodes: list[Any]) -> list[Any]:
        """Return the nodes that depend on the input."""
        reached = {self.input.name}
        moving = []
        for node in nodes:
            if node.output[0] in self.constants:
                continue
            names = set(filter(None, node.input))
            if reached & names and names <= reached | self.constants.keys():
                reached.update(node.output)
                moving.append(node)
        if self.output not in reached | self.constants.keys():
            raise _NotLayers
        return moving

    def _chain(self, nodes: list[Any], start: str, end: str, shape: Shape) -> list[Layer]:
        """Return the layers between two tensors, given the nodes on paths between them, in order.

        A tensor that every path passes is one that alone is still to be read after some of the nodes.
        """
        last = {name: number for number, node in enumerate(nodes) for name in node.input}
        layers: list[Layer] = []
        unread: set[str] = {start}
        segment: list[Any] = []
        unknown = False
        for number, node in enumerate(nodes):
            segment.append(node)
            unread |= set(node.output)
            unread = {name for name in unread if name == end or last.get(name, -1) > number}
            if len(unread) != 1 or unread == {start}:
                continue
            (stop,) = unread
            found = (
                [self._opaque(segment, start, stop)]
                if unknown
                else self._layers(segment, start, stop, shape)
            )
            # Nothing is known about layers after an unknown shape, so the barrier includes them.
            unknown = any(isinstance(layer, Opaque) and layer.shape is None for layer in found)
            if unknown and stop != end:
                continue
            for layer in found:
                shape = layer.output_shape(shape)
            layers += found
            start, segment, unknown = stop, [], False
        if start != end:
            raise _NotLayers
        return layers

    def _layers(self, segment: list[Any], start: str, stop: str, shape: Shape) -> list[Layer]:
        if len(segment) == 1:
            understood = self._understood(segment[0], start, shape)
        else:
            understood = self._joined(segment, start, shape)
        return [self._opaque(segment, start, stop)] if understood is None else understood

    def _understood(self, node: Any, start: str, shape: Shape) -> list[Layer] | None:
        if list(node.input).count(start) != 1:
            return None
        inputs = [self.constants.get(name) for name in node.input]
        if node.op_type == "Reshape" and node.input[1:2]:
            inputs[1] = self._target(node.input[1], start, shape)
        moving = list(node.input).index(start)
        return node_layers(node, inputs, moving, shape=shape, dtype=self.dtype, opset=self.opset)

    def _target(self, name: str, start: str, shape: Shape) -> Array | None:
        """Return the target of a Reshape, with `COPIED` for free sizes; None if others are computed."""
        targets = [facts.values[name] for facts in self.choices if name in facts.values]
        if not targets or name not in self.choices[0].derived:
            return targets[0] if targets else None
        sizes = self._sizes(targets)
        for axis in [axis for axis, size in enumerate(sizes) if size is None]:
            before = [facts.shape(start) for facts in self.choices]
            copied = all(
                known is not None and axis < len(known) and known[axis] == target[axis]
                for known, target in zip(before, targets, strict=True)
            )
            if axis >= len(shape) or shape[axis] is not None or not copied:
                return None
            sizes[axis] = COPIED
        return np.array(sizes, dtype=np.int64)

    def _sizes(self, found: list[Any]) -> list[int | None]:
        """Return sizes that are given at each choice of free dimensions, None for those that differ."""
        apart = zip(*(facts.sizes.values() for facts in self.choices), strict=True)
        if self.choices[0].sizes and any(len(set(sizes)) < 2 for sizes in apart):
            raise _NotLayers  # nobody can tell which sizes are free
        return [int(k[0]) if len(set(k)) == 1 else None for k in zip(*found, strict=True)]

    def _joined(self, segment: list[Any], start: str, shape: Shape) -> list[Layer] | None:
        """Return a `Join` if the segment consists of branches that an Add joins."""
        last = segment[-1]
        if last.op_type != "Add" or len(set(last.input)) != 2:
            return None
        if any(name in self.constants for name in last.input):
            return None
        try:
            branches = [
                tuple(with_biases(self._chain(_needed(segment[:-1], name), start, name, shape)))
                for name in last.input
            ]
        except _NotLayers:
            return None
        return [Join(tuple(branches))]

    def _opaque(self, segment: list[Any], start: str, stop: str) -> Opaque:
        helper = onnx().helper
        operators = tuple(node.op_type for node in segment)
        used = sorted({name for node in segment for name in node.input} & self.constants.keys())
        if not self.choices[0].derived.isdisjoint(used):
            raise _NotLayers  # the piece would hold sizes that are free
        if self.opset < 13 and "Softmax" in operators:
            raise _NotLayers  # it joined axes, which the evaluator of opaque layers does not know
        if {"LSTM", "GRU", "RNN"} & set(operators):
            raise _NotLayers
        stored = [onnx().numpy_helper.from_array(self.constants[name], name) for name in used]
        code = helper.np_dtype_to_tensor_dtype(self.dtype)
        ends = [helper.make_tensor_value_info(name, code, None) for name in (start, stop)]
        graph = helper.make_graph(segment, "opaque", [ends[0]], [ends[1]], stored)
        model = helper.make_model(
            graph, opset_imports=list(self.model.opset_import), ir_version=self.model.ir_version
        )
        shapes = [facts.shape(stop) for facts in self.choices]
        shape: Shape | None
        if None not in shapes:
            shape = tuple(self._sizes(shapes))
        else:
            items = (*self.model.graph.value_info, *self.model.graph.output)
            shape = next((_stated(item) for item in items if item.name == stop), None)
        return Opaque(model.SerializeToString(), operators, shape)


def _needed(nodes: list[Any], end: str) -> list[Any]:
    """Return the nodes that a tensor is computed from, in order."""
    needed, kept = {end}, []
    for node in reversed(nodes):
        if needed & set(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1]


def _stated(item: Any) -> Shape | None:
    """Return the shape that a file states of a tensor; None if it states none."""
    kind = item.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.dim_value > 0 else None for dim in kind.shape.dim)

"""ONNX networks (.onnx, .onnx.gz): any opset and IR version that `onnx` reads.

The reader follows the graph from its input to its output.  A sequence of operators becomes layers.  Branches that
meet again in an Add, all of known operators, become a `Join`.  Everything else between two tensors that all paths
pass becomes one `Opaque` layer.  A graph that layers do not describe becomes a `GraphNetwork`, the model as it is.
Where a graph can lose more than its layers can (joins, opaque layers, groups of channels, batch normalisation) the
reader remembers the graph, and `lumpability.lump` reduces it.
`lumpability.formats.onnx_writer` writes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from lumpability.errors import FormatError, InvalidInput, InvalidNetwork, require
from lumpability.files import DEFAULT_MAX_BYTES, opened, reading
from lumpability.formats.onnx_constants import attributes, initial_constants, tensor
from lumpability.formats.onnx_operators import OPERATORS, Use
from lumpability.formats.onnx_writer import write_onnx
from lumpability.networks.elementwise import Constant, Shift
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.source import read_from
from lumpability.networks.joins import Join, Opaque
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer, Shape
from lumpability.networks.network import Network
from lumpability.networks.reshape import Reshape
from lumpability.networks.tensors.index import reads_shape
from lumpability.numbers.float_arrays import Array

__all__ = ["FILES", "read_graph", "read_onnx", "write_onnx"]

FILES: WeakKeyDictionary[Network, Path] = WeakKeyDictionary()
"""From which file a network was read."""

_NO_LAYER = frozenset({"Gelu"})  # no form in the opset that layers are written in
_MOVED_FIRST = frozenset({"Clip", "BatchNormalization", "PRelu"})
_RECURRENT = frozenset({"LSTM", "GRU", "RNN", "Scan", "Loop"})


def read_onnx(path: str | Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> Network | GraphNetwork:
    """Read a network from an ``.onnx`` file, or from ``.onnx.gz``, which is unpacked in memory.

    Raises `FormatError` if the file is damaged, holds a recurrent network or several inputs or outputs, stores
    weights outside its folder, or has NaN or infinite weights.
    """
    path = Path(path)
    graph = read_graph(path, max_bytes=max_bytes)
    with reading(path):
        network = _as_layers(graph, path)
    if network is None:
        return graph
    FILES[network] = path
    return read_from(network, graph, reduces_more=any(map(_is_weak, network.layers)))


def _is_weak(layer: Layer) -> bool:
    """Whether units leave a graph with this layer that stay in a chain of layers."""
    return isinstance(layer, Join | Opaque | BatchNorm) or (
        isinstance(layer, Conv) and layer.groups > 1
    )


def read_graph(path: str | Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> GraphNetwork:
    """Read a network from an ONNX file as the graph that it is; otherwise as `read_onnx`."""
    onnx = require("onnx", extra="onnx")
    path = Path(path)
    model = onnx.ModelProto()
    with opened(path, max_bytes=max_bytes) as handle:
        data = handle.read()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf raises its own classes, which differ between versions
        raise FormatError("is not an ONNX model: the protobuf is damaged", path=path) from error
    del data
    if not model.graph.node and not model.graph.output:
        raise FormatError("is not an ONNX model: it has no graph", path=path)
    with reading(path):
        for item in model.graph.initializer:
            if item.data_location == onnx.TensorProto.EXTERNAL:
                item.CopyFrom(onnx.numpy_helper.from_array(tensor(item, path), item.name))
        _refuse_mixed_types(onnx, model)
        graph = GraphNetwork(model)
        _ = graph.index.choices  # refuses nodes that do not fit what they read
    return graph


def _refuse_mixed_types(onnx: Any, model: Any) -> None:
    """Refuse a model whose operators are given types that they do not take."""
    if model.ByteSize() < 1 << 30:
        try:
            onnx.shape_inference.infer_shapes(model, check_type=True)
        except (
            onnx.shape_inference.InferenceError,
            ValueError,
        ) as error:  # ValueError: unknown type
            raise InvalidNetwork(
                f"is not a valid model: {str(error).partition(chr(10))[0]}"
            ) from None


def _as_layers(graph: GraphNetwork, path: Path) -> Network | None:
    """Return the graph as layers, or None if layers do not describe it."""
    index = graph.index
    known = index.constants.keys() | index.constant_nodes.keys()
    if _uses_sizes(graph):
        return None
    if index.replaceable and graph.model.ir_version >= 4:
        return None
    for node in index.nodes:
        moved = node.op_type in _MOVED_FIRST and node.input[0] in known
        if moved or any(node.output[1:]) or node.op_type in _NO_LAYER:
            return None
        given = attributes(node) if node.op_type.endswith("Pool") else {}
        spread = node.op_type == "AveragePool" and set(given.get("dilations", (1,))) != {1}
        padded = node.op_type == "AveragePool" and any(given.get("pads", ()))
        if (given.get("ceil_mode", 0) and padded) or spread:
            return None
    try:
        network = _Reader(require("onnx", extra="onnx"), graph.model, path).network()
    except InvalidInput:
        return None
    barriers = [layer for layer in network.layers if isinstance(layer, Opaque)]
    if index.opsets[""] < 13 and any("Softmax" in layer.operators for layer in barriers):
        return None  # it joined axes, which the evaluator of opaque layers does not know
    return network if _keeps_batches(network) and _shaped_alike(network, graph) else None


def _uses_sizes(graph: GraphNetwork) -> bool:
    """Whether a size that may be free is used as a number, or decides which axes there are."""
    index, facts = graph.index, graph.index.choices[0]
    for node in index.nodes:
        if node.output[0] in facts.values:
            continue
        bare = len(node.input) < 2 and "axes" not in attributes(node)
        if node.op_type == "Squeeze" and bare and index.symbols:
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

    def __init__(self, onnx: Any, model: Any, path: Path) -> None:
        self.onnx, self.model, self.path = onnx, model, path
        self.graph = model.graph
        versions = [item.version for item in model.opset_import if item.domain in ("", "ai.onnx")]
        self.version = versions[0] if versions else 8
        self._refuse_recurrent()
        self.input, self.output = self._ends()
        self.shapes = self._known_shapes()
        self.dtype = self._dtype()
        self.constants = initial_constants(self.graph, path, self.shapes, self.version)
        self.nodes = self._moving_nodes()
        self.consumers: dict[str, list[int]] = {}
        for number, node in enumerate(self.nodes):
            for name in dict.fromkeys(node.input):
                self.consumers.setdefault(name, []).append(number)

    def network(self) -> Network:
        if self.output.name in self.constants:
            value = self.constants[self.output.name].astype(self.dtype)
            layers: list[Layer] = [Constant(value)]
        else:
            chain = self._chain(self.input.name, self.output.name, self._input_shape())
            layers = list(_with_biases(chain))
        return Network(
            tuple(layers),
            self._input_shape(),
            self.dtype,
            input_name=self.input.name,
            output_name=self.output.name,
        )

    def _refuse_recurrent(self) -> None:
        for node in self.graph.node:
            if node.op_type in _RECURRENT:
                raise FormatError(
                    f"is a recurrent network ({node.op_type}); only feed-forward networks are read",
                    path=self.path,
                    operator=node.op_type,
                )

    def _ends(self) -> tuple[Any, Any]:
        stored = {item.name for item in self.graph.initializer}
        inputs = [item for item in self.graph.input if item.name not in stored]
        outputs = list(self.graph.output)
        for role, items in (("inputs", inputs), ("outputs", outputs)):
            if len(items) != 1:
                names = ", ".join(item.name for item in items) or "none"
                raise FormatError(
                    f"has {len(items)} {role} ({names}); networks with one input and one output are read",
                    path=self.path,
                )
        return inputs[0], outputs[0]

    def _known_shapes(self) -> dict[str, Shape]:
        """Return the shapes that the file states or that follow from them."""
        model = self.model
        try:
            if model.ByteSize() < 1 << 30:
                light = _without_data(self.onnx, model)
                model = self.onnx.shape_inference.infer_shapes(light, data_prop=True)
        except Exception:  # noqa: BLE001  # inference is optional; an invalid model fails later, with a reason
            model = self.model
        known = {}
        for item in [*model.graph.input, *model.graph.value_info, *model.graph.output]:
            if item.type.tensor_type.HasField("shape"):
                known[item.name] = _shape_of(item)
        return known

    def _dtype(self) -> Any:
        code = self.input.type.tensor_type.elem_type
        try:
            dtype = np.dtype(self.onnx.helper.tensor_dtype_to_np_dtype(code))
        except (KeyError, TypeError, ValueError):
            dtype = np.dtype(object)
        if dtype.kind != "f" or dtype.itemsize > 8:
            raise FormatError(
                f"the input is of type {dtype}; supported are float16, float32 and float64",
                path=self.path,
                dtype=str(dtype),
            )
        return dtype

    def _input_shape(self) -> Shape:
        if not self.input.type.tensor_type.HasField("shape"):
            raise FormatError(
                f"the input {self.input.name!r} has no shape: state it in the model", path=self.path
            )
        return _shape_of(self.input)

    def _moving_nodes(self) -> list[Any]:
        """Return the nodes between input and output, in topological order."""
        reached = {self.input.name}
        moving = []
        pending = [node for node in self.graph.node if not set(node.output) & set(self.constants)]
        while pending:  # files in topological order need one round
            later = []
            for node in pending:
                missing = [n for n in node.input if n and n not in reached | self.constants.keys()]
                if missing:
                    later.append(node)
                elif reached & set(node.input):
                    reached.update(node.output)
                    moving.append(node)
            if len(later) == len(pending):
                break
            pending = later
        needed = {self.output.name}
        kept = []
        for node in reversed(moving):
            if needed & set(node.output):
                needed.update(node.input)
                kept.append(node)
        if self.output.name not in reached and self.output.name not in self.constants:
            raise FormatError(
                f"the output {self.output.name!r} does not depend on the input by any path of nodes",
                path=self.path,
            )
        return kept[::-1]

    def _chain(self, start: str, end: str, shape: Shape) -> list[Layer]:
        """Return the layers between two tensors."""
        layers: list[Layer] = []
        while start != end:
            segment, stop = self._segment(start, end)
            found = self._layers(segment, start, stop, shape)
            while stop != end and any(isinstance(x, Opaque) and x.shape is None for x in found):
                # Nothing is known about layers after an unknown shape, so the barrier includes them.
                more, stop = self._segment(stop, end)
                segment = segment + more
                found = [self._opaque(segment, start, stop)]
            for layer in found:
                shape = layer.output_shape(shape)
            layers += found
            start = stop
        return layers

    def _segment(self, start: str, end: str) -> tuple[list[Any], str]:
        """Return the nodes up to the next tensor that every path from `start` passes."""
        numbers: set[int] = set()
        open_names = {start}
        waiting = sorted(self.consumers.get(start, []))
        while waiting:
            number = waiting.pop(0)
            if number in numbers:
                continue
            numbers.add(number)
            node = self.nodes[number]
            open_names.update(node.output)
            open_names = {
                name
                for name in open_names
                if name == end or any(n not in numbers for n in self.consumers.get(name, []))
            }
            waiting = sorted(
                {*waiting, *(n for o in node.output for n in self.consumers.get(o, []))}
            )
            if len(open_names) == 1:
                (stop,) = open_names
                if stop != start:
                    return [self.nodes[n] for n in sorted(numbers)], stop
        raise FormatError(f"the path from {start!r} does not reach the output", path=self.path)

    def _layers(self, segment: list[Any], start: str, stop: str, shape: Shape) -> list[Layer]:
        if len(segment) == 1:
            understood = self._understood(segment[0], start, shape)
        else:
            understood = self._joined(segment, start, shape)
        if understood is not None:
            return understood
        return [self._opaque(segment, start, stop)]

    def _understood(self, node: Any, start: str, shape: Shape) -> list[Layer] | None:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            return None
        if list(node.input).count(start) != 1:
            return None
        moving = list(node.input).index(start)
        inputs = [self.constants.get(name) for name in node.input]
        use = Use(node.op_type, attributes(node), inputs, moving, shape, self.dtype)
        if node.op_type == "Softmax" and self.version < 13 and len(shape) != 2:
            return None  # before opset 13 softmax joins all axes from one on
        try:
            return OPERATORS[node.op_type](use)
        except InvalidInput as error:
            place = f"node {node.name or node.output[0]!r} ({node.op_type})"
            evidence = {**error.evidence, "node": node.output[0]}
            raise FormatError(f"{place}: {error}", path=self.path, **evidence) from error
        except (TypeError, ValueError, KeyError, IndexError):
            return None  # attributes of an unusual form stay as they are

    def _joined(self, segment: list[Any], start: str, shape: Shape) -> list[Layer] | None:
        """Return a `Join` if the segment consists of branches that an Add joins."""
        last = segment[-1]
        if last.op_type != "Add" or len(set(last.input)) != 2:
            return None
        if any(name in self.constants for name in last.input):
            return None
        branches = []
        outer = self.consumers
        inner: dict[str, list[int]] = {}
        position = {id(node): number for number, node in enumerate(self.nodes)}
        for node in segment[:-1]:
            for name in dict.fromkeys(node.input):
                inner.setdefault(name, []).append(position[id(node)])
        try:
            for name in last.input:
                self.consumers = self._leading_to(name, start, inner)
                branches.append(tuple(_with_biases(self._chain(start, name, shape))))
        except FormatError:
            return None
        finally:
            self.consumers = outer
        return [Join(tuple(branches))]

    def _leading_to(
        self, end: str, start: str, inner: dict[str, list[int]]
    ) -> dict[str, list[int]]:
        """Restrict consumers to nodes on the way from `start` to `end`."""
        needed, members = {end}, set()
        numbers = sorted({n for found in inner.values() for n in found}, reverse=True)
        for number in numbers:
            if needed & set(self.nodes[number].output):
                members.add(number)
                needed.update(self.nodes[number].input)
        return {
            name: kept
            for name, found in inner.items()
            if name != end and (kept := [n for n in found if n in members])
        }

    def _opaque(self, segment: list[Any], start: str, stop: str) -> Opaque:
        helper = self.onnx.helper
        used = {name for node in segment for name in node.input}
        stored = [
            self.onnx.numpy_helper.from_array(self.constants[name], name)
            for name in sorted(used & self.constants.keys())
        ]
        code = helper.np_dtype_to_tensor_dtype(self.dtype)
        ends = [helper.make_tensor_value_info(name, code, None) for name in (start, stop)]
        graph = helper.make_graph(segment, "opaque", [ends[0]], [ends[1]], stored)
        model = helper.make_model(
            graph, opset_imports=list(self.model.opset_import), ir_version=self.model.ir_version
        )
        operators = tuple(node.op_type for node in segment)
        return Opaque(model.SerializeToString(), operators, self.shapes.get(stop))


def _shape_of(item: Any) -> Shape:
    sizes = item.type.tensor_type.shape.dim
    return tuple(
        d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in sizes
    )


def _without_data(onnx: Any, model: Any) -> Any:
    """Copy a model without its large tensors, keeping their shapes: inference needs no more."""
    light = onnx.ModelProto()
    light.ir_version = model.ir_version
    light.opset_import.extend(model.opset_import)
    light.graph.name = model.graph.name
    light.graph.node.extend(model.graph.node)
    light.graph.output.extend(model.graph.output)
    light.graph.value_info.extend(model.graph.value_info)
    stated = {item.name for item in model.graph.input}
    light.graph.input.extend(model.graph.input)
    for item in model.graph.initializer:
        if len(item.dims) <= 1 and sum(item.dims) <= 64:
            light.graph.initializer.append(item)
        elif item.name not in stated:
            light.graph.input.append(
                onnx.helper.make_tensor_value_info(item.name, item.data_type, list(item.dims))
            )
    return light


def _with_biases(layers: Iterable[Layer]) -> Iterable[Layer]:
    """Join a MatMul and the Add after it into one dense layer with a bias."""
    held: Dense | None = None
    for layer in layers:
        if held is not None:
            if isinstance(layer, Shift) and (bias := _as_bias(layer.value, held)) is not None:
                yield Dense(held.weight, bias)
                held = None
                continue
            yield held
            held = None
        if isinstance(layer, Dense) and layer.bias is None:
            held = layer
        else:
            yield layer
    if held is not None:
        yield held


def _as_bias(value: Array, dense: Dense) -> Array | None:
    """Return a constant as one number for each unit, if it is constant along all other axes."""
    if value.size > 1 and value.shape[-1] != dense.units:
        return None
    if value.size not in (1, dense.units) or value.dtype != dense.weight.dtype:
        return None
    return np.broadcast_to(value.reshape(-1), (dense.units,)).copy()

"""The graph of a model as it stands in the file: nodes in order, constants, users, shapes at given sizes.

A tensor that depends on no input is folded by onnx's own evaluator.  A free dimension is a symbol; `facts`
gives it a size and folds shape arithmetic as well, so that everything that moves data can be run.  What
differs between two choices of sizes depends on them, and nothing but a shape may read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import InvalidNetwork
from lumpability.networks.tensors.facts import Facts, Shape, facts_at
from lumpability.networks.tensors.protobuf import (
    STEPS,
    array_of,
    attributes,
    evaluated,
    subgraphs,
)
from lumpability.numbers.float_arrays import Array, first_non_finite

__all__ = ["Facts", "Index", "Shape", "captured", "is_weight", "names_in", "reads_shape"]

_TRIALS = (
    *((2, 8, 1), (4, 16, 1), (2, 8, 0), (4, 16, 0), (1, 32, 0), (2, 64, 0)),
    *((4, 96, 0), (6, 12, 0), (3, 5, 0), (1, 224, 0), (1, 1, 0), (8, 8, 0)),
)
"""Sizes to try for free dimensions: of axis 0, of the others, and whether they differ from each other."""

_WEIGHTS = {
    **dict.fromkeys(("Gemm", "Conv", "ConvTranspose"), (1, 2)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (1, 2, 3)),
    "MatMul": (0, 1),
}
"""Inputs that hold the weights of layers."""

_SHAPES = {
    "Reshape": (1,),
    "Expand": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Resize": (2, 3),
    "Upsample": (1,),
    "Tile": (1,),
    "Pad": (1, 3),
    "Gather": (1,),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    "CenterCropPad": (1,),
}


class Index:
    """A model, indexed.

    - folder: where external data lies
    """

    def __init__(self, model: Any, folder: Path | None = None) -> None:
        self.model, self.graph, self.folder = model, model.graph, folder
        self.opsets = {item.domain or "": item.version for item in model.opset_import}
        self.opsets.setdefault("", 1)
        self.opsets.setdefault("ai.onnx", self.opsets[""])
        self.stored = {item.name: item for item in self.graph.initializer}
        sparse = {item.values.name: item for item in self.graph.sparse_initializer}
        self._refuse_bytes()
        inner = {f.name for f in model.functions}
        self.inputs = [
            item for item in self.graph.input if item.name not in self.stored | sparse.keys()
        ]
        self.outputs = [item.name for item in self.graph.output]
        self.replaceable = [i.name for i in self.graph.input if i.name in self.stored]
        # From IR version 4 on, such a weight is a default that callers may replace.
        self.defaults = [
            i for i in self.graph.input if model.ir_version >= 4 and i.name in self.stored
        ]
        self.constants = {name: array_of(item, folder) for name, item in self.stored.items()}
        for name, item in sparse.items():
            self.constants[name] = _dense(item)
        self._refuse_nan()
        self.nodes = self._ordered([*self.constants, *(i.name for i in self.inputs)])
        self.constant_nodes = self._constant_nodes()
        self.local = [node.op_type in inner and node.domain != "" for node in self.nodes]
        self.users: dict[str, list[tuple[int, int]]] = {}
        self.producer: dict[str, int] = {}
        self.captured: set[str] = set()
        for number, node in enumerate(self.nodes):
            for slot, name in enumerate(node.input):
                self.users.setdefault(name, []).append((number, slot))
            self.producer.update((name, number) for name in node.output if name)
            self.captured |= set(captured(node))
        self._refuse_infinite()

    @property
    def symbols(self) -> list[tuple[str, int]]:
        """Free dimensions of the inputs, each with the axis where it stands first."""
        found: dict[str, int] = {}
        for item in (*self.inputs, *self.defaults):
            for axis, size in enumerate(self.sizes(item)):
                if isinstance(size, str):
                    found.setdefault(size, axis)
        return list(found.items())

    def sizes(self, item: Any) -> list[int | str]:
        """Return the sizes of an input, free ones by their names, which are fixed if weights say what they are."""
        return [self._stated.get(size, size) for size in _sizes_in_file(item)]

    @cached_property
    def _stated(self) -> dict[Any, int]:
        """Free sizes of inputs that are read by a node whose weights say what they are."""
        found: dict[Any, int] = {}
        inputs = {item.name: _sizes_in_file(item) for item in (*self.inputs, *self.defaults)}
        for node in self.nodes:
            sizes = inputs.get(node.input[0], []) if len(node.input) > 1 else []
            weights = self.constants.get(node.input[1]) if sizes else None
            place = None if weights is None else _channels_stated(node, weights)
            if place is not None and place[0] < len(sizes) and isinstance(sizes[place[0]], str):
                found.setdefault(sizes[place[0]], place[1])
        return found

    @cached_property
    def choices(self) -> list[Facts]:
        """What is known at one choice of sizes, or two if there are free dimensions.

        Choices at which fewest nodes fail are taken.
        """
        symbols = self.symbols
        trials: list[tuple[int, Facts]] = []
        for sizes in _TRIALS if symbols else _TRIALS[:1]:
            facts = self.facts(_sizes_of(symbols, *sizes))
            known = sum(facts.shape(name) is None for node in self.nodes for name in node.output)
            trials.append((known, facts))
            fewest = min(count for count, _ in trials)
            if sum(count == fewest for count, _ in trials) > 1 and (fewest == 0 or len(trials) > 3):
                break
        self._refuse_misfits([facts for _, facts in trials])
        fewest = min(count for count, _ in trials)
        return [facts for count, facts in trials if count == fewest][:2]

    def _refuse_misfits(self, trials: list[Facts]) -> None:
        """Refuse nodes that never fit what they read, unless free sizes may be why."""
        for name, message in trials[0].wrong.items():
            node = self.nodes[self.producer[name]]
            channels = {_channels(node, facts) for facts in trials}
            certain = not self.symbols or (len(channels) == 1 and channels != {None})
            certain = certain and name not in self.branches
            if certain and all(name in facts.wrong for facts in trials):
                raise InvalidNetwork(message)

    @cached_property
    def branches(self) -> set[str]:
        """Tensors that are computed in branches of an If alone: nobody knows whether these run."""
        needed, pending = set(), list(self.outputs)
        while pending:
            name = pending.pop()
            if name not in needed:
                needed.add(name)
                node = self.nodes[self.producer[name]] if name in self.producer else None
                if node is not None:
                    chosen = node.domain == STEPS and node.op_type == "If"
                    pending += node.input[:1] if chosen else (*node.input, *captured(node))
        return self.producer.keys() - needed

    def facts(self, sizes: dict[str, int]) -> Facts:
        """Fold constants and infer shapes with the free dimensions set to some sizes."""
        return facts_at(self, sizes)

    def _constant_nodes(self) -> dict[str, Array]:
        """Return the values of nodes that state a constant."""
        found = {}
        for node in self.nodes:
            if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
                try:
                    (value,) = evaluated(node, [], self.opsets)
                except Exception as error:  # classes of its own
                    name = node.output[0]
                    raise InvalidNetwork(f"the constant {name!r} cannot be read") from error
                if isinstance(value, np.ndarray):
                    found[node.output[0]] = value
        return found

    def _refuse_bytes(self) -> None:
        """Refuse names that are not text, which protobuf hands out as bytes, and nodes without an output."""
        for node in self.graph.node:
            names = (node.op_type, node.domain, node.name, *node.input, *node.output)
            if not all(isinstance(name, str) for name in names):
                raise InvalidNetwork("the graph holds names that are not UTF-8 text")
            if not any(node.output):
                raise InvalidNetwork(f"a node {node.op_type!r} has no output")

    def _refuse_nan(self) -> None:
        for name, value in self.constants.items():
            if value.dtype.kind == "f" and np.isnan(value).any():
                place = np.argwhere(np.isnan(value))[0].tolist()
                raise InvalidNetwork(f"the weight {name!r} holds nan at index {place}")

    def _refuse_infinite(self) -> None:
        """Refuse layers with weights that are no numbers; masks that are added may hold minus infinity."""
        for node in self.nodes:
            for slot in _WEIGHTS.get(node.op_type, ()):
                name = node.input[slot] if slot < len(node.input) else ""
                value = self.constants.get(name, self.constant_nodes.get(name))
                place = None if value is None else first_non_finite(value)
                if value is not None and place is not None:
                    raise InvalidNetwork(
                        f"the weight {name!r} holds {value[place]} at index {list(place)}: "
                        f"{node.op_type} {node.name or node.output[0]!r} computes no numbers with it"
                    )

    def _ordered(self, known: Iterable[str]) -> list[Any]:
        """Return the nodes so that every tensor is written before it is read."""
        ready = {"", *known}
        written: set[str] = set(ready) - {""}
        for node in self.graph.node:
            for name in filter(None, node.output):
                if name in written:
                    raise InvalidNetwork(
                        f"the tensor {name!r} is defined twice: not a valid ONNX graph"
                    )
                written.add(name)
        self.places: list[int] = []
        ordered, pending = [], list(enumerate(self.graph.node))
        while pending:
            later = []
            for place, node in pending:
                if all(name in ready for name in (*node.input, *captured(node))):
                    ordered.append(node)
                    self.places.append(place)
                    ready.update(node.output)
                else:
                    later.append((place, node))
            if len(later) == len(pending):
                first = later[0][1]
                missing = next(n for n in (*first.input, *captured(first)) if n not in ready)
                raise InvalidNetwork(f"the tensor {missing!r} is read but never defined")
            pending = later
        missing = [name for name in self.outputs if name not in ready]
        if missing:
            raise InvalidNetwork(f"the output {missing[0]!r} is never defined")
        return ordered


def _sizes_of(
    symbols: Sequence[tuple[str, int]], first: int, other: int, apart: int
) -> dict[str, int]:
    """Return a size for each symbol, given with the axis where it stands first."""
    found = {}
    for late in (False, True):
        names = [name for name, axis in symbols if (axis > 0) == late]
        step = other if late else 1
        size = other if late else first
        found.update({name: size + apart * step * k for k, name in enumerate(names)})
    return {name: found[name] for name, _ in symbols}


def _sizes_in_file(item: Any) -> list[int | str]:
    """Return the sizes that a file states for an input, free ones by their names."""
    return [
        dim.dim_value
        if dim.HasField("dim_value") and dim.dim_value > 0
        else str(dim.dim_param or f"{item.name}:{axis}")
        for axis, dim in enumerate(item.type.tensor_type.shape.dim)
    ]


def _channels_stated(node: Any, weights: Array) -> tuple[int, int] | None:
    """Return the axis of the channels of a node's first input, and how many its weights say that there are."""
    if node.domain not in ("", "ai.onnx"):
        return None
    op, shape, given = node.op_type, weights.shape, attributes(node)
    if op in ("BatchNormalization", "InstanceNormalization") and len(shape) == 1:
        return 1, shape[0]
    if op == "Conv" and len(shape) > 2:
        return 1, shape[1] * given.get("group", 1)
    if op == "ConvTranspose" and len(shape) > 2:
        return 1, shape[0]
    if op == "Gemm" and len(shape) == 2 and not given.get("transA", 0):
        return 1, shape[given.get("transB", 0)]
    if op in ("LSTM", "GRU", "RNN") and len(shape) == 3:
        return 2, shape[2]
    return None


def captured(node: Any) -> Iterator[str]:
    """Yield the names that the graphs inside a node read from outside."""
    for graph in subgraphs(node):
        own = {item.name for item in (*graph.input, *graph.initializer)}
        own |= {name for inner in graph.node for name in inner.output}
        for inner in graph.node:
            yield from (n for n in (*inner.input, *captured(inner)) if n and n not in own)
        yield from (item.name for item in graph.output if item.name not in own)


def _channels(node: Any, facts: Facts) -> tuple[int, ...] | None:
    """Return the sizes that have to agree in a contraction; None for other nodes."""
    if node.op_type not in ("MatMul", "Gemm", "Conv") or attributes(node).get("transA", 0):
        return None
    shapes = [facts.shape(name) for name in node.input[:2]]
    if any(not shape for shape in shapes):
        return None
    first, second = (shape or () for shape in shapes)
    return (first[1] if node.op_type == "Conv" else first[-1], *second)


def names_in(graph: Any) -> Iterator[str]:
    """Yield the names of all tensors of a graph and of the graphs inside its nodes."""
    for item in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        yield item.name
    yield from (item.values.name for item in graph.sparse_initializer)
    for node in graph.node:
        yield from (*node.input, *node.output)
        for inner in subgraphs(node):
            yield from names_in(inner)


def _dense(item: Any) -> Array:
    """Return a sparse initializer as an array."""
    values, where = array_of(item.values), array_of(item.indices)
    dense = np.zeros(tuple(item.dims), dtype=values.dtype)
    if where.ndim == 2:
        dense[tuple(where.T)] = values
    else:
        dense.ravel()[where] = values
    return dense


def is_weight(array: Array) -> bool:
    """Whether a constant counts as weights: floats, and integers of eight bits or fewer."""
    return array.dtype.kind == "f" or (array.dtype.itemsize == 1 and array.dtype.kind in "iu")


def reads_shape(op: str, slot: int) -> bool:
    """Whether an input of an operator is a shape, an extent or a position rather than data.

    >>> reads_shape("Reshape", 1), reads_shape("Add", 1)
    (True, False)
    """
    return slot in _SHAPES.get(op, ())

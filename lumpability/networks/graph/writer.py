"""New constants and attributes in a copy of a model; nothing else of it changes.

A constant that others read as well is cloned.  One that is computed from a stored one by transpositions or by
dequantisation is written there if the stored type holds what it becomes; otherwise its new value is stored where it is
read, and what is not read any more is forgotten.  A node that only measures a constant becomes the constant that it
yields, so that it does not keep the old one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.networks.graph.analysis import Analysis
from lumpability.networks.tensors.index import Shape, names_in
from lumpability.networks.tensors.protobuf import attributes, onnx, tensor_of, tensor_type
from lumpability.numbers.float_arrays import Array


def quantized(
    node: Any, inputs: list[Array | None], array: Array, places: Array
) -> list[tuple[str, Array]]:
    """Return stored integers, scales and zero points that a DequantizeLinear turns into an array, or nothing.

    - inputs: what it reads now
    - array: what it is to yield
    - places (int array, of the same shape): the entries of what it yields now whose scales count

    >>> node = onnx().helper.make_node("DequantizeLinear", ["q", "s"], ["w"], axis=0)
    >>> stored = [np.array([[1, 2], [3, 4]], np.int8), np.array([0.5, 0.25], np.float32)]
    >>> new = quantized(node, stored, np.array([[0.75, 1.75]], np.float32), np.array([[2, 3]]))
    >>> [(name, values.tolist()) for name, values in new]
    [('q', [[3, 7]]), ('s', [0.25])]
    """
    stored, scale = inputs[0], inputs[1]
    zero = inputs[2] if len(inputs) > 2 else None
    given = attributes(node)
    assert stored is not None
    assert scale is not None
    if given.get("block_size", 0) or array.dtype != scale.dtype or stored.dtype.kind not in "iu":
        return []
    found: list[tuple[str, Array]] = []
    spread: list[Array] = []
    for name, values in zip(node.input[1:], (scale, zero), strict=False):
        if values is None or values.size == 1:
            spread.append(np.zeros(1) if values is None else values.reshape(-1))
            continue
        axis = given.get("axis", 1) % stored.ndim
        line = np.moveaxis(np.unravel_index(places, stored.shape)[axis], axis, 0)
        line = line.reshape(line.shape[0], -1)
        if not bool((line == line[:, :1]).all()):
            return []
        found.append((name, values[line[:, 0]]))
        spread.append(found[-1][1].reshape((-1,) + (1,) * (stored.ndim - axis - 1)))
    by, shift = (*spread, np.zeros(1))[:2]
    with np.errstate(all="ignore"):
        whole = np.rint(array / by) + shift
        ends = np.iinfo(stored.dtype)
        if not bool(((whole >= ends.min) & (whole <= ends.max)).all()):
            return []
        new = whole.astype(stored.dtype)
        again = (new.astype(np.int64) - shift.astype(np.int64)).astype(scale.dtype) * by
    return [(node.input[0], new), *found] if np.array_equal(again, array) else []


@dataclass
class Writer:
    """Puts constants and attributes into a copy of the model.

    - places: by a node's first output and an input: which entries of the old constant stay
    - widened: first outputs of nodes whose weights were stored as integers and now are floats
    """

    analysis: Analysis
    model: Any
    places: dict[tuple[str, int], Array]
    widened: list[str] = field(default_factory=list)

    @cached_property
    def _taken(self) -> set[str]:
        """All names of the graph."""
        return set(names_in(self.model.graph))

    def write(
        self,
        constants: dict[str, dict[tuple[int, int], Array]],
        attributes: dict[tuple[int, str], Any],
    ) -> None:
        """Write new constants, by name and where they are read, and attributes, by node."""
        index = self.analysis.index
        for (number, key), value in attributes.items():
            self._set(self.node(number), key, value)
        measures = self._stated_measures(constants)
        for name, wanted in constants.items():
            old = self.analysis.known[name]
            users = set(index.users.get(name, ())) - measures
            shared = name in index.captured or name in index.outputs or users - wanted.keys()
            groups: dict[tuple[Shape, bytes], list[tuple[int, int]]] = {}
            arrays: dict[tuple[Shape, bytes], Array] = {}
            for use, array in wanted.items():
                content = (array.shape, array.tobytes())
                groups.setdefault(content, []).append(use)
                arrays[content] = array
            for content, uses in groups.items():
                array = arrays[content]
                pinned = name in self.analysis.pinned  # what computes it would yield another number
                if (array is old and not pinned) or (
                    not (shared or pinned)
                    and len(groups) == 1
                    and (self._in_place(name, array) or self._behind(name, array, uses))
                ):
                    continue
                new = self._clone(name, array)
                if self._is_quantized(name):
                    self.widened += [index.nodes[number].output[0] for number, _ in uses]
                for number, slot in uses:
                    self.node(number).input[slot] = new
        self._forget()

    def node(self, number: int) -> Any:
        """Return a node of the copy."""
        return self.model.graph.node[self.analysis.index.places[number]]

    def _stated_measures(self, changed: Iterable[str]) -> set[tuple[int, int]]:
        """Turn nodes that measure constants which change into constants; return where they read."""
        index, known = self.analysis.index, self.analysis.known
        behind, found = self._behind_all(changed), set()
        for number, node in enumerate(index.nodes):
            measures = node.op_type in ("Shape", "Size") and node.domain in ("", "ai.onnx")
            if measures and node.input[0] in known and behind & self._behind_all(node.input[:1]):
                value = onnx().numpy_helper.from_array(known[node.output[0]])
                stated = onnx().helper.make_node(
                    "Constant", [], node.output, node.name, value=value
                )
                self.node(number).CopyFrom(stated)
                found.add((number, 0))
        return found

    def _behind_all(self, names: Iterable[str]) -> set[str]:
        """Return constants and all that they are computed from."""
        index, found, pending = self.analysis.index, set(), list(names)
        while pending:
            name = pending.pop()
            if name and name not in found:
                found.add(name)
                place = index.producer.get(name)
                pending += [] if place is None else index.nodes[place].input
        return found

    def _set(self, node: Any, key: str, value: Any) -> None:
        made = onnx().helper.make_attribute(key, value)
        for item in node.attribute:
            if item.name == key:
                item.CopyFrom(made)
                return
        node.attribute.append(made)

    def _in_place(self, name: str, array: Array) -> bool:
        """Write a constant where the file states it, with its stated shape; say if it is stated anywhere."""
        graph = self.model.graph
        stated = [item for item in graph.initializer if item.name == name]
        producer = self.analysis.index.producer.get(name)
        if producer is not None and self.node(producer).op_type == "Constant":
            stated += [item.t for item in self.node(producer).attribute if item.name == "value"]
        for item in stated:
            new = tensor_of(array, item.name, item.data_type)
            new.doc_string = item.doc_string
            item.CopyFrom(new)
            for end in (*graph.input, *graph.value_info):
                if end.name == name:
                    end.type.CopyFrom(tensor_type(item.data_type, array.shape))
        return bool(stated)

    def _behind(self, name: str, array: Array, uses: list[tuple[int, int]]) -> bool:
        """Write a constant to where it is computed from, through transpositions and dequantisation; say if that was done.

        All of it is then as it was: weights of eight bits stay weights of eight bits.
        """
        index, places = self.analysis.index, None
        for number, slot in uses:
            places = self.places.get((index.nodes[number].output[0], slot))
        values = self.analysis.choices[0].values
        done: list[tuple[str, Array]] = []
        while places is not None and places.shape == array.shape:
            producer = index.producer.get(name)
            if producer is None or len(index.users.get(name, ())) > 1:
                return False
            node = index.nodes[producer]
            if not all(source in values for source in node.input if source):
                return False
            if node.op_type == "Transpose":
                source = values[node.input[0]]
                order = attributes(node).get("perm", range(source.ndim)[::-1])
                numbers = np.arange(source.size).reshape(source.shape).transpose(order)
                back = np.argsort(order)
                places = numbers.ravel()[places].transpose(back)
                array = array.transpose(back)
            elif node.op_type == "DequantizeLinear":
                done = quantized(node, [values.get(source) for source in node.input], array, places)
                break
            else:
                return False
            name = node.input[0]
            if name in index.stored:
                done = [(name, array)]
                break
        fits = all(
            name in index.stored and len(index.users[name]) == 1 and name not in index.captured
            for name, _ in done
        )
        return bool(done) and fits and all(self._in_place(name, new) for name, new in done)

    def _is_quantized(self, name: str) -> bool:
        """Whether a constant is dequantised integers, transposed or not."""
        index = self.analysis.index
        while name in index.producer:
            node = index.nodes[index.producer[name]]
            if node.op_type == "DequantizeLinear":
                return True
            if node.op_type != "Transpose":
                return False
            name = node.input[0]
        return False

    def _clone(self, name: str, array: Array) -> str:
        graph = self.model.graph
        number = 0
        while f"{name}_{number}" in self._taken:
            number += 1
        new = f"{name}_{number}"
        self._taken.add(new)
        stored = self.analysis.index.stored.get(name)
        graph.initializer.append(
            tensor_of(array, new, None if stored is None else stored.data_type)
        )
        if self.model.ir_version < 4:  # initializers had to be inputs as well
            item = graph.initializer[-1]
            graph.input.append(
                onnx().helper.make_tensor_value_info(new, item.data_type, list(array.shape))
            )
        return new

    def _forget(self) -> None:
        """Remove constants that were read before and are not any more."""
        graph, index = self.model.graph, self.analysis.index
        while True:
            read = (
                {name for node in graph.node for name in node.input}
                | set(index.outputs)
                | index.captured
            )
            gone = [k for k, node in enumerate(graph.node) if self._idle(node, read)]
            for k in reversed(gone):
                del graph.node[k]
            for name in [
                i.name for i in graph.initializer if i.name not in read and i.name in index.users
            ]:
                for items in (graph.initializer, graph.input, graph.value_info):
                    for k in reversed([k for k, item in enumerate(items) if item.name == name]):
                        del items[k]
            if not gone:
                return

    def _idle(self, node: Any, read: Iterable[str]) -> bool:
        names = [name for name in node.output if name]
        return all(
            name not in read
            and name in self.analysis.choices[0].values
            and name in self.analysis.index.users
            for name in names
        )

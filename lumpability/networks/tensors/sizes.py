"""Sizes of tensors as polynomials of the free dimensions: what is equal here is equal at every choice of them.

A size is an int or a polynomial with whole coefficients.  Its variables are the free dimensions of the inputs and
whatever else an operator makes of sizes, which is named by the operator and what it reads.  Tensors that are computed
from sizes alone have such polynomials as entries, or a name.  Only what depends on no free size is a constant: that
two trial sizes agree proves nothing.  Where sizes have to agree for the model to run at all, they count as equal.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from lumpability.networks.tensors.algebra import Algebra
from lumpability.networks.tensors.index import Facts, Index
from lumpability.networks.tensors.polynomials import Size, at, minus, over, plus, product, times
from lumpability.networks.tensors.protobuf import attributes, evaluated, inferred_sizes, subgraphs
from lumpability.networks.tensors.shapes import SHAPES, Named, Node
from lumpability.numbers.float_arrays import Array

_SMALL = 1024
_MOVES = frozenset(
    [
        *("Gather", "Slice", "Concat", "Squeeze", "Unsqueeze", "Reshape", "Flatten"),
        *("Transpose", "Split", "Expand", "Tile", "Identity"),
    ]
)
_ENTRIES = frozenset(
    [
        *("Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Min", "Max", "Pow", "Clip"),
        *("Relu", "Cast"),
        *("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Not", "And", "Or", "Where"),
        *("Floor", "Ceil", "Round", "Sqrt", "Reciprocal"),
    ]
)


class Sizes:
    """What is known of sizes, and what is computed from them.

    - choices: trials of the free dimensions; every polynomial is checked at them
    - algebra: names variables
    """

    def __init__(self, index: Index, choices: list[Facts], algebra: Algebra) -> None:
        self.index, self.choices, self.algebra = index, choices, algebra
        self.known: dict[str, Array] = {}
        self.dims: dict[str, tuple[Size, ...]] = {}
        self.names: dict[str, Hashable] = {}
        self._entries: dict[str, Array] = {}
        self._trials: dict[int, tuple[int, ...]] = {}
        self._natural: set[int] = set()
        free = {name: self._symbol(name) for name, _ in index.symbols}
        if not free:
            self._of_fixed_sizes()
            return
        for name, value in index.constants.items():
            if name in choices[0].values:
                self._constant(name, value)
        for item in (*index.inputs, *index.defaults):
            if choices[0].shape(item.name) is not None:
                self.dims[item.name] = tuple(
                    free[size] if isinstance(size, str) else size for size in index.sizes(item)
                )
        for node in index.nodes:
            self._node(node)

    def _of_fixed_sizes(self) -> None:
        (facts, *_) = self.choices
        self.known = dict(facts.values)
        for name in (*facts.values, *facts.types):
            shape = facts.shape(name)
            if shape is not None:
                self.dims[name] = shape

    def _constant(self, name: str, value: Array) -> None:
        self.known[name] = value
        self.dims[name] = tuple(value.shape)

    def _symbol(self, name: str) -> Size:
        sizes = tuple(facts.sizes[name] for facts in self.choices)
        return self._variable(("free", name), sizes, natural=True)

    def _variable(self, key: Hashable, trials: Sequence[int], *, natural: bool) -> Size:
        number = self.algebra.atom(("size", key))
        self._trials[number] = tuple(trials)
        if natural:
            self._natural.add(number)
        return (((number,), 1),)

    def vector(self, name: str) -> list[Size] | None:
        """Return the entries of a tensor of whole numbers, or None if they are not followed."""
        if name in self.known and self.known[name].dtype.kind in "iub":
            return [int(n) for n in self.known[name].ravel().tolist()]
        entries = self._entries.get(name)
        return None if entries is None else list(entries.ravel().tolist())

    def is_extent(self, size: Size) -> bool:
        """Whether a polynomial is the extent of an axis, or a sum or product of such, rather than any number."""
        terms = [((), size)] if isinstance(size, int) else size
        return all(n > 0 and self._natural.issuperset(variables) for variables, n in terms)

    def identity(self, name: str) -> Hashable | None:
        """Return a name of a tensor that is computed from sizes and constants alone, or None."""
        if not name:
            return ""
        value = self.known.get(name)
        if value is not None:
            if value.dtype.kind == "O":
                return ("texts", value.shape, tuple(value.ravel().tolist()))
            short = value.nbytes <= _SMALL
            data = value.tobytes() if short else sha256(value.tobytes()).digest()
            return (value.dtype.str, value.shape, data)
        return self.names.get(name)

    def fill(self, name: str) -> Any | None:
        """Return the one number that a tensor consists of at all sizes, or None."""
        value = self.known.get(name)
        if value is None and name in self.names:
            node = self.index.nodes[self.index.producer[name]]
            if node.op_type in _MOVES and node.op_type != "Concat":
                return self.fill(node.input[0])
            if node.op_type == "ConstantOfShape":
                value = self.choices[0].values[name]
        if value is None or not value.size or not bool((value == value.flat[0]).all()):
            return None
        return value.flat[0]

    def _node(self, node: Any) -> None:
        names = [name for name in node.output if name]
        folded = all(name in facts.values for name in names for facts in self.choices)
        measures = node.op_type in ("Shape", "Size") and node.domain in ("", "ai.onnx")
        # Of what CastLike reads second, only the type matters.
        read = node.input[:1] if node.op_type == "CastLike" else node.input
        if folded and not measures and all(name in self.known for name in read if name):
            for name in names:
                self._constant(name, self.choices[0].values[name])
            return
        for output, name in enumerate(node.output):
            if name:
                dims = self._shape(node, output)
                if dims is not None:
                    self.dims[name] = dims
        if folded:
            self._fold(node)

    # Tensors that are computed from sizes

    def _fold(self, node: Any) -> None:
        found = self._values(node)
        key = (self._key(node), *(self.identity(name) for name in node.input))
        for output, name in enumerate(node.output):
            if not name:
                continue
            value = self.choices[0].values[name]
            entries = None if found is None else found[output]
            if entries is not None and self._agrees(entries, name):
                if all(isinstance(entry, int) for entry in entries.ravel().tolist()):
                    self._constant(name, entries.astype(value.dtype))
                    continue
                self._entries[name] = entries
                self.dims[name] = tuple(entries.shape)
                flat = tuple(entries.ravel().tolist())
                self.names[name] = ("entries", value.dtype.str, entries.shape, flat)
            elif None not in key:
                self.names[name] = self.algebra.atom(("folded", key, output))

    def _agrees(self, entries: Array, name: str) -> bool:
        """Whether entries are right at the trials."""
        return all(
            facts.values[name].shape == entries.shape
            and [at(entry, self._trials, k) for entry in entries.ravel().tolist()]
            == facts.values[name].ravel().tolist()
            for k, facts in enumerate(self.choices)
        )

    def _values(self, node: Any) -> list[Array | None] | None:
        """Return the entries of a node's outputs, or None."""
        op = node.op_type
        if node.domain not in ("", "ai.onnx"):
            return None
        if op in ("Shape", "Size"):
            dims = self.dims.get(node.input[0])
            if dims is None:
                return None
            if op == "Size":
                return [_objects([product(dims)], ())]
            given = attributes(node)
            part = list(dims)[given.get("start", 0) : given.get("end")]
            return [_objects(part, (len(part),))]
        shapes = [self.choices[0].values[name].shape for name in node.output if name]
        if sum(math.prod(shape) for shape in shapes) > _SMALL:
            return None
        if op in _MOVES:
            return self._moved(node)
        if op == "ReduceProd" and len(node.output) == 1:
            flat = self.vector(node.input[0])
            whole = flat is not None and len(shapes[0]) <= 1 and math.prod(shapes[0]) == 1
            return [_objects([product(flat)], shapes[0])] if flat and whole else None
        if op in _ENTRIES and len(node.output) == 1:
            return self._each(node, shapes[0])
        return None

    def _moved(self, node: Any) -> list[Array | None] | None:
        """Run an operator that moves data on the numbers of the entries."""
        slots = range(len(node.input)) if node.op_type == "Concat" else range(1)
        pool: list[Size] = []
        given: list[Array | None] = [self.known.get(name) for name in node.input]
        for slot in slots:
            entries = self.vector(node.input[slot])
            if entries is None:
                return None
            shape = self.choices[0].values[node.input[slot]].shape
            given[slot] = np.arange(len(pool), len(pool) + len(entries)).reshape(shape)
            pool += entries
        if any(name and value is None for name, value in zip(node.input, given, strict=True)):
            return None
        try:
            found = evaluated(node, given, self.index.opsets)
        except Exception:  # noqa: BLE001  # then it has a name only
            return None
        return [_objects([pool[k] for k in f.ravel().tolist()], f.shape) for f in found]

    def _each(self, node: Any, shape: tuple[int, ...]) -> list[Array | None] | None:
        """Apply an operator entry by entry."""
        columns = []
        for name in node.input:
            entries = self.vector(name)
            if entries is None and name in self.known:
                entries = [("number", repr(x)) for x in self.known[name].ravel().tolist()]  # type: ignore[misc]
            if entries is None:
                return None
            values = self.choices[0].values[name]
            columns.append(np.broadcast_to(_objects(entries, values.shape), shape).ravel())
        name = node.output[0]
        code = self.choices[0].values[name].dtype.str
        trials = [facts.values[name] for facts in self.choices]
        if any(value.shape != shape for value in trials):
            return None
        flat = [value.ravel().tolist() for value in trials]
        kinds = {self.choices[0].values[one].dtype.kind for one in node.input}
        found = []
        for k, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            known = tuple(values[k] for values in flat)
            entry = None if kinds - set("iub") else self._whole(node, row)
            if all(isinstance(n, int) for n in (*row, *known)):
                entry = int(known[0])
            if entry is None:
                entry = self._variable((self._key(node), code, row), known, natural=False)
            found.append(entry)
        return [_objects(found, shape)]

    def _whole(self, node: Any, row: tuple[Size, ...]) -> Size | None:
        """Return what an operator makes of whole numbers, or None."""
        op = node.op_type
        if op == "Cast" and attributes(node).get("to") in (6, 7):
            return row[0]
        if op in ("Add", "Sub", "Mul"):
            return {"Add": plus, "Sub": minus, "Mul": times}[op](*row)
        if op == "Div":
            return over(*row)
        if op == "Neg":
            return minus(0, row[0])
        if op == "Where" and isinstance(row[0], int):
            return row[1] if row[0] else row[2]
        if op == "Equal":
            return self._equal(*row)
        return None

    def _equal(self, first: Size, second: Size) -> Size | None:
        """Return whether two numbers are equal, if that is the same at all sizes."""
        if first == second:
            return 1
        for difference in (minus(first, second), minus(second, first)):
            terms = [((), difference)] if isinstance(difference, int) else difference
            inside = all(v in self._natural for monomial, _ in terms for v in monomial)
            if inside and min(n for _, n in terms) > 0 and any(not m for m, _ in terms):
                return 0
        return None

    # Shapes

    def _shape(self, node: Any, output: int) -> tuple[Size, ...] | None:
        """Return the shape of an output: as onnx infers it, by a rule, or axis by axis by a name."""
        name = node.output[output]
        trials = [facts.shape(name) for facts in self.choices]
        ranks = {None if shape is None else len(shape) for shape in trials}
        if len(ranks) > 1 or None in ranks:
            return None
        found: list[Size | Named | None] = self._inferred(node, output)
        found = found if len(found) == len(trials[0] or ()) else [None] * len(trials[0] or ())
        rule = SHAPES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if rule is not None and None in found and all(n in self.dims for n in node.input if n):
            ruled = rule(Node(self, node, output))
            if ruled is not None and len(ruled) == len(found):
                found = [b if a is None else a for a, b in zip(found, ruled, strict=True)]
        dims: list[Size] = []
        for axis, size in enumerate(found):
            at_trials = tuple(shape[axis] for shape in trials if shape is not None)
            if isinstance(size, Named):
                dims.append(self._variable(size.key, at_trials, natural=True))
                continue
            if size is not None and at_trials == self._at(size):
                dims.append(size)
                continue
            key = self._extent_key(node, output, axis)
            if key is None:
                return None
            dims.append(self._variable(key, at_trials, natural=True))
        return tuple(dims)

    def _at(self, size: Size) -> tuple[int, ...]:
        """Return a size at the trials."""
        return tuple(at(size, self._trials, k) for k in range(len(self.choices)))

    def rounded(self, size: Size, divisor: int, *, up: bool = False) -> Size | None:
        """Return the quotient of a size by a number, rounded down or up."""
        exact = over(size, divisor)
        if exact is not None:
            return exact
        known = [-(-n // divisor) if up else n // divisor for n in self._at(size)]
        return self._variable(("rounded", up, size, divisor), known, natural=True)

    def _inferred(self, node: Any, output: int) -> list[Any]:
        """Return what onnx infers from shapes whose free sizes are symbols."""
        symbols: dict[Size, str] = {}
        types: dict[str, Any] = {}
        for name in filter(None, node.input):
            kind = self.choices[0].code(name)
            if kind:
                dims = self.dims.get(name)
                shown: list[Any] | None = None if dims is None else []
                for size in dims or ():
                    text: Any = size
                    if not isinstance(size, int):
                        text = symbols.setdefault(size, f"size {len(symbols)}")
                    shown.append(text)  # type: ignore[union-attr]
                types[name] = (kind, shown)
        data = {
            name: self.known[name]
            for name in node.input
            if name in self.known and self.known[name].size <= _SMALL
        }
        sizes = inferred_sizes(node, types, data, self.index.opsets, self.index.model.ir_version)
        found = sizes.get(node.output[output], [])
        known = {text: size for size, text in symbols.items()}
        return [known.get(n) if isinstance(n, str) else n for n in found]

    def _extent_key(self, node: Any, output: int, axis: int) -> Hashable | None:
        """Name an extent of an output by all that it may depend on."""
        if subgraphs(node):
            return None
        given = [self.identity(name) or self.dims.get(name) for name in node.input if name]
        if None in given:
            return None
        return self.algebra.atom(("extent", self._key(node), tuple(given), output, axis))

    def _key(self, node: Any) -> Hashable:
        stated = sorted((key, str(value)) for key, value in attributes(node).items())
        return (node.domain, node.op_type, self.index.opsets[node.domain], tuple(stated))


def _objects(entries: Iterable[Any], shape: tuple[int, ...]) -> Array:
    flat = list(entries)
    array = np.empty(len(flat), dtype=object)
    for k, entry in enumerate(flat):
        array[k] = entry
    return array.reshape(shape)

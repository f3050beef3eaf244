"""All that is known of a graph, a node being treated, and another graph that it is said to equal.

Each operator's family (`lumpability.networks.operators`) says what it does to unit axes, labels and values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.networks.tensors.algebra import Algebra
from lumpability.networks.tensors.index import Facts, Index, Shape, captured
from lumpability.networks.tensors.labels import Labels
from lumpability.networks.tensors.polynomials import Size, over
from lumpability.networks.tensors.protobuf import attributes, has_infinite
from lumpability.networks.tensors.sizes import Sizes
from lumpability.networks.tensors.tensor import Declined, Reader, Tensor, Unproved
from lumpability.networks.tensors.views import View
from lumpability.numbers.float_arrays import Array

_COUNTS = ("group", "hidden_size", "num_groups", "split")
_ON_INTEGERS = ("QLinear", "QGemm", "QAttention", "DynamicQuantize")
"""The first letters of operators on integers, besides those that end in Integer."""
_REAL = (1, 10, 11, 16)
"""ONNX's numbers of float, float16, double and bfloat16."""


@dataclass
class Against:
    """A graph that another one is said to equal.

    - kept: by the name of a layer's first output: which of its units the other graph has, for each direction if
      it is recurrent
    """

    analysis: Work
    kept: dict[str, Array]

    def call(self, other: Call) -> Call:
        """Return the node of this graph that writes the same tensor; declines if there is none."""
        place = self.analysis.index.producer.get(next(filter(None, other.node.output)))
        found = None if place is None else self.analysis.calls[place]
        if found is None or found.op != other.op:
            raise Declined
        return found

    def units(self, name: str, shape: tuple[int, ...], count: int) -> Array:
        """Return which units of a layer are the `count` of the other graph; all of them if nothing is said.

        The shape is that of the layer's own units.  Raises `Unproved` if what is said does not fit.
        """
        found = self.kept.get(name)
        if found is None:
            found = np.broadcast_to(np.arange(shape[-1]), shape)
        fits = found.shape == (*shape[:-1], count) and found.size > 0
        if not fits or found.min() < 0 or found.max() >= shape[-1]:
            raise Unproved(name)
        return found

    def same_source(self, other: Work, name: str) -> bool:
        """Whether a tensor of which nothing is known is the same in both graphs."""
        mine = self.analysis
        places = [work.index.producer.get(name) for work in (mine, other)]
        if places == [None, None]:
            return True
        if None in places:
            return False
        nodes = [work.index.nodes[place] for work, place in zip((mine, other), places, strict=True)]  # type: ignore[index]
        if nodes[0].SerializeToString() != nodes[1].SerializeToString():
            return False
        return all(_same_input(mine, other, n) for n in (*nodes[0].input, *captured(nodes[0])) if n)

    def same_input(self, other: Work, name: str) -> bool:
        """Whether a tensor is certain to be the same in both graphs."""
        return _same_input(self.analysis, other, name)


def _same_input(mine: Work, other: Work, name: str) -> bool:
    """Whether a tensor is certain to be the same in two graphs."""
    first, second = (work.tensors.get(name) for work in (mine, other))
    if first is not None and second is not None:
        dims = [work.sizes.dims.get(name) for work in (mine, other)]
        return dims[0] == dims[1] and all(
            np.array_equal(a, b) for a, b in ((first.ids, second.ids), (first.facs, second.facs))
        )
    names = [work.sizes.identity(name) for work in (mine, other)]
    return names[0] is not None and names[0] == names[1]


@dataclass
class Call:
    """One node being treated."""

    work: Work
    number: int
    node: Any
    notes: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Attributes that are not graphs."""
        return attributes(self.node)

    def refuse_partial(self, ids: Array) -> None:
        """Decline if one of some atoms may not be finite."""
        if not self.work.algebra.domains.partial.isdisjoint(ids.ravel().tolist()):
            raise Declined("reads what may be infinite")

    def refuse_infinite(self) -> None:
        """Decline if an attribute is infinite or NaN; the limits of a Clip may be infinite."""
        given = list(self.attributes.values())
        if has_infinite(given) and (self.op != "Clip" or any(map(math.isnan, given))):
            raise Declined("has an attribute that is not finite")

    @property
    def op(self) -> str:
        """The operator's name."""
        return str(self.node.op_type)

    @property
    def version(self) -> int:
        """Version of the operator set."""
        return int(self.work.index.opsets[self.node.domain])

    def name(self, slot: int) -> str:
        """Return the name of an input, empty if it is left out."""
        return self.node.input[slot] if slot < len(self.node.input) else ""

    def constant(self, slot: int) -> Array | None:
        """Return an input that is the same number whatever the sizes, or None."""
        return self.work.known.get(self.name(slot))

    def weights(self, slot: int) -> Array:
        """Return an input that is a constant, as `serves` has found."""
        return self.work.known[self.name(slot)]

    def moving(self, slot: int) -> bool:
        """Whether an input is a tensor that depends on the graph's inputs or on sizes."""
        name = self.name(slot)
        return bool(name) and name not in self.work.known

    def tensor(self, slot: int) -> Tensor:
        """Return what is known of an input that moves; declines if its shape is unknown, or if it is empty."""
        self._shape(self.name(slot))
        return self.work.tensors[self.name(slot)]

    def shape(self, output: int = 0) -> Shape:
        """Return the shape of an output at the first sizes; declines if it is unknown, or empty at some sizes."""
        return self._shape(self.node.output[output])

    def _shape(self, name: str) -> Shape:
        found = self.work.shape(name)
        if found is None or any(0 in (facts.shape(name) or ()) for facts in self.work.choices):
            raise Declined("reads or makes a tensor that is empty or whose shape is unknown")
        return found

    def dims(self, name: str) -> tuple[Size, ...]:
        """Return the shape of a tensor for all sizes; declines if it is unknown."""
        found = self.work.sizes.dims.get(name)
        if found is None:
            raise Declined("reads or makes a tensor whose shape is unknown")
        return found

    def real(self, name: str) -> bool:
        """Whether a tensor holds numbers that neither wrap around nor are truncated; unknown types do not."""
        kind = self.work.choices[0].types.get(name)
        return kind is not None and kind.tensor_type.elem_type in _REAL

    def named(self, *parts: tuple[str, Iterable[int]]) -> tuple[Any, ...]:
        """Name the function that the node is of the positions of some tensors, given with their unit axes.

        The number of units is no part of it, so that it is the same in the reduced graph.
        """
        items = sorted((k, str(v)) for k, v in self.attributes.items() if k not in _COUNTS)
        shapes = tuple(
            tuple(None if a in units or n == 1 else n for a, n in enumerate(self.dims(name)))
            for name, units in parts
        )
        return (self.node.domain, self.op, self.version, tuple(items), shapes)

    def stored(self, *slots: int) -> tuple[Any, ...]:
        """Return names of constants and of what is computed from sizes, to be part of a function's name."""
        found = tuple(self.work.sizes.identity(self.name(slot)) for slot in slots)
        if None in found:
            raise Declined("takes parameters that are computed from the network's inputs")
        return found

    @property
    def where(self) -> str:
        """The node, for reports."""
        return f"{self.op} {self.node.name or self.node.output[0]!r}"

    @property
    def why(self) -> str:
        """Why the node is carried as it is, for reports."""
        told = "is an operator without a rule, which may use all units together"
        if self.op.startswith(_ON_INTEGERS) or self.op.endswith("Integer"):
            told = (
                "computes with integers, without a rule: lump the float model first, then quantise"
            )
        return str(self.notes.get("why", told))

    def only_first_output(self) -> None:
        """Decline if more than the first output is asked for."""
        if any(self.node.output[1:]):
            raise Declined("has more than one output")

    def yields(
        self, units: Iterable[int], labels: Array, values: tuple[Array, Array], output: int = 0
    ) -> None:
        """Record an output."""
        shape = self.shape(output)
        axes = frozenset(axis for axis in units if shape[axis] > 1)
        dims = self.dims(self.node.output[output])
        if not all(isinstance(dims[axis], int) for axis in axes):
            raise Declined("lets the number of units depend on a free size")
        compact = tuple(n if axis in axes else 1 for axis, n in enumerate(shape))
        ids, facs = (np.broadcast_to(a, compact) for a in values)
        self.work.tensors[self.node.output[output]] = Tensor(
            shape, axes, np.broadcast_to(labels, compact), ids, facs
        )

    def yields_along(self, axis: int, labels: Array, values: tuple[Array, Array]) -> None:
        """Record an output whose units lie along one axis, given as rows."""
        place = [1] * len(self.shape())
        place[axis] = len(labels)
        ids, facs = (array.reshape(place) for array in values)
        self.yields({axis}, labels.reshape(place), (ids, facs))

    def reader(self, reader: Reader) -> None:
        """Record a reader."""
        self.work.readers.append(reader)


class Work:
    """All that is known of a graph; the operators' families add to it.

    - choices: at one or two choices of the free dimensions
    - known: constants that depend on no free size
    - derived: constants that depend on the shape of a tensor
    - calls: by node; None if it is folded
    - views: tensors with an axis that is read as two; their shapes here have both
    - guesses: classes of states before every step of a body, by their names
    - followed: elements of large tensors that were followed one by one
    """

    def __init__(self, index: Index, choices: list[Facts], against: Against | None) -> None:
        self.index, self.choices, self.against = index, choices, against
        self.algebra: Algebra = Algebra() if against is None else against.analysis.algebra
        self.sizes = Sizes(index, choices, self.algebra)
        self.known = self.sizes.known
        self.derived: set[str] = set().union(*(facts.derived for facts in choices))
        self.labels = Labels()
        self.tensors: dict[str, Tensor] = {}
        self.readers: list[Reader] = []
        self.calls: list[Call | None] = []
        self.views: dict[str, View] = {}
        self.guesses: dict[str, Any] = {}
        self._whole: dict[str, tuple[Size, ...]] = {}
        self.followed = 0

    def source(self, name: str) -> None:
        """Record a tensor of which nothing is known."""
        shape = self.shape(name)
        one = np.zeros((1,) * (0 if shape is None else len(shape)), dtype=np.int64)
        measured = self.sizes.names.get(name)
        if measured is not None:
            atom = self.algebra.atom(("measured", measured))
        else:
            same = self.against is None or self.against.same_source(self, name)
            atom = self.algebra.atom(("source", name, same))
        self.tensors[name] = Tensor(shape, frozenset(), one, one + atom, one + 1)

    def shape(self, name: str) -> Shape | None:
        """Return the shape of a tensor at the first choice of sizes, None if it is unknown at one of them."""
        shape = self.choices[0].shape(name) if name in self.sizes.dims else None
        return shape if shape is None or name not in self.views else self.views[name].apart(shape)

    def split(self, name: str, view: View) -> None:
        """Read an axis of a tensor as two; declines if it is no multiple of the fixed size."""
        dims = self.sizes.dims.get(name, ())
        free = over(dims[view.axis], view.fixed) if view.axis < len(dims) else None
        if free is None:
            raise Declined("reads or makes a tensor whose shape is unknown")
        self._whole[name] = dims
        self.views[name], self.sizes.dims[name] = view, view.apart(dims, free)

    def unite(self, names: Iterable[str]) -> None:
        """Read no axis of some tensors as two."""
        for name in names:
            if self.views.pop(name, None) is not None:
                self.sizes.dims[name] = self._whole.pop(name)

    def free(self, name: str) -> Size:
        """Return the free size of an axis that is read as two."""
        return self.sizes.dims[name][self.views[name].free]

    def hold(self, name: str, reason: str) -> None:
        """Hold all units of a tensor."""
        if name in self.tensors:
            self.labels.hold(self.tensors[name].labels, reason)

    def view(self, tensor: Tensor, units: Iterable[int]) -> Tensor:
        """Return a tensor with other unit axes: told apart, or taken together slice by slice."""
        assert tensor.shape is not None
        wanted = frozenset(axis for axis in units if tensor.shape[axis] > 1)
        ids, facs, labels = tensor.ids, tensor.facs, tensor.labels
        gone = sorted(tensor.units - wanted)
        if gone:
            first = np.take(labels, [0], axis=gone[0])
            for axis in gone:
                first = np.take(first, [0], axis=axis)
            self.labels.unite(labels, first)
            ids, facs = self.algebra.stack(ids, facs, gone)
            labels = first
        for axis in sorted(wanted - tensor.units):
            size = tensor.shape[axis]
            ids, facs = self.algebra.spread(ids, facs, axis - tensor.rank, size)
            labels = np.repeat(labels, size, axis=axis)
        return Tensor(tensor.shape, wanted, labels, ids, facs)

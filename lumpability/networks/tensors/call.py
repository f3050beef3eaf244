"""What is known of the tensors of a graph: unit axes, labels of what leaves together, values; and a node being treated.

A *unit axis* is one whose positions are told apart; every other axis is collapsed, and stands for all of its
positions at once.  Labels and values are arrays of the tensor's rank with the full size on unit axes and size one
on the others.  Each operator's family (`lumpability.networks.operators`) says what it does to the three.
Label 0 is held: it never leaves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from lumpability.networks.tensors.algebra import Algebra
from lumpability.networks.tensors.index import Facts, Index, Shape, captured
from lumpability.networks.tensors.polynomials import Size, over
from lumpability.networks.tensors.protobuf import attributes
from lumpability.networks.tensors.sizes import Sizes
from lumpability.numbers.float_arrays import Array

__all__ = [
    "HELD",
    "Against",
    "Call",
    "Declined",
    "Labels",
    "Reader",
    "Tensor",
    "Unproved",
    "View",
    "Work",
]

HELD = 0


_COUNTS = ("group", "hidden_size", "num_groups", "split")
_REAL = (1, 10, 11, 16)
"""ONNX's numbers of float, float16, double and bfloat16."""


class Declined(Exception):  # not an error: the operator is then carried as it is
    """An operator's family does not cover this use of it; carries the reason, a clause about the node."""

    def __init__(self, reason: str = "is used in a way that no rule describes") -> None:
        super().__init__(reason)


class Unproved(Exception):  # an internal signal: the units are then kept
    """A layer of a reduced graph is not shown to equal the original one; carries the name of its output."""


class Labels:
    """Labels that were found to leave together, as a forest, and which of them are held, and why.

    Examples
    --------
    >>> labels = Labels()
    >>> first, second = labels.fresh(2), labels.fresh(2)
    >>> labels.unite(first, second)
    >>> labels.hold(second[:1], "a norm runs over it")
    >>> labels.roots(first).tolist(), labels.reason(int(first[0]))
    ([0, 2], 'a norm runs over it')
    """

    def __init__(self) -> None:
        self._parent = [HELD]
        self._reasons = {HELD: ""}

    def __len__(self) -> int:
        return len(self._parent)

    def fresh(self, count: int) -> Array:
        """Return new labels."""
        first = len(self._parent)
        self._parent += range(first, first + count)
        return np.arange(first, first + count)

    def _base(self, label: int) -> int:
        parent = self._parent
        while parent[label] != label:
            parent[label] = label = parent[parent[label]]
        return label

    def reason(self, label: int) -> str | None:
        """Return why a label is held; None if it is not."""
        return self._reasons.get(self._base(label))

    def roots(self, labels: Array) -> Array:
        """Return for each label one that stands for all that leave together with it; 0 if it is held."""
        distinct, inverse = np.unique(labels, return_inverse=True)
        bases = [self._base(label) for label in distinct.tolist()]
        found = np.array([HELD if b in self._reasons else b for b in bases], dtype=np.int64)
        return found[inverse].reshape(np.shape(labels))

    def unite(self, first: Array, second: Array, reason: str = "") -> None:
        """Let the labels of two arrays leave together, pair by pair; held ones hold the others, for the reason."""
        pairs = np.stack(np.broadcast_arrays(first, second)).reshape(2, -1)
        for a, b in np.unique(pairs, axis=1).T.tolist():
            low, high = sorted((self._base(a), self._base(b)))
            if low == HELD:
                self._reasons.setdefault(high, reason)
            elif low != high:
                self._parent[high] = low
                if high in self._reasons:
                    self._reasons.setdefault(low, self._reasons.pop(high))

    def hold(self, labels: Array, reason: str) -> None:
        """Let labels never leave."""
        self.unite(np.unique(labels), np.array(HELD), reason)


class View(NamedTuple):
    """An axis that is read as two, of a free size and of a fixed one.

    Attributes
    ----------
    axis : int
    inner : int
        The fixed size.
    """

    axis: int
    inner: int

    def apart(self, shape: tuple[Any, ...], outer: Any = None) -> tuple[Any, ...]:
        """Return a shape with the axis as two, of an outer size that may be given."""
        outer = shape[self.axis] // self.inner if outer is None else outer
        return (*shape[: self.axis], outer, self.inner, *shape[self.axis + 1 :])

    def joined(self, shape: Shape) -> Shape:
        """Return a shape with the two axes as one."""
        both = shape[self.axis] * shape[self.axis + 1]
        return (*shape[: self.axis], both, *shape[self.axis + 2 :])


@dataclass
class Tensor:
    """A tensor that depends on an input.

    Attributes
    ----------
    shape : tuple of int, or None
        At the first choice of sizes.
    units : frozenset of int
        Axes whose positions are told apart.
    labels, ids, facs : int array
        Of the shape, with size one on the other axes.
    """

    shape: Shape | None
    units: frozenset[int]
    labels: Array
    ids: Array
    facs: Array

    @property
    def rank(self) -> int:
        """Number of axes."""
        assert self.shape is not None
        return len(self.shape)

    def along(self, count: int) -> tuple[Array, Array, Array]:
        """Return labels and values of one axis, shape (count,); declines if it has other positions."""
        if self.ids.size not in (1, count):
            raise Declined("reads another number of units than it has weights for")
        labels, ids, facs = (
            np.broadcast_to(a.ravel(), (count,)) for a in (self.labels, self.ids, self.facs)
        )
        return labels, ids, facs


@dataclass
class Reader:
    """A contraction, where units are looked at together: what it makes of each.

    Attributes
    ----------
    node : int
    slot : int
    labels, ids, facs : int array, shape (n,)
        Of the channels it reads.
    uses : bool array, shape (rows, n)
        Whether a row depends on a channel.
    rows : int array, shape (rows,)
        Labels of what it yields.
    folds : bool
        Whether constants can go into a bias.
    offset : int
        Number of its first channel on the tensor's axis.
    sums : bool
        Whether its weights may be added up; otherwise only channels that are zero or ignored leave it.
    """

    node: int
    slot: int
    labels: Array
    ids: Array
    facs: Array
    uses: Array
    rows: Array
    folds: bool = False
    offset: int = 0
    sums: bool = True


@dataclass
class Against:
    """A graph that another one is said to equal.

    Attributes
    ----------
    analysis : Analysis
    kept : dict of str to int array
        By the name of a layer's first output: which of its units the other graph has, for each direction
        if it is recurrent.
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

    def reader(self, reader: Reader) -> None:
        """Record a reader."""
        self.work.readers.append(reader)


class Work:
    """All that is known of a graph; the operators' families add to it.

    Attributes
    ----------
    index : Index
    choices : list of Facts
        At one or two choices of the free dimensions.
    sizes : Sizes
    known : dict of str to array
        Constants that depend on no free size.
    derived : set of str
        Constants that depend on the shape of a tensor.
    tensors : dict of str to Tensor
    readers : list of Reader
    calls : list of Call or None
        By node; None if it is folded.
    views : dict of str to View
        Tensors with an axis that is read as two; their shapes here have both.
    followed : int
        Elements of large tensors that were followed one by one.
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
        """Read an axis of a tensor as two; declines if it is no multiple of the inner one."""
        dims = self.sizes.dims.get(name, ())
        outer = over(dims[view.axis], view.inner) if view.axis < len(dims) else None
        if outer is None:
            raise Declined("reads or makes a tensor whose shape is unknown")
        self._whole[name] = dims
        self.views[name], self.sizes.dims[name] = view, view.apart(dims, outer)

    def unite(self, names: Iterable[str]) -> None:
        """Read no axis of some tensors as two."""
        for name in names:
            if self.views.pop(name, None) is not None:
                self.sizes.dims[name] = self._whole.pop(name)

    def outer(self, name: str) -> Size:
        """Return the free size of an axis that is read as two."""
        return self.sizes.dims[name][self.views[name].axis]

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

"""The graph without the units that leave: only constants and a few attributes change.

A constant that has other users is cloned; one that is computed is replaced by its new value where it is read.  Every
other node stays byte for byte what it was.  Afterwards the shapes of all tensors are inferred once more and every
operator that moves data is run again: what leaves must be exactly what was meant to leave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.networks.graph.analysis import Analysis
from lumpability.networks.graph.plan import Plan, packed, readers_of
from lumpability.networks.graph.shape_arithmetic import ShapeArithmetic
from lumpability.networks.graph.writer import Writer
from lumpability.networks.operators.index_maps import Input, maps, numbered, shortened
from lumpability.networks.quotient import Rounding
from lumpability.networks.tensors.algebra import ONE
from lumpability.networks.tensors.call import Call
from lumpability.networks.tensors.index import Index, Shape
from lumpability.networks.tensors.tensor import Declined, Reader
from lumpability.numbers.float_arrays import Array, round_to


class Unfit(Exception):  # an internal signal: that tensor's units are kept instead
    """The units of a tensor cannot leave; carries its name, and the reason."""

    def __init__(self, name: str, reason: str = "what would be left of it is no array") -> None:
        super().__init__(name)
        self.reason = reason


@dataclass(frozen=True)
class Representation:
    """What a reader reads instead of the channels it had.

    - channels, classes (int array, shape (k,)): channels that count, and for each the place of the channel that
      stays and represents it
    - factors: object array of Fraction, shape (k,)
    - fixed (int array, shape (q,)): channels that are constants and go into the bias
    - values: object array of Fraction, shape (q,)
    - kept: channels that stay
    """

    channels: Array
    classes: Array
    factors: Array
    fixed: Array
    values: Array
    kept: Array


@dataclass
class Editor:
    """Changes to a graph, gathered from its operators' families and then carried out.

    - kept: by the name of a layer's output: which of its units stay
    - rounding: the new weights, and those of them that are not representable in their type
    - places: by a node's first output and an input: which entries of the constant there stay, by their flat
      numbers
    - widened: first outputs of nodes whose weights were stored as integers and now are floats
    """

    analysis: Analysis
    plan: Plan
    kept: dict[str, Array] = field(default_factory=dict)
    rounding: Rounding = field(default_factory=Rounding)
    places: dict[tuple[str, int], Array] = field(default_factory=dict)
    widened: list[str] = field(default_factory=list)
    _boxes: dict[str, Array] = field(default_factory=dict)
    _constants: dict[str, dict[tuple[int, int], Array]] = field(default_factory=dict)
    _attributes: dict[tuple[int, str], Any] = field(default_factory=dict)
    _omitted: list[tuple[int, int]] = field(default_factory=list)

    def keeps(self, labels: Array) -> Array:
        """Return which labels stay."""
        return self.plan.keeps(labels)

    def readers(self, call: Call) -> list[Reader]:
        """Return the readers of a node."""
        return list(readers_of(self.analysis, call.number))

    def box(self, name: str) -> Array:
        """Return the elements on unit axes that stay, in the new shape."""
        if name not in self._boxes:
            self._boxes[name] = self.boxed(self.analysis.tensors[name].labels)
        return self._boxes[name]

    def boxed(self, labels: Array) -> Array:
        """Return the places of the labels that stay, as a box."""
        found = packed(self.keeps(labels))
        assert not isinstance(found, tuple)
        return found

    def changed(self, name: str) -> bool:
        """Whether units of a tensor leave."""
        if name not in self.analysis.tensors or self.analysis.tensors[name].shape is None:
            return False
        return self.box(name).size != self.analysis.tensors[name].labels.size

    def shape(self, name: str, old: Shape | None = None) -> Shape:
        """Return the new shape of a tensor, at the first choice of sizes or another."""
        tensor = self.analysis.tensors[name]
        old = tensor.shape if old is None else old
        assert old is not None
        box = self.box(name)
        return tuple(box.shape[a] if a in tensor.units else n for a, n in enumerate(old))

    def stored(self, name: str, old: Shape | None = None) -> Shape:
        """Return the new shape of a tensor as it is in the file; `old` is the one that is there now."""
        view = self.analysis.views.get(name)
        if view is None:
            return self.shape(name, old)
        return view.joined(self.shape(name, None if old is None else view.apart(old)))

    def axis(self, name: str, axis: int) -> Array:
        """Return the positions of an axis that stay; the same for all others or `Unfit`."""
        tensor = self.analysis.tensors[name]
        assert tensor.shape is not None
        if axis not in tensor.units:
            return np.arange(tensor.shape[axis])
        box = self.box(name)
        places = np.unravel_index(box, tensor.labels.shape)[axis]
        line = np.moveaxis(places, axis, 0).reshape(box.shape[axis], -1)
        if not bool((line == line[:, :1]).all()):
            raise Unfit(name)
        return np.asarray(line[:, 0])

    def axis_counts(self, name: str, axis: int) -> Array | None:
        """Return which positions of an axis stay, or None if all do."""
        tensor = self.analysis.tensors[name]
        assert tensor.shape is not None
        if axis not in tensor.units or not self.changed(name):
            return None
        kept = np.zeros(tensor.shape[axis], dtype=bool)
        kept[self.axis(name, axis)] = True
        return None if kept.all() else kept

    def cut(self, name: str, array: Array, rank: int) -> Array:
        """Return a constant without the units that leave a tensor which it is combined with."""
        tensor = self.analysis.tensors[name]
        lead = rank - array.ndim
        axes = [a for a in sorted(tensor.units) if a >= lead and array.shape[a - lead] > 1]
        if not self.changed(name) or not axes:
            return array
        try:
            lines = [self.axis(name, axis) for axis in axes]
        except Unfit:
            return self._gathered(name, array, lead)
        for axis, line in zip(axes, lines, strict=True):
            array = np.take(array, line, axis=axis - lead)
        return array

    def _gathered(self, name: str, array: Array, lead: int) -> Array:
        """Cut a constant along several axes of which one keeps different positions for each of another."""
        tensor = self.analysis.tensors[name]
        units = sorted(tensor.units)
        if lead:
            raise Unfit(name)
        wide = [
            tensor.labels.shape[a] if a in tensor.units else n for a, n in enumerate(array.shape)
        ]
        front = np.moveaxis(np.broadcast_to(array, wide), units, range(len(units)))
        box = self.box(name)
        taken = front.reshape(-1, *front.shape[len(units) :])[box.ravel()]
        taken = taken.reshape(*(box.shape[a] for a in units), *front.shape[len(units) :])
        return np.moveaxis(taken, range(len(units)), units)

    def representation(self, reader: Reader) -> Representation:
        """Say by which channel each channel of a reader is represented."""
        algebra = self.analysis.algebra
        stays = self.keeps(reader.labels)
        kept = np.flatnonzero(stays)
        place = np.cumsum(stays) - 1
        used = reader.uses[self.keeps(reader.rows)].any(axis=0)
        best: dict[int, int] = {}
        for k in kept.tolist():
            if reader.facs[k]:
                best.setdefault(int(reader.ids[k]), k)
        channels, classes = kept.tolist(), place[kept].tolist()
        factors, fixed, values = [Fraction(1)] * len(kept), [], []
        for k in np.flatnonzero(~stays & (reader.facs != 0) & used).tolist():
            atom, factor = int(reader.ids[k]), algebra.fractions[reader.facs[k]]
            if atom == ONE and reader.folds:
                fixed.append(k)
                values.append(factor)
                continue
            first = best[atom]
            channels.append(k)
            classes.append(int(place[first]))
            factors.append(factor / algebra.fractions[reader.facs[first]])
        return Representation(
            np.array(channels, dtype=np.int64),
            np.array(classes, dtype=np.int64),
            np.array(factors, dtype=object),
            np.array(fixed, dtype=np.int64),
            np.array(values, dtype=object),
            kept,
        )

    def constant(
        self,
        call: Call,
        slot: int,
        array: Array,
        *,
        rounds: bool = False,
        places: Array | None = None,
    ) -> None:
        """Ask for another constant at an input of a node, and say which entries of the old one stay."""
        name = call.name(slot)
        if places is not None:
            self.places[call.node.output[0], slot] = places
        self.replace(name, call.number, slot, array, rounds=rounds)

    def replace(
        self, name: str, number: int, slot: int, array: Array, *, rounds: bool = False
    ) -> None:
        """Ask for another constant where a node reads one."""
        old = self.analysis.known[name]
        if rounds:
            new, changed, largest = _rounded(array, old.dtype)
            if not np.isfinite(new).all():
                raise Unfit(
                    self.analysis.index.nodes[number].output[0],
                    f"weights of merged units add up to more than {old.dtype} can hold: divide them by a power of "
                    "two, or store them in a wider type",
                )
            self.rounding += Rounding(new.size, changed, largest)
            array = new
        if array.shape == old.shape and array.tobytes() == old.tobytes():
            array = old
        self._constants.setdefault(name, {})[number, slot] = array

    def attribute(self, call: Call, key: str, value: Any) -> None:
        """Ask for another value of an attribute."""
        if call.attributes.get(key) != value:
            self._attributes[call.number, key] = value

    def shape_constant(self, call: Call, slot: int, like: str) -> None:
        """Let a constant that states a tensor's shape follow, through the arithmetic that makes it."""
        if self.changed(like):
            old, new = self.analysis.choices[0].shape(like), self.stored(like)
            assert old is not None
            sizes = list(zip(old, new, strict=True))
            self._followed.follow(call.name(slot), (call.number, slot), sizes)

    def omit(self, call: Call, slot: int) -> None:
        """Ask for an input to be left out that is what it is by default."""
        self._omitted.append((call.number, slot))

    @staticmethod
    def unfit(name: str) -> Unfit:
        """Return the signal that the units of a tensor have to stay."""
        return Unfit(name)

    @cached_property
    def _followed(self) -> ShapeArithmetic:
        return ShapeArithmetic(self.analysis, self.replace)

    def edited(self) -> Any:
        """Carry out all changes on a copy of the model, and check what has become of it.

        Raises `Unfit` with the name of a tensor whose units have to stay.
        """
        for call, family in zip(self.analysis.calls, self.analysis.families, strict=True):
            if call is not None and self._touched(call):
                family.edit(call, self)
        for name, uses in self.analysis.pinned.items():
            for place, measured in uses.items():
                if self.changed(measured):
                    self._constants.setdefault(name, {}).setdefault(
                        place, self.analysis.known[name]
                    )
        model = type(self.analysis.index.model)()
        model.CopyFrom(self.analysis.index.model)
        writer = Writer(self.analysis, model, self.places)
        for number, slot in self._omitted:
            writer.node(number).input[slot] = ""
        writer.write(self._constants, self._attributes)
        self.widened = writer.widened
        for item in model.graph.value_info:
            if self.changed(item.name):
                dims = item.type.tensor_type.shape.dim
                before = self.analysis.choices[0].shape(item.name) or ()
                for dim, size, new in zip(dims, before, self.stored(item.name), strict=False):
                    if dim.HasField("dim_value") and size != new:
                        dim.dim_value = new
        self._check(model)
        return model

    def _touched(self, call: Call) -> bool:
        names = [name for name in (*call.node.input, *call.node.output) if name]
        return any(self.changed(name) for name in names)

    def _check(self, model: Any) -> None:
        """Compare all shapes and all movements of data with what they should be."""
        index = Index(model, self.analysis.index.folder)
        after = [index.facts(facts.sizes) for facts in self.analysis.choices]
        order = [name for node in self.analysis.index.nodes for name in node.output]
        for name in order:  # the first tensor that is wrong is the one whose units cannot leave
            tensor = self.analysis.tensors.get(name)
            if tensor is None or tensor.shape is None or name in self.analysis.choices[0].values:
                continue
            for facts, new in zip(self.analysis.choices, after, strict=True):
                old = facts.shape(name)
                if old is not None and new.shape(name) != self.stored(name, old):
                    raise Unfit(name)
        for call in self.analysis.calls:
            if call is not None and "sources" in call.notes and self._touched(call):
                self._check_movement(call, index, after)

    def _check_movement(self, call: Call, index: Index, after: list[Any]) -> None:
        parts, slots = call.notes["parts"], call.notes["slots"]
        boxes = [self.boxed(part.labels) for part in parts]
        offsets = np.cumsum([0, *(part.labels.size for part in parts)])
        pool = np.concatenate(
            [box.ravel() + first for box, first in zip(boxes, offsets, strict=False)]
        )
        node = next(n for n in index.nodes if n.output[0] == call.node.output[0])
        short, views = call.notes["short"], {}
        for name in (*call.node.input, *call.node.output):
            view = self.analysis.views.get(name)
            if view is not None:
                views[name] = view._replace(fixed=self.shape(name)[view.place])
                node = call.node
        for facts in after:
            try:
                numbers = numbered(node, facts, slots, index.opsets, short=short, views=views)
            except Declined:
                raise Unfit(call.name(slots[0])) from None
            for output, source in call.notes["sources"].items():
                name = call.node.output[output]
                shapes = [shortened(facts, node.input[s], short, views) for s in slots]
                inputs = [
                    Input(shape, frozenset(a for a in part.units if shape[a] > 1), shape)
                    for shape, part in zip(shapes, parts, strict=True)
                ]
                _, found, mixed, _ = maps(inputs, numbers[output], numbers[output].shape)
                wanted = source.reshape(-1)[self.box(name)]
                new = np.append(pool, -1)[found]
                if mixed or new.shape != wanted.shape or not np.array_equal(new, wanted):
                    raise Unfit(name)


def _rounded(array: Array, dtype: Any) -> tuple[Array, int, Fraction]:
    """Return an exact array in a float type, how many numbers that changes, and the largest change."""
    if array.dtype == object:
        new, changes = round_to(array, dtype)
        return new, len(changes), max(changes.tolist(), default=Fraction(0))
    with np.errstate(over="ignore"):
        new = array.astype(dtype)
    # A number and its rounding differ by a number of the wider type.
    change = np.abs(new.astype(array.dtype) - array)
    finite = change[np.isfinite(change)]
    return new, int(np.count_nonzero(change)), Fraction(float(finite.max(initial=0.0)))

"""Operators that move data: the operator itself, run once on the numbers of the elements, says where each goes.

The map is computed at trial sizes, on unit axes and on positions apart; it counts for axes of fixed size alone.  What
becomes of an axis of free size, `routes` reads off the operator's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lumpability.networks.operators.routes import Routes, routes
from lumpability.networks.tensors.call import HELD, Call, Declined, Tensor
from lumpability.networks.tensors.index import Facts, Shape
from lumpability.networks.tensors.polynomials import Size
from lumpability.networks.tensors.protobuf import evaluated
from lumpability.networks.tensors.shapes import Node, padding
from lumpability.numbers.float_arrays import Array

__all__ = ["Input", "maps", "numbered", "shortened"]

OPERATORS = frozenset(
    [
        "Reshape",
        "Flatten",
        "Transpose",
        "Squeeze",
        "Unsqueeze",
        "Slice",
        "Split",
        "Concat",
        "Gather",
        "Expand",
        "Tile",
        "Pad",
        "DepthToSpace",
        "SpaceToDepth",
        "GatherND",
        "GatherElements",
        "ReverseSequence",
    ]
)
_ANY_SIZE = frozenset(["Transpose", "Concat", "Slice", "Split", "Gather", "Pad"])
"""Operators whose parameters do not state the sizes of axes that are carried."""
_MOST = 1 << 25


def serves(call: Call) -> bool:
    """Whether only data moves."""
    if call.op == "Concat":
        return True
    if call.op == "Pad" and call.attributes.get("mode", "constant") == "constant":
        value = call.constant(2)
        if call.name(2) and (value is None or value.size != 1):
            return False
    return call.moving(0)


def apply(call: Call) -> None:
    """Record the outputs."""
    slots = [s for s in range(len(call.node.input)) if call.op == "Concat" or s == 0]
    known = {s: v for s in slots if (v := call.constant(s)) is not None}
    tensors = {s: call.tensor(s) for s in slots if s not in known}
    before = None if call.work.against is None else call.work.against.call(call).notes.get("parts")
    if call.op == "Pad" and before is None and _pads_positions(call, tensors[0]):
        return
    parts: list[Tensor] = [tensors[s] if s in tensors else _stored(call, known[s]) for s in slots]
    if before is not None:  # axes may have become so short that they look collapsed
        parts = [
            call.work.view(part, part.units | old.units)
            for part, old in zip(parts, before, strict=True)
        ]
    outputs = [k for k, name in enumerate(call.node.output) if name]
    for k in outputs:
        call.shape(k)  # declines if it is empty
    ways = {output: [routes(call, slot, output) for slot in slots] for output in outputs}
    short = _not_followed(parts, list(ways.values()), call.op)
    call.notes.update(short=short, ways=ways)
    numbers = [
        numbered(call.node, facts, slots, call.work.index.opsets, short)
        for facts in call.work.choices
    ]
    for output in outputs:
        _output(call, output, parts, slots, [found[output] for found in numbers])
    call.notes.update(parts=parts, slots=slots)


def _not_followed(parts: list[Tensor], ways: list[list[Routes]], op: str) -> frozenset[int]:
    """Return axes of the inputs that need not be followed, since they are carried, and not along units.

    Only of operators whose parameters do not state the sizes of such axes.
    """
    if op not in _ANY_SIZE:
        return frozenset()
    carried = [
        set(route.carried) - part.units
        for way in ways
        for part, route in zip(parts, way, strict=True)
    ]
    return frozenset(set.intersection(*carried))


def _pads_positions(call: Call, tensor: Tensor) -> bool:
    """Record a Pad that leaves unit axes alone: a function of each unit, linear if zeros are put in."""
    pads = padding(Node(call.work.sizes, call.node, 0), tensor.rank)
    if pads is None:
        raise Declined("takes pads that are computed from the network's inputs")
    changed = {axis - tensor.rank: pair for axis, pair in enumerate(pads) if pair != (0, 0)}
    if any(axis - tensor.rank in changed for axis in tensor.units):
        return False
    plain = call.attributes.get("mode", "constant") == "constant"
    fill = _fill(call) if plain else (0, 0)
    ends = ((call.name(0), tensor.units), (call.node.output[0], tensor.units))
    name = (call.named(*ends), fill, tuple(changed.items()))
    group, sign = ("linear", "weak") if fill[1] == 0 else ("equal", None)
    rule = call.work.algebra.unary(name, group, "none" if plain else "same", sign)
    call.yields(
        tensor.units, tensor.labels, call.work.algebra.apply([(tensor.ids, tensor.facs)], rule)
    )
    return True


def _stored(call: Call, value: Array) -> Tensor:
    """Return a constant that is moved along with others."""
    ids, facs = call.work.algebra.constant(value)
    units = frozenset(a for a, n in enumerate(value.shape) if n > 1)
    return Tensor(value.shape, units, np.full(value.shape, HELD), ids, facs)


def numbered(
    node: Any, facts: Facts, slots: Sequence[int], opsets: Any, short: frozenset[int] = frozenset()
) -> list[Array]:
    """Run the operator on the numbers of its elements, from 1; 0 stands for what a Pad puts in.

    Of the axes in `short` one position is taken.
    """
    given: list[Array | None] = [facts.values.get(name) for name in node.input]
    first = 1
    for slot in slots:
        shape = shortened(facts, node.input[slot], short)
        size = math.prod(shape)
        if first + size > _MOST:
            raise Declined("moves more elements than are followed one by one")
        given[slot] = np.arange(first, first + size).reshape(shape)
        first += size
    if node.op_type == "Pad":
        if len(given) > 2:
            given[2] = np.array(0)
        node = _without_value(node)
    if any(value is None and name for name, value in zip(node.input, given, strict=True)):
        raise Declined("takes parameters that are computed from the network's inputs")
    try:
        found = evaluated(node, given, opsets)
    except Exception as error:
        raise Declined from error
    if not all(isinstance(value, np.ndarray) and value.dtype.kind == "i" for value in found):
        raise Declined
    return found


def shortened(facts: Facts, name: str, short: frozenset[int]) -> Shape:
    """Return the shape of an input, with size one on some axes."""
    shape = facts.shape(name)
    if shape is None:
        raise Declined("reads a tensor whose shape is unknown")
    return tuple(1 if axis in short else n for axis, n in enumerate(shape))


def _without_value(node: Any) -> Any:
    copy = type(node)()
    copy.CopyFrom(node)
    for item in copy.attribute:
        if item.name == "value":
            item.f = 0.0
    return copy


def _output(
    call: Call,
    output: int,
    parts: list[Tensor],
    slots: Sequence[int],
    numbers: list[Array],
) -> None:
    work, short, ways = call.work, call.notes["short"], call.notes["ways"][output]
    dims = [call.dims(call.name(slot)) for slot in slots]
    after = call.dims(call.node.output[output])
    while True:
        if any(part.units & way.renamed.keys() for part, way in zip(parts, ways, strict=True)):
            raise Declined("mixes units with an axis of free size")
        maps_at = []
        for facts, found in zip(work.choices, numbers, strict=True):
            shapes = [shortened(facts, call.name(slot), short) for slot in slots]
            units_of = [part.units for part in parts]
            inputs = [Input(*each) for each in zip(shapes, units_of, dims, ways, strict=True)]
            maps_at.append(maps(inputs, found, after))
        mixed = {pair for _, _, pairs, _ in maps_at for pair in pairs}
        if not mixed:
            break
        for place, axis in mixed:
            if not isinstance(dims[place][axis], int):
                raise Declined("mixes units with an axis of free size")
            parts[place] = work.view(parts[place], parts[place].units | {axis})
            if parts[place].ids.size > 1 << 18:
                raise Declined("moves more elements than are followed one by one")
    units, source, _, _ = maps_at[0]
    if any(other[0] != units or not np.array_equal(other[1], source) for other in maps_at[1:]):
        raise Declined("moves units to places that depend on a free size")
    pool = []
    for part, move in zip(parts, maps_at[0][3], strict=True):
        values = (part.ids, part.facs)
        if move is not None:
            rule = work.algebra.unary(("moved", move), "linear", "same", "same")
            values = work.algebra.apply([values], rule)
        pool.append([np.ravel(array) for array in (part.labels, *values)])
    fill = (HELD, *_fill(call))
    labels, ids, facs = (
        np.append(np.concatenate(arrays), last)[source]
        for arrays, last in zip(zip(*pool, strict=True), fill, strict=True)
    )
    call.yields(units, labels, (ids, facs), output)
    call.notes.setdefault("sources", {})[output] = source


def _fill(call: Call) -> tuple[int, int]:
    """Return the value that a Pad puts in."""
    if call.op != "Pad":
        return 0, 0
    value = call.constant(2)
    number = (
        float(call.attributes.get("value", 0.0)) if value is None else float(value.reshape(-1)[0])
    )
    ids, facs = call.work.algebra.constant(np.array([number]))
    return int(ids[0]), int(facs[0])


@dataclass
class Input:
    """One input of a movement.

    Attributes
    ----------
    shape : tuple of int
    units : frozenset of int
        Axes whose positions are told apart.
    dims : tuple of Size
        The shape at all sizes.
    routes : Routes
        Axes that are carried whole, or whose positions become something that has a name.
    """

    shape: Shape
    units: frozenset[int]
    dims: tuple[Size, ...]
    routes: Routes = field(default_factory=Routes)


def maps(
    inputs: Sequence[Input], numbers: Array, dims: tuple[Size, ...]
) -> tuple[frozenset[int], Array, set[tuple[int, int]], list[Any]]:
    """Split a map of elements into where units and where positions go.

    Parameters
    ----------
    inputs : sequence of Input
    numbers : int array
        For each element of the output the number of one of the inputs', from 1, all inputs in a row; 0 for none.
    dims : tuple of Size
        Shape of the output at all sizes.

    Returns
    -------
    units : frozenset of int
        Unit axes of the output.
    source : int array
        For each element of the output on its unit axes, the element of the inputs on theirs; -1 for none.
    mixed : set of (int, int)
        Input and axis that must be a unit axis first: where its positions go depends on the unit.
    moves : list
        For each input the map of its positions, as a name; None if they stay where they are.

    Examples
    --------
    >>> numbers = np.arange(1, 7).reshape(2, 3).T
    >>> maps([Input((2, 3), frozenset({1}), (2, 3))], numbers, (3, 2))[:3]
    (frozenset({0}), array([[0],
           [1],
           [2]]), set())
    """
    compact = []
    first = 0
    for one in inputs:
        small = tuple(n if a in one.units else 1 for a, n in enumerate(one.shape))
        count = math.prod(small)
        compact.append(
            np.broadcast_to(np.arange(first, first + count).reshape(small), one.shape).ravel()
        )
        first += count
    source = np.append(np.concatenate(compact), -1)[numbers - 1]
    units = frozenset(_varying(source))
    open_axes = {axis for axis, size in enumerate(dims) if not isinstance(size, int)}
    open_axes |= {axis for one in inputs for axis in one.routes.carried.values()}
    mixed: set[tuple[int, int]] = set()
    moves: list[Any] = []
    for part, one in enumerate(inputs):
        move: list[Any] = []
        inner = [None if a in one.units or n == 1 else n for a, n in enumerate(one.dims)]
        outer = [None if a in units or n == 1 else n for a, n in enumerate(dims)]
        for axis, place in one.routes.carried.items():
            if axis in one.units:
                continue
            inner[axis] = outer[place]  # equal, or the model does not run
            if place in units:
                mixed.add((part, axis))
            if len(dims) - place != len(one.dims) - axis:
                move.append((axis - len(one.dims), place - len(dims)))
        move += [
            (axis - len(one.dims), name)
            for axis, name in one.routes.renamed.items()
            if axis not in one.units
        ]
        straight = inner == outer and not move
        for axis in range(len(one.shape)):
            known = axis in one.routes.carried or axis in one.routes.renamed
            if known or axis in one.units or one.shape[axis] == 1:
                continue
            found = _positions(inputs, part, axis, numbers)
            low = np.where(found < 0, one.shape[axis], found)
            if any(bool((found.max(axis=a) > low.min(axis=a)).any()) for a in units):
                mixed.add((part, axis))
                continue
            line = np.arange(one.shape[axis]).reshape((-1,) + (1,) * (len(one.shape) - axis - 1))
            straight = straight and bool(((found < 0) | (found == line)).all())
            along = found.max(axis=tuple(units), keepdims=True)
            for a in open_axes:
                along = np.take(along, [0], axis=a)
            move.append((axis - len(one.shape), along.tobytes()))
        moves.append(None if straight else (tuple(inner), tuple(outer), *move))
    index = tuple(slice(None) if a in units else slice(0, 1) for a in range(numbers.ndim))
    return units, source[index], mixed, moves


def _positions(inputs: Sequence[Input], part: int, axis: int, numbers: Array) -> Array:
    """Return where each element of the output lies on an axis of an input; -1 if it is from another."""
    shape = inputs[part].shape
    line = np.arange(shape[axis]).reshape((-1,) + (1,) * (len(shape) - axis - 1))
    every = [np.full(math.prod(one.shape), -1) for one in inputs]
    every[part] = np.broadcast_to(line, shape).ravel()
    return np.asarray(np.append(np.concatenate(every), -1)[numbers - 1])


def _varying(values: Array) -> list[int]:
    return [
        axis
        for axis in range(values.ndim)
        if values.shape[axis] > 1 and not bool((values == np.take(values, [0], axis=axis)).all())
    ]


def edit(call: Call, edit: Any) -> None:
    """Let shapes, extents and indices follow."""
    if call.op in ("Reshape", "Expand"):
        edit.shape_constant(call, 1, call.node.output[0])
    elif call.op == "Split":
        _split(call, edit)
    elif call.op == "Slice":
        _slice(call, edit)
    elif call.op == "Gather":
        _gather(call, edit)


def _split(call: Call, edit: Any) -> None:
    axis = call.attributes.get("axis", 0) % call.tensor(0).rank
    if not edit.changed(call.name(0)):
        return
    sizes = [edit.shape(name)[axis] for name in call.node.output]
    if call.name(1):
        edit.constant(call, 1, np.array(sizes, dtype=np.int64))
    elif "split" in call.attributes:
        edit.attribute(call, "split", sizes)


def _slice(call: Call, edit: Any) -> None:
    """Move starts and ends on unit axes; other steps than 1 are left to the check of the result."""
    if not edit.changed(call.name(0)):
        return
    shape = call.tensor(0).shape
    assert shape is not None
    stated = call.attributes
    old = "starts" in stated
    starts, ends, axes = (
        (np.array(stated[k]) if k in stated else None) if old else call.constant(s)
        for s, k in ((1, "starts"), (2, "ends"), (3, "axes"))
    )
    if starts is None or ends is None:
        return
    axes = np.arange(len(starts)) if axes is None else axes
    new = [starts.copy(), ends.copy()]
    for k, axis in enumerate(axes.tolist()):
        kept = edit.axis_counts(call.name(0), axis % len(shape))
        if kept is None:
            continue
        size = shape[axis % len(shape)]
        for array in new:
            place = int(array[k])
            place = min(max(place + size if place < 0 else place, 0), size)
            array[k] = int(kept[:place].sum())
    if old:
        edit.attribute(call, "starts", new[0].tolist())
        edit.attribute(call, "ends", new[1].tolist())
    else:
        edit.constant(call, 1, new[0])
        edit.constant(call, 2, new[1])


def _gather(call: Call, edit: Any) -> None:
    tensor, index = call.tensor(0), call.constant(1)
    axis = call.attributes.get("axis", 0) % tensor.rank
    kept = edit.axis_counts(call.name(0), axis)
    if kept is None or index is None:
        return
    place = np.cumsum(kept) - 1
    flat = index % len(kept)
    chosen = flat if index.ndim != 1 else flat[kept[flat]]
    edit.constant(
        call,
        1,
        place[chosen].astype(index.dtype).reshape(index.shape if index.ndim != 1 else (-1,)),
    )

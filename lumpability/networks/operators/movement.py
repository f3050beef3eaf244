"""Operators that move data: the operator itself, run once on the numbers of the elements, says where each goes.

Nothing is known here of any operator's axes.  The map is computed at each choice of sizes, on unit axes and on
positions apart; if the choices disagree on where units go, the operator is carried as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpability.networks.tensors.call import HELD, Call, Declined, Tensor
from lumpability.networks.tensors.index import Facts, Shape
from lumpability.networks.tensors.protobuf import evaluated
from lumpability.numbers.float_arrays import Array

__all__ = ["maps", "numbered"]

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
    names = [name for name in (*(call.name(s) for s in slots), *call.node.output) if name]
    if any(
        math.prod(f.shape(name) or (_MOST + 1,)) > _MOST
        for f in call.work.choices
        for name in names
    ):
        raise Declined
    numbers = [
        numbered(call.node, facts, slots, call.work.index.opsets) for facts in call.work.choices
    ]
    if call.work.index.symbols and len(call.work.choices) == 1:
        raise Declined  # what sizes do could not be compared
    before = None if call.work.against is None else call.work.against.call(call).notes.get("parts")
    if call.op == "Pad" and before is None and _pads_positions(call, tensors[0]):
        return
    parts: list[Tensor] = [tensors[s] if s in tensors else _stored(call, known[s]) for s in slots]
    if before is not None:  # axes may have become so short that they look collapsed
        parts = [
            call.work.view(part, part.units | old.units)
            for part, old in zip(parts, before, strict=True)
        ]
    for output, name in enumerate(call.node.output):
        if name:
            _output(call, output, parts, slots, numbers)


def _pads_positions(call: Call, tensor: Tensor) -> bool:
    """Record a Pad that leaves unit axes alone: a function of each unit, linear if zeros are put in."""
    for facts in call.work.choices:
        pads = facts.values.get(call.name(1), np.array(call.attributes.get("pads", ())))
        axes = facts.values.get(call.name(3), np.arange(tensor.rank)) % tensor.rank
        if pads.size != 2 * len(axes):
            raise Declined
        if any(axis in tensor.units for axis in axes[pads.reshape(2, -1).any(axis=0)].tolist()):
            return False
    zero = _fill(call)[1] == 0
    ends = ((call.name(0), tensor.units), (call.node.output[0], tensor.units))
    given = [facts.values.get(call.name(1), np.zeros(0)).tobytes() for facts in call.work.choices]
    name = (call.named(*ends), _fill(call), *given)
    rule = call.work.algebra.unary(name, "linear" if zero else "equal", "none")
    call.yields(
        tensor.units, tensor.labels, call.work.algebra.apply([(tensor.ids, tensor.facs)], rule)
    )
    return True


def _stored(call: Call, value: Array) -> Tensor:
    """Return a constant that is moved along with others."""
    ids, facs = call.work.algebra.constant(value)
    units = frozenset(a for a, n in enumerate(value.shape) if n > 1)
    return Tensor(value.shape, units, np.full(value.shape, HELD), ids, facs)


def numbered(node: Any, facts: Facts, slots: Sequence[int], opsets: Any) -> list[Array]:
    """Run the operator on the numbers of its elements, from 1; 0 stands for what a Pad puts in."""
    given: list[Array | None] = [facts.values.get(name) for name in node.input]
    first = 1
    for slot in slots:
        shape = facts.shape(node.input[slot])
        if shape is None:
            raise Declined
        size = math.prod(shape)
        given[slot] = np.arange(first, first + size).reshape(shape)
        first += size
    if node.op_type == "Pad":
        if len(given) > 2:
            given[2] = np.array(0)
        node = _without_value(node)
    if any(value is None and name for name, value in zip(node.input, given, strict=True)):
        raise Declined
    try:
        found = evaluated(node, given, opsets)
    except Exception as error:
        raise Declined from error
    if not all(isinstance(value, np.ndarray) and value.dtype.kind == "i" for value in found):
        raise Declined
    return found


def _without_value(node: Any) -> Any:
    copy = type(node)()
    copy.CopyFrom(node)
    for item in copy.attribute:
        if item.name == "value":
            item.f = 0.0
    return copy


def _output(
    call: Call, output: int, parts: list[Tensor], slots: Sequence[int], numbers: list[list[Array]]
) -> None:
    work, choices = call.work, call.work.choices
    while True:
        maps_at = [
            maps(
                [(shape_of(facts, call, s), p.units) for s, p in zip(slots, parts, strict=True)],
                found[output],
            )
            for facts, found in zip(choices, numbers, strict=True)
        ]
        mixed = {pair for _, _, pairs, _ in maps_at for pair in pairs}
        if not mixed:
            break
        for place, axis in mixed:
            parts[place] = work.view(parts[place], parts[place].units | {axis})
            if parts[place].ids.size > 1 << 18:
                raise Declined
    units, source, _, _ = maps_at[0]
    if any(other[0] != units or not np.array_equal(other[1], source) for other in maps_at[1:]):
        raise Declined
    pool = []
    for part, moves in zip(parts, zip(*(found[3] for found in maps_at), strict=True), strict=True):
        values = (part.ids, part.facs)
        if any(move is not None for move in moves):
            values = work.algebra.apply(
                [values], work.algebra.unary(("moved", moves), "linear", "same")
            )
        pool.append([np.ravel(array) for array in (part.labels, *values)])
    fill = (HELD, *_fill(call))
    labels, ids, facs = (
        np.append(np.concatenate(arrays), last)[source]
        for arrays, last in zip(zip(*pool, strict=True), fill, strict=True)
    )
    call.yields(units, labels, (ids, facs), output)
    call.notes.setdefault("sources", {})[output] = source
    call.notes.update(parts=parts, slots=slots)


def shape_of(facts: Facts, call: Call, slot: int) -> Shape:
    """Return the shape of an input at some sizes."""
    found = facts.shape(call.name(slot))
    assert found is not None
    return found


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


def maps(
    inputs: Sequence[tuple[Shape, frozenset[int]]], numbers: Array
) -> tuple[frozenset[int], Array, set[tuple[int, int]], list[Any]]:
    """Split a map of elements into where units and where positions go.

    Parameters
    ----------
    inputs : sequence of (shape, unit axes)
    numbers : int array
        For each element of the output the number of one of the inputs', from 1, all inputs in a row; 0 for none.

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
    >>> maps([((2, 3), frozenset({1}))], numbers)[:3]
    (frozenset({0}), array([[0],
           [1],
           [2]]), set())
    """
    compact = []
    first = 0
    for shape, units in inputs:
        small = tuple(n if a in units else 1 for a, n in enumerate(shape))
        count = math.prod(small)
        compact.append(
            np.broadcast_to(np.arange(first, first + count).reshape(small), shape).ravel()
        )
        first += count
    source = np.append(np.concatenate(compact), -1)[numbers - 1]
    units_out = frozenset(_varying(source))
    sizes = [math.prod(shape) for shape, _ in inputs]
    mixed: set[tuple[int, int]] = set()
    moves: list[Any] = []
    for part, (shape, units) in enumerate(inputs):
        inner = tuple(None if a in units or n == 1 else n for a, n in enumerate(shape))
        outer = tuple(None if a in units_out or n == 1 else n for a, n in enumerate(numbers.shape))
        straight = inner == outer
        move: list[Any] = [inner, outer]
        for axis, size in enumerate(shape):
            if axis in units or size == 1:
                continue
            # Where each element of the output lies on this axis; -1 if it is from another input.
            line = np.arange(size).reshape((-1,) + (1,) * (len(shape) - axis - 1))
            every = [np.full(n, -1) for n in sizes]
            every[part] = np.broadcast_to(line, shape).ravel()
            place = np.append(np.concatenate(every), -1)[numbers - 1]
            low = np.where(place < 0, size, place)
            if any(bool((place.max(axis=a) > low.min(axis=a)).any()) for a in units_out):
                mixed.add((part, axis))
                continue
            straight = straight and bool(((place < 0) | (place == line)).all())
            move.append(
                (axis - len(shape), place.max(axis=tuple(units_out), keepdims=True).tobytes())
            )
        moves.append(None if straight else tuple(move))
    index = tuple(slice(None) if a in units_out else slice(0, 1) for a in range(numbers.ndim))
    return units_out, source[index], mixed, moves


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

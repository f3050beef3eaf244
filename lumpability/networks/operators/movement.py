"""Operators that move data: the operator itself, run once on the numbers of the elements, says where each goes.

The map is computed at trial sizes, on unit axes and on positions apart; it counts for axes of fixed size alone.  What
becomes of an axis of free size, `routes` reads off the operator's parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpability.networks.operators.composite import join
from lumpability.networks.operators.index_maps import Input, maps, numbered, shortened
from lumpability.networks.operators.routes import Routes, routes
from lumpability.networks.tensors.call import Call
from lumpability.networks.tensors.labels import HELD
from lumpability.networks.tensors.shapes import Node, padding
from lumpability.networks.tensors.tensor import Declined, Tensor
from lumpability.numbers.float_arrays import Array

__all__: list[str] = []

OPERATORS = frozenset(
    [
        *("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split"),
        *("Concat", "Gather", "Expand", "Tile", "Pad", "DepthToSpace", "SpaceToDepth"),
        *("GatherND", "GatherElements", "ReverseSequence"),
    ]
)
_ANY_SIZE = frozenset(["Transpose", "Concat", "Slice", "Split", "Gather", "Pad"])
"""Operators whose parameters do not state the sizes of axes that are carried."""


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
    if call.op == "Reshape":
        join(call, parts[0].units)
    outputs = [k for k, name in enumerate(call.node.output) if name]
    for k in outputs:
        call.shape(k)  # declines if it is empty
    ways = {output: [routes(call, slot, output) for slot in slots] for output in outputs}
    short = _not_followed(parts, list(ways.values()), call.op)
    call.notes.update(short=short, ways=ways)
    numbers = [
        numbered(
            call.node, facts, slots, call.work.index.opsets, short=short, views=call.work.views
        )
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
    """Return a constant that is moved along with others; declines if it is empty."""
    if not value.size:
        raise Declined("reads a tensor that is empty")
    ids, facs = call.work.algebra.constant(value)
    units = frozenset(a for a, n in enumerate(value.shape) if n > 1)
    return Tensor(value.shape, units, np.full(value.shape, HELD), ids, facs)


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
            shapes = [shortened(facts, call.name(slot), short, work.views) for slot in slots]
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

"""Axes that hold a free size and units at once: a batch times heads, as attention of torch makes them.

A `Reshape` that joins an axis of free size and one of units into an axis of size F k is read as one that keeps both:
the tensor gets a *view*, in which this axis is two, F and k.  The order of the elements is the same, so every operator
here means the same on the views, its axes renumbered.  All other operators hold what has a view.
"""

from __future__ import annotations

from typing import Any

from lumpability.networks.operators import elementwise
from lumpability.networks.operators.routes import groups_of
from lumpability.networks.tensors.call import Call, Declined, View
from lumpability.networks.tensors.polynomials import over

__all__ = ["join", "viewed"]

_ALONG = frozenset(["Softmax", "LogSoftmax"])
_ALIKE = elementwise.OPERATORS - {"BatchNormalization", "QuantizeLinear", "DequantizeLinear"}


def viewed(call: Call) -> Call:
    """Return a node that reads views as one whose axes are those of the views; its output gets a view.

    Declines what is not covered.
    """
    views = call.work.views
    known = [(slot, views[name]) for slot, name in enumerate(call.node.input) if name in views]
    if not known or call.op == "Reshape":
        return call
    rank = len(call.dims(call.node.output[0]))
    axis, inner = known[0][1]
    node = call.node
    if call.op == "Transpose":
        order = list(call.attributes.get("perm", range(rank)[::-1]))
        axis = order.index(axis)
        node = _with(call.node, "perm", _spread_order(order, axis))
    elif call.op in _ALONG:
        along = int(call.attributes.get("axis", -1)) % rank
        if call.version < 13 or along <= axis:
            raise Declined("works along an axis of free size that is joined with units")
        node = _with(call.node, "axis", along - rank)
    elif call.version >= 7 and (call.op == "MatMul" or call.op in _ALIKE):
        _aligned(call, rank)
    else:
        raise Declined("uses an axis of free size that is joined with units")
    call.work.split(call.node.output[0], View(axis, inner))
    return Call(call.work, call.number, node)


def _with(node: Any, key: str, value: Any) -> Any:
    copy = type(node)()
    copy.CopyFrom(node)
    kept = [item for item in copy.attribute if item.name != key]
    made = [item for item in copy.attribute if item.name == key]
    changed = made[0] if made else type(node.attribute.add())(name=key)
    del copy.attribute[:]
    if isinstance(value, int):
        changed.type, changed.i = 2, value
    else:
        changed.type = 7
        changed.ints[:] = value
    copy.attribute.extend([*kept, changed])
    return copy


def _spread_order(order: list[int], place: int) -> list[int]:
    """Return a permutation of axes of which the one that gets to a place is two."""
    split = order[place]
    wide = [axis + (axis > split) for axis in order]
    return [*wide[: place + 1], split + 1, *wide[place + 1 :]]


def _aligned(call: Call, rank: int) -> None:
    """Decline unless all operands with the joined axis have the same view, and others do not reach it."""
    views, found = call.work.views, set()
    for name in filter(None, call.node.input):
        known = call.work.known.get(name)
        own = known.ndim if known is not None else len(call.work.sizes.dims.get(name, ()))
        if name in views:
            found.add((own - 1 - views[name].axis, views[name].inner))
    if len(found) != 1:
        raise Declined("combines axes of free sizes that are joined with different units")
    ((behind, _),) = found
    if call.op == "MatMul" and behind < 2:
        raise Declined("multiplies along an axis of free size that is joined with units")
    for name in filter(None, call.node.input):
        known = call.work.known.get(name)
        dims = known.shape if known is not None else call.dims(name)
        reaches = name not in views and len(dims) > behind
        if reaches and (dims[len(dims) - 1 - behind] != 1 or len(dims) > behind + 1):
            raise Declined("combines units with an axis of free size")


def join(call: Call, units: frozenset[int]) -> None:
    """Give the output of a Reshape a view if it joins an axis of free size and one of units."""
    name, against = call.node.output[0], call.work.against
    after = call.dims(name)
    if against is not None:
        before = against.analysis.views.get(name)
        if before is not None:
            size = over(after[before.axis], against.analysis.outer(name))
            if not isinstance(size, int):
                raise Declined("joins units with an axis of free size")
            call.work.split(name, View(before.axis, size))
        return
    dims = call.dims(call.name(0))
    for ins, outs in groups_of(dims, after):
        mixed = len(ins) > 1 and outs and units & set(ins) and not isinstance(dims[ins[0]], int)
        if mixed and all(isinstance(dims[axis], int) for axis in ins[1:]):
            inner = over(after[outs[0]], dims[ins[0]])
            if isinstance(inner, int) and inner > 1:
                call.work.split(name, View(outs[0], inner))
                return

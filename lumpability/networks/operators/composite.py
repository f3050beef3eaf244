"""Axes that hold a free size and units at once: a batch times heads, as attention of torch makes them.

A `Reshape` that joins an axis of free size and one of units into an axis of size F k is read as one that keeps both:
the tensor gets a *view*, in which this axis is two, F and k.  The order of the elements is the same, so every operator
here means the same on the views, its axes renumbered.  All other operators hold what has a view.  The same is done
where channels and positions of groups are joined for an instance norm, which is how torch exports norms of groups.
"""

from __future__ import annotations

from typing import Any

from lumpability.networks.operators import elementwise
from lumpability.networks.operators.routes import groups_of
from lumpability.networks.tensors.call import Call
from lumpability.networks.tensors.polynomials import over
from lumpability.networks.tensors.protobuf import onnx
from lumpability.networks.tensors.tensor import Declined
from lumpability.networks.tensors.views import View

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
    view, node = known[0][1], call.node
    if view.first != (call.op == "InstanceNormalization"):
        raise Declined("uses an axis of free size that is joined with units")
    if call.op == "Transpose":
        order = list(call.attributes.get("perm", range(rank)[::-1]))
        view = view._replace(axis=order.index(view.axis))
        node = _with(call.node, "perm", _spread_order(order, view.axis))
    elif call.op in _ALONG:
        along = int(call.attributes.get("axis", -1)) % rank
        if call.version < 13 or along <= view.axis:
            raise Declined("works along an axis of free size that is joined with units")
        node = _with(call.node, "axis", along - rank)
    elif call.version >= 7 and (call.op == "MatMul" or call.op in _ALIKE):
        view = view._replace(axis=rank - 1 - _behind(call))
    elif not view.first:
        raise Declined("uses an axis of free size that is joined with units")
    call.work.split(call.node.output[0], view)
    return Call(call.work, call.number, node)


def _with(node: Any, key: str, value: Any) -> Any:
    """Return a copy of a node with another value of an attribute."""
    copy = type(node)()
    copy.CopyFrom(node)
    kept = [item for item in node.attribute if item.name != key]
    del copy.attribute[:]
    copy.attribute.extend([*kept, onnx().helper.make_attribute(key, value)])
    return copy


def _spread_order(order: list[int], place: int) -> list[int]:
    """Return a permutation of axes of which the one that gets to a place is two."""
    split = order[place]
    wide = [axis + (axis > split) for axis in order]
    return [*wide[: place + 1], split + 1, *wide[place + 1 :]]


def _behind(call: Call) -> int:
    """Return how many axes come after the joined one; declines unless all operands with a view have the same.

    Other operands must not reach that axis.
    """
    views, dims_of = call.work.views, call.work.sizes.dims
    seen = [name for name in call.node.input if name in views]
    # The view has one axis more than the tensor.
    found = {(len(dims_of[name]) - 2 - views[name].axis, views[name].fixed) for name in seen}
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
    return behind


def join(call: Call, units: frozenset[int]) -> None:
    """Give the output of a Reshape a view if it joins an axis of free size and one of units."""
    name, against = call.node.output[0], call.work.against
    after = call.dims(name)
    if against is not None:
        before = against.analysis.views.get(name)
        if before is not None:
            size = over(after[before.axis], against.analysis.free(name))
            if not isinstance(size, int):
                raise Declined("joins units with an axis of free size")
            call.work.split(name, before._replace(fixed=size))
        return
    dims = call.dims(call.name(0))
    normed = {call.work.index.nodes[n].op_type for n, _ in call.work.index.users.get(name, ())}
    for ins, outs in groups_of(dims, after):
        if len(ins) < 2 or not outs or not units & set(ins):
            continue
        view = _leading(dims, ins, after, outs)
        if normed == {"InstanceNormalization"} and outs == [1, 2] and len(after) == 3:
            view = _grouped(dims, ins, after, units)
        if view is not None:
            call.work.split(name, view)
            return


def _leading(dims: Any, ins: list[int], after: Any, outs: list[int]) -> View | None:
    """Return the view of an axis that joins one of free size, which comes first, and units."""
    if isinstance(dims[ins[0]], int) or not all(isinstance(dims[axis], int) for axis in ins[1:]):
        return None
    size = over(after[outs[0]], dims[ins[0]])
    return View(outs[0], size) if isinstance(size, int) and size > 1 else None


def _grouped(dims: Any, ins: list[int], after: Any, units: frozenset[int]) -> View | None:
    """Return the view of an axis that joins the channels of a group and positions, for a norm of groups."""
    channels, groups = dims[ins[0]], after[1]
    plain = isinstance(channels, int) and isinstance(groups, int) and units & set(ins) <= {ins[0]}
    if not plain or groups == channels or channels % groups:
        return None
    return View(2, channels // groups, first=True)

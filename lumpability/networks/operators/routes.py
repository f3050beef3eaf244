"""Where a movement of data takes the axes of its inputs, whatever the sizes.

An axis is *carried* if it becomes an axis of the output whole and in order, and nothing else depends on its
positions: that is read off the operator's parameters, never off what happens at trial sizes.  An axis of free
size that is not carried is *renamed*: its positions become something that has a name, made of the operator's
parameters along that axis and the sizes before and after, and units do not depend on it.  All other axes have
fixed sizes, and their positions can be followed one by one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lumpability.networks.tensors.call import Call
from lumpability.networks.tensors.polynomials import Size, times
from lumpability.networks.tensors.shapes import Node, crop, is_far, padding
from lumpability.networks.tensors.tensor import Declined

_RESHAPES = frozenset(["Reshape", "Flatten", "Squeeze", "Unsqueeze"])
_FIXED = frozenset(["GatherND", "GatherElements", "ReverseSequence"])


@dataclass
class Routes:
    """Axes of one input on their way to one output.

    - carried: axes of the input that become axes of the output
    - renamed: axes of free size whose positions change, and what they become
    """

    carried: dict[int, int] = field(default_factory=dict)
    renamed: dict[int, Hashable] = field(default_factory=dict)


def routes(call: Call, slot: int, output: int) -> Routes:
    """Return where the axes of an input go; declines if the operator mixes axes of free size with others."""
    before, after = call.dims(call.name(slot)), call.dims(call.node.output[output])
    if call.op in _RESHAPES:
        if call.op == "Squeeze" and not call.name(1) and "axes" not in call.attributes:
            _fixed(before)  # which axes have size one may depend on sizes
        return _regrouped(before, after)
    if call.op in _FIXED:
        _fixed((*before, *after))
        return Routes()
    found, reached = Routes(), set()
    for axis, size in enumerate(before):
        place = _target(call, axis, len(before), len(after))
        out = None if place is None else after[place]
        if place is not None:
            reached.add(place)
        if size == 1 and out in (1, None):
            continue
        what = _along(call, Node(call.work.sizes, call.node, output), slot, axis, (size, out))
        if what is None and place is not None:
            found.carried[axis] = place
        elif not (isinstance(size, int) and isinstance(out, int | None) and _numbers(what)):
            found.renamed[axis] = (what, size, out)
    if call.op != "Expand":
        _fixed([size for axis, size in enumerate(after) if axis not in reached])
    return found


def _fixed(sizes: Sequence[Size]) -> None:
    """Decline unless all sizes are fixed."""
    if not all(isinstance(size, int) for size in sizes):
        raise Declined("mixes an axis of free size with others")


def _numbers(what: Any) -> bool:
    """Whether parameters depend on no free size."""
    return not isinstance(what, tuple) or all(isinstance(part, int | str | bytes) for part in what)


def _target(call: Call, axis: int, rank: int, rank_out: int) -> int | None:
    """Return the axis of the output that an axis becomes, or None if it vanishes."""
    if call.op == "Transpose":
        order = call.attributes.get("perm", range(rank)[::-1])
        return list(order).index(axis)
    if call.op == "Expand":
        return axis + rank_out - rank
    if call.op == "Gather":
        along = call.attributes.get("axis", 0) % rank
        if axis == along:
            return None
        return axis if axis < along else axis + rank_out - rank
    return axis


def _along(
    call: Call, node: Node, slot: int, axis: int, sizes: tuple[Size, Size | None]
) -> Hashable | None:
    """Return what happens along an axis, None if nothing does."""
    op, rank = call.op, len(call.dims(call.name(slot)))
    if op == "Transpose":
        return None
    if op == "Expand":
        return None if sizes[0] == sizes[1] else ("Expand",)
    if op == "Concat":
        if axis != call.attributes.get("axis", 1) % rank or len(call.node.input) == 1:
            return None
        return ("Concat", slot, *(call.dims(name)[axis] for name in call.node.input))
    if op in ("DepthToSpace", "SpaceToDepth"):
        given = call.attributes
        how = (op, given.get("blocksize", 1), given.get("mode", "DCR"))
        return None if axis == 0 else (*how, *call.dims(call.name(slot))[1:])
    if op == "Split":
        if axis != call.attributes.get("axis", 0) % rank or len(call.node.output) == 1:
            return None
        return ("Split", node.output, *(call.dims(name)[axis] for name in call.node.output))
    if op == "Gather":
        if axis != call.attributes.get("axis", 0) % rank:
            return None
        index = call.work.sizes.identity(call.name(1))
        if index is None:
            raise Declined("takes positions that are computed from the network's inputs")
        known = call.constant(1)
        if known is None:
            return ("Gather", (index,))
        return ("Gather", known.dtype.str, str(known.shape), known.tobytes())
    return _cut(call, node, axis, sizes[0], rank)


def _cut(call: Call, node: Node, axis: int, size: Size, rank: int) -> Hashable | None:
    """Return what a Slice, a Tile or a Pad does along an axis."""
    if call.op == "Slice":
        part = crop(node, axis, rank)
        if part is None:
            raise Declined("takes bounds that are computed from the network's inputs")
        start, end, step = part
        whole = start == 0 and step == 1 and (end == size or is_far(end))
        return None if whole else ("Slice", *part)
    if call.op == "Tile":
        repeats = node.vector(1)
        if repeats is None or len(repeats) != rank:
            raise Declined("takes repeats that are computed from the network's inputs")
        return None if repeats[axis] == 1 else ("Tile", repeats[axis])
    pads = padding(node, rank)
    if pads is None:
        raise Declined("takes pads that are computed from the network's inputs")
    mode = call.attributes.get("mode", "constant")
    return None if pads[axis] == (0, 0) else ("Pad", mode, *pads[axis])


def _regrouped(before: Sequence[Size], after: Sequence[Size]) -> Routes:
    """Return the routes of a Reshape: axes between two places with equal products before them belong together."""
    found = Routes()
    for ins, outs in groups_of(before, after):
        sizes = [tuple(before[a] for a in ins), tuple(after[a] for a in outs)]
        if len(ins) == len(outs) == 1:
            found.carried[ins[0]] = outs[0]
        elif not all(isinstance(size, int) for size in (*sizes[0], *sizes[1])):
            found.renamed.update((axis, (*sizes, axis - ins[0])) for axis in ins)
    return found


def groups_of(
    before: Sequence[Size], after: Sequence[Size]
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the axes of a Reshape that belong together, those of size one apart."""
    left, right = ([axis for axis, n in enumerate(dims) if n != 1] for dims in (before, after))
    while left or right:
        ins, outs = _first_group(before, left, after, right)
        left, right = left[len(ins) :], right[len(outs) :]
        yield ins, outs


def _first_group(
    before: Sequence[Size], left: list[int], after: Sequence[Size], right: list[int]
) -> tuple[list[int], list[int]]:
    """Return the fewest axes on both sides, from the first, with equal products; all of them if there are none."""
    reached: dict[Size, int] = {}
    size: Size = 1
    for count, axis in enumerate(right, 1):
        size = times(size, after[axis])
        reached.setdefault(size, count)
    size = 1
    for count, axis in enumerate(left, 1):
        size = times(size, before[axis])
        if size in reached:
            return left[:count], right[: reached[size]]
    return left, right

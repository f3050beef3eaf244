"""Shapes of outputs as polynomials of the sizes of inputs, where onnx itself infers no symbol."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lumpability.networks.tensors.polynomials import Size, minus, over, plus, product, times
from lumpability.networks.tensors.protobuf import attributes

_FAR = (1 << 31) - 1


@dataclass(frozen=True)
class Named:
    """A size that is no polynomial, by all that it depends on."""

    key: Hashable


Shape = list[Size | Named | None]


@dataclass
class Node:
    """One output of a node whose shape is asked for; `sizes` knows what it reads."""

    sizes: Any
    node: Any
    output: int

    @cached_property
    def given(self) -> dict[str, Any]:
        """Attributes."""
        return attributes(self.node)

    def name(self, slot: int) -> str:
        """Return the name of an input, empty if it is left out."""
        return self.node.input[slot] if slot < len(self.node.input) else ""

    def dims(self, slot: int = 0) -> list[Size]:
        """Return the shape of an input, empty if it is unknown."""
        return list(self.sizes.dims.get(self.name(slot), ()))

    def vector(self, slot: int, key: str = "") -> list[Size] | None:
        """Return whole numbers that an input or else an attribute states."""
        if self.name(slot):
            found: list[Size] | None = self.sizes.vector(self.name(slot))
            return found
        stated = self.given.get(key) if key else None
        return None if stated is None else list(stated)


def _reshaped(node: Node) -> Shape | None:
    dims, target = node.dims(), node.vector(1, "shape")
    if target is None:
        return None
    if not node.given.get("allowzero", 0):
        target = [dims[k] if n == 0 and k < len(dims) else n for k, n in enumerate(target)]
    if not all(isinstance(n, int) or node.sizes.is_extent(n) for n in target):
        key = (tuple(dims), tuple(target))  # a number that is computed may turn out 0 or -1
        return [
            n if isinstance(n, int) and n > 0 else Named((key, k)) for k, n in enumerate(target)
        ]
    if -1 not in target:
        return list(target)
    rest = over(product(dims), product(n for n in target if n != -1))
    return [rest if n == -1 else n for n in target]


def _flattened(node: Node) -> Shape | None:
    dims, axis = node.dims(), node.given.get("axis", 1)
    axis = axis + len(dims) if axis < 0 else axis
    return [product(dims[:axis]), product(dims[axis:])]


def _broadcast(*shapes: list[Size]) -> Shape:
    rank = max(map(len, shapes))
    none: Size = 1
    wide = [[none] * (rank - len(shape)) + shape for shape in shapes]
    found: Shape = []
    for sizes in zip(*wide, strict=True):
        several = {size for size in sizes if size != 1}
        fixed = [size for size in several if isinstance(size, int)]
        # Where one is a number, the others are that number or one.
        if not several or fixed:
            found.append(fixed[0] if fixed else 1)
        else:
            same = several.pop() if len(several) == 1 else None
            found.append(Named(("broadcast", frozenset(several))) if same is None else same)
    return found


def _elementwise(node: Node) -> Shape | None:
    names = [name for name in node.node.input if name]
    if any(name not in node.sizes.dims for name in names):
        return None
    return _broadcast(*(list(node.sizes.dims[name]) for name in names))


def _expanded(node: Node) -> Shape | None:
    target = node.vector(1)
    return None if target is None else _broadcast(node.dims(), target)


def _filled(node: Node) -> Shape | None:
    found = node.vector(0)
    return None if found is None else list(found)


def _counted(node: Node) -> Shape | None:
    start, end, step = (node.vector(slot) for slot in range(3))
    if not start or not end or step != [1]:
        return None
    size = minus(end[0], start[0])
    return [size] if node.sizes.is_extent(size) else None


def crop(node: Any, axis: int, rank: int) -> tuple[Size, Size, Size] | None:
    """Return start, end and step of a Slice along an axis: (0, far, 1) if it is not named; None if unknown."""
    starts, ends = node.vector(1, "starts"), node.vector(2, "ends")
    if starts is None or ends is None:
        return None
    axes = node.vector(3, "axes")
    if axes is None:
        if node.name(3):
            return None
        axes = list(range(len(starts)))
    steps = node.vector(4)
    if steps is None:
        if node.name(4):
            return None
        steps = [1] * len(starts)
    for start, end, at, step in zip(starts, ends, axes, steps, strict=False):
        if not isinstance(at, int):
            return None
        if at % rank == axis:
            return start, end, step
    return 0, _FAR, 1


def _sliced(node: Node) -> Shape | None:
    dims = node.dims()
    found: Shape = []
    for axis, size in enumerate(dims):
        part = crop(node, axis, len(dims))
        if part is None:
            return None
        start, end, step = part
        whole = start == 0 and step == 1
        found.append(
            size if whole and (end == size or is_far(end)) else Named(("crop", size, part))
        )
    return found


def is_far(end: Size) -> bool:
    """Whether an end is beyond every size."""
    return isinstance(end, int) and end >= _FAR


def _split(node: Node) -> Shape | None:
    dims = node.dims()
    axis = node.given.get("axis", 0) % max(len(dims), 1)
    parts = node.vector(1, "split")
    found: Shape = list(dims)
    if parts is not None:
        found[axis] = parts[node.output]
    else:
        found[axis] = over(dims[axis], len(node.node.output))
    return found


def _concatenated(node: Node) -> Shape | None:
    shapes = [node.dims(slot) for slot in range(len(node.node.input))]
    if len({len(shape) for shape in shapes}) != 1 or not shapes[0]:
        return None
    axis = node.given.get("axis", 1) % len(shapes[0])
    found: Shape = []
    for k, sizes in enumerate(zip(*shapes, strict=True)):
        fixed = [size for size in sizes if isinstance(size, int)]
        same = fixed[0] if fixed else sizes[0]  # all are equal, or it does not run
        found.append(_sum(sizes) if k == axis else same)
    return found


def _sum(sizes: Any) -> Size:
    found: Size = 0
    for size in sizes:
        found = plus(found, size)
    return found


def _tiled(node: Node) -> Shape | None:
    repeats = node.vector(1)
    if repeats is None or len(repeats) != len(node.dims()):
        return None
    return [times(size, n) for size, n in zip(node.dims(), repeats, strict=True)]


def padding(node: Any, rank: int) -> list[tuple[Size, Size]] | None:
    """Return for each axis what a Pad puts before and after it, or None if unknown."""
    pads = node.vector(1, "pads") or node.vector(1, "paddings")
    axes = node.vector(3) if node.name(3) else list(range(rank))
    if pads is None or axes is None or len(pads) != 2 * len(axes):
        return None
    found: list[tuple[Size, Size]] = [(0, 0)] * rank
    for axis, before, after in zip(axes, pads, pads[len(axes) :], strict=False):
        if not isinstance(axis, int):
            return None
        found[axis % rank] = (before, after)
    return found


def _padded(node: Node) -> Shape | None:
    pads = padding(node, len(node.dims()))
    if pads is None:
        return None
    return [
        plus(size, plus(before, after))
        for size, (before, after) in zip(node.dims(), pads, strict=True)
    ]


def _windows(node: Node) -> Shape | None:
    """Return what sliding windows leave: a convolution or a pooling."""
    dims, given = node.dims(), node.given
    count = len(dims) - 2
    kernel: Any = given.get("kernel_shape") or node.dims(1)[2:]
    if len(kernel) != count:
        return None
    ones = [1] * count
    strides, dilations = given.get("strides", ones), given.get("dilations", ones)
    pads, auto = given.get("pads", [0] * 2 * count), given.get("auto_pad", "NOTSET")
    found: Shape = [dims[0], None]
    for k, size in enumerate(dims[2:]):
        if given.get("ceil_mode", 0):
            window = (kernel[k], strides[k], dilations[k], pads[k], pads[k + count])
            found.append(Named(("window", size, window, auto)))
            continue
        if auto.startswith("SAME"):
            found.append(node.sizes.rounded(size, strides[k], up=True))
            continue
        extra = 0 if auto == "VALID" else pads[k] + pads[k + count]
        room = plus(size, extra - dilations[k] * (kernel[k] - 1) - 1)
        found.append(plus(node.sizes.rounded(room, strides[k]), 1))
    return found


def _unwound(node: Node) -> Shape | None:
    """Return what a transposed convolution makes."""
    dims, given = node.dims(), node.given
    count = len(dims) - 2
    kernel: Any = given.get("kernel_shape") or node.dims(1)[2:]
    if len(kernel) != count or "output_shape" in given:
        return None
    ones, none = [1] * count, [0] * count
    strides, dilations = given.get("strides", ones), given.get("dilations", ones)
    pads, auto = given.get("pads", none * 2), given.get("auto_pad", "NOTSET")
    more = given.get("output_padding", none)
    found: Shape = [dims[0], None]
    for k, size in enumerate(dims[2:]):
        if auto not in ("NOTSET", "VALID"):
            found.append(times(strides[k], size))
            continue
        taken = 0 if auto == "VALID" else pads[k] + pads[k + count]
        rest = more[k] + dilations[k] * (kernel[k] - 1) + 1 - taken
        found.append(plus(times(strides[k], minus(size, 1)), rest))
    return found


def _resized(node: Node) -> Shape | None:
    dims = node.dims()
    stated = node.vector(3) if len(node.node.input) > 3 else None
    if stated is not None:
        axes = node.given.get("axes", range(len(dims)))
        found: Shape = list(dims)
        if (
            len(stated) != len(axes)
            or node.given.get("keep_aspect_ratio_policy", "stretch") != "stretch"
        ):
            return None
        for axis, size in zip(axes, stated, strict=True):
            found[axis] = size
        return found
    slot = 2 if node.node.op_type == "Resize" and len(node.node.input) > 2 else 1
    scales = node.sizes.known.get(node.name(slot))
    listed = node.given.get("scales") if scales is None else scales.ravel().tolist()
    if not listed or len(listed) != len(dims):
        return None
    return [
        times(int(n), size) if float(n).is_integer() else Named(("scaled", size, float(n)))
        for n, size in zip(listed, dims, strict=True)
    ]


def _blocks(node: Node) -> Shape | None:
    dims, side = node.dims(), node.given.get("blocksize", 1)
    if len(dims) != 4:
        return None
    rule = (
        (lambda n: times(side, n))
        if node.node.op_type == "DepthToSpace"
        else (lambda n: over(n, side))
    )
    return [dims[0], None, *map(rule, dims[2:])]


_ELEMENTWISE = [
    *("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Where", "Pow", "PRelu", "Mod"),
    *("And", "Or", "Xor", "Equal", "Less", "Greater"),
]

SHAPES: dict[str, Callable[[Node], Shape | None]] = {
    "Reshape": _reshaped,
    "Flatten": _flattened,
    "Expand": _expanded,
    "ConstantOfShape": _filled,
    "Range": _counted,
    "Slice": _sliced,
    "Split": _split,
    "Concat": _concatenated,
    "Tile": _tiled,
    "Pad": _padded,
    **dict.fromkeys(("Conv", "MaxPool", "AveragePool", "LpPool"), _windows),
    "ConvTranspose": _unwound,
    **dict.fromkeys(("Resize", "Upsample"), _resized),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _blocks),
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
}

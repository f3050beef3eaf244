"""ONNX operators that move data, or make shapes, as functions of torch; see `torch_operators`."""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.networks.modules.given import Function, Given
from lumpability.networks.tensors.protobuf import array_of


def _reshape(torch: Any, given: Given, x: Any, shape: Any) -> Any:
    wanted = [int(n) for n in shape.tolist()]
    if not given.get("allowzero", 0):
        wanted = [x.shape[k] if n == 0 else n for k, n in enumerate(wanted)]
    return x.reshape(wanted)


def _flatten(torch: Any, given: Given, x: Any) -> Any:
    axis = given.get("axis", 1) % (x.ndim + 1)
    rows = 1
    for n in x.shape[:axis]:
        rows *= n
    return x.reshape(rows, -1)


def _transpose(torch: Any, given: Given, x: Any) -> Any:
    return x.permute(given.get("perm", list(range(x.ndim))[::-1]))


def _squeeze(torch: Any, given: Given, x: Any, axes: Any = None) -> Any:
    found = given.axes(axes)
    return x.squeeze() if found is None else torch.squeeze(x, tuple(found))


def _unsqueeze(torch: Any, given: Given, x: Any, axes: Any = None) -> Any:
    found = given.axes(axes) or []
    rank = x.ndim + len(found)
    for axis in sorted(axis % rank for axis in found):
        x = x.unsqueeze(axis)
    return x


def _split(torch: Any, given: Given, x: Any, sizes: Any = None) -> Any:
    axis, found = given.get("axis", 0), given.axes(sizes, "split")
    if found is None:
        return tuple(torch.tensor_split(x, given.outputs, axis))
    return tuple(torch.split(x, found, axis))


def _left_out(values: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """Return inputs of which the last may be missing."""
    return (*values, *[None] * (count - len(values)))


def _slice(torch: Any, given: Given, x: Any, *bounds: Any) -> Any:
    starts, ends, axes, steps = _left_out(bounds, 4)
    first, last = given.axes(starts, "starts") or [], given.axes(ends, "ends") or []
    along = given.axes(axes) or list(range(len(first)))
    by = given.axes(steps, "steps") or [1] * len(first)
    for axis, low, high, step in zip(along, first, last, by, strict=True):
        places = list(range(x.shape[axis]))[slice(low, high if abs(high) < 1 << 31 else None, step)]
        x = x.index_select(axis, torch.tensor(places, dtype=torch.int64, device=x.device))
    return x


def _gather(torch: Any, given: Given, x: Any, index: Any) -> Any:
    axis = given.get("axis", 0) % x.ndim
    flat = index.reshape(-1).long() % x.shape[axis]
    found = x.index_select(axis, flat)
    return found.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def _expand(torch: Any, given: Given, x: Any, shape: Any) -> Any:
    wanted = [int(n) for n in shape.tolist()]
    return x * torch.ones(wanted, dtype=x.dtype) if x.dtype != torch.bool else x.expand(wanted)


def _shape(torch: Any, given: Given, x: Any) -> Any:
    return torch.tensor(list(x.shape)[given.get("start", 0) : given.get("end")])


def _constant_of_shape(torch: Any, given: Given, shape: Any) -> Any:
    value = given.get("value")
    filled = np.zeros(1, np.float32) if value is None else array_of(value)
    return torch.from_numpy(np.full([int(n) for n in shape.tolist()], filled.reshape(-1)[0]))


def _pad(torch: Any, given: Given, x: Any, *more: Any) -> Any:
    pads, value, axes = _left_out(more, 3)
    found = given.axes(pads, "pads") or []
    along = given.axes(axes) or list(range(x.ndim))
    wide = {axis % x.ndim: (found[k], found[k + len(along)]) for k, axis in enumerate(along)}
    sides = [n for axis in reversed(range(x.ndim)) for n in wide.get(axis, (0, 0))]
    mode = given.get("mode", "constant")
    mode = {"edge": "replicate", "wrap": "circular"}.get(mode, mode)
    if mode == "constant":
        fill = given.get("value", 0.0) if value is None else float(value)
        return torch.nn.functional.pad(x, sides, value=fill)
    while len(sides) > 2 and sides[-2:] == [0, 0]:
        sides = sides[:-2]
    return torch.nn.functional.pad(x, sides, mode=mode)


def _resize(torch: Any, given: Given, x: Any, *more: Any) -> Any:
    _, scales, sizes = _left_out(more, 3)
    mode = given.get("mode", "nearest")
    how = given.get("coordinate_transformation_mode", "half_pixel")
    size = None if sizes is None else [int(n) for n in sizes.tolist()][2:]
    by = None if scales is None or sizes is not None else [float(s) for s in scales.tolist()][2:]
    kind = {"linear": {3: "linear", 4: "bilinear", 5: "trilinear"}.get(x.ndim), "cubic": "bicubic"}
    corners = {} if mode == "nearest" else {"align_corners": how == "align_corners"}
    run = torch.nn.functional.interpolate
    return run(x, size=size, scale_factor=by, mode=kind.get(mode, "nearest"), **corners)


def _depth_to_space(torch: Any, given: Given, x: Any) -> Any:
    block = given.get("blocksize")
    n, c, h, w = x.shape
    less = c // block**2
    if given.get("mode", "DCR") == "CRD":
        return torch.nn.functional.pixel_shuffle(x, block)
    wide = x.reshape(n, block, block, less, h, w).permute(0, 3, 4, 1, 5, 2)
    return wide.reshape(n, less, h * block, w * block)


def _range(torch: Any, given: Given, *ends: Any) -> Any:
    return torch.arange(*(end.item() for end in ends), dtype=ends[0].dtype)


def _trilu(torch: Any, given: Given, x: Any, k: Any = None) -> Any:
    run = torch.triu if given.get("upper", 1) else torch.tril
    return run(x, 0 if k is None else int(k))


MOVEMENTS: dict[str, Function] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Concat": lambda torch, given, *x: torch.cat(x, given.get("axis")),
    "Expand": _expand,
    "Shape": _shape,
    "ConstantOfShape": _constant_of_shape,
    "Pad": _pad,
    "Tile": lambda torch, given, x, repeats: x.repeat([int(n) for n in repeats.tolist()]),
    "Resize": _resize,
    "DepthToSpace": _depth_to_space,
    "Range": _range,
    "Trilu": _trilu,
}
"""For each operator that moves data the function of torch that computes it."""

"""ONNX operators as functions of torch, for `lumpability.networks.modules.runner`.

Every function takes torch, the node's attributes, and the tensors that it reads; what is left out is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.networks.tensors.protobuf import array_of


@dataclass(frozen=True)
class Given:
    """What a node says apart from its inputs.

    Attributes
    ----------
    op : str
    attributes : dict
    version : int
        Of the operator set.
    outputs : int
    """

    op: str
    attributes: dict[str, Any]
    version: int
    outputs: int

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def axes(self, tensor: Any, name: str = "axes") -> list[int] | None:
        """Return numbers that are an attribute in old versions and an input in new ones."""
        if tensor is not None:
            return [int(n) for n in tensor.reshape(-1).tolist()]
        found = self.attributes.get(name)
        return None if found is None else list(found)


Function = Callable[..., Any]


def _plain(name: str) -> Function:
    return lambda torch, given, *x: getattr(torch, name)(*x)


def _functional(name: str, **renamed: tuple[str, float]) -> Function:
    """Return an activation with attributes that torch names otherwise."""

    def run(torch: Any, given: Given, x: Any) -> Any:
        more = {mine: given.get(theirs, default) for mine, (theirs, default) in renamed.items()}
        return getattr(torch.nn.functional, name)(x, **more)

    return run


def _folded(name: str) -> Function:
    def run(torch: Any, given: Given, first: Any, *others: Any) -> Any:
        for other in others:
            first = getattr(torch, name)(first, other)
        return first

    return run


def _div(torch: Any, given: Given, a: Any, b: Any) -> Any:
    whole = not (a.is_floating_point() or b.is_floating_point())
    return torch.div(a, b, rounding_mode="trunc") if whole else a / b


def _clip(torch: Any, given: Given, x: Any, low: Any = None, high: Any = None) -> Any:
    low = given.get("min") if low is None else low
    high = given.get("max") if high is None else high
    return x if low is None and high is None else torch.clamp(x, low, high)


def _prelu(torch: Any, given: Given, x: Any, slope: Any) -> Any:
    return torch.where(x >= 0, x, x * slope)


def _softmax(name: str) -> Function:
    def run(torch: Any, given: Given, x: Any) -> Any:
        if given.version >= 13:
            return getattr(torch, name)(x, given.get("axis", -1))
        axis = given.get("axis", 1) % x.ndim
        return getattr(torch, name)(x.flatten(axis), -1).reshape(x.shape)

    return run


def _cast(torch: Any, given: Given, x: Any, like: Any = None) -> Any:
    kinds = {
        1: "float32",
        2: "uint8",
        3: "int8",
        5: "int16",
        6: "int32",
        7: "int64",
        9: "bool",
        10: "float16",
        11: "float64",
        16: "bfloat16",
    }
    return x.to(getattr(torch, kinds[given.get("to")]) if like is None else like.dtype)


def _gemm(torch: Any, given: Given, a: Any, b: Any, c: Any = None) -> Any:
    a = a.T if given.get("transA", 0) else a
    b = b.T if given.get("transB", 0) else b
    found = given.get("alpha", 1.0) * (a @ b)
    return found if c is None else found + given.get("beta", 1.0) * c


def _padded(
    torch: Any, given: Given, x: Any, kernel: Sequence[int], fill: float = 0.0
) -> tuple[Any, list[int], list[int]]:
    """Return an input with the padding of a window put around it, strides and dilations."""
    axes = len(kernel)
    strides = list(given.get("strides", [1] * axes))
    dilations = list(given.get("dilations", [1] * axes))
    pads = list(given.get("pads", [0] * 2 * axes))
    auto = given.get("auto_pad", "NOTSET")
    if auto.startswith("SAME"):
        for k, n in enumerate(x.shape[2:]):
            reach = (kernel[k] - 1) * dilations[k] + 1
            whole = max(0, (-(-n // strides[k]) - 1) * strides[k] + reach - n)
            less, more = whole // 2, whole - whole // 2
            pads[k], pads[k + axes] = (less, more) if auto == "SAME_UPPER" else (more, less)
    if any(pads):
        sides = [pads[k + end * axes] for k in reversed(range(axes)) for end in (0, 1)]
        x = torch.nn.functional.pad(x, sides, value=fill)
    return x, strides, dilations


def _conv(torch: Any, given: Given, x: Any, weight: Any, bias: Any = None) -> Any:
    x, strides, dilations = _padded(torch, given, x, weight.shape[2:])
    run = getattr(torch.nn.functional, f"conv{weight.ndim - 2}d")
    return run(x, weight, bias, strides, 0, dilations, given.get("group", 1))


def _transposed(torch: Any, given: Given, x: Any, weight: Any, bias: Any = None) -> Any:
    axes = weight.ndim - 2
    one, none = [1] * axes, [0] * axes
    pads = given.get("pads", none * 2)
    run = getattr(torch.nn.functional, f"conv_transpose{axes}d")
    return run(
        x,
        weight,
        bias,
        given.get("strides", one),
        pads[:axes],
        given.get("output_padding", none),
        given.get("group", 1),
        given.get("dilations", one),
    )


def _pool(torch: Any, given: Given, x: Any) -> Any:
    kernel, axes = given.get("kernel_shape"), x.ndim - 2
    ceil = bool(given.get("ceil_mode", 0))
    if given.op == "MaxPool":
        x, strides, dilations = _padded(torch, given, x, kernel, float("-inf"))
        run = getattr(torch.nn.functional, f"max_pool{axes}d")
        return run(x, kernel, strides, 0, dilations, ceil)
    pads = given.get("pads", [0] * 2 * axes)
    run = getattr(torch.nn.functional, f"avg_pool{axes}d")
    counts = bool(given.get("count_include_pad", 0))
    return run(x, kernel, given.get("strides", [1] * axes), pads[:axes], ceil, counts)


def _over_positions(name: str) -> Function:
    return lambda torch, given, x: getattr(torch, name)(x, tuple(range(2, x.ndim)), keepdim=True)


def _batch_norm(torch: Any, given: Given, x: Any, *stored: Any) -> Any:
    scale, shift, mean, variance = stored
    run = torch.nn.functional.batch_norm
    return run(x, mean, variance, scale, shift, False, 0.0, given.get("epsilon", 1e-5))


def _layer_norm(torch: Any, given: Given, x: Any, scale: Any, shift: Any = None) -> Any:
    shape = x.shape[given.get("axis", -1) % x.ndim :]
    run = torch.nn.functional.layer_norm
    return run(x, shape, scale, shift, given.get("epsilon", 1e-5))


def _instance_norm(torch: Any, given: Given, x: Any, scale: Any, shift: Any) -> Any:
    run = torch.nn.functional.instance_norm
    return run(x, None, None, scale, shift, True, 0.1, given.get("epsilon", 1e-5))


def _reduced(name: str) -> Function:
    def run(torch: Any, given: Given, x: Any, axes: Any = None) -> Any:
        found = given.axes(axes)
        if not found and given.get("noop_with_empty_axes", 0):
            return x
        along = tuple(range(x.ndim)) if not found else tuple(found)
        return getattr(torch, name)(x, along, keepdim=bool(given.get("keepdims", 1)))

    return run


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
    mode = {"edge": "replicate"}.get(given.get("mode", "constant"), given.get("mode", "constant"))
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


def _where(torch: Any, given: Given, test: Any, a: Any, b: Any) -> Any:
    return torch.where(test, a, b)


def _range(torch: Any, given: Given, *ends: Any) -> Any:
    return torch.arange(*(end.item() for end in ends), dtype=ends[0].dtype)


def _trilu(torch: Any, given: Given, x: Any, k: Any = None) -> Any:
    run = torch.triu if given.get("upper", 1) else torch.tril
    return run(x, 0 if k is None else int(k))


OPERATORS: dict[str, Function] = {
    **{
        name.capitalize(): _plain(name)
        for name in ["abs", "exp", "log", "sqrt", "erf", "floor", "ceil", "sin", "cos"]
    },
    **{
        name.capitalize(): _plain(name)
        for name in ["tanh", "sigmoid", "relu", "neg", "round", "sign"]
    },
    "Reciprocal": _plain("reciprocal"),
    "Not": _plain("logical_not"),
    "Pow": _plain("pow"),
    "Add": _plain("add"),
    "Sub": _plain("sub"),
    "Mul": _plain("mul"),
    "MatMul": _plain("matmul"),
    "Equal": _plain("eq"),
    "Less": _plain("lt"),
    "LessOrEqual": _plain("le"),
    "Greater": _plain("gt"),
    "GreaterOrEqual": _plain("ge"),
    "And": _plain("logical_and"),
    "Or": _plain("logical_or"),
    "Max": _folded("maximum"),
    "Min": _folded("minimum"),
    "Sum": _folded("add"),
    "Div": _div,
    "Clip": _clip,
    "PRelu": _prelu,
    "Where": _where,
    "Identity": lambda torch, given, x: x,
    "Dropout": lambda torch, given, x, *_: x,
    "LeakyRelu": _functional("leaky_relu", negative_slope=("alpha", 0.01)),
    "Elu": _functional("elu", alpha=("alpha", 1.0)),
    "Celu": _functional("celu", alpha=("alpha", 1.0)),
    "Selu": _functional("selu"),
    "Softplus": _functional("softplus"),
    "Softsign": _functional("softsign"),
    "HardSwish": _functional("hardswish"),
    "Mish": _functional("mish"),
    "HardSigmoid": lambda torch, given, x: torch.clamp(
        given.get("alpha", 0.2) * x + given.get("beta", 0.5), 0, 1
    ),
    "Gelu": lambda torch, given, x: torch.nn.functional.gelu(
        x, approximate=given.get("approximate", "none")
    ),
    "Softmax": _softmax("softmax"),
    "LogSoftmax": _softmax("log_softmax"),
    "Cast": _cast,
    "CastLike": _cast,
    "Gemm": _gemm,
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _over_positions("mean"),
    "GlobalMaxPool": _over_positions("amax"),
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "InstanceNormalization": _instance_norm,
    "ReduceMean": _reduced("mean"),
    "ReduceSum": _reduced("sum"),
    "ReduceMax": _reduced("amax"),
    "ReduceMin": _reduced("amin"),
    "ReduceL2": _reduced("norm"),
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
"""For each operator the function of torch that computes it."""

"""ONNX operators as functions of torch, for `lumpability.networks.modules.runner`.

Every function takes torch, the node's attributes, and the tensors that it reads; what is left out is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lumpability.networks.modules.given import Function, Given
from lumpability.networks.modules.torch_movements import MOVEMENTS
from lumpability.networks.tensors.protobuf import onnx


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
    if like is not None:
        return x.to(like.dtype)
    kind = onnx().helper.tensor_dtype_to_np_dtype(given.get("to"))
    return x.to(getattr(torch, kind.name))


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


_ALIKE = "abs exp log sqrt erf floor ceil sin cos tanh sigmoid relu neg round sign reciprocal pow add sub mul where"
_ACTIVATIONS = "Selu Softplus Softsign HardSwish Mish"
"""What torch calls as ONNX does, but for capital letters."""


OPERATORS: dict[str, Function] = {
    **MOVEMENTS,
    **{name.capitalize(): _plain(name) for name in _ALIKE.split()},
    **{name: _functional(name.lower()) for name in _ACTIVATIONS.split()},
    "Not": _plain("logical_not"),
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
    "Identity": lambda torch, given, x: x,
    "Dropout": lambda torch, given, x, *_: x,
    "LeakyRelu": _functional("leaky_relu", negative_slope=("alpha", 0.01)),
    "Elu": _functional("elu", alpha=("alpha", 1.0)),
    "Celu": _functional("celu", alpha=("alpha", 1.0)),
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
}
"""For each operator the function of torch that computes it."""

"""ONNX operators as layers: one short function for each known operator.

Each takes the node, its attributes, the constants among its inputs and the shape of its one input that is not
constant.  It returns the layers of the node, or None if this use of the operator is not known; the node then
becomes an opaque barrier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.formats.onnx_constants import FREE
from lumpability.networks.elementwise import Activate, PReLU, Scale, Shift, Softmax
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer, Shape
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import Flatten, Reshape, Squeeze, Transpose, Unsqueeze
from lumpability.numbers.float_arrays import Array

__all__ = ["OPERATORS", "Use"]


@dataclass(frozen=True, eq=False)
class Use:
    """One use of an operator."""

    operator: str
    details: dict[str, Any]  # attributes
    inputs: list[Array | None]  # constants; None for the moving and for missing inputs
    moving: int  # position of the input that is not constant
    shape: Shape  # its shape
    dtype: Any  # of the input

    def constant(self, position: int) -> Array | None:
        """Return a constant input; None if it is missing."""
        return self.inputs[position] if position < len(self.inputs) else None

    def numbers(self, name: str, position: int) -> tuple[int, ...] | None:
        """Return a list of integers given as an attribute or, in later opsets, as an input."""
        if name in self.details:
            return tuple(int(x) for x in np.ravel(self.details[name]))
        value = self.constant(position)
        return None if value is None else tuple(int(x) for x in value.ravel())


Layers = list[Layer] | None


def _matmul(use: Use) -> Layers:
    weight = use.inputs[1 - use.moving]
    if weight is None or weight.ndim != 2:
        return None
    if use.moving == 0:
        return [Dense(weight)]
    if len(use.shape) == 1:  # W x for a vector x is x W^T
        return [Dense(weight.T)]
    swap = (*range(len(use.shape) - 2), len(use.shape) - 1, len(use.shape) - 2)
    return [Transpose(swap), Dense(weight.T), Transpose(swap)]


def _gemm(use: Use) -> Layers:
    alpha, beta = use.details.get("alpha", 1.0), use.details.get("beta", 1.0)
    weight, bias = use.constant(1), use.constant(2)
    if use.moving != 0 or weight is None or len(use.shape) != 2:
        return None
    layers: list[Layer] = [Transpose((1, 0))] if use.details.get("transA", 0) else []
    matrix = weight.T if use.details.get("transB", 0) else weight
    scaled = _scaled(matrix, alpha)
    if scaled is None:
        layers += [Dense(matrix), Scale(np.array(alpha, dtype=matrix.dtype))]
    else:
        layers.append(Dense(scaled))
    if bias is not None and beta:
        shift = _scaled(bias, beta)
        if shift is None:
            return None
        layers.append(Shift(shift))
    return layers


def _scaled(values: Array, factor: float) -> Array | None:
    """Return factor * values if that is exact in their type."""
    if factor == 1:
        return values
    narrow = values * values.dtype.type(factor)
    wide = np.longdouble(factor) * values.astype(np.longdouble)  # 64 bits: exact for float32
    exact = values.dtype.itemsize <= 4 or abs(np.frexp(factor)[0]) == 0.5
    return narrow if exact and np.array_equal(narrow.astype(np.longdouble), wide) else None


def _add(use: Use) -> Layers:
    value = use.inputs[1 - use.moving]
    return None if value is None else [Shift(value)]


def _subtract(use: Use) -> Layers:
    value = use.inputs[1 - use.moving]
    if value is None:
        return None
    if use.moving == 0:
        return [Shift(-value)]
    return [Scale(np.array(-1, dtype=value.dtype)), Shift(value)]


def _multiply(use: Use) -> Layers:
    value = use.inputs[1 - use.moving]
    return None if value is None else [Scale(value)]


def _divide(use: Use) -> Layers:
    value = use.inputs[1 - use.moving]
    return None if value is None or use.moving == 1 else [Scale(value, divide=True)]


def _negate(use: Use) -> Layers:
    return [Scale(np.array(-1, dtype=use.dtype))]


def _spatial(use: Use, spatial: int) -> dict[str, Any] | None:
    """Return strides, pads and dilations; None for an unknown automatic padding."""
    details = use.details
    strides = tuple(details.get("strides", (1,) * spatial))
    dilations = tuple(details.get("dilations", (1,) * spatial))
    flat = tuple(details.get("pads", (0,) * (2 * spatial)))
    pads = tuple(zip(flat[:spatial], flat[spatial:], strict=True))
    automatic = details.get("auto_pad", b"NOTSET")
    automatic = automatic.decode() if isinstance(automatic, bytes) else automatic
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        kernel = details["kernel_shape"]
        if any(size is None for size in use.shape[2:]):
            return None
        pads = _same(use.shape[2:], kernel, strides, dilations, upper=automatic == "SAME_UPPER")
    elif automatic == "VALID":
        pads = ((0, 0),) * spatial
    if any(x < 0 for pad in pads for x in pad):
        return None
    return {"strides": strides, "pads": pads, "dilations": dilations}


def _same(sizes: Any, kernel: Any, strides: Any, dilations: Any, *, upper: bool) -> Any:
    pads = []
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + dilation * (k - 1) + 1 - size, 0)
        small, large = total // 2, total - total // 2
        pads.append((small, large) if upper else (large, small))
    return tuple(pads)


def _conv(use: Use) -> Layers:
    weight, bias = use.constant(1), use.constant(2)
    if use.moving != 0 or weight is None or weight.ndim < 3:
        return None
    use.details.setdefault("kernel_shape", weight.shape[2:])
    window = _spatial(use, weight.ndim - 2)
    if window is None:
        return None
    return [Conv(weight, bias, groups=use.details.get("group", 1), **window)]


def _batch_norm(use: Use) -> Layers:
    values = [value for i in range(1, 5) if (value := use.constant(i)) is not None]
    if use.moving != 0 or len(values) < 4:
        return None
    if use.details.get("training_mode", 0) or use.details.get("spatial", 1) != 1:
        return None
    scale, bias, mean, variance = values
    epsilon = float(use.details.get("epsilon", np.float32(1e-5)))
    return [BatchNorm(scale, bias, mean, variance, epsilon)]


def _max_pool(use: Use) -> Layers:
    return _pool(use, MaxPool, {})


def _average_pool(use: Use) -> Layers:
    return _pool(use, AveragePool, {"include_pad": bool(use.details.get("count_include_pad", 0))})


def _pool(use: Use, layer: Callable[..., Layer], more: dict[str, Any]) -> Layers:
    kernel = tuple(use.details.get("kernel_shape", ()))
    window = _spatial(use, len(kernel))
    if not kernel or window is None or use.details.get("storage_order", 0):
        return None
    return [layer(kernel, ceil=bool(use.details.get("ceil_mode", 0)), **window, **more)]


def _flatten(use: Use) -> Layers:
    return [Flatten(int(use.details.get("axis", 1)))]


def _reshape(use: Use) -> Layers:
    target = use.numbers("shape", 1)
    if target is None or use.moving != 0:
        return None
    sizes = list(target)
    for axis, size in enumerate(sizes):
        if size == FREE and axis < len(use.shape) and use.shape[axis] is None:
            sizes[axis] = 0  # "as in the input"
        elif abs(size) >= FREE or (size == 0 and use.details.get("allowzero", 0)):
            return None
    return [Reshape(tuple(sizes))]


def _transpose(use: Use) -> Layers:
    rank = len(use.shape)
    order = tuple(use.details.get("perm", range(rank)[::-1]))
    return [Transpose(tuple(axis % rank for axis in order))]


def _squeeze(use: Use) -> Layers:
    axes = use.numbers("axes", 1)
    if axes is None:
        axes = tuple(axis for axis, size in enumerate(use.shape) if size == 1)
    return [Squeeze(tuple(axis % len(use.shape) for axis in axes))]


def _unsqueeze(use: Use) -> Layers:
    axes = use.numbers("axes", 1)
    if axes is None or use.moving != 0:
        return None
    rank = len(use.shape) + len(axes)
    return [Unsqueeze(tuple(axis % rank for axis in axes))]


def _nothing(use: Use) -> Layers:
    return [] if use.moving == 0 else None


def _dropout(use: Use) -> Layers:
    training = use.constant(2)
    trains = (training is not None and bool(training)) or use.details.get("is_test", 1) == 0
    ratio = use.constant(1)
    rate = use.details.get("ratio", 0.5) if ratio is None else float(ratio)
    return None if trains and rate else []


def _cast(use: Use) -> Layers:
    import onnx

    target = onnx.helper.tensor_dtype_to_np_dtype(use.details["to"])
    return [] if target == use.dtype else None


def _clip(use: Use) -> Layers:
    low = use.details.get("min", use.constant(1))
    high = use.details.get("max", use.constant(2))
    bounds = {
        "low": -np.inf if low is None else float(low),
        "high": np.inf if high is None else float(high),
    }
    limits = np.finfo(use.dtype)
    bounds = {
        "low": -np.inf if bounds["low"] <= limits.min else bounds["low"],
        "high": np.inf if bounds["high"] >= limits.max else bounds["high"],
    }
    if bounds["high"] == np.inf and bounds["low"] in (0.0, -np.inf):
        return [Activate("relu")] if bounds["low"] == 0.0 else []
    return [Activate("clip", **bounds)]


def _leaky(use: Use) -> Layers:
    return [Activate("leaky_relu", alpha=float(use.details.get("alpha", 0.01)))]


def _elu(use: Use) -> Layers:
    return [Activate("elu", alpha=float(use.details.get("alpha", 1.0)))]


def _prelu(use: Use) -> Layers:
    slope = use.constant(1)
    return None if use.moving != 0 or slope is None else [PReLU(slope)]


def _gelu(use: Use) -> Layers:
    tanh = use.details.get("approximate", b"none") == b"tanh"
    return [Activate("gelu_tanh" if tanh else "gelu")]


def _softmax(use: Use) -> Layers:
    axis = int(use.details.get("axis", -1)) % len(use.shape)
    return [Softmax(axis)] if axis == len(use.shape) - 1 else None


def _named(name: str) -> Callable[[Use], Layers]:
    return lambda use: [Activate(name)]


OPERATORS: dict[str, Callable[[Use], Layers]] = {
    "Abs": _named("abs"),
    "Add": _add,
    "Atan": _named("atan"),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Conv": _conv,
    "Div": _divide,
    "Dropout": _dropout,
    "Elu": _elu,
    "Flatten": _flatten,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda use: [GlobalPool()],
    "GlobalMaxPool": lambda use: [GlobalPool(maximum=True)],
    "Identity": _nothing,
    "LeakyRelu": _leaky,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Mul": _multiply,
    "Neg": _negate,
    "PRelu": _prelu,
    "Relu": _named("relu"),
    "Reshape": _reshape,
    "Sigmoid": _named("sigmoid"),
    "Sign": _named("sign"),
    "Softmax": _softmax,
    "Softplus": _named("softplus"),
    "Softsign": _named("softsign"),
    "Squeeze": _squeeze,
    "Sub": _subtract,
    "Tanh": _named("tanh"),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""The known operators of the default domain."""

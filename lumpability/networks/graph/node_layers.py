"""Nodes of an ONNX graph as layers: one short function for each operator of which a layer is known.

Each takes the node's attributes, the constants among its inputs and the shape of its one input that is not
constant.  It returns the layers of the node, or None if no layer computes this use of the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.errors import InvalidNetwork
from lumpability.networks.elementwise import Activate, PReLU, Scale, Shift, Softmax
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer, Shape
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import Flatten, Reshape, Squeeze, Transpose, Unsqueeze
from lumpability.networks.tensors.protobuf import array_of, attributes, has_infinite, onnx
from lumpability.numbers.float_arrays import Array

COPIED = -2
"""A size in the target of a Reshape that is the free size of the input's axis."""


@dataclass(frozen=True, eq=False)
class _Use:
    """One use of an operator."""

    details: dict[str, Any]  # attributes
    inputs: Sequence[Array | None]  # constants; None for the moving and for missing inputs
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


def node_layers(
    node: Any, inputs: Sequence[Array | None], moving: int, *, shape: Shape, dtype: Any, opset: int
) -> list[Layer] | None:
    """Return the layers that compute a node, or None if none are known to.

    Raises `InvalidNetwork` if the node's weights are no weights of a layer.

    - inputs: its constant inputs; None for the others
    - moving: position of its one input that is not constant
    - shape: of that input
    """
    if node.domain not in ("", "ai.onnx") or node.op_type not in _OPERATORS:
        return None
    if node.op_type == "Softmax" and opset < 13 and len(shape) != 2:
        return None  # before opset 13 softmax joins all axes from one on
    details = {name: _plain(value) for name, value in attributes(node).items()}
    if has_infinite(details.values()) and node.op_type != "Clip":
        return None
    try:
        return _OPERATORS[node.op_type](_Use(details, inputs, moving, shape, dtype))
    except InvalidNetwork:
        raise
    except (TypeError, ValueError, KeyError, IndexError):
        return None  # attributes of an unusual form


def with_biases(layers: Iterable[Layer]) -> Iterable[Layer]:
    """Join a MatMul and the Add after it into one dense layer with a bias."""
    held: Dense | None = None
    for layer in layers:
        if held is not None:
            if isinstance(layer, Shift) and (bias := _as_bias(layer.value, held)) is not None:
                yield Dense(held.weight, bias)
                held = None
                continue
            yield held
            held = None
        if isinstance(layer, Dense) and layer.bias is None:
            held = layer
        else:
            yield layer
    if held is not None:
        yield held


def _as_bias(value: Array, dense: Dense) -> Array | None:
    """Return a constant as one number for each unit, if it is constant along all other axes."""
    if value.size > 1 and value.shape[-1] != dense.units:
        return None
    if value.size not in (1, dense.units) or value.dtype != dense.weight.dtype:
        return None
    return np.broadcast_to(value.reshape(-1), (dense.units,)).copy()


def _plain(value: Any) -> Any:
    """Return an attribute; a tensor in place of a number, as some converters write transA, is that number."""
    if not isinstance(value, onnx().TensorProto):
        return value
    array = array_of(value)
    return array.item() if array.size == 1 else array


Layers = list[Layer] | None


def _matmul(use: _Use) -> Layers:
    weight = use.inputs[1 - use.moving]
    if weight is None or weight.ndim != 2:
        return None
    if use.moving == 0:
        return [Dense(weight)]
    if len(use.shape) == 1:  # W x for a vector x is x W^T
        return [Dense(weight.T)]
    swap = (*range(len(use.shape) - 2), len(use.shape) - 1, len(use.shape) - 2)
    return [Transpose(swap), Dense(weight.T), Transpose(swap)]


def _gemm(use: _Use) -> Layers:
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


def _combined(layer: Callable[[Array], Layer]) -> Callable[[_Use], Layers]:
    def combined(use: _Use) -> Layers:
        value = use.inputs[1 - use.moving]
        return None if value is None else [layer(value)]

    return combined


def _subtract(use: _Use) -> Layers:
    value = use.inputs[1 - use.moving]
    if value is None:
        return None
    if use.moving == 0:
        return [Shift(-value)]
    return [Scale(np.array(-1, dtype=value.dtype)), Shift(value)]


def _divide(use: _Use) -> Layers:
    value = use.inputs[1 - use.moving]
    return None if value is None or use.moving == 1 else [Scale(value, divide=True)]


def _spatial(use: _Use, spatial: int) -> dict[str, Any] | None:
    """Return strides, pads and dilations; None for an unknown automatic padding."""
    details = use.details
    strides = tuple(details.get("strides", (1,) * spatial))
    dilations = tuple(details.get("dilations", (1,) * spatial))
    flat = tuple(details.get("pads", (0,) * (2 * spatial)))
    pads = tuple(zip(flat[:spatial], flat[spatial:], strict=True))
    automatic = details.get("auto_pad", "NOTSET")
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


def _conv(use: _Use) -> Layers:
    weight, bias = use.constant(1), use.constant(2)
    if use.moving != 0 or weight is None or weight.ndim < 3:
        return None
    use.details.setdefault("kernel_shape", weight.shape[2:])
    window = _spatial(use, weight.ndim - 2)
    if window is None:
        return None
    return [Conv(weight, bias, groups=use.details.get("group", 1), **window)]


def _batch_norm(use: _Use) -> Layers:
    values = [value for i in range(1, 5) if (value := use.constant(i)) is not None]
    if use.moving != 0 or len(values) < 4:
        return None
    if use.details.get("training_mode", 0) or use.details.get("spatial", 1) != 1:
        return None
    scale, bias, mean, variance = values
    epsilon = float(use.details.get("epsilon", np.float32(1e-5)))
    return [BatchNorm(scale, bias, mean, variance, epsilon)]


def _pool(use: _Use, layer: Callable[..., Layer], **more: Any) -> Layers:
    kernel = tuple(use.details.get("kernel_shape", ()))
    window = _spatial(use, len(kernel))
    if not kernel or window is None or use.details.get("storage_order", 0):
        return None
    return [layer(kernel, ceil=bool(use.details.get("ceil_mode", 0)), **window, **more)]


def _reshape(use: _Use) -> Layers:
    target = use.numbers("shape", 1)
    if target is None or use.moving != 0:
        return None
    if 0 in target and use.details.get("allowzero", 0):
        return None
    return [Reshape(tuple(0 if size == COPIED else size for size in target))]


def _transpose(use: _Use) -> Layers:
    rank = len(use.shape)
    order = tuple(use.details.get("perm", range(rank)[::-1]))
    return [Transpose(tuple(axis % rank for axis in order))]


def _squeeze(use: _Use) -> Layers:
    axes = use.numbers("axes", 1)
    if axes is None:
        axes = tuple(axis for axis, size in enumerate(use.shape) if size == 1)
    return [Squeeze(tuple(axis % len(use.shape) for axis in axes))]


def _unsqueeze(use: _Use) -> Layers:
    axes = use.numbers("axes", 1)
    if axes is None or use.moving != 0:
        return None
    rank = len(use.shape) + len(axes)
    return [Unsqueeze(tuple(axis % rank for axis in axes))]


def _dropout(use: _Use) -> Layers:
    training = use.constant(2)
    trains = (training is not None and bool(training)) or use.details.get("is_test", 1) == 0
    ratio = use.constant(1)
    rate = use.details.get("ratio", 0.5) if ratio is None else float(ratio)
    return None if trains and rate else []


def _cast(use: _Use) -> Layers:
    target = onnx().helper.tensor_dtype_to_np_dtype(use.details["to"])
    return [] if target == use.dtype else None


def _clip(use: _Use) -> Layers:
    low = use.details.get("min", use.constant(1))
    high = use.details.get("max", use.constant(2))
    bounds = {
        "low": -np.inf if low is None else float(low),
        "high": np.inf if high is None else float(high),
    }
    if any(map(np.isnan, bounds.values())):
        return None
    limits = np.finfo(use.dtype)
    bounds = {
        "low": -np.inf if bounds["low"] <= limits.min else bounds["low"],
        "high": np.inf if bounds["high"] >= limits.max else bounds["high"],
    }
    if bounds["high"] == np.inf and bounds["low"] in (0.0, -np.inf):
        return [Activate("relu")] if bounds["low"] == 0.0 else []
    return [Activate("clip", **bounds)]


def _prelu(use: _Use) -> Layers:
    slope = use.constant(1)
    return None if use.moving != 0 or slope is None else [PReLU(slope)]


def _softmax(use: _Use) -> Layers:
    axis = int(use.details.get("axis", -1)) % len(use.shape)
    return [Softmax(axis)] if axis == len(use.shape) - 1 else None


_ACTIVATIONS = ("Abs", "Atan", "Relu", "Sigmoid", "Sign", "Softplus", "Softsign", "Tanh")


def _activation(name: str) -> Callable[[_Use], Layers]:
    return lambda use: [Activate(name)]


_OPERATORS: dict[str, Callable[[_Use], Layers]] = {
    **{name: _activation(name.lower()) for name in _ACTIVATIONS},
    "Add": _combined(Shift),
    "AveragePool": lambda use: _pool(
        use, AveragePool, include_pad=bool(use.details.get("count_include_pad", 0))
    ),
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Conv": _conv,
    "Div": _divide,
    "Dropout": _dropout,
    "Elu": lambda use: [Activate("elu", alpha=float(use.details.get("alpha", 1.0)))],
    "Flatten": lambda use: [Flatten(int(use.details.get("axis", 1)))],
    "Gemm": _gemm,
    "GlobalAveragePool": lambda use: [GlobalPool()],
    "GlobalMaxPool": lambda use: [GlobalPool(maximum=True)],
    "Identity": lambda use: [] if use.moving == 0 else None,
    "LeakyRelu": lambda use: [Activate("leaky_relu", alpha=float(use.details.get("alpha", 0.01)))],
    "MatMul": _matmul,
    "MaxPool": lambda use: _pool(use, MaxPool),
    "Mul": _combined(Scale),
    "Neg": lambda use: [Scale(np.array(-1, dtype=use.dtype))],
    "PRelu": _prelu,
    "Reshape": _reshape,
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Sub": _subtract,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}

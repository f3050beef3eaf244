"""PyTorch: a `Sequential` becomes layers and comes back; any other module becomes a graph.

Weights keep their type.  Modules are read as at evaluation, with the masks of `torch.nn.utils.prune` and
parametrisations applied.  Reading layers runs no code of the module, and nothing is unpickled.
torch is imported only when a function here is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lumpability.errors import InvalidNetwork, require
from lumpability.networks.elementwise import Activate, PReLU, Softmax
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer, Shape
from lumpability.networks.modules.export import evaluated_copy, export
from lumpability.networks.network import Network
from lumpability.networks.pooling import AveragePool, MaxPool
from lumpability.networks.reshape import Flatten
from lumpability.numbers.float_arrays import Array


def from_torch(
    module: Any, *, example: Any = None, input_shape: Shape | None = None
) -> Network | GraphNetwork:
    """Read a torch module as a network.

    - module: a `Sequential` of layers that the library knows is read as layers, nested ones unfolded; any other
      module as the graph that torch's exporter makes of it
    - example: what the module is called with, see `lumpability.networks.modules.export.export`; by default
      random numbers of the input shape
    - input_shape: with the batch axis; needed unless there is an example, or the first layer with weights is
      linear

    Raises `InvalidNetwork` if the exporter cannot follow the module, or the input shape is needed and missing.
    Raises `MissingDependency` without the package ``torch``; for modules that are not read as layers also
    without ``onnx``.
    """
    torch: Any = require("torch", extra="torch")
    ready = evaluated_copy(module)
    layers = _as_layers(ready)
    if input_shape is None and example is None:
        first = next(
            (m for m in ready.modules() if next(m.parameters(recurse=False), None) is not None),
            None,
        )
        if first is None or not hasattr(first, "in_features"):
            raise InvalidNetwork(
                f"give example=... or input_shape=...: this {type(ready).__name__} does not determine it"
            )
        input_shape = (None, first.in_features)
    if layers is None or input_shape is None:
        if example is None:
            kind = next((p.dtype for p in ready.parameters()), torch.float32)
            example = torch.rand([n or 2 for n in input_shape or ()]).to(kind)
        return export(module, example).graph
    stored = [values for layer in layers for values in layer.parameters.values()]
    return Network(tuple(layers), input_shape, stored[0].dtype if stored else np.float32)


class _NotLayers(Exception):  # not an error: the module is then exported as a graph
    """A module that no layer describes."""


def _as_layers(module: Any) -> list[Layer] | None:
    """Return the layers of a `Sequential`, None if it is something else or holds something else."""
    if type(module).__name__ != "Sequential":
        return None
    try:
        return [layer for item in _unfolded(module) for layer in _layers(item)]
    except _NotLayers:
        return None


def _unfolded(module: Any) -> Iterator[Any]:
    if type(module).__name__ == "Sequential":
        for child in module:  # children() would yield a shared module once
            yield from _unfolded(child)
    else:
        yield module


def _array(tensor: Any) -> Array | None:
    return None if tensor is None else np.array(tensor.detach().cpu().numpy())


def _needed(tensor: Any) -> Array:
    array = _array(tensor)
    if array is None:
        raise _NotLayers
    return array


def _per_axis(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _layers(module: Any) -> list[Layer]:
    name = type(module).__name__
    narrow = any(t.element_size() < 4 for t in module.parameters())  # layers compute in their type
    if name not in _READERS or narrow:
        raise _NotLayers
    return _READERS[name](module)


def _conv(module: Any) -> list[Layer]:
    weight = _needed(module.weight)
    axes = weight.ndim - 2
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise _NotLayers
    pads = tuple((p, p) for p in _per_axis(module.padding, axes))
    strides, dilations = _per_axis(module.stride, axes), _per_axis(module.dilation, axes)
    return [Conv(weight, _array(module.bias), strides, pads, dilations, module.groups)]


def _norm(module: Any) -> list[Layer]:
    mean, variance = _needed(module.running_mean), _needed(module.running_var)
    scale = np.ones_like(mean) if module.weight is None else _needed(module.weight)
    bias = np.zeros_like(mean) if module.bias is None else _needed(module.bias)
    return [BatchNorm(scale, bias, mean, variance, module.eps)]


def _pool(axes: int, layer: Callable[..., Layer]) -> Callable[[Any], list[Layer]]:
    def read(module: Any) -> list[Layer]:
        if getattr(module, "divisor_override", None) is not None:
            raise _NotLayers
        kernel = _per_axis(module.kernel_size, axes)
        stride = module.kernel_size if module.stride is None else module.stride
        pads = tuple((p, p) for p in _per_axis(module.padding, axes))
        dilations = _per_axis(getattr(module, "dilation", 1), axes)
        more = {"include_pad": module.count_include_pad} if layer is AveragePool else {}
        return [layer(kernel, _per_axis(stride, axes), pads, dilations, module.ceil_mode, **more)]

    return read


def _prelu(module: Any) -> list[Layer]:
    slope = _needed(module.weight)
    if slope.size > 1:
        raise _NotLayers
    return [PReLU(slope)]


def _softplus(module: Any) -> list[Layer]:
    if module.beta != 1:
        raise _NotLayers
    return [Activate("softplus")]


def _flatten(module: Any) -> list[Layer]:
    if module.end_dim != -1 or module.start_dim != 1:
        raise _NotLayers
    return [Flatten(1)]


def _softmax(module: Any) -> list[Layer]:
    return [Softmax(-1 if module.dim is None else module.dim)]


def _plain(name: str) -> Callable[[Any], list[Layer]]:
    return lambda module: [Activate(name)]


_READERS: dict[str, Callable[[Any], list[Layer]]] = {
    "AvgPool1d": _pool(1, AveragePool),
    "AvgPool2d": _pool(2, AveragePool),
    "BatchNorm1d": _norm,
    "BatchNorm2d": _norm,
    "Conv1d": _conv,
    "Conv2d": _conv,
    **dict.fromkeys(("Dropout", "Dropout1d", "Dropout2d", "Dropout3d"), lambda module: []),
    "ELU": lambda module: [Activate("elu", alpha=float(module.alpha))],
    "Flatten": _flatten,
    "GELU": lambda module: [Activate("gelu" if module.approximate == "none" else "gelu_tanh")],
    "Hardtanh": lambda module: [Activate("clip", low=module.min_val, high=module.max_val)],
    "Identity": lambda module: [],
    "LeakyReLU": lambda module: [Activate("leaky_relu", alpha=float(module.negative_slope))],
    "Linear": lambda module: [Dense(_needed(module.weight).T, _array(module.bias))],
    "MaxPool1d": _pool(1, MaxPool),
    "MaxPool2d": _pool(2, MaxPool),
    "PReLU": _prelu,
    "ReLU6": lambda module: [Activate("clip", low=0.0, high=6.0)],
    "Softmax": _softmax,
    "Softplus": _softplus,
    **{name: _plain(name.lower()) for name in ("ReLU", "SiLU", "Sigmoid", "Softsign", "Tanh")},
}


def to_torch(network: Network) -> Any:
    """Return a network as a `torch.nn.Sequential` in evaluation mode.

    Parameters
    ----------
    network : Network
        Dense and convolution layers, batch normalisation, Flatten and activations.

    Raises
    ------
    InvalidNetwork
        If a layer has no module here: write ONNX instead.
    MissingDependency
        Without the package ``torch``.
    """
    torch: Any = require("torch", extra="torch")
    shapes = network.shapes
    modules = [_module(torch, layer, shapes[i]) for i, layer in enumerate(network.layers)]
    return torch.nn.Sequential(*modules).eval()


def _module(torch: Any, layer: Layer, shape: Shape) -> Any:
    nn = torch.nn
    if isinstance(layer, Dense):
        made = nn.Linear(*layer.weight.shape, bias=layer.bias is not None)
        return _filled(torch, made, weight=layer.weight.T, bias=layer.bias)
    symmetric = isinstance(layer, Conv) and all(before == after for before, after in layer.pads)
    if isinstance(layer, Conv) and layer.weight.ndim in (3, 4) and symmetric:
        kind = nn.Conv1d if layer.weight.ndim == 3 else nn.Conv2d  # axes
        made = kind(
            layer.weight.shape[1] * layer.groups,
            layer.units,
            layer.weight.shape[2:],
            stride=layer.strides,
            padding=tuple(pad[0] for pad in layer.pads),
            dilation=layer.dilations,
            groups=layer.groups,
            bias=layer.bias is not None,
        )
        return _filled(torch, made, weight=layer.weight, bias=layer.bias)
    if isinstance(layer, BatchNorm):
        kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d  # axes
        return _filled(
            torch,
            kind(layer.units, eps=layer.epsilon),
            weight=layer.scale,
            bias=layer.bias,
            running_mean=layer.mean,
            running_var=layer.variance,
        )
    if isinstance(layer, Flatten) and layer.axis == 1:
        return nn.Flatten()
    if isinstance(layer, Softmax):
        return nn.Softmax(dim=layer.axis)
    if isinstance(layer, Activate) and layer.function.name in _WRITERS:
        return _WRITERS[layer.function.name](nn, **layer.function.parameters)
    raise InvalidNetwork(f"a layer {layer.title} has no torch module here: write ONNX")


def _filled(torch: Any, module: Any, **values: Array | None) -> Any:
    """Copy stored weights into a module, in their own type."""
    for name, value in values.items():
        if value is None:
            continue
        tensor = torch.from_numpy(np.array(value, order="C"))
        if name.startswith("running"):
            setattr(module, name, tensor)
        else:
            setattr(module, name, torch.nn.Parameter(tensor))
    return module


_WRITERS: dict[str, Callable[..., Any]] = {
    "clip": lambda nn, low, high: nn.Hardtanh(low, high),
    "elu": lambda nn, alpha: nn.ELU(alpha),
    "gelu": lambda nn: nn.GELU(),
    "gelu_tanh": lambda nn: nn.GELU(approximate="tanh"),
    "identity": lambda nn: nn.Identity(),
    "leaky_relu": lambda nn, alpha: nn.LeakyReLU(alpha),
    "relu": lambda nn: nn.ReLU(),
    "sigmoid": lambda nn: nn.Sigmoid(),
    "silu": lambda nn: nn.SiLU(),
    "softplus": lambda nn: nn.Softplus(),
    "softsign": lambda nn: nn.Softsign(),
    "tanh": lambda nn: nn.Tanh(),
}

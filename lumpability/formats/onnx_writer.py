"""Writing networks as ONNX: opset 13, one node for each layer, weights as initializers.

Names, shapes and types of input and output are those of the network.  The file is checked by
`onnx.checker` before it replaces another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidNetwork, require
from lumpability.files import writing
from lumpability.networks.elementwise import Activate, Constant, PReLU, Scale, Shift, Softmax
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.source import notes_of
from lumpability.networks.joins import Join, Opaque
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer, Shape
from lumpability.networks.network import Network
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import Flatten, Reshape, Squeeze, Transpose, Unsqueeze
from lumpability.numbers.float_arrays import Array

_IR_VERSION, _OPSET = 7, 13

_NODES = {
    "abs": "Abs",
    "atan": "Atan",
    "elu": "Elu",
    "identity": "Identity",
    "leaky_relu": "LeakyRelu",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "sign": "Sign",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "tanh": "Tanh",
}


def write_onnx(network: Network | GraphNetwork, path: str | Path) -> None:
    """Write a network to an ONNX file (packed if the name ends in ``.gz``).

    Raises `FormatError` if a layer has no ONNX form, or the file cannot be written; an old file then stays.
    """
    data = model_bytes(network)
    with writing(path) as handle:
        handle.write(data)


def model_bytes(network: Network | GraphNetwork) -> bytes:
    """Return a network as the bytes of an ONNX file."""
    if isinstance(network, GraphNetwork):
        return network.to_bytes()
    data: bytes = to_onnx(network).SerializeToString()
    return data


def to_onnx(network: Network) -> Any:
    """Return a network as an `onnx.ModelProto`."""
    onnx = require("onnx", extra="onnx")
    writer = _Writer(onnx, network)
    writer.chain(network.layers, network.input_name, network.output_name, network.input_shape)
    code = onnx.helper.np_dtype_to_tensor_dtype(network.dtype)
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        writer.nodes,
        "lumpability",
        [value(network.input_name, code, _sizes(network.input_shape, network.axis_names))],
        [value(network.output_name, code, _sizes(network.output_shape, network.axis_names[:1]))],
        writer.stored,
    )
    opsets = [onnx.helper.make_opsetid(domain, v) for domain, v in sorted(writer.opsets.items())]
    model = onnx.helper.make_model(
        graph, producer_name="lumpability", opset_imports=opsets, ir_version=writer.ir_version
    )
    notes = {f"lumpability.{key}": text for key, text in notes_of(network).items()}
    onnx.helper.set_model_props(model, notes)
    if network.byte_count < 1 << 30:
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as error:
            reason = str(error).partition("\n")[0]
            raise InvalidNetwork(f"is no valid ONNX model: {reason}") from error
    return model


def _sizes(shape: Shape, names: Sequence[str]) -> list[int | str]:
    names = [*names, *[""] * len(shape)]
    return [(names[k] or f"free_{k}") if size is None else size for k, size in enumerate(shape)]


class _Writer:
    """Collects nodes and stored tensors."""

    def __init__(self, onnx: Any, network: Network) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.stored: list[Any] = []
        self.taken = {network.input_name, network.output_name}
        self.opsets = {"": _OPSET}
        self.ir_version = _IR_VERSION
        for layer in _all_layers(network.layers):
            if isinstance(layer, Opaque):
                model = onnx.load_from_string(layer.model)
                self.ir_version = max(self.ir_version, model.ir_version)
                self.opsets.update({item.domain: item.version for item in model.opset_import})
        self.version = self.opsets[""]

    def name(self, wish: str) -> str:
        """Return a name that is not used yet."""
        number, name = 0, wish
        while name in self.taken:
            number += 1
            name = f"{wish}_{number}"
        self.taken.add(name)
        return name

    def store(self, wish: str, values: Array) -> str:
        name = self.name(wish)
        self.stored.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **details: Any) -> None:
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], **details))

    def chain(self, layers: tuple[Layer, ...], source: str, target: str, shape: Shape) -> None:
        """Write layers from one tensor to another; none of them is an Identity."""
        if not layers:
            self.add("Identity", [source], target)
        for number, layer in enumerate(layers):
            last = number == len(layers) - 1
            output = target if last else self.name(f"{layer.title.replace(' ', '_')}_{number}")
            self.layer(layer, source, output, shape, f"{target}.{number}")
            shape = layer.output_shape(shape)
            source = output

    def layer(self, layer: Layer, source: str, target: str, shape: Shape, label: str) -> None:
        """Write one layer."""
        if isinstance(layer, Dense):
            self._dense(layer, source, target, shape, label)
        elif isinstance(layer, Conv):
            weights = [self.store(f"{label}.{k}", v) for k, v in layer.parameters.items()]
            details = {**_window(layer), "group": layer.groups}
            self.add("Conv", [source, *weights], target, **details)
        elif isinstance(layer, BatchNorm):
            weights = [self.store(f"{label}.{k}", v) for k, v in layer.parameters.items()]
            self.add("BatchNormalization", [source, *weights], target, epsilon=layer.epsilon)
        elif isinstance(layer, Activate):
            self._activation(layer, source, target, label)
        elif isinstance(layer, PReLU):
            self.add("PRelu", [source, self.store(f"{label}.slope", layer.slope)], target)
        elif isinstance(layer, Shift):
            self.add("Add", [source, self.store(f"{label}.shift", layer.value)], target)
        elif isinstance(layer, Scale):
            operator = "Div" if layer.divide else "Mul"
            self.add(operator, [source, self.store(f"{label}.scale", layer.value)], target)
        elif isinstance(layer, Softmax):
            self.add("Softmax", [source], target, axis=layer.axis)
        elif isinstance(layer, Constant):
            self.add("Identity", [self.store(f"{label}.value", layer.value)], target)
        elif isinstance(layer, Join):
            self._join(layer, source, target, shape, label)
        elif isinstance(layer, Opaque):
            self._opaque(layer, source, target)
        else:
            self._moving(layer, source, target, label)

    def _dense(self, layer: Dense, source: str, target: str, shape: Shape, label: str) -> None:
        weight = self.store(f"{label}.weight", layer.weight)
        if layer.bias is None:
            self.add("MatMul", [source, weight], target)
            return
        bias = self.store(f"{label}.bias", layer.bias)
        if len(shape) == 2:
            self.add("Gemm", [source, weight, bias], target)
        else:
            product = self.name(f"{label}.product")
            self.add("MatMul", [source, weight], product)
            self.add("Add", [product, bias], target)

    def _activation(self, layer: Activate, source: str, target: str, label: str) -> None:
        function = layer.function
        if function.name == "clip":
            dtype = self._dtype()
            ends = [function.parameters["low"], function.parameters["high"]]
            limits = [
                self.store(f"{label}.limit", np.array(x, dtype=dtype)) if np.isfinite(x) else ""
                for x in ends
            ]
            self.add("Clip", [source, *limits], target)
        elif function.name == "silu":
            gate = self.name(f"{label}.gate")
            self.add("Sigmoid", [source], gate)
            self.add("Mul", [source, gate], target)
        elif function.name in _NODES:
            self.add(_NODES[function.name], [source], target, **function.parameters)
        elif function.name.startswith("gelu") and self.version >= 20:
            tanh = function.name == "gelu_tanh"
            self.add("Gelu", [source], target, approximate="tanh" if tanh else "none")
        else:
            raise FormatError(
                f"{function.name} has no ONNX form in opset {self.version}", path="onnx"
            )

    def _dtype(self) -> Any:
        arrays = (self.onnx.numpy_helper.to_array(item) for item in self.stored)
        return next((array.dtype for array in arrays if array.dtype.kind == "f"), np.float32)

    def _moving(self, layer: Layer, source: str, target: str, label: str) -> None:
        if isinstance(layer, Flatten):
            self.add("Flatten", [source], target, axis=layer.axis)
        elif isinstance(layer, Reshape):
            shape = self.store(f"{label}.shape", np.array(layer.target, dtype=np.int64))
            self.add("Reshape", [source, shape], target)
        elif isinstance(layer, Transpose):
            self.add("Transpose", [source], target, perm=list(layer.order))
        elif isinstance(layer, Squeeze | Unsqueeze):
            axes = self.store(f"{label}.axes", np.array(layer.axes, dtype=np.int64))
            self.add(layer.title, [source, axes], target)
        elif isinstance(layer, MaxPool | AveragePool):
            details = {**_window(layer), "ceil_mode": int(layer.ceil)}
            if isinstance(layer, AveragePool):
                details["count_include_pad"] = int(layer.include_pad)
                if any(d != 1 for d in details.pop("dilations")):
                    raise FormatError(
                        "an average with dilation has no form in opset 13", path="onnx"
                    )
            self.add(layer.title, [source], target, **details)
        elif isinstance(layer, GlobalPool):
            self.add("GlobalMaxPool" if layer.maximum else "GlobalAveragePool", [source], target)
        else:
            raise FormatError(f"a layer {layer.title} has no ONNX form", path="onnx")

    def _join(self, layer: Join, source: str, target: str, shape: Shape, label: str) -> None:
        total = ""
        for number, branch in enumerate(layer.branches):
            end = source
            if branch:
                end = self.name(f"{label}.branch_{number}")
                self.chain(branch, source, end, shape)
            if number:
                last = number == len(layer.branches) - 1
                output = target if last else self.name(f"{label}.sum_{number}")
                self.add("Add", [total, end], output)
                total = output
            else:
                total = end

    def _opaque(self, layer: Opaque, source: str, target: str) -> None:
        graph = self.onnx.load_from_string(layer.model).graph
        renamed = {graph.input[0].name: source, graph.output[0].name: target, "": ""}
        for item in graph.initializer:
            item.name = renamed[item.name] = self.name(item.name)
            self.stored.append(item)
        for node in graph.node:
            for output in node.output:
                renamed.setdefault(output, self.name(output))
            node.input[:] = [renamed[name] for name in node.input]
            node.output[:] = [renamed[name] for name in node.output]
            self.nodes.append(node)


def _all_layers(layers: tuple[Layer, ...]) -> list[Layer]:
    found: list[Layer] = []
    for layer in layers:
        found.append(layer)
        if isinstance(layer, Join):
            for branch in layer.branches:
                found += _all_layers(branch)
    return found


def _window(layer: Conv | MaxPool | AveragePool) -> dict[str, Any]:
    kernel = layer.weight.shape[2:] if isinstance(layer, Conv) else layer.kernel
    return {
        "kernel_shape": list(kernel),
        "strides": list(layer.strides),
        "pads": [pad[0] for pad in layer.pads] + [pad[1] for pad in layer.pads],
        "dilations": list(layer.dilations),
    }

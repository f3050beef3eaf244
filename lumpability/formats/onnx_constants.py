"""Constants of an ONNX graph: initializers, external data, Constant nodes and their consequences.

Weights may be initializers, Constant nodes, or results of a few operators on constants (a Cast of a table
of integers, the Shape-Gather-Concat idiom before a Reshape).  Such nodes are evaluated once, with the
`onnx` package's reference implementation, from a short list of harmless operators.  In shape arithmetic a free size
is the number `FREE`, which no real size equals.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from lumpability.errors import FormatError
from lumpability.networks.layers import Shape
from lumpability.networks.tensors.protobuf import array_of
from lumpability.numbers.float_arrays import Array

__all__ = ["FREE", "attributes", "initial_constants", "tensor"]

FREE = 1_000_003
"""A free size in shape arithmetic: a prime that no layer's size equals."""

_FOLDED = frozenset(
    [
        "Add",
        "Cast",
        "Concat",
        "Div",
        "Gather",
        "Identity",
        "Mul",
        "Neg",
        "Reshape",
        "Shape",
        "Slice",
        "Squeeze",
        "Sub",
        "Transpose",
        "Unsqueeze",
        "Floor",
    ]
)
_MAX_FOLDED = 1 << 24


def attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of a node by name, as Python values.

    A tensor in place of a number (some converters write transA in this way) is read as that number.
    """
    import onnx

    values = {}
    for item in node.attribute:
        value = onnx.helper.get_attribute_value(item)
        if isinstance(value, onnx.TensorProto) and node.op_type != "Constant":
            array = array_of(value)
            value = array.item() if array.size == 1 else array
        values[item.name] = value
    return values


def tensor(proto: Any, path: Path) -> Array:
    """Return a stored tensor as an array, external data included.

    Raises `FormatError` if the data are missing, cut off, or outside the model's folder.
    """
    import onnx

    if proto.data_location == onnx.TensorProto.EXTERNAL:
        proto = _with_external_data(proto, path)
    try:
        array = onnx.numpy_helper.to_array(proto)
    except (TypeError, ValueError, KeyError) as error:
        raise FormatError(
            f"tensor {proto.name!r} cannot be read: {error}", path=path, tensor=proto.name
        ) from error
    return np.asarray(array)


def _with_external_data(proto: Any, path: Path) -> Any:
    import onnx

    entries = {entry.key: entry.value for entry in proto.external_data}
    name = entries.get("location", "")
    parts = PurePosixPath(name.replace("\\", "/")).parts
    folder = path.resolve().parent
    target = (folder / name).resolve() if name else folder
    if not name or ".." in parts or not target.is_relative_to(folder) or target == folder:
        raise FormatError(
            f"tensor {proto.name!r} points to {name!r}, outside the model's folder: not followed",
            path=path,
            tensor=proto.name,
            location=name,
        )
    try:
        offset, length = int(entries.get("offset", "0")), int(entries.get("length", "-1"))
    except ValueError:
        raise FormatError(
            f"tensor {proto.name!r} has a malformed offset or length", path=path
        ) from None
    try:
        with target.open("rb") as handle:
            handle.seek(max(offset, 0))
            data = handle.read(length) if length >= 0 else handle.read()
    except OSError as error:
        raise FormatError(
            f"tensor {proto.name!r} is stored in {name!r}, which cannot be read: "
            f"{error.strerror or error}",
            path=path,
            tensor=proto.name,
            location=name,
        ) from error
    if length >= 0 and len(data) != length:
        raise FormatError(
            f"tensor {proto.name!r} needs {length} bytes of {name!r}, which has only {len(data)}",
            path=path,
            tensor=proto.name,
        )
    whole = onnx.TensorProto()
    whole.CopyFrom(proto)
    del whole.external_data[:]
    whole.data_location = onnx.TensorProto.DEFAULT
    whole.raw_data = data
    return whole


def initial_constants(
    graph: Any, path: Path, shapes: dict[str, Shape], version: int
) -> dict[str, Array]:
    """Return every tensor of the graph that does not depend on the input, by name."""
    constants = {item.name: tensor(item, path) for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and not node.domain:
            constants[node.output[0]] = _constant_node(node, path)
    # Nodes should be stored in topological order, but some writers put Constants last.
    for node in graph.node:
        if node.domain or node.op_type not in _FOLDED or len(node.output) != 1:
            continue
        if node.op_type == "Shape" and node.input[0] not in constants:
            shape = shapes.get(node.input[0])
            if shape is not None:
                sizes = [FREE if size is None else size for size in shape]
                details = attributes(node)
                window = slice(details.get("start", 0), details.get("end"))
                constants[node.output[0]] = np.array(sizes[window], dtype=np.int64)
            continue
        names = [name for name in node.input if name]
        known = bool(names) and all(name in constants for name in names)
        if known and sum(constants[name].size for name in names) <= _MAX_FOLDED:
            _fold(node, constants, version)
    return constants


def _fold(node: Any, constants: dict[str, Array], version: int) -> None:
    """Evaluate a node on constants; a failure leaves it unevaluated."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    names = list(dict.fromkeys(name for name in node.input if name))
    inputs = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(constants[name].dtype), None
        )
        for name in names
    ]
    output = onnx.helper.make_empty_tensor_value_info(node.output[0])
    graph = onnx.helper.make_graph([node], "fold", inputs, [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", version)])
    try:
        (value,) = ReferenceEvaluator(model).run(None, {name: constants[name] for name in names})
    except Exception:  # noqa: BLE001  # if the evaluation fails, the node becomes a barrier
        return
    constants[node.output[0]] = np.asarray(value)


def _constant_node(node: Any, path: Path) -> Array:
    details = attributes(node)
    if "value" in details:
        return tensor(details["value"], path)
    for name, dtype in (("value_float", np.float32), ("value_floats", np.float32)):
        if name in details:
            return np.asarray(details[name], dtype=dtype)
    for name in ("value_int", "value_ints"):
        if name in details:
            return np.asarray(details[name], dtype=np.int64)
    raise FormatError(f"the constant {node.output[0]!r} is neither a tensor nor numbers", path=path)

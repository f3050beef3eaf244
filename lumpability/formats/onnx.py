"""ONNX networks (.onnx, .onnx.gz): any opset and IR version that `onnx` reads.

A graph that layers describe becomes a `Network` (`lumpability.networks.graph.as_layers`), every other one a
`GraphNetwork`, the model as it is.  Where a graph can lose more than its layers can (joins, opaque layers, groups of
channels, batch normalisation) the reader remembers the graph, and `lumpability.lump` reduces it.
`lumpability.formats.onnx_writer` writes.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from lumpability.errors import FormatError, InvalidNetwork, require
from lumpability.files import opened, reading
from lumpability.formats.onnx_writer import write_onnx
from lumpability.networks.graph.as_layers import as_layers
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.source import read_from
from lumpability.networks.joins import Join, Opaque
from lumpability.networks.layers import BatchNorm, Conv, Layer
from lumpability.networks.network import Network

__all__ = ["read_graph", "read_onnx", "write_onnx"]

# Zeros are packed a thousand times: a published network of 257 MiB takes 0.9 packed.
_PRUNED = (320 << 20, 100)


def read_onnx(path: str | Path, *, max_bytes: int | None = None) -> Network | GraphNetwork:
    """Read a network from an ``.onnx`` file, or from ``.onnx.gz``, which is unpacked in memory.

    Raises `FormatError` if the file is damaged, stores weights outside its folder, or has NaN or infinite weights.
    """
    graph = read_graph(path, max_bytes=max_bytes)
    network = as_layers(graph)
    if network is None:
        return graph
    return read_from(network, graph, reduces_more=any(map(_is_weak, network.layers)))


def _is_weak(layer: Layer) -> bool:
    """Whether units leave a graph with this layer that stay in a chain of layers."""
    return isinstance(layer, Join | Opaque | BatchNorm) or (
        isinstance(layer, Conv) and layer.groups > 1
    )


def read_graph(path: str | Path, *, max_bytes: int | None = None) -> GraphNetwork:
    """Read a network from an ONNX file as the graph that it is; otherwise as `read_onnx`."""
    onnx = require("onnx", extra="onnx")
    path = Path(path)
    model = onnx.ModelProto()
    with opened(path, max_bytes=max_bytes, limits=_PRUNED) as handle:
        data = handle.read()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf raises its own classes, which differ between versions
        raise FormatError("is not an ONNX model: the protobuf is damaged", path=path) from error
    del data
    if not model.graph.node and not model.graph.output:
        raise FormatError("is not an ONNX model: it has no graph", path=path)
    with reading(path):
        for item in model.graph.initializer:
            if item.data_location == onnx.TensorProto.EXTERNAL:
                _load(item, path)
        _refuse_mixed_types(onnx, model)
        graph = GraphNetwork(model)
        _ = graph.index.choices  # refuses nodes that do not fit what they read
    return graph


def _refuse_mixed_types(onnx: Any, model: Any) -> None:
    """Refuse a model whose operators are given types that they do not take."""
    if model.ByteSize() < 1 << 30:
        try:
            onnx.shape_inference.infer_shapes(model, check_type=True)
        except (
            onnx.shape_inference.InferenceError,
            ValueError,
        ) as error:  # ValueError: unknown type
            raise InvalidNetwork(
                f"is not a valid model: {str(error).partition(chr(10))[0]}"
            ) from None


def _load(proto: Any, path: Path) -> None:
    """Store the external data of a tensor in it; refuse data that are missing, cut off, or outside the folder."""
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
    del proto.external_data[:]
    proto.ClearField("data_location")
    proto.raw_data = data

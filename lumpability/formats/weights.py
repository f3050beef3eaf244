"""Networks in `.npz` and `.safetensors`: arrays by name, and a list of layers.

Files of this library hold their own list of layers (`lumpability.formats.layer_list`): as the text `network`
among the arrays of an ``.npz``, as metadata of that name in a ``.safetensors``.  Files of other programs hold only
weights; the caller says which of them form layers and what follows each.  Their matrices have the shape
(outputs, inputs), as in most frameworks; layers that were read of them are written so again, under their names.
Numbers of bfloat16 and of eight bits are read as the float32 that each of them is.  Nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidNetwork, require
from lumpability.files import check_size, reading, writing
from lumpability.formats.archives import write_arrays
from lumpability.formats.layer_list import describe_network, network_from
from lumpability.formats.strict_json import parse_object
from lumpability.networks.activations import Activation
from lumpability.networks.elementwise import Activate
from lumpability.networks.layers import Conv, Dense, Layer
from lumpability.networks.network import Network
from lumpability.numbers.float_arrays import Array

DESCRIPTION = "network"
"""Name of the text that describes the layers."""

Entry = (
    tuple[str, str | Activation | None]
    | tuple[str, str | Activation | None, Mapping[str, Any]]
    | Layer
)
LayerList = Iterable[Entry]
_WIDENED = {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "BF16": "bfloat16"}


def network_of_arrays(
    arrays: Mapping[str, Array], path: str | Path, *, layers: LayerList | None = None
) -> Network:
    """Return the network of the arrays of an ``.npz``.

    For files with only weights, `layers` lists pairs (prefix, activation): layer ``prefix`` has the arrays
    ``prefix.weight``, shape (outputs, inputs), and optionally ``prefix.bias``; the activation follows it.  Weights
    with more axes are a convolution; a mapping may be third in the entry, with its ``strides``, ``pads``,
    ``dilations`` and ``groups``, and the network's ``input_shape`` with the first.  A `Layer` without stored
    weights, such as ``Flatten(1)``, stands for itself.  Without `layers` the file's own list is used.  Raises
    `FormatError` if an array is missing or of an unsupported type.
    """
    if layers is not None:
        return _bare(arrays, path, layers)
    text = arrays.get(DESCRIPTION)
    if text is None or text.ndim != 0 or text.dtype.kind != "U":
        raise FormatError(_UNDESCRIBED, path=path)
    with reading(path):
        return network_from(str(text), arrays, path)


def write_weights(network: Network, path: str | Path) -> None:
    """Write a network to an ``.npz`` with its list of layers.

    Raises `FormatError` if it holds an unknown operator, or the file cannot be written.
    """
    text, arrays = _described(network, path)
    write_arrays(path, {DESCRIPTION: np.array(text), **arrays})


def read_safetensors(
    path: str | Path, *, layers: LayerList | None = None, max_bytes: int | None = None
) -> Network:
    """Read a network from a ``.safetensors``; `layers` as for `network_of_arrays`."""
    arrays = Stored(Path(path), max_bytes)
    if layers is not None:
        return _bare(arrays, path, layers)
    if DESCRIPTION not in arrays.metadata:
        raise FormatError(_UNDESCRIBED, path=path)
    with reading(path):
        return network_from(arrays.metadata[DESCRIPTION], arrays, path)


class Stored(Mapping[str, Array]):
    """The arrays of a safetensors file; one is read when it is asked for, so that a file may exceed memory.

    - max_bytes: of all that is read
    """

    def __init__(self, path: Path, max_bytes: int | None) -> None:
        module = require("safetensors", extra="onnx")
        with reading(path), path.open("rb") as file:
            try:
                with module.safe_open(path, framework="np"):
                    pass
            except Exception as error:  # the package raises a class of its own compiled part
                raise FormatError(f"is not a safetensors file: {error}", path=path) from error
            self.start = 8 + int.from_bytes(file.read(8), "little")  # the header has been checked
            self.tensors = parse_object(file.read(self.start - 8), path, decimals=False)
        self.path, self.max_bytes, self.read = path, max_bytes, 0
        self.metadata: dict[str, str] = self.tensors.pop("__metadata__", None) or {}

    def __getitem__(self, name: str) -> Array:
        tensor = self.tensors[name]
        low, high = tensor["data_offsets"]
        self.read += high - low
        check_size(self.path, self.read, self.read, self.max_bytes)
        with self.path.open("rb") as file:
            file.seek(self.start + low)
            data = file.read(high - low)
        if len(data) != high - low:
            raise FormatError("was shortened while it was read", path=self.path)
        return _array(shape=tensor["shape"], dtype=tensor["dtype"], data=data)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def write_safetensors(network: Network, path: str | Path) -> None:
    """Write a network to a ``.safetensors`` with its list of layers in the metadata; see `write_weights`."""
    module = require("safetensors.numpy", extra="onnx")
    text, arrays = _described(network, path)
    # The package writes the bytes of an array in their order in memory, also if it is transposed.
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with writing(path) as handle:
        handle.write(module.save(plain, {DESCRIPTION: text}))


_UNDESCRIBED = (
    "holds weights without a list of layers: say which form them with layers=[(prefix, activation), ...], or "
    "--layers PREFIX:ACTIVATION,..."
)


def _described(network: Network, path: str | Path) -> tuple[str, dict[str, Any]]:
    try:
        return describe_network(network)
    except InvalidNetwork as error:
        raise FormatError(str(error), path=path) from error


def _array(*, shape: Iterable[int], dtype: str, data: bytes) -> Array:
    """Return the numbers of a tensor of a safetensors file."""
    if dtype in _WIDENED:
        kind = getattr(require("ml_dtypes", extra="onnx"), _WIDENED[dtype])
        return np.asarray(np.frombuffer(data, kind).astype(np.float32).reshape(tuple(shape)))
    sorts = {"F": "f", "I": "i", "U": "u"}
    kind = np.dtype(np.bool_ if dtype == "BOOL" else f"<{sorts[dtype[0]]}{int(dtype[1:]) // 8}")
    return np.frombuffer(data, kind).reshape(tuple(shape))


def _bare(arrays: Mapping[str, Array], path: str | Path, layers: LayerList) -> Network:
    built: list[Layer] = []
    shape: Any = None
    with reading(path):
        for entry in layers:
            if isinstance(entry, Layer):
                built.append(entry)
                continue
            prefix, function = entry[:2]
            fields = dict(entry[2]) if len(entry) > 2 else {}
            shape = fields.pop("input_shape", shape)
            if f"{prefix}.weight" not in arrays:
                raise FormatError(
                    f"there is no array {prefix + '.weight'!r}; the file holds {', '.join(sorted(arrays))}",
                    path=path,
                )
            built.append(_layer(prefix, arrays, fields, path))
            if function is not None:
                built.append(Activate(function))
        weights = [layer.weight for layer in built if isinstance(layer, Dense | Conv)]
        if not weights:
            raise FormatError("the list of layers is empty", path=path)
        if shape is None and not isinstance(built[0], Dense):
            raise FormatError(
                f"a network that begins with a {built[0].title} has no size of its own: give "
                "(prefix, activation, {'input_shape': (None, channels, ...)}) as its first layer",
                path=path,
            )
        return Network(tuple(built), shape or (None, len(weights[0])), weights[0].dtype)


def _layer(
    prefix: str, arrays: Mapping[str, Array], fields: dict[str, Any], path: str | Path
) -> Layer:
    """Return the layer of stored weights: dense, or a convolution if they have more than two axes."""
    weight, bias = arrays[f"{prefix}.weight"], arrays.get(f"{prefix}.bias")
    known = ("strides", "pads", "dilations", "groups") if weight.ndim > 2 else ()
    unknown = [name for name in fields if name not in known]
    if unknown:
        raise FormatError(
            f"layer {prefix!r} has no {unknown[0]!r}: it has {', '.join((*known, 'input_shape'))}",
            path=path,
        )
    if known:
        return Conv(weight, bias, **fields, name=prefix)
    return Dense(weight.T, bias, name=prefix)

"""Networks in `.npz` and `.safetensors`: arrays by name, and a list of layers.

Files of this library hold their own list of layers (`lumpability.formats.layer_list`): as the text `network`
among the arrays of an ``.npz``, as metadata of that name in a ``.safetensors``.  Files of other programs hold only
weights; the caller says which of them form dense layers and what follows each.  Their matrices have the shape
(outputs, inputs), as in most frameworks.  Nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidNetwork, require
from lumpability.files import DEFAULT_MAX_BYTES, check_size, reading, writing
from lumpability.formats.archives import write_arrays
from lumpability.formats.layer_list import describe_network, network_from
from lumpability.formats.strict_json import parse_object
from lumpability.networks.activations import Activation
from lumpability.networks.elementwise import Activate
from lumpability.networks.layers import Dense, Layer
from lumpability.networks.network import Network
from lumpability.numbers.float_arrays import Array

__all__ = [
    "DESCRIPTION",
    "network_of_arrays",
    "read_safetensors",
    "write_safetensors",
    "write_weights",
]

DESCRIPTION = "network"
"""Name of the text that describes the layers."""

LayerList = Iterable[tuple[str, str | Activation | None]]


def network_of_arrays(
    arrays: Mapping[str, Array], path: str | Path, *, layers: LayerList | None = None
) -> Network:
    """Return the network of the arrays of an ``.npz``.

    For files with only weights, `layers` lists pairs (prefix, activation): layer ``prefix`` has the arrays
    ``prefix.weight``, shape (outputs, inputs), and optionally ``prefix.bias``; the activation follows it.  Without
    `layers` the file's own list is used.  Raises `FormatError` if an array is missing or of an unsupported type.
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
    path: str | Path, *, layers: LayerList | None = None, max_bytes: int = DEFAULT_MAX_BYTES
) -> Network:
    """Read a network from a ``.safetensors``; `layers` as for `network_of_arrays`."""
    path = Path(path)
    module = require("safetensors.numpy", extra="onnx")
    with reading(path):
        check_size(path, size := path.stat().st_size, size, max_bytes)
        data = path.read_bytes()
    try:
        arrays: dict[str, Array] = dict(module.load(data))
    except Exception as error:  # the package raises a class of its own compiled part
        raise FormatError(f"is not a safetensors file: {error}", path=path) from error
    if layers is not None:
        return _bare(arrays, path, layers)
    end = 8 + int.from_bytes(data[:8], "little")  # the package has checked the header
    metadata = parse_object(data[8:end], path, decimals=False).get("__metadata__") or {}
    if DESCRIPTION not in metadata:
        raise FormatError(_UNDESCRIBED, path=path)
    with reading(path):
        return network_from(metadata[DESCRIPTION], arrays, path)


def write_safetensors(network: Network, path: str | Path) -> None:
    """Write a network to a ``.safetensors`` with its list of layers in the metadata; see `write_weights`."""
    module = require("safetensors.numpy", extra="onnx")
    text, arrays = _described(network, path)
    # The package writes the bytes of an array in their order in memory, also if it is transposed.
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with writing(path) as handle:
        handle.write(module.save(plain, {DESCRIPTION: text}))


_UNDESCRIBED = "holds weights without a list of layers: say which form them with layers=[(prefix, activation), ...]"


def _described(network: Network, path: str | Path) -> tuple[str, dict[str, Any]]:
    try:
        return describe_network(network)
    except InvalidNetwork as error:
        raise FormatError(str(error), path=path) from error


def _bare(arrays: Mapping[str, Array], path: str | Path, layers: LayerList) -> Network:
    built: list[Layer] = []
    with reading(path):
        for prefix, function in layers:
            if f"{prefix}.weight" not in arrays:
                raise FormatError(
                    f"there is no array {prefix + '.weight'!r}; the file holds {', '.join(sorted(arrays))}",
                    path=path,
                )
            built.append(Dense(arrays[f"{prefix}.weight"].T, arrays.get(f"{prefix}.bias")))
            if function is not None:
                built.append(Activate(function))
        if not built or not isinstance(first := built[0], Dense):
            raise FormatError("the list of layers is empty", path=path)
        return Network(tuple(built), (None, first.weight.shape[0]), first.weight.dtype)

"""Bare weights (.safetensors, .npz) plus a list of layers: networks without a graph.

The file holds arrays by name; the caller says which of them form dense layers and what follows each.
Matrices are stored as frameworks do, shape (outputs, inputs).  Nothing is unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lumpability.errors import FormatError, require
from lumpability.formats.files import reading
from lumpability.networks.activations import Activation
from lumpability.networks.arrays import Array
from lumpability.networks.elementwise import Activate
from lumpability.networks.layers import Dense, Layer
from lumpability.networks.network import Network

__all__ = ["read_weights"]


def read_weights(
    path: str | Path, layers: Iterable[tuple[str, str | Activation | None]]
) -> Network:
    """Read a dense network from a file of arrays.

    Parameters
    ----------
    path : str or Path
        ``.safetensors`` or ``.npz``.
    layers : iterable of (prefix, activation)
        Layer ``prefix`` has the arrays ``prefix.weight``, shape (outputs, inputs), and, if there is
        one, ``prefix.bias``; the activation follows it.

    Raises
    ------
    FormatError
        If the file is damaged, or an array is missing or of a type that is not supported.
    MissingDependency
        For ``.safetensors`` without the package of that name.
    """
    path = Path(path)
    arrays = _safetensors(path) if path.suffix == ".safetensors" else _npz(path)
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


def _safetensors(path: Path) -> dict[str, Array]:
    module = require("safetensors.numpy", extra="onnx")
    with reading(path):
        data = path.read_bytes()
    try:
        return dict(module.load(data))
    except Exception as error:  # the package raises a class of its own compiled part
        raise FormatError(f"is not a safetensors file: {error}", path=path) from error


def _npz(path: Path) -> dict[str, Array]:
    with reading(path):
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (ValueError, zipfile.BadZipFile, AttributeError) as error:
            raise FormatError(f"is not a file of plain arrays: {error}", path=path) from error

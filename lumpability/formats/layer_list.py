"""A network as a list of layers in JSON and arrays by name, for `.npz` and `.safetensors`.

    {"format": "lumpability/network", "version": 1, "input_shape": [null, 3], "dtype": "float32", ...
     "layers": [{"layer": "Dense", "weight": "0.weight", "bias": "0.bias"},
                {"layer": "Activate", "function": "relu"}, ...]}

Every layer is named by its class and described by its fields: numbers as numbers, arrays by the names under
which they are stored, the branches of a join as lists of layers.  A dense layer with a name, that of another
program, has its weight stored as there: transposed, with the shape (outputs, inputs).  Reading checks every field against its
type before it makes a layer.  An `Opaque` layer, a piece of an ONNX graph, has no description.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidNetwork
from lumpability.formats.strict_json import check_version, parse_object
from lumpability.formats.tokens import shown
from lumpability.networks.elementwise import Activate, Constant, PReLU, Scale, Shift, Softmax
from lumpability.networks.joins import Join
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer
from lumpability.networks.network import Network
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import Flatten, Reshape, Squeeze, Transpose, Unsqueeze
from lumpability.numbers.float_arrays import Array

_FORMAT, _VERSION = "lumpability/network", 1
_NAMES = ("input_name", "output_name")
_LAYERS: dict[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        *(Dense, Conv, BatchNorm, Activate, PReLU, Shift, Scale, Softmax, Constant, Join),
        *(MaxPool, AveragePool, GlobalPool),
        *(Flatten, Reshape, Squeeze, Transpose, Unsqueeze),
    )
}


def describe_network(network: Network) -> tuple[str, dict[str, Array]]:
    """Return the description of a network and its arrays.

    Raises `InvalidNetwork` if it holds an unknown operator.
    """
    arrays: dict[str, Array] = {}
    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "input_shape": network.input_shape,
        "dtype": str(network.dtype),
        **{name: getattr(network, name) for name in _NAMES},
        "layers": _described(network.layers, "", arrays),
    }
    return json.dumps(document), arrays


def _described(
    layers: Iterable[Layer], prefix: str, arrays: dict[str, Array]
) -> list[dict[str, Any]]:
    result = []
    for number, layer in enumerate(layers):
        kind, where = type(layer).__name__, f"{prefix}{number}."
        if _LAYERS.get(kind) is not type(layer):
            raise InvalidNetwork(f"a layer {layer.title} has no description here: write ONNX")
        description: dict[str, Any] = {"layer": kind}
        if isinstance(layer, Activate):
            description["function"] = layer.function.name
            finite = {k: v for k, v in layer.function.parameters.items() if math.isfinite(v)}
            description.update(finite)  # a missing bound of a clip is infinite
        elif isinstance(layer, Join):
            description["branches"] = [
                _described(branch, f"{where}{b}.", arrays)
                for b, branch in enumerate(layer.branches)
            ]
        else:
            name = getattr(layer, "name", None)
            where = where if name is None else f"{name}."
            while any(where + item.name in arrays for item in fields(layer)):  # type: ignore[arg-type]
                where = f"_{where}"
            for item in fields(layer):  # type: ignore[arg-type]
                value = getattr(layer, item.name)
                if isinstance(value, np.ndarray):
                    turned = value.ndim == 2 and name is not None
                    arrays[where + item.name] = value.T if turned else value
                    value = where + item.name
                if item.name != "name" or name is not None:
                    description[item.name] = value
        result.append(description)
    return result


def network_from(text: str, arrays: Mapping[str, Array], path: str | Path) -> Network:
    """Return the network of a description and its arrays.

    Raises `FormatError` if a layer is not known, or a field is missing, superfluous or of the wrong type, and
    `InvalidNetwork` if layers do not fit together.
    """
    document = parse_object(text.encode(), path, decimals=True)
    check_version(document, path, _FORMAT, _VERSION)
    reader = _Reader(arrays, path)
    shape = reader.sizes(document.get("input_shape"), "input_shape", or_none=True)
    names = {name: document.get(name, name.removesuffix("_name")) for name in _NAMES}
    dtype = document.get("dtype")
    if any(size is not None and size < 0 for size in shape):
        raise FormatError(f"holds the input shape {list(shape)}", path=path)
    if dtype not in ("float16", "float32", "float64"):
        raise FormatError(f"holds the dtype {shown(repr(dtype))}", path=path)
    if not all(isinstance(name, str) for name in names.values()):
        raise FormatError("the name of an input or output is not a text", path=path)
    return Network(reader.layers(document.get("layers"), ""), shape, dtype, **names)


class _Reader:
    """Makes layers from descriptions, and checks every field against its annotation."""

    def __init__(self, arrays: Mapping[str, Array], path: str | Path) -> None:
        self._arrays, self._path = arrays, path
        self._read: dict[str, Callable[[Any, str], Any]] = {
            "Array": self._array,
            "Array | None": lambda v, what: None if v is None else self._array(v, what),
            "str | None": lambda v, what: None if v is None else self._typed(v, str, what),
            "bool": lambda v, what: self._typed(v, bool, what),
            "int": lambda v, what: self._typed(v, int, what),
            "float": lambda v, what: float(self._typed(v, (int, float), what)),
            "tuple[int, ...]": self.sizes,
            "tuple[tuple[int, int], ...]": self._pairs,
        }

    def _wrong(self, what: str) -> FormatError:
        return FormatError(f"layer {what} is missing or not of its type", path=self._path)

    def _typed(self, value: Any, kind: Any, what: str) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self._wrong(what)
        return value

    def _array(self, name: Any, what: str) -> Array:
        if not isinstance(name, str) or name not in self._arrays:
            raise FormatError(
                f"layer {what}: there is no array {shown(repr(name))}", path=self._path
            )
        return self._arrays[name]

    def sizes(self, value: Any, what: str, *, or_none: bool = False) -> tuple[Any, ...]:
        """Return a list of integers, or of integers and null."""
        allowed = (int, type(None)) if or_none else int
        return tuple(self._typed(item, allowed, what) for item in self._typed(value, list, what))

    def _pairs(self, value: Any, what: str) -> tuple[tuple[Any, ...], ...]:
        pairs = tuple(self.sizes(pair, what) for pair in self._typed(value, list, what))
        if any(len(pair) != 2 for pair in pairs):
            raise self._wrong(what)
        return pairs

    def layers(self, value: Any, prefix: str) -> tuple[Layer, ...]:
        """Return the layers of a list of descriptions."""
        described = self._typed(value, list, "list")
        return tuple(self._layer(item, f"{prefix}{i}") for i, item in enumerate(described))

    def _layer(self, value: Any, where: str) -> Layer:
        given = dict(self._typed(value, dict, where))
        name = given.pop("layer", None)
        kind = _LAYERS.get(name) if isinstance(name, str) else None
        if kind is None:
            raise FormatError(
                f"layer {where} is {shown(repr(name))}; known are {', '.join(_LAYERS)}",
                path=self._path,
            )
        read: dict[str, Any]
        if kind is Join:
            branches = enumerate(
                self._typed(given.pop("branches", None), list, f"{where} branches")
            )
            read = {"branches": tuple(self.layers(b, f"{where}.{i}.") for i, b in branches)}
        elif kind is Activate:
            function = self._typed(given.pop("function", None), str, f"{where} function")
            read = {n: self._read["float"](v, f"{where} {n}") for n, v in given.items()}
            return self._activation(function, read, where)
        else:
            known = {item.name: str(item.type) for item in fields(kind)}  # type: ignore[arg-type]
            read = {
                n: self._read[annotation](given.pop(n, None), f"{where} {n}")
                for n, annotation in known.items()
            }
        if kind is Dense and read["name"] is not None:
            read["weight"] = read["weight"].T
        if given:
            raise FormatError(f"layer {where} has no {shown(next(iter(given)))}", path=self._path)
        windows = [
            n for n in ("kernel", "strides", "dilations") if min(read.get(n, (1,)), default=1) < 1
        ]
        if windows or any(min(pair) < 0 for pair in read.get("pads", ())):
            raise FormatError(f"layer {where} has a window that is not positive", path=self._path)
        return kind(**read)

    def _activation(self, name: str, parameters: dict[str, float], where: str) -> Layer:
        try:
            return Activate(name, **parameters)
        except TypeError as error:
            raise FormatError(
                f"layer {where}: {name} has no parameter {', '.join(parameters)}", path=self._path
            ) from error

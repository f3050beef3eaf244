"""The claims about a lumping of a network: records of plain data, layer by layer.

A network is identified by a digest of what it computes, the same for every file format and storage type: over
the reals a network is its chain of layers, their settings and the exact values of their weights.  Names of
input and output do not matter; a bias of zeros equals no bias, and minus zero equals zero.  Every value goes
into SHA-256 as a double, which holds each half, single and double exactly, after a line of JSON with its layer,
part and shape; so different chains of layers give different bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.activations import Activation
from lumpability.networks.layers import Layer, Shape
from lumpability.networks.network import Network
from lumpability.numbers.float_arrays import Array
from lumpability.partition import Partition
from lumpability.structure.dense import BLOCK
from lumpability.version import __version__

__all__ = ["LayerClaim", "NetworkClaims", "Subject", "network_digest"]


@dataclass(frozen=True)
class Subject:
    """The identification of a network."""

    digest: str  # see `lumpability.networks.claims.network_digest`
    hidden_neurons: int

    @classmethod
    def of(cls, network: Network) -> Subject:
        """Identify a network; one pass over its weights."""
        return cls(network_digest(network), network.hidden_neurons)


@dataclass(frozen=True, eq=False)
class LayerClaim:
    """The claim about the units of one layer with weights."""

    layer: int  # number of the layer in the network
    partition: Partition  # of its units; constants and dead units included
    # Shape (units,).  The aggregated column of unit s is c(s) times the column of its class.
    factors: Array
    # Units whose output has this value for every input, folded into the next bias.
    constants: dict[int, Fraction]
    # Shape (classes,).  Classes that are units of the quotient: neither constant nor dead.
    live: Array
    # Whether units of opposite sign share classes, with a skip past the activation.
    antiparallel: bool = False
    held: str | None = None  # why the units of this layer may not be changed
    # The factors by which columns of one class may differ, in words; None if the layer is held.
    admits: str | None = None


@dataclass(frozen=True, eq=False, repr=False)
class NetworkClaims:
    """The fields of a certificate; `lumpability.networks.NetworkCertificate` documents each."""

    kind: str
    original: Subject
    reduced: Subject
    layers: tuple[LayerClaim, ...]
    largest_change: Fraction = Fraction(0)
    library: str = __version__
    network: Network | None = None
    quotient: Network | None = None


def network_digest(network: Network) -> str:
    """Return "sha256:" and 64 hexadecimal digits.

    Notes
    -----
    One pass over the weights, about a second for 100 million of them.
    """
    found = hashlib.sha256()
    found.update(_line({"input_shape": list(network.input_shape)}))
    for layer, shape in zip(network.layers, network.shapes, strict=False):
        for piece in _layer(layer, shape):
            found.update(piece)
    return f"sha256:{found.hexdigest()}"


def _layer(layer: Layer, shape: Shape) -> Iterator[bytes]:
    """Yield the bytes of a layer with an input of some shape: its settings, then its arrays."""
    settings: dict[str, Any] = {}
    arrays: dict[str, Array] = {}
    inner: tuple[tuple[Layer, ...], ...] = ()
    for item in fields(layer):  # type: ignore[arg-type]
        value = getattr(layer, item.name)
        if isinstance(value, np.ndarray):
            if item.name != "bias" or value.any():
                arrays[item.name] = value
        elif item.name == "branches":
            inner = value
        elif item.name == "axis" and value < 0:
            settings["axis"] = value + len(shape)
        elif value is not None:
            settings[item.name] = _plain(value)
    shapes = {name: list(values.shape) for name, values in arrays.items()}
    branches = [len(branch) for branch in inner]
    yield _line([type(layer).__name__, settings, shapes, branches])
    for _, values in sorted(arrays.items()):
        yield from _values(values)
    for branch in inner:
        reached = shape
        for one in branch:
            yield from _layer(one, reached)
            reached = one.output_shape(reached)


def _values(values: Array) -> Iterator[bytes]:
    """Yield the values as doubles, row by row, a portion at a time."""
    rows = values.reshape(len(values), -1) if values.ndim > 1 else values.reshape(-1, 1)
    step = max(1, BLOCK // max(rows.shape[1], 1))
    for low in range(0, len(rows), step):
        part = rows[low : low + step].astype("<f8", order="C") + 0.0  # -0.0 becomes 0.0
        yield part.tobytes()


def _plain(value: Any) -> Any:
    if isinstance(value, Activation):
        return [value.name, {key: _plain(number) for key, number in value.parameters.items()}]
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool | str) or value is None:
        return value
    return float(value).hex() if isinstance(value, float | np.floating) else int(value)


def _line(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True).encode() + b"\n"

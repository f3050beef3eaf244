"""The claims about a lumping of a network: records of plain data, layer by layer.

A network is identified by a digest of what it computes, the same for every file format and storage type: over
the reals a network is its chain of layers, their settings and the exact values of their weights.  Names of
input and output do not matter; a bias of zeros equals no bias, and minus zero equals zero.  Every value goes
into SHA-256 as a double, which holds each half, single and double exactly, after a line of JSON with its layer,
part and shape; so different chains of layers give different bytes.

In a file, factors and constants refer to "numbers" by position, and units with the factor 1 are left out.  A certificate
has some ten bytes for each neuron; it does not hold weights.
``lumpability/schemas/network-certificate.schema.json`` describes the format.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.certificate.file import Reader, number_text, plain, read_document, write_document
from lumpability.certificate.json_stream import Scanner
from lumpability.networks.activations import Activation
from lumpability.networks.layers import Layer, Shape
from lumpability.networks.network import Network
from lumpability.numbers.float_arrays import Array
from lumpability.partition import Partition
from lumpability.structure.dense import BLOCK
from lumpability.version import __version__

KINDS = ("proportional", "exact")
"""The kinds by name: units of one class may differ by a factor that the activation passes, or are equal."""

MAX_BYTES = 1 << 26
"""Largest text in bytes, after unpacking: some ten million neurons."""

_MOST_LAYERS, _MOST_NUMBERS = 1 << 16, 1 << 22


def admits_factors(kind: str) -> bool:
    """Whether units of one class may differ by a factor.

    >>> [admits_factors(kind) for kind in KINDS]
    [True, False]
    """
    return kind == "proportional"


@dataclass(frozen=True)
class Subject:
    """The identification of a network."""

    digest: str  # see `lumpability.networks.claims.network_digest`
    hidden_neurons: int

    @classmethod
    def of(cls, network: Any) -> Subject:
        """Identify a `Network`, or a `GraphNetwork` by the bytes of its file; one pass over its weights."""
        if not isinstance(network, Network):
            return cls(f"sha256:{network.digest}", network.hidden_neurons)
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
        elif value is not None and item.name != "name":
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
    values = np.atleast_1d(values)
    rows = values.reshape(len(values), math.prod(values.shape[1:]))
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


def read_network_claims(path: str | Path, *, max_bytes: int | None = None) -> NetworkClaims:
    """Read a certificate of a network as a stream of at most so many bytes after unpacking."""
    return read_document(
        path,
        "network",
        lambda scanner: _Reader(scanner).claims(),
        max_bytes=max_bytes,
        most=MAX_BYTES,
    )


def write_network_claims(certificate: NetworkClaims, path: str | Path) -> None:
    """Write a certificate of a network to a ``.json`` or ``.json.gz`` file, whole or not at all."""
    numbers: dict[Fraction, int] = {}
    layers = [_claim_text(claim, numbers) for claim in certificate.layers]
    head: dict[str, Any] = {
        "library": certificate.library,
        "kind": certificate.kind,
        "network": vars(certificate.original),
        "quotient": vars(certificate.reduced),
        "largest_change": number_text(certificate.largest_change),
        "numbers": [number_text(number) for number in numbers],
    }
    items = [(key, plain(value)) for key, value in head.items()]
    write_document(path, "network", [*items, ("layers", ["[", ",".join(layers), "\n]"])])


def _claim_text(claim: LayerClaim, numbers: dict[Fraction, int]) -> str:
    """Return a claim as a JSON object, a line for each key."""
    constant = np.zeros(len(claim.partition), dtype=bool)
    constant[claim.partition.labels[list(claim.constants)]] = True
    scaled = {unit: factor for unit, factor in enumerate(claim.factors.tolist()) if factor != 1}
    columns = {
        "layer": claim.layer,
        "units": claim.partition.n,
        "held": claim.held,
        "admits": claim.admits,
        "antiparallel": int(claim.antiparallel),
        "classes": claim.partition.labels.tolist(),
        "scaled": list(scaled),
        "factors": [numbers.setdefault(number, len(numbers)) for number in scaled.values()],
        "constant": sorted(claim.constants),
        "values": [
            numbers.setdefault(claim.constants[unit], len(numbers))
            for unit in sorted(claim.constants)
        ],
        "dead": np.flatnonzero(~claim.live & ~constant).tolist(),
    }
    lines = (
        f"  {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}"
        for key, value in columns.items()
    )
    return "\n{\n" + ",\n".join(lines) + "\n}"


class SubjectReader(Reader):
    """Reads what certificates of networks have in common."""

    def subject(self, name: str) -> Subject:
        """Read an object that identifies a network."""
        self.next(name)
        digest = self.next("digest", "{").text()
        hidden = self.next("hidden_neurons").integer()
        self.scanner.expect("}")
        return Subject(digest, hidden)

    def items(self, item: Callable[[], Any], most: int) -> Iterator[Any]:
        """Read a list of at most so many items."""
        self.scanner.expect("[")
        if self.scanner.skip("]"):
            return
        for _ in range(most):
            yield item()
            if not self.scanner.skip(","):
                self.scanner.expect("]")
                return
        self.fail(f"holds a list of more than {most} entries")


class _Reader(SubjectReader):
    """Reads a certificate of a network; earlier entries bound the length of every list."""

    def __init__(self, scanner: Scanner) -> None:
        super().__init__(scanner)
        self._numbers: list[Fraction] = []

    def claims(self) -> NetworkClaims:
        """Read everything."""
        library = self.next("library").text()
        kind = self.kind(KINDS)
        original, reduced = self.subject("network"), self.subject("quotient")
        change = self.rational(self.next("largest_change").text())
        if change < 0:
            self.fail("holds a negative 'largest_change'")
        texts = self.next("numbers").texts(_MOST_NUMBERS)
        self._numbers = [self.rational(text) for text in texts]
        self.next("layers")
        layers = tuple(self.items(self._layer, _MOST_LAYERS))
        return NetworkClaims(kind, original, reduced, layers, change, library)

    def _layer(self) -> LayerClaim:
        layer = self.next("layer", "{").integer()
        units = self.next("units").integer()
        held, admits = self.optional("held"), self.optional("admits")
        antiparallel = bool(self.next("antiparallel").integer(most=1))
        labels = self.next("classes").integers(most=units, largest=max(units - 1, 0))
        partition = Partition(labels)
        if len(labels) != units or not np.array_equal(partition.labels, labels):
            self.fail(
                f"layer {layer} does not number {units} units by the first members of classes"
            )
        scaled = self._units("scaled", units)
        factors = np.full(units, Fraction(1), dtype=object)
        factors[scaled] = self._values("factors", len(scaled))
        constant = self._units("constant", units)
        values = self._values("values", len(constant))
        dead = self._units("dead", len(partition))
        self.scanner.expect("}")
        live = np.ones(len(partition), dtype=bool)
        live[dead] = False
        live[partition.labels[constant]] = False
        constants = dict(zip(constant.tolist(), values, strict=True))
        return LayerClaim(layer, partition, factors, constants, live, antiparallel, held, admits)

    def _units(self, name: str, count: int) -> Array:
        found = self.next(name).integers(most=count, largest=max(count - 1, 0))
        if np.any(np.diff(found) <= 0):
            self.fail(f"{name!r} is not ascending")
        return found

    def _values(self, name: str, count: int) -> list[Fraction]:
        codes = self.next(name).integers(most=count, largest=max(len(self._numbers) - 1, 0))
        if len(codes) != count or (count and not self._numbers):
            self.fail(
                f"{name!r} has {len(codes)} entries, not {count}, or refers to a number that does not exist"
            )
        return [self._numbers[code] for code in codes.tolist()]

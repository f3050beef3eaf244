"""Certificates of networks as files, as `lumpability.certificate.file` reads and writes them.

Factors and constants refer to "numbers" by position, and units with the factor 1 are left out.  A certificate
has some ten bytes for each neuron; it does not hold weights.
``lumpability/schemas/network-certificate.schema.json`` describes the format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.certificate.file import Reader, number_text, plain, read_document, write_document
from lumpability.certificate.json_stream import Scanner
from lumpability.networks.claims import LayerClaim, NetworkClaims, Subject
from lumpability.networks.kinds import KINDS
from lumpability.numbers.float_arrays import Array
from lumpability.partition import Partition

__all__ = ["read_network_claims", "write_network_claims"]

MAX_BYTES = 1 << 26
"""Largest text in bytes, after unpacking: some ten million neurons."""

_MOST_LAYERS, _MOST_NUMBERS = 1 << 16, 1 << 22


def read_network_claims(path: str | Path, *, max_bytes: int = MAX_BYTES) -> NetworkClaims:
    """Read a certificate of a network as a stream of at most so many bytes after unpacking."""
    return read_document(path, "network", lambda scanner: _Reader(scanner).claims(), max_bytes)


def write_network_claims(certificate: NetworkClaims, path: str | Path) -> None:
    """Write a certificate of a network to a ``.json`` or ``.json.gz`` file, whole or not at all."""
    numbers: dict[Fraction, int] = {}
    layers = [_layer(claim, numbers) for claim in certificate.layers]
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


def _layer(claim: LayerClaim, numbers: dict[Fraction, int]) -> str:
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


class _Reader(Reader):
    """Reads a certificate of a network; earlier entries bound the length of every list."""

    def __init__(self, scanner: Scanner) -> None:
        super().__init__(scanner)
        self._numbers: list[Fraction] = []

    def claims(self) -> NetworkClaims:
        """Read everything."""
        library = self.next("library").text()
        kind = self.kind(KINDS)
        original, reduced = self._subject("network"), self._subject("quotient")
        change = self.rational(self.next("largest_change").text())
        if change < 0:
            self.fail("holds a negative 'largest_change'")
        texts = self.next("numbers").texts(_MOST_NUMBERS)
        self._numbers = [self.rational(text) for text in texts]
        self.next("layers")
        layers = tuple(self._list(self._layer, _MOST_LAYERS))
        return NetworkClaims(kind, original, reduced, layers, change, library)

    def _subject(self, name: str) -> Subject:
        self.next(name)
        digest = self.next("digest", "{").text()
        hidden = self.next("hidden_neurons").integer()
        self.scanner.expect("}")
        return Subject(digest, hidden)

    def _list(self, item: Callable[[], Any], most: int) -> Iterator[Any]:
        self.scanner.expect("[")
        if self.scanner.skip("]"):
            return
        for _ in range(most):
            yield item()
            if not self.scanner.skip(","):
                self.scanner.expect("]")
                return
        self.fail(f"holds a list of more than {most} layers")

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

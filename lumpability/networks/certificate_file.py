"""Certificates of networks as files: one JSON object, its keys in a fixed order.

The head (format, version, domain) is that of all certificates.  Distinct rational numbers are listed once in
"numbers"; factors and constants refer to them by position, and units with the factor 1 are left out.
A certificate has some ten bytes for each neuron; weights are not in it.  It is read as a stream that knows
what comes next, so that anything else is refused where it begins.
``lumpability/schemas/network-certificate.schema.json`` describes the format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.certificate.file import FORMAT, LONGEST_INTEGER, VERSION, head, rational
from lumpability.certificate.json_stream import Scanner
from lumpability.errors import SizeLimit
from lumpability.files import opened, writing
from lumpability.networks.claims import LayerClaim, NetworkClaims, Subject
from lumpability.numbers.float_arrays import Array
from lumpability.partition import Partition

__all__ = ["read_network_claims", "write_network_claims"]

MAX_BYTES = 1 << 26
"""Largest text read, after unpacking: some ten million neurons."""

_MOST_LAYERS, _MOST_NUMBERS = 1 << 16, 1 << 22
_KINDS = ("proportional", "exact")


def write_network_claims(certificate: NetworkClaims, path: str | Path) -> None:
    """Write a certificate of a network to a ``.json`` or ``.json.gz`` file, whole or not at all.

    Raises `FormatError` if it cannot be written, and `SizeLimit` if a number has more than 4000 digits.
    """
    numbers: dict[Fraction, int] = {}
    layers = [_layer(claim, numbers) for claim in certificate.layers]
    head: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "domain": "network",
        "library": certificate.library,
        "kind": certificate.kind,
        "network": vars(certificate.original),
        "quotient": vars(certificate.reduced),
        "largest_change": _text(certificate.largest_change),
        "numbers": [_text(number) for number in numbers],
    }
    with writing(path) as handle:
        before = "{"
        for key, value in head.items():
            handle.write(f"{before}\n{json.dumps(key)}: {json.dumps(value)}".encode())
            before = ","
        handle.write(b',\n"layers": [')
        before = ""
        for layer in layers:
            lines = [f"  {json.dumps(key)}: {_compact(value)}" for key, value in layer.items()]
            handle.write((before + "\n{\n" + ",\n".join(lines) + "\n}").encode())
            before = ","
        handle.write(b"\n]\n}\n")


def _layer(claim: LayerClaim, numbers: dict[Fraction, int]) -> dict[str, Any]:
    constant = np.zeros(len(claim.partition), dtype=bool)
    constant[claim.partition.labels[list(claim.constants)]] = True
    scaled = {unit: factor for unit, factor in enumerate(claim.factors.tolist()) if factor != 1}
    return {
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


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _text(number: Fraction) -> str:
    if max(abs(number.numerator), number.denominator).bit_length() > 3 * LONGEST_INTEGER:
        raise SizeLimit(
            f"a number has more than {LONGEST_INTEGER} digits: too many for a certificate"
        )
    return str(number)


def read_network_claims(path: str | Path, *, max_bytes: int = MAX_BYTES) -> NetworkClaims:
    """Read a certificate of a network as a stream.

    Raises `FormatError` if it is not valid; the message says where.  Raises `SizeLimit` if it is too large.

    Parameters
    ----------
    max_bytes : int
        Largest size, after unpacking.
    """
    with opened(path, max_bytes=max_bytes) as stream:
        scanner = Scanner(stream, path, max_bytes=max_bytes)
        domain = head(scanner)
        if domain != "network":
            scanner.fail(f"is about a {domain[:60]}, not about a network")
        return _Reader(scanner).certificate()


class _Reader:
    """Reads the keys one after another; every list is bounded by what went before."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self.fail = scanner.fail
        self._numbers: list[Fraction] = []

    def _next(self, name: str, before: str = ",") -> Scanner:
        self._scanner.expect(before)
        self._scanner.key(name)
        return self._scanner

    def certificate(self) -> NetworkClaims:
        """Read everything."""
        library = self._next("library").text()
        kind = self._next("kind").text()
        if kind not in _KINDS:
            self.fail(f"is of the kind {kind[:60]!r}, not one of {', '.join(_KINDS)}")
        original, reduced = self._subject("network"), self._subject("quotient")
        change = rational(self._scanner, self._next("largest_change").text())
        if change < 0:
            self.fail("holds a negative 'largest_change'")
        texts = self._next("numbers").texts(_MOST_NUMBERS)
        self._numbers = [rational(self._scanner, text) for text in texts]
        self._next("layers")
        layers = tuple(self._list(self._layer, _MOST_LAYERS))
        self._scanner.expect("}")
        self._scanner.end()
        return NetworkClaims(kind, original, reduced, layers, change, library)

    def _subject(self, name: str) -> Subject:
        self._next(name)
        digest = self._next("digest", "{").text()
        hidden = self._next("hidden_neurons").integer()
        self._scanner.expect("}")
        return Subject(digest, hidden)

    def _list(self, item: Callable[[], Any], most: int) -> Iterator[Any]:
        self._scanner.expect("[")
        if self._scanner.skip("]"):
            return
        for _ in range(most):
            yield item()
            if not self._scanner.skip(","):
                self._scanner.expect("]")
                return
        self.fail(f"holds a list of more than {most} layers")

    def _layer(self) -> LayerClaim:
        layer = self._next("layer", "{").integer()
        units = self._next("units").integer()
        held, admits = self._optional("held"), self._optional("admits")
        antiparallel = bool(self._next("antiparallel").integer(most=1))
        labels = self._next("classes").integers(most=units, largest=max(units - 1, 0))
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
        self._scanner.expect("}")
        live = np.ones(len(partition), dtype=bool)
        live[dead] = False
        live[partition.labels[constant]] = False
        constants = dict(zip(constant.tolist(), values, strict=True))
        return LayerClaim(layer, partition, factors, constants, live, antiparallel, held, admits)

    def _optional(self, name: str) -> str | None:
        scanner = self._next(name)
        return None if scanner.skip("null") else scanner.text()

    def _units(self, name: str, count: int) -> Array:
        found = self._next(name).integers(most=count, largest=max(count - 1, 0))
        if np.any(np.diff(found) <= 0):
            self.fail(f"{name!r} is not ascending")
        return found

    def _values(self, name: str, count: int) -> list[Fraction]:
        codes = self._next(name).integers(most=count, largest=max(len(self._numbers) - 1, 0))
        if len(codes) != count or (count and not self._numbers):
            self.fail(f"{name!r} has {len(codes)} entries, not {count}, or refers to no number")
        return [self._numbers[code] for code in codes.tolist()]

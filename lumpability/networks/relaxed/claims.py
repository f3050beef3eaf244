"""What a certificate of a lumping on a region claims: plain data, and its file.

A claim holds, for every layer of the network, the lift (A, a) of its units; for every part of the region the ranges
of all units of both networks; and the bound of the difference of the outputs.  Numbers that enter a proof are doubles,
written in hexadecimal and read exactly; NaN and infinity have no place in the file.  Layers at the bottom that lost
all units are missing in the reduced network: `skipped` counts them.
``lumpability/schemas/region-certificate.schema.json`` describes the format.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.certificate.file import number_text, plain, read_document, write_document
from lumpability.errors import InvalidInput
from lumpability.networks.claims import Subject, SubjectReader
from lumpability.networks.difference.lifts import Lift
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.network import Network
from lumpability.networks.regions.box import Box
from lumpability.numbers.float_arrays import Array
from lumpability.version import __version__

DOMAIN = "region"
KINDS = ("region", "relaxed")
MAX_BYTES = 1 << 28

_HEX = re.compile(r"-?0x[01](?:\.[0-9a-f]{1,13})?p[+-][0-9]{1,4}\Z")
_MOST_LAYERS, _MOST_UNITS, _MOST_PARTS, _MOST_CUTS = 1 << 12, 1 << 20, 1 << 16, 16

Ends = tuple[tuple[Array, Array], ...]
"""The lowest and the highest pre-activation of the units of each layer."""


@dataclass(frozen=True, eq=False, repr=False)
class RegionClaims:
    """The fields of a certificate; see `lumpability.networks.relaxed.certificate.RegionCertificate`."""

    kind: str
    original: Subject
    reduced: Subject
    region: Box | None
    cuts: tuple[int, ...]
    skipped: int
    lifts: tuple[Lift, ...]
    parts: tuple[tuple[Ends, Ends], ...]
    bound: Fraction
    library: str = __version__
    network: Network | GraphNetwork | None = None
    quotient: Network | GraphNetwork | None = None


def write_claims(claims: RegionClaims, path: str | Path) -> None:
    """Write a certificate to a ``.json`` or ``.json.gz`` file, whole or not at all."""
    region = None if claims.region is None else claims.region.to_json()
    head: dict[str, Any] = {
        "library": claims.library,
        "kind": claims.kind,
        "network": vars(claims.original),
        "quotient": vars(claims.reduced),
        "region": region,
        "cuts": list(claims.cuts),
        "skipped": claims.skipped,
        "bound": number_text(claims.bound),
    }
    items = [(key, plain(value)) for key, value in head.items()]
    lifts = [json.dumps(_lift_data(lift), separators=(",", ":")) for lift in claims.lifts]
    parts = [
        json.dumps(
            [[_texts(end) for pair in ends for end in pair] for ends in part], separators=(",", ":")
        )
        for part in claims.parts
    ]
    joined = [
        (key, ["[\n", ",\n".join(found), "\n]"])
        for key, found in (("lifts", lifts), ("parts", parts))
    ]
    write_document(path, DOMAIN, [*items, *joined])


def _lift_data(lift: Lift) -> dict[str, Any]:
    rows, units = lift.full.shape
    places, moved = np.flatnonzero(lift.full.ravel()), np.flatnonzero(lift.shift)
    return {
        "rows": rows,
        "units": units,
        "places": places.tolist(),
        "factors": _texts(lift.full.ravel()[places]),
        "moved": moved.tolist(),
        "shifts": _texts(lift.shift[moved]),
    }


def _texts(values: Array) -> list[str]:
    return [float(value).hex() for value in values]


def read_claims(path: str | Path, *, max_bytes: int | None = None) -> RegionClaims:
    """Read a certificate of a lumping on a region as a stream."""
    return read_document(
        path,
        DOMAIN,
        lambda scanner: _Reader(scanner).claims(),
        max_bytes=max_bytes,
        most=MAX_BYTES,
    )


class _Reader(SubjectReader):
    """Reads a certificate; earlier entries bound the length of every list."""

    def claims(self) -> RegionClaims:
        """Read everything."""
        library = self.next("library").text()
        kind = self.kind(KINDS)
        original, reduced = self.subject("network"), self.subject("quotient")
        region = self._region()
        cuts = tuple(int(k) for k in self.next("cuts").integers(most=_MOST_CUTS))
        skipped = self.next("skipped").integer(most=_MOST_LAYERS)
        bound = self.rational(self.next("bound").text())
        if bound < 0:
            self.fail("holds a negative 'bound'")
        if bound > 1 << 1000:
            self.fail("holds a 'bound' beyond the range of doubles")
        self.next("lifts")
        lifts = tuple(self.items(self._lift, _MOST_LAYERS))
        self.next("parts")
        parts = tuple(self.items(lambda: self._part(lifts, carried=region is None), _MOST_PARTS))
        return RegionClaims(
            kind, original, reduced, region, cuts, skipped, lifts, parts, bound, library
        )

    def _region(self) -> Box | None:
        if self.next("region").skip("null"):
            return None
        ends = []
        for name, before in (("low", "{"), ("high", ",")):
            self.next(name, before)
            ends.append(
                [self.rational(text) for text in self.items(self.scanner.text, _MOST_UNITS)]
            )
        self.scanner.expect("}")
        try:
            return Box(*ends)
        except InvalidInput as error:
            self.fail(f"holds a region that is no box: {error}")

    def _lift(self) -> Lift:
        rows = self.next("rows", "{").integer(most=_MOST_UNITS)
        units = self.next("units").integer(most=_MOST_UNITS)
        if rows * units > 1 << 26:
            self.fail(f"holds a lift of {rows} by {units} entries, which is too large")
        flat, shift = np.zeros(rows * units), np.zeros(units)
        for places, values, target in (("places", "factors", flat), ("moved", "shifts", shift)):
            found = self.next(places).integers(most=len(target), largest=max(len(target) - 1, 0))
            if np.any(np.diff(found) <= 0):
                self.fail(f"{places!r} is not ascending")
            self.next(values)
            target[found] = self._floats(len(found))
        self.scanner.expect("}")
        return Lift(flat.reshape(rows, units), shift)

    def _part(self, lifts: tuple[Lift, ...], *, carried: bool) -> tuple[Ends, Ends]:
        """Read ranges of both networks; for all inputs, every layer but the last carries one more unit."""
        self.scanner.expect("[")
        sides = []
        for number, axis in enumerate((1, 0)):
            if number:
                self.scanner.expect(",")
            self.scanner.expect("[")
            ends: list[Array] = []
            for place, lift in enumerate(lifts, start=1):
                more = int(carried and place < len(lifts))
                for _ in ("low", "high"):
                    if ends:
                        self.scanner.expect(",")
                    ends.append(self._floats(lift.full.shape[axis] + more))
            self.scanner.expect("]")
            sides.append(tuple(zip(ends[::2], ends[1::2], strict=True)))
        self.scanner.expect("]")
        return sides[0], sides[1]

    def _floats(self, count: int) -> Array:
        texts = list(self.items(self.scanner.text, count))
        if len(texts) != count:
            self.fail(f"holds {len(texts)} numbers where {count} should be")
        values = []
        for text in texts:
            try:
                value = float.fromhex(text) if _HEX.match(text) else float("nan")
            except OverflowError:
                value = float("inf")
            if not np.isfinite(value):
                self.fail(f"holds {text[:40]!r} where a finite number in hexadecimal should be")
            values.append(value)
        return np.array(values, dtype=np.float64)

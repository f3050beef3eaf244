"""Certificates of intervals as files: the same head, digest and list of numbers as those of lumpings.

``lumpability/schemas/bound.schema.json`` describes the format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.certificate.bounds.proofs import HULL, MEMBERS, Evidence
from lumpability.certificate.bounds.question import AIMED, AVERAGED, KINDS, TIMED, Asked, Mask
from lumpability.certificate.bounds.vector import Vector
from lumpability.certificate.chain_file import ChainReader, column, digest_object
from lumpability.certificate.digest import Digest
from lumpability.certificate.file import number_text, plain, read_document, write_document
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.number_list import NumberList
from lumpability.partition import Partition

DOMAIN = "bound"
_MOST_NUMBERS = 1 << 25
_MOST_STEPS = 10**9
_MOST_BITS = 1 << 30  # of all numerators of a vector


@dataclass(frozen=True, eq=False, repr=False)
class BoundClaims:
    """The fields of a certificate; `lumpability.certificate.bounds.certificate` documents each."""

    model: Digest
    asked: Asked
    partition: Partition
    rate: Fraction | None
    over: str
    lower: Fraction
    upper: Fraction
    below: Evidence
    above: Evidence
    library: str


def read_bound(path: str | Path, *, max_bytes: int | None = None) -> BoundClaims:
    """Read a certificate of an interval as a stream of at most so many bytes after unpacking."""
    return read_document(
        path, DOMAIN, lambda scanner: _Reader(scanner).bound_claims(), max_bytes=max_bytes
    )


def write_bound(certificate: BoundClaims, path: str | Path) -> None:
    """Write a certificate to a ``.json`` or ``.json.gz`` file, whole or not at all."""
    write_document(path, DOMAIN, _items(certificate))


class _Reader(ChainReader):
    """Reads a certificate of an interval; earlier entries bound the length of every list."""

    def bound_claims(self) -> BoundClaims:
        library = self.next("library").text()
        kind = self.kind(KINDS)
        model = self.digest("model")
        n = model.states
        self.values = self.numbers(self.next("numbers").texts(_MOST_NUMBERS), [])
        self.next("partition")
        partition = self.partition("partition", n)
        asked = self._asked(kind, n)
        rate = self._rational_or_null("rate")
        over = self.next("over").text()
        if over not in (HULL, MEMBERS):
            self.fail(f"is over {over[:60]!r}, not over the hull or the members")
        lower, below = self._end("lower", n)
        upper, above = self._end("upper", n)
        return BoundClaims(model, asked, partition, rate, over, lower, upper, below, above, library)

    def _asked(self, kind: str, n: int) -> Asked:
        return Asked(
            kind,
            of=self._of(n) if kind in AVERAGED else None,
            target=self._target(n) if kind in AIMED else None,
            time=self._rational("time") if kind in TIMED else None,
            start=self._start(n),
        )

    def _of(self, n: int) -> str | ExactArray:
        scanner = self.next("of")
        return scanner.text() if scanner.peek() == '"' else self.array(n, n)

    def _target(self, n: int) -> str | Mask:
        scanner = self.next("target")
        if scanner.peek() == '"':
            return scanner.text()
        states = scanner.integers(most=n, largest=max(n - 1, 0))
        mask = np.zeros(n, dtype=bool)
        mask[states] = True
        return mask

    def _start(self, n: int) -> ExactArray | None:
        scanner = self.next("start")
        return None if scanner.skip("null") else self.array(n, n)

    def _rational(self, name: str) -> Fraction:
        return self.rational(self.next(name).text())

    def _rational_or_null(self, name: str) -> Fraction | None:
        text = self.optional(name)
        return None if text is None else self.rational(text)

    def _end(self, name: str, n: int) -> tuple[Fraction, Evidence]:
        scanner = self.next(name)
        scanner.expect("{")
        scanner.key("end")
        end = self.rational(scanner.text())
        steps = self.next("steps").integer(_MOST_STEPS)
        scanner = self.next("vectors")
        scanner.expect("[")
        vectors: list[Vector] = []
        while not scanner.skip("]"):
            if vectors:
                scanner.expect(",")
            if len(vectors) == 2:
                self.fail("holds more than two vectors")
            numbers = self.array(0, n)
            if not numbers.is_within(_MOST_BITS // max(len(numbers), 1)):
                self.fail("holds a vector whose common denominator is too long")
            vectors.append(Vector.of(numbers))
        scanner.expect("}")
        return end, Evidence(tuple(vectors), steps)


def _items(certificate: BoundClaims) -> Iterator[tuple[str, Iterable[str]]]:
    numbers, asked = NumberList(number_text), certificate.asked
    ends = [
        (name, end, evidence, [numbers.codes(vector.exact()) for vector in evidence.vectors])
        for name, end, evidence in (
            ("lower", certificate.lower, certificate.below),
            ("upper", certificate.upper, certificate.above),
        )
    ]
    of = numbers.codes(asked.of) if isinstance(asked.of, ExactArray) else asked.of
    start = None if asked.start is None else numbers.codes(asked.start)
    yield "library", plain(certificate.library)
    yield "kind", plain(asked.kind)
    yield "model", plain(digest_object(certificate.model))
    yield "numbers", plain(numbers.texts)
    yield "partition", column(certificate.partition.labels)
    if asked.kind in AVERAGED:
        yield "of", _named_or_column(of)
    if asked.kind in AIMED:
        target = asked.target
        yield (
            "target",
            _named_or_column(np.flatnonzero(target) if isinstance(target, np.ndarray) else target),
        )
    if asked.time is not None:
        yield "time", plain(number_text(asked.time))
    yield "start", column(start)
    yield "rate", plain(None if certificate.rate is None else number_text(certificate.rate))
    yield "over", plain(certificate.over)
    for name, end, evidence, vectors in ends:
        yield name, _end(end, evidence.steps, vectors)


def _named_or_column(what: Any) -> Iterable[str]:
    return plain(what) if isinstance(what, str) else column(what)


def _end(end: Fraction, steps: int, vectors: list[Any]) -> Iterator[str]:
    yield f'{{\n  "end": "{number_text(end)}",\n  "steps": {steps},\n  "vectors": ['
    for number, vector in enumerate(vectors):
        yield "," if number else ""
        yield from column(vector)
    yield "]\n}"

"""Certificates as files: one JSON object, its keys in a fixed order.

The head (format, version, domain) is that of all certificates; `lumpability.certificate.chain_file` and
`lumpability.networks.claims` handle the rest.  Distinct exact numbers are listed once in "numbers"; other
lists refer to them by position.  Keys come in the order of the schemas (``lumpability/schemas``).  So the reader
knows which key comes next and how long a list can be, and refuses anything else where it begins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from lumpability.certificate.json_stream import MAX_BYTES, Scanner
from lumpability.errors import SizeLimit
from lumpability.files import opened, writing

FORMAT, VERSION = "lumpability/certificate", 1

_REGULAR = (128 << 20, 100)  # columns that repeat are packed a thousand times

LONGEST_INTEGER = 4000
"""Digits of the longest integer in a certificate; Python refuses to print or read more than 4300."""

T = TypeVar("T")


def domain_of(path: str | Path) -> str:
    """Return the domain of a certificate, "chain" or "network", from the head of its file.

    Raises
    ------
    FormatError
        If the file is not a certificate, or has another version.

    Examples
    --------
    >>> import tempfile
    >>> from lumpability import lump
    >>> from lumpability.markov.examples import land_of_oz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lump(land_of_oz()).certificate().write(f"{folder}/oz.json")
    ...     domain_of(f"{folder}/oz.json")
    'chain'
    """
    with opened(path, text=True) as stream:
        return Reader(Scanner(stream, path)).domain()


class Reader:
    """Reads the keys of a certificate one after another."""

    def __init__(self, scanner: Scanner) -> None:
        self.scanner, self.fail = scanner, scanner.fail

    def next(self, name: str, before: str = ",") -> Scanner:
        """Skip a key and the character before it."""
        self.scanner.expect(before)
        self.scanner.key(name)
        return self.scanner

    def optional(self, name: str) -> str | None:
        """Return the text of a key, or None for null."""
        scanner = self.next(name)
        return None if scanner.skip("null") else scanner.text()

    def domain(self) -> str:
        """Read and check the format and the version, and return the domain."""
        name = self.next("format", "{").text()
        if name != FORMAT:
            self.fail(f"is of the format {name[:60]!r}, not {FORMAT!r}")
        version = self.next("version").integer()
        if version != VERSION:
            self.fail(f"is version {version} of {FORMAT!r}; this library reads version {VERSION}")
        return self.next("domain").text()

    def kind(self, known: Iterable[str]) -> str:
        """Return the kind, one of those known."""
        kind = self.next("kind").text()
        if kind not in known:
            self.fail(f"is of the kind {kind[:60]!r}, not one of {', '.join(known)}")
        return kind

    def rational(self, text: str) -> Fraction:
        """Return the number written as a text such as "-1/3"."""
        above, slash, below = text.partition("/")
        denominator = self.whole(below) if slash else 1
        numerator = self.whole(above.removeprefix("-"))
        if denominator == 0:
            self.fail(f"holds the number {text[:60]!r}, which divides by zero")
        return Fraction(-numerator if above.startswith("-") else numerator, denominator)

    def whole(self, text: str) -> int:
        """Return the natural number written as a text."""
        if not (text.isascii() and text.isdecimal()) or len(text) > LONGEST_INTEGER:
            self.fail(f"holds {text[:60]!r} where an integer in text should be")
        return int(text)


_CLASSES = {
    "chain": "lumpability.Certificate",
    "bound": "lumpability.certificate.bounds.BoundCertificate",
    "network": "lumpability.networks.NetworkCertificate",
    "graph": "lumpability.networks.graph.certificate.GraphCertificate",
    "region": "lumpability.networks.relaxed.certificate.RegionCertificate",
    "table": "lumpability.tables.TableCertificate",
}


def read_document(
    path: str | Path,
    domain: str,
    claims: Callable[[Scanner], T],
    *,
    max_bytes: int | None,
    most: int = MAX_BYTES,
) -> T:
    """Read a certificate about a domain as a stream; `claims` reads what follows the head.

    Raises `FormatError` if it is not valid, with the place in the message, and `SizeLimit` if it is too large.

    - max_bytes: of the text, after unpacking; by default `most`, and what `opened` unpacks
    """
    with opened(path, max_bytes=max_bytes, limits=_REGULAR, text=True) as stream:
        scanner = Scanner(stream, path, max_bytes=max_bytes or most)
        found = Reader(scanner).domain()
        if found != domain:
            reader = f": read it with {_CLASSES[found]}.read" if found in _CLASSES else ""
            scanner.fail(f"is about a {found[:60]}, not about a {domain}{reader}")
        read = claims(scanner)
        scanner.expect("}")
        scanner.end()
    return read


def write_document(
    path: str | Path, domain: str, items: Iterable[tuple[str, Iterable[str]]]
) -> None:
    """Write a certificate, whole or not at all: the head, then keys with the pieces of their values.

    Raises `FormatError` if it cannot be written.
    """
    head = {"format": FORMAT, "version": VERSION, "domain": domain}
    before = "{"
    with writing(path) as handle:
        for key, pieces in [*((key, plain(value)) for key, value in head.items()), *items]:
            handle.write(f"{before}\n{json.dumps(key)}: ".encode())
            handle.writelines(piece.encode() for piece in pieces)
            before = ","
        handle.write(b"\n}\n")


def plain(value: Any) -> list[str]:
    """Return plain data as JSON text, as a list of one piece."""
    return [json.dumps(value)]


def number_text(number: Fraction | int) -> str:
    """Return a number as text, unless it is too long to be read again."""
    bits = max(abs(number.numerator), number.denominator).bit_length()
    if bits > 3 * LONGEST_INTEGER:
        raise SizeLimit(f"a number of {bits} bits is too long for a certificate")
    return str(number)

"""Certificates as files: one JSON object, its keys in a fixed order, long lists as columns of integers.

Distinct exact numbers are listed once in "numbers"; other lists refer to them by position.  A node of the
history is a range of "order", and the parts of a split follow each other, so that the sizes of the parts
say where all nodes begin and end.  ``lumpability/schemas/certificate.schema.json`` describes the
format.  Keys come in the order of the schema: the reader knows how long a list can be before it comes to it.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.certificate.claims import KINDS, Claims
from lumpability.certificate.digest import Digest
from lumpability.certificate.json_stream import MAX_BYTES, Scanner
from lumpability.errors import InvalidValue
from lumpability.files import opened
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.parameters import parse, read_elements
from lumpability.numbers.rationals import Reading
from lumpability.partition import Partition
from lumpability.split_history import History
from lumpability.structure import WeightedStructure

IntArray = np.ndarray[Any, np.dtype[np.int64]]

__all__ = [
    "FORMAT",
    "LONGEST_INTEGER",
    "VERSION",
    "domain_of",
    "head",
    "rational",
    "read_claims",
]

FORMAT, VERSION = "lumpability/certificate", 1

_MOST_NAMES = 1 << 16
_MOST_NUMBERS = 1 << 25
_MOST_PARAMETERS, _MOST_EXPRESSIONS = 100, 20_000  # expressions take a millisecond each
LONGEST_INTEGER = 4000
"""Digits of the longest integer in a certificate; Python refuses to print or read more than 4300."""


def domain_of(path: str | Path) -> str:
    """Return what a certificate is about, "chain" or "network", from the head of its file.

    Raises
    ------
    FormatError
        If it is no certificate, or of another version.

    Examples
    --------
    >>> import tempfile
    >>> from lumpability import lump
    >>> from lumpability.markov.examples import land_of_oz
    >>> chain = land_of_oz()
    >>> certificate = lump(chain).certificate()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     certificate.write(f"{folder}/oz.json")
    ...     domain_of(f"{folder}/oz.json")
    'chain'
    """
    with opened(path) as stream:
        return head(Scanner(stream, path))


def head(scanner: Scanner) -> str:
    """Read format and version, which must be these, and return the domain."""
    scanner.expect("{")
    scanner.key("format")
    name = scanner.text()
    if name != FORMAT:
        scanner.fail(f"is of the format {name[:60]!r}, not {FORMAT!r}")
    scanner.expect(",")
    scanner.key("version")
    version = scanner.integer()
    if version != VERSION:
        scanner.fail(f"is version {version} of {FORMAT!r}; this library reads version {VERSION}")
    scanner.expect(",")
    scanner.key("domain")
    return scanner.text()


def rational(scanner: Scanner, text: str) -> Fraction:
    """Return the number that a text such as "-1/3" stands for; the scanner says where it is refused."""
    above, slash, below = text.partition("/")
    denominator = _whole(scanner, below) if slash else 1
    numerator = _whole(scanner, above.removeprefix("-"))
    if denominator == 0:
        scanner.fail(f"holds the number {text[:60]!r}, which divides by zero")
    return Fraction(-numerator if above.startswith("-") else numerator, denominator)


def _whole(scanner: Scanner, text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > LONGEST_INTEGER:
        scanner.fail(f"holds {text[:60]!r} where an integer in text should be")
    return int(text)


def read_claims(path: str | Path, *, max_bytes: int = MAX_BYTES) -> Claims:
    """Read a certificate of a chain as a stream.

    Raises `FormatError` if it is not valid; the message says where.  Raises `SizeLimit` if it is too large.

    Parameters
    ----------
    max_bytes : int
        Largest size, after unpacking.
    """
    with opened(path, max_bytes=max_bytes) as stream:
        scanner = Scanner(stream, path, max_bytes=max_bytes)
        domain = head(scanner)
        if domain != "chain":
            scanner.fail(f"is about a {domain[:60]}, not about a chain")
        certificate = _Reader(scanner).certificate()
        scanner.expect("}")
        scanner.end()
    return certificate


class _Reader:
    """Reads the keys one after another; every list is bounded by what went before."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._values: list[Exact] = []

    def certificate(self) -> Claims:
        scanner = self._scanner
        library = self._next("library").text()
        kind = self._next("kind").text()
        if kind not in KINDS:
            scanner.fail(f"is of the kind {kind[:60]!r}, not one of {', '.join(KINDS)}")
        model = self._digest("model")
        n = model.states
        parameters = self._next("parameters").texts(_MOST_PARAMETERS)
        most = _MOST_EXPRESSIONS if parameters else _MOST_NUMBERS
        self._values = self._numbers(self._next("numbers").texts(most), parameters)
        denominator = self._denominator()
        reading = self._reading()
        respected = tuple(self._next("respected").texts(2 * _MOST_NAMES))
        self._next("initial")
        initial = None if scanner.skip("null") else self._partition("initial", n)
        self._next("partition")
        partition = self._partition("partition", n)
        self._next("kappa")
        kappa = None if scanner.skip("null") else self._array(n, n)
        quotient = self._digest("quotient")
        self._next("matrix")
        matrix = None if scanner.skip("null") else self._matrix(quotient)
        self._next("history")
        history = None if scanner.skip("null") else self._history(len(partition))
        return Claims(
            model=model,
            kind=kind,
            respected=respected,
            initial=initial,
            partition=partition,
            kappa=kappa,
            quotient=quotient,
            matrix=matrix,
            denominator=denominator,
            reading=reading,
            history=history,
            library=library,
        )

    def _next(self, name: str, separator: str = ",") -> Scanner:
        self._scanner.expect(separator)
        self._scanner.key(name)
        return self._scanner

    def _digest(self, name: str) -> Digest:
        scanner = self._next(name)
        digest = Digest(
            type=self._type(),
            states=self._next("states").integer(),
            transitions=self._next("transitions").integer(),
            matrix=self._next("matrix").text(),
            labels=self._hashes("labels"),
            rewards=self._hashes("rewards"),
            initial=self._start(),
        )
        overall = self._next("overall").text()
        if overall != digest.overall:
            scanner.fail(f"{name!r} has an overall hash that is not the hash of its parts")
        scanner.expect("}")
        return digest

    def _type(self) -> str:
        found = self._next("type", "{").text()
        if found not in ("CTMC", "DTMC"):
            self._scanner.fail(f"has the type {found[:60]!r}, not 'CTMC' or 'DTMC'")
        return found

    def _start(self) -> str | None:
        scanner = self._next("initial")
        return None if scanner.skip("null") else scanner.text()

    def _hashes(self, name: str) -> dict[str, str]:
        scanner = self._next(name)
        scanner.expect("{")
        hashes: dict[str, str] = {}
        if scanner.skip("}"):
            return hashes
        while True:
            key = scanner.text()
            if key in hashes:
                scanner.fail(f"holds the key {key[:60]!r} twice in {name!r}")
            if len(hashes) == _MOST_NAMES:
                scanner.fail(f"holds more than {_MOST_NAMES} {name}")
            scanner.expect(":")
            hashes[key] = scanner.text()
            if not scanner.skip(","):
                break
        scanner.expect("}")
        return hashes

    def _numbers(self, texts: list[str], parameters: list[str]) -> list[Exact]:
        try:
            if parameters:
                mentioned = {str(s) for text in texts for s in parse(text).free_symbols}
                if not mentioned <= set(parameters):
                    self._scanner.fail(
                        f"mentions {min(mentioned - set(parameters))!r}, no parameter"
                    )
                return read_elements(texts)
            return [rational(self._scanner, text) for text in texts]
        except InvalidValue as error:
            self._scanner.fail(f"'numbers': {error}")

    def _denominator(self) -> int | None:
        scanner = self._next("denominator")
        return None if scanner.skip("null") else _whole(scanner, scanner.text())

    def _reading(self) -> Reading:
        scanner = self._next("reading")
        reading = Reading(
            distinct=self._next("distinct", "{").integer(),
            nearest=self._next("nearest").integer(),
            neighbours=self._next("neighbours").integer(),
            largest_change=rational(scanner, self._next("largest_change").text()),
        )
        scanner.expect("}")
        return reading

    def _partition(self, name: str, n: int) -> Partition:
        labels = self._scanner.integers(most=n, largest=max(n - 1, 0))
        if len(labels) != n:
            self._scanner.fail(f"{name!r} has {len(labels)} entries for {n} states")
        partition = Partition(labels)
        if not np.array_equal(partition.labels, labels):
            self._scanner.fail(f"{name!r} does not number blocks by their first members")
        return partition

    def _array(self, least: int, most: int) -> ExactArray:
        codes = self._scanner.integers(most=most, largest=max(len(self._values) - 1, 0))
        if len(codes) < least:
            self._scanner.fail(f"holds a list of {len(codes)} numbers where {least} should be")
        if len(codes) and not self._values:
            self._scanner.fail("refers to numbers, but lists none")
        return ExactArray.of_values(codes, self._values)

    def _matrix(self, quotient: Digest) -> WeightedStructure:
        n, m = quotient.states, quotient.transitions
        sizes = self._next("row_sizes", "{").integers(most=n, largest=n)
        targets = self._next("targets").integers(most=m, largest=max(n - 1, 0))
        self._next("weights")
        weights = self._array(m, m)
        self._scanner.expect("}")
        if len(sizes) != n or sizes.sum() != m or len(targets) != m:
            self._scanner.fail("'matrix' does not have the size that 'quotient' says")
        matrix = WeightedStructure.from_rows(np.append(0, np.cumsum(sizes)), targets, weights)
        if not np.array_equal(matrix.indices, targets):  # sorted, summed, or zeros dropped
            self._scanner.fail("'matrix' has targets that do not ascend, or a weight of zero")
        return matrix

    def _indices(self, name: str, most: int, largest: int, separator: str = ",") -> IntArray:
        """Return a column of the history."""
        column = self._next(name, separator).integers(most=most, largest=max(largest, 0))
        return column.astype(np.int64)

    def _history(self, blocks: int) -> History:
        scanner, nodes = self._scanner, 2 * blocks
        order = self._indices("order", blocks, blocks - 1, "{")
        roots = self._indices("roots", blocks, blocks)
        split_node = self._indices("split_node", blocks, nodes)
        splits = len(split_node)
        splitter = self._indices("splitter", splits, nodes)
        self._next("condition")
        condition: IntArray = np.zeros(splits, dtype=np.int64)
        if not scanner.skip("null"):
            condition = scanner.integers(most=splits, largest=1).astype(np.int64)
        parts = self._indices("parts", splits, blocks)
        sizes = self._indices("sizes", nodes, blocks)
        self._next("sums")
        sums = self._array(0, nodes)
        scanner.expect("}")
        if not splits == len(splitter) == len(condition) == len(parts):
            scanner.fail("'history' has columns of different lengths")
        if not parts.sum() == len(sizes) == len(sums):
            scanner.fail("'history' has another number of sizes or of sums than of parts")
        first_part = len(roots) + np.append(0, np.cumsum(parts))
        if (split_node >= first_part[:-1]).any():
            scanner.fail("'history' splits a node that is not there yet")
        before = np.append(0, np.cumsum(sizes))
        offset = before[:-1] - np.repeat(before[first_part[:-1] - len(roots)], parts)
        starts = _starts(roots, np.repeat(split_node, parts), offset)
        ends = starts + np.concatenate([roots, sizes])
        return History(
            order, starts, ends, len(roots), split_node, splitter, condition, first_part, sums
        )


def _starts(roots: IntArray, parent: IntArray, offset: IntArray) -> IntArray:
    """Return where nodes start in "order": a part begins its offset after the node it is a part of."""
    nobody = len(roots) + len(parent)
    starts = np.concatenate([np.cumsum(roots) - roots, offset, [0]])
    above = np.concatenate([np.full(len(roots), nobody), parent, [nobody]])
    # Invariant: the start of a node is `starts` of it and of `above` of it and so on; every round
    # doubles how far `above` looks, and ends because a node comes after what it is a part of.
    while (above < nobody).any():
        starts, above = starts + starts[above], above[above]
    return starts[:-1]

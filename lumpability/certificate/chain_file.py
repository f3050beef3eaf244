"""Certificates of chains as files: long lists are columns of integers, as `lumpability.certificate.file` reads them.

A node of the history is a range of "order", and the parts of a split follow each other, so the sizes of the
parts determine where all nodes begin and end.  ``lumpability/schemas/certificate.schema.json`` describes the format.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.certificate.claims import Claims
from lumpability.certificate.digest import Digest
from lumpability.certificate.file import Reader, number_text, plain, read_document, write_document
from lumpability.certificate.json_stream import Scanner
from lumpability.certificate.kinds import KINDS
from lumpability.errors import InvalidValue
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.number_list import NumberList
from lumpability.numbers.parameters import parameters_of, parse, read_elements
from lumpability.numbers.rationals import Reading
from lumpability.partition import Partition
from lumpability.split_history import History
from lumpability.structure import WeightedStructure

IntArray = np.ndarray[Any, np.dtype[np.int64]]

_COLUMN = 1 << 16
_MOST_NAMES = 1 << 16
_MOST_NUMBERS = 1 << 25
_MOST_PARAMETERS, _MOST_EXPRESSIONS = 100, 20_000  # expressions take a millisecond each


def read_claims(path: str | Path, *, max_bytes: int | None = None) -> Claims:
    """Read a certificate of a chain as a stream of at most so many bytes after unpacking."""
    return read_document(
        path, "chain", lambda scanner: ChainReader(scanner).claims(), max_bytes=max_bytes
    )


def write_claims(certificate: Claims, path: str | Path) -> None:
    """Write a certificate to a ``.json`` or ``.json.gz`` file, whole or not at all."""
    write_document(path, "chain", _items(certificate))


class ChainReader(Reader):
    """Reads a certificate of a chain; earlier entries bound the length of every list."""

    def __init__(self, scanner: Scanner) -> None:
        super().__init__(scanner)
        self.values: list[Exact] = []

    def claims(self) -> Claims:
        """Return the claims of a certificate of a lumping."""
        scanner = self.scanner
        library = self.next("library").text()
        kind = self.kind(KINDS)
        model = self.digest("model")
        n = model.states
        parameters = self.next("parameters").texts(_MOST_PARAMETERS)
        most = _MOST_EXPRESSIONS if parameters else _MOST_NUMBERS
        self.values = self.numbers(self.next("numbers").texts(most), parameters)
        denominator = self._denominator()
        reading = self._reading()
        respected = tuple(self.next("respected").texts(2 * _MOST_NAMES))
        self.next("initial")
        within = None if scanner.skip("null") else self.partition("initial", n)
        self.next("partition")
        partition = self.partition("partition", n)
        self.next("kappa")
        kappa = None if scanner.skip("null") else self.array(n, n)
        quotient = self.digest("quotient")
        self.next("matrix")
        matrix = None if scanner.skip("null") else self._matrix(quotient)
        self.next("history")
        history = None if scanner.skip("null") else self._history(len(partition))
        return Claims(
            model=model,
            kind=kind,
            respected=respected,
            within=within,
            partition=partition,
            kappa=kappa,
            quotient=quotient,
            matrix=matrix,
            denominator=denominator,
            reading=reading,
            history=history,
            library=library,
        )

    def digest(self, name: str) -> Digest:
        """Return the digest of a chain."""
        scanner = self.next(name)
        digest = Digest(
            type=self._type(),
            states=self.next("states").integer(),
            transitions=self.next("transitions").integer(),
            matrix=self.next("matrix").text(),
            labels=self._hashes("labels"),
            rewards=self._hashes("rewards"),
            initial=self.optional("initial"),
        )
        overall = self.next("overall").text()
        if overall != digest.overall:
            self.fail(f"{name!r} has an overall hash that is not the hash of its parts")
        scanner.expect("}")
        return digest

    def _type(self) -> str:
        found = self.next("type", "{").text()
        if found not in ("CTMC", "DTMC"):
            self.fail(f"has the type {found[:60]!r}, not 'CTMC' or 'DTMC'")
        return found

    def _hashes(self, name: str) -> dict[str, str]:
        scanner = self.next(name)
        scanner.expect("{")
        hashes: dict[str, str] = {}
        if scanner.skip("}"):
            return hashes
        while True:
            key = scanner.text()
            if key in hashes:
                self.fail(f"holds the key {key[:60]!r} twice in {name!r}")
            if len(hashes) == _MOST_NAMES:
                self.fail(f"holds more than {_MOST_NAMES} {name}")
            scanner.expect(":")
            hashes[key] = scanner.text()
            if not scanner.skip(","):
                break
        scanner.expect("}")
        return hashes

    def numbers(self, texts: list[str], parameters: list[str]) -> list[Exact]:
        """Return the distinct numbers, to which other lists refer."""
        try:
            if parameters:
                mentioned = {str(s) for text in texts for s in parse(text).free_symbols}
                if not mentioned <= set(parameters):
                    self.fail(
                        f"mentions {min(mentioned - set(parameters))!r}, which is not a parameter"
                    )
                return read_elements(texts)
            return [self.rational(text) for text in texts]
        except InvalidValue as error:
            self.fail(f"'numbers': {error}")

    def _denominator(self) -> int | None:
        text = self.optional("denominator")
        return None if text is None else self.whole(text)

    def _reading(self) -> Reading:
        self.next("reading")
        reading = Reading(
            distinct=self.next("distinct", "{").integer(),
            nearest=self.next("nearest").integer(),
            neighbours=self.next("neighbours").integer(),
            largest_change=self.rational(self.next("largest_change").text()),
        )
        self.scanner.expect("}")
        return reading

    def partition(self, name: str, n: int) -> Partition:
        """Return a partition of n states from the labels of their blocks."""
        labels = self.scanner.integers(most=n, largest=max(n - 1, 0))
        if len(labels) != n:
            self.fail(f"{name!r} has {len(labels)} entries for {n} states")
        partition = Partition(labels)
        if not np.array_equal(partition.labels, labels):
            self.fail(f"{name!r} does not number blocks by their first members")
        return partition

    def array(self, least: int, most: int) -> ExactArray:
        """Return a list of at least and at most so many numbers."""
        codes = self.scanner.integers(most=most, largest=max(len(self.values) - 1, 0))
        if len(codes) < least:
            self.fail(f"holds a list of {len(codes)} numbers where {least} should be")
        if len(codes) and not self.values:
            self.fail("refers to numbers, but lists none")
        return ExactArray.of_values(codes, self.values)

    def _matrix(self, quotient: Digest) -> WeightedStructure:
        n, m = quotient.states, quotient.transitions
        sizes = self.next("row_sizes", "{").integers(most=n, largest=n)
        targets = self.next("targets").integers(most=m, largest=max(n - 1, 0))
        self.next("weights")
        weights = self.array(m, m)
        self.scanner.expect("}")
        if len(sizes) != n or sizes.sum() != m or len(targets) != m:
            self.fail("'matrix' does not have the size that 'quotient' says")
        matrix = WeightedStructure.from_rows(np.append(0, np.cumsum(sizes)), targets, weights)
        if not np.array_equal(matrix.indices, targets):  # sorted, summed, or zeros dropped
            self.fail("'matrix' has targets that do not ascend, or a weight of zero")
        return matrix

    def _indices(self, name: str, most: int, largest: int, separator: str = ",") -> IntArray:
        """Return a column of the history."""
        column = self.next(name, separator).integers(most=most, largest=max(largest, 0))
        return column.astype(np.int64)

    def _history(self, blocks: int) -> History:
        scanner, nodes = self.scanner, 2 * blocks
        order = self._indices("order", blocks, blocks - 1, "{")
        roots = self._indices("roots", blocks, blocks)
        split_node = self._indices("split_node", blocks, nodes)
        splits = len(split_node)
        splitter = self._indices("splitter", splits, nodes)
        self.next("condition")
        condition: IntArray = np.zeros(splits, dtype=np.int64)
        if not scanner.skip("null"):
            condition = scanner.integers(most=splits, largest=1).astype(np.int64)
        parts = self._indices("parts", splits, blocks)
        sizes = self._indices("sizes", nodes, blocks)
        self.next("sums")
        sums = self.array(0, nodes)
        scanner.expect("}")
        if not splits == len(splitter) == len(condition) == len(parts):
            self.fail("'history' has columns of different lengths")
        if not parts.sum() == len(sizes) == len(sums):
            self.fail("'history' has different numbers of sizes, sums and parts")
        first_part = len(roots) + np.append(0, np.cumsum(parts))
        if (split_node >= first_part[:-1]).any():
            self.fail("'history' splits a node that does not exist yet")
        before = np.append(0, np.cumsum(sizes))
        offset = before[:-1] - np.repeat(before[first_part[:-1] - len(roots)], parts)
        starts = _starts(roots, np.repeat(split_node, parts), offset)
        ends = starts + np.concatenate([roots, sizes])
        return History(
            order, starts, ends, len(roots), split_node, splitter, condition, first_part, sums
        )


def _starts(roots: IntArray, parent: IntArray, offset: IntArray) -> IntArray:
    """Return where nodes start in "order": a part starts at its offset after the start of its parent."""
    nobody = len(roots) + len(parent)
    starts = np.concatenate([np.cumsum(roots) - roots, offset, [0]])
    above = np.concatenate([np.full(len(roots), nobody), parent, [nobody]])
    # Invariant: the start of a node is the sum of `starts` over the node, its `above`, the `above` of that, ...
    # Every round doubles the distance to `above`; the loop ends because a node comes after its parent.
    while (above < nobody).any():
        starts, above = starts + starts[above], above[above]
    return starts[:-1]


def _items(certificate: Claims) -> Iterator[tuple[str, Iterable[str]]]:
    numbers = NumberList(_text)
    kappa = None if certificate.kappa is None else numbers.codes(certificate.kappa)
    matrix, history = certificate.matrix, certificate.history
    weights = None if matrix is None else numbers.codes(matrix.weights)
    sums = None if history is None else numbers.codes(history.sums)
    reading = certificate.reading
    yield "library", plain(certificate.library)
    yield "kind", plain(certificate.kind)
    yield "model", plain(digest_object(certificate.model))
    yield "parameters", plain(sorted({str(symbol) for symbol in parameters_of(numbers.values)}))
    yield "numbers", plain(numbers.texts)
    denominator = certificate.denominator
    yield "denominator", plain(None if denominator is None else number_text(denominator))
    read = {**vars(reading), "largest_change": str(reading.largest_change)}
    del read["rescaled"]  # the digest of the matrix is about the rows as they were divided
    yield "reading", plain(read)
    yield "respected", plain(list(certificate.respected))
    yield "initial", column(None if certificate.within is None else certificate.within.labels)
    yield "partition", column(certificate.partition.labels)
    yield "kappa", column(kappa)
    yield "quotient", plain(digest_object(certificate.quotient))
    columns = {} if matrix is None else _matrix_columns(matrix, weights)
    yield "matrix", _columns(columns)
    yield "history", _columns({} if history is None else _history_columns(history, sums))


def column(array: np.ndarray[Any, Any] | None) -> Iterator[str]:
    """Yield a column of integers as JSON text in pieces, null for None."""
    if array is None:
        yield "null"
        return
    yield "["
    for start in range(0, len(array), _COLUMN):
        yield ("," if start else "") + ",".join(map(str, array[start : start + _COLUMN].tolist()))
    yield "]"


def _columns(columns: Mapping[str, np.ndarray[Any, Any] | None]) -> Iterator[str]:
    if not columns:
        yield "null"
        return
    for number, (key, array) in enumerate(columns.items()):
        yield f"{',' if number else '{'}\n  {json.dumps(key)}: "
        yield from column(array)
    yield "\n}"


def digest_object(digest: Digest) -> dict[str, Any]:
    """Return a digest as the JSON object that certificates hold."""
    return {**vars(digest), "overall": digest.overall}


def _matrix_columns(matrix: WeightedStructure, weights: Any) -> dict[str, Any]:
    return {"row_sizes": np.diff(matrix.indptr), "targets": matrix.indices, "weights": weights}


def _history_columns(history: History, sums: Any) -> dict[str, Any]:
    sizes = history.ends - history.starts
    return {
        "order": history.order,
        "roots": sizes[: history.roots],
        "split_node": history.split_node,
        "splitter": history.splitter,
        "condition": history.condition if history.condition.any() else None,
        "parts": np.diff(history.first_part),
        "sizes": sizes[history.roots :],
        "sums": sums,
    }


def _text(value: Exact) -> str:
    return number_text(value) if isinstance(value, Fraction) else str(value.as_expr())

"""Certificates of chains written as files, piece by piece; `lumpability.certificate.file` has the format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.certificate.claims import Claims
from lumpability.certificate.digest import Digest
from lumpability.certificate.file import FORMAT, LONGEST_INTEGER, VERSION
from lumpability.errors import SizeLimit
from lumpability.files import writing
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.parameters import parameters_of
from lumpability.split_history import History
from lumpability.structure import WeightedStructure

__all__ = ["digest_object", "write_claims"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]

_COLUMN = 1 << 16


def write_claims(certificate: Claims, path: str | Path) -> None:
    """Write a certificate to a ``.json`` or ``.json.gz`` file, whole or not at all."""
    with writing(path) as handle:
        for number, (key, pieces) in enumerate(_items(certificate)):
            handle.write(f"{',' if number else '{'}\n{json.dumps(key)}: ".encode())
            for piece in pieces:
                handle.write(piece.encode())
        handle.write(b"\n}\n")


def _items(certificate: Claims) -> Iterator[tuple[str, Iterator[str] | list[str]]]:
    numbers = _Numbers()
    kappa = None if certificate.kappa is None else numbers.codes(certificate.kappa)
    matrix, history = certificate.matrix, certificate.history
    weights = None if matrix is None else numbers.codes(matrix.weights)
    sums = None if history is None else numbers.codes(history.sums)
    reading = certificate.reading
    yield "format", _plain(FORMAT)
    yield "version", _plain(VERSION)
    yield "domain", _plain("chain")
    yield "library", _plain(certificate.library)
    yield "kind", _plain(certificate.kind)
    yield "model", _plain(digest_object(certificate.model))
    yield "parameters", _plain(numbers.parameters)
    yield "numbers", _plain(numbers.texts)
    yield "denominator", _plain(_text(certificate.denominator))
    yield (
        "reading",
        _plain(
            {
                "distinct": reading.distinct,
                "nearest": reading.nearest,
                "neighbours": reading.neighbours,
                "largest_change": str(reading.largest_change),
            }
        ),
    )
    yield "respected", _plain(list(certificate.respected))
    yield "initial", _column(None if certificate.initial is None else certificate.initial.labels)
    yield "partition", _column(certificate.partition.labels)
    yield "kappa", _column(kappa)
    yield "quotient", _plain(digest_object(certificate.quotient))
    columns = {} if matrix is None else _matrix_columns(matrix, weights)
    yield "matrix", _columns(columns)
    yield "history", _columns({} if history is None else _history_columns(history, sums))


def _plain(value: Any) -> list[str]:
    return [json.dumps(value)]


def _text(number: int | None) -> str | None:
    if number is not None and number.bit_length() > 3 * LONGEST_INTEGER:
        raise SizeLimit(f"a number of {number.bit_length()} bits is too long for a certificate")
    return None if number is None else str(number)


def _column(array: np.ndarray[Any, Any] | None) -> Iterator[str]:
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
        yield from _column(array)
    yield "\n}"


def digest_object(digest: Digest) -> dict[str, Any]:
    """Return a digest as the JSON object that certificates hold."""
    return {
        "type": digest.type,
        "states": digest.states,
        "transitions": digest.transitions,
        "matrix": digest.matrix,
        "labels": digest.labels,
        "rewards": digest.rewards,
        "initial": digest.initial,
        "overall": digest.overall,
    }


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


class _Numbers:
    """Distinct numbers of several arrays, in order of appearance."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.parameters: list[str] = []
        self._number: dict[str, int] = {}

    def codes(self, array: ExactArray) -> IntArray:
        """Return the positions of an array's numbers in the common list."""
        names = {str(symbol) for symbol in parameters_of(array.values)}
        self.parameters = sorted({*self.parameters, *names})
        table = np.empty(len(array.values), dtype=np.int64)
        for code, value in enumerate(array.values):
            text = self._text(value)
            table[code] = self._number.setdefault(text, len(self.texts))
            if table[code] == len(self.texts):
                self.texts.append(text)
        codes: IntArray = table[array.codes]
        return codes

    @staticmethod
    def _text(value: Exact) -> str:
        if isinstance(value, Fraction):
            _text(max(abs(value.numerator), value.denominator))
            return str(value)
        return str(value.as_expr())

"""The parts of a UMB file: its index, checked by the package ``umbi``, and its bit vectors and rationals.

A rational of 128 k bits is a signed numerator of 64 k bits followed by an unsigned denominator, both
with the low bytes first.  They are interned word by word, so that each distinct number becomes a
`Fraction` once.
"""

from __future__ import annotations

import json
import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, require
from lumpability.formats.assembly import distinct_rows
from lumpability.formats.strict_json import parse_object
from lumpability.formats.tokens import shown
from lumpability.markov.attributes import Mask
from lumpability.numbers.exact_array import ExactArray

_FORMAT_VERSION = 1
_WORD = 8
_DEFAULT_SIZES = {"bool": 1, "int": 64, "uint": 64, "double": 64, "rational": 128, "string": 64}


def _index_module() -> Any:
    module = require("umbi.umb.index", extra="umb")
    # Without a handler, umbi would log a bad file to standard error, besides our message.
    logging.getLogger("umbi").addHandler(logging.NullHandler())
    return module


def _with_sizes(item: Any) -> Any:
    """Add the default size to a type without one, which UMB allows and umbi does not expect."""
    if isinstance(item, list):
        return [_with_sizes(part) for part in item]
    if not isinstance(item, dict):
        return item
    result = {key: _with_sizes(value) for key, value in item.items()}
    kind = item.get("type")
    if isinstance(kind, str) and "size" not in item:
        base = kind.removesuffix("-interval")
        if base in _DEFAULT_SIZES:
            result["size"] = _DEFAULT_SIZES[base] * (1 if base == kind else 2)
    return result


def load_index(data: bytes, path: str | Path) -> Any:
    """Read an index; return an ``umbi.umb.index.UmbIndex``.

    Raises `FormatError` if it is not JSON, or not an index of version 1.
    """
    document = parse_object(data, path, decimals=True)
    version = document.get("format-version")
    if version != _FORMAT_VERSION:
        raise FormatError(
            f"is of UMB version {shown(repr(version))}; this library reads version {_FORMAT_VERSION}",
            path=path,
        )
    module = _index_module()
    marshmallow = require("marshmallow", extra="umb")
    try:
        index = module.UmbIndex.from_json(_with_sizes(document))
        index.validate()
    except (
        marshmallow.ValidationError,
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        NotImplementedError,
        TypeError,
        ValueError,
    ) as error:  # umbi raises all of these for indices it does not expect
        raise FormatError(
            f"'index.json' is not a UMB index ({shown(str(error), 200)})", path=path
        ) from error
    return index


def dump_index(document: dict[str, Any], path: str | Path) -> bytes:
    """Check an index against the format and return its text."""
    document = {"format-version": _FORMAT_VERSION, "format-revision": 0, **document}
    text = json.dumps(document, indent=2).encode()
    load_index(text, path)
    return text


def bits(data: bytes, count: int) -> Mask:
    """Read a bit vector, low bits first.

    >>> bits(packed_bits(np.array([True, False, True])), 3).tolist()
    [True, False, True]
    """
    packed = np.frombuffer(data, dtype=np.uint8)
    return np.unpackbits(packed, count=count, bitorder="little").astype(bool)


def packed_bits(mask: Mask) -> bytes:
    """Write a bit vector, padded to whole words of 64 bits."""
    data = np.packbits(mask, bitorder="little").tobytes()
    return data + b"\0" * (-len(data) % _WORD)


def rationals(data: bytes, size: int, path: str | Path) -> ExactArray:
    """Read rationals of `size` bytes each.

    Raises `FormatError` if a denominator is zero.
    """
    if not data:
        return ExactArray.of_values(np.empty(0, dtype=np.uint8), [])
    words = np.frombuffer(data, dtype="<u8").reshape(-1, size // _WORD)
    codes, examples = distinct_rows([words[:, j] for j in range(words.shape[1])])
    values = []
    for example in examples.tolist():
        raw = words[example].tobytes()
        numerator = int.from_bytes(raw[: size // 2], "little", signed=True)
        denominator = int.from_bytes(raw[size // 2 :], "little", signed=False)
        if denominator == 0:
            raise FormatError("holds a number with the denominator 0", path=path)
        values.append(Fraction(numerator, denominator))
    return ExactArray.of_values(codes, values)


def packed_rationals(array: ExactArray) -> tuple[bytes, int]:
    """Write rationals in the smallest size that fits all; return the bytes and the size of each."""
    most = max(
        (max(_signed_bits(v.numerator), v.denominator.bit_length()) for v in array.values),
        default=1,
    )
    half = -(-most // 64) * _WORD
    table = b"".join(
        v.numerator.to_bytes(half, "little", signed=True) + v.denominator.to_bytes(half, "little")
        for v in array.values
    )
    rows = np.frombuffer(table, dtype=f"V{2 * half}")
    return rows[array.codes].tobytes() if len(array) else b"", 2 * half


def _signed_bits(number: int) -> int:
    return (number if number >= 0 else -number - 1).bit_length() + 1

"""JSON read strictly, in bounded time and memory.

Python's parser accepts NaN, duplicate keys, and decimals that it rounds to doubles.  None of these has a meaning in
an exact model, so all are refused.  A document names its format in "format" and "version".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from lumpability.errors import FormatError, SizeLimit
from lumpability.files import opened
from lumpability.formats.tokens import shown

_MAX_BYTES = 1 << 30  # parsing takes about ten times as much, and of many small lists 27 times
PACKED = (16 << 20, 30)
"""The limits of packed JSON, see `files.check_size`."""
_MOST_OF_PART = 16 << 20  # bytes of JSON that is a part of another file
_PIECE = 1 << 20
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_document(path: str | Path, *, max_bytes: int | None = None) -> dict[str, Any]:
    """Read a JSON object from a file, ``.gz`` or plain; decimal numbers are refused.

    Raises `FormatError` if it is not JSON, not an object, or holds NaN, a decimal number or a key twice, and
    `SizeLimit` if the text has more than `max_bytes` bytes, by default 1 GiB.
    """
    limit = _MAX_BYTES if max_bytes is None else max_bytes
    with opened(path, max_bytes=max_bytes, limits=PACKED, text=True) as stream:
        pieces, size = [], 0
        while size <= limit and (piece := stream.read(_PIECE)):  # read(n) takes n bytes at once
            pieces.append(piece)
            size += len(piece)
    text = b"".join(pieces)
    if size > limit:
        raise SizeLimit(
            f"{path}: has more than {limit} bytes; raise max_bytes, or use DRN or NPZ for a model of "
            "this size",
            path=str(path),
            limit=limit,
        )
    return parse_object(text, path, decimals=False, most=limit)


def parse_object(
    text: bytes, path: str | Path, *, decimals: bool, most: int = _MOST_OF_PART
) -> dict[str, Any]:
    """Parse a JSON object strictly.

    - path: for messages
    - decimals: whether numbers such as 0.5 are accepted, as doubles
    - most: bytes

    >>> parse_object(b'{"a": 1, "a": 2}', "a.json", decimals=False)
    Traceback (most recent call last):
        ...
    lumpability.errors.FormatError: a.json: holds the key 'a' twice in one object
    """
    if len(text) > most:
        raise SizeLimit(f"{path}: holds JSON of more than {most} bytes", path=str(path), limit=most)
    document = parse_strictly(text, path, decimals=decimals)
    if not isinstance(document, dict):
        raise FormatError(f"is a JSON {type(document).__name__}, not an object", path=path)
    return document


def parse_strictly(text: bytes, path: str | Path, *, decimals: bool) -> Any:
    """Parse any JSON value as `parse_object` does."""

    def refuse(number: str) -> NoReturn:
        raise FormatError(
            f'holds the number {shown(number)}: exact numbers are integers or texts such as "1/3"',
            path=path,
            value=number[:1000],
        )

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = Counter(key for key, _ in pairs)
            twice = keys.most_common(1)[0][0]
            raise FormatError(f"holds the key {shown(twice)!r} twice in one object", path=path)
        return result

    try:
        value = json.loads(
            text.decode(),
            parse_float=float if decimals else refuse,
            parse_constant=refuse,
            object_pairs_hook=unique,
        )
        _refuse_halves(value, text)
    except FormatError:
        raise
    except json.JSONDecodeError as error:
        raise FormatError(f"is not JSON: {error.msg}", path=path, line=error.lineno) from error
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise FormatError(f"holds {half!r}, which is half a character", path=path) from error
    except UnicodeDecodeError as error:
        raise FormatError(f"holds bytes that are not UTF-8 text ({error})", path=path) from error
    except RecursionError as error:
        raise FormatError("nests brackets too deeply", path=path) from error
    except ValueError as error:
        raise FormatError(f"holds an integer of too many digits ({error})", path=path) from error
    return value


def _refuse_halves(value: Any, text: bytes) -> None:
    """Fail to encode a half of a surrogate pair; what looks like one is mostly part of a pair."""
    if _SURROGATE.search(text) is not None:
        json.dumps(value, ensure_ascii=False).encode()


def check_version(document: dict[str, Any], path: str | Path, name: str, newest: int) -> int:
    """Return the version of a document of the format `name`; refuse others and newer ones.

    >>> check_version({"format": "x", "version": 2}, "a.json", "x", newest=1)
    Traceback (most recent call last):
        ...
    lumpability.errors.FormatError: a.json: is version 2 of 'x'; this library reads up to version 1
    """
    if document.get("format") != name:
        raise FormatError(
            f"is of the format {shown(repr(document.get('format')))}, not {name!r}", path=path
        )
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FormatError(f"has the version {shown(repr(version))}, not a number from 1", path=path)
    if version > newest:
        raise FormatError(
            f"is version {version} of {name!r}; this library reads up to version {newest}",
            path=path,
        )
    return version


def write_pieces(items: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Yield a JSON object piece by piece, one key on each line.

    >>> print("".join(write_pieces([("a", 1), ("b", [1, 2])])), end="")
    {
    "a": 1,
    "b": [1, 2]
    }
    """
    before = "{\n"
    for key, value in items:
        text = json.dumps(value)
        _refuse_halves(value, text.encode())
        yield f"{before}{json.dumps(key)}: {text}"
        before = ",\n"
    yield "\n}\n"

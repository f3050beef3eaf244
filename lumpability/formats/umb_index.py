"""The index of a UMB file, checked by the package ``umbi``."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from lumpability.errors import FormatError, require
from lumpability.formats.strict_json import parse_object
from lumpability.formats.tokens import shown

__all__ = ["dump_index", "load_index"]

_FORMAT_VERSION = 1
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

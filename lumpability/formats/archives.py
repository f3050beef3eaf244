"""NumPy's ``.npz`` archives, read without trusting them and written reproducibly.

An archive is a zip file with an array in each member.  Arrays are read one by one: the sizes that the
directory and the array's header announce are checked before anything is unpacked, and arrays of Python
objects, which only unpickling could read, are refused.  Written archives depend on their contents only.
"""

from __future__ import annotations

import io
import math
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from lumpability.errors import FormatError
from lumpability.files import check_size, opened, reading, writing
from lumpability.formats.tokens import Array, shown

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNSOUND = (ValueError, TypeError, SyntaxError, TokenError, OverflowError, RecursionError)


def read_arrays(path: str | Path, *, max_bytes: int | None = None) -> dict[str, Array]:
    """Read all arrays of an archive.

    Raises `FormatError` if the file is not an archive, is damaged, or holds Python objects; names the member.
    Raises `SizeLimit` if the arrays have more than `max_bytes` bytes together.
    """
    path = Path(path)
    arrays: dict[str, Array] = {}
    with opened(path) as stream, reading(path):
        try:
            with zipfile.ZipFile(stream) as archive:
                members = archive.infolist()
                check_size(
                    path,
                    sum(member.file_size for member in members),
                    sum(member.compress_size for member in members),
                    max_bytes,
                )
                for member in members:
                    name = member.filename.removesuffix(".npy")
                    if name in arrays:
                        raise FormatError(f"holds {shown(name)!r} twice", path=path)
                    arrays[name] = _read_array(archive.read(member), name, path)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise FormatError(f"is not a sound .npz archive ({error})", path=path) from error
    return arrays


def _read_array(data: bytes, name: str, path: Path) -> Array:
    try:
        dtype, announced, held = _announcement(data)
    except _UNSOUND as error:
        raise FormatError(f"{shown(name)!r} is not a sound array ({error})", path=path) from error
    if dtype.hasobject:
        raise FormatError(
            f"{shown(name)!r} holds pickled Python objects, which are never read: save it as numbers "
            "or text",
            path=path,
            member=name,
        )
    if announced != held:
        raise FormatError(
            f"{shown(name)!r} announces {announced} bytes but holds {held}: the file is cut off or "
            "changed",
            path=path,
            member=name,
        )
    try:
        array: Array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except _UNSOUND as error:
        raise FormatError(f"{shown(name)!r} is not a sound array ({error})", path=path) from error
    if array.dtype.kind == "U" and array.dtype.itemsize:
        code_points = np.dtype("u4").newbyteorder(array.dtype.byteorder)
        codes = np.ascontiguousarray(array).reshape(-1).view(code_points)
        wrong = codes[((codes >= 0xD800) & (codes <= 0xDFFF)) | (codes > sys.maxunicode)]
        if len(wrong):  # half a surrogate pair, or nothing at all
            raise FormatError(
                f"{shown(name)!r} holds {int(wrong[0]):#x}, which is half a character or none",
                path=path,
            )
    return array


def _announcement(data: bytes) -> tuple[np.dtype[Any], int, int]:
    """Return the type, the bytes announced and the bytes present of an array."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"its format is {version}")
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(stream)
    if any(extent < 0 for extent in shape):
        raise ValueError(f"its shape is {shape}")
    return dtype, dtype.itemsize * math.prod(shape), len(data) - stream.tell()


def write_arrays(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays to an archive, packed, whole or not at all; the same arrays give the same bytes."""
    with writing(path) as handle, zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)

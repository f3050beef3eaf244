"""Files: read within limits, written whole or not at all.

A packed file of a few megabytes can unpack to terabytes.  Unpacking therefore counts what comes out
and stops at `DEFAULT_MAX_BYTES`, or when the ratio to what went in passes 1000 (deflate reaches 1032
on constant data; models stay below 100).  A file is written under a temporary name beside its
target and renamed when complete: a run that dies leaves the old file as it was.  Whatever goes wrong
becomes a `FormatError` that names the file.
"""

from __future__ import annotations

import gzip
import io
import secrets
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from lumpability.errors import FormatError, InvalidInput, SizeLimit

__all__ = ["DEFAULT_MAX_BYTES", "check_size", "opened", "reading", "replacing", "writing"]

DEFAULT_MAX_BYTES = 8 << 30
"""Largest number of bytes that a packed file may unpack to, unless ``max_bytes=`` says otherwise."""

_MAX_RATIO, _RATIO_FLOOR = 1000, 64 << 20
_BUFFER = 1 << 20
_LEVEL = 6


def check_size(path: str | Path, unpacked: int, packed: int, max_bytes: int) -> None:
    """Refuse a packed file that unpacks beyond the limits.

    Raises
    ------
    SizeLimit
        Names the limit; carries ``path`` and ``limit``.

    Examples
    --------
    >>> check_size("bomb.drn.gz", unpacked=10**6, packed=1000, max_bytes=10**5)
    Traceback (most recent call last):
        ...
    lumpability.errors.SizeLimit: bomb.drn.gz: unpacks to more than 100000 bytes; if it is meant to, raise max_bytes
    """
    if unpacked > max_bytes:
        raise SizeLimit(
            f"{path}: unpacks to more than {max_bytes} bytes; if it is meant to, raise max_bytes",
            path=str(path),
            limit=max_bytes,
        )
    if unpacked > _RATIO_FLOOR and unpacked > _MAX_RATIO * packed:
        raise SizeLimit(
            f"{path}: unpacks to more than {_MAX_RATIO} times its size, which no model does; "
            "unpack it yourself if you trust it",
            path=str(path),
            limit=_MAX_RATIO,
        )


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a gzip file, counted."""

    def __init__(self, packed: BinaryIO, path: Path, max_bytes: int) -> None:
        self._packed, self._path, self._max_bytes = packed, path, max_bytes
        self._source = gzip.GzipFile(fileobj=packed)
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._source.readinto(buffer)
        self._total += count
        check_size(self._path, self._total, self._packed.tell(), self._max_bytes)
        return count


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a `FormatError` that names the file.

    Examples
    --------
    >>> with reading("chain.drn"):
    ...     raise InvalidInput("row 3 sums to 2", row=3)
    Traceback (most recent call last):
        ...
    lumpability.errors.FormatError: chain.drn: row 3 sums to 2
    """
    try:
        yield
    except (FormatError, SizeLimit):
        raise
    except InvalidInput as error:
        evidence = {k: v for k, v in error.evidence.items() if k not in ("path", "line")}
        raise FormatError(str(error), path=path, **evidence) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(f"the packed data are damaged or cut off ({error})", path=path) from error
    except UnicodeDecodeError as error:
        raise FormatError(f"holds bytes that are not UTF-8 text ({error})", path=path) from error
    except MemoryError as error:
        raise FormatError("needs more memory than there is", path=path) from error
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}", path=path) from error


@contextmanager
def opened(path: str | Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> Iterator[BinaryIO]:
    """Open a file for reading in binary; ``.gz`` is unpacked on the way, in bounded memory.

    Parameters
    ----------
    path : str or Path
    max_bytes : int
        Largest size after unpacking.

    Raises
    ------
    FormatError
        If the file cannot be read or is damaged.
    SizeLimit
        If it unpacks beyond the limits.
    """
    path = Path(path)
    with reading(path), path.open("rb") as plain:
        if path.suffix.lower() != ".gz":
            yield plain
        else:
            with io.BufferedReader(_Unpacked(plain, path, max_bytes), _BUFFER) as unpacked:
                yield unpacked  # type: ignore[misc]  # a BufferedReader is a BinaryIO in all but name


@contextmanager
def replacing(paths: Sequence[str | Path]) -> Iterator[list[BinaryIO]]:
    """Write several files and put all of them in place at the end, or none.

    Parameters
    ----------
    paths : sequence of str or Path
        Existing files are replaced, symbolic links followed.

    Yields
    ------
    list of binary files, in the order of `paths`

    Raises
    ------
    FormatError
        If a file cannot be written; nothing is left behind and old files are untouched.
    """
    targets = [Path(path).resolve() for path in paths]
    temporary = [t.with_name(f".{t.name}.{secrets.token_hex(4)}.tmp") for t in targets]
    handles: list[BinaryIO] = []
    current = Path(paths[0])
    try:
        for current, target, name in zip(paths, targets, temporary, strict=True):
            if target.exists() and not target.is_file():
                raise FormatError("cannot be written: it is not a regular file", path=current)
            handles.append(name.open("xb"))
        yield handles
        for handle in handles:
            handle.close()
        for current, target, name in zip(paths, targets, temporary, strict=True):
            if target.exists():
                name.chmod(target.stat().st_mode)
            name.replace(target)
    except OSError as error:
        raise FormatError(f"cannot be written: {error.strerror or error}", path=current) from error
    finally:
        for handle in handles:
            handle.close()
        for name in temporary[: len(handles)]:
            name.unlink(missing_ok=True)


@contextmanager
def writing(path: str | Path) -> Iterator[IO[bytes]]:
    """Write one file, packed if its name ends in ``.gz``, whole or not at all.

    The bytes depend on the contents only: no time and no name goes into a packed file.

    Raises
    ------
    FormatError
        If the file cannot be written.
    """
    with replacing([path]) as (handle,):
        if Path(path).suffix.lower() != ".gz":
            yield handle
        else:
            with gzip.GzipFile("", "wb", _LEVEL, handle, mtime=0) as packed:
                yield packed

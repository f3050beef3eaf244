"""Files: read within limits, written whole or not at all.

A packed file of a few megabytes can unpack to terabytes.  Unpacking therefore counts what comes out
and stops at ``max_bytes``; by default at 8 GiB, and where it passes both a size that every file may have (32 MiB,
more for networks, in which pruning leaves zeros) and 100 times what went in.  A file is written under a
temporary name beside its target and renamed when complete: if the program stops early, the old file stays
as it was, and the next run removes the unfinished one.  Every error becomes a `FormatError` that names the file.
"""

from __future__ import annotations

import codecs
import glob
import gzip
import io
import lzma
import os
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO, cast

from lumpability.errors import FormatError, InvalidInput, SizeLimit

_MAX_BYTES = 8 << 30
LIMITS = (32 << 20, 100)
"""The size in bytes that every packed file may have, and how many times its own beyond."""
_STALE = 60  # seconds after which a file that nobody holds is a leftover
_MARK = "[0-9a-f]" * 8  # in the name of an unfinished file, as a pattern
_BUFFER = 1 << 20
_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"
_LEVEL = 6
_PENDING: ContextVar[list[tuple[Path, Path, Path]] | None] = ContextVar("_PENDING", default=None)
_OTHER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def check_size(
    path: str | Path,
    unpacked: int,
    packed: int,
    max_bytes: int | None,
    limits: tuple[int, int] = LIMITS,
) -> None:
    """Refuse a packed file that unpacks beyond the limits.

    Raises `SizeLimit`, which names the limit and carries ``path`` and ``limit``.

    - max_bytes: in place of the limits by default
    - limits: the size up to which a file may be packed as much as it is, and the ratio beyond

    >>> check_size("bomb.drn.gz", unpacked=10**6, packed=1000, max_bytes=10**5)
    Traceback (most recent call last):
        ...
    lumpability.errors.SizeLimit: bomb.drn.gz: unpacks to more than 100000 bytes; if it is meant to, raise max_bytes
    """
    limit = _MAX_BYTES if max_bytes is None else max_bytes
    if unpacked > limit:
        raise SizeLimit(
            f"{path}: unpacks to more than {limit} bytes; if it is meant to, raise max_bytes",
            path=str(path),
            limit=limit,
        )
    floor, ratio = limits
    if max_bytes is None and unpacked > max(floor, ratio * packed):
        raise SizeLimit(
            f"{path}: unpacks to more than {floor >> 20} MiB and {ratio} times its size; if it is meant "
            "to, give max_bytes",
            path=str(path),
            limit=ratio,
        )


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a file, counted."""

    def __init__(
        self, source: Any, packed: BinaryIO, path: Path, max_bytes: int | None, limits: Any
    ) -> None:
        self._source, self._size = source, os.fstat(packed.fileno()).st_size
        self._path, self._limits = path, (max_bytes, limits)
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._source.readinto(buffer)
        self._total += count
        check_size(self._path, self._total, self._size, *self._limits)
        return count


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn errors while a file is read into a `FormatError` that names the file.

    >>> with reading("chain.drn"):
    ...     raise InvalidInput("row 3 sums to 2", row=3)
    Traceback (most recent call last):
        ...
    lumpability.errors.FormatError: chain.drn: row 3 sums to 2
    """
    try:
        yield
    except FormatError:
        raise
    except InvalidInput as error:
        if "path" in error.evidence:  # it already names the file
            raise
        if isinstance(error, SizeLimit):
            raise SizeLimit(f"{path}: {error}", path=str(path), **error.evidence) from error
        raise FormatError(str(error), path=path, **error.evidence) from error
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise FormatError(f"the packed data are damaged or cut off ({error})", path=path) from error
    except UnicodeDecodeError as error:
        raise FormatError(f"holds bytes that are not UTF-8 text ({error})", path=path) from error
    except MemoryError as error:
        raise FormatError("needs more memory than there is", path=path) from error
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}", path=path) from error


class _CarriageReturns(io.RawIOBase):
    """A text whose lines end with carriage returns alone, with line feeds instead."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(data)] = data
        return len(data)


def _as_text(stream: Any, path: Path) -> Any:
    """Skip a byte order mark, and read the line ends of old Macs; leave other streams as they are."""
    start = stream.peek(_BUFFER)
    for mark, encoding in _OTHER_MARKS:
        if start.startswith(mark):
            raise FormatError(
                f"begins with the byte order mark of {encoding}: save it as UTF-8", path=path
            )
    while stream.peek(_BUFFER).startswith(codecs.BOM_UTF8):  # joined files may have two
        stream.read(len(codecs.BOM_UTF8))
    if b"\r" in start and b"\n" not in start:
        return io.BufferedReader(_CarriageReturns(stream), _BUFFER)
    return stream


@contextmanager
def opened(
    path: str | Path,
    *,
    max_bytes: int | None = None,
    limits: tuple[int, int] = LIMITS,
    by_content: bool = False,
    text: bool = False,
) -> Iterator[BinaryIO]:
    """Open a file for reading in binary; ``.gz`` is unpacked on the way, in bounded memory.

    Raises `FormatError` if the file cannot be read or is damaged, and `SizeLimit` if it unpacks beyond the
    limits.

    - max_bytes: largest size after unpacking, in place of the limits by default
    - limits: see `check_size`
    - by_content: look at the first bytes instead of the suffix, and unpack gzip and xz
    - text: skip a byte order mark, and read lines that end with carriage returns alone
    """
    path = Path(path)
    with reading(path), path.open("rb") as plain:
        source = _unpacker(plain, path, by_content)
        if source is None:
            yield _as_text(plain, path) if text else plain
        else:
            raw = _Unpacked(source, plain, path, max_bytes, limits)
            with io.BufferedReader(raw, _BUFFER) as unpacked:
                yield _as_text(unpacked, path) if text else unpacked


def _unpacker(plain: BinaryIO, path: Path, by_content: bool) -> Any:
    if not by_content:
        return gzip.GzipFile(fileobj=plain) if path.suffix.lower() == ".gz" else None
    start = plain.read(len(_XZ))
    plain.seek(0)
    if start.startswith(_GZIP):
        return gzip.GzipFile(fileobj=plain)
    return lzma.LZMAFile(plain) if start == _XZ else None


@contextmanager
def replacing(paths: Sequence[str | Path]) -> Iterator[list[BinaryIO]]:
    """Write several files and put all of them in place at the end, or none of them.

    Raises `FormatError` if a file cannot be written; then no file is left behind, and old files stay.

    - paths: existing files are replaced, symbolic links followed
    """
    names = [Path(path) for path in paths]
    targets = _targets(names)
    temporary = [t.with_name(f".{t.name}.{secrets.token_hex(4)}.tmp") for t in targets]
    pending, waiting = _PENDING.get(), False
    handles: list[BinaryIO] = []
    current = names[0]
    try:
        for current, target, unfinished in zip(names, targets, temporary, strict=True):
            handles.append(_created(current, target, unfinished))
        current = names[0]
        yield handles
        for handle in handles:
            handle.flush()
            os.fsync(handle.fileno())  # or a crash could leave the name with nothing in it
            handle.close()
        moves = list(zip(names, targets, temporary, strict=True))
        if pending is None:
            _put_in_place(moves)
        else:
            pending += moves
            waiting = True
    except FormatError:
        raise
    except InvalidInput as error:
        raise FormatError(f"cannot be written: {error}", path=current) from error
    except UnicodeEncodeError as error:
        raise FormatError(
            f"cannot be written: a name holds {error.object[error.start : error.end]!r}, which is not "
            "a character",
            path=current,
        ) from error
    except OSError as error:
        raise FormatError(f"cannot be written: {error.strerror or error}", path=current) from error
    finally:
        try:
            for handle in handles:
                with suppress(OSError):  # a full disk raises again; the error has been reported
                    handle.close()
        finally:  # an interrupt may come before a new file is in the list, and while files are closed
            for unfinished in [] if waiting else temporary:
                unfinished.unlink(missing_ok=True)


def _targets(names: Sequence[Path]) -> list[Path]:
    """Return the files behind symbolic links; refuse loops, and one file under two names."""
    targets: list[Path] = []
    for name in names:
        try:
            targets.append(name.resolve())
            loops = targets[-1].is_symlink()  # from Python 3.13 on
        except (OSError, RuntimeError):  # which of them, depends on the version of Python
            loops = True
        if loops:
            raise FormatError("cannot be written: its symbolic links form a loop", path=name)
        if targets[-1] in targets[:-1]:
            raise FormatError("is to be written twice", path=name)
    return targets


def _put_in_place(moves: list[tuple[Path, Path, Path]]) -> None:
    for name, target, unfinished in moves:
        try:
            if target.exists():
                unfinished.chmod(target.stat().st_mode)
            unfinished.replace(target)
        except OSError as error:
            raise FormatError(f"cannot be written: {error.strerror or error}", path=name) from error


@contextmanager
def together() -> Iterator[None]:
    """Put all files that are written inside in place at the end, or none of them if an exception ends it.

    Raises `FormatError` if one file is written twice.
    """
    pending: list[tuple[Path, Path, Path]] = []
    token = _PENDING.set(pending)
    try:
        yield
        targets = [target for _, target, _ in pending]
        twice = next((name for name, target, _ in pending if targets.count(target) > 1), None)
        if twice is not None:
            raise FormatError("is to be written twice", path=twice)
        _put_in_place(pending)
    finally:
        _PENDING.reset(token)
        for *_, unfinished in pending:
            unfinished.unlink(missing_ok=True)


def _created(path: Path, target: Path, unfinished: Path) -> BinaryIO:
    if target.exists() and not target.is_file():
        raise FormatError("cannot be written: it is not a regular file", path=path)
    remove_leftovers(target)
    handle = unfinished.open("xb")
    hold(handle)
    return handle


def remove_leftovers(target: Path) -> list[Path]:
    """Remove what killed runs left beside a file: old unfinished files that no process holds open.

    Returns the files that were removed.
    """
    return _remove(target.parent.glob(f".{glob.escape(target.name)}.{_MARK}.tmp"))


def remove_all_leftovers(folder: Path) -> list[Path]:
    """Remove what killed runs left in a folder, beside any file; see `remove_leftovers`."""
    return _remove(folder.glob(f".?*.{_MARK}.tmp"))


def _remove(candidates: Iterable[Path]) -> list[Path]:
    removed = []
    for left in candidates:
        with suppress(OSError):  # another process was quicker, or it is not ours
            if is_left_over(left):
                left.unlink()
                removed.append(left)
    return removed


def is_left_over(path: Path) -> bool:
    """Whether a file is old and no process holds it open."""
    if time.time() - path.stat().st_mtime < _STALE:
        return False
    with path.open("rb") as handle:
        return hold(handle)


def hold(handle: BinaryIO) -> bool:
    """Hold a file as long as it is open; whether nobody else does."""
    try:
        import fcntl
    except ImportError:  # without locks only the age counts
        return True
    try:
        fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def writing(path: str | Path, *, packed: bool | None = None) -> Iterator[BinaryIO]:
    """Write one file, packed with gzip if its name ends in ``.gz``, whole or not at all.

    The bytes depend on the contents only: a packed file holds no time and no name.

    Raises `FormatError` if the file cannot be written.

    - packed: whether to pack, whatever the name
    """
    with replacing([path]) as (handle,):
        if packed or (packed is None and Path(path).suffix.lower() == ".gz"):
            with gzip.GzipFile("", "wb", _LEVEL, handle, mtime=0) as packer:
                yield cast(BinaryIO, packer)
        else:
            yield handle

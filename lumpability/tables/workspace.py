"""The folder and the memory of a run on tables.

The folder holds the checkpoint, and what does not fit into memory.  A run that ends early leaves the checkpoint there
if the folder is the caller's and there is something to go on from; everything else is removed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from lumpability.errors import FormatError, InvalidInput, InvalidValue
from lumpability.files import hold, is_left_over

DATABASE, SPILL, ROWS, SPARK_FOLDER = "lumpability.duckdb", "spill", "rows", "spark"
"""Names in the folder: the checkpoint, what DuckDB and streaming write, and Spark's tables."""
LOCK = "lock"
BUSY = "another process works in this folder: give another one with temp=..."
_PREFIX = "lumpability-"  # of folders that nobody named
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_MEMORY = 4 << 30  # bytes, where the system does not say how much it has
_LEAST = 32 << 20  # bytes, with which DuckDB begins at all


def read_bytes(size: int | str | None) -> int:
    """Read a number of bytes, such as 4GB or 512MiB; by default half of the machine's memory.

    Raises `InvalidValue` if it is none, or too few to begin with.

    Examples
    --------
    >>> read_bytes("4GB"), read_bytes("512MiB"), read_bytes(10**9)
    (4000000000, 536870912, 1000000000)
    """
    if size is None:
        return half_of_memory()
    text = str(size).strip().upper()
    digits = text.rstrip("KMGTIB ")
    unit = text[len(digits) :].strip()
    try:
        found = int(float(digits) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        raise InvalidValue(
            f"{size!r} is not a size of memory: write 4GB or 512MiB", value=size
        ) from None
    if found < _LEAST:
        raise InvalidValue(
            f"{size} of memory is too small to begin: give at least 32MiB", value=size
        )
    return found


def half_of_memory() -> int:
    """Return half of the machine's memory, in bytes."""
    if not hasattr(os, "sysconf"):  # not every system can say
        return _MEMORY
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def remove_left_folders() -> list[Path]:
    """Remove the temporary folders that killed runs left: old ones that no process holds.

    Returns the folders that were removed.
    """
    removed = []
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another process was quicker, or it is not ours
            if not folder.is_symlink() and is_left_over(folder / LOCK):
                shutil.rmtree(folder)
                removed.append(folder)
    return removed


class Workspace:
    """The folder of a run: the checkpoint and what does not fit into memory.

    A checkpoint that is there and is to be used is ``resumed``; with ``keep`` it stays if the run fails.
    """

    def __init__(self, temp: str | Path | None, *, resume: bool = False) -> None:
        if resume and temp is None:
            raise InvalidInput(
                "resume=True goes on in the folder of a run that ended early: give temp=..."
            )
        self._given = temp is not None
        try:
            if temp is None:
                remove_left_folders()
                self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            else:
                self.folder = Path(temp)
                self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FormatError(
                f"cannot be made a folder: {error.strerror}", path=str(temp)
            ) from error
        self._lock = self._locked()
        self.resumed = resume and (self.database.exists() or (self.folder / SPARK_FOLDER).exists())
        self.keep = self.resumed
        if not self.resumed:
            self._clear(checkpoint=True)

    def _locked(self) -> BinaryIO:
        """Return the file that keeps other processes out of the folder as long as it is open.

        Raises `InvalidInput` if another one is in it.
        """
        path = self.folder / LOCK
        try:
            file = path.open("wb")
        except OSError as error:
            raise FormatError(f"cannot be written: {error.strerror}", path=path) from error
        with suppress(OSError):
            if hold(file) and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()  # it is held, or was removed by its holder in between
        raise InvalidInput(BUSY)

    @property
    def database(self) -> Path:
        """The file of the checkpoint."""
        return self.folder / DATABASE

    def disk(self) -> int:
        """Return how many bytes the files of this run take."""
        total = 0
        for path in self.folder.rglob("*"):
            with suppress(OSError):  # spilled blocks come and go
                total += path.stat().st_size if path.is_file() else 0
        return total

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._clear(checkpoint=error is None or not self.keep)
        with suppress(OSError):  # where files that are open cannot be removed, it stays
            (self.folder / LOCK).unlink()
        self._lock.close()
        if not self._given:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _clear(self, *, checkpoint: bool) -> None:
        for name in (SPILL, ROWS):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        if checkpoint:
            for name in (DATABASE, f"{DATABASE}.wal"):
                (self.folder / name).unlink(missing_ok=True)
            shutil.rmtree(self.folder / SPARK_FOLDER, ignore_errors=True)

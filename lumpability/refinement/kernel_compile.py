"""How the kernel is compiled, and where what was compiled is kept.

numba keeps compiled functions on disk, in ``__pycache__`` or, where that is read-only, in the user's cache.
It asks only whether the file of a function has changed, though a function holds the code of others that it
calls, and its index names classes that a later release may have moved.  So a digest of all
sources of the kernel lies beside, and where it is another one, what was kept is removed and
compiled anew, which takes some seconds, once.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite.binding import get_host_cpu_name

__all__ = [
    "FIRST",
    "allocating",
    "are_kept",
    "cache_folder",
    "compile_for",
    "compiled",
    "inlined",
    "keep",
    "only_one",
    "subroutine",
]

try:
    import fcntl
except ImportError:  # not every system has locks of this sort: some work may be done twice there
    fcntl = None  # type: ignore[assignment]

Function = TypeVar("Function", bound=Callable[..., Any])

FIRST = np.int64(0)
"""The number of the first: passed as a plain 0, it would compile one more version of what it is passed to."""

_DIGEST = "kernel.digest"
_log = logging.getLogger(__name__)


def compiled(function: Function) -> Function:
    """Compile a function that allocates no arrays, and keep it on disk; it runs without the GIL."""
    options = {"cache": True, "nogil": True, "_nrt": False, "no_cfunc_wrapper": True}
    result: Function = numba.njit(**options)(function)
    return result


def allocating(function: Function) -> Function:
    """Compile a function that may allocate arrays, and keep it on disk; it runs without the GIL."""
    result: Function = numba.njit(cache=True, nogil=True, no_cfunc_wrapper=True)(function)
    return result


def inlined(function: Function) -> Function:
    """Compile a function into each of its callers."""
    result: Function = numba.njit(inline="always")(function)
    return result


def subroutine(function: Function) -> Function:
    """Compile a function that others of the same or another file call.

    As numba does by default: without what only the interpreter needs callers came out some hundredths slower.
    """
    result: Function = numba.njit(function)
    return result


@allocating
def _anything() -> None:
    """Tell by its own example where functions of this folder are kept."""


def cache_folder() -> Path | None:
    """Return the folder of compiled functions; None where compilation is switched off."""
    stats = getattr(_anything, "stats", None)
    return None if stats is None else Path(stats.cache_path)


def compile_for(function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """Compile a function for arguments of the types of these, unless that is kept already, or nothing is compiled."""
    if cache_folder() is not None:
        function.compile(tuple(map(numba.typeof, arguments)))  # type: ignore[attr-defined]


def _stamp(loops: str) -> Path | None:
    """Return the file that tells that these loops are kept; None where nothing is compiled.

    Beside their sources they depend on the interpreter, numba and the processor.
    """
    folder = cache_folder()
    if folder is None:
        return None
    tag = f"{sys.implementation.cache_tag}-{numba.__version__}-{get_host_cpu_name()}"
    return folder / f"kernel-{tag}-{loops}.ready"


def are_kept(loops: str) -> bool:
    """Whether these loops were compiled before, by this or another process, or nothing is compiled."""
    stamp = _stamp(loops)
    return stamp is None or stamp.exists()


def keep(loops: str) -> None:
    """Tell later processes that these loops are kept."""
    stamp = _stamp(loops)
    if stamp is not None:
        stamp.touch()


@contextmanager
def only_one(loops: str) -> Iterator[None]:
    """Wait until no other process or thread is here for these loops; none comes while this one is."""
    stamp = _stamp(loops)
    if fcntl is None or stamp is None:
        yield
        return
    with stamp.with_suffix(".lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:  # some file systems have no locks either
            _log.debug("cannot lock %s: %s", lock.name, error)
        yield


def _discard_stale(folder: Path) -> None:
    """Remove what was compiled from other sources."""
    sources = sorted(Path(__file__).parent.glob("kernel*.py"))
    digest = sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()
    stamp = folder / _DIGEST
    if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return
    for old in chain(folder.glob("kernel*.nb[ic]"), folder.glob("kernel*.ready")):
        old.unlink(missing_ok=True)
    fresh = stamp.with_suffix(f".{os.getpid()}")
    fresh.write_text(digest, encoding="ascii")
    fresh.replace(stamp)


def _tidy() -> None:
    folder = cache_folder()
    if folder is None:
        return
    try:
        _discard_stale(folder)
    except OSError as error:  # slower, not wrong: numba compiles what it cannot load
        _log.warning("cannot tidy the cache of compiled functions in %s: %s", folder, error)


_tidy()

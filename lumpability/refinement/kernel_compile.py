"""How the kernel is compiled, and where compiled functions are kept.

numba compiles a function when it is first called with arguments of certain types, and keeps the result on
disk: in ``__pycache__`` or, where that is read-only, in the user's cache folder (``NUMBA_CACHE_DIR`` names
another).  numba compiles a function anew when its own source file changes, but a compiled function also
holds the code of the functions that it calls, which may stand in other files.  So a digest of all sources of
the kernel lies beside the compiled functions; where it differs, they are removed at import.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import event

__all__ = ["FIRST", "allocating", "cache_folder", "compiled", "inlined", "subroutine"]

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


def _discard_stale(folder: Path) -> None:
    """Remove what was compiled from other sources."""
    sources = sorted(Path(__file__).parent.glob("kernel*.py"))
    digest = sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()
    known = folder / _DIGEST
    if known.exists() and known.read_text(encoding="ascii") == digest:
        return
    for old in folder.glob("kernel*.nb[ic]"):
        old.unlink(missing_ok=True)
    fresh = known.with_suffix(f".{os.getpid()}")
    fresh.write_text(digest, encoding="ascii")
    fresh.replace(known)


def _tidy() -> None:
    folder = cache_folder()
    if folder is None:
        return
    try:
        _discard_stale(folder)
    except OSError as error:
        _log.warning("cannot tidy the folder of compiled functions %s: %s", folder, error)


class _Announcement(event.Listener):  # type: ignore[misc]
    """Says once that functions of this package are being compiled: the process seems to hang."""

    def __init__(self) -> None:
        self._said = False

    def on_start(self, event: event.Event) -> None:
        module = event.data["dispatcher"].py_func.__module__
        if not self._said and module.startswith(__name__.rpartition(".")[0]):
            self._said = True
            _log.warning("compiling the engine for large models, which takes some seconds, once")

    def on_end(self, event: event.Event) -> None:
        """Nothing is said at the end."""


_tidy()
event.register("numba:compile", _Announcement())

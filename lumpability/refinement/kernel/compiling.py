"""How functions of the kernel are compiled, where they are kept, and two machine instructions numba lacks.

numba compiles a function when it is first called with arguments of certain types, and keeps the result on
disk: in ``__pycache__`` or, where that is read-only, in the user's cache folder (``NUMBA_CACHE_DIR`` names
another).  Where nothing can be written, every process compiles for itself.  A compiled function also holds the code of
the functions that it calls, which may stand in other files; so a digest of all sources of the kernel and of the
function's own folder is part of the names of its files.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, event, types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])

FIRST: Any = np.int64(0)
"""The number of the first: numba would compile another version of a function for the literal 0."""

_READ, _KEEP, _DATA = 0, 3, 1  # arguments of LLVM's prefetch
_LETTERS = 16  # of a digest
_log = logging.getLogger(__name__)


@cache
def digest_of_sources(folder: Path) -> str:
    """Return a digest of the files of the kernel and of another folder."""
    files = sorted({*Path(__file__).parent.glob("*.py"), *folder.glob("*.py")})
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:_LETTERS]


class Kept(FunctionCache):  # type: ignore[misc]
    """numba's cache of a function, with files for each state of the sources and for each signature.

    numba keeps one index for all signatures.  Two processes that compile two signatures at the same time may choose
    the same name for both, and either would later run the code of the other.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._sources = digest_of_sources(Path(function.__code__.co_filename).parent)

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        self._choose_files(sig)
        return super()._load_overload(sig, target_context)

    def _save_overload(self, sig: Any, data: Any) -> None:
        self._choose_files(sig)
        try:
            super()._save_overload(sig, data)
        except OSError as error:
            _log.warning("the compiled engine is not kept for the next process: %s", error)
            return
        for file in Path(self._cache_path).glob(f"{self._impl.filename_base.partition('-')[0]}-*"):
            if self._sources not in file.name:
                file.unlink(missing_ok=True)

    def _choose_files(self, sig: Any) -> None:
        signature = sha256(str(sig).encode()).hexdigest()
        name = f"{self._impl.filename_base}.{self._sources}.{signature[:_LETTERS]}"
        self._cache_file = IndexDataCacheFile(
            self._cache_path, name, self._impl.locator.get_source_stamp()
        )


def compiled(function: Function) -> Function:
    """Compile a function that allocates no arrays, and keep it on disk; it runs without the GIL."""
    result: Any = numba.njit(nogil=True, _nrt=False, no_cfunc_wrapper=True)(function)
    if not config.DISABLE_JIT:
        # numba raises this if neither the folder of the sources nor that of the user can be written.
        with suppress(RuntimeError):
            result._cache = Kept(function)
    return result


def inlined(function: Function) -> Function:
    """Compile a function into each of its callers."""
    result: Function = numba.njit(inline="always")(function)
    return result


def subroutine(function: Function) -> Function:
    """Compile a function that only other compiled functions call."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}
    result: Function = numba.njit(**options)(function)
    return result


class _Compilations(event.Listener):  # type: ignore[misc]
    """Says once that the kernel is being compiled, and keeps the garbage collector out of it.

    The process seems to hang for some seconds, a fifth of which would go into collecting garbage.
    """

    def __init__(self) -> None:
        self._said = False
        self._depth = 0
        self._collecting = False

    def on_start(self, event: event.Event) -> None:
        if not _is_ours(event):
            return
        if not self._said:
            self._said = True
            _log.warning("compiling the engine for large models, which takes some seconds, once")
        if self._depth == 0:
            self._collecting = gc.isenabled()
            gc.disable()
        self._depth += 1

    def on_end(self, event: event.Event) -> None:
        if _is_ours(event):
            self._depth -= 1
            if self._depth == 0 and self._collecting:
                gc.enable()


def _is_ours(event: event.Event) -> bool:
    """Whether numba compiles a function of this library, rather than one of somebody else's."""
    function = getattr(event.data["dispatcher"], "py_func", None)
    return str(getattr(function, "__module__", "")).startswith("lumpability.")


@intrinsic  # type: ignore[untyped-decorator]
def add_product(typing_context: Any, high: Any, low: Any, x: Any, y: Any) -> Any:
    """(high, low) + x y as a 128-bit number, again as (high, low); all are uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, word = ir.IntType(128), ir.IntType(64)
        high, low, x, y = (builder.zext(argument, wide) for argument in arguments)
        shift = ir.Constant(wide, 64)
        total = builder.add(builder.or_(builder.shl(high, shift), low), builder.mul(x, y))
        parts = (builder.trunc(builder.lshr(total, shift), word), builder.trunc(total, word))
        return context.make_tuple(builder, signature.return_type, parts)

    uint64 = types.uint64
    return types.UniTuple(uint64, 2)(uint64, uint64, uint64, uint64), generate


def interpreted_add_product(high: Any, low: Any, x: Any, y: Any) -> tuple[np.uint64, np.uint64]:
    """Return what `add_product` does, without a compiler."""
    total = (int(high) << 64) + int(low) + int(x) * int(y)
    return np.uint64(total >> 64 & 2**64 - 1), np.uint64(total & 2**64 - 1)


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Ask for ``array[index]``, along the first axis, before it is needed; any index is safe.

    No processor does so by itself in a loop over short random rows.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        parts = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, parts.strides)[0]
        offset = builder.mul(arguments[1], stride)
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.gep(builder.bitcast(parts.data, byte), [offset])
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, *(number(about) for about in (_READ, _KEEP, _DATA))])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


def interpreted_prefetch(array: Any, index: Any) -> None:
    """Do nothing: without a compiler no memory is worth waiting for."""


if config.DISABLE_JIT:  # an intrinsic is code for the compiler only
    add_product, prefetch = interpreted_add_product, interpreted_prefetch
event.register("numba:compile", _Compilations())

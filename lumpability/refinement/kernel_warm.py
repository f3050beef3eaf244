"""Compiling the kernel ahead, in as many processes as there are cores, and remembering that it was done.

numba compiles under a lock, so threads would wait for one another.  Processes do not: this one and others
that it starts compile a share of the loops each, for arguments of the types that refinement passes, and
numba keeps them on disk, from where this process loads what others compiled.  A stamp in the same folder
tells that nothing is left to do.
"""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from lumpability.refinement import kernel_loops as loops
from lumpability.refinement import kernel_split as splitting
from lumpability.refinement.kernel_arrays import Arrays, Field, Incoming, Rows
from lumpability.refinement.kernel_check import first_rows, first_unstable, used_codes
from lumpability.refinement.kernel_compile import are_kept, compile_for, keep
from lumpability.refinement.kernel_propagate import begin, propagate
from lumpability.refinement.kernel_sums import collapse_rows, number_sums, sum_again
from lumpability.refinement.kernel_sweep import check_together, sweep, sweep_together
from lumpability.refinement.kernel_team import Team, announce, are_done, cores
from lumpability.structure import WeightedStructure

__all__ = ["compile_share", "is_warm", "warm"]

_CODE = """
import sys
share, shares, codes, entries, *sys.path = sys.argv[1:]
from lumpability.refinement.kernel_warm import compile_share
compile_share(int(share), int(shares), codes, entries)
"""
_log = logging.getLogger(__name__)
_kept: set[tuple[str, str]] = set()  # the types that it is known to be compiled for

Loop = tuple[Any, tuple[Any, ...]]


def _pieces(codes: str, entries: str) -> list[list[Loop]]:
    """Return all loops with examples of their arguments, in pieces about as long to compile, the longest first.

    What calls each other is in one piece, or it would be compiled more than once.
    """
    word = np.uint64(0)
    words, longs, booleans = (np.zeros(1, dtype) for dtype in (np.uint64, np.int64, np.bool_))
    labels, pointers = _frozen("int32"), np.zeros(1, dtype=np.uint32)
    rows = Rows(_frozen("int64"), labels, _frozen(codes), words, True)
    incoming = Incoming(pointers, np.zeros(1, dtype=entries), word, words, words, True)
    field, arrays = Field(word, word, word, 1), Arrays.for_states(1)
    board, ranges, segments = longs, Team.no_ranges(1), np.zeros((1, 2), dtype=np.int64)
    columns, numbers = np.zeros(1, dtype=np.int32), np.zeros(1, dtype=codes)
    first, desks = (pointers, columns, words, longs), np.zeros((1, 1), dtype=np.uint64)
    following: list[Loop] = [
        (begin, (0, 0, incoming, arrays)),
        (propagate, (0, 0, 0, 0, 0.0, 0, 0.0, 0, incoming, field, arrays)),
    ]
    dividing: list[Loop] = [
        (splitting.write_values, (0, field, arrays)),
        (loops.fill, (labels, 0, field, arrays)),
        (splitting.expect, (0, arrays)),
        (splitting.cut, (0, segments, field, arrays)),
        (loops.settle, (0, field, arrays)),
    ]
    finishing: list[Loop] = [
        (loops.count_incoming, (rows, booleans, True, pointers)),
        (loops.fill_incoming, (rows, booleans, True, pointers, word, incoming.entries)),
        (loops.sum_leaving, (rows, field, booleans, words)),
        (loops.canonical_labels, (True, arrays, longs, columns)),
        (first_rows, (longs, rows, booleans, labels, pointers, pointers)),
        (first_unstable, (0, 0, rows, word, labels, first, words)),
        (check_together, (board, ranges, True, rows, word, labels, first, desks, longs)),
        (used_codes, (rows.indptr, rows.codes, booleans, booleans)),
        (
            collapse_rows,
            (longs, rows, labels, word, longs, columns, numbers, longs, words, words, words),
        ),
        (number_sums, (words,)),
        (sum_again, (longs, rows, labels, word, longs, columns, longs, words, longs, words)),
    ]
    sweeping: list[Loop] = [
        (loops.fingerprint_rows, (0, 0, 0, 0, rows, field, arrays)),
        (sweep, (0, segments, rows, field, arrays)),
        (sweep_together, (board, ranges, True, rows, field, arrays)),
        (announce, (board, 0, 0)),
        (are_done, (board, 0)),
    ]
    return [following, dividing, finishing, sweeping]


def _frozen(dtype: str) -> np.ndarray[Any, Any]:
    """Return an array as those of structures and partitions are: it cannot be written to."""
    array = np.zeros(1, dtype=dtype)
    array.flags.writeable = False
    return array


def compile_share(share: int, shares: int, codes: str, entries: str) -> None:
    """Compile every `shares`-th piece of the kernel, from number `share` on, unless it is kept already."""
    enabled = gc.isenabled()
    gc.disable()  # a fifth of the time would go into looking for garbage
    try:
        for piece in _pieces(codes, entries)[share::shares]:
            for loop, arguments in piece:
                compile_for(loop, arguments)
    finally:
        if enabled:
            gc.enable()


def _types(structure: WeightedStructure) -> tuple[str, str]:
    """Return the types that differ among structures: of the codes of weights, and of transposed entries."""
    weights = structure.weights
    _, entries = Incoming.layout(structure.n, len(weights.values))
    return weights.codes.dtype.char, entries  # to ask for its name takes longer than all the rest


def _name(codes: str, entries: str) -> str:
    """Return what the loops for these types are called where it is told that they are kept."""
    return f"{np.dtype(codes).name}-{entries}"


def is_warm(structure: WeightedStructure) -> bool:
    """Whether the kernel is compiled for structures like this, by this or an earlier process."""
    return _is_kept(*_types(structure))


def _is_kept(codes: str, entries: str) -> bool:
    if (codes, entries) in _kept:
        return True
    if not are_kept(_name(codes, entries)):
        return False
    _kept.add((codes, entries))
    return True


def warm(structure: WeightedStructure) -> None:
    """See that the kernel is compiled for structures like this: else compile it now, and say so."""
    types = _types(structure)
    if not _is_kept(*types):
        _compile_all(*types)


def _compile_all(codes: str, entries: str) -> None:
    commands = _commands(codes, entries)
    shares = 1 + len(commands)
    # A warning, so that it is seen where nobody has asked for messages: the process seems to hang.
    _log.warning("compiling the engine for large models, which takes some seconds, once")
    failures = []
    with ExitStack() as stack:
        processes: list[subprocess.Popen[bytes]] = []
        try:
            processes += (stack.enter_context(_running(command)) for command in commands)
        except OSError as error:
            failures.append(str(error))
        compile_share(0, shares, codes, entries)
        failures += filter(None, map(_failure, processes))
    if failures:
        _log.warning("compiling the kernel without help: %s", "; ".join(failures))
        compile_share(0, 1, codes, entries)
    keep(_name(codes, entries))


def _commands(codes: str, entries: str) -> list[list[str]]:
    """Return for each process that helps how to start it, with modules from where this one has them."""
    if getattr(sys, "frozen", False) or not sys.executable:
        return []  # a frozen program would start itself instead of an interpreter
    shares = min(cores(), len(_pieces(codes, entries)))
    return [
        [sys.executable, "-I", "-c", _CODE, str(share), str(shares), codes, entries, *sys.path]
        for share in range(1, shares)
    ]


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process, which is not left running, come what may."""
    with subprocess.Popen(  # noqa: S603 - this interpreter, on this package
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _failure(process: subprocess.Popen[bytes]) -> str | None:
    """Wait for a process; return what went wrong, if anything did."""
    _, complaint = process.communicate()
    if process.returncode == 0:
        return None
    last_line = complaint.decode(errors="replace").strip().rpartition("\n")[2]
    return last_line or f"exit code {process.returncode}"

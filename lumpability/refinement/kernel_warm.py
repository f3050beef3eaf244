"""Compiling the kernel ahead, in processes beside this one, and remembering that it was done.

numba compiles under a lock, so threads would wait for one another.  Processes do not: they compile for arguments of
the types that refinement passes, and numba keeps it on disk, from where this process loads what others compiled.
First comes what one thread needs to sweep and to prove the result, with a share for this process and each
core: only for that does anyone wait.  The rest is compiled by a process beside, while sweeps refine already,
rounds that follow before what several threads and quotients need; it goes on for some seconds should this one end
before, or many short ones would never have it.
Stamps in the same folder tell what is done.
"""

from __future__ import annotations

import atexit
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
from lumpability.refinement.kernel_arrays import Blocks, Field, Following, Incoming, Rows, Sweeping
from lumpability.refinement.kernel_check import first_rows, first_unstable, used_codes
from lumpability.refinement.kernel_compile import are_kept, compile_for, keep, only_one
from lumpability.refinement.kernel_propagate import begin, leave, propagate
from lumpability.refinement.kernel_sums import collapse_rows, number_sums, sum_again
from lumpability.refinement.kernel_sweep import check_together, sweep, sweep_together
from lumpability.refinement.kernel_team import Team, announce, are_done, cores
from lumpability.structure import WeightedStructure

__all__ = [
    "can_follow",
    "can_sweep",
    "compile_rest",
    "compile_share",
    "is_complete",
    "is_warm",
    "prepare",
    "warm",
]

_SHARE = """
import sys
part, share, shares, codes, entries, *sys.path = sys.argv[1:]
from lumpability.refinement.kernel_warm import compile_share
compile_share(part, int(share), int(shares), codes, entries)
"""
_REMAINDER = """
import sys
codes, entries, *sys.path = sys.argv[1:]
from lumpability.refinement.kernel_warm import compile_rest
compile_rest(codes, entries)
"""
_SWEEPING, _FOLLOWING, _REST = "sweeping", "following", "rest"
_NAMES = {_SWEEPING: "the engine", _REST: "the rest of the engine"}
_log = logging.getLogger(__name__)
_kept: set[tuple[str, str, str]] = set()  # parts, with types, that are known to be compiled
_beside: dict[tuple[str, str], subprocess.Popen[bytes]] = {}  # compiling the rest for these types

Loop = tuple[Any, tuple[Any, ...]]


def _pieces(part: str, codes: str, entries: str) -> list[list[Loop]]:
    """Return the loops of a part with examples of their arguments, in pieces that take about as long to compile.

    What calls each other is in one piece, or it would be compiled more than once; but for the fingerprints,
    which are the first of their piece, and needed by the last loop of the other.
    """
    word = np.uint64(0)
    words, longs, booleans = (np.zeros(1, dtype) for dtype in (np.uint64, np.int64, np.bool_))
    labels, pointers = _frozen("int32"), np.zeros(1, dtype=np.uint32)
    rows = Rows(_frozen("int64"), labels, _frozen(codes), words, True)
    incoming = Incoming(pointers, np.zeros(1, dtype=entries), word, words, words, True)
    field, blocks = Field(word, word, word, 1), Blocks.for_states(1)
    arrays, followed = Sweeping.over(blocks), Following.over(blocks)
    board, ranges, segments = longs, Team.no_ranges(1), np.zeros((1, 2), dtype=np.int64)
    columns, numbers = np.zeros(1, dtype=np.int32), np.zeros(1, dtype=codes)
    first, desks = (pointers, columns, words, longs), np.zeros((1, 1), dtype=np.uint64)
    dividing: list[Loop] = [
        (splitting.write_values, (0, field, arrays)),
        (loops.fill, (labels, 0, field, arrays)),
        (splitting.expect, (0, arrays)),
        (splitting.cut, (0, segments, field, arrays)),
        (sweep, (0, segments, rows, field, arrays)),
    ]
    proving: list[Loop] = [
        (loops.fingerprint_rows, (0, 0, 0, 0, rows, field, arrays)),
        (loops.canonical_labels, (followed.labels, booleans, longs, columns)),
        (first_rows, (longs, rows, booleans, labels, pointers, pointers)),
        (first_unstable, (0, 0, rows, word, labels, first, words)),
        (used_codes, (rows.indptr, rows.codes, booleans, booleans)),
    ]
    if part == _SWEEPING:
        return [dividing, proving]
    following: list[Loop] = [
        (begin, (0, 0, incoming, followed)),
        (propagate, ((0, 0, 0, 0, 0), 0, 0, 0.0, 0, 0.0, 0, incoming, field, followed)),
        (leave, (0, 0, followed)),
        (loops.count_incoming, (rows, booleans, True, pointers)),
        (loops.fill_incoming, (rows, booleans, True, pointers, word, incoming.entries)),
        (loops.sum_leaving, (rows, field, booleans, words)),
    ]
    together: list[Loop] = [
        (sweep_together, (board, ranges, True, rows, field, arrays)),
        (check_together, (board, ranges, True, rows, word, labels, first, desks, longs)),
        (announce, (board, 0, 0)),
        (are_done, (board, 0)),
        (
            collapse_rows,
            (longs, rows, labels, word, longs, columns, numbers, longs, words, words, words),
        ),
        (number_sums, (words,)),
        (sum_again, (longs, rows, labels, word, longs, columns, longs, words, longs, words)),
    ]
    return [following, together]


def _frozen(dtype: str) -> np.ndarray[Any, Any]:
    """Return an array as those of structures and partitions are: it cannot be written to."""
    array = np.zeros(1, dtype=dtype)
    array.flags.writeable = False
    return array


def compile_share(part: str, share: int, shares: int, codes: str, entries: str) -> None:
    """Compile every `shares`-th piece of a part, from number `share` on, unless it is kept already.

    If that is all, remember it.
    """
    enabled = gc.isenabled()
    gc.disable()  # a fifth of the time would go into looking for garbage
    try:
        for piece in _pieces(part, codes, entries)[share::shares]:
            for loop, arguments in piece:
                compile_for(loop, arguments)
    finally:
        if enabled:
            gc.enable()
    if shares == 1:
        keep(_name(part, codes, entries))


def compile_rest(codes: str, entries: str) -> None:
    """Compile all of the rest, unless another process has done so when it is this one's turn."""
    name = _name(_REST, codes, entries)
    with only_one(name):
        if not are_kept(name):
            compile_share(_REST, 0, len(_pieces(_REST, codes, entries)), codes, entries)
            keep(_name(_FOLLOWING, codes, entries))  # deep refinements wait for no more
            compile_share(_REST, 0, 1, codes, entries)


def _types(structure: WeightedStructure) -> tuple[str, str]:
    """Return the types that differ among structures: of the codes of weights, and of transposed entries."""
    weights = structure.weights
    _, entries = Incoming.layout(structure.n, len(weights.values))
    return weights.codes.dtype.char, entries  # to ask for its name takes longer than all the rest


def _name(part: str, codes: str, entries: str) -> str:
    """Return what a part for these types is called where it is told that it is kept."""
    return f"{part}-{np.dtype(codes).name}-{entries}"


def can_sweep(structure: WeightedStructure) -> bool:
    """Whether what sweeps need is compiled for structures like this, by this or an earlier process."""
    return _is_kept(_SWEEPING, *_types(structure))


def is_warm(structure: WeightedStructure) -> bool:
    """Whether all of the kernel is compiled for structures like this, by this or another process."""
    types = _types(structure)
    return _is_kept(_SWEEPING, *types) and _is_kept(_REST, *types)


def _is_kept(part: str, codes: str, entries: str) -> bool:
    if (part, codes, entries) in _kept:
        return True
    if not are_kept(_name(part, codes, entries)):
        return False
    _kept.add((part, codes, entries))
    return True


def warm(structure: WeightedStructure) -> None:
    """See that all of the kernel is compiled for structures like this, else compile it now, and say so; and load it."""
    types = _types(structure)
    for part in (_SWEEPING, _REST):
        _compile_unless_kept(part, *types)
        compile_share(part, 0, 1, *types)


def prepare(structure: WeightedStructure) -> None:
    """See that structures like this can be swept: else compile what is needed, and say so.

    The rest, if it is not there, is compiled beside from now on.
    """
    types = _types(structure)
    _compile_unless_kept(_SWEEPING, *types)
    if types not in _beside and not _is_kept(_REST, *types):
        _compile_beside(*types)


def can_follow(structure: WeightedStructure) -> bool:
    """Whether rounds that follow are compiled, if not all of the rest is; else as `is_complete`."""
    return is_complete(structure) or _is_kept(_FOLLOWING, *_types(structure))


def is_complete(structure: WeightedStructure) -> bool:
    """Whether the rest is compiled too, after `prepare`; should the process beside have failed, compile it now."""
    types = _types(structure)
    if not _is_kept(_REST, *types):
        process = _beside.get(types)
        if process is not None and process.poll() is None:
            return False
        _compile_unless_kept(_REST, *types)  # it may have been done a moment ago
    return True


def _compile_beside(codes: str, entries: str) -> None:
    """Start a process that compiles the rest, unless there is no other core for it."""
    command = _command(_REMAINDER, codes, entries)
    if command and cores() > 1:
        try:
            _beside[codes, entries] = subprocess.Popen(  # noqa: S603 - this interpreter, on this package
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # an interrupt is not meant for it
            )
        except OSError as error:
            _log.warning("compiling the kernel without help: %s", error)


@atexit.register
def _leave_beside() -> None:
    """Take leave of what goes on after this process, as Popen would call it forgotten."""
    for process in _beside.values():
        process.returncode = process.poll() or 0


def _compile_unless_kept(part: str, codes: str, entries: str) -> None:
    if _is_kept(part, codes, entries):
        return
    # A warning, so that it is seen where nobody has asked for messages: the process seems to hang.
    what = _NAMES[part]
    _log.warning("compiling %s for large models, which takes some seconds, once", what)
    name = _name(part, codes, entries)
    with only_one(name):
        if not are_kept(name):  # by another process, which was first
            _compile(part, codes, entries)
            keep(name)


def _compile(part: str, codes: str, entries: str) -> None:
    """Compile a part in as many processes as there are cores and pieces."""
    commands = _commands(part, codes, entries)
    shares = 1 + len(commands)
    failures = []
    with ExitStack() as stack:
        processes: list[subprocess.Popen[bytes]] = []
        try:
            processes += (stack.enter_context(_running(command)) for command in commands)
        except OSError as error:
            failures.append(str(error))
        compile_share(part, 0, shares, codes, entries)
        failures += filter(None, map(_failure, processes))
    if failures:
        _log.warning("compiling the kernel without help: %s", "; ".join(failures))
        compile_share(part, 0, 1, codes, entries)


def _commands(part: str, codes: str, entries: str) -> list[list[str]]:
    """Return for each process that helps how to start it."""
    shares = min(cores(), len(_pieces(part, codes, entries)))
    numbers = [(str(share), str(shares)) for share in range(1, shares)]
    commands = [_command(_SHARE, part, *number, codes, entries) for number in numbers]
    return list(filter(None, commands))


def _command(program: str, *arguments: str) -> list[str]:
    """Return how to start a process that runs a program, with modules from where this one has them.

    Empty where there is no interpreter: a frozen program would start itself.
    """
    if getattr(sys, "frozen", False) or not sys.executable:
        return []
    return [sys.executable, "-I", "-c", program, *arguments, *sys.path]


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

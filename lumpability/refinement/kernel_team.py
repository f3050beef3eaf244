"""Threads that share the ranges of a loop out among themselves, without the interpreter.

Waking a thread takes longer than most loops, so those that help wait in compiled code, looking at a board
where the leading thread announces the next loop: how many ranges it has, in the upper half of a ticket
that also counts, in its lower half, how many have been taken.  Whoever takes a range adds one, in one
step with reading it.  A thread that helps goes away after some idle time, and is called
again when needed; the leading thread never waits for one to come, only for ranges to be finished.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import config, types
from numba.extending import intrinsic

from lumpability.refinement.kernel_compile import compiled, inlined

__all__ = [
    "FOURTH",
    "HIGH",
    "KIND",
    "LOW",
    "RESULT",
    "THIRD",
    "Team",
    "add",
    "announce",
    "are_done",
    "cores",
    "finish",
    "next_range",
]

TICKET, DONE, KIND = 0, 8, 16  # places on the board, in different lines of memory
LOW, HIGH, THIRD, FOURTH, RESULT = 0, 1, 2, 3, 4  # columns of ranges; two results
_CLOSED = -1
_HALF, _TAKEN = np.int64(32), np.int64(2**32 - 1)
_PATIENCE = 20_000  # looks at the board, each of which takes about 50 ns
_LOOKS = 1 << 16

Array = np.ndarray[Any, Any]


@intrinsic  # type: ignore[untyped-decorator]
def look(typing_context: Any, board: Any, place: Any) -> Any:
    """Read a number that another thread may be writing."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if platform.machine() in ("x86_64", "AMD64"):  # leaves the core to others for a moment
            nothing = ir.FunctionType(ir.VoidType(), [])
            pause = builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), nothing)
            builder.call(pause, [])
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(builder.gep(data, [arguments[1]]), "acquire", 8)

    return types.int64(board, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def add(typing_context: Any, board: Any, place: Any, value: Any) -> Any:
    """Add to a number in one step; returns what it was."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.gep(data, [arguments[1]])
        return builder.atomic_rmw("add", place, arguments[2], "seq_cst")

    return types.int64(board, types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def publish(typing_context: Any, board: Any, place: Any, value: Any) -> Any:
    """Write a number after all that was written before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        builder.store_atomic(arguments[2], builder.gep(data, [arguments[1]]), "release", 8)
        return context.get_dummy_value()

    return types.void(board, types.int64, types.int64), generate


def interpreted_look(board: Any, place: Any) -> Any:
    """Read a number."""
    return board[place]


def interpreted_add(board: Any, place: Any, value: Any) -> Any:
    """Add to a number; return what it was."""
    before = board[place]
    board[place] += value
    return before


def interpreted_publish(board: Any, place: Any, value: Any) -> None:
    """Write a number."""
    board[place] = value


if config.DISABLE_JIT:  # an intrinsic is code for the compiler only
    look, add, publish = interpreted_look, interpreted_add, interpreted_publish


@inlined
def next_range(board: Any, stays: Any) -> Any:
    """Take a range, and return its number; -1 if none is left, for those who stay only after a while."""
    idle: Any = 0
    while True:
        ticket = look(board, TICKET)
        if (ticket & _TAKEN) < (ticket >> _HALF):
            ticket = add(board, TICKET, 1)
            if (ticket & _TAKEN) < (ticket >> _HALF):
                return ticket & _TAKEN
        elif not stays or ticket == _CLOSED or idle == _PATIENCE:
            return np.int64(-1)
        idle += 1


@inlined
def finish(board: Any) -> None:
    """Tell the leading thread that a range is finished."""
    add(board, DONE, 1)


@compiled
def announce(board: Any, kind: Any, ranges: Any) -> None:
    """Tell those who wait that there are so many ranges for a loop of that kind."""
    board[KIND] = kind
    board[DONE] = 0
    publish(board, TICKET, np.int64(ranges) << _HALF)


@compiled
def are_done(board: Any, ranges: Any) -> Any:
    """Wait some time until so many ranges are finished; return whether they are."""
    for _ in range(_LOOKS):
        if look(board, DONE) == ranges:
            break
    return look(board, DONE) == ranges


def cores() -> int:
    """Return on how many cores this process may run."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system can say
        return os.cpu_count() or 1


@cache
def _helpers(process: int) -> ThreadPoolExecutor:
    """Threads of this process that wait to be called; a fork has none of its parent's."""
    return ThreadPoolExecutor(max(cores() - 1, 1), thread_name_prefix="lumpability")


class Team:
    """Threads that run a compiled loop of loops together.

    Parameters
    ----------
    function : callable
        Called with the board, the ranges, whether to stay, and the arguments; it takes ranges while there
        are any, see `next_range`.
    arguments : sequence
    threads, most : int
        How many threads there are, and ranges at a time.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: Sequence[Any], threads: int, most: int
    ) -> None:
        self._function, self._arguments = function, arguments
        self._threads = 1 if config.DISABLE_JIT else threads
        self._board = np.zeros(KIND + 1, dtype=np.int64)
        self._ranges = self.no_ranges(most)
        self._called: list[Future[None]] = []

    @staticmethod
    def no_ranges(most: int) -> Array:
        """Return a table for so many ranges with their results."""
        return np.zeros((most, RESULT + 2), dtype=np.int64)

    def run(self, kind: int, ranges: Sequence[tuple[int, ...]]) -> Array:
        """Run the loop of that kind on ranges it treats independently; return two results for each."""
        board, number = self._board, len(ranges)
        for row, range_ in zip(self._ranges, ranges, strict=False):
            row[: len(range_)] = range_
        announce(board, kind, number)
        if number > 1 and self._threads > 1:
            self._call()
        self._function(board, self._ranges, False, *self._arguments)
        while not are_done(board, number):
            self._raise_errors()
        return self._ranges[:number, RESULT:]

    def _call(self) -> None:
        """See that as many threads help as may."""
        self._raise_errors()
        self._called = [thread for thread in self._called if not thread.done()]
        while len(self._called) < self._threads - 1:
            self._called.append(
                _helpers(os.getpid()).submit(
                    self._function, self._board, self._ranges, True, *self._arguments
                )
            )

    def _raise_errors(self) -> None:
        for thread in self._called:
            if thread.done():
                thread.result()

    def dismiss(self) -> None:
        """Send the threads that help away."""
        self._board[TICKET] = _CLOSED

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *error: object) -> None:
        self.dismiss()

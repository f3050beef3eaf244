"""The sides of a comparison in processes of their own, which run in turn.

In one process each would pay for what the other left in the allocator.  Both keep what they free: a
virtual machine may take 3 microseconds to hand out a page that it had returned, which is more than either
side needs for the states on it, and depends on what ran before.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from suite.measuring import seconds

__all__ = ["Calls", "Side", "medians_of_sides"]

Calls = dict[str, Callable[[], object]]
_Maker = Callable[..., tuple[dict[str, float], Calls]]
_CONTEXT = get_context("spawn")  # a fork would have our memory
_KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}  # for glibc


def _serve(connection: Connection, make: _Maker, arguments: Sequence[Any]) -> None:
    facts, calls = make(*arguments)
    connection.send((facts, list(calls)))
    while name := connection.recv():
        connection.send(seconds(calls[name]))


class Side:
    """A process that has made its calls ready and times one when asked.

    Parameters
    ----------
    make : callable
        Returns facts and calls by name; defined at the top of a module.
    *arguments
    """

    def __init__(self, make: _Maker, *arguments: Any) -> None:
        self._ours, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, make, arguments))
        before = os.environ.copy()
        os.environ.update(_KEEP_MEMORY)
        self._process.start()
        os.environ.clear()
        os.environ.update(before)
        theirs.close()  # so that the end of the process ends our waiting
        self.facts, self.names = self._ours.recv()

    def time(self, name: str) -> float:
        """Return the seconds of one call."""
        self._ours.send(name)
        taken: float = self._ours.recv()
        return taken

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.is_alive():
            self._ours.send(None)
        self._process.join()


def medians_of_sides(
    makers: Sequence[tuple[_Maker, Sequence[Any]]], runs: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the facts of all sides, and the median seconds of each of their calls, all run in turn."""
    facts: dict[str, float] = {}
    taken: dict[str, list[float]] = {}
    with ExitStack() as stack:
        sides = [stack.enter_context(Side(make, *arguments)) for make, arguments in makers]
        for side in sides:
            facts |= side.facts
        for _ in range(runs):
            for side in sides:
                for name in side.names:
                    taken.setdefault(name, []).append(side.time(name))
    return facts, {name: statistics.median(times) for name, times in taken.items()}

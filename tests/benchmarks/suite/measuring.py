"""Seconds, cores and peak memory, as they are measured everywhere here."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lumpability

__all__ = ["one_core", "peak_beyond", "seconds", "titled"]


def seconds(call: Callable[[], object]) -> float:
    """Time one call as `timeit` does, with the garbage collector off."""
    gc.disable()
    try:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started
    finally:
        gc.enable()


@contextmanager
def one_core() -> Iterator[None]:
    """Run this thread, and those it starts meanwhile, on a single core."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def peak_beyond(call: Callable[[], Any]) -> int:
    """Return how far the resident memory rose above where it stood before the call, in bytes.

    Linux only: the high-water mark is reset through ``/proc/self/clear_refs``.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # freed pages would otherwise count as held
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    result = call()
    peak = _status("VmHWM")
    del result
    return max(peak - before, 0)


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def titled() -> str:
    """Name processor, cores, memory, versions and what else the machine is doing."""
    processor = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    name = processor[1] if processor else platform.processor()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    versions = [f"Python {platform.python_version()}"]
    for package in ("numpy", "scipy", "numba", "stormpy"):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"no {package}")
    return (
        f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB; {', '.join(versions)}, "
        f"lumpability {lumpability.__version__}; load {os.getloadavg()[0]:.1f} at the start"
    )

"""How long to refine without the compiled kernel before getting it.

The kernel has to be loaded, once a process, and to be compiled, once a machine, which takes some seconds.
Rounds of fingerprints in numpy need neither, and take ten to a hundred times as long for the rest.  What
is still to come of them is not known while they run.  So they are given as long as the best alternative
would take, as one rents skis until the rent has reached the price: nobody waits more than twice as long as with
foresight, and chains that rounds are done with sooner, which are most, are never waited for.

The alternative is the kernel, or the worklist in plain Python where that is faster than to get the kernel.
Seconds of rounds are counted for the process, so that many small lumpings lead to the kernel too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Literal

from lumpability.structure import WeightedStructure

__all__ = ["SMALL", "alternative", "is_ready", "spending"]

LOADING = 0.5  # seconds
COMPILING = 4.0  # seconds: about half of what it takes, for what is compiled is kept
WORKLIST = 15e-6  # seconds for a transition with a rational weight
SMALL = 1_000  # transitions, for which plain Python is the fastest
COMPILE_BEYOND = 50_000  # transitions
_LARGE = 5_000_000  # transitions, whose first round alone takes too long

_KERNEL = "lumpability.refinement.kernel"


@dataclass
class _Meter:
    """Seconds of rounds in this process."""

    seconds: float = 0.0


_spent = _Meter()


def is_ready(structure: WeightedStructure, *, complete: bool = False) -> bool:
    """Whether the kernel is loaded, and compiled for such weights, all of it or what refines: then it is the best choice."""
    if _KERNEL not in sys.modules:
        return False
    from lumpability.refinement import kernel_warm

    return (kernel_warm.is_warm if complete else kernel_warm.can_sweep)(structure)


def alternative(structure: WeightedStructure) -> tuple[Literal["worklist", "kernel"], float]:
    """Return what to refine with unless rounds are done before, and how many seconds they have.

    Loads the kernel if that is due, to see whether it is compiled.  For small chains it never is.
    """
    if structure.m > _LARGE:
        return "kernel", 0.0
    price = LOADING - _spent.seconds
    if price <= 0 or _KERNEL in sys.modules:
        from lumpability.refinement import kernel_warm

        if kernel_warm.can_sweep(structure):
            return "kernel", 0.0
        price = max(COMPILING - _spent.seconds, 0.0) if structure.m > COMPILE_BEYOND else inf
    worklist = WORKLIST * structure.m if structure.weights.is_rational else inf
    return ("worklist", worklist) if worklist < price else ("kernel", price)


@contextmanager
def spending() -> Iterator[None]:
    """Count the seconds that pass, however they end."""
    started = time.monotonic()
    try:
        yield
    finally:
        _spent.seconds += time.monotonic() - started

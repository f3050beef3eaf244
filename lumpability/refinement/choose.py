"""Which engine refines a structure, by its size and the kind of its weights alone.

Nothing else is looked at: neither clocks, nor caches, nor what the process did before.  So equal input gives
the same engine, and the same bytes of a certificate, on every machine and at any time.

The plain worklist takes about 12 microseconds for a transition with a rational weight.  Loading the compiled
kernel takes about 0.7 seconds in each process, and compiling it some seconds on each machine.  Up to
`SMALL` transitions nobody waits for a compiler, and the worklist is done in a tenth of a second.
"""

from __future__ import annotations

from typing import Literal

from lumpability.structure import WeightedStructure

__all__ = ["SMALL", "SMALL_SYMBOLIC", "engine_for", "is_small"]

SMALL = 8_000
"""Transitions with rational weights up to which plain Python is fast enough."""
SMALL_SYMBOLIC = 1_000
"""Transitions with rational functions as weights, which take longer to add."""


def is_small(structure: WeightedStructure) -> bool:
    """Whether plain Python is fast enough for a structure.

    Examples
    --------
    >>> is_small(WeightedStructure.from_edges(2, [0], [1], [1]))
    True
    """
    return structure.m <= (SMALL if structure.weights.is_rational else SMALL_SYMBOLIC)


def engine_for(structure: WeightedStructure) -> Literal["worklist", "rounds", "kernel"]:
    """Return the engine that ``engine="auto"`` takes.

    The kernel takes a pass for each monomial of rational functions; where there are too many of them
    (`ExactArray.components`), rounds in a prime field evaluate the functions instead.

    Examples
    --------
    >>> engine_for(WeightedStructure.from_edges(2, [0], [1], [1]))
    'worklist'
    """
    if is_small(structure):
        return "worklist"
    return "rounds" if structure.weights.components is None else "kernel"

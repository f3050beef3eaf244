"""The choice of the engine for some structures: a function of the normal form and of the structures.

The choice depends on the sort, the size and the kind of weights of the structures.  It does not depend on clocks, on
caches, or on earlier calls in the process.  So equal input gives the same engine, and the same bytes
of a certificate, on every machine and at any time.

The plain worklist takes about 12 microseconds for a transition with a rational weight.  Loading the compiled
kernel takes about 0.7 seconds in each process, and compiling it takes some seconds on each machine.  Up to
`SMALL` transitions the worklist takes at most a tenth of a second, without waiting for a compiler.
"""

from __future__ import annotations

from collections.abc import Sequence

from lumpability.refinement.engines import EngineName
from lumpability.refinement.normal_form import SHARES, SUMS, Multiples, NormalForm
from lumpability.structure import Structure, WeightedStructure
from lumpability.structure.dense import DenseStructure

__all__ = ["SMALL", "SMALL_SYMBOLIC", "engine_for", "is_small"]

SMALL = 8_000
"""Transitions with rational weights up to which plain Python is fast enough."""
SMALL_SYMBOLIC = 1_000
"""Transitions with rational functions as weights, which take longer to add."""


def is_small(structure: WeightedStructure) -> bool:
    """Whether plain Python is fast enough for a structure.

    >>> is_small(WeightedStructure.from_edges(2, [0], [1], [1]))
    True
    """
    return structure.m <= (SMALL if structure.weights.is_rational else SMALL_SYMBOLIC)


def engine_for(structures: Sequence[Structure], normal: NormalForm) -> EngineName:
    """Return the engine that ``engine="auto"`` takes.

    The kernel takes a pass for each monomial of rational functions.  If there are too many monomials
    (`ExactArray.components`), rounds in a prime field evaluate the functions instead.

    >>> engine_for([WeightedStructure.from_edges(2, [0], [1], [1])], SUMS)
    'worklist'
    """
    if isinstance(normal, Multiples):
        return "columns" if isinstance(structures[0], DenseStructure) else "definition"
    sparse = [one for one in structures if isinstance(one, WeightedStructure)]
    if len(sparse) < len(structures):
        return "definition"
    if normal is SHARES:
        return "rounds"
    if normal is not SUMS:
        return "definition"
    if all(map(is_small, sparse)):
        return "worklist"
    return "rounds" if any(one.weights.components is None for one in sparse) else "kernel"

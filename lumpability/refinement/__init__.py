"""The engine: a weighted structure and an initial partition in, the coarsest stable partition out.

Four implementations with one answer: `reference` (the definition), `worklist` (plain Python, any exact
weights), `kernel` (compiled, machine integers) and `rounds` (fingerprints in prime fields, vectorised,
any exact weights).  `refine` chooses by size and weights, see `choose`.  All are exact.  Why the answer is the coarsest, a history
of splits tells, which `split_history` makes on the quotient, whatever engine ran.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lumpability.errors import InvalidInput
from lumpability.partition import Partition
from lumpability.refinement import definition, fingerprint_rounds, worklist
from lumpability.refinement.choose import engine_for
from lumpability.refinement.histories import split_history
from lumpability.refinement.stability import is_stable
from lumpability.refinement.witness import Witness
from lumpability.structure import WeightedStructure

__all__ = [
    "ENGINES",
    "Engine",
    "Progress",
    "Refinement",
    "Witness",
    "refine",
    "split_history",
]

Engine = Literal["auto", "reference", "worklist", "rounds", "kernel"]
ENGINES: tuple[Engine, ...] = ("auto", "reference", "worklist", "rounds", "kernel")

Progress = Callable[[int, int], None]
"""Called now and then with (blocks so far, states); raising from it stops the refinement."""


@dataclass(frozen=True)
class Refinement:
    """The result of `refine`.

    Attributes
    ----------
    partition : Partition
        The coarsest stable partition that refines the initial one.
    engine : str
        Which implementation computed it.
    proved : bool
        Whether the engine has itself proved the result stable, apart from computing it.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [3, 3])
    >>> found = refine(structure)
    >>> found.partition, found.engine, found.proved
    (Partition([[0, 2], [1]]), 'worklist', False)
    """

    partition: Partition
    engine: Engine
    proved: bool = False


def refine(
    structure: WeightedStructure,
    initial: Partition | None = None,
    *,
    engine: Engine = "auto",
    progress: Progress | None = None,
) -> Refinement:
    """Compute the coarsest stable partition that refines the initial one.

    Parameters
    ----------
    structure : WeightedStructure
    initial : Partition, optional
        The structure's own initial partition by default.
    engine : {"auto", "reference", "worklist", "rounds", "kernel"}
    progress : callable, optional
        Called with (blocks so far, states) during long runs of the kernel and between rounds.

    Raises
    ------
    InvalidInput
        For an unknown engine, or the kernel with rational functions of too many monomials.

    Notes
    -----
    O(m log n) exact additions; see the engines.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [0.3, "3/10"])
    >>> refine(structure).partition
    Partition([[0, 2], [1]])
    """
    start = Partition.of(structure.initial if initial is None else initial, states=structure.n)
    if engine not in ENGINES:
        raise InvalidInput(f"unknown engine {engine!r}: choose one of {', '.join(ENGINES)}")
    if engine == "auto":
        engine = engine_for(structure)
    return _refine_with(engine, structure, start, progress)


def _refine_with(
    engine: Engine, structure: WeightedStructure, start: Partition, progress: Progress | None
) -> Refinement:
    if engine == "kernel":
        from lumpability.refinement.kernel import refine as refine_compiled

        return Refinement(refine_compiled(structure, start, progress=progress), engine, proved=True)
    if engine == "rounds":
        return _refine_by_rounds(structure, start, progress)
    run = worklist.refine if engine == "worklist" else definition.refine
    return Refinement(run(structure.explicit(), start), engine)


def _refine_by_rounds(
    structure: WeightedStructure, start: Partition, progress: Progress | None
) -> Refinement:
    structure = structure.explicit()
    tables = fingerprint_rounds.field_tables(structure.weights)
    found = fingerprint_rounds.refine(structure, start, tables, progress=progress)
    if structure.weights.components is None or not is_stable(structure, found):
        # From a partition that is stable already, the worklist sums into every block exactly and finds
        # nothing to split: that is the proof.  After a collision it splits, which is the repair.
        found = worklist.refine(structure, found)
    return Refinement(found, "rounds", proved=True)

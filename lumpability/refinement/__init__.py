"""The engine: a weighted structure and an initial partition in, the coarsest stable partition out.

Four implementations with one answer: `reference` (the definition), `worklist` (plain Python, any exact
weights), `kernel` (compiled, machine integers) and `rounds` (fingerprints in prime fields, vectorised,
any exact weights, completed by the worklist).  `refine` chooses: structures of up to 50,000 transitions
go to the worklist, or the rounds if they are symbolic, so that small chains never wait for a compiler;
larger ones go to the kernel, unless they have too many monomials for it.  All are exact.  Why the answer is the coarsest, a history
of splits tells, which `split_history` makes on the quotient, whatever engine ran.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lumpability.errors import InvalidInput
from lumpability.partition import Partition
from lumpability.refinement import reference, rounds, worklist
from lumpability.refinement.histories import split_history
from lumpability.refinement.witness import Witness
from lumpability.structure import WeightedStructure

__all__ = [
    "ENGINES",
    "Engine",
    "Progress",
    "Refinement",
    "Witness",
    "is_warm",
    "refine",
    "split_history",
]

Engine = Literal["auto", "reference", "worklist", "rounds", "kernel"]
ENGINES: tuple[Engine, ...] = ("auto", "reference", "worklist", "rounds", "kernel")

Progress = Callable[[int, int], None]
"""Called now and then with (blocks so far, states); raising from it stops the refinement."""

COMPILE_BEYOND = 50_000
"""Transitions beyond which "auto" uses the compiled kernel."""
EVALUATE_BEYOND = 1_000
"""Transitions beyond which "auto" evaluates symbolic weights in prime fields first."""


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
    chosen: Engine = engine
    if engine == "auto":
        chosen = _suitable(structure)
    if chosen != "kernel":
        structure = structure.explicit()
    if chosen == "reference":
        return Refinement(reference.refine(structure, start), chosen)
    if chosen == "worklist":
        return Refinement(worklist.refine(structure, start), chosen)
    if chosen == "rounds":
        tables = rounds.field_tables(structure.weights)
        stable = rounds.refine(structure, start, tables, progress=progress)
        # From a partition that is stable already, the worklist sums into every block exactly and finds
        # nothing to split: that is the proof.  After a collision it splits, which is the repair.
        return Refinement(worklist.refine(structure, stable), chosen, proved=True)
    from lumpability.refinement.kernel import refine as refine_compiled

    return Refinement(refine_compiled(structure, start, progress=progress), chosen, proved=True)


def is_warm(structure: WeightedStructure) -> bool:
    """Whether the kernel has been compiled for such weights: else its first use does so.

    Examples
    --------
    >>> is_warm(WeightedStructure.from_edges(2, [0], [1], [1])) in (True, False)
    True
    """
    from lumpability.refinement import kernel_warm

    return kernel_warm.is_warm(structure)


def _suitable(structure: WeightedStructure) -> Engine:
    if structure.m > COMPILE_BEYOND and structure.weights.components is not None:
        return "kernel"
    simple = structure.weights.is_rational or structure.m <= EVALUATE_BEYOND
    return "worklist" if simple else "rounds"

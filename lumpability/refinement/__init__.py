"""The engine: a weighted structure and an initial partition in, the coarsest stable partition out.

Three implementations with one answer: `reference` (the definition), `worklist` (plain Python, any exact
weights, records the trace) and `kernel` (compiled, machine integers).  `refine` chooses: structures of
up to 20,000 transitions, and symbolic ones, go to the worklist, so that small chains never wait for a
compiler; larger ones go to the kernel.  All three are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lumpability.errors import InvalidInput
from lumpability.partition import Partition
from lumpability.refinement import reference, worklist
from lumpability.refinement.trace import Split, Trace, Witness
from lumpability.structure import WeightedStructure

__all__ = [
    "ENGINES",
    "Engine",
    "Progress",
    "Refinement",
    "Split",
    "Trace",
    "Witness",
    "refine",
]

Engine = Literal["auto", "reference", "worklist", "kernel"]
ENGINES: tuple[Engine, ...] = ("auto", "reference", "worklist", "kernel")

Progress = Callable[[int, int], None]
"""Called now and then with (blocks so far, states); raising from it stops the refinement."""

COMPILE_BEYOND = 20_000
"""Transitions beyond which "auto" uses the compiled kernel."""


@dataclass(frozen=True)
class Refinement:
    """The result of `refine`.

    Attributes
    ----------
    partition : Partition
        The coarsest stable partition that refines the initial one.
    engine : str
        Which implementation computed it.
    trace : Trace or None
        The history of splits, from the worklist.
    proved : bool
        Whether the engine has itself proved the result stable, apart from computing it.
    """

    partition: Partition
    engine: Engine
    trace: Trace | None = None
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
    engine : {"auto", "reference", "worklist", "kernel"}
    progress : callable, optional
        Called with (blocks so far, states) during long runs of the kernel.

    Raises
    ------
    InvalidInput
        For an unknown engine, or the kernel with symbolic weights.

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
        small = structure.m <= COMPILE_BEYOND
        chosen = "worklist" if small or not structure.weights.is_rational else "kernel"
    if chosen == "reference":
        return Refinement(reference.refine(structure, start), chosen)
    if chosen == "worklist":
        partition, trace = worklist.refine(structure, start)
        return Refinement(partition, chosen, trace)
    from lumpability.refinement import kernel

    return Refinement(kernel.refine(structure, start, progress=progress), chosen, proved=True)

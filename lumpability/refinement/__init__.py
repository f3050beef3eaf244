"""The engine: weighted structures and an initial partition in, the coarsest stable partition out.

`definition` defines the result, and `normal_form` when sums count as equal.  The accelerators have the same signature
and give the same answer, see `engines`: `worklist` (plain Python), `fingerprint_rounds` (vectorised), `kernel`
(compiled) and `columns` (dense layers).  `refine` chooses by the size and the kind of the weights alone, so
equal input gives equal output.  `split_history` proves on the quotient that the answer of any engine is
the coarsest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lumpability.errors import InvalidInput
from lumpability.numbers.rationals import shown
from lumpability.partition import Partition
from lumpability.refinement.choose import engine_for
from lumpability.refinement.engines import (
    ENGINES,
    Engine,
    EngineName,
    Progress,
    find_engine,
)
from lumpability.refinement.histories import split_history
from lumpability.refinement.normal_form import SHARES, SUMS, NormalForm, multiples
from lumpability.refinement.witness import Witness
from lumpability.structure import Structure, WeightedStructure

__all__ = [
    "ENGINES",
    "SHARES",
    "SUMS",
    "Engine",
    "EngineName",
    "NormalForm",
    "Progress",
    "Refinement",
    "Witness",
    "multiples",
    "refine",
    "split_history",
]


@dataclass(frozen=True)
class Refinement:
    """The result of `refine`.

    Attributes
    ----------
    partition : Partition
        The coarsest stable partition that refines the initial one.
    engine : str
        The engine that computed it.
    proved : bool
        Whether the engine has proved that the result is stable.

    Examples
    --------
    >>> from lumpability.structure import WeightedStructure
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [3, 3])
    >>> found = refine(structure)
    >>> found.partition, found.engine, found.proved
    (Partition([[0, 2], [1]]), 'worklist', False)
    """

    partition: Partition
    engine: str
    proved: bool = False


def refine(
    structures: Structure | Sequence[Structure],
    within: Partition | None = None,
    *,
    normal: NormalForm = SUMS,
    engine: EngineName | Engine = "auto",
    progress: Progress | None = None,
) -> Refinement:
    """Compute the coarsest stable partition that refines the initial one.

    Parameters
    ----------
    structures : Structure or sequence of Structure
        If several, over the same states; the partition is stable for each.
    within : Partition, optional
        The initial partition; by default that of the first structure.
    normal : {SUMS, SHARES} or multiples(group)
        Decides when two vectors of block sums count as equal.
    engine : {"auto", "definition", "worklist", "rounds", "kernel", "columns"} or callable
        All give the same answer; "auto" chooses by size and kind of the weights.  A callable is called
        with the structures, the initial partition and the normal form, and returns a partition.
    progress : callable, optional
        Called with (blocks so far, states) during long runs of the kernel and between rounds.

    Raises
    ------
    InvalidInput
        For an unknown engine, or one that does not serve these weights or this normal form.

    Notes
    -----
    O(m log n) exact additions; see the engines.

    Examples
    --------
    >>> from lumpability.structure import WeightedStructure
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [0.3, "3/10"])
    >>> refine(structure).partition
    Partition([[0, 2], [1]])
    >>> refine(structure, engine=lambda structures, within, normal: Partition.discrete(3)).partition
    Partition([[0], [1], [2]])
    """
    several = structures if isinstance(structures, Sequence) else [structures]
    start = Partition.of(several[0].within if within is None else within, states=several[0].n)
    if normal is SHARES:
        _check_positive(several)
    if callable(engine):
        found = Partition.of(engine(several, start, normal), states=start.n)
        return Refinement(found, getattr(engine, "__name__", "callable"))
    chosen = find_engine(engine_for(several, normal) if engine == "auto" else engine)
    found = chosen.refine(several, start, normal, progress)
    return Refinement(found, chosen.name, chosen.proves)


def _check_positive(structures: Sequence[Structure]) -> None:
    for structure in structures:
        if isinstance(structure, WeightedStructure) and structure.weights.is_rational:
            least = min(structure.weights.values, default=1)
            if least <= 0:
                raise InvalidInput(
                    f"there is a weight {shown(least)}, and shares need positive weights"
                )

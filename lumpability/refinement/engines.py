"""The definition and its accelerators, with what each serves.  `Accelerator.refine` gives them one signature.

==============  ===========================  ===========================  ==============================
engine          normal forms                 structures                   weights
==============  ===========================  ===========================  ==============================
`definition`    all                          all                          all; numbers for `multiples`
`worklist`      `SUMS`, `SHARES`             sparse; one for `SHARES`     all
`rounds`        `SUMS`, `SHARES`             sparse                       all
`kernel`        `SUMS`                       sparse                       rational, or few monomials
`columns`       `multiples`                  one dense layer              floats and fractions
==============  ===========================  ===========================  ==============================

If every target of a transition is alone in its block, as in a layer, the other engines serve `multiples` too.
Each row is then divided by its factor once (`divided`), and rows are multiples exactly if the results are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.refinement.normal_form import SHARES, SUMS, Multiples, NormalForm
from lumpability.structure import Structure, WeightedStructure
from lumpability.vocabulary import unknown_word

__all__ = ["ENGINES", "Accelerator", "Engine", "EngineName", "Progress", "divided", "find_engine"]

Progress = Callable[[int, int], None]
"""Called from time to time with (blocks so far, states); an exception from it stops the refinement."""


class Engine(Protocol):
    """A function that returns the coarsest stable partition that refines `within`.

    Examples
    --------
    >>> from lumpability.refinement import definition, refine
    >>> def in_python(structures, within, normal):
    ...     return definition.refine(structures, within, normal)
    >>> structure = WeightedStructure.from_edges(2, [0], [1], [1])
    >>> refine(structure, engine=in_python).engine
    'in_python'
    """

    def __call__(
        self, structures: Sequence[Any], within: Partition, normal: NormalForm, /
    ) -> Partition: ...


EngineName = Literal["auto", "definition", "worklist", "rounds", "kernel", "columns"]


@dataclass(frozen=True)
class Accelerator:
    """An engine of the library.

    Attributes
    ----------
    name : str
    module : str
        Module in `lumpability.refinement` with a function `refine`; imported at the first call.
    normal_forms : tuple
        Instances, or classes, of `NormalForm`.
    sparse : bool
        Whether it refines `WeightedStructure` only.
    one_by_one : bool
        Whether its function takes one structure; several are then refined in turn until none splits.
    proves : bool
        Whether it has proved that its answer is stable when it returns; otherwise `lump` proves it.
    reports_progress : bool
        Whether its function takes ``progress=``.
    """

    name: EngineName
    module: str
    normal_forms: tuple[Any, ...]
    sparse: bool = True
    one_by_one: bool = False
    proves: bool = False
    reports_progress: bool = False

    def serves(self, normal: NormalForm) -> bool:
        """Whether the engine knows a normal form."""
        return any(
            isinstance(normal, known) if isinstance(known, type) else normal is known
            for known in self.normal_forms
        )

    def refine(
        self,
        structures: Sequence[Structure],
        within: Partition,
        normal: NormalForm,
        progress: Progress | None = None,
    ) -> Partition:
        """Return the coarsest stable partition that refines `within`.

        Raises `InvalidInput` if the engine does not serve the normal form or the structures.
        """
        if isinstance(normal, Multiples) and not self.serves(normal):
            structures, normal = divided(structures, within, normal), SUMS
        if not self.serves(normal):
            raise InvalidInput(
                f"the {self.name} engine does not refine by {normal!r}: use engine='auto'",
                engine=self.name,
            )
        if self.sparse and not all(isinstance(one, WeightedStructure) for one in structures):
            raise InvalidInput(
                f"the {self.name} engine refines sparse structures: use engine='auto'",
                engine=self.name,
            )
        run = import_module(f"{__package__}.{self.module}").refine
        options = {"progress": progress} if self.reports_progress else {}
        if not self.one_by_one:
            return run(structures, within, normal, **options)  # type: ignore[no-any-return]
        found = within
        while True:
            before = found
            for structure in structures:
                found = run(structure, found, **options)
            if len(structures) == 1 or len(found) == len(before):
                return found


ENGINES: dict[str, Accelerator] = {
    engine.name: engine
    for engine in (
        Accelerator("definition", "definition", (NormalForm,), sparse=False),
        Accelerator("worklist", "worklist", (SUMS, SHARES)),
        Accelerator(
            "rounds", "fingerprint_rounds", (SUMS, SHARES), proves=True, reports_progress=True
        ),
        Accelerator(
            "kernel", "kernel", (SUMS,), one_by_one=True, proves=True, reports_progress=True
        ),
        Accelerator("columns", "columns", (Multiples,), sparse=False, proves=True),
    )
}


def find_engine(name: str) -> Accelerator:
    """Return the engine of that name.

    Raises `InvalidInput` if there is none; the message lists the names.

    >>> find_engine("worklist").serves(SHARES)
    True
    """
    if name not in ENGINES:
        raise unknown_word("engine", name, ["auto", *ENGINES])
    return ENGINES[name]


def divided(
    structures: Sequence[Structure], within: Partition, normal: Multiples
) -> list[WeightedStructure]:
    """Divide every row by its factor, so that rows are equal exactly where the given ones are multiples.

    The factor is ``group.part`` of the first nonzero sum.  It is the same in every round, because every
    target of a transition is alone in its block from the start.

    Raises `InvalidInput` if a target of a transition is not alone in its block of `within`.

    >>> from lumpability.numbers.groups import Group
    >>> pair = WeightedStructure.from_edges(3, [0, 1], [2, 2], [2, 6])
    >>> [one] = divided([pair], Partition.of([0, 0, 1]), Multiples(Group.POSITIVE))
    >>> one.row(0), one.row(1)
    ([(2, Fraction(1, 1))], [(2, Fraction(1, 1))])
    """
    sizes = within.blocks.sizes
    found = []
    for structure in structures:
        rows: list[dict[int, Exact]] = [{} for _ in range(structure.n)]
        owner, targets, weights = structure.rows(np.arange(structure.n))
        if np.any(sizes[within.labels[targets]] > 1):
            raise InvalidInput(
                "multiples are refined by engine='definition' unless every target of a transition is alone "
                "in its block of the initial partition"
            )
        for state, target, weight in zip(owner.tolist(), targets.tolist(), weights, strict=True):
            rows[state][target] = weight
        forms = [sorted(normal.of(row, own=0).items()) for row in rows]
        found.append(WeightedStructure.from_sorted_rows(forms))
    return found

"""Normal forms: when two vectors of block sums count as equal.

A state s has for every block C the sum of its weights into C.  A *normal form* maps this vector to a
representative of everything that counts as equal to it.  A partition is stable if states of one block
have equal normal forms:

==================  ====================================================  =============================
normal form         two vectors count as equal if                         used by
==================  ====================================================  =============================
`SUMS`              they are equal                                        ordinary, exact, bisimulation;
                                                                          strict (two matrices at once)
`SHARES`            the sums into the other blocks are equal up to a      proportional lumpability
                    positive factor; weights are positive
`multiples(group)`  they are equal up to a factor of the group            layers of neural networks
==================  ====================================================  =============================

Merging blocks adds entries of these vectors.  Equal vectors stay equal and multiples stay multiples.
Therefore the join of two stable partitions is stable, and the coarsest one is unique.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from lumpability.numbers.exact_array import Exact
from lumpability.numbers.groups import Group
from lumpability.structure import WeightedStructure

__all__ = ["SHARES", "SUMS", "Multiples", "NormalForm", "multiples"]

Array = np.ndarray[Any, Any]


class NormalForm(ABC):
    """A rule that decides when two vectors of block sums count as equal.

    A normal form must survive merging: vectors that count as equal still do after some of their entries
    are added up.  Otherwise there may be no unique coarsest stable partition, and what refinement
    returns is only the partition in which splitting ends.

    Examples
    --------
    Only which blocks have a nonzero sum counts, which survives merging where weights are positive:

    >>> class Support(NormalForm):
    ...     def of(self, sums, own):
    ...         return dict.fromkeys(sums, 1)
    >>> from lumpability.refinement import refine
    >>> structure = WeightedStructure.from_edges(3, [0, 1], [2, 2], [1, 5])
    >>> refine(structure, [0, 0, 1], normal=Support()).partition
    Partition([[0, 1], [2]])
    """

    counts_own: ClassVar[bool] = True
    """Whether sums into the state's own block count."""

    @abstractmethod
    def of(self, sums: Mapping[int, Exact], own: int) -> dict[int, Exact]:
        """Return the normal form of one vector: nonzero entries by block number.

        Parameters
        ----------
        sums : mapping
            The nonzero sums by block number.
        own : int
            The block of the state.
        """

    def of_rows(self, sums: WeightedStructure, own: Array) -> WeightedStructure:
        """Return the normal forms of many states at once, one row for each.

        Parameters
        ----------
        sums : WeightedStructure
            Row i has the nonzero sums of a state; columns are blocks.
        own : int array, shape (rows,)
            The block of that state.
        """
        rows = [self.of(dict(sums.row(i)), block) for i, block in enumerate(own.tolist())]
        return WeightedStructure.from_sorted_rows([sorted(row.items()) for row in rows])


class _Sums(NormalForm):
    """Sums are equal."""

    def of(self, sums: Mapping[int, Exact], own: int) -> dict[int, Exact]:
        return dict(sums)

    def of_rows(self, sums: WeightedStructure, own: Array) -> WeightedStructure:
        return sums

    def __repr__(self) -> str:
        return "SUMS"


class _Shares(NormalForm):
    """Sums into the other blocks are equal up to a positive factor."""

    counts_own = False

    def of(self, sums: Mapping[int, Exact], own: int) -> dict[int, Exact]:
        leaving = {block: total for block, total in sums.items() if block != own}
        whole: Exact = sum(leaving.values())
        return {block: total / whole for block, total in leaving.items()}

    def of_rows(self, sums: WeightedStructure, own: Array) -> WeightedStructure:
        leaving = sums.without(np.flatnonzero(sums.indices == own[sums.sources()]))
        if not leaving.m:
            return leaving
        wholes = leaving.row_sums().take(leaving.sources())
        return replace(leaving, weights=leaving.weights.combine(wholes, operator.truediv))

    def __repr__(self) -> str:
        return "SHARES"


@dataclass(frozen=True)
class Multiples(NormalForm):
    """Equality up to a factor of a group; see `multiples`."""

    group: Group

    def of(self, sums: Mapping[int, Exact], own: int) -> dict[int, Exact]:
        if not sums:
            return {}
        factor = self.group.part(sums[min(sums)])
        return {block: total / factor for block, total in sums.items()}


SUMS: NormalForm = _Sums()
"""Sums are equal."""

SHARES: NormalForm = _Shares()
"""Sums into the other blocks are equal up to a positive factor; weights are positive."""


def multiples(group: Group) -> Multiples:
    """Return the normal form in which sums are equal up to a factor of a group.

    Examples
    --------
    >>> from fractions import Fraction
    >>> multiples(Group.POSITIVE).of({3: Fraction(-2), 5: Fraction(1)}, own=0)
    {3: Fraction(-1, 1), 5: Fraction(1, 2)}
    """
    return Multiples(group)

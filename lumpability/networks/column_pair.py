"""Two units side by side: their aggregated columns as fractions, and where they first disagree.

A column is brought to its normal form by dividing it by the part of its first nonzero entry that the layer's
group of factors allows.  Columns with equal normal forms are multiples by a factor of that group, and
otherwise the first entry in which the normal forms differ tells the units apart.  The bias comes last.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from lumpability.networks.merging import MergedStage
from lumpability.numbers.float_arrays import Array, to_fractions
from lumpability.numbers.groups import Group

__all__ = ["Pair", "Source"]


@dataclass(frozen=True)
class Source:
    """What one row of aggregated weights comes from."""

    rows: tuple[int, ...]  # rows of the stored weights, ascending; empty for the bias
    factors: tuple[Fraction, ...]  # with which they are added


@dataclass(frozen=True, eq=False)
class Pair:
    """Two units of one stage."""

    merged: MergedStage
    first: int
    second: int

    @cached_property
    def columns(self) -> list[tuple[Fraction, Fraction]]:
        """The two aggregated weights in every row class, and last the two biases."""
        summed, units = self.merged.summed, np.array([self.first, self.second])
        entries = to_fractions(summed.entries(np.arange(summed.classes), units))
        rows = [*entries.tolist(), to_fractions(summed.bias[units]).tolist()]
        return [(a, b) for a, b in rows]

    @property
    def lead(self) -> int | None:
        """The first row in which not both columns are zero; None if there is none."""
        return next((row for row, pair in enumerate(self.columns) if any(pair)), None)

    @property
    def ratio(self) -> Fraction | None:
        """The number by which the first column has to be multiplied to give the second, if there is one."""
        if self.lead is None:
            return Fraction(1)
        a, b = self.columns[self.lead]
        ratio = b / a if a else Fraction(0)
        return ratio if ratio and self.disagreement(ratio) is None else None

    def disagreement(self, factor: Fraction) -> int | None:
        """Return the first row in which the second number is not the factor times the first."""
        found = (row for row, (a, b) in enumerate(self.columns) if b != factor * a)
        return next(found, None)

    def divisors(self, group: Group) -> tuple[Fraction, Fraction]:
        """Return what the two columns are divided by to bring them to their normal forms."""
        a, b = (
            next((pair[side] for pair in self.columns if pair[side]), Fraction(1))
            for side in (0, 1)
        )
        return group.part(a), group.part(b)

    def difference(self, group: Group) -> int | None:
        """Return the first row in which the normal forms differ; None if they are equal."""
        a, b = self.divisors(group)
        return self.disagreement(b / a)

    def source(self, row: int) -> Source:
        """Return what a row comes from."""
        incoming = self.merged.summed.below
        if row == incoming.classes:
            return Source((), ())
        bounds = np.append(incoming.starts, len(incoming.members))[row : row + 2]
        members: Array = incoming.members[bounds[0] : bounds[1]]
        order = np.argsort(members, kind="stable")
        factors = incoming.factors[bounds[0] : bounds[1]][order]
        return Source(tuple(members[order].tolist()), tuple(factors.tolist()))

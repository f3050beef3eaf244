"""The two ends of an interval with the evidence for each, and how they shrink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import numpy as np

from lumpability.certificate.bounds.proofs import Evidence, prove, unreachable
from lumpability.certificate.bounds.question import Asked, Mask, absorbing
from lumpability.certificate.bounds.rows import Rows, hull_of
from lumpability.certificate.bounds.vector import Vector
from lumpability.certificate.digest import ChainParts, Digest
from lumpability.certificate.verification import Contradiction
from lumpability.errors import NoConvergence
from lumpability.markov.approximate.bounds.members import Members
from lumpability.markov.chains import MarkovChain
from lumpability.partition import Partition

Progress = Callable[[float, float], None]
"""Called with (half-width so far, half-width wanted); an exception from it stops the search."""

_EXACT_UP_TO = 64
_PATIENCE = 8
_MOST_ROUNDS = 400


@dataclass(frozen=True, eq=False)
class View:
    """A chain and a partition, with what all questions about them share."""

    chain: MarkovChain
    partition: Partition

    @cached_property
    def parts(self) -> ChainParts:
        """The content of the chain."""
        return ChainParts.of(self.chain)

    @cached_property
    def digest(self) -> Digest:
        """The hashes of the chain."""
        return Digest.of(self.parts)

    @cached_property
    def members(self) -> Members:
        """The chain as its blocks see it."""
        return Members(self.chain.matrix, self.partition)

    @cached_property
    def quotient(self) -> Rows | None:
        """The rates between blocks of a lumping; None for other partitions."""
        hull = hull_of(self.chain.matrix, self.partition, inner=False)
        return hull if hull.least.equals(hull.most) else None

    @cached_property
    def negated_generator(self) -> list[dict[int, Fraction]] | None:
        """The rows of -Q on the blocks of a small lumping, exactly; None for other partitions."""
        blocks = len(self.partition)
        if blocks > _EXACT_UP_TO or self.quotient is None:
            return None
        hull = self.quotient
        rows = [{block: Fraction(0)} for block in range(blocks)]
        for b, c, rate in zip(hull.source.tolist(), hull.target.tolist(), hull.most, strict=True):
            rows[b][b] += rate
            rows[b][c] = -rate
        return rows


@dataclass(frozen=True, eq=False)
class Task:
    """A question about a chain and a partition, with what its search needs."""

    view: View
    asked: Asked

    @property
    def chain(self) -> MarkovChain:
        """The chain."""
        return self.view.chain

    @property
    def parts(self) -> ChainParts:
        """The content of the chain."""
        return self.view.parts

    @property
    def partition(self) -> Partition:
        """The partition."""
        return self.view.partition

    @property
    def discrete(self) -> bool:
        """Whether time counts steps."""
        return self.parts.time == "discrete"

    @cached_property
    def never(self) -> Mask | None:
        """The states that cannot reach the target; None without one."""
        if self.asked.target is None:
            return None
        return unreachable(self.parts, self.asked.goal(self.parts))

    @property
    def is_of_quotient(self) -> bool:
        """Whether the partition is a lumping whose blocks part what is asked about."""
        asked = [self.asked.earning(self.parts).codes]
        if self.asked.target is not None:
            asked.append(self.asked.goal(self.parts))
        seen, members = Partition.by(self.chain.n, asked), self.view.members
        if not self.partition.refines(seen):
            return False
        sums = members.leaving @ np.arange(1.0, members.k + 1)  # exact sums take longer
        near = np.allclose(sums, sums[self.partition.representatives][self.partition.labels])
        return near and self.view.quotient is not None

    def members(self, partition: Partition | None = None) -> Members:
        """Return the chain as its blocks see it, stopped at the target of a question about a time; or as others do."""
        matrix = self.chain.matrix
        if self.asked.kind == "time_bounded":
            matrix = absorbing(matrix, self.asked.goal(self.parts), discrete=self.discrete)
        elif partition is None or partition == self.partition:
            return self.view.members
        return Members(matrix, self.partition if partition is None else partition)

    def on(self, partition: Partition) -> Task:
        """Return the same question for another partition."""
        return Task(View(self.chain, partition), self.asked)

    def proved(self, vectors: tuple[Vector, ...], *, upper: bool) -> Ends | None:
        """Return the end that some vectors prove; None if they prove nothing."""
        evidence = Evidence(tuple(self._on_blocks(vector) for vector in vectors))
        try:
            end = prove(
                self.asked, self.parts, self.partition, evidence, upper=upper, never=self.never
            )
        except Contradiction:
            return None
        return Ends(upper=end, above=evidence) if upper else Ends(lower=end, below=evidence)

    def _on_blocks(self, vector: Vector) -> Vector:
        """Return a vector on blocks if it is constant there."""
        first, labels = self.partition.representatives, self.partition.labels
        if len(vector) == len(first):
            return vector
        of_blocks = vector.take(first)
        constant = np.array_equal(of_blocks.numerators[labels], vector.numerators)
        return of_blocks if constant else vector

    def proved_both(self, below: tuple[Vector, ...], above: tuple[Vector, ...]) -> Ends:
        """Return the ends that some vectors prove, missing where they prove nothing."""
        ends = Ends().better(self.proved(below, upper=False))
        return ends.better(self.proved(above, upper=True))


@dataclass(frozen=True, eq=False)
class Ends:
    """Proved ends of an interval; None where nothing is known."""

    lower: Fraction | None = None
    upper: Fraction | None = None
    below: Evidence = field(default_factory=Evidence)
    above: Evidence = field(default_factory=Evidence)

    def better(self, other: Ends | None) -> Ends:
        """Return the larger lower and the smaller upper end of the two."""
        if other is None:
            return self
        lower, below, upper, above = self.lower, self.below, self.upper, self.above
        if other.lower is not None and (lower is None or other.lower > lower):
            lower, below = other.lower, other.below
        if other.upper is not None and (upper is None or other.upper < upper):
            upper, above = other.upper, other.above
        return Ends(lower, upper, below, above)

    @property
    def are_known(self) -> bool:
        """Whether neither end is missing."""
        return self.lower is not None and self.upper is not None

    @property
    def half_width(self) -> float:
        """Half the distance of the ends; infinite if one is missing."""
        if self.lower is None or self.upper is None:
            return float("inf")
        return float((self.upper - self.lower) / 2)


def shrink(
    first: Ends,
    improve: Callable[[], Ends | None],
    wanted: Callable[[Ends], float],
    progress: Progress | None,
) -> Ends:
    """Improve ends until the half-width is as wanted; an interrupt from the keyboard keeps the best.

    - improve (callable): makes one more round, and returns ends or None
    - wanted (callable): the half-width that is wanted, given the ends so far

    Raises `NoConvergence` if several rounds improve nothing; carries ``lower`` and ``upper``, the best ends.
    """
    ends, stalled, number = first, 0, 0
    try:
        while ends.half_width > wanted(ends):
            before = ends.half_width
            ends = ends.better(improve())
            number += 1
            stalled = 0 if ends.half_width < 0.9 * before else stalled + 1
            if progress is not None:
                progress(ends.half_width, wanted(ends))
            if stalled >= _PATIENCE or number >= _MOST_ROUNDS:
                raise NoConvergence(
                    f"the half-width {ends.half_width:.1e} was reached, not {wanted(ends):.1e}: ask for less "
                    "accuracy, or for a finer partition",
                    residual=ends.half_width,
                    lower=ends.lower,
                    upper=ends.upper,
                )
    except KeyboardInterrupt:
        if ends.half_width == float("inf"):
            raise
    return ends

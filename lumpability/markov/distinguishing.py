"""The sums that separate two blocks of a coarsest lumping, computed on the quotient.

Blocks a, b of depth d > 0 (see `lumpability.refinement.exact_rounds`) share a block N of P_{d-1} but not of
P_d: their sums into some block X of P_{d-1} differ; for proportional lumping, their shares of the rate out of
N.  The sums into the blocks of P_{d-2} still agree, so X is a proper part of a block Y of P_{d-2}, and X
and the rest of Y have depth d - 1.  Blocks of depth 0 differ in a label, a reward, their initial
probability, or in a given partition.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.certificate.digest import ChainParts
from lumpability.certificate.respected import names_of
from lumpability.markov.chains import MarkovChain
from lumpability.markov.earned_rewards import with_respected_rewards
from lumpability.markov.kinds.kind import Condition, Kind
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.partition import Partition
from lumpability.quotient import collapse
from lumpability.refinement.exact_rounds import Levels
from lumpability.structure import WeightedStructure

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Difference:
    """A block into which two blocks have different sums."""

    condition: int  # which of the kind's matrices
    splitter: int  # the label at `level` of the block that the sums go into
    level: int
    sums: tuple[Exact, Exact]  # or shares, for proportional lumping


def share(part: Exact, whole: Exact) -> Exact:
    """Return a part divided by the whole; 0 if that is zero.

    >>> share(Fraction(1), Fraction(3)), share(Fraction(0), Fraction(0))
    (Fraction(1, 3), Fraction(0, 1))
    """
    return part if whole == 0 else part / whole


class Separation:
    """The quotient of a lumping, with the levels at which its blocks are separated.

    - partition: the coarsest lumping
    - respected: the initial partition of the lumping
    """

    def __init__(
        self, chain: MarkovChain, kind: Kind, partition: Partition, respected: Partition
    ) -> None:
        self.chain, self.kind, self.partition, self.respected = chain, kind, partition, respected
        self.normal = kind.normal
        self.seen = with_respected_rewards(chain, keeps_jumps=kind.keeps_jumps)

    @cached_property
    def conditions(self) -> list[Condition]:
        """The matrices of the chain whose sums must agree."""
        return list(self.kind.conditions(self.chain))

    @cached_property
    def matrices(self) -> list[WeightedStructure]:
        """The matrices on blocks, with their diagonals."""
        return [collapse(c.matrix, self.partition).explicit() for c in self.conditions]

    @cached_property
    def levels(self) -> Levels:
        """The rounds of refinement on blocks."""
        initial = self.respected.restrict(self.partition.representatives)
        return Levels(self.matrices, initial, self.normal)

    def row(self, condition: int, block: int) -> dict[int, Exact]:
        """Return the sums of a block into each final block, zeros left out."""
        return dict(self.matrices[condition].row(block))

    def successors(self, blocks: Array) -> Array:
        """Return the blocks whose weights enter the sums of some blocks, and these themselves, ascending."""
        ends = (matrix.indices[matrix.entries_of(blocks)[1]] for matrix in self.matrices)
        return self.united(blocks, *ends)

    def united(self, *blocks: Array) -> Array:
        """Return the union of sets of blocks, in ascending order."""
        mark = np.zeros(len(self.partition), dtype=bool)
        for some in blocks:
            mark[some] = True
        return np.flatnonzero(mark)

    def sums(self, condition: int, block: int, level: int, own: int) -> dict[int, Exact]:
        """Return the sums of a block into the blocks of a level, or its shares of what leaves `own`.

        - own: A label of that level; only used for proportional lumping
        """
        row = self.row(condition, block)
        labels = self.levels.labels(list(row), level).tolist()
        sums: dict[int, Exact] = {}
        for label, weight in zip(labels, row.values(), strict=True):
            sums[label] = sums[label] + weight if label in sums else weight
        return self.normal.of(sums, own)

    def label(self, block: int, level: int) -> int:
        """Return the label of a final block at a level."""
        return int(self.levels.labels([block], level)[0])

    def differences(self, block: int, other: int) -> list[Difference]:
        """Return all sums that differ at the level before two blocks are separated, own block last.

        The blocks must not be separated from the start.
        """
        level = self.levels.depth(block, other) - 1
        own = self.label(block, level)
        found = []
        for condition in range(len(self.conditions)):
            first = self.sums(condition, block, level, own)
            second = self.sums(condition, other, level, own)
            for splitter in sorted({*first, *second}):
                pair = (first.get(splitter, Fraction(0)), second.get(splitter, Fraction(0)))
                if pair[0] != pair[1]:
                    found.append(Difference(condition, splitter, level, pair))
        return sorted(found, key=lambda difference: difference.splitter == own)

    def differing(self, blocks: Array, difference: Difference, block: int) -> Array:
        """Return which blocks have another sum than one block, for the splitter of a difference.

        Shares are of what leaves the block at the level that holds this one; they are zero for blocks
        outside it.
        """
        matrix = self.matrices[difference.condition]
        owner, positions = matrix.entries_of(blocks)
        labels = self.levels.labels(matrix.indices[positions], difference.level)

        def sums(chosen: Array) -> ExactArray:
            weights = matrix.weights.take(positions[chosen])
            if not len(weights):
                return ExactArray.constant(Fraction(0), len(blocks))
            return weights.segment_sums(np.searchsorted(owner[chosen], np.arange(len(blocks) + 1)))

        values = sums(labels == difference.splitter)
        if not self.normal.counts_own:
            own = self.label(block, difference.level)
            values = values.combine(sums(labels != own), share)
        expected = difference.sums[0]
        different: Array = values.where(lambda value: value != expected)
        if not self.normal.counts_own:
            elsewhere = self.levels.labels(blocks, difference.level) != own
            different[elsewhere] = expected != 0
        return different

    def attributes(self, block: int) -> dict[str, Any]:
        """Return the respected labels, rewards and initial probability of a block.

        These are the ones that are constant on the blocks of `respected`.
        """
        state = int(self.partition.representatives[block])
        found: dict[str, Any] = {}
        for name in self._respected_names:
            sort, _, of = name.partition(":")
            if sort == "label":
                found[name] = bool(self.seen.labels[of][state])
            elif sort == "reward":
                found[name] = tuple(part[state] for part in self.seen.rewards[of].parts)
            elif self.seen.initial is not None:
                found[name] = self.seen.initial[state]
        return found

    def alike(self, name: str | None, block: int, blocks: Array) -> Array:
        """Return which blocks share an attribute with one; `name` None means the block of `respected`."""
        codes = [self.respected.labels] if name is None else self.seen.distinctions((name,))
        first = self.partition.representatives
        same: Array = np.all([code[first[blocks]] == code[first[block]] for code in codes], axis=0)
        return same

    @cached_property
    def _respected_names(self) -> list[str]:
        names = names_of(ChainParts.of(self.seen))
        return [name for name in names if self.respected.refines(self.seen.respected((name,)))]

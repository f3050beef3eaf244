"""Which tolerance would merge two given states, and what it would cost.

Partitions of the tolerances 1/2, 1/4, 1/8, ... are nested, so there is a smallest of them at which two states share a
block.  Between it and its half the tolerance is halved on by bisection.  That the states share a block at what is found is
checked; a smaller tolerance may do as well, because partitions of other tolerances are not nested.

The cost is the residual: of the partition within that tolerance, and of the exact lumping with just the two blocks
merged, where sums into the merged block count as one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lumpability.markov.approximate.choose import partition_by_gaps
from lumpability.markov.approximate.lump import lump_within
from lumpability.markov.approximate.lumping import ApproximateLumping
from lumpability.markov.approximate.residual import Residual, residual
from lumpability.markov.approximate.tolerance import in_percent, require_numbers
from lumpability.markov.blocks import Blocked
from lumpability.markov.kinds import find_kind
from lumpability.numbers.rationals import shown
from lumpability.partition import Partition
from lumpability.quotient import collapse

_SMALLEST = Fraction(1, 2**40)
_STEPS = 7
_ZERO = Fraction(0)


@dataclass(frozen=True, eq=False)
class MergingTolerance:
    """A tolerance at which two states share a block.

    Attributes
    ----------
    states : tuple of two
        Their names.
    tolerance : Fraction or None
        None if no tolerance merges them, as they differ in what is respected or in which blocks they reach.
    lumping : ApproximateLumping or None
        The lumping within that tolerance; its ``residual`` is what it costs.
    alone : Residual
        What it costs to merge just the two blocks of the states.
    """

    states: tuple[object, object]
    tolerance: Fraction | None
    lumping: ApproximateLumping | None
    alone: Residual

    def __str__(self) -> str:
        one, other = self.states
        if self.lumping is None or self.tolerance is None:
            return f"no tolerance merges {one} and {other}"
        found = self.lumping.residual
        return (
            f"{one} and {other} share a block at a tolerance of {in_percent(self.tolerance)}: "
            f"{len(self.lumping.partition)} blocks, sums spread by at most {in_percent(found.relative)} "
            f"({shown(found.absolute)}); merged alone, by {in_percent(self.alone.relative)}"
        )


def merging_tolerance(
    lumping: Blocked, respected: Partition, state: int, other: int
) -> MergingTolerance:
    """Find a tolerance at which two states share a block; see `Lumping.tolerance_merging`.

    Raises `InvalidInput` if the chain has parameters.
    """
    chain, partition = lumping.chain, lumping.partition
    require_numbers(chain)
    blocks = [int(partition.labels[x]) for x in (state, other)]
    matrix = collapse(find_kind("ordinary").conditions(chain)[0].matrix, partition)
    within = respected.restrict(partition.representatives)

    def together(tolerance: Fraction) -> bool:
        labels = partition_by_gaps(matrix, within, tolerance, _ZERO).labels
        return bool(labels[blocks[0]] == labels[blocks[1]])

    merged = Partition(np.where(partition.labels == blocks[1], blocks[0], partition.labels))
    tolerance = _ZERO if blocks[0] == blocks[1] else _small_tolerance(together)
    small = None
    if tolerance is not None:
        small = lump_within(chain, tolerance=tolerance, respect=(), within=respected)
    names = chain.states[state], chain.states[other]
    return MergingTolerance(names, tolerance, small, residual(chain, merged))


def _small_tolerance(together: Callable[[Fraction], bool]) -> Fraction | None:
    """Return a small tolerance at which two states are together; None if they are apart at 1/2."""
    high = Fraction(1, 2)
    if not together(high):
        return None
    while high > _SMALLEST and together(high / 2):
        high /= 2
    low = high / 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if together(middle) else (middle, high)
    return high

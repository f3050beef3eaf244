"""Which implementation finds the partition by gaps."""

from __future__ import annotations

from fractions import Fraction

from lumpability.markov.approximate import gaps
from lumpability.partition import Partition
from lumpability.refinement import Progress
from lumpability.structure import WeightedStructure

__all__ = ["partition_by_gaps"]


def partition_by_gaps(
    matrix: WeightedStructure,
    within: Partition,
    tolerance: Fraction,
    absolute: Fraction,
    *,
    progress: Progress | None = None,
) -> Partition:
    """Return the partition by gaps in block sums that `gaps.refine` defines."""
    partition = gaps.refine(matrix, within, tolerance, absolute)
    if progress is not None:
        progress(len(partition), matrix.n)
    return partition

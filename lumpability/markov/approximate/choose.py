"""Which implementation finds the partition by gaps: the definition for small chains, else the kernel."""

from __future__ import annotations

from fractions import Fraction

from lumpability.markov.approximate import gaps
from lumpability.partition import Partition
from lumpability.refinement import Progress
from lumpability.structure import WeightedStructure

_SMALL = 500  # states and transitions
_LARGEST = 10**150  # sums and squares of weights fit floats
_LEAST_TOLERANCE = Fraction(1, 2**40)  # smaller ones are too near to the precision of floats


def partition_by_gaps(
    matrix: WeightedStructure,
    within: Partition,
    tolerance: Fraction,
    absolute: Fraction,
    *,
    progress: Progress | None = None,
) -> Partition:
    """Return the partition by gaps in block sums that `gaps.refine` defines.

    The kernel compares floats of twice the precision, and serves tolerances of 2^-40 and more.

    - progress (callable): called with (blocks so far, states) between rounds

    >>> matrix = WeightedStructure.from_edges(4, [0, 1, 2], [3, 3, 3], [100, 101, 110])
    >>> partition_by_gaps(matrix, Partition([0, 0, 0, 1]), Fraction(1, 50), Fraction(0))
    Partition([[0, 1], [2], [3]])
    """
    chosen = gaps.refine if _is_for_definition(matrix, tolerance, absolute) else by_kernel
    return chosen(matrix, within, tolerance, absolute, progress=progress)


def _is_for_definition(matrix: WeightedStructure, tolerance: Fraction, absolute: Fraction) -> bool:
    if matrix.n + matrix.m < _SMALL:
        return True
    ends = [*matrix.weights.values, absolute or 1]
    fits_floats = Fraction(1, _LARGEST) < min(ends) <= max(ends) < _LARGEST
    return tolerance < _LEAST_TOLERANCE or not fits_floats


def by_kernel(
    matrix: WeightedStructure,
    within: Partition,
    tolerance: Fraction,
    absolute: Fraction,
    *,
    progress: Progress | None = None,
) -> Partition:
    """Run compiled rounds; tolerances of the ladder that split nothing are skipped."""
    from lumpability.markov.approximate.splitting import Splitting

    splitting, least = Splitting(matrix, within), float(absolute)
    widest = float("inf")
    for rung in map(float, gaps.ladder(tolerance)):
        if rung >= widest:
            continue
        splitting.restart()
        while splitting.widest is None:
            if splitting.round(rung, least) and progress is not None:
                progress(splitting.blocks, matrix.n)
        widest = splitting.widest
    return splitting.partition

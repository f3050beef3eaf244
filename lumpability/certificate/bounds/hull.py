"""The hull of a partition: between which bounds the block sums of a chain lie.

q(x, C) is the sum of the weights from x into the block C.  The hull of a block B holds for every block C
the least and the largest q(x, C) of its members x, where an absent sum counts as zero; for a chain in continuous time
only C != B, because jumps inside a block change nothing.  Exact; O(m log m) for m transitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure

__all__ = ["Hull", "hull_of"]

Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Hull:
    """Bounds ``least <= q(x, target) <= most`` for all x in the block `source`; sorted by source, then target."""

    blocks: int
    source: Indices
    target: Indices
    least: ExactArray
    most: ExactArray

    def outflow(self) -> Fraction:
        """Return the largest sum of upper bounds of a block, over the other blocks."""
        leaving = self.source != self.target
        sources = self.source[leaving]
        bounds = np.searchsorted(sources, np.arange(self.blocks + 1))
        return max(self.most.take(leaving).segment_sums(bounds).values, default=Fraction(0))


def hull_of(matrix: WeightedStructure, partition: Partition, *, inner: bool) -> Hull:
    """Return the hull of a matrix of rates or probabilities.

    Parameters
    ----------
    inner : bool
        Whether sums into the own block belong to it, as in discrete time.

    Examples
    --------
    >>> matrix = WeightedStructure.from_edges(3, [0, 1, 1, 2], [2, 2, 0, 0], [1, "11/10", 5, 3])
    >>> hull = hull_of(matrix, Partition.of([0, 0, 1]), inner=False)
    >>> hull.source.tolist(), hull.target.tolist(), hull.least, hull.most
    ([0, 1], [1, 0], ExactArray([1, 3]), ExactArray([11/10, 3]))
    """
    labels, k = partition.labels, len(partition)
    indptr, columns, sums = sum_entries(
        (matrix.n, k), matrix.sources(), labels[matrix.indices], matrix.weights
    )
    sources = labels[np.repeat(np.arange(matrix.n), np.diff(indptr))].astype(np.int64)
    targets = columns.astype(np.int64)
    if not inner:
        leaving = sources != targets
        sources, targets, sums = sources[leaving], targets[leaving], sums.take(leaving)
    values = sorted(range(len(sums.values)), key=sums.values.__getitem__)
    rank = np.empty(len(values), dtype=np.int64)
    rank[values] = np.arange(len(values))
    ranks = rank[sums.codes]
    order = np.lexsort((ranks, targets, sources))
    sources, targets, ranks = sources[order], targets[order], ranks[order]
    changes = np.flatnonzero((np.diff(sources) != 0) | (np.diff(targets) != 0)) + 1
    begins = np.append(0, changes)[: len(sources)]
    ends = np.append(changes, len(sources))[: len(sources)]
    absent = ends - begins < partition.blocks.sizes[sources[begins]]
    ordered = [sums.values[code] for code in values]
    return Hull(
        k,
        sources[begins],
        targets[begins],
        ExactArray.of_values(
            np.where(absent, len(ordered), ranks[begins]), [*ordered, Fraction(0)]
        ),
        ExactArray.of_values(ranks[ends - 1], ordered),
    )

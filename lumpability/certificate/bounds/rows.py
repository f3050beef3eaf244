"""Rows of block sums: those of the members of a partition, or the hull that contains them all.

q(x, C) is the sum of the weights from x into the block C.  The *members* are the distinct rows of sums into the
other blocks, block by block.  The *hull* has one row for each block B, with the least and the largest q(x, C) of
the members for every C, where an absent sum counts as zero; what is proved for it holds for all chains with sums
between.  In discrete time it includes the own block, so that rows sum to one.  Exact; O(m log m) for m transitions.
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

__all__ = ["Rows", "hull_of", "members_of"]

Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Rows:
    """Bounds ``least <= q(x, target) <= most`` of the sums of rows; entries sorted by row, then target.

    Attributes
    ----------
    block : array of int, shape (r,)
        The block of every row, ascending; every block has one.
    row, target : array of int, shape (e,)
    least, most : ExactArray, shape (e,)
        Equal for members.
    inner : bool
        Whether sums into the own block are entries too, and rows sum to one.
    """

    block: Indices
    row: Indices
    target: Indices
    least: ExactArray
    most: ExactArray
    inner: bool = False

    @property
    def source(self) -> Indices:
        """The block of the row of every entry, shape (e,)."""
        return self.block[self.row]

    def outflow(self) -> Fraction:
        """Return the largest sum of upper bounds of a row, over the other blocks."""
        leaving = self.source != self.target
        bounds = np.searchsorted(self.row[leaving], np.arange(len(self.block) + 1))
        sums = self.most.take(leaving).segment_sums(bounds)
        return Fraction(max(sums.values, default=0))


def _sums(
    matrix: WeightedStructure, partition: Partition, *, inner: bool
) -> tuple[Indices, Indices, ExactArray]:
    """Return the states, blocks and sums q(state, block) that are not zero, sorted by state, then block."""
    labels = partition.labels
    indptr, columns, sums = sum_entries(
        (matrix.n, len(partition)), matrix.sources(), labels[matrix.indices], matrix.weights
    )
    states = np.repeat(np.arange(matrix.n), np.diff(indptr))
    targets = columns.astype(np.int64)
    if inner:
        return states, targets, sums
    leaving = labels[states] != targets
    return states[leaving], targets[leaving], sums.take(leaving)


def hull_of(matrix: WeightedStructure, partition: Partition, *, inner: bool) -> Rows:
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
    states, targets, sums = _sums(matrix, partition, inner=inner)
    sources = partition.labels[states].astype(np.int64)
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
    least = np.where(absent, len(ordered), ranks[begins])
    return Rows(
        np.arange(len(partition)),
        sources[begins],
        targets[begins],
        ExactArray.of_values(least, [*ordered, Fraction(0)]),
        ExactArray.of_values(ranks[ends - 1], ordered),
        inner,
    )


def members_of(matrix: WeightedStructure, partition: Partition) -> Rows:
    """Return the distinct rows of the members of every block.

    Examples
    --------
    >>> matrix = WeightedStructure.from_edges(3, [0, 1, 1, 2], [2, 2, 0, 0], [1, 1, 5, 3])
    >>> rows = members_of(matrix, Partition.of([0, 0, 1]))
    >>> rows.block.tolist(), rows.target.tolist(), rows.most
    ([0, 1], [1, 0], ExactArray([1, 3]))
    """
    states, targets, sums = _sums(matrix, partition, inner=False)
    bounds = np.searchsorted(states, np.arange(matrix.n + 1))
    first: dict[tuple[int, bytes, bytes], int] = {}
    for x, (low, high) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        key = (
            int(partition.labels[x]),
            targets[low:high].tobytes(),
            sums.codes[low:high].tobytes(),
        )
        first.setdefault(key, x)
    chosen = np.array(list(first.values()), dtype=np.int64)
    chosen = chosen[np.argsort(partition.labels[chosen], kind="stable")]
    lengths = (bounds[1:] - bounds[:-1])[chosen]
    row = np.repeat(np.arange(len(chosen)), lengths)
    before = np.cumsum(lengths) - lengths
    places = np.arange(len(row)) + (bounds[chosen] - before)[row]
    weights = sums.take(places)
    block = partition.labels[chosen].astype(np.int64)
    return Rows(block, row, targets[places], weights, weights)

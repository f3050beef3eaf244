"""Rows of block sums: those of the members of a partition, or the hull that contains them all.

q(x, C) is the sum of the weights from x into the block C.  The *members* are the distinct rows of sums into the
other blocks, block by block.  The *hull* has one row for each block B, with the least and the largest q(x, C) of
the members for every C, where an absent sum counts as zero; what is proved for it holds for all chains with sums
between.  In discrete time it includes the own block, so that rows sum to one.

Exact; O(m), and sorting inside rows.  Sums are compared as integers over a common denominator if they fit 62 bits, else by
their places among the distinct sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import intern
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure

Indices = np.ndarray[Any, Any]

_SAFE_BITS = 62


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


@dataclass(frozen=True)
class _Sums:
    """Sums of rows that are not zero, as integers ``keys`` in the order of the sums, 0 for 0, by row and then column."""

    indptr: Indices
    columns: Indices
    keys: Indices
    scale: int  # the denominator; 0 if keys are places in `ordered`
    ordered: list[Fraction]

    def rational(self, keys: Indices) -> ExactArray:
        """Return the numbers of some keys."""
        if not self.scale:
            return ExactArray.of_values(keys, self.ordered)
        codes, distinct = intern(keys)
        return ExactArray.of_values(codes, [Fraction(x, self.scale) for x in distinct.tolist()])

    def by_column(self) -> tuple[Indices, Indices, Indices]:
        """Return rows, columns and keys, by column and then row."""
        from scipy.sparse import csr_array

        shape = (len(self.indptr) - 1, int(self.columns.max(initial=-1)) + 1)
        turned = csr_array((self.keys, self.columns, self.indptr), shape=shape).tocsc()
        return turned.indices, np.repeat(np.arange(shape[1]), np.diff(turned.indptr)), turned.data


def _sums(
    shape: tuple[int, int], rows: Indices, columns: Indices, weights: ExactArray, longest: int
) -> _Sums:
    """Sum entries that share row and column; `longest` is the largest number of entries of a row."""
    if len(weights) and weights.is_narrow:
        integers, scale = weights.integers
        bits = max(abs(x) for x in integers).bit_length() + longest.bit_length()
        if bits <= _SAFE_BITS:
            from scipy.sparse import coo_array

            data = np.array(integers, dtype=np.int64)[weights.codes]
            summed = coo_array((data, (rows, columns)), shape=shape).tocsr()
            return _Sums(summed.indptr, summed.indices, summed.data, scale, [])
    indptr, found, sums = sum_entries(shape, rows, columns, weights)
    order = sorted(range(len(sums.values)), key=sums.values.__getitem__)
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(1, len(order) + 1)
    ordered = [Fraction(0), *(sums.values[code] for code in order)]
    return _Sums(indptr, found, places[sums.codes], 0, ordered)


def _sums_into_blocks(
    matrix: WeightedStructure,
    partition: Partition,
    *,
    inner: bool,
    by_block: bool,
    apart: bool = True,
) -> _Sums:
    """Sum the weights of every state into every block, or without `apart` into all other blocks together.

    - inner: whether sums into the own block count
    - by_block: whether rows come block by block, in the order of ``partition.blocks.members``, and not by
      number of the state
    """
    labels, sources = partition.labels, matrix.sources()
    targets, weights = labels[matrix.indices], matrix.weights
    if not inner:
        leaving = np.flatnonzero(labels[sources] != targets)
        sources, targets, weights = sources[leaving], targets[leaving], weights.take(leaving)
    if by_block:
        place = np.empty(matrix.n, dtype=np.int32)
        place[partition.blocks.members] = np.arange(matrix.n)
        sources = place[sources]
    longest = int(np.diff(matrix.indptr).max(initial=0))
    columns = targets if apart else np.zeros(len(targets), dtype=np.int32)
    return _sums((matrix.n, len(partition)), sources, columns, weights, longest)


def hull_of(matrix: WeightedStructure, partition: Partition, *, inner: bool) -> Rows:
    """Return the hull of a matrix of rates or probabilities.

    - inner: whether sums into the own block belong to it, as in discrete time

    >>> matrix = WeightedStructure.from_edges(3, [0, 1, 1, 2], [2, 2, 0, 0], [1, "11/10", 5, 3])
    >>> hull = hull_of(matrix, Partition.of([0, 0, 1]), inner=False)
    >>> hull.source.tolist(), hull.target.tolist(), hull.least, hull.most
    ([0, 1], [1, 0], ExactArray([1, 3]), ExactArray([11/10, 3]))
    """
    blocks = partition.blocks
    sums = _sums_into_blocks(matrix, partition, inner=inner, by_block=True)
    places, targets, keys = sums.by_column()
    sources = np.repeat(np.arange(len(partition)), blocks.sizes)[places]
    changes = np.flatnonzero((np.diff(sources) != 0) | (np.diff(targets) != 0)) + 1
    begins = np.append(0, changes)[: len(sources)]
    counts = np.diff(np.append(begins, len(sources)))
    sources, targets = sources[begins], targets[begins]
    order = np.lexsort((targets, sources))
    if len(begins):
        least = np.where(counts < blocks.sizes[sources], 0, np.minimum.reduceat(keys, begins))[
            order
        ]
        most = np.maximum.reduceat(keys, begins)[order]
    else:
        least = most = keys
    return Rows(
        np.arange(len(partition)),
        sources[order],
        targets[order],
        sums.rational(least),
        sums.rational(most),
        inner,
    )


def outflows_of(matrix: WeightedStructure, partition: Partition) -> tuple[ExactArray, ExactArray]:
    """Return for every block the least and the largest sum of the weights of a member into other blocks.

    >>> matrix = WeightedStructure.from_edges(3, [0, 1, 1, 2], [2, 2, 0, 0], [1, "11/10", 5, 3])
    >>> outflows_of(matrix, Partition.of([0, 0, 1]))
    (ExactArray([1, 3]), ExactArray([11/10, 3]))
    """
    sums = _sums_into_blocks(matrix, partition, inner=False, by_block=True, apart=False)
    keys = np.zeros(matrix.n, dtype=np.int64)
    keys[np.diff(sums.indptr) > 0] = sums.keys
    starts = partition.blocks.bounds[:-1]
    if not matrix.n:
        return sums.rational(keys), sums.rational(keys)
    ends = (end.reduceat(keys, starts) for end in (np.minimum, np.maximum))
    least, most = (sums.rational(end) for end in ends)
    return least, most


def members_of(matrix: WeightedStructure, partition: Partition) -> Rows:
    """Return the distinct rows of the members of every block.

    >>> matrix = WeightedStructure.from_edges(3, [0, 1, 1, 2], [2, 2, 0, 0], [1, 1, 5, 3])
    >>> rows = members_of(matrix, Partition.of([0, 0, 1]))
    >>> rows.block.tolist(), rows.target.tolist(), rows.most
    ([0, 1], [1, 0], ExactArray([1, 3]))
    """
    sums = _sums_into_blocks(matrix, partition, inner=False, by_block=False)
    bounds, targets, keys = sums.indptr.astype(np.int64), sums.columns, sums.keys
    labels = partition.labels
    first: dict[tuple[int, bytes, bytes], int] = {}
    for x, (low, high) in enumerate(pairwise(bounds.tolist())):
        key = int(labels[x]), targets[low:high].tobytes(), keys[low:high].tobytes()
        first.setdefault(key, x)
    chosen = np.array(list(first.values()), dtype=np.int64)
    chosen = chosen[np.argsort(labels[chosen], kind="stable")]
    lengths = (bounds[1:] - bounds[:-1])[chosen]
    row = np.repeat(np.arange(len(chosen)), lengths)
    before = np.cumsum(lengths) - lengths
    places = np.arange(len(row)) + (bounds[chosen] - before)[row]
    weights = sums.rational(keys[places])
    return Rows(labels[chosen].astype(np.int64), row, targets[places], weights, weights)

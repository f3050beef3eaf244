"""Sums of the rates (or probabilities) of states into blocks, exactly, as groups of block pairs.

For a state x and a block C let q(x, C) be the sum of the rates from x into the states of C.  A *group* is a
pair (B, C) of blocks with the sums q(x, C) of the members x of B that reach C.  Members that do not reach C
have the sum 0; they are counted and not stored.  For a CTMC there are no groups (B, B): what stays in the own
block is determined by the other sums.

O(m) exact additions and sorting; memory for n + m entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.partition import Partition

__all__ = ["Groups", "block_sums", "means", "ranks", "require_numbers"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Groups:
    """The sums of states into blocks, sorted by pairs of blocks.

    Attributes
    ----------
    partition : Partition
    block, into : int array, shape (g,)
        The pair (B, C) of every group, in lexicographic order.
    bounds : int array, shape (g + 1,)
        Group i holds the entries ``bounds[i] .. bounds[i + 1]`` of `sums`.
    sums : ExactArray, shape (e,)
        By member; none is zero.
    """

    partition: Partition
    block: Array
    into: Array
    bounds: Array
    sums: ExactArray

    @cached_property
    def has_zero(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether some member of the first block does not reach the second, shape (g,)."""
        absent: np.ndarray[Any, np.dtype[np.bool_]]
        absent = np.diff(self.bounds) < self.partition.blocks.sizes[self.block]
        return absent

    def extremes(self) -> tuple[ExactArray, ExactArray]:
        """Return the least and the largest sum of every group, shape (g,); absent sums count as 0."""
        if not len(self.block):
            return self.sums, self.sums
        places, order = ranks(self.sums)
        least = np.minimum.reduceat(places, self.bounds[:-1])
        most = np.maximum.reduceat(places, self.bounds[:-1])
        table = np.array([*order, len(order)])  # the last one for 0
        values = [*self.sums.values, Fraction(0)]
        lower = ExactArray.of_values(table[np.where(self.has_zero, len(order), least)], values)
        return lower, ExactArray.of_values(table[most], values)


def ranks(array: ExactArray) -> tuple[Array, list[int]]:
    """Return the place of every number among the distinct ones, and the codes of these, ascending.

    Examples
    --------
    >>> places, order = ranks(ExactArray.read([3, "1/2", 3])[0])
    >>> places.tolist(), order
    ([1, 0, 1], [1, 0])
    """
    values: Any = array.values
    if array.is_narrow:
        values = array.integers[0]  # integers compare faster
    order = sorted(range(len(values)), key=values.__getitem__)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[array.codes], order


def require_numbers(chain: MarkovChain) -> None:
    """Refuse a chain with parameters: whether two of its rates are near each other is not determined."""
    if not chain.is_rational:
        names = ", ".join(map(str, chain.parameters))
        raise InvalidInput(
            f"a tolerance compares numbers, and this chain has the parameters {names}: substitute numbers "
            "for them first, with chain.subs",
            parameters=chain.parameters,
        )


def block_sums(chain: MarkovChain, partition: Partition) -> Groups:
    """Return the sums of the states of a chain into blocks.

    Raises
    ------
    InvalidInput
        If the chain has parameters.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> chain = CTMC([[0, 1, 2], [0, 0, 1], [5, 0, 0]])
    >>> groups = block_sums(chain, Partition([0, 0, 1]))
    >>> groups.block.tolist(), groups.into.tolist(), groups.sums
    ([0, 1], [1, 0], ExactArray([2, 1, 5]))
    """
    require_numbers(chain)
    matrix, labels, blocks = chain.matrix, partition.labels, len(partition)
    sources, targets = matrix.sources(), labels[matrix.indices]
    weights = matrix.weights
    if chain.time == "continuous":
        leaving = np.flatnonzero(labels[sources] != targets)
        sources, targets, weights = sources[leaving], targets[leaving], weights.take(leaving)
    indptr, into, sums = sum_entries((chain.n, blocks), sources, targets, weights)
    place = np.repeat(labels.astype(np.int64), np.diff(indptr)) * blocks + into
    order = np.argsort(place, kind="stable")
    place = place[order]
    starts = np.flatnonzero(np.append(True, np.diff(place) != 0)) if len(place) else place
    block, target = np.divmod(place[starts], max(blocks, 1))
    bounds = np.append(starts, len(place))
    return Groups(partition, block, target, bounds, sums.take(order))


def means(chain: MarkovChain, partition: Partition) -> tuple[Array, Array, ExactArray]:
    """Return the plain means over members of the sums into blocks, as compressed rows of blocks.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> indptr, into, mean = means(CTMC([[0, 1, 2], [0, 0, 1], [5, 0, 0]]), Partition([0, 0, 1]))
    >>> indptr.tolist(), into.tolist(), mean
    ([0, 1, 2], [1, 0], ExactArray([3/2, 5]))
    """
    require_numbers(chain)
    matrix, labels, blocks = chain.matrix, partition.labels, len(partition)
    rows, columns, weights = labels[matrix.sources()], labels[matrix.indices], matrix.weights
    if chain.time == "continuous":
        leaving = np.flatnonzero(rows != columns)
        rows, columns, weights = rows[leaving], columns[leaving], weights.take(leaving)
    indptr, into, totals = sum_entries((blocks, blocks), rows, columns, weights)
    sizes = partition.blocks.sizes[np.repeat(np.arange(blocks), np.diff(indptr))]
    size = ExactArray.of_values(sizes, [Fraction(i) for i in range(int(sizes.max(initial=0)) + 1)])
    return indptr, into, totals.combine(size, lambda total, number: total / number)

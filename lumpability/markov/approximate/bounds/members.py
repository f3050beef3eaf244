"""The chain as its blocks see it, in floating point: rows of block sums, and the best choice among the members.

A block in the hands of an adversary behaves like any of its members: this is a Markov decision process with
blocks as states and members as actions.  What is found here is only searched for; the ends of intervals are
proved from it in exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.certificate.bounds.drift import drift
from lumpability.certificate.bounds.vector import SAFE_BITS, Vector, whole_numbers, width
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, Any]
Entries = tuple[Ints, Ints, Floats]
"""Rows, columns and numbers of a sparse matrix; those of one place are added."""

_DENSE_UP_TO, _COMPLETE_UP_TO = 400, 10_000  # rows
_FEW_BITS = 30  # fewer than 52 by so many are precise enough
_BITS = 53  # of integers that keep checks fast


class Members:
    """The rates of a chain between states and from states to blocks.

    - matrix: rates or probabilities
    """

    def __init__(self, matrix: WeightedStructure, partition: Partition) -> None:
        from scipy.sparse import csr_array

        self.matrix, self.labels = matrix, partition.labels
        self.n, self.k = matrix.n, len(partition)
        sources = matrix.sources()
        moves = sources != matrix.indices
        before = np.searchsorted(sources[moves], np.arange(matrix.n + 1))
        entries = matrix.weights.to_floats()[moves], matrix.indices[moves], before
        self.rates = csr_array(entries, shape=(matrix.n, matrix.n))
        self.exits: Floats = np.asarray(self.rates.sum(axis=1), dtype=np.float64).ravel()
        self.sizes = partition.blocks.sizes.astype(np.float64)
        self._order, self._begins = partition.blocks.members, partition.blocks.bounds[:-1]

    @cached_property
    def sources(self) -> Ints:
        """The state from which every rate leads."""
        return np.repeat(np.arange(self.n), np.diff(self.rates.indptr))

    @cached_property
    def _indicator(self) -> Any:
        """The matrix V, n x k, with a one where a state lies in a block."""
        from scipy.sparse import csr_array

        entries = np.ones(self.n), self.labels, np.arange(self.n + 1)
        return csr_array(entries, shape=(self.n, self.k))

    @cached_property
    def leaving(self) -> Any:
        """The rates of states into other blocks, a csr_array, n x k."""
        rates = self.rates.copy()
        rates.data[self.labels[rates.indices] == self.labels[self.sources]] = 0.0
        found = rates @ self._indicator
        found.sort_indices()
        return found

    @cached_property
    def outflow(self) -> Floats:
        """The rate of every state out of its block."""
        return np.asarray(self.leaving.sum(axis=1)).ravel()

    def drift_of_blocks(self, values: Floats) -> Floats:
        """Return Q V v for a vector on blocks."""
        found: Floats = self.leaving @ values - self.outflow * values[self.labels]
        return found

    def drift(self, values: Floats) -> Floats:
        """Return Q x for a vector on states."""
        found: Floats = self.rates @ values - self.exits * values
        return found

    def drift_beyond_floats(self, vector: Vector, earning: ExactArray | None = None) -> Floats:
        """Return g + Q v, rounded once."""
        return drift(self.matrix, vector).plus(earning).to_floats()

    def best(self, scores: Floats) -> Ints:
        """Return for every block the member with the largest score."""
        ordered = scores[self._order]
        top = np.maximum.reduceat(ordered, self._begins)
        wins = np.flatnonzero(ordered == np.repeat(top, np.diff(np.append(self._begins, self.n))))
        first = np.searchsorted(wins, self._begins)
        found: Ints = self._order[wins[first]]
        return found

    def sums(self, values: Floats) -> Floats:
        """Return the sum of a vector over every block."""
        return np.bincount(self.labels, values, minlength=self.k).astype(np.float64)

    def means(self, values: Floats) -> Floats:
        """Return the mean of a vector over every block."""
        found: Floats = self.sums(values) / self.sizes
        return found

    def starting(self, start: ExactArray | None) -> Floats:
        """Return the initial probability of every block, the same for all without an initial distribution."""
        return np.full(self.k, 1 / self.k) if start is None else self.sums(start.to_floats())

    @cached_property
    def nominal(self) -> Entries:
        """The generator of the mean of the members."""
        summed = (self._indicator.T @ self.leaving).tocoo()
        shares = summed.data / self.sizes[summed.row]
        return joined((summed.row, summed.col, shares), diagonal(-self.means(self.outflow)))

    def generator(self, policy: Ints) -> Entries:
        """Return the generator on blocks in which every block behaves like the chosen member."""
        begins = self.leaving.indptr[policy].astype(np.int64)
        counts = self.leaving.indptr[policy + 1] - begins
        rows = np.repeat(np.arange(self.k), counts)
        places = np.arange(len(rows)) + (begins - np.cumsum(counts) + counts)[rows]
        entries = rows, self.leaving.indices[places], self.leaving.data[places]
        return joined(entries, diagonal(-self.outflow[policy]))

    @cached_property
    def of_states(self) -> Entries:
        """The generator of the chain."""
        return joined((self.sources, self.rates.indices, self.rates.data), diagonal(-self.exits))


def joined(*entries: Entries) -> Entries:
    """Return the entries of a sum of matrices."""
    rows, columns, data = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    return rows.astype(np.int64), columns, data


def diagonal(values: Floats) -> Entries:
    """Return the entries of a diagonal matrix."""
    places = np.arange(len(values))
    return places, places, values


def negated(entries: Entries, where: Any = None) -> Entries:
    """Return the entries of -A, of A's rows in a set of states only if it is given."""
    rows, columns, data = entries
    if where is None:
        return rows, columns, -data
    kept = where[rows]
    return rows[kept], columns[kept], -data[kept]


def assembled(size: int, *entries: Entries) -> Any:
    """Return a sum of square matrices, as an array up to 400 rows and as a csc_array beyond."""
    rows, columns, data = joined(*entries)
    if size <= _DENSE_UP_TO:
        return np.bincount(rows * size + columns, data, size * size).reshape(size, size)
    from scipy.sparse import coo_array

    return coo_array((data, (rows, columns)), shape=(size, size)).tocsc()


def solver(
    size: int, *entries: Entries, roughly: bool = False
) -> Callable[[Floats], Floats] | None:
    """Return a function that solves systems with a sum of matrices; None if it is singular in floating point.

    - roughly: whether large matrices may be factorised incompletely, within ten times their memory
    """
    matrix = assembled(size, *entries)
    if isinstance(matrix, np.ndarray):
        from scipy.linalg.lapack import dgetrf, dgetrs

        factors, pivots, singular = dgetrf(matrix)
        return None if singular else lambda right: dgetrs(factors, pivots, right)[0]
    from scipy.sparse.linalg import spilu, splu

    try:
        factors = (
            spilu(matrix, drop_tol=1e-6) if roughly and size > _COMPLETE_UP_TO else splu(matrix)
        )
        solve: Callable[[Floats], Floats] = factors.solve
    except RuntimeError:  # "Factor is exactly singular"
        return None
    return solve


def rounded(values: Floats, onto: Vector | None = None) -> Vector:
    """Return a vector close to the values, or to their sum with another one, over a power of two.

    Values keep 52 bits, or at least 22 if sums have no more than 53 then.

    >>> vector = rounded(np.array([0.5, -0.25]))
    >>> (vector.numerators / vector.scale).tolist()
    [0.5, -0.25]
    >>> (rounded(np.array([2.0**-80, 0]), onto=vector).exact()[0] - vector.exact()[0]) * 2**80 == 1
    True
    """
    largest = float(np.abs(values).max(initial=0.0))
    wanted = max(52 - int(np.frexp(largest)[1]), 0) if largest > 0 else 0
    bits, before = wanted, np.zeros(len(values), dtype=np.int64)
    if onto is not None:
        before, present = onto.numerators, onto.scale.bit_length() - 1
        room = max(_BITS - width(before), 0)
        bits = max(
            present, wanted if wanted - _FEW_BITS > present + room else min(wanted, present + room)
        )
        before = _whole(before, width(before) + bits - present) * (1 << bits - present)
    return Vector(whole_numbers(before + _integers(np.rint(np.ldexp(values, bits)))), 1 << bits)


def rounded_up(values: Floats, onto: Vector) -> Vector:
    """Return a vector plus values that are not negative, rounded up at its own scale."""
    try:
        more = np.ceil(values * float(onto.scale))
    except OverflowError:
        more = np.full(len(values), np.inf)
    if not np.isfinite(more).all():
        return onto
    return Vector(whole_numbers(onto.numerators + _integers(more)), onto.scale)


def _whole(integers: Any, bits: int) -> Any:
    """Return integers as Python integers if so many bits do not fit int64."""
    return integers.astype(object) if bits > SAFE_BITS else integers


def _integers(values: Floats) -> Any:
    """Return whole floats as integers."""
    if np.abs(values).max(initial=0.0) < 2.0**SAFE_BITS:
        return values.astype(np.int64)
    return np.array([int(x) for x in values.tolist()], dtype=object)

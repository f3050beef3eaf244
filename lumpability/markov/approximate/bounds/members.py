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
        from scipy.sparse import csr_array

        rates = self.rates
        inside = self.labels[rates.indices] == self.labels[self.sources]
        entries = np.where(inside, 0.0, rates.data), rates.indices, rates.indptr
        found = csr_array(entries, shape=rates.shape) @ self._indicator
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
    def nominal(self) -> Any:
        """The generator of the mean of the members, k x k."""
        from scipy.sparse import diags_array

        means = diags_array(1 / self.sizes) @ (self._indicator.T @ self.leaving)
        return _generator(means, self.means(self.outflow))

    def generator(self, policy: Ints) -> Any:
        """Return the generator on blocks in which every block behaves like the chosen member."""
        return _generator(self.leaving[policy], self.outflow[policy])

    @cached_property
    def of_states(self) -> Any:
        """The generator of the chain, n x n."""
        return _generator(self.rates, self.exits)


def _generator(rates: Any, outflow: Floats) -> Any:
    """Return rates with their outflow on the diagonal, as an array up to 400 rows and as a csr_array beyond."""
    if len(outflow) <= _DENSE_UP_TO:
        return rates.toarray() - np.diag(outflow)
    from scipy.sparse import diags_array

    return (rates - diags_array(outflow)).tocsr()


def stopped(generator: Any, moving: Any, ending: Floats) -> Any:
    """Return D - Q in the rows that move and D in the others, for a generator Q and a diagonal D."""
    if isinstance(generator, np.ndarray):
        return np.diag(ending) - np.where(np.reshape(moving, (-1, 1)), generator, 0.0)
    from scipy.sparse import diags_array

    return (diags_array(ending) - diags_array(np.where(moving, 1.0, 0.0)) @ generator).tocsr()


def bordered(matrix: Any, column: Floats, row: Floats) -> Any:
    """Return a square matrix with one more column and one more row, and zero in the corner."""
    across, down = row[np.newaxis], column[:, np.newaxis]
    if isinstance(matrix, np.ndarray):
        return np.block([[matrix, down], [across, np.zeros((1, 1))]])
    from scipy.sparse import block_array, csr_array

    return block_array([[matrix, csr_array(down)], [csr_array(across), None]])


def solver(matrix: Any, *, roughly: bool = False) -> Callable[[Floats], Floats] | None:
    """Return a function that solves systems with a matrix; None if it is singular in floating point.

    - roughly: whether large matrices may be factorised incompletely, within ten times their memory
    """
    if isinstance(matrix, np.ndarray):
        from scipy.linalg.lapack import dgetrf, dgetrs

        factors, pivots, singular = dgetrf(matrix)
        return None if singular else lambda right: dgetrs(factors, pivots, right)[0]
    from scipy.sparse.linalg import spilu, splu

    columns = matrix.tocsc()
    try:
        if roughly and columns.shape[0] > _COMPLETE_UP_TO:
            factors = spilu(columns, drop_tol=1e-6)
        else:
            factors = splu(columns)
    except RuntimeError:  # "Factor is exactly singular"
        return None
    solve: Callable[[Floats], Floats] = factors.solve
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

"""The chain as its blocks see it, in floating point: rows of block sums, and the best choice among the members.

A block in the hands of an adversary behaves like any of its members: this is a Markov decision process with
blocks as states and members as actions.  What is found here is only searched for; the ends of intervals are
proved from it in exact arithmetic.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from lumpability.partition import Partition
from lumpability.structure import WeightedStructure

__all__ = ["Floats", "Members", "rounded"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_DENSE_UP_TO = 400


class Members:
    """The rates of a chain between states and from states to blocks.

    Parameters
    ----------
    matrix : WeightedStructure
        Rates or probabilities.
    partition : Partition
    """

    def __init__(self, matrix: WeightedStructure, partition: Partition) -> None:
        self.n, self.k, self.labels = matrix.n, len(partition), partition.labels
        self.rates = matrix.without_diagonal().to_scipy().tocsr().astype(np.float64)
        self.exits = np.asarray(self.rates.sum(axis=1)).ravel()
        self.sizes = partition.blocks.sizes.astype(np.float64)
        order = np.argsort(self.labels, kind="stable")
        self._order, self._begins = order, np.searchsorted(self.labels[order], np.arange(self.k))

    @cached_property
    def indicator(self) -> Any:
        """The matrix V, n x k."""
        from scipy.sparse import csr_array

        columns = self.labels.astype(np.int64)
        return csr_array((np.ones(self.n), columns, np.arange(self.n + 1)), shape=(self.n, self.k))

    @cached_property
    def leaving(self) -> Any:
        """The rates of states into other blocks, a csr_array, n x k."""
        sums = (self.rates @ self.indicator).tocoo()
        out = sums.col != self.labels[sums.row]
        from scipy.sparse import csr_array

        return csr_array((sums.data[out], (sums.row[out], sums.col[out])), shape=(self.n, self.k))

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

    def best(self, scores: Floats) -> Ints:
        """Return for every block the member with the largest score."""
        ordered = scores[self._order]
        top = np.maximum.reduceat(ordered, self._begins)
        wins = np.flatnonzero(ordered == np.repeat(top, np.diff(np.append(self._begins, self.n))))
        first = np.searchsorted(wins, self._begins)
        found: Ints = self._order[wins[first]]
        return found

    def means(self, values: Floats) -> Floats:
        """Return the mean of a vector over every block."""
        found: Floats = np.bincount(self.labels, values, minlength=self.k) / self.sizes
        return found

    @cached_property
    def nominal(self) -> Any:
        """The generator of the mean of the members, a csr_array, k x k."""
        from scipy.sparse import diags_array

        shares = diags_array(1 / self.sizes) @ self.indicator.T
        return (shares @ self.leaving - diags_array(self.means(self.outflow))).tocsr()

    def generator(self, policy: Ints) -> Any:
        """Return the generator on blocks in which every block behaves like the chosen member."""
        from scipy.sparse import diags_array

        return (self.leaving[policy] - diags_array(self.outflow[policy])).tocsr()


def solver(matrix: Any) -> Any:
    """Return a function that solves systems with a sparse matrix; None if it is singular in floating point."""
    from scipy.linalg import LinAlgWarning, lu_factor, lu_solve
    from scipy.sparse.linalg import splu

    if matrix.shape[0] <= _DENSE_UP_TO:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LinAlgWarning)
            factors = lu_factor(matrix.toarray(), check_finite=False)
        if not np.all(np.abs(np.diag(factors[0])) > 0):
            return None
        return lambda right: lu_solve(factors, right, check_finite=False)
    try:
        return splu(matrix.tocsc()).solve
    except RuntimeError:  # "Factor is exactly singular"
        return None


def rounded(values: Floats) -> tuple[Any, int]:
    """Return integers and a scale, a power of two, so that ``integers / scale`` is close to the values.

    The largest integer has about 52 bits, as the largest value does.

    Examples
    --------
    >>> integers, scale = rounded(np.array([0.5, -0.25]))
    >>> (integers / scale).tolist()
    [0.5, -0.25]
    """
    largest = float(np.abs(values).max(initial=0.0))
    bits = 52 - (int(np.frexp(largest)[1]) if largest > 0 else 0)
    if bits < 0:
        return np.array([int(x) for x in values.tolist()], dtype=object), 1
    return np.rint(np.ldexp(values, bits)).astype(np.int64), 1 << bits

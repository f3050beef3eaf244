"""Weighted transition structures: a finite set of states and a sparse matrix of exact weights.

M[s, u] is the weight of the transition from s to u; absent transitions have weight zero.  Rows are
stored in compressed form: row s occupies positions ``indptr[s] .. indptr[s+1]`` of `indices` and of
`weights`, columns ascending, no column twice, no weight zero.  The incoming direction is the
transposed structure, built when first used.  An initial partition, `within`, says which states may never share
a block.  Nothing here knows what a chain, a rate or a neuron is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.integers import smallest_unsigned
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.partition import Partition
from lumpability.structure.protocol import Rows

__all__ = ["WeightedStructure"]

_MAX_STATES = 2**31 - 1
_CHUNK = 1 << 16  # entries handled at a time, so that they stay in the cache


@dataclass(frozen=True, eq=False, repr=False)
class WeightedStructure:
    """States 0 .. n-1 with exactly weighted transitions and an initial partition, which refinement keeps within.

    Attributes
    ----------
    indptr : array of int64, shape (n + 1,)
    indices : array of int32, shape (m,)
        Target states, ascending inside a row.
    weights : ExactArray, shape (m,)
        No weight is zero.
    within : Partition
        States in different blocks must stay apart.
    closed : bool
        The diagonal is implicit: it makes every row sum to zero, as in a generator.  Stored diagonal
        entries are then ignored.  `explicit` stores the diagonal.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(2, [0, 0, 1], [1, 1, 0], ["1/2", "1/2", 3])
    >>> structure
    WeightedStructure(2 states, 2 transitions)
    >>> structure.row(0)
    [(1, Fraction(1, 1))]
    """

    indptr: np.ndarray[Any, np.dtype[np.int64]]
    indices: np.ndarray[Any, np.dtype[np.int32]]
    weights: ExactArray
    within: Partition
    closed: bool = False

    def __post_init__(self) -> None:
        self.indptr.setflags(write=False)
        self.indices.setflags(write=False)

    @classmethod
    def from_edges(
        cls,
        n: int,
        sources: Any,
        targets: Any,
        weights: Any,
        *,
        within: Partition | None = None,
    ) -> WeightedStructure:
        """Build from a list of transitions; parallel ones are summed, zero sums dropped.

        Parameters
        ----------
        n : int
            Number of states, below 2^31.
        sources, targets : array_like of int, shape (m,)
        weights : ExactArray or anything `ExactArray.read` takes, shape (m,)
        within : Partition, optional
            One block by default.

        Raises
        ------
        InvalidInput
            If lengths differ or a state is out of range; carries ``position``.

        Notes
        -----
        O(m) plus sorting inside rows.
        """
        sources, targets = np.asarray(sources), np.asarray(targets)
        array = ExactArray.read(weights)[0]
        _check_states(n, sources, "source")
        _check_states(n, targets, "target")
        if not len(sources) == len(targets) == len(array):
            raise InvalidInput(
                f"{len(sources)} sources, {len(targets)} targets and {len(array)} weights: "
                "give one of each for every transition"
            )
        return cls.without_zeros(*sum_entries((n, n), sources, targets, array), within)

    @classmethod
    def from_rows(
        cls, indptr: Any, indices: Any, weights: Any, *, within: Partition | None = None
    ) -> WeightedStructure:
        """Build from compressed rows, in any column order, duplicates summed.

        Parameters
        ----------
        indptr : array_like of int, shape (n + 1,)
        indices : array_like of int, shape (m,)
        weights : ExactArray or anything `ExactArray.read` takes, shape (m,)

        Raises
        ------
        InvalidInput
            If the arrays do not describe rows of a square matrix.
        """
        # Copied, because the structure is immutable and the caller may change the arrays.
        indptr = np.array(indptr, dtype=np.int64)
        indices = np.asarray(indices)
        array = ExactArray.read(weights)[0]
        if len(indptr) == 0 or indptr[0] != 0 or indptr[-1] != len(indices):
            raise InvalidInput(
                f"row pointers must run from 0 to the number of entries, {len(indices)}"
            )
        if np.any(indptr[1:] < indptr[:-1]):
            raise InvalidInput("row pointers must not decrease")
        if len(array) != len(indices):
            raise InvalidInput(f"{len(indices)} columns but {len(array)} weights")
        n = len(indptr) - 1
        columns = np.empty(len(indices), dtype=np.int32)
        in_order = True
        for low, high in _row_chunks(indptr):
            first, last = indptr[low], indptr[high]
            _check_states(n, indices[first:last], "target", first=int(first))
            columns[first:last] = indices[first:last]
            in_order = in_order and _is_ascending(columns[first:last], indptr[low:high] - first)
        if in_order:
            return cls.without_zeros(indptr, columns, array, within)
        from scipy.sparse import csr_array

        # Codes are sorted with their columns; they are summed only where columns occur twice.
        pointers = indptr.astype(_index_dtype(len(columns)))
        rows = csr_array((array.codes.copy(), columns, pointers), shape=(n, n))
        rows.sort_indices()
        array = ExactArray(rows.data, array.values)
        if rows.has_canonical_format:
            return cls.without_zeros(
                indptr, rows.indices.astype(np.int32, copy=False), array, within
            )
        sources = np.repeat(np.arange(n, dtype=np.int32), np.diff(indptr))
        return cls.from_edges(n, sources, rows.indices, array, within=within)

    @classmethod
    def without_zeros(
        cls,
        indptr: Any,
        indices: Any,
        weights: ExactArray,
        within: Partition | None,
        *,
        closed: bool = False,
    ) -> WeightedStructure:
        """Build from valid compressed rows, columns ascending, in which weights may be zero."""
        n = len(indptr) - 1
        within = Partition.trivial(n) if within is None else Partition.of(within, states=n)
        zero = [code for code, value in enumerate(weights.values) if not value]
        if zero:
            indptr, indices, weights = _without(
                np.flatnonzero(weights.codes == zero[0]), indptr, indices, weights
            )
        return cls(indptr, indices, weights, within, closed)

    @classmethod
    def from_sorted_rows(cls, rows: Sequence[Sequence[tuple[int, Exact]]]) -> WeightedStructure:
        """Build from one list of (column, weight) pairs a row, columns ascending, no weight zero.

        Examples
        --------
        >>> from fractions import Fraction
        >>> WeightedStructure.from_sorted_rows([[(1, Fraction(2))], []]).row(0)
        [(1, Fraction(2, 1))]
        """
        entries = [entry for row in rows for entry in row]
        return cls(
            np.append(0, np.cumsum([len(row) for row in rows], dtype=np.int64)),
            np.array([column for column, _ in entries], dtype=np.int32),
            ExactArray.of_values(np.arange(len(entries)), [weight for _, weight in entries]),
            Partition.trivial(len(rows)),
        )

    @property
    def n(self) -> int:
        """Number of states."""
        return len(self.indptr) - 1

    @property
    def m(self) -> int:
        """Number of transitions of non-zero weight."""
        return len(self.indices)

    def __repr__(self) -> str:
        return f"WeightedStructure({self.n} states, {self.m} transitions)"

    def row(self, state: int) -> list[tuple[int, Exact]]:
        """Return the outgoing transitions of a state as (target, weight) pairs."""
        low, high = int(self.indptr[state]), int(self.indptr[state + 1])
        codes = self.weights.codes[low:high].tolist()
        values = self.weights.values
        return [(u, values[c]) for u, c in zip(self.indices[low:high].tolist(), codes, strict=True)]

    def sources(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """Return the source of every transition, shape (m,)."""
        return np.repeat(np.arange(self.n, dtype=np.int32), np.diff(self.indptr))

    def rows(self, states: np.ndarray[Any, Any]) -> Rows:
        """Return the transitions from some states, including an implicit diagonal.

        Examples
        --------
        >>> structure = WeightedStructure.from_edges(2, [0, 1], [1, 0], [1, 2])
        >>> owner, targets, weights = structure.rows(np.array([1]))
        >>> owner.tolist(), targets.tolist(), weights
        ([0], [0], ExactArray([2]))
        """
        owner, positions = self.entries_of(states)
        targets = self.indices[positions]
        weights = ExactArray(self.weights.codes[positions], self.weights.values)
        if not self.closed or not len(states):
            return Rows(owner, targets, weights)
        jumps = targets != states[owner]
        owner, targets, weights = owner[jumps], targets[jumps], weights.take(jumps)
        leaving = weights.segment_sums(np.searchsorted(owner, np.arange(len(states) + 1)))
        order = np.argsort(np.append(owner, np.arange(len(states))), kind="stable")
        return Rows(
            np.append(owner, np.arange(len(states)))[order],
            np.append(targets, states)[order],
            weights.concatenate(leaving.map(lambda total: -total)).take(order),
        )

    def incoming(self, states: np.ndarray[Any, Any]) -> Rows:
        """Return the transitions into some states; the transposed structure is built and kept.

        Examples
        --------
        >>> structure = WeightedStructure.from_edges(2, [0, 1], [1, 0], [1, 2])
        >>> owner, sources, weights = structure.incoming(np.array([1]))
        >>> sources.tolist(), weights
        ([0], ExactArray([1]))
        """
        return self.transposed.rows(states)

    def chunks(self) -> Iterator[np.ndarray[Any, Any]]:
        """Yield all states in ascending order, in pieces with about 65,000 transitions."""
        for low, high in _row_chunks(self.indptr):
            yield np.arange(low, high)

    def without(self, positions: np.ndarray[Any, Any]) -> WeightedStructure:
        """Return the structure without the transitions at some positions, which ascend."""
        indptr, indices, weights = _without(positions, self.indptr, self.indices, self.weights)
        return replace(self, indptr=indptr, indices=indices, weights=weights)

    def entries_of(self, states: np.ndarray[Any, Any]) -> tuple[Any, Any]:
        """Return the entries in the rows of some states: for each the index in `states`, and its position.

        Examples
        --------
        >>> structure = WeightedStructure.from_edges(3, [0, 2, 2], [1, 0, 1], [1, 2, 3])
        >>> owner, positions = structure.entries_of(np.array([2, 0]))
        >>> owner.tolist(), positions.tolist()
        ([0, 0, 1], [1, 2, 0])
        """
        lengths = self.indptr[states + 1] - self.indptr[states]
        owner = np.repeat(np.arange(len(states)), lengths)
        before = np.cumsum(lengths) - lengths
        return owner, np.arange(len(owner)) + (self.indptr[states] - before)[owner]

    def row_sums(self) -> ExactArray:
        """Return the sum of every row, shape (n,), exactly; O(m)."""
        if self.m == 0:
            return ExactArray.read(np.zeros(self.n, dtype=np.int64))[0]
        return self.weights.segment_sums(self.indptr)

    def starting_from(self, within: Partition) -> WeightedStructure:
        """Return the same transitions with another initial partition."""
        return replace(self, within=Partition.of(within, states=self.n))

    def explicit(self) -> WeightedStructure:
        """Return the structure with its implicit diagonal stored; itself if it has none; O(m)."""
        if not self.closed:
            return self
        plain = self.without_diagonal()
        return plain.with_diagonal(plain.row_sums().map(lambda total: -total))

    def loops(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the positions of the stored transitions from a state to itself, ascending; O(m)."""
        found = [np.empty(0, dtype=np.int64)]
        for low, high in _row_chunks(self.indptr):
            first, last = self.indptr[low], self.indptr[high]
            lengths = np.diff(self.indptr[low : high + 1])
            rows = np.repeat(np.arange(low, high, dtype=np.int32), lengths)
            found.append(np.flatnonzero(self.indices[first:last] == rows) + first)
        return np.concatenate(found)

    def without_diagonal(self) -> WeightedStructure:
        """Return the structure without transitions from a state to itself, implicit ones included."""
        loops = self.loops()
        if not len(loops):
            return replace(self, closed=False) if self.closed else self
        indptr, indices, weights = _without(loops, self.indptr, self.indices, self.weights)
        return WeightedStructure(indptr, indices, weights, self.within)

    def with_diagonal(self, diagonal: ExactArray) -> WeightedStructure:
        """Return the structure with the diagonal replaced; O(m), without sorting.

        Parameters
        ----------
        diagonal : ExactArray, shape (n,)
            Zero entries leave no transition.
        """
        plain = self.without_diagonal()
        values, (weight_code, diagonal_code) = _merged_tables(plain.weights, diagonal)
        present = diagonal.where(bool)
        before = np.concatenate([[0], np.cumsum(present, dtype=np.int64)])
        indptr = plain.indptr + before
        indices = np.empty(int(indptr[-1]), dtype=np.int32)
        codes = np.empty(len(indices), dtype=smallest_unsigned(len(values)))
        # An off-diagonal entry moves by the number of diagonal entries before it.
        place = indptr[:-1].copy()
        for low, high in _row_chunks(plain.indptr):
            first, last = plain.indptr[low], plain.indptr[high]
            rows = np.repeat(np.arange(low, high), np.diff(plain.indptr[low : high + 1]))
            columns = plain.indices[first:last]
            above = columns > rows
            target = np.arange(first, last) + before[rows] + (above & present[rows])
            indices[target] = columns
            codes[target] = weight_code[plain.weights.codes[first:last]]
            place[low:high] += np.bincount(rows[~above] - low, minlength=high - low)
        states = np.flatnonzero(present)
        indices[place[states]] = states
        codes[place[states]] = diagonal_code[diagonal.codes[states]]
        weights = ExactArray.of_values(codes, values)
        return WeightedStructure(indptr, indices, weights, self.within)

    @cached_property
    def transposed(self) -> WeightedStructure:
        """The incoming direction: transition u -> s for every s -> u; O(m), kept once built."""
        if self.closed:
            return self.explicit().transposed
        from scipy.sparse import csr_array

        positions: Any = np.arange(self.m, dtype=_index_dtype(self.m))
        columns = csr_array((positions, self.indices, self.indptr), shape=(self.n, self.n)).tocsc()
        # The positions come back in column order; a permutation of codes needs no renaming.
        codes = self.weights.codes[columns.data]
        return WeightedStructure(
            columns.indptr.astype(np.int64),
            columns.indices.astype(np.int32, copy=False),
            ExactArray(codes, self.weights.values),
            self.within,
        )

    def renumber(self, order: Any) -> WeightedStructure:
        """Return the structure in which state i is the old state ``order[i]``.

        Raises
        ------
        InvalidInput
            If `order` is not a permutation of the states.
        """
        order = np.asarray(order, dtype=np.int64)
        if not np.array_equal(np.sort(order), np.arange(self.n)):
            raise InvalidInput(f"the order must hold every state 0 .. {self.n - 1} once")
        position = np.empty(self.n, dtype=np.int32)
        position[order] = np.arange(self.n, dtype=np.int32)
        return WeightedStructure.from_edges(
            self.n,
            position[self.sources()],
            position[self.indices],
            self.weights,
            within=Partition(self.within.labels[order]),
        )

    def to_scipy(self) -> Any:
        """Return the matrix as a `scipy.sparse.csr_array` of floats, shape (n, n)."""
        from scipy.sparse import csr_array

        # Pointers and columns of one dtype, as scipy wants them, in copies that may be written to.
        dtype = _index_dtype(self.m)
        indices, indptr = self.indices.astype(dtype), self.indptr.astype(dtype)
        return csr_array((self.weights.to_floats(), indices, indptr), shape=(self.n, self.n))

    def equals(self, other: WeightedStructure) -> bool:
        """Whether both have the same states, transitions and weights (initial partition aside)."""
        return (
            np.array_equal(self.indptr, other.indptr)
            and np.array_equal(self.indices, other.indices)
            and self.weights.equals(other.weights)
        )


def _index_dtype(m: int) -> Any:
    """Return the smallest dtype of scipy that can hold the positions of m entries."""
    return np.int32 if m <= np.iinfo(np.int32).max else np.int64


def _row_chunks(indptr: np.ndarray[Any, Any]) -> Iterator[tuple[int, int]]:
    """Yield consecutive row ranges (low, high) of about `_CHUNK` entries, at least one row each."""
    low, n = 0, len(indptr) - 1
    while low < n:
        high = int(np.searchsorted(indptr, indptr[low] + _CHUNK, side="right")) - 1
        high = min(max(high, low + 1), n)
        yield low, high
        low = high


def _is_ascending(columns: np.ndarray[Any, Any], starts: np.ndarray[Any, Any]) -> bool:
    """Whether columns ascend inside the rows, whose first entries are at `starts`."""
    ascending = np.empty(len(columns) + 1, dtype=bool)  # one more, for empty rows at the end
    np.greater(columns[1:], columns[:-1], out=ascending[1:-1])
    ascending[-1] = True
    ascending[starts] = True
    return bool(ascending.all())


def _without(
    positions: np.ndarray[Any, Any], indptr: Any, indices: Any, weights: ExactArray
) -> tuple[Any, Any, ExactArray]:
    """Return compressed rows without the entries at some positions, which ascend."""
    keep = np.ones(len(indices), dtype=bool)
    keep[positions] = False
    return indptr - np.searchsorted(positions, indptr), indices[keep], weights.take(keep)


def _merged_tables(*arrays: ExactArray) -> tuple[list[Exact], list[np.ndarray[Any, Any]]]:
    """Return the distinct values of several arrays, and for each array the new codes of its values."""
    number: dict[Exact, int] = {}
    tables = [
        np.array([number.setdefault(value, len(number)) for value in array.values], dtype=np.int64)
        for array in arrays
    ]
    return list(number), tables


def _check_states(n: int, states: np.ndarray[Any, Any], role: str, *, first: int = 0) -> None:
    """Raise `InvalidInput` if a target or source, of transitions from `first` on, is not a state."""
    if not 0 <= n <= _MAX_STATES:
        raise InvalidInput(f"{n} states: 0 to {_MAX_STATES} are supported", states=n)
    if len(states) == 0:
        return
    if states.dtype.kind not in "iu":
        raise InvalidInput(f"{role} states must be integers, not {states.dtype}")
    if states.min() < 0 or states.max() >= n:
        wrong = int(np.flatnonzero((states < 0) | (states >= n))[0])
        raise InvalidInput(
            f"transition {first + wrong} has {role} {states[wrong]}, but states are 0 .. {n - 1}",
            position=first + wrong,
            state=int(states[wrong]),
        )

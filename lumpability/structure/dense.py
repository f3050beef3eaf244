"""A layer of a neural network as a weighted transition structure, dense.

W is the weight matrix of the layer, rows by units, and b its bias.  A adds up the rows of W: it has a row
for each *class* of rows, with their factors.  The states are the units, the classes, and one state for
the bias.  Unit s has a transition to every class C with the aggregated weight (A W)[C, s], and to the
bias state with b[s]; classes and bias have none.  Classes and bias are kept apart from the start, units are not.  Under
the normal form `multiples(group)` the coarsest stable partition then has two units in one block exactly
when their columns of [A W; b] are equal up to a factor of the group.

The bias includes the rows whose input is constant, times its value.  The `columns` engine never forms the
product as a whole: `block` computes some of its rows, in floats where these are exact, and `fractions`
computes some entries.  If nothing below is merged, rows are views of the stored weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.float_arrays import Array, as_floats, exact_sum, float_sum, to_fractions
from lumpability.partition import Partition
from lumpability.structure.protocol import Rows

__all__ = ["DenseStructure", "RowClasses"]

BLOCK = 1 << 17
"""Entries handled at a time: about a megabyte, which stays in a processor's cache."""


@dataclass(frozen=True, eq=False)
class RowClasses:
    """For each row of a weight matrix its class, with a factor, or its constant value."""

    members: Array  # shape (k,): rows that belong to classes, class by class
    starts: Array  # shape (c,): where each class begins in `members`
    factors: Array  # shape (k,)
    constant_rows: Array  # shape (q,): rows whose input has a known value
    constants: Array  # shape (q,)

    @classmethod
    def separate(cls, rows: int) -> RowClasses:
        """Make every row a class of its own."""
        none = np.empty(0, dtype=np.int64)
        ones = np.full(rows, Fraction(1), dtype=object)
        every = np.arange(rows)
        return cls(every, every, ones, none, none.astype(object))

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.starts)

    @property
    def is_plain(self) -> bool:
        """Whether class i is row i, with factor one."""
        return bool(
            len(self.members) == len(self.starts)
            and np.array_equal(self.members, np.arange(len(self.members)))
            and all(factor == 1 for factor in self.factors.tolist())
        )


class DenseStructure:
    """The aggregated weights and the bias of one layer.

    States 0 .. units - 1 are the units, then come the classes of rows, and last the bias.

    - matrix: float array, shape (rows, columns)
    - bias: float array, shape (columns,), or None
    - below: the class or the constant value of each row.

    >>> rows = RowClasses(np.array([0, 1]), np.array([0]), to_fractions([1, 2]), np.array([2]), to_fractions([3]))
    >>> summed = DenseStructure(np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([0.5, 0]), rows)
    >>> summed.block(0, 1)[0].tolist(), summed.bias.tolist()
    ([[7.0, 10.0]], [15.5, 18.0])
    >>> summed
    DenseStructure(2 units, 1 class, bias)
    >>> owner, targets, weights = summed.rows(np.array([1]))
    >>> targets.tolist(), weights
    ([2, 3], ExactArray([10, 18]))
    """

    def __init__(self, matrix: Array, bias: Array | None, below: RowClasses) -> None:
        self.matrix = matrix
        self.below = below
        self.classes = below.classes
        self.columns: int = matrix.shape[1]
        self._plain = below.is_plain
        self.by_columns = matrix.flags.f_contiguous and not matrix.flags.c_contiguous
        self._bounds = np.append(below.starts, len(below.members))
        self._factors, self._known = as_floats(below.factors)
        stored = np.zeros(self.columns, dtype=matrix.dtype) if bias is None else bias
        self._stored_bias = stored
        self.bias = self._aggregated_bias()

    def _aggregated_bias(self) -> Array:
        """Return the bias with the constants' contributions, an exact array of shape (columns,)."""
        known = self.below.constants != 0 if len(self.below.constants) else np.zeros(0, bool)
        chosen = np.flatnonzero(known)
        if not len(chosen):
            return self._stored_bias
        rows = self.below.constant_rows[chosen]
        values = self.below.constants[chosen]
        stacked = np.vstack([self._stored_bias[None], self.matrix[rows]])
        exactly = np.concatenate([[Fraction(1)], values])
        sums, exact = float_sum(stacked, *as_floats(exactly), np.array([0]))
        return np.asarray(sums[0]) if exact[0] else exact_sum(stacked, exactly)

    def __repr__(self) -> str:
        classes = "1 class" if self.classes == 1 else f"{self.classes} classes"
        return f"DenseStructure({self.columns} units, {classes}, bias)"

    @property
    def n(self) -> int:
        """Number of states."""
        return self.columns + self.classes + 1

    @cached_property
    def within(self) -> Partition:
        """Units together, every class and the bias alone."""
        units = min(self.columns, 1)
        labels = np.append(np.zeros(self.columns, int), np.arange(self.classes + 1) + units)
        firsts = np.append(np.arange(units), np.arange(self.columns, self.n))
        return Partition.from_canonical(labels.astype(np.int32), firsts)

    def rows(self, states: Array) -> Rows:
        """Return the transitions from some states, as fractions."""
        units = np.flatnonzero(states < self.columns)
        chosen = states[units]
        entries = np.vstack(
            [
                self.fractions(np.arange(self.classes), chosen),
                to_fractions(self.bias[chosen])[None],
            ]
        ).T
        owner, classes = np.nonzero(entries)
        weights = ExactArray.of_values(np.arange(len(owner)), entries[owner, classes].tolist())
        return Rows(units[owner], self.columns + classes, weights)

    def incoming(self, states: Array) -> Rows:
        """Return the transitions into some states, as fractions."""
        owner, sources, weights = [], [], []
        for place, state in enumerate(states.tolist()):
            number = state - self.columns
            if number < 0:
                continue
            row = (
                self.fractions(np.array([number]), np.arange(self.columns))[0]
                if number < self.classes
                else to_fractions(self.bias)
            )
            units = np.flatnonzero(row)
            owner += [place] * len(units)
            sources += units.tolist()
            weights += row[units].tolist()
        exact = ExactArray.of_values(np.arange(len(weights)), weights)
        return Rows(np.array(owner, dtype=np.int64), np.array(sources, dtype=np.int64), exact)

    def chunks(self) -> Iterator[Array]:
        """Yield all states in ascending order, in pieces with about 130,000 entries."""
        step = max(1, BLOCK // (self.classes + 1))
        for low in range(0, self.n, step):
            yield np.arange(low, min(low + step, self.n))

    def block(
        self, low: int, high: int, columns: Array | slice = slice(None)
    ) -> tuple[Array, Array]:
        """Return aggregated rows low .. high - 1 for some columns, and which rows are exact.

        Rows that are not exact must be read with `fractions`.
        """
        if self._plain:
            exact = np.ones(high - low, dtype=bool)
            if isinstance(columns, slice):
                return self.matrix[low:high, columns], exact
            if self.by_columns:
                return self.matrix.T[:, low:high][columns].T, exact
            return np.take(self.matrix[low:high], columns, axis=1), exact
        return self._some(np.arange(low, high), columns)

    def fractions(self, classes: Array, columns: Array) -> Array:
        """Return entries as an object array of fractions, shape (classes, columns)."""
        result = np.empty((len(classes), len(columns)), dtype=object)
        for i, number in enumerate(np.asarray(classes).tolist()):
            members = slice(int(self._bounds[number]), int(self._bounds[number + 1]))
            rows = self.matrix[np.ix_(self.below.members[members], columns)]
            result[i] = exact_sum(rows, self.below.factors[members])
        return result

    def entries(self, classes: Array, columns: Array) -> Array:
        """Return entries as an exact array, shape (classes, columns): floats if all are exact."""
        if self._plain:
            return np.asarray(self.matrix[np.ix_(classes, columns)])
        parts: list[Array] = []
        step = max(1, BLOCK // max(len(columns), 1))
        for low in range(0, len(classes), step):
            chosen = classes[low : low + step]
            values, exact = self._some(chosen, columns)
            if not exact.all():
                values[~exact] = 0  # such sums may have overflowed
                mixed = to_fractions(values)
                mixed[~exact] = self.fractions(chosen[~exact], columns)
                values = mixed
            parts.append(values)
        if not parts:
            return np.empty((0, len(columns)))
        if any(part.dtype == object for part in parts):
            parts = [to_fractions(part) for part in parts]
        return np.concatenate(parts)

    def _some(self, classes: Array, columns: Array | slice) -> tuple[Array, Array]:
        """`block` for any list of classes."""
        sizes = self._bounds[classes + 1] - self._bounds[classes]
        starts = np.cumsum(sizes) - sizes
        places = np.arange(int(sizes.sum())) + np.repeat(self._bounds[classes] - starts, sizes)
        members = self.below.members[places]
        if isinstance(columns, slice):
            rows = self.matrix[members][:, columns]
        else:
            rows = self.matrix[np.ix_(members, columns)]
        return float_sum(rows, self._factors[places], self._known[places], starts)

    def zero_classes(self, groups: Array, columns: Array) -> Array:
        """Return for each group of rows (shape (units, k)) whether all its entries vanish.

        Reads columns in growing portions, and only rows that have been zero so far.
        """
        alive = np.arange(len(groups))
        low, width = 0, 8
        while low < len(columns) and len(alive):
            chosen = columns[low : low + width]
            flat = groups[alive].ravel()
            step = max(1, BLOCK // max(len(chosen), 1))
            nonzero = np.zeros(len(flat), dtype=bool)
            for start in range(0, len(flat), step):
                part = flat[start : start + step]
                nonzero[start : start + step] = self._nonzero_rows(part, chosen)
            alive = alive[~nonzero.reshape(len(alive), -1).any(axis=1)]
            low, width = low + width, width * 8
        result = np.zeros(len(groups), dtype=bool)
        result[alive] = True
        return result

    def zero_columns(self, columns: Array) -> Array:
        """Return for some columns whether all their aggregated weights vanish, the bias aside."""
        zero = np.zeros(len(columns), dtype=bool)
        zero[self._without_entry(columns)[1]] = True
        return zero

    def first_entries(self, columns: Array) -> Array:
        """Return the first nonzero entry of some columns of [A W; b], an exact array; 0 if there is none."""
        found, left = self._without_entry(columns)
        bias = self.bias[columns[left]]
        if np.dtype(object) in {found.dtype, bias.dtype}:
            found, bias = to_fractions(found), to_fractions(bias)
        found[left] = bias
        return found

    def _without_entry(self, columns: Array) -> tuple[Array, Array]:
        """Return the first nonzero weights of some columns, and the places of columns without any.

        Rows are read in portions that double, for the columns that have had none so far.
        """
        found: Array = np.zeros(len(columns))
        left = np.arange(len(columns))
        low, size = 0, 1
        if self._plain and self.classes:  # most columns have a nonzero weight in the first row
            found = self.matrix[0, columns].astype(np.float64)
            left, low = np.flatnonzero(found == 0), 1
        while low < self.classes and len(left):
            high = min(self.classes, low + min(size, max(1, BLOCK // len(left))))
            values = self.entries(np.arange(low, high), columns[left])
            row = (values != 0).argmax(axis=0)
            first = values[row, np.arange(len(left))]
            if first.dtype == object:
                found = to_fractions(found)
            found[left] = first
            left = left[first == 0]
            low, size = high, 2 * size
        return found, left

    def _nonzero_rows(self, classes: Array, columns: Array) -> Array:
        if self._plain:
            return np.asarray((self.matrix[np.ix_(classes, columns)] != 0).any(axis=1))
        values, exact = self._some(classes, columns)
        nonzero = (values != 0).any(axis=1)
        for i in np.flatnonzero(~exact).tolist():
            entries = self.fractions(classes[i : i + 1], columns)
            nonzero[i] = bool((entries != 0).any())
        return np.asarray(nonzero)

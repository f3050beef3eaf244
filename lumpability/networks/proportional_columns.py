"""The dense specialisation of the engine: which columns are multiples of each other.

One weight matrix is a bipartite structure whose coarsest refinement needs one round, so it is refined
column of the structure by column, that is row of the matrix by row: rows are read in growing blocks and
a unit is finished as soon as nothing else agrees with it.  Layers without duplicates are therefore decided
by their first rows.

Candidates are found by comparing quotients by the first non-zero entry: division is correctly rounded, so
proportional columns have bitwise equal quotients, and a hash of them never separates what belongs
together.  What remains together is then compared entry by entry, exactly (`arrays.products_agree`), or, if
entries need more than 53 bits, as fractions.  Floating point selects; it never decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from lumpability.numbers.float_arrays import (
    Array,
    exact_ratios,
    is_safe,
    products_agree,
    to_fractions,
)
from lumpability.numbers.groups import Group
from lumpability.structure.dense import BLOCK, DenseStructure

__all__ = ["Columns", "group_columns"]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_FOLD = np.uint64(33)
_PATIENCE = 3  # doublings of the rows read without a new group before columns are compared


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns grouped up to factors.

    Attributes
    ----------
    leader : int array, shape (n,)
        First column of the group of each.
    factors : dict of int to Fraction
        Factor of a column over its leader, for those that differ from it.
    zero : bool array, shape (n,)
        Columns whose weights all vanish (the bias may not).
    """

    leader: Array
    factors: dict[int, Fraction]
    zero: Array


def group_columns(summed: DenseStructure, group: Group) -> Columns:
    """Group the columns of [A W; b] that are multiples of each other by factors of a group.

    Parameters
    ----------
    summed : DenseStructure
    group : Group

    Notes
    -----
    Reads a few rows when all columns differ; otherwise O(rows) for the columns that share a group.

    Examples
    --------
    >>> from lumpability.structure.dense import Incoming
    >>> matrix = np.array([[1.0, 3.0, -1.0], [2.0, 6.0, -2.0]])
    >>> found = group_columns(DenseStructure(matrix, None, Incoming.separate(2)), Group.POSITIVE)
    >>> found.leader.tolist(), found.factors
    ([0, 0, 2], {1: Fraction(3, 1)})
    """
    scan = _Scan(summed, group)
    scan.run()
    zero = scan.zero_columns()
    leader = np.arange(summed.columns)
    factors: dict[int, Fraction] = {}
    doubtful = _settle(summed, scan, scan.candidates(zero), leader, factors)
    if len(doubtful) and not scan.is_rough:
        # Columns that agree in their first rows but not in all: hash them to the end.
        scan.resume(doubtful)
        leader[doubtful] = doubtful
        doubtful = _settle(summed, scan, scan.candidates(zero), leader, factors)
    if len(doubtful):
        for first in np.unique(leader[doubtful]).tolist():
            together = doubtful[leader[doubtful] == first]
            for part, divisors in _by_fractions(summed, together, group):
                leader[part] = part[0]
                for column, divisor in zip(part.tolist(), divisors, strict=True):
                    if divisor != divisors[0]:
                        factors[column] = divisor / divisors[0]
    return Columns(leader, factors, zero)


def _settle(
    summed: DenseStructure,
    scan: _Scan,
    candidates: tuple[Array, Array],
    leader: Array,
    factors: dict[int, Fraction],
) -> Array:
    """Record groups whose columns all agree exactly; return the members of the others.

    Members of groups that do not agree keep the candidate's leader for the time being.
    """
    members, leaders = candidates
    if not len(members):
        return members
    leader[members] = leaders
    if scan.is_rough:
        return members
    agree = _agreement(summed, members, leaders, scan)
    doubtful = np.zeros(len(members), dtype=bool)
    if not agree.all():
        doubtful = np.isin(leaders, leaders[~agree])
    differs = np.flatnonzero(~doubtful & (scan.divisors(members) != scan.divisors(leaders)))
    ratios = exact_ratios(scan.divisors(members[differs]), scan.divisors(leaders[differs]))
    factors.update(zip(members[differs].tolist(), ratios, strict=True))
    return members[doubtful]


class _Scan:
    """One pass over the rows that separates columns by hashes of their quotients.

    Invariant: columns that are multiples of each other have equal hashes; a column outside `active` has a
    non-zero entry and a hash that nothing else has.
    """

    def __init__(self, summed: DenseStructure, group: Group) -> None:
        self.summed, self.group = summed, group
        self.first = np.zeros(summed.columns)  # first non-zero entry of exact rows; 0 if none yet
        self.hash = np.zeros(summed.columns, dtype=np.uint64)
        self.active = np.arange(summed.columns)
        self.parked = np.empty(0, dtype=np.int64)  # columns that look like duplicates
        self.parked_at = 0
        self.rough_rows: list[Array] = []  # rows that are not exact in floats: they do not hash

    def run(self) -> None:
        """Read rows until the columns differ, or look like duplicates that are worth comparing."""
        groups, steady = -1, 0
        for high in self._read_from(0):
            values = self.hash[self.active]
            self.active = self.active[_repeated(values) | (self.first[self.active] == 0)]
            found = self.active[self.first[self.active] != 0]
            now = len(np.unique(self.hash[found]))
            groups, steady = now, steady + 1 if now == groups else 0
            if steady >= _PATIENCE and len(found) and not len(self.parked):
                self.parked, self.parked_at = found, high
                self.active = self.active[self.first[self.active] == 0]
        self.empty = self.active[self.first[self.active] == 0]
        self.active = np.union1d(self.active, self.parked)
        self._hash_bias()

    def resume(self, columns: Array) -> None:
        """Hash some columns to the last row."""
        self.active = columns
        parked = np.intersect1d(columns, self.parked)
        if len(parked):
            self.active = parked
            for _ in self._read_from(self.parked_at):
                pass
        self.active = columns

    def _read_from(self, low: int) -> Iterator[int]:
        """Read rows of the active columns, and stop whenever their number has doubled."""
        last = self.summed.classes
        goal = low + 2
        while low < last and len(self.active):
            limit = max(1, BLOCK // max(len(self.active), 1))
            high = min(last, goal, low + limit)
            self._read(low, high)
            low = high
            if low >= min(goal, last):
                goal = 2 * low
                yield low

    def _read(self, low: int, high: int) -> None:
        every = len(self.active) == self.summed.columns
        values, exact = self.summed.block(low, high, slice(None) if every else self.active)
        if not exact.all():
            self.rough_rows.append(low + np.flatnonzero(~exact))
        rows, values = low + np.flatnonzero(exact), values[exact]
        if not len(rows):
            return
        values = values.astype(np.float64, copy=False)
        first = self.first[self.active]
        missing = np.flatnonzero(first == 0)
        if len(missing):
            nonzero = values[:, missing] != 0
            first[missing] = values[nonzero.argmax(axis=0), missing]
            self.first[self.active] = first
        divisor = self.group.parts(np.where(first == 0, 1.0, first))
        with np.errstate(over="ignore", under="ignore"):
            quotients = values / divisor + 0.0  # -0.0 becomes 0.0
        bits = quotients.view(np.uint64)
        bits ^= bits >> _FOLD
        bits *= _multipliers(rows)[:, None]
        self.hash[self.active] += bits.sum(axis=0, dtype=np.uint64)

    def _hash_bias(self) -> None:
        bias = self.summed.bias
        if bias.dtype == object:
            return  # left to the exact comparison
        first = self.first[self.active]
        exact = bias[self.active].astype(np.float64)
        if not self.rough_rows:  # weights all zero: the bias itself comes first
            first = np.where(first == 0, exact, first)
            self.first[self.active] = first
        known = first != 0
        divisor = self.group.parts(np.where(known, first, 1.0))
        with np.errstate(over="ignore", under="ignore"):
            quotients = np.where(known, exact / divisor, 0.0) + 0.0
        bits = quotients.view(np.uint64)
        bits ^= bits >> _FOLD
        self.hash[self.active] += bits * _ODD

    @property
    def is_rough(self) -> bool:
        """Whether some entries are not floats, so that floats cannot compare them."""
        return bool(self.rough_rows) or self.summed.bias.dtype == object

    def zero_columns(self) -> Array:
        """Return which columns have no weight that is not zero; call after `run`."""
        zero = np.zeros(self.summed.columns, dtype=bool)
        left = self.empty
        if len(left) and self.rough_rows:
            entries = self.summed.fractions(np.concatenate(self.rough_rows), left)
            left = left[~np.array(entries != 0, dtype=bool).any(axis=0)]
        zero[left] = True
        return zero

    def divisors(self, columns: Array) -> Array:
        """What each column was divided by, shape of `columns`."""
        first = self.first[columns]
        return self.group.parts(np.where(first == 0, 1.0, first))

    def candidates(self, zero: Array) -> tuple[Array, Array]:
        """Return the columns that share their hash with others, ascending, and the first of each hash."""
        chosen = self.active[_repeated(self.hash[self.active])]
        keys = np.stack([self.hash[chosen], zero[chosen].astype(np.uint64)], axis=1)
        _, first, code = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        return chosen, chosen[first[code.ravel()]]


def _repeated(values: Array) -> Array:
    """Mark values that occur more than once."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    same = np.zeros(len(values) + 1, dtype=bool)
    same[1:-1] = ordered[1:] == ordered[:-1]
    result = np.empty(len(values), dtype=bool)
    result[order] = same[1:] | same[:-1]
    return result


def _multipliers(rows: Array) -> Array:
    """One odd pseudo-random multiplier for each row number (splitmix64)."""
    x = (rows.astype(np.uint64) + np.uint64(1)) * _ODD
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((x ^ (x >> np.uint64(31))) | np.uint64(1))


def _agreement(summed: DenseStructure, members: Array, leaders: Array, scan: _Scan) -> Array:
    """Return which columns are exact multiples of their leaders; not so where floats cannot tell."""
    ratios = _Ratios(scan.divisors(members), scan.divisors(leaders))
    agree = np.asarray(~ratios.unknown)
    which = np.flatnonzero(agree & (members != leaders))
    which = which[np.argsort(ratios.sort[which], kind="stable")]
    # Rows of all columns at once where they are stored so, else whole columns.
    width = max(1, BLOCK // (summed.classes + 1)) if summed.by_columns else max(1, len(which))
    for low in range(0, len(which), width):
        # A column is compared with its leader next to it, in portions that fit the block size.
        part = which[low : low + width]
        comparisons = ratios.comparisons(part)
        for values in _blocks(summed, np.concatenate([members[part], leaders[part]])):
            left, right = values[:, : len(part)], values[:, len(part) :]
            for chosen, same in comparisons:
                agree[part[chosen]] &= same(left[:, chosen], right[:, chosen]).all(axis=0)
    return agree


class _Ratios:
    """By what columns differ from their leaders, and how to compare them.

    Where the ratio is a power of two, multiplying the smaller column by it is exact, or overflows, in
    which case the other number is not that large.
    """

    def __init__(self, ours: Array, theirs: Array) -> None:
        self.ours, self.theirs = ours, theirs
        (a, up), (b, down) = np.frexp(ours), np.frexp(theirs)
        self.shift = up - down
        binary = a == b
        self.sort = np.where(binary, np.sign(self.shift), 2)
        self.unknown = ~binary & ~np.full(len(ours), is_safe(ours) and is_safe(theirs))

    def comparisons(self, part: Array) -> list[tuple[slice, Callable[[Array, Array], Array]]]:
        """Return how to compare the columns of a part, which is ordered by `sort`, piece by piece."""
        ends = np.searchsorted(self.sort[part], [-1, 0, 1, 2, 3])
        found: list[tuple[slice, Callable[[Array, Array], Array]]] = []
        for sort, (low, high) in zip((-1, 0, 1, 2), pairwise(ends.tolist()), strict=True):
            if low < high:
                chosen = part[low:high]
                found.append((slice(low, high), self._comparison(sort, chosen)))
        return found

    def _comparison(self, sort: int, chosen: Array) -> Callable[[Array, Array], Array]:
        if sort == 0:
            return np.equal
        power = np.ldexp(1.0, np.abs(self.shift[chosen]))
        if sort == -1:
            return lambda left, right: _times(left, power) == right
        if sort == 1:
            return lambda left, right: left == _times(right, power)
        ours, theirs = self.ours[chosen], self.theirs[chosen]

        def same(left: Array, right: Array) -> Array:
            if not (is_safe(left) and is_safe(right)):
                return np.zeros((1, len(chosen)), dtype=bool)
            narrow = left.dtype
            if narrow.itemsize <= 4 and np.array_equal(ours.astype(narrow), ours):
                return products_agree(left, theirs.astype(narrow), right, ours.astype(narrow))
            return products_agree(left, theirs, right, ours)

        return same


def _times(values: Array, powers: Array) -> Array:
    """Multiply columns by powers of two of at least 1, in their own type."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(values * powers.astype(values.dtype))


def _blocks(summed: DenseStructure, columns: Array) -> Iterator[Array]:
    """Yield the rows of [A W; b] for some columns, block by block."""
    step = max(1, BLOCK // len(columns))
    for low in range(0, summed.classes, step):
        yield summed.block(low, min(low + step, summed.classes), columns)[0]
    yield summed.bias[columns][None]


def _by_fractions(
    summed: DenseStructure, members: Array, group: Group
) -> list[tuple[Array, list[Fraction]]]:
    """Group columns by their exact normal form: the slow way, for any numbers."""
    forms: dict[tuple[Fraction, ...], list[tuple[int, Fraction]]] = {}
    rows = np.arange(summed.classes)
    step = max(1, BLOCK // (4 * max(summed.classes, 1)))
    for low in range(0, len(members), step):
        chosen = members[low : low + step]
        entries = summed.fractions(rows, chosen)
        bias = to_fractions(summed.bias[chosen])
        for k, column in enumerate(chosen.tolist()):
            numbers = [*entries[:, k].tolist(), bias[k]]
            first = next((x for x in numbers if x), Fraction(1))
            divisor = group.part(first)
            form = tuple(x / divisor for x in numbers)
            forms.setdefault(form, []).append((column, divisor))
    return [
        (np.array([column for column, _ in found]), [divisor for _, divisor in found])
        for found in forms.values()
    ]

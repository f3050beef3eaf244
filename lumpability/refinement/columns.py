"""The dense accelerator: units of a layer whose columns are multiples of each other.

A layer is a bipartite structure whose coarsest refinement needs one round.  The engine processes the matrix row by row,
that is splitter by splitter.  It reads rows in growing portions, and a unit is finished as soon as no other unit
agrees with it.  So the first rows decide layers without duplicates.

Candidates are found by dividing columns by their first nonzero entry.  Division is correctly rounded, so
proportional columns have bitwise equal quotients, and a hash of these never separates units that belong together.
Units that are still together are compared entry by entry, exactly (`float_arrays.products_agree`), or as fractions
if entries need more than 53 bits.  Floating point selects; it never decides.

Serves `multiples(group)` on a `DenseStructure` whose classes and bias are kept apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.numbers.float_arrays import (
    Array,
    exact_ratios,
    is_safe,
    products_agree,
    to_fractions,
)
from lumpability.numbers.groups import Group
from lumpability.partition import Partition
from lumpability.refinement.exact_rounds import scrambled
from lumpability.refinement.normal_form import Multiples, NormalForm
from lumpability.structure import Structure
from lumpability.structure.dense import BLOCK, DenseStructure

__all__ = ["column_factors", "refine"]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_FOLD = np.uint64(33)
_PATIENCE = 3  # doublings of the rows read without a new group before columns are compared


def refine(structures: Sequence[Structure], within: Partition, normal: NormalForm) -> Partition:
    """Return the coarsest stable partition of a layer that refines `within`, where all classes and the bias are alone.

    Raises `InvalidInput` for structures or a normal form that are not served.

    Reads a few rows when all columns differ; otherwise O(rows) for the columns that share a block.

    >>> from lumpability.refinement.normal_form import multiples
    >>> from lumpability.structure.dense import RowClasses
    >>> matrix = np.array([[1.0, 3.0, -1.0], [2.0, 6.0, -2.0]])
    >>> layer = DenseStructure(matrix, None, RowClasses.separate(2))
    >>> refine([layer], layer.within, multiples(Group.POSITIVE))
    Partition([[0, 1], [2], [3], [4], [5]])
    """
    layer, *others = structures
    if others or not isinstance(layer, DenseStructure) or not isinstance(normal, Multiples):
        raise InvalidInput(
            "the columns engine refines one dense layer up to factors: use engine='auto'"
        )
    leader = _leaders(layer, normal.group)
    if leader is None:
        found = Partition.discrete(layer.n)
    else:
        leader = np.append(leader, np.arange(layer.columns, layer.n))
        leads = leader == np.arange(layer.n)
        number = (np.cumsum(leads) - 1).astype(np.int32)
        found = Partition.from_canonical(number[leader], np.flatnonzero(leads))
    if within is layer.within:
        return found
    if not within.refines(layer.within):
        raise InvalidInput("the columns engine keeps every class of rows and the bias apart")
    return found.meet(within)


def column_factors(layer: DenseStructure, leader: Array, group: Group) -> dict[int, Fraction]:
    """Return the factor of each column over its leader, for columns that differ from it.

    - leader: for every unit a unit whose column of [A W; b] is the same up to a factor of the group.

    >>> from lumpability.structure.dense import RowClasses
    >>> layer = DenseStructure(np.array([[1.0, 3.0]]), None, RowClasses.separate(1))
    >>> column_factors(layer, np.array([0, 0]), Group.POSITIVE)
    {1: Fraction(3, 1)}
    """
    members = np.flatnonzero(leader != np.arange(len(leader)))
    if not len(members):
        return {}
    ours, theirs = (layer.first_entries(some) for some in (members, leader[members]))
    if np.dtype(object) in {ours.dtype, theirs.dtype}:
        pairs = zip(to_fractions(ours).tolist(), to_fractions(theirs).tolist(), strict=True)
        ratios = [group.part(a) / group.part(b) if a else Fraction(1) for a, b in pairs]
        return {m: ratio for m, ratio in zip(members.tolist(), ratios, strict=True) if ratio != 1}
    ours, theirs = (group.parts(np.where(some == 0, 1.0, some)) for some in (ours, theirs))
    differ = np.flatnonzero(ours != theirs)
    ratios = exact_ratios(ours[differ], theirs[differ])
    return dict(zip(members[differ].tolist(), ratios, strict=True))


def _leaders(layer: DenseStructure, group: Group) -> Array | None:
    """Return for every unit the first unit whose column is a multiple of the unit's column; None if all differ."""
    scan = _Scan(layer, group)
    scan.run()
    if not len(scan.active):
        return None
    zero = scan.zero_columns()
    leader = np.arange(layer.columns)
    doubtful = _settle(layer, scan, scan.candidates(zero), leader)
    if len(doubtful) and not scan.is_rough:
        # Columns that agree in their first rows but not in all: hash them to the end.
        scan.resume(doubtful)
        leader[doubtful] = doubtful
        doubtful = _settle(layer, scan, scan.candidates(zero), leader)
    for first in np.unique(leader[doubtful]).tolist():
        together = doubtful[leader[doubtful] == first]
        for part in _by_fractions(layer, together, group):
            leader[part] = part[0]
    return leader


def _settle(
    layer: DenseStructure, scan: _Scan, candidates: tuple[Array, Array], leader: Array
) -> Array:
    """Record groups whose columns all agree exactly; return the members of the others.

    Members of groups that do not agree keep the candidate's leader until they are compared again.
    """
    members, leaders = candidates
    if not len(members):
        return members
    leader[members] = leaders
    if scan.is_rough:
        return members
    agree = _agreement(layer, members, leaders, scan)
    if agree.all():
        return members[:0]
    return members[np.isin(leaders, leaders[~agree])]


class _Scan:
    """One pass over the rows that separates columns by hashes of their quotients.

    Invariant: columns that are multiples of each other have equal hashes; a column outside `active` has a
    nonzero entry and a hash that no other column has.
    """

    def __init__(self, layer: DenseStructure, group: Group) -> None:
        self.layer, self.group = layer, group
        self.first = np.zeros(layer.columns)  # first non-zero entry of exact rows; 0 if none yet
        self.hash = np.zeros(layer.columns, dtype=np.uint64)
        self.active = np.arange(layer.columns)
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
        if len(self.active) or len(self.parked):
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
        last = self.layer.classes
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
        every = len(self.active) == self.layer.columns
        values, exact = self.layer.block(low, high, slice(None) if every else self.active)
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
        multipliers = scrambled(rows.astype(np.uint64) * _ODD, seed=0) | np.uint64(1)
        self._add_to_hash(values, multipliers[:, None])

    def _hash_bias(self) -> None:
        bias = self.layer.bias
        if bias.dtype == object:
            return  # the exact comparison decides
        first = self.first[self.active]
        exact = bias[self.active].astype(np.float64)
        if not self.rough_rows:  # weights all zero: the bias itself comes first
            first = np.where(first == 0, exact, first)
            self.first[self.active] = first
        self._add_to_hash(np.where(first == 0, 0.0, exact)[None], _ODD)

    def _add_to_hash(self, values: Array, multipliers: Any) -> None:
        """Hash rows of the active columns, divided by the first entries of these."""
        with np.errstate(over="ignore", under="ignore"):
            quotients = values / self.divisors(self.active) + 0.0  # -0.0 becomes 0.0
        bits = quotients.view(np.uint64)
        bits ^= bits >> _FOLD
        bits *= multipliers
        self.hash[self.active] += bits.sum(axis=0, dtype=np.uint64)

    @property
    def is_rough(self) -> bool:
        """Whether some entries are not floats, so that floats cannot compare them."""
        return bool(self.rough_rows) or self.layer.bias.dtype == object

    def zero_columns(self) -> Array:
        """Return the columns whose weights are all zero; call after `run`."""
        zero = np.zeros(self.layer.columns, dtype=bool)
        left = self.empty
        if len(left) and self.rough_rows:
            entries = self.layer.fractions(np.concatenate(self.rough_rows), left)
            left = left[~np.array(entries != 0, dtype=bool).any(axis=0)]
        zero[left] = True
        return zero

    def divisors(self, columns: Array) -> Array:
        """Return the divisors of columns, shape of `columns`."""
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


def _agreement(layer: DenseStructure, members: Array, leaders: Array, scan: _Scan) -> Array:
    """Return which columns are exact multiples of their leaders; False if floats cannot decide."""
    ratios = _Ratios(scan.divisors(members), scan.divisors(leaders))
    agree = np.asarray(~ratios.unknown)
    which = np.flatnonzero(agree & (members != leaders))
    which = which[np.argsort(ratios.sort[which], kind="stable")]
    # Rows of all columns at once if the matrix is stored by rows, else whole columns.
    width = max(1, BLOCK // (layer.classes + 1)) if layer.by_columns else max(1, len(which))
    for low in range(0, len(which), width):
        # A column is compared with its leader next to it, in portions that fit the block size.
        part = which[low : low + width]
        comparisons = ratios.comparisons(part)
        for values in _blocks(layer, np.concatenate([members[part], leaders[part]])):
            left, right = values[:, : len(part)], values[:, len(part) :]
            for chosen, same in comparisons:
                agree[part[chosen]] &= same(left[:, chosen], right[:, chosen]).all(axis=0)
    return agree


class _Ratios:
    """The ratios of columns to their leaders, and functions that compare them.

    If the ratio is a power of two, multiplying the smaller column by it is exact.  If the product overflows,
    the other number is smaller, and they differ.
    """

    def __init__(self, ours: Array, theirs: Array) -> None:
        self.ours, self.theirs = ours, theirs
        (a, up), (b, down) = np.frexp(ours), np.frexp(theirs)
        self.shift = up - down
        binary = a == b
        self.sort = np.where(binary, np.sign(self.shift), 2)
        self.unknown = ~binary & ~np.full(len(ours), is_safe(ours) and is_safe(theirs))

    def comparisons(self, part: Array) -> list[tuple[slice, Callable[[Array, Array], Array]]]:
        """Return functions to compare the columns of a part, which is ordered by `sort`, piece by piece."""
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


def _blocks(layer: DenseStructure, columns: Array) -> Iterator[Array]:
    """Yield the rows of [A W; b] for some columns, block by block."""
    step = max(1, BLOCK // len(columns))
    for low in range(0, layer.classes, step):
        yield layer.block(low, min(low + step, layer.classes), columns)[0]
    yield layer.bias[columns][None]


def _by_fractions(layer: DenseStructure, members: Array, group: Group) -> list[Array]:
    """Group columns by their exact normal forms: the slow way, for any numbers."""
    forms: dict[tuple[Fraction, ...], list[int]] = {}
    rows = np.arange(layer.classes)
    step = max(1, BLOCK // (4 * max(layer.classes, 1)))
    for low in range(0, len(members), step):
        chosen = members[low : low + step]
        entries = layer.fractions(rows, chosen)
        bias = to_fractions(layer.bias[chosen])
        for k, column in enumerate(chosen.tolist()):
            numbers = [*entries[:, k].tolist(), bias[k]]
            divisor = group.part(next((x for x in numbers if x), Fraction(1)))
            forms.setdefault(tuple(x / divisor for x in numbers), []).append(column)
    return [np.array(columns) for columns in forms.values()]

"""Arrays of exact numbers, interned: one small code for each entry, each distinct number once.

A matrix with ten million entries rarely has more than a few hundred distinct ones.  Entry i of an
`ExactArray` is ``values[codes[i]]``; `values` are distinct `fractions.Fraction`, or elements of one
field of rational functions when parameters occur (`lumpability.numbers.parameters`).  Reading, scaling and
reducing modulo a prime therefore cost O(distinct values), and an entry costs one byte or two of
memory instead of eight.  Sums are exact: see `lumpability.numbers.integers`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np

from lumpability.errors import InvalidValue
from lumpability.numbers.foreign import plain
from lumpability.numbers.integers import (
    Limbs,
    common_denominator,
    gather,
    intern,
    residues,
    scale_to_integers,
    smallest_unsigned,
)
from lumpability.numbers.rationals import DEFAULT_TOLERANCE, Reading, read_floats, read_number

Exact = Any
"""`fractions.Fraction`, or an element of a sympy field of rational functions."""

_CHUNK = 1 << 15  # entries handled at a time, so that they stay in the cache
_NARROW_BITS = 512
_SHORT = 64  # entries for each nonzero one; then the kept positions take an eighth of the memory


@dataclass(frozen=True, eq=False, repr=False)
class ExactArray:
    """A one-dimensional array of exact numbers.

    Attributes
    ----------
    codes : array of unsigned int, shape (m,)
    values : tuple of Exact, length k
        Distinct numbers; entry i of the array is ``values[codes[i]]``.

    Examples
    --------
    >>> array, reading = ExactArray.read([0.1, "1/3", 1 - 0.9])
    >>> array
    ExactArray([1/10, 1/3, 1/10])
    >>> array[1] + array[2]
    Fraction(13, 30)
    """

    codes: np.ndarray[Any, Any]
    values: tuple[Exact, ...]

    def __post_init__(self) -> None:
        self.codes.setflags(write=False)

    @classmethod
    def read(
        cls, data: Any, *, float_tolerance: float = DEFAULT_TOLERANCE
    ) -> tuple[ExactArray, Reading]:
        """Read numbers of any supported type; floats by the rule of `rationals`.

        Parameters
        ----------
        data : ExactArray, numpy array or iterable of numbers, texts and sympy expressions
        float_tolerance : float
            Largest relative change of a float; 0 reads binary values literally.

        Returns
        -------
        array : ExactArray
        reading : Reading

        Raises
        ------
        InvalidValue
            If an entry is not a finite number; carries ``index``.

        Notes
        -----
        O(m), or O(m log m) beyond about a thousand distinct values; each of these is read once.
        """
        if isinstance(data, ExactArray):
            return data, Reading()
        data = plain(data)
        if isinstance(data, np.ndarray) and data.dtype.kind in "fiub":
            return _read_numeric(data.ravel(), float_tolerance)
        return _read_objects(data, float_tolerance)

    @classmethod
    def read_sparse(
        cls, length: int, numbers: Mapping[int, Any], *, float_tolerance: float = DEFAULT_TOLERANCE
    ) -> tuple[ExactArray, Reading]:
        """Read the numbers at some positions of an array that is zero elsewhere; see `read`.

        Examples
        --------
        >>> ExactArray.read_sparse(4, {2: "1/2"})[0]
        ExactArray([0, 0, 1/2, 0])
        """
        places = sorted(numbers)
        entries = [numbers[place] for place in places]
        gap = next((i for i, place in enumerate(places) if i != place), len(places))
        if gap < length:  # read a single zero for all of them
            places.insert(gap, gap)
            entries.insert(gap, 0)
        read, reading = _read_objects(entries, float_tolerance, places)
        if gap == length:
            return read, reading
        codes = np.full(length, read.codes[gap])
        codes[places] = read.codes
        return cls(codes, read.values), reading

    @classmethod
    def of_values(
        cls, codes: Any, values: Sequence[Exact], *, integers: Sequence[int] | None = None
    ) -> ExactArray:
        """Build from codes and values; values may repeat, and some may be unused.

        Rationals compare faster by `integers`, their numerators over one common denominator.
        """
        codes = np.asarray(codes).astype(smallest_unsigned(len(values)), copy=False)
        used = _used(codes, len(values))
        compared = values if integers is None else integers
        number: dict[Exact, int] = {}
        renamed = [number.setdefault(compared[code], len(number)) for code in used]
        if len(number) == len(values):
            return cls(codes, tuple(values))
        table = np.zeros(len(values), dtype=smallest_unsigned(len(number)))
        table[used] = renamed
        first = dict(zip(reversed(renamed), reversed(used), strict=True))
        return cls(gather(table, codes), tuple(values[first[new]] for new in range(len(first))))

    @classmethod
    def constant(cls, value: Exact, length: int) -> ExactArray:
        """An array that holds one number throughout."""
        return cls(np.zeros(length, dtype=np.uint8), (value,) if length else ())

    @cached_property
    def is_rational(self) -> bool:
        """Whether every number is a `Fraction`: no parameters occur."""
        return all(isinstance(value, Fraction) for value in self.values)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: Any) -> Exact:
        """Return one number, or for a slice, a mask or an array of positions the array of these entries.

        >>> array = ExactArray.read([0, 3, "1/2"])[0]
        >>> array[-1], array[:2], array[[True, False, True]]
        (Fraction(1, 2), ExactArray([0, 3]), ExactArray([0, 1/2]))
        """
        codes = self.codes[index]
        return self.take(index) if codes.ndim else self.values[codes]

    def __iter__(self) -> Any:
        return (self.values[code] for code in self.codes.tolist())

    def __repr__(self) -> str:
        if len(self) > 12:
            return f"ExactArray({len(self)} numbers, {len(self.values)} distinct)"
        return f"ExactArray([{', '.join(str(value) for value in self)}])"

    def _with(self, other: ExactArray) -> Sequence[Sequence[Exact]]:
        """Return the values of both arrays, in one field."""
        if self.is_rational or other.is_rational:
            return self.values, other.values
        from lumpability.numbers.parameters import in_one_field

        return in_one_field(self.values, other.values)

    def equals(self, other: ExactArray) -> bool:
        """Whether both hold the same numbers in the same order."""
        if len(self) != len(other):
            return False
        ours, theirs = self._with(other)
        number = {value: code for code, value in enumerate(theirs)}
        table = np.array([number.get(value, -1) for value in ours], dtype=np.int64)
        return len(self) == 0 or bool(np.array_equal(table[self.codes], other.codes))

    def take(self, index: Any) -> ExactArray:
        """Return the entries at `index` (an index array or boolean mask)."""
        return ExactArray.of_values(self.codes[index], self.values)

    def support(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the positions of the entries that are not zero, ascending; O(m).

        Examples
        --------
        >>> ExactArray.read([0, 3, 0.0, "1/2"])[0].support().tolist()
        [1, 3]
        """
        short = self._short_support
        return np.flatnonzero(self.codes != self._zero) if short is None else short

    @cached_property
    def _zero(self) -> int:
        """The code of zero; -1 if there is none."""
        return next((code for code, value in enumerate(self.values) if not value), -1)

    @cached_property
    def _short_support(self) -> np.ndarray[Any, np.dtype[np.int64]] | None:
        """The support if most entries are zero, as in most initial distributions; else None."""
        unequal = self.codes != self._zero
        if _SHORT * np.count_nonzero(unequal) > len(self):
            return None
        support = np.flatnonzero(unequal)
        support.setflags(write=False)
        return support

    def where(self, condition: Callable[[Exact], bool]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return which entries meet a condition; it is called once for each distinct number.

        Examples
        --------
        >>> ExactArray.read([0, 3, "1/2"])[0].where(lambda x: x > 1).tolist()
        [False, True, False]
        """
        met = np.array([condition(value) for value in self.values], dtype=bool)
        mask: np.ndarray[Any, np.dtype[np.bool_]] = met[self.codes]
        return mask

    def map(self, function: Callable[[Exact], Exact]) -> ExactArray:
        """Apply a function to every entry; it is called once for each distinct number."""
        return ExactArray.of_values(self.codes, [function(value) for value in self.values])

    def combine(self, other: ExactArray, function: Callable[[Exact, Exact], Exact]) -> ExactArray:
        """Apply a function entry by entry; it is called once for each distinct pair.

        Examples
        --------
        >>> first, second = ExactArray.read([1, 2, 1])[0], ExactArray.read([3, 4, 3])[0]
        >>> first.combine(second, lambda x, y: x * y)
        ExactArray([3, 8, 3])
        """
        width = len(other.values)
        pairs = self.codes.astype(np.int64) * width + other.codes
        codes, distinct = intern(pairs)
        first, second = self._with(other)
        values = [
            function(first[pair // width], second[pair % width]) for pair in distinct.tolist()
        ]
        return ExactArray.of_values(codes, values)

    def concatenate(self, other: ExactArray) -> ExactArray:
        """Return the entries of this array followed by those of `other`."""
        if not other.values:
            return self
        total = len(self.values) + len(other.values)
        dtype = smallest_unsigned(total)
        shifted = other.codes.astype(dtype) + dtype.type(len(self.values))
        ours, theirs = self._with(other)
        return ExactArray.of_values(
            np.concatenate([self.codes.astype(dtype), shifted]), [*ours, *theirs]
        )

    def to_floats(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the nearest floats, shape (m,).

        Raises
        ------
        InvalidValue
            If parameters occur (substitute numbers first), or a number is too large for a float.
        """
        if not self.is_rational:
            raise InvalidValue("symbolic weights have no float value: substitute numbers first")
        try:
            values = np.array([float(value) for value in self.values], dtype=np.float64)
        except OverflowError:
            largest = max(abs(value) for value in self.values)
            raise InvalidValue(
                "a number beyond 1.8e308 has no float value", value=largest
            ) from None
        return gather(values, self.codes)

    @cached_property
    def components(self) -> tuple[ExactArray, ...] | None:
        """Rational arrays: sums of this array are equal exactly when the sums of each of these are.

        A rational array has itself; rational functions have their coefficients of each monomial, see
        `parameters.coefficients`; None if there are too many.  Their `values` need not be distinct.
        """
        if self.is_rational:
            return (self,)
        from lumpability.numbers.parameters import coefficients

        columns = coefficients(self.values)
        if columns is None:
            return None
        return tuple(ExactArray(self.codes, tuple(column)) for column in columns)

    @cached_property
    def denominator(self) -> int:
        """The least common denominator; rationals only."""
        return common_denominator(self.values)

    @cached_property
    def integers(self) -> tuple[list[int], int]:
        """Integers W and denominator D with ``values[i] == Fraction(W[i], D)``; rationals only.

        These are large if many distinct numbers have unrelated denominators: see `is_narrow`.
        """
        return scale_to_integers(self.values)

    @cached_property
    def is_narrow(self) -> bool:
        """Whether the common denominator is small enough to scale every distinct number by it."""
        return self.is_within(_NARROW_BITS)

    def is_within(self, bits: int) -> bool:
        """Whether the common denominator has at most so many bits; a longer one is not computed, which takes seconds."""
        common = 1
        for below in self.denominators:
            common = math.lcm(common, below)
            if common.bit_length() > bits:
                return False
        return True

    @property
    def denominators(self) -> set[int]:
        """The different denominators; rationals only."""
        return {value.denominator for value in self.values}

    def residues(self, p: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """Return the distinct numbers, up to one common factor, modulo a prime; shape (k,).

        The prime must not divide a denominator.  Residues of scaled integers are mostly small; if the
        common denominator is too wide, a residue is the numerator times the denominator's inverse.
        """
        if self.is_narrow:
            return residues(self.integers[0], p)
        inverses: dict[int, int] = {}
        result = np.empty(len(self.values), dtype=np.uint64)
        for code, value in enumerate(self.values):
            inverse = inverses.get(value.denominator)
            if inverse is None:
                inverse = inverses[value.denominator] = pow(value.denominator, -1, p)
            result[code] = value.numerator * inverse % p
        return result

    def segment_sums(self, bounds: np.ndarray[Any, Any]) -> ExactArray:
        """Sum the segments ``[bounds[i], bounds[i+1])``, exactly.

        Parameters
        ----------
        bounds : array of int, shape (r + 1,)
            Ascending; an empty segment sums to zero.

        Returns
        -------
        ExactArray, shape (r,)
        """
        if not self.is_rational:
            return self._segment_sums_symbolic(bounds)
        return (
            self._segment_sums_scaled(bounds) if self.is_narrow else self._segment_sums_wide(bounds)
        )

    def _segment_sums_scaled(self, bounds: np.ndarray[Any, Any]) -> ExactArray:
        integers, denominator = self.integers
        longest = int(np.max(np.diff(bounds), initial=0))
        limbs = Limbs(integers, terms=longest)
        sums = [self._segment_sums_of(table, bounds) for table in limbs.tables]
        codes, distinct = Limbs.recombine(sums)
        return ExactArray(codes, tuple(Fraction(w, denominator) for w in distinct))

    def _segment_sums_wide(self, bounds: np.ndarray[Any, Any]) -> ExactArray:
        """Sum binary numbers over their common denominator, and the others one by one.

        Of many random floats a few are read as fractions with unrelated denominators; the common
        denominator of all would make a million numbers take gigabytes.
        """
        powers = [v.denominator & (v.denominator - 1) == 0 for v in self.values]
        binary = np.array(powers, dtype=bool)
        plain = ExactArray.of_values(
            self.codes,
            [v if power else Fraction(0) for v, power in zip(self.values, powers, strict=True)],
        )
        sums = plain._segment_sums_scaled(bounds)
        others = bounds[0] + np.flatnonzero(~binary[self.codes[bounds[0] : bounds[-1]]])
        totals: dict[int, Fraction] = {}
        for segment, position in zip(
            (np.searchsorted(bounds, others, side="right") - 1).tolist(),
            others.tolist(),
            strict=True,
        ):
            totals[segment] = totals.get(segment, sums[segment]) + self[position]
        codes = sums.codes.astype(np.int64)
        codes[list(totals)] = len(sums.values) + np.arange(len(totals))
        return ExactArray.of_values(codes, [*sums.values, *totals.values()])

    def _segment_sums_of(
        self, table: np.ndarray[Any, Any], bounds: np.ndarray[Any, Any]
    ) -> np.ndarray[Any, Any]:
        result = np.zeros(len(bounds) - 1, dtype=np.int64)
        buffer = np.empty(_CHUNK, dtype=np.int64)
        first = 0
        while first < len(result):
            # As many segments as fit a chunk, at least one.
            last = int(np.searchsorted(bounds, bounds[first] + _CHUNK, side="right")) - 1
            last = min(max(last, first + 1), len(result))
            low, high = int(bounds[first]), int(bounds[last])
            if high - low > len(buffer):
                buffer = np.empty(high - low, dtype=np.int64)
            entries = buffer[: high - low]
            gather(table, self.codes[low:high], out=entries)
            starts, sums = bounds[first:last] - low, result[first:last]
            filled = bounds[first:last] < bounds[first + 1 : last + 1]
            if filled.all():
                np.add.reduceat(entries, starts, out=sums)
            else:  # reduceat would not give zero for an empty segment
                sums[filled] = np.add.reduceat(entries, starts[filled])
            first = last
        return result

    def _segment_sums_symbolic(self, bounds: np.ndarray[Any, Any]) -> ExactArray:
        from lumpability.numbers.parameters import add

        zero = self.values[0] - self.values[0]
        # Rational functions are slow and repeat often, as sums and as terms of a sum.
        known: dict[tuple[int, ...], Exact] = {}
        sums = []
        codes = self.codes.tolist()
        for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            key = tuple(sorted(codes[low:high]))
            if key not in known:
                terms = Counter(key).items()
                known[key] = add([zero, *(self.values[c] * count for c, count in terms)])
            sums.append(known[key])
        return ExactArray.of_values(np.arange(len(sums)), sums)


def _used(codes: np.ndarray[Any, Any], count: int) -> list[int]:
    """Return which of ``0 .. count - 1`` occur among codes of the smallest dtype, ascending."""
    if codes.dtype == np.uint8:
        data = codes.tobytes()  # a search for a byte runs at the speed of memory
        return [code for code in range(count) if code in data]
    used = np.zeros(count, dtype=bool)
    for start in range(0, len(codes), _CHUNK):
        used[codes[start : start + _CHUNK]] = True
        if used.all():  # usually soon
            break
    return np.flatnonzero(used).tolist()


def _read_numeric(data: np.ndarray[Any, Any], float_tolerance: float) -> tuple[ExactArray, Reading]:
    if data.dtype.kind == "f":
        codes, distinct = intern(data if data.itemsize <= 8 else data.astype(np.float64))
        if not np.isfinite(distinct).all():
            index = int(np.flatnonzero(~np.isfinite(data))[0])
            raise InvalidValue(
                f"{data[index]} at position {index} is not a finite number", index=index
            )
        values, reading = read_floats(distinct, float_tolerance=float_tolerance)
        if len(set(values)) == len(values):
            return ExactArray(codes, tuple(values)), reading
        return ExactArray.of_values(codes, values), reading  # two floats were read as one rational
    codes, distinct = intern(data)
    return ExactArray(codes, tuple(Fraction(int(value)) for value in distinct)), Reading()


def _read_objects(
    data: Iterable[Any], float_tolerance: float, places: Iterable[int] | None = None
) -> tuple[ExactArray, Reading]:
    """Read numbers of any types; `places` are their positions if these are not 0, 1, 2, ..."""
    from lumpability.numbers.parameters import is_symbolic, read_elements

    if not isinstance(data, Iterable):
        raise InvalidValue(f"{data!r} is not an array or a list of numbers", value=data)
    number: dict[Any, int] = {}
    distinct: list[Any] = []
    codes = []
    positions: list[int] = []
    for index, item in zip(count() if places is None else places, data, strict=False):
        key = (type(item), item)  # 1, 1.0 and "1" are read in different ways
        try:
            code = number.setdefault(key, len(number))
        except TypeError:
            raise InvalidValue(
                f"{item!r} at position {index} is not a number", index=index, value=item
            ) from None
        if code == len(distinct):
            distinct.append(item)
            positions.append(index)
        codes.append(code)
    floats: dict[Any, list[Any]] = {}  # by their precision
    for item in distinct:
        if isinstance(item, float | np.floating):
            floats.setdefault(getattr(item, "dtype", None), []).append(item)
    try:
        read = (read_floats(x, float_tolerance=float_tolerance)[1] for x in floats.values())
        reading = sum(read, start=Reading())
    except InvalidValue:
        reading = Reading()  # the loop below finds the bad value again, with its position
    try:
        if any(is_symbolic(item) for item in distinct):
            values = read_elements(distinct, float_tolerance=float_tolerance)
        else:
            values = [_read_one(item, code, float_tolerance) for code, item in enumerate(distinct)]
    except InvalidValue as error:
        index = positions[error.index]
        raise InvalidValue(
            f"{error} (position {index})", **{**error.evidence, "index": index}
        ) from None
    return ExactArray.of_values(np.array(codes, dtype=np.int64), values), reading


def _read_one(item: Any, index: int, float_tolerance: float) -> Fraction:
    try:
        return read_number(item, float_tolerance=float_tolerance)
    except InvalidValue as error:
        raise InvalidValue(str(error), index=index, value=item) from None

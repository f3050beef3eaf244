"""Values in the free algebra, numbered: two elements have one number exactly if the rules below make them equal.

An element of a tensor is a factor times an *atom*.  Atom 0 is the constant one.  The other atoms are what
operators yield: a sum is kept as its terms, a linear layer's unit is the leader of its group of proportional
columns, any other function is its name applied to numbered arguments, with as much of the factors taken out as
the function lets pass.  All arithmetic is rational, so equal numbers are a proof: nothing is drawn at random and
no size but those in the file is looked at.

An axis along which a tensor is treated alike is *collapsed*: an atom is then a family over the positions of the
collapsed axes, which are counted from the last.  An operator that moves or mixes positions is one more function
of the family, its shapes being part of its name.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Hashable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np

from lumpability.networks.tensors.domains import Domains
from lumpability.numbers.float_arrays import Array

ONE = 0
Value = tuple[int, Fraction]

_BITS = 160
_LONGEST = 64
"""Terms up to which a sum of sums is flattened."""
_MOST_BITS = 4096
"""Bits of a factor's numerator and of its denominator; a product that needs more is a new atom."""


class Algebra:
    """Numbers for atoms and for factors.

    >>> algebra = Algebra()
    >>> x = algebra.atom("x")
    >>> algebra.total([(x, Fraction(2)), (x, Fraction(-2))])
    (0, Fraction(0, 1))
    >>> algebra.total([(x, Fraction(2)), (ONE, Fraction(4))]) == algebra.total([(x, Fraction(2)), (ONE, Fraction(4))])
    True
    """

    def __init__(self) -> None:
        self.fractions = [Fraction(0), Fraction(1)]
        self._numbers = {Fraction(0): 0, Fraction(1): 1}
        self._atoms: dict[Hashable, int] = {}
        self._count = 1
        self._starts: list[int] = []
        self._places: list[tuple[int, tuple[tuple[int, int], ...]]] = []
        self.terms: dict[int, tuple[Value, ...]] = {}
        self.constants = {ONE}
        self.domains = Domains()
        self.infinite: set[int] = set()
        self.approximate = 0
        self._remembered: dict[Hashable, dict[tuple[int, ...], Value]] = {}

    def atom(self, key: Hashable, *, constant: bool = False) -> int:
        """Return the number of an atom; a constant one is the same number at every position and input."""
        found = self._atoms.get(key)
        if found is None:
            found = self._atoms[key] = self._count
            self._count += 1
            if constant:
                self.constants.add(found)
        return found

    def _apart(self, atom: int, axis: int, size: int) -> tuple[int, int]:
        """Return the atom of a family at the first position of an axis, and the step to the next position.

        The order in which axes are told apart makes no difference.
        """
        block = bisect(self._starts, atom) - 1
        base, offset = atom, 0
        axes: tuple[tuple[int, int], ...] = ((axis, size),)
        if block >= 0:
            inner, known = self._places[block]
            inside = atom - self._starts[block] < math.prod(n for _, n in known)
            if inside and axis not in dict(known):
                base, axes = inner, tuple(sorted((*known, (axis, size))))
                offset = atom - self._starts[block]
        step = math.prod(n for a, n in axes if a > axis)
        found = self._atoms.get(("at", base, axes))
        if found is None:
            found = self._atoms["at", base, axes] = self._count
            self._starts.append(found)
            self._places.append((base, axes))
            self._count += math.prod(n for _, n in axes)
            self.domains.inherit(range(found, self._count), base)
        return found + offset // step * step * size + offset % step, step

    def number(self, factor: Fraction) -> int:
        """Return the number of a factor; 0 is zero, 1 is one."""
        found = self._numbers.get(factor)
        if found is None:
            found = self._numbers[factor] = len(self.fractions)
            self.fractions.append(factor)
        return found

    def fractions_of(self, numbers: Array) -> Array:
        """Return factors, given by their numbers, as an object array."""
        found = np.empty(len(numbers), dtype=object)
        found[:] = [self.fractions[number] for number in numbers.tolist()]
        return found

    def bounded(self, value: Value) -> Value:
        """Return a value whose factor is of bounded length: itself, or a new atom.

        >>> algebra = Algebra()
        >>> algebra.bounded((ONE, Fraction(3))), algebra.bounded((ONE, Fraction(3) ** 5000))
        ((0, Fraction(3, 1)), (1, Fraction(1, 1)))
        """
        atom, factor = value
        if max(abs(factor.numerator), factor.denominator).bit_length() <= _MOST_BITS:
            return value
        return self.atom(("long", atom, factor), constant=atom in self.constants), Fraction(1)

    def numbers(self, value: Value) -> tuple[int, int]:
        """Return an atom and the number of its factor, in the form that arrays hold."""
        atom, factor = self.bounded(value)
        return (atom, self.number(factor)) if factor else (ONE, 0)

    def constant(self, values: Array) -> tuple[Array, Array]:
        """Return atoms and factor numbers of an array of known numbers."""
        distinct, where = np.unique(values, return_inverse=True)
        ids, facs = np.zeros(len(distinct), np.int64), np.zeros(len(distinct), np.int64)
        for k, value in enumerate(distinct.tolist()):
            if isinstance(value, float) and not np.isfinite(value):
                ids[k], facs[k] = self.atom(("not finite", str(value)), constant=True), 1
                self.domains.note(int(ids[k]), partial=True, sunk=value == -math.inf)
                self.infinite.add(int(ids[k]))
            elif isinstance(value, int | float):
                facs[k] = self.number(Fraction(value))
            else:
                ids[k], facs[k] = self.atom(("literal", repr(value)), constant=True), 1
        shape = np.shape(values)
        return ids[where].reshape(shape), facs[where].reshape(shape)

    def total(self, parts: Iterable[Value]) -> Value:
        """Return a linear combination, as one atom times its leading factor."""
        found: dict[int, Fraction] = {}
        for atom, factor in parts:
            inner = self.terms.get(atom)
            terms = (
                [(part, factor * weight) for part, weight in inner] if inner else [(atom, factor)]
            )
            for part, weight in terms:
                found[part] = found[part] + weight if part in found else weight
        left = sorted((atom, factor) for atom, factor in found.items() if factor)
        if len(left) < len(found) and self.domains.touches(found.items()):
            gone = [atom for atom, factor in found.items() if not factor]
            left = sorted(
                left + [self.nothing(atom) for atom in gone if atom in self.domains.partial]
            )
        if not left:
            return ONE, Fraction(0)
        if len(left) == 1:
            return left[0]
        lead = left[-1][1]
        normal = tuple((atom, factor / lead) for atom, factor in left)
        number = self.atom(("sum", normal), constant=all(a in self.constants for a, _ in left))
        if len(normal) <= _LONGEST:
            self.terms[number] = normal
        domains = self.domains
        partial, sunk = domains.touches(normal), domains.are_sunk(normal)
        domains.note(number, least=domains.of_sum(normal), partial=partial, sunk=sunk)
        return number, lead

    def nothing(self, *atoms: int) -> Value:
        """Return zero times atoms some of which may not be finite."""
        return self.domains.note(self.atom(("nothing", *sorted(atoms))), partial=True), Fraction(1)

    def root(self, square: Fraction) -> tuple[Fraction, bool]:
        """Return the root of a positive number, and whether it is exact or else off by a part in 2^128.

        >>> Algebra().root(Fraction(9, 4))
        (Fraction(3, 2), True)
        """
        a, b = math.isqrt(square.numerator), math.isqrt(square.denominator)
        if a * a == square.numerator and b * b == square.denominator:
            return Fraction(a, b), True
        product = square.numerator * square.denominator
        return Fraction(math.isqrt(product << 2 * _BITS), square.denominator << _BITS), False

    def map(
        self, columns: Sequence[Array], rule: Callable[[tuple[int, ...]], Value]
    ) -> tuple[Array, Array]:
        """Apply a rule to arrays of numbers, element by element, once for each different row.

        Parameters
        ----------
        columns : sequence of int array
            Broadcast against each other.
        rule : callable
            From the numbers of one row to an atom and a factor.
        """
        arrays = np.broadcast_arrays(*columns)
        shape = arrays[0].shape
        flat = [np.ascontiguousarray(array).ravel() for array in arrays]
        code = np.zeros(len(flat[0]), dtype=np.int64)
        for column in flat:
            distinct, inverse = np.unique(column, return_inverse=True)
            _, code = np.unique(code * len(distinct) + inverse, return_inverse=True)
        _, first = np.unique(code, return_index=True)
        ids, facs = np.zeros(len(first), np.int64), np.zeros(len(first), np.int64)
        for k, row in enumerate(zip(*(column[first].tolist() for column in flat), strict=True)):
            ids[k], facs[k] = self.numbers(rule(row))
        return ids[code].reshape(shape), facs[code].reshape(shape)

    def apply(
        self,
        operands: Sequence[tuple[Array, Array]],
        rule: Callable[[list[Value]], Value],
        key: Hashable = None,
        *,
        lifts: bool = False,
    ) -> tuple[Array, Array]:
        """Apply a rule on values to arrays of values, element by element.

        - key: names the rule; what equal rules make of equal values is remembered
        - lifts: whether what is made of minus infinity counts as finite
        """
        columns = [array for pair in operands for array in pair]
        known = {} if key is None else self._remembered.setdefault(key, {})

        def by_numbers(row: tuple[int, ...]) -> Value:
            if row not in known:
                values = [(a, self.fractions[f]) for a, f in list(pairwise(row))[::2]]
                found, factor = rule(values)
                partial = self.domains.touches(values)
                partial = partial and not (lifts and self.domains.are_sunk(values))
                known[row] = self.domains.note(found, partial=partial), factor
            return known[row]

        return self.map(columns, by_numbers)

    def spread(self, ids: Array, facs: Array, axis: int, size: int) -> tuple[Array, Array]:
        """Tell the positions of a collapsed axis apart; constants stay what they are.

        - ids, facs: of size one along the axis
        - axis: counted from the last, negative
        """
        distinct, inverse = np.unique(ids, return_inverse=True)
        fixed = np.array([atom in self.constants for atom in distinct.tolist()], dtype=bool)
        found = [
            (atom, 0) if same else self._apart(atom, axis, size)
            for atom, same in zip(distinct.tolist(), fixed.tolist(), strict=True)
        ]
        first, step = np.array(found, dtype=np.int64).reshape(-1, 2).T
        inverse = inverse.reshape(ids.shape)
        place = np.arange(size).reshape((-1,) + (1,) * (-axis - 1))
        return first[inverse] + place * step[inverse], np.repeat(facs, size, axis=axis)

    def stack(self, ids: Array, facs: Array, axes: Sequence[int]) -> tuple[Array, Array]:
        """Take slices along some axes together: one atom for each, up to a factor."""
        moved = [np.moveaxis(a, axes, range(-len(axes), 0)) for a in (ids, facs)]
        kept = moved[0].shape[: -len(axes)]
        rows = [a.reshape(*kept, -1).reshape(int(np.prod(kept)), -1) for a in moved]
        shape = [1 if a in axes else n for a, n in enumerate(ids.shape)]
        place = tuple(ids.shape[a] for a in axes) + tuple(a - ids.ndim for a in axes)
        out = [np.zeros(len(rows[0]), np.int64) for _ in range(2)]
        memo: dict[bytes, tuple[int, int]] = {}
        for k, (atoms, factors) in enumerate(zip(*rows, strict=True)):
            key = atoms.tobytes() + factors.tobytes()
            if key not in memo:
                memo[key] = self._stacked(atoms, factors, place)
            out[0][k], out[1][k] = memo[key]
        return out[0].reshape(shape), out[1].reshape(shape)

    def _stacked(self, atoms: Array, factors: Array, place: Hashable) -> tuple[int, int]:
        nonzero = np.flatnonzero(factors)
        if not len(nonzero):
            return ONE, 0
        alike = len(set(atoms.tolist())) == len(set(factors.tolist())) == 1
        if alike and int(atoms[0]) in self.constants:
            return int(atoms[0]), int(factors[0])
        lead = self.fractions[factors[nonzero[0]]]
        distinct, inverse = np.unique(factors, return_inverse=True)
        if lead != 1:
            distinct = np.array([self.number(self.fractions[f] / lead) for f in distinct.tolist()])
        key = (place, atoms.tobytes(), distinct[inverse].tobytes())
        least, sunk, partial = None, False, not self.domains.partial.isdisjoint(atoms.tolist())
        if len(atoms) <= _LONGEST**2:
            parts = zip(atoms.tolist(), factors.tolist(), strict=True)
            scaled = [(a, self.fractions[f] / lead) for a, f in parts]
            least, sunk = self.domains.of_all(scaled), self.domains.are_sunk(scaled)
        atom = self.atom(("stack", key))
        found = self.domains.note(atom, least=least, partial=partial, sunk=sunk)
        return found, self.number(lead)

    def unary(
        self, key: Hashable, group: str, of_constant: str, sign: str | int | None = None
    ) -> Callable[[Sequence[Value]], Value]:
        """Return the rule of a function of one argument that is known by the factors it lets pass.

        - key: the function's name, with all that it depends on
        - group ({"linear", "positive", "even", "odd", "equal"}): f(c x) = c f(x) for every c, or for c > 0; |c|
          f(x); sign(c) f(|c| x); no rule
        - of_constant ({"same", "some", "none"}): whether a constant gives itself, some constant, or something
          that differs by position
        - sign ({"same", "weak", 0, 1}): whether what it yields has the sign of its argument, is not negative if
          that is not, never is, is positive
        """

        def rule(values: Sequence[Value]) -> Value:
            ((atom, factor),) = values
            known = atom in self.constants
            if known and of_constant == "same":
                return atom, factor
            if not factor and group != "equal":
                return ONE, Fraction(0)
            kept, name = {
                "linear": (factor, ()),
                "positive": (abs(factor), (factor > 0,)),
                "even": (abs(factor), ()),
                "odd": (Fraction(1 if factor > 0 else -1), (abs(factor),)),
                "equal": (Fraction(1), (factor,)),
            }[group]
            found = self.atom((key, atom, *name), constant=known and of_constant == "some")
            base = (
                self.domains.sign((atom, Fraction(1))) if group == "linear" or factor > 0 else None
            )
            if sign == "weak" and base:
                base = 0
            least = base if isinstance(sign, str) else sign
            return self.domains.note(found, least=least), kept

        return rule

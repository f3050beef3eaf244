"""Where values are certain to lie: finite for every input, not negative, positive.

Zero times a value is zero, and a value minus itself, only if the value is finite: 0 * (1 / relu(x)) is not a number
for half of the inputs.  Divisions by what may be zero, logarithms, roots and powers of what may be negative are
*partial*, as are stored infinities, and so is all that is made of them.  Signs tell which of them are harmless:
x / sqrt(mean(x^2) + 1) is finite.  What is finite or minus infinite, as the scores of attention with a mask, is
*sunk*; a softmax of it counts as finite: where a mask hides a whole row, both networks yield no number.
Inputs of a network and the results of operators that are not understood count as finite, and so do numbers that
are only too large for their type: identities are those of real functions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

Value = tuple[int, Fraction]


class Domains:
    """What is known of atoms.  A sign is 1 for positive, 0 for not negative, None if it is unknown.

    - partial: atoms that may not be finite at some inputs
    - sunk: those of them that are finite or minus infinite

    >>> domains = Domains()
    >>> domains.note(1, least=0), domains.sign((1, Fraction(2))), domains.sign((1, Fraction(-2)))
    (1, 0, None)
    """

    def __init__(self) -> None:
        self.partial: set[int] = set()
        self.sunk: set[int] = set()
        self._least: dict[int, int] = {0: 1}

    def note(
        self, atom: int, *, least: int | None = None, partial: bool = False, sunk: bool = False
    ) -> int:
        """Record what is known of an atom, and return it."""
        if least is not None and atom:
            self._least[atom] = least
        if partial and atom:
            self.partial.add(atom)
            if sunk:
                self.sunk.add(atom)
        return atom

    def inherit(self, atoms: Iterable[int], base: int) -> None:
        """Record that what is known of an atom holds for others."""
        least, partial = self._least.get(base), base in self.partial
        if least is not None or partial:
            for atom in atoms:
                self.note(atom, least=least, partial=partial)

    def are_sunk(self, values: Iterable[Value]) -> bool:
        """Whether each of the values is finite or minus infinite."""
        return all(
            atom not in self.partial or (atom in self.sunk and factor > 0)
            for atom, factor in values
        )

    def touches(self, values: Iterable[Value]) -> bool:
        """Whether one of the values is partial."""
        return bool(self.partial) and not self.partial.isdisjoint(atom for atom, _ in values)

    def sign(self, value: Value) -> int | None:
        """Return the sign of a value."""
        atom, factor = value
        if not factor:
            return 0
        return self._least.get(atom) if factor > 0 else None

    def is_never_zero(self, value: Value) -> bool:
        """Whether a value is certain to differ from zero."""
        return bool(value[1]) and self._least.get(value[0]) == 1

    def of_all(self, values: Iterable[Value]) -> int | None:
        """Return the sign of the least of some values."""
        found = [self.sign(value) for value in values]
        return None if None in found else min(found, default=1)  # type: ignore[type-var]

    def of_sum(self, terms: Sequence[Value]) -> int | None:
        """Return the sign of a sum."""
        found = [self.sign(term) for term in terms]
        return None if None in found else max(found, default=0)  # type: ignore[type-var]

    def of_product(self, atoms: Iterable[int]) -> int | None:
        """Return the sign of a product; squares are not negative."""
        found: list[int | None] = []
        for atom, count in Counter(atoms).items():
            sign = self._least.get(atom)
            found.append((1 if sign else 0) if count % 2 == 0 else sign)
        return None if None in found else min(found, default=1)  # type: ignore[type-var]

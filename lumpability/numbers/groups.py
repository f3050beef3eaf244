"""Groups of factors by which two vectors may differ and still count as equal.

An activation passes some factors on: act(c z) = carry(c) act(z) for all z.  These factors form a
multiplicative group of rationals, and the group decides which columns of a layer are equivalent.
`part` splits a number into a factor of the group and a rest.  Dividing a vector by the part of its first
nonzero entry gives its normal form under the group.
"""

from __future__ import annotations

import enum
from fractions import Fraction

import numpy as np

from lumpability.numbers.float_arrays import Array


class Group(enum.Enum):
    """A multiplicative group of rational factors.

    Examples
    --------
    >>> Fraction(-2) in Group.ANY, Fraction(-2) in Group.POSITIVE
    (True, False)
    """

    ANY = "any nonzero factor"
    POSITIVE = "positive factors"
    SIGNS = "plus and minus one"
    ONE = "equal rows only"

    def __contains__(self, factor: Fraction) -> bool:
        if self is Group.ANY:
            return factor != 0
        if self is Group.POSITIVE:
            return factor > 0
        return factor in (1, -1) if self is Group.SIGNS else factor == 1

    def part(self, factor: Fraction) -> Fraction:
        """Return the largest part of a nonzero factor that belongs to the group.

        Examples
        --------
        >>> Group.POSITIVE.part(Fraction(-3)), Group.SIGNS.part(Fraction(-3))
        (Fraction(3, 1), Fraction(-1, 1))
        """
        if self is Group.ANY:
            return factor
        if self is Group.POSITIVE:
            return abs(factor)
        return Fraction(1 if factor > 0 else -1) if self is Group.SIGNS else Fraction(1)

    def parts(self, factors: Array) -> Array:
        """Return `part` of each of an array of nonzero floats.

        Examples
        --------
        >>> Group.SIGNS.parts(np.array([-3.0, 2.0])).tolist()
        [-1.0, 1.0]
        """
        if self is Group.ANY:
            return factors
        if self is Group.POSITIVE:
            return np.abs(factors)
        return np.sign(factors) if self is Group.SIGNS else np.ones_like(factors)

    def includes(self, other: Group) -> bool:
        """Whether every factor of the other group belongs to this one.

        Examples
        --------
        >>> Group.POSITIVE.includes(Group.ONE), Group.POSITIVE.includes(Group.SIGNS)
        (True, False)
        """
        return self is other or self is Group.ANY or other is Group.ONE

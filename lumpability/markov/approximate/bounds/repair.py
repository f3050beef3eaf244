"""Making a vector that nearly has no positive drift into one that has none, in exact arithmetic.

Wanted is an exact v with g + Q v <= 0 in the free states, close to a vector of floats.  If w >= 0 vanishes
elsewhere and Q w <= -delta there, then v + q w has a drift that is smaller by q delta; so the largest excess e
costs e w / delta, and nothing if there is none.  Rounding to multiples of a power of two is part of the excess.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.certificate.bounds.drift import drift
from lumpability.markov.approximate.bounds.ends import vector_of
from lumpability.markov.approximate.bounds.members import Floats, Members, rounded
from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure

Mask = np.ndarray[Any, np.dtype[np.bool_]]

_ATTEMPTS = 12


class Repair:
    """Raises vectors until their drift is not positive in the free states.

    - free: array of bool, shape (n,)
    - slack (array of float, shape (n,)): the vector w; nearly the expected time until a state is not free
    """

    def __init__(
        self, matrix: WeightedStructure, members: Members, free: Mask, slack: Floats
    ) -> None:
        self._matrix, self._free = matrix, free
        self._slack = np.where(free, np.maximum(slack, 0.0), 0.0)
        drifts = members.drift(self._slack)[free]
        self._delta = float(-drifts.max(initial=-1.0))
        self._fastest = float(members.exits.max(initial=0.0))

    @property
    def works(self) -> bool:
        """Whether the slack has negative drift in all free states."""
        return self._delta > 0 and bool(np.isfinite(self._slack).all())

    def raised(
        self, values: Floats, plus: Sequence[ExactArray], *, sign: int = 1
    ) -> ExactArray | None:
        """Return an exact vector v, not below the values, times a sign; ``sum(plus) + Q v <= 0`` in free states.

        Values of states that are not free are kept; they must be multiples of the rounding.  None if it fails.
        """
        if not np.isfinite(values).all():
            return None
        integers, scale = rounded(values)
        if integers.dtype == object:
            return None
        amount = 0.0
        for _ in range(_ATTEMPTS):
            more = np.ceil(np.minimum(amount * self._slack, 2.0**900) * float(scale))
            if more.max(initial=0.0) > 2.0**61:
                return None
            candidate = integers + more.astype(np.int64)
            excess = self._excess(candidate, scale, plus)
            if excess <= 0:
                return vector_of(sign * candidate, scale)
            if not self.works:
                return None
            grain = 4 * self._fastest / float(scale)
            amount = 2 * amount + (1.01 * float(excess) + grain) / self._delta
        return None

    def _excess(self, candidate: Any, scale: int, plus: Sequence[ExactArray]) -> Fraction:
        found = drift(self._matrix, candidate, scale)
        for vector in plus:
            found = found.plus(vector)
        sums = (found.numerators + found.slack)[self._free]
        return Fraction(int(max(sums)), found.denominator) if len(sums) else Fraction(0)

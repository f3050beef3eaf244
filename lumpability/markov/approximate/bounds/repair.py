"""Making a vector that nearly has no positive drift into one that has none, in exact arithmetic.

Wanted is an exact v with g + Q v <= 0 in the free states, close to a vector of floats.  If w >= 0 vanishes
elsewhere and Q w <= -delta there, then v + q w has a drift that is smaller by q delta; so the largest excess e
costs e w / delta, and nothing if there is none.  Rounding to multiples of a power of two is part of the excess.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.certificate.bounds.drift import drift
from lumpability.certificate.bounds.vector import Vector
from lumpability.markov.approximate.bounds.members import Floats, Members, rounded, rounded_up
from lumpability.numbers.exact_array import ExactArray

Mask = np.ndarray[Any, np.dtype[np.bool_]]

_ATTEMPTS = 12


class Repair:
    """Raises vectors until their drift is not positive in the free states.

    - free: array of bool, shape (n,)
    - slack (array of float, shape (n,)): the vector w; nearly the expected time until a state is not free
    """

    def __init__(self, members: Members, free: Mask, slack: Floats) -> None:
        self._members, self._free = members, free
        self._slack = np.where(free, np.maximum(slack, 0.0), 0.0)
        drifts = members.drift_beyond_floats(rounded(self._slack))[free]
        self.delta = float(-drifts.max(initial=-1.0))
        self._fastest = float(members.exits.max(initial=0.0))

    @property
    def works(self) -> bool:
        """Whether the slack has negative drift in all free states."""
        return self.delta > 0 and bool(np.isfinite(self._slack).all())

    def raised(
        self, values: Floats, earning: ExactArray | None, less: Vector | None = None
    ) -> Vector | None:
        """Return the first of the `candidates` whose drift is proved to be at most zero in free states."""
        if not np.isfinite(values).all():
            return None
        rest = self._members.drift(values)
        rest += 0.0 if earning is None else earning.to_floats()
        rest -= 0.0 if less is None else less.exact().to_floats()
        for candidate in self.candidates(rounded(values), rest, earning, less):
            if self._excess(candidate, earning, less) <= 0:
                return candidate
        return None

    def candidates(
        self, near: Vector, rest: Floats, earning: ExactArray | None, less: Vector | None = None
    ) -> Iterator[Vector]:
        """Yield vectors v, not below a given one, for ``earning - less + Q v <= 0`` in free states.

        Values of states that are not free are kept.  The first vector is chosen by the `rest`, which is nearly what
        should not be positive, and each of the others by the exact excess of the one before.
        """
        grain = 4 * self._fastest / float(near.scale)
        above = float(rest[self._free].max(initial=0.0))
        amount = (1.01 * above + grain) / self.delta if above > 0 and self.works else 0.0
        for _ in range(_ATTEMPTS):
            if not amount < 2.0**900:
                return
            candidate = rounded_up(amount * self._slack, onto=near)
            yield candidate
            excess = self._excess(candidate, earning, less)
            if excess <= 0 or not self.works:
                return
            amount = 2 * amount + (1.01 * float(excess) + grain) / self.delta

    def _excess(
        self, candidate: Vector, earning: ExactArray | None, less: Vector | None
    ) -> Fraction:
        found = drift(self._members.matrix, candidate).plus(earning)
        if less is not None:
            found = found.minus(less)
        return found.largest(self._free) if self._free.any() else Fraction(0)

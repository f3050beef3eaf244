"""Where the distributions of a chain tend to.

After many steps the mass of each recurrent class is spread as its stationary distribution says; if the class has
period d, that of each of its d cyclic classes is (Feller, volume 1, section XV.9), and moves on to the next with every
step.  A step does not increase L1 distances, so a vector that is near such a limit stays as near to it.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.errors import NoConvergence
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.solve.classes import cyclic_classes
from lumpability.markov.solve.poisson import UNIT
from lumpability.markov.solve.solution import Floats
from lumpability.markov.solve.stationary import stationary_masses

_LONGEST_PERIOD = 100_000


class Limit:
    """The limits of the distributions of a chain; those of a CTMC are limits of its uniformized jumps."""

    def __init__(self, chain: MarkovChain) -> None:
        self._chain = chain

    @cached_property
    def _known(self) -> tuple[Floats, Any, float, int] | None:
        """Masses within cyclic classes, the class of every state (0: transient), their error, the period."""
        try:
            masses, owner, error = stationary_masses(self._chain)
        except NoConvergence:
            return None
        if isinstance(self._chain, CTMC):
            return masses, owner, error, 1
        phases, periods = cyclic_classes(self._chain, owner)
        period = math.lcm(*np.unique(periods).tolist())
        if period > _LONGEST_PERIOD:
            return None
        firsts = np.cumsum(periods) - periods
        return masses * periods[owner], firsts[owner] + phases, error + UNIT, period

    @property
    def exists(self) -> bool:
        """Whether it could be computed with a proved error."""
        return self._known is not None

    @property
    def period(self) -> int:
        """The number of steps after which limits return."""
        return 1 if self._known is None else self._known[3]

    def near(self, vector: Floats) -> tuple[Floats, float, float]:
        """Return the limit near a vector, a bound on the distance, and one on the error of the limit."""
        assert self._known is not None
        masses, owner, error, _ = self._known
        inside = np.bincount(owner, np.where(owner > 0, vector, 0.0))
        limit = masses * inside[owner]
        distance = float(np.abs(vector - limit).sum()) * (1 + 1e-9)
        whole = limit.sum() or 1.0  # none while all mass is in transient states
        return limit / whole, distance, 2 * (distance + error + len(limit) * UNIT)

"""The Poisson weights of the numbers of jumps up to a time, without those that add up to at most epsilon.

The tails are bounded as Chernoff does (Fox and Glynn 1988 have sharper bounds, which make windows little shorter); the
ratios of neighbouring weights are exact to two units, so that rounding is bounded by the distance from the mode.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.markov.solve.solution import Floats

_LARGEST_MEAN = 1e290
UNIT = 2.0**-53


@dataclass(frozen=True)
class Window:
    """The Poisson weights that matter."""

    first: int  # the number of steps that `weights[0]` belongs to
    weights: Floats  # sum to one
    error: float  # bound on the sum of all errors of weights: the omitted ones, and rounding

    @property
    def last(self) -> int:
        """The largest number of steps."""
        return self.first + len(self.weights) - 1

    def later(self) -> Floats:
        """Return the probability of more than k steps, for k from `first` to `last`."""
        return np.append(np.cumsum(self.weights[:0:-1])[::-1], 0.0)


def poisson_reach(mean: float, epsilon: float) -> tuple[int, int]:
    """Return the first and the last number of steps, outside of which the probability is at most epsilon."""
    if not mean < _LARGEST_MEAN:
        raise InvalidInput(
            "the rate times the time is beyond the range of floating point: choose another unit of time"
        )
    log = math.log(2) - math.log(epsilon)
    below, above = math.sqrt(2 * mean * log), log / 3 + math.sqrt(log**2 / 9 + 2 * mean * log)
    return max(0, math.floor(mean - below)), math.ceil(mean + above)


def poisson_window(mean: float, epsilon: float) -> Window:
    """Return the weights of a Poisson distribution, except for a mass of at most `epsilon`.

    >>> window = poisson_window(100.0, 1e-10)
    >>> window.error <= 2.1e-10, window.first > 20, window.last < 190
    (True, True, True)
    """
    if mean == 0:
        return Window(0, np.ones(1), 0.0)
    first, last = poisson_reach(mean, epsilon)
    mode = math.floor(mean)
    up = np.cumprod(mean / np.arange(mode + 1, last + 1, dtype=np.float64))
    down = np.cumprod(np.arange(mode, first, -1, dtype=np.float64) / mean)
    weights = np.concatenate([down[::-1], [1.0], up])
    weights /= weights.sum()
    away = np.abs(np.arange(first, last + 1) - mode)
    rounding = 2 * (2 * float(weights @ away) + len(weights)) * UNIT
    return Window(first, weights, 2 * epsilon + rounding)


def poisson_distance(mean: float, relative: float) -> float:
    """Bound the L1 distance of Poisson distributions whose means differ relatively (Adell and Jodra 2006)."""
    return 2 * min(mean * relative, math.sqrt(mean) * relative)

"""Poisson probabilities between rationals, without the exponential function.

The probabilities of a Poisson distribution of rational mean m satisfy p_(k+1) = p_k m / (k+1) and sum to
one.  So with r_k = p_k / p_M for the mode M, p_k = r_k / sum of all r; the ratios follow from r_M = 1 by
exact steps in both directions, rounded outward to multiples of 2^-96, and what lies outside a window is bounded
by a geometric series.  About 22 sqrt(m) steps; no number has more than 100 bits (Fox and Glynn 1988 do the same
in floating point).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

_BITS = 96
_NEGLIGIBLE = 1 << (_BITS - 76)


@dataclass(frozen=True)
class Window:
    """Bounds on p_k for k in a window, as numerators over the bounds of their sum.

    p_k <= high[k - first] / least and p_k >= low[k - first] / most; the probability of less than `first` is at
    most before / least, that of more than `last` at most after / least.
    """

    first: int
    low: list[int]
    high: list[int]
    before: int
    after: int

    @property
    def last(self) -> int:
        """The largest number in the window."""
        return self.first + len(self.low) - 1

    @property
    def least(self) -> int:
        """A lower bound of the sum of all ratios."""
        return sum(self.low)

    @property
    def most(self) -> int:
        """An upper bound of the sum of all ratios."""
        return sum(self.high) + self.before + self.after


def poisson_window(mean: Fraction) -> Window:
    """Return bounds on the probabilities of a Poisson distribution; what is left out is below 2^-70.

    >>> window = poisson_window(Fraction(1))
    >>> window.first, window.low[0] / window.most <= 0.36787944117144233 <= window.high[0] / window.least
    (0, True)
    """
    mode = mean.numerator // mean.denominator
    low, high = [1 << _BITS], [1 << _BITS]
    k = mode
    while high[-1] > _NEGLIGIBLE:  # r_(k+1) = r_k m / (k+1)
        k += 1
        low.append(low[-1] * mean.numerator // (mean.denominator * k))
        high.append(-(-high[-1] * mean.numerator // (mean.denominator * k)))
    # Beyond the window each ratio is at most m / (k+1) times the one before.
    after = _ceiling(high[-1] * mean / (k + 1 - mean))
    down_low, down_high = [1 << _BITS], [1 << _BITS]
    k = mode
    while k > 0 and down_high[-1] > _NEGLIGIBLE:  # r_(k-1) = r_k k / m
        down_low.append(down_low[-1] * k * mean.denominator // mean.numerator)
        down_high.append(-(-down_high[-1] * k * mean.denominator // mean.numerator))
        k -= 1
    before = _ceiling(down_high[-1] * k / (mean - k)) if k > 0 else 0
    return Window(k, down_low[:0:-1] + low, down_high[:0:-1] + high, before, after)


def _ceiling(number: Fraction) -> int:
    return -(-number.numerator // number.denominator)

"""An interval that contains a quantity of a chain, proved in exact arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf, isfinite, nextafter

from lumpability.certificate.bounds.certificate import BoundCertificate
from lumpability.certificate.bounds.decimals import decimals
from lumpability.certificate.bounds.proofs import HULL

_BITS, _BITS_OF_WIDTH = 60, 7


@dataclass(frozen=True)
class Interval:
    """A closed interval with rational ends, both proved, and an estimate inside that is not proved.

    Attributes
    ----------
    lower, upper : Fraction
        The quantity lies between them.
    estimate : float
        The value for the nominal quotient or the middle of the interval.
    question : str
        What lies in the interval.
    evidence : BoundCertificate

    Examples
    --------
    >>> from lumpability import CTMC
    >>> from lumpability.markov.approximate.bounds import bounds
    >>> rates = {("a", "c"): 1, ("b", "c"): "11/10", ("c", "a"): 1, ("c", "b"): 1}
    >>> chain = CTMC.from_rates(rates, labels={"up": ["a", "b"]})
    >>> interval = bounds(chain, [{"a", "b"}, {"c"}]).stationary("up")
    >>> 0 < interval.upper - interval.lower < 0.022
    True
    >>> print(interval)
    stationary up in [0.6451612, 0.6666667], proved
    """

    lower: Fraction
    upper: Fraction
    estimate: float
    question: str
    evidence: BoundCertificate

    @property
    def width(self) -> Fraction:
        """The difference of the ends.

        Examples
        --------
        >>> from lumpability import DTMC
        >>> from lumpability.markov.approximate.bounds import bounds
        >>> bounds(DTMC([[0, 1], [1, 0]]), [0, 1]).stationary([1, 3]).width
        Fraction(0, 1)
        """
        return self.upper - self.lower

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float | Fraction) and self.lower <= value <= self.upper

    @property
    def holds_in_hull(self) -> bool:
        """Whether the interval also holds for every other chain whose block sums lie in the same hull.

        Examples
        --------
        >>> from lumpability import DTMC
        >>> from lumpability.markov.approximate.bounds import bounds
        >>> chain = DTMC([[0, 1], [1, 0]], initial=0)
        >>> bounds(chain, [0, 1]).transient(3, of=[1, 0], over="hull").holds_in_hull
        True
        """
        return self.evidence.over == HULL

    def certify(self) -> BoundCertificate:
        """Return the certificate, with which others can check the interval without trusting any solver.

        Examples
        --------
        >>> from lumpability import DTMC
        >>> from lumpability.markov.approximate.bounds import bounds
        >>> chain = DTMC([[0, 1], [1, 0]])
        >>> bool(bounds(chain, [0, 1]).stationary([1, 3]).certify().verify(chain))
        True
        """
        return self.evidence

    def __str__(self) -> str:
        return f"{self.question} in {decimals(self.lower, self.upper)}, proved"

    def __repr__(self) -> str:
        return f"Interval({self})"


def outward(value: Fraction, *, up: bool, width: Fraction = Fraction(0)) -> Fraction:
    """Return a bound that is no better, with at most 60 significant bits; short fractions stay as they are.

    - width: that of the interval, of which its ends keep two digits

    >>> outward(Fraction(1, 3), up=True), outward(Fraction(1, 3**50), up=False) <= Fraction(1, 3**50)
    (Fraction(1, 3), True)
    """
    above, below = value.numerator, value.denominator
    bits = _BITS
    if width:
        bits = max(bits, int(abs(value) / width).bit_length() + _BITS_OF_WIDTH)
    if below.bit_length() <= bits:
        return value
    shift = bits - (abs(above).bit_length() - below.bit_length())
    scaled = Fraction(above) * Fraction(2) ** shift / below
    whole = (
        -(-scaled.numerator // scaled.denominator) if up else scaled.numerator // scaled.denominator
    )
    return Fraction(whole) / Fraction(2) ** shift


def float_inside(lower: Fraction, upper: Fraction, estimate: float) -> float:
    """Return the estimate if it lies in an interval, else the middle or a float near an end; none may lie inside.

    >>> float_inside(Fraction(1, 3), Fraction(1, 2), float("nan"))
    0.4166666666666667
    >>> float_inside(Fraction(0), Fraction(1, 3), 0.5) < Fraction(1, 3)
    True
    """
    middle, low, high = (_nearest(value) for value in ((lower + upper) / 2, lower, upper))
    ends = (high, nextafter(high, -inf)) if estimate > middle else (low, nextafter(low, inf))
    near = (estimate, *ends, middle) if isfinite(estimate) else (middle,)
    return next((value for value in near if lower <= value <= upper), middle)


def _nearest(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf

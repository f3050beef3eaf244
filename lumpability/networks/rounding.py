"""What storing the quotient's weights changes: exact numbers that the stored type cannot hold."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Rounding"]


@dataclass(frozen=True)
class Rounding:
    """Which new weights the stored type cannot hold.

    Attributes
    ----------
    weights : int
        Weights of the quotient.
    rounded : int
        Those that had to be rounded.
    largest : Fraction
        Largest absolute change.

    Examples
    --------
    >>> print(Rounding(10) + Rounding(6, 1, Fraction(1, 8)))
    1 of 16 weights of the quotient were rounded, by at most 0.125
    """

    weights: int = 0
    rounded: int = 0
    largest: Fraction = Fraction(0)

    def __add__(self, other: Rounding) -> Rounding:
        return Rounding(
            self.weights + other.weights,
            self.rounded + other.rounded,
            max(self.largest, other.largest),
        )

    def __str__(self) -> str:
        if not self.rounded:
            return f"all {self.weights} weights of the quotient are exact"
        return (
            f"{self.rounded} of {self.weights} weights of the quotient were rounded, by at most "
            f"{float(self.largest):.3g}"
        )

"""The witness that a partition is not stable: two states of one block with different sums."""

from __future__ import annotations

from dataclasses import dataclass

from lumpability.numbers.exact_array import Exact
from lumpability.numbers.rationals import shown

__all__ = ["Witness"]


@dataclass(frozen=True)
class Witness:
    """Two states of one block with different sums of weights into the same block.

    Attributes
    ----------
    state, other : int
        The two states, which share a block.
    block : int
        The block into which (or, for `direction` "in", from which) the sums are taken.
    total, other_total : Exact
        The two sums.
    direction : {"out", "in"}

    Examples
    --------
    >>> from fractions import Fraction
    >>> print(Witness(0, 2, 1, Fraction(3, 2), Fraction(1)))
    states 0 and 2: 3/2 against 1 into block 1
    """

    state: int
    other: int
    block: int
    total: Exact
    other_total: Exact
    direction: str = "out"

    def __str__(self) -> str:
        way = "into" if self.direction == "out" else "from"
        return (
            f"states {self.state} and {self.other}: {shown(self.total)} against {shown(self.other_total)} "
            f"{way} block {self.block}"
        )

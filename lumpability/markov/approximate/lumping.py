"""The approximate lumping of a chain: a partition within a tolerance, and what is known about its error."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import ClassVar

from lumpability.markov.approximate.bounds import Bounds, bounds
from lumpability.markov.approximate.hull import Hull, hull
from lumpability.markov.approximate.residual import Residual, residual_in
from lumpability.markov.approximate.tolerance import in_percent
from lumpability.markov.blocks import Blocked
from lumpability.markov.chains import MarkovChain
from lumpability.partition import Partition
from lumpability.quotient import Stats


@dataclass(frozen=True, eq=False, repr=False)
class ApproximateLumping(Blocked):
    """A partition of a chain into blocks whose states have nearly equal sums of rates, and its quotients.

    Attributes
    ----------
    chain : CTMC or DTMC
    partition : Partition
        Block numbers are the states of the quotient, in order.
    tolerance : Fraction
        The relative tolerance that was asked for.
    quotient : CTMC or DTMC
        The nominal quotient: plain means over the members of blocks.  It estimates; `interval` bounds.
    respected : Partition
        The initial partition: states in different blocks of it may not share a block.
    absolute : Fraction
        Sums that differ by no more than this count as near, whatever the relative tolerance.
    reward_tolerance : Fraction
        The relative tolerance for rewards inside a block.
    dropped : tuple of str
        Labels and rewards that the quotient lacks because they are not constant on blocks.
    seconds : float
        Time for everything from the chain to the nominal quotient.

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> rates = {("a", "c"): 100, ("b", "c"): 101, ("c", "a"): 2, ("c", "b"): 2}
    >>> small = lump(CTMC.from_rates(rates, labels={"goal": ["c"]}), tolerance="1%")
    >>> small
    ApproximateLumping(3 states -> 2 blocks, tolerance 1%, residual 0.99%)
    >>> small.quotient.matrix.row(0), small.interval.row(0)
    ([(1, Fraction(201, 2))], [(1, Fraction(100, 1), Fraction(101, 1))])
    """

    kind: ClassVar[str] = "approximate"

    chain: MarkovChain
    partition: Partition
    tolerance: Fraction
    quotient: MarkovChain
    respected: Partition
    absolute: Fraction = Fraction(0)
    reward_tolerance: Fraction = Fraction(0)
    dropped: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def stats(self) -> Stats:
        """Sizes and time, as every lumping has them; in place of a proof the residual.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> stats = lump(DTMC([[0, 1], [1, 0]], labels={"a": [0]}), tolerance="1%").stats
        >>> stats.states, stats.blocks, stats.proof
        (2, 2, 'sums spread by at most 0%')
        """
        return Stats(
            self.chain.n,
            self.chain.matrix.m,
            len(self.partition),
            self.quotient.matrix.m,
            len(self.respected),
            "gaps",
            self.seconds,
            f"sums spread by at most {in_percent(self.residual.relative)}",
            self.dropped,
        )

    @cached_property
    def residual(self) -> Residual:
        """How far sums spread inside blocks, in exact arithmetic, with the states where they do.

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> rates = {("a", "c"): 100, ("b", "c"): 101, ("c", "a"): 2, ("c", "b"): 2}
        >>> small = lump(CTMC.from_rates(rates, labels={"goal": ["c"]}), tolerance="1%")
        >>> small.residual.relative, small.residual.absolute
        (Fraction(1, 101), Fraction(1, 1))
        """
        return residual_in(self.chain, self.partition, self.interval)

    @cached_property
    def interval(self) -> Hull:
        """The least and largest sums of rates from members of a block into another block, in exact arithmetic.

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> rates = {("a", "c"): 100, ("b", "c"): 101, ("c", "a"): 2, ("c", "b"): 2}
        >>> small = lump(CTMC.from_rates(rates, labels={"goal": ["c"]}), tolerance="1%")
        >>> small.interval
        Hull(2 blocks, 2 intervals)
        """
        return hull(self.chain, self.partition)

    @cached_property
    def bounds(self) -> Bounds:
        """Questions about the chain, answered by proved intervals.

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> rates = {("a", "c"): 100, ("b", "c"): 101, ("c", "a"): 2, ("c", "b"): 2}
        >>> small = lump(CTMC.from_rates(rates, labels={"goal": ["c"]}), tolerance="1%")
        >>> print(small.bounds.stationary("goal"))
        stationary goal in [0.96153846, 0.96190477], proved
        """
        return bounds(self.chain, self.partition)

    def __repr__(self) -> str:
        relative = float(100 * self.residual.relative)
        return (
            f"ApproximateLumping({self.chain.n} states -> {len(self.partition)} blocks, tolerance "
            f"{float(100 * self.tolerance):.3g}%, residual {relative:.2g}%)"
        )

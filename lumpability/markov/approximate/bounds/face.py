"""Intervals that contain what is asked about a chain, from a partition of its states.

Any partition will do.  The closer it is to a lumping, the narrower the intervals; for a lumping their width
is zero, or the rounding to 2^-64 of questions about a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.certificate.bounds.claims import BoundCertificate
from lumpability.certificate.bounds.proofs import Evidence
from lumpability.certificate.bounds.question import Asked
from lumpability.certificate.digest import ChainParts, Digest
from lumpability.errors import InvalidInput
from lumpability.markov.approximate.bounds.ends import Ends, Progress, Task
from lumpability.markov.approximate.bounds.interval import Interval, outward
from lumpability.markov.approximate.bounds.questions import Question, TimeBounded, Transient
from lumpability.markov.approximate.bounds.timed import estimates_at, evolution, timed_ends
from lumpability.markov.chains import MarkovChain
from lumpability.partition import Partition
from lumpability.version import __version__

__all__ = ["Bounds", "bounds"]


def bounds(chain: MarkovChain, partition: Any) -> Bounds:
    """Return an object that answers questions about a chain with proved intervals.

    Parameters
    ----------
    chain : CTMC or DTMC
        Without parameters.
    partition : partition
        Anything that `Partition.of` takes, of the states.

    Raises
    ------
    InvalidInput
        If the chain is empty or has parameters.
    InvalidPartition
        If the partition does not fit the chain.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> rates = {("a", "c"): 1, ("b", "c"): "11/10", ("c", "a"): 1, ("c", "b"): 1}
    >>> chain = CTMC.from_rates(rates, labels={"up": ["a", "b"]}, initial="a")
    >>> print(bounds(chain, [{"a", "b"}, {"c"}]).transient(1, of="up"))
    up at time 1 in [0.6611464, 0.6832624], proved
    """
    if not chain.n or not chain.is_rational:
        what = "has parameters: substitute numbers first" if chain.n else "is empty"
        raise InvalidInput(f"intervals are for chains of numbers, and this one {what}")
    return Bounds(chain, Partition.of(partition, states=chain.states))


@dataclass(frozen=True, eq=False, repr=False)
class Bounds:
    """Questions about a chain, answered by proved intervals; `bounds` makes it.

    Attributes
    ----------
    chain : CTMC or DTMC
    partition : Partition
    """

    chain: MarkovChain
    partition: Partition

    def transient(
        self, times: Any, *, of: Any, initial: Any = None, progress: Any = None
    ) -> Any:
        """Bound the expectation of a label or reward at a time, or at each of several times.

        Parameters
        ----------
        times : number, or sequence of numbers
            Not negative; numbers of steps for a DTMC.  Several are answered in one pass.
        of : str or array
            A label (its probability), a reward (what it earns per unit of time, or step), or numbers of the states.
        initial : state, mapping or array, optional
            The chain's own initial distribution by default; without one the interval holds from every state.
        progress : callable, optional
            Called with (steps done, steps in all); an exception from it stops the computation.

        Returns
        -------
        Interval, or a list of them in the order of the times

        Raises
        ------
        InvalidInput
            If there is no such label, reward, state or time.
        SizeLimit
            If more than 10^10 steps would be needed.

        Notes
        -----
        O(m) for the hull, and then at most about 2 L t + 22 sqrt(2 L t) steps on it, where L is its outflow.

        Examples
        --------
        >>> from lumpability import DTMC
        >>> chain = DTMC([[0, "1/2", "1/2"], [1, 0, 0], ["9/10", "1/10", 0]], initial=0)
        >>> [str(interval) for interval in bounds(chain, [0, 1, 1]).transient([1, 2], of=[1, 0, 0])]
        ['the given numbers at time 1 in [0, 0], proved', 'the given numbers at time 2 in [0.8999999, 1], proved']
        """
        return self._at_times([Transient(of, t, initial=initial) for t in _listed(times)], times, progress)

    def time_bounded(
        self, target: Any, times: Any, *, initial: Any = None, progress: Any = None
    ) -> Any:
        """Bound the probability that a target is reached within a time, or within each of several times.

        Parameters
        ----------
        target : label name, states, boolean array or predicate
        times, initial, progress
            As for `transient`.

        Returns
        -------
        Interval, or a list of them in the order of the times

        Raises
        ------
        InvalidInput
            If there is no such label, state or time.

        Examples
        --------
        >>> from lumpability import DTMC
        >>> chain = DTMC([["1/2", "1/2"], [1, 0]], initial=0)
        >>> bounds(chain, [0, 1]).time_bounded([1], 3).upper
        Fraction(7, 8)
        """
        asked = [TimeBounded(target, t, initial=initial) for t in _listed(times)]
        return self._at_times(asked, times, progress)

    def _at_times(self, questions: Sequence[Question], times: Any, progress: Any) -> Any:
        several = [self._task(question) for question in questions]
        if not several:
            return []
        recursion = evolution(max(several, key=lambda task: task.asked.time or 0))
        at = [task.asked.time or Fraction(0) for task in several]
        found = timed_ends(recursion, at, progress=progress)
        estimates = estimates_at(several[0], at)
        intervals = [
            self._interval(task.asked, ends, estimate, rate=recursion.rate)
            for task, ends, estimate in zip(several, found, estimates, strict=True)
        ]
        return intervals if _are_several(times) else intervals[0]

    def _task(self, question: Question) -> Task:
        return Task(
            self.chain, ChainParts.of(self.chain), self.partition, question.asked(self.chain)
        )

    def _interval(
        self, asked: Asked, ends: Ends, estimate: float, *, rate: Fraction | None = None
    ) -> Interval:
        """Return the interval of two ends, rounded outward to numbers of moderate length."""
        assert ends.lower is not None
        assert ends.upper is not None
        lower, upper = outward(ends.lower, up=False), outward(ends.upper, up=True)
        if not np.isfinite(estimate):
            estimate = float((lower + upper) / 2)
        certificate = BoundCertificate(
            Digest.of(self.chain),
            asked,
            self.partition,
            rate,
            lower,
            upper,
            ends.below,
            ends.above,
            __version__,
        )
        inside = min(max(estimate, float(lower)), float(upper))
        return Interval(lower, upper, inside, str(asked), certificate)

    def __repr__(self) -> str:
        return f"Bounds({self.chain.n} states, {len(self.partition)} blocks)"


def _are_several(times: Any) -> bool:
    return isinstance(times, Sequence | np.ndarray) and not isinstance(times, str)


def _listed(times: Any) -> list[Any]:
    return list(times) if _are_several(times) else [times]

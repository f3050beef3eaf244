"""Intervals that contain what is asked about a chain, from a partition of its states.

Any partition will do.  The closer it is to a lumping, the narrower the intervals; for a lumping their width
is zero, or the rounding to 2^-64 of questions about a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.markov.approximate.bounds.answering import Over, StepProgress, at_no_time, at_times
from lumpability.markov.approximate.bounds.ends import Progress, Task, View
from lumpability.markov.approximate.bounds.interval import Interval
from lumpability.markov.approximate.bounds.questions import (
    Expected,
    Hitting,
    LongRun,
    Question,
    Stationary,
    TimeBounded,
    Transient,
)
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.foreign import plain
from lumpability.partition import Partition


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

    Examples
    --------
    >>> from lumpability import DTMC
    >>> bounds(DTMC([[0, 1], [1, 0]]), [0, 1])
    Bounds(2 states, 2 blocks)
    """

    chain: MarkovChain
    partition: Partition

    def transient(
        self,
        times: Any,
        *,
        of: Any,
        initial: Any = None,
        over: Over | None = None,
        progress: StepProgress | None = None,
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
        over : {"hull", "members"}, optional
            Over the hull, the interval holds for every chain whose block sums lie between the least and the largest
            of this one: it covers errors of measured rates.  Over the members it is narrower and holds for this
            chain, and mixtures of members.  By default the members, or the hull if they are many.
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
        O(m) for the rows, and then at most about 2 L t + 22 sqrt(2 L t) steps on them, where L is their outflow.

        Examples
        --------
        >>> from lumpability import DTMC
        >>> chain = DTMC([[0, "1/2", "1/2"], [1, 0, 0], ["9/10", "1/10", 0]], initial=0)
        >>> [str(interval) for interval in bounds(chain, [0, 1, 1]).transient([1, 2], of=[1, 0, 0])]
        ['the given numbers at time 1 in [0, 0], proved', 'the given numbers at time 2 in [0.8999999, 1], proved']
        """
        return self._at_times(
            times, lambda time: Transient(of, time, initial=initial), over, progress
        )

    def time_bounded(
        self,
        target: Any,
        times: Any,
        *,
        initial: Any = None,
        over: Over | None = None,
        progress: StepProgress | None = None,
    ) -> Any:
        """Bound the probability that a target is reached within a time, or within each of several times.

        Parameters
        ----------
        target : label name, states, boolean array or predicate
        times, initial, over, progress
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
        return self._at_times(
            times, lambda time: TimeBounded(target, time, initial=initial), over, progress
        )

    def stationary(
        self, of: Any, *, accuracy: Any = None, progress: Progress | None = None
    ) -> Interval:
        """Bound the average of a label or reward under every stationary distribution.

        Parameters
        ----------
        of : str or array
            As for `transient`.
        accuracy : number or str, optional
            The half-width wanted, as a share of the range of what is averaged: 1e-6, "0.1%".  Vectors on states shrink the interval
            as far.  By default only blocks are used.
        progress : callable, optional
            Called with (half-width, half-width wanted) during the search; an exception from it stops the search, and
            an interrupt from the keyboard keeps the best interval.

        Returns
        -------
        Interval

        Raises
        ------
        InvalidInput
            If there is no such label, reward or state.
        NoConvergence
            If the accuracy is not reached; carries ``lower`` and ``upper``, the best ends.

        Notes
        -----
        A few systems with k unknowns on k blocks, or some Krylov steps on the chain; the proof is one pass.  With several
        recurrent classes the interval is as wide as their averages differ; see `long_run`.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> chain = CTMC([[0, 0, 1], [0, 0, "11/10"], [1, 1, 0]], labels={"up": [0, 1]})
        >>> print(bounds(chain, [0, 0, 1]).stationary("up"))
        stationary up in [0.6451612, 0.6666667], proved
        >>> narrow = bounds(chain, [0, 0, 1]).stationary("up", accuracy=1e-9)
        >>> 0.65625 in narrow, narrow.width <= 2e-9
        (True, True)
        """
        return self.answer(Stationary(of), accuracy=accuracy, progress=progress)

    def long_run(
        self,
        of: Any,
        *,
        initial: Any = None,
        accuracy: Any = None,
        progress: Progress | None = None,
    ) -> Interval:
        """Bound the long-run average of a label or reward, class by class if there are several recurrent ones.

        Parameters
        ----------
        of, initial
            As for `transient`.
        accuracy, progress
            As for `stationary`, in each class.

        Raises
        ------
        InvalidInput, NoConvergence
            As `stationary`.

        Examples
        --------
        >>> from lumpability import DTMC
        >>> chain = DTMC([[0, "1/4", "3/4"], [0, 1, 0], [0, 0, 1]], initial=0)
        >>> print(bounds(chain, [0, 1, 2]).long_run([0, 0, 1]))
        long-run average of the given numbers in [0.75, 0.75], proved
        """
        return self.answer(LongRun(of, initial=initial), accuracy=accuracy, progress=progress)

    def hitting(
        self,
        target: Any,
        *,
        initial: Any = None,
        accuracy: Any = None,
        progress: Progress | None = None,
    ) -> Interval:
        """Bound the probability that a target is ever reached.

        Parameters
        ----------
        target : label name, states, boolean array or predicate
        initial
            As for `transient`.
        accuracy, progress
            As for `stationary`; the half-width is that of a probability.

        Raises
        ------
        InvalidInput, NoConvergence
            As `stationary`.

        Examples
        --------
        >>> from lumpability import DTMC
        >>> rows = [[0, 0, "1/2", "1/2"], [0, 0, "3/5", "2/5"], [0, 0, 1, 0], [0, 0, 0, 1]]
        >>> print(bounds(DTMC(rows, initial=0), [0, 0, 1, 2]).hitting([2]))
        the given states ever reached in [0.4999999, 0.6000001], proved
        """
        return self.answer(Hitting(target, initial=initial), accuracy=accuracy, progress=progress)

    def expected(
        self,
        of: Any = None,
        *,
        until: Any,
        initial: Any = None,
        accuracy: Any = None,
        progress: Progress | None = None,
    ) -> Interval:
        """Bound the expectation of what is earned before a target is reached; by default of the time.

        Parameters
        ----------
        of : str or array, optional
            As for `transient`, not negative; one per unit of time, or step, by default.
        until : label name, states, boolean array or predicate
        initial
            As for `transient`.
        accuracy, progress
            As for `stationary`; the half-width is relative to the upper end.

        Raises
        ------
        NoFiniteBound
            If the expectation is infinite from some state, or no finite bound follows from the blocks alone; carries
            ``state`` and ``lower``.
        InvalidInput, NoConvergence
            As `stationary`; the former also for a negative reward.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> chain = CTMC([[0, 0, 1], [0, 0, "11/10"], [0, 0, 0]], initial=0)
        >>> print(bounds(chain, [0, 0, 1]).expected(until=[2]))
        expected time until the given states in [0.9090909, 1.000001], proved
        """
        return self.answer(
            Expected(of, until=until, initial=initial), accuracy=accuracy, progress=progress
        )

    def answer(
        self,
        question: Question,
        *,
        accuracy: Any = None,
        over: Over | None = None,
        progress: Any = None,
    ) -> Interval:
        """Answer a question that is given as a value.

        Parameters
        ----------
        question : Transient, TimeBounded, Stationary, LongRun, Hitting or Expected
        accuracy : number or str, optional
            As for `stationary`; not for questions about a time.
        over : {"hull", "members"}, optional
            As for `transient`; only for questions about a time.
        progress : callable, optional
            As for the method of the question.

        Raises
        ------
        InvalidInput
            For an option that the question does not have, and as the method of the question.

        Examples
        --------
        >>> from lumpability import DTMC
        >>> print(bounds(DTMC([[0, 1], [1, 0]]), [0, 1]).answer(Stationary([1, 3])))
        stationary the given numbers in [2, 2], proved
        """
        task = self.task(question)
        if task.asked.time is not None:
            if accuracy is not None:
                raise InvalidInput(
                    "an accuracy is not for questions about a time: lump(chain, error=..., question=...) finds "
                    "the blocks that they need"
                )
            return at_times([task], over, progress)[0]
        if over is not None:
            raise InvalidInput(f"over={over!r} is for questions about a time")
        return at_no_time(task, accuracy, progress)

    def _at_times(
        self,
        times: Any,
        question: Callable[[Any], Question],
        over: Over | None,
        progress: StepProgress | None,
    ) -> Any:
        listed, several = _listed(times)
        found = at_times([self.task(question(time)) for time in listed], over, progress)
        return found if several else found[0]

    def task(self, question: Question) -> Task:
        """Return a question with what a search for its answer needs."""
        return Task(self._view, question.asked(self.chain))

    @cached_property
    def _view(self) -> View:
        return View(self.chain, self.partition)

    def __repr__(self) -> str:
        return f"Bounds({self.chain.n} states, {len(self.partition)} blocks)"


def _listed(times: Any) -> tuple[list[Any], bool]:
    """Return times as a list, and whether a sequence or an array of them was given."""
    given = plain(times)
    if isinstance(given, np.ndarray):
        return (list(given), True) if given.ndim else ([given.item()], False)
    several = isinstance(given, Sequence) and not isinstance(given, str | bytes)
    return (list(given), True) if several else ([given], False)

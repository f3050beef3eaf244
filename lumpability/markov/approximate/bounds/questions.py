"""Questions about a chain, as values: what `lump(chain, error=..., question=...)` refines for.

Each is turned into the form that certificates state, `lumpability.certificate.bounds.question.Asked`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.certificate.bounds.question import Asked
from lumpability.errors import InvalidChain, InvalidInput
from lumpability.markov.approximate.tolerance import read_time
from lumpability.markov.attributes import read_vector
from lumpability.markov.chains import MarkovChain
from lumpability.markov.solve.vectors import initial_of, target_of
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.rationals import DEFAULT_TOLERANCE

Target = str | np.ndarray[Any, np.dtype[np.bool_]]


class Question(ABC):
    """The base of all questions.

    Examples
    --------
    >>> isinstance(Stationary("up"), Question)
    True
    """

    @abstractmethod
    def asked(self, chain: MarkovChain) -> Asked:
        """Return the question in the terms of a chain.

        Raises `InvalidInput` if the chain has no such label, reward or state.
        """


@dataclass(frozen=True)
class _FromStart(Question):
    """A question whose answer depends on the start.

    Attributes
    ----------
    initial : state, mapping or array, optional
        The chain's own initial distribution by default; without one, the answer holds from every state.
    """

    initial: Any = field(default=None, kw_only=True)

    def _start(self, chain: MarkovChain) -> ExactArray | None:
        if self.initial is None and chain.initial is None:
            return None
        return initial_of(chain, self.initial)


@dataclass(frozen=True)
class Transient(_FromStart):
    """The expectation of a label or reward at a time.

    Attributes
    ----------
    of : str or array
        A label (its probability), a reward (what it earns per unit of time or step), or numbers of the states.
    time : number
    initial : state, mapping or array, optional
        The chain's own initial distribution by default; without one, the answer holds from every state.

    Examples
    --------
    >>> from lumpability import DTMC
    >>> print(Transient("on", 5).asked(DTMC([[0, 1], [1, 0]], labels={"on": [0]})))
    on at time 5
    """

    of: Any
    time: Any

    def asked(self, chain: MarkovChain) -> Asked:
        of, time = _of(chain, self.of), _time(chain, self.time)
        return Asked("transient", of, time=time, start=self._start(chain))


@dataclass(frozen=True)
class TimeBounded(_FromStart):
    """The probability that a target is reached within a time.

    Attributes
    ----------
    target : label name, states, boolean array or predicate
    time : number
    initial : state, mapping or array, optional
        As for `Transient`.

    Examples
    --------
    >>> from lumpability import DTMC
    >>> print(TimeBounded([0], 5).asked(DTMC([[0, 1], [1, 0]])))
    the given states reached within time 5
    """

    target: Any
    time: Any

    def asked(self, chain: MarkovChain) -> Asked:
        target, time = _target(chain, self.target), _time(chain, self.time)
        return Asked("time_bounded", target=target, time=time, start=self._start(chain))


@dataclass(frozen=True)
class Stationary(Question):
    """The average of a label or reward under every stationary distribution; `of` as for `Transient`.

    Examples
    --------
    >>> from lumpability import DTMC
    >>> print(Stationary([1, 2]).asked(DTMC([[0, 1], [1, 0]])))
    stationary the given numbers
    """

    of: Any

    def asked(self, chain: MarkovChain) -> Asked:
        return Asked("stationary", _of(chain, self.of))


@dataclass(frozen=True)
class LongRun(_FromStart):
    """The long-run average of a label or reward from the start; `of` and `initial` as for `Transient`.

    Examples
    --------
    >>> from lumpability import DTMC
    >>> print(LongRun("on").asked(DTMC([[0, 1], [1, 0]], labels={"on": [0]})))
    long-run average of on
    """

    of: Any

    def asked(self, chain: MarkovChain) -> Asked:
        return Asked("long_run", _of(chain, self.of), start=self._start(chain))


@dataclass(frozen=True)
class Hitting(_FromStart):
    """The probability that a target is ever reached; `target` and `initial` as for `TimeBounded`.

    Examples
    --------
    >>> from lumpability import DTMC
    >>> print(Hitting("on").asked(DTMC([[0, 1], [1, 0]], labels={"on": [0]})))
    on ever reached
    """

    target: Any

    def asked(self, chain: MarkovChain) -> Asked:
        return Asked("hitting", target=_target(chain, self.target), start=self._start(chain))


@dataclass(frozen=True)
class Expected(_FromStart):
    """The expectation of what is earned before a target is reached; `of` must not be negative.

    Attributes
    ----------
    of : str or array, optional
        As for `Transient`; one per unit of time by default, so that the answer is a time.
    until : label name, states, boolean array or predicate
    initial : state, mapping or array, optional
        As for `Transient`.

    Examples
    --------
    >>> from lumpability import DTMC
    >>> print(Expected(until="on").asked(DTMC([[0, 1], [1, 0]], labels={"on": [0]})))
    expected time until on
    """

    of: Any = None
    until: Any = field(kw_only=True)

    def asked(self, chain: MarkovChain) -> Asked:
        of: Any = ExactArray.constant(Fraction(1), chain.n)
        if self.of is not None:
            of = _of(chain, self.of)
        return Asked("expected", of, _target(chain, self.until), start=self._start(chain))


def _of(chain: MarkovChain, of: Any) -> str | ExactArray:
    if not isinstance(of, str):
        numbers = read_vector("of", of, chain.states, DEFAULT_TOLERANCE)[0]
        if not numbers.is_rational:
            raise InvalidInput("the numbers to average hold parameters: substitute numbers first")
        return numbers
    sort, _, name = of.partition(":")
    if of in chain.labels or (sort == "label" and name in chain.labels):
        return f"label:{of if of in chain.labels else name}"
    if of in chain.rewards or (sort == "reward" and name in chain.rewards):
        return f"reward:{of if of in chain.rewards else name}"
    known = ", ".join([*chain.labels, *chain.rewards]) or "neither labels nor rewards"
    raise InvalidChain(f"there is no label or reward {of!r}; the chain has {known}", of=of)


def _target(chain: MarkovChain, target: Any) -> Target:
    if isinstance(target, str):
        name = target.removeprefix("label:")
        target = name if target not in chain.labels else target
    mask = target_of(chain, target)
    return f"label:{target}" if isinstance(target, str) and target in chain.labels else mask


def _time(chain: MarkovChain, time: Any) -> Fraction:
    number = read_time(time)
    if chain.time == "discrete" and number.denominator != 1:
        raise InvalidInput(f"a DTMC makes whole numbers of steps, not {time}", time=time)
    return number

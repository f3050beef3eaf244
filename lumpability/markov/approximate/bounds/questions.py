"""Questions about a chain, as values: what `lump(chain, error=..., question=...)` refines for.

Each is turned into the form that certificates state, `lumpability.certificate.bounds.question.Asked`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.certificate.bounds.question import Asked
from lumpability.errors import InvalidChain, InvalidInput
from lumpability.markov.attributes import read_vector
from lumpability.markov.chains import MarkovChain
from lumpability.markov.solve.vectors import initial_of, target_of
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.rationals import DEFAULT_TOLERANCE, read_number

__all__ = ["Expected", "Hitting", "LongRun", "Question", "Stationary", "TimeBounded", "Transient"]

Target = str | np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Question:
    """The base of all questions.

    Attributes
    ----------
    initial : state, mapping or array, optional
        The chain's own initial distribution by default; without one, the answer holds from every state.
    """

    initial: Any = None

    def asked(self, chain: MarkovChain) -> Asked:
        """Return the question in the terms of a chain.

        Raises `InvalidInput` if the chain has no such label, reward or state.
        """
        raise NotImplementedError

    def _start(self, chain: MarkovChain) -> ExactArray | None:
        if self.initial is None and chain.initial is None:
            return None
        return initial_of(chain, self.initial)


@dataclass(frozen=True)
class Transient(Question):
    """The expectation of a label or reward at a time.

    Attributes
    ----------
    of : str or array
        A label (its probability), a reward (what it earns per unit of time or step), or numbers of the states.
    time : number

    Examples
    --------
    >>> from lumpability import DTMC
    >>> print(Transient("on", 5).asked(DTMC([[0, 1], [1, 0]], labels={"on": [0]})))
    on at time 5
    """

    of: Any = None
    time: Any = None

    def __init__(self, of: Any, time: Any, *, initial: Any = None) -> None:
        _set(self, of=of, time=time, initial=initial)

    def asked(self, chain: MarkovChain) -> Asked:
        return Asked(
            "transient", _of(chain, self.of), None, _time(chain, self.time), self._start(chain)
        )


@dataclass(frozen=True)
class TimeBounded(Question):
    """The probability that a target is reached within a time.

    Attributes
    ----------
    target : label name, states, boolean array or predicate
    time : number
    """

    target: Any = None
    time: Any = None

    def __init__(self, target: Any, time: Any, *, initial: Any = None) -> None:
        _set(self, target=target, time=time, initial=initial)

    def asked(self, chain: MarkovChain) -> Asked:
        target = _target(chain, self.target)
        return Asked("time_bounded", None, target, _time(chain, self.time), self._start(chain))


@dataclass(frozen=True)
class Stationary(Question):
    """The average of a label or reward under every stationary distribution; `of` as for `Transient`."""

    of: Any = None

    def __init__(self, of: Any) -> None:
        _set(self, of=of, initial=None)

    def asked(self, chain: MarkovChain) -> Asked:
        return Asked("stationary", _of(chain, self.of))


@dataclass(frozen=True)
class LongRun(Question):
    """The long-run average of a label or reward from the start; `of` as for `Transient`."""

    of: Any = None

    def __init__(self, of: Any, *, initial: Any = None) -> None:
        _set(self, of=of, initial=initial)

    def asked(self, chain: MarkovChain) -> Asked:
        return Asked("long_run", _of(chain, self.of), start=self._start(chain))


@dataclass(frozen=True)
class Hitting(Question):
    """The probability that a target is ever reached; `target` as for `TimeBounded`."""

    target: Any = None

    def __init__(self, target: Any, *, initial: Any = None) -> None:
        _set(self, target=target, initial=initial)

    def asked(self, chain: MarkovChain) -> Asked:
        return Asked("hitting", target=_target(chain, self.target), start=self._start(chain))


@dataclass(frozen=True)
class Expected(Question):
    """The expectation of what is earned before a target is reached; `of` must not be negative.

    Attributes
    ----------
    of : str or array, optional
        As for `Transient`; one per unit of time by default, so that the answer is a time.
    until : label name, states, boolean array or predicate
    """

    of: Any = None
    until: Any = None

    def __init__(self, of: Any = None, *, until: Any, initial: Any = None) -> None:
        _set(self, of=of, until=until, initial=initial)

    def asked(self, chain: MarkovChain) -> Asked:
        of: Any = ExactArray.constant(Fraction(1), chain.n)
        if self.of is not None:
            of = _of(chain, self.of)
        return Asked("expected", of, _target(chain, self.until), start=self._start(chain))


def _set(question: Question, **fields: Any) -> None:
    for name, value in fields.items():
        object.__setattr__(question, name, value)


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
    number = read_number(time)
    if number < 0:
        raise InvalidInput(f"the time must not be negative, as {time} is", time=time)
    if chain.time == "discrete" and number.denominator != 1:
        raise InvalidInput(f"a DTMC makes whole numbers of steps, not {time}", time=time)
    return number

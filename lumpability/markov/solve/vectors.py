"""Reading the arguments of solvers: initial distributions, targets, times."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from lumpability.errors import InvalidChain, InvalidInput, InvalidValue, NotUnique
from lumpability.markov.attributes import read_initial, read_labels
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.rationals import DEFAULT_TOLERANCE, read_number, shown
from lumpability.vocabulary import did_you_mean


def initial_of(chain: MarkovChain, initial: Any = None) -> ExactArray:
    """Return the given initial distribution, or else the chain's own.

    Raises `NotUnique` if there is neither.
    """
    start = chain.initial
    if initial is not None:
        start, _ = read_initial(initial, chain.states, DEFAULT_TOLERANCE)
    if start is None:
        raise NotUnique("the chain has no initial distribution: give initial=...")
    return start


def refuse_tiny(numbers: ExactArray) -> None:
    """Raise `InvalidValue` if a number is below the range of floats, where it would have no digits."""
    least = min((abs(x) for x in numbers.values if x != 0), default=1)
    if least < sys.float_info.min:
        raise InvalidValue(
            f"{shown(least)} is too small for floating point: use method='exact', or another unit of time",
            value=least,
        )


def read_time(time: Any) -> Any:
    """Return a time: a number as it is, a text as the rational that it says.

    Raises `InvalidInput` if it is no number, negative, or beyond the range of floats.

    >>> read_time("1/2"), read_time(0.5)
    (Fraction(1, 2), 0.5)
    """
    try:
        number = read_number(time) if isinstance(time, str) else time
        if math.isfinite(number) and number >= 0:
            return number
    except (InvalidValue, TypeError, OverflowError):
        pass
    raise InvalidInput(f"the time must be finite and not negative, not {shown(time)}", time=time)


def target_of(
    chain: MarkovChain, target: Any, what: str = "target"
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return a set of states as a mask: a label's name, states, a mask or a predicate.

    Raises `InvalidChain` for an unknown state, or a target without states.
    """
    if isinstance(target, str) and target in chain.labels:
        mask = chain.labels[target]
    elif isinstance(target, str) and target not in chain.states:
        meant = did_you_mean(target, [*chain.labels, *chain.states])
        raise InvalidChain(
            f"there is no label or state {target!r}: {meant or 'the labels are '}"
            f"{'' if meant else ', '.join(chain.labels) or 'none'}",
            target=target,
        )
    else:
        mask = read_labels({what: target}, chain.states)[what]
    if what == "target" and not mask.any():
        if isinstance(target, str) and target in chain.labels:
            raise InvalidChain(
                f"no state carries the label {target!r}, so it is never reached", target=target
            )
        raise InvalidChain("the target is empty: name at least one state")
    return mask

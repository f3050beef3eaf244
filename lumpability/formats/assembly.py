"""What every chain format shares: initial states, assembling a chain, and what a format cannot hold.

Files mark initial states with the label ``init``; the library keeps an initial distribution instead.
Marks become the uniform distribution over the marked states (one state: probability 1).  On the way
out the states of positive probability are marked; a distribution that is not uniform over them is
more than marks can say, and a `LossyWrite` warning says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError
from lumpability.exact_array import ExactArray
from lumpability.markov.attributes import Mask, Reward
from lumpability.markov.chains import CTMC, DTMC, MarkovChain
from lumpability.rationals import Reading
from lumpability.structure import WeightedStructure

__all__ = [
    "INITIAL",
    "LossyWrite",
    "assemble",
    "chain_class",
    "initial_marks",
    "uniform_over",
    "warn_of_loss",
]

INITIAL = "init"
"""The label that marks initial states in files."""


class LossyWrite(UserWarning):
    """The file written holds less than the model: the message says what is missing."""


def warn_of_loss(path: str | Path, message: str) -> None:
    """Warn that a file cannot hold all of a model."""
    warnings.warn(f"{path}: {message}", LossyWrite, stacklevel=2)


def chain_class(name: str) -> type[MarkovChain] | None:
    """Return the class for "CTMC" or "DTMC" in any case; None for any other model type."""
    classes: dict[str, type[MarkovChain]] = {"CTMC": CTMC, "DTMC": DTMC}
    return classes.get(name.strip().upper())


def uniform_over(marks: Mask) -> ExactArray | None:
    """Return the uniform distribution over the marked states; None if none is marked.

    Examples
    --------
    >>> uniform_over(np.array([True, False, True]))
    ExactArray([1/2, 0, 1/2])
    """
    count = int(np.count_nonzero(marks))
    if count == 0:
        return None
    return ExactArray.of_values(marks.astype(np.uint8), [Fraction(0), Fraction(1, count)])


def initial_marks(chain: MarkovChain, path: str | Path) -> Mask | None:
    """Return which states to mark as initial; None if the chain has no initial distribution.

    Raises
    ------
    FormatError
        If the chain has a label ``init`` of its own.

    Warns
    -----
    LossyWrite
        If the initial distribution is not uniform over the marked states.
    """
    if INITIAL in chain.labels:
        raise FormatError(
            f"the label {INITIAL!r} marks the initial states in this format: rename the chain's own "
            "label of that name, or write JSON",
            path=path,
            label=INITIAL,
        )
    if chain.initial is None:
        return None
    positive = np.array([value != 0 for value in chain.initial.values], dtype=bool)
    marks: Mask = positive[chain.initial.codes]
    expected = uniform_over(marks)
    if expected is None or not expected.equals(chain.initial):
        warn_of_loss(
            path,
            f"the format marks {int(marks.sum())} initial states but cannot hold their probabilities, "
            "which will be read back as equal",
        )
    return marks


def assemble(
    kind: type[MarkovChain],
    structure: WeightedStructure,
    *,
    labels: Mapping[str, Mask],
    rewards: Mapping[str, Reward] | None = None,
    states: Iterable[Any] | None = None,
    initial: ExactArray | None = None,
    reading: Reading | None = None,
    normalize: bool = False,
) -> MarkovChain:
    """Build the chain a file describes; the label ``init`` becomes its initial distribution.

    Parameters
    ----------
    kind : CTMC or DTMC
    structure : WeightedStructure
    labels, rewards, states : as for the chain
    initial : ExactArray, optional
        Takes precedence over marks.
    reading : Reading, optional
        How the numbers of the file were read.
    normalize : bool
        As for the chain.
    """
    plain = {name: mask for name, mask in labels.items() if name != INITIAL}
    if initial is None and INITIAL in labels:
        initial = uniform_over(labels[INITIAL])
    chain = kind(
        structure,
        states=states,
        labels=plain,
        rewards=rewards,
        initial=initial,
        normalize=normalize,
    )
    chain.reading = reading or Reading()
    return chain

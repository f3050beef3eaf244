"""Functions that all chain formats share: initial states, assembling a chain, warnings of losses.

Files mark initial states with the label ``init``; the library has an initial distribution instead.
Marks become the uniform distribution over the marked states (one state: probability 1).  A writer marks the states
of positive probability; if the distribution is not uniform over them, marks cannot hold it, and a
`LossyWrite` warning says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidChain, SizeLimit, warn
from lumpability.formats.tokens import Array
from lumpability.markov.attributes import Mask, Reward
from lumpability.markov.chains import CTMC, DTMC, MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import intern
from lumpability.numbers.parameters import parameters_of
from lumpability.numbers.rationals import Reading
from lumpability.structure import WeightedStructure

INITIAL = "init"
"""The label that marks initial states in files."""

_MOST_ENTRIES = 1 << 35
_NEARLY = 1 / 1000
_ROUNDED = "give digits=N if numbers were rounded to N digits"


class LossyWrite(UserWarning):
    """The file written holds less than the model: the message says what is missing."""


def warn_of_loss(path: str | Path, message: str) -> None:
    """Warn that a file cannot hold all of a model."""
    warn(f"{path}: {message}", LossyWrite)


def chain_class(name: str) -> type[MarkovChain] | None:
    """Return the class for "CTMC" or "DTMC" in any case; None for any other model type."""
    classes: dict[str, type[MarkovChain]] = {"CTMC": CTMC, "DTMC": DTMC}
    return classes.get(name.strip().upper())


def one_choice_class(name: str) -> type[MarkovChain] | None:
    """Return the class of a model that has choices, with one in every state; None for any other model type.

    >>> one_choice_class("MDP").__name__, one_choice_class("Markov Automaton").__name__
    ('DTMC', 'CTMC')
    """
    classes = {"MDP": DTMC, "MARKOV AUTOMATON": CTMC, "MA": CTMC}
    return classes.get(name.strip().upper())


def inferred_class(
    structure: WeightedStructure, path: str | Path, normalize: bool
) -> type[MarkovChain]:
    """Tell rates from probabilities where a file does not say it.

    Raises `FormatError` if all rows sum nearly to one, or are empty.
    """
    if not looks_stochastic(structure):
        return CTMC
    if normalize or all(value == 1 for value in structure.row_sums().values):
        return DTMC
    raise FormatError(
        "the rows sum to one only approximately or are empty, so this may be a rounded DTMC or a CTMC: give "
        "type='dtmc' (with normalize=True to rescale) or type='ctmc'",
        path=path,
    )


def looks_stochastic(structure: WeightedStructure) -> bool:
    """Whether every row that has transitions sums nearly to one, in floating point."""
    if any(value > 1 + _NEARLY for value in structure.weights.values):
        return False
    sums = np.bincount(structure.sources(), structure.weights.to_floats(), structure.n)
    return bool(np.all(np.abs(sums[sums > 0] - 1) <= _NEARLY))


def refuse_absurd(count: int, n: int, what: str) -> None:
    """Refuse more labels or rewards than any model has, before allocating memory for them.

    Raises `SizeLimit` if `count` entries for each of `n` states are more than 2^35.
    """
    if count * n > _MOST_ENTRIES:
        raise SizeLimit(
            f"{count} {what} for each of {n} states are more than {_MOST_ENTRIES} entries",
            limit=_MOST_ENTRIES,
        )


def uniform_over(marks: Mask) -> ExactArray | None:
    """Return the uniform distribution over the marked states; None if none is marked."""
    count = int(np.count_nonzero(marks))
    if count == 0:
        return None
    return ExactArray.of_values(marks.astype(np.uint8), [Fraction(0), Fraction(1, count)])


def refuse_initial_label(chain: MarkovChain, path: str | Path) -> None:
    """Raise `FormatError` if the chain has a label ``init`` of its own."""
    if INITIAL in chain.labels:
        raise FormatError(
            f"the label {INITIAL!r} marks the initial states in this format: rename the chain's own "
            "label of that name, or write JSON",
            path=path,
            label=INITIAL,
        )


def refuse_negative(weights: ExactArray, path: str | Path) -> None:
    """Raise `FormatError` if a weight is negative; parameters are ignored."""
    negative = [value for value in weights.values if weights.is_rational and value < 0]
    if negative:
        raise FormatError(f"holds the negative weight {negative[0]}", path=path)


def initial_marks(chain: MarkovChain, path: str | Path) -> Mask | None:
    """Return which states to mark as initial; None if the chain has no initial distribution.

    Raises `FormatError` if the chain has a label ``init`` of its own.  Warns `LossyWrite` if the initial distribution
    is not uniform over the marked states.
    """
    refuse_initial_label(chain, path)
    if chain.initial is None:
        return None
    marks: Mask = chain.initial.where(bool)
    expected = uniform_over(marks)
    if expected is None or not expected.equals(chain.initial):
        warn_of_loss(
            path,
            f"the format marks {int(marks.sum())} initial states but cannot hold their probabilities, "
            "which will be read back as equal",
        )
    return marks


def parameter_names(chain: MarkovChain) -> list[str]:
    """Return the names of the parameters in a chain's weights and rewards, sorted; [] if none."""
    arrays = [chain.matrix.weights, *(part for r in chain.rewards.values() for part in r.parts)]
    return sorted({str(symbol) for array in arrays for symbol in parameters_of(array.values)})


def state_names(
    chain: MarkovChain, path: str | Path, *, integers: bool = False
) -> list[Any] | None:
    """Return the state names as text, and as integers where a format holds both; None if there are none.

    Warns `LossyWrite` if two names become the same text; then all names are left out, because they could not be
    read.
    """
    if not chain.states.named:
        return None
    kept = (str, int) if integers else (str,)  # a bool's type is neither
    names = [name if type(name) in kept else str(name) for name in chain.states]
    if len(set(names)) < len(names):
        warn_of_loss(path, "two state names are the same as text: all are left out")
        return None
    return names


def state_lines(chain: MarkovChain, path: str | Path) -> list[str] | None:
    """Return the state names as text, for formats with a line for each; None if there are none.

    Warns `LossyWrite` if a name holds a line break, or two are the same as text: all names are left out then.
    """
    names = state_names(chain, path)
    if names is not None and any("\n" in name or "\0" in name for name in names):
        warn_of_loss(path, "state names with line breaks are left out")
        return None
    return names


def distinct_rows(columns: Sequence[Array]) -> tuple[Array, Array]:
    """Number the distinct rows of several columns.

    - columns: sequence of arrays of int or bool, each of shape (n,), n > 0
    - returns codes, array of int, shape (n,)
    - returns examples, array of int, shape (k,): for each code an index where it occurs

    >>> codes, examples = distinct_rows([np.array([1, 1, 2]), np.array([True, True, False])])
    >>> codes.tolist(), len(examples)
    ([0, 0, 1], 2)
    """
    codes, count = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in columns:
        numbers, values = intern(column)
        pairs, distinct = intern(codes * len(values) + numbers)
        codes, count = pairs.astype(np.int64), len(distinct)
    examples = np.empty(count, dtype=np.int64)
    examples[codes] = np.arange(len(codes))
    return codes, examples


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
    absorbing: bool = False,
    decimals: bool = False,
) -> MarkovChain:
    """Build the chain of a file; the label ``init`` becomes its initial distribution.

    - initial: takes precedence over marks
    - reading: how the numbers of the file were read
    - normalize, absorbing: as for the chain
    - decimals: whether the file's reader has the option ``digits``, which an error about a sum then names
    """
    refuse_absurd(len(labels), structure.n, "labels")
    plain = {name: mask for name, mask in labels.items() if name != INITIAL}
    if initial is None and INITIAL in labels:
        initial = uniform_over(labels[INITIAL])
    try:
        return kind.from_structure(
            structure,
            reading,
            states=states,
            labels=plain,
            rewards=rewards,
            initial=initial,
            normalize=normalize,
            **({"absorbing": True} if absorbing else {}),
        )
    except InvalidChain as error:
        total = error.evidence.get("total")
        if not decimals or not isinstance(total, Fraction) or not 0 < abs(total - 1) < _NEARLY:
            raise
        raise InvalidChain(f"{error}, or {_ROUNDED}", **error.evidence) from None

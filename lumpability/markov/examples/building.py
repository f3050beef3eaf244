"""Functions that the families share: reading parameters, assembling transitions, checking limits."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np

from lumpability.errors import InvalidValue, SizeLimit
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.structure import WeightedStructure

LARGEST = 1 << 25
"""Most states that a family builds; larger arrays of transitions do not fit small machines."""

Chain = TypeVar("Chain", bound=MarkovChain)
Move = tuple[Any, Any, Any]
"""Sources, targets, and their rates: one for all (an int or Exact), or an `ExactArray`."""


def read_rates(**rates: Any) -> list[Exact]:
    """Read rates, numeric or symbolic, into one field; numbers must be positive.

    Raises `InvalidValue` if a rate is not positive.

    >>> read_rates(failure="1/100", repair=1)
    [Fraction(1, 100), Fraction(1, 1)]
    """
    array, _ = ExactArray.read(list(rates.values()))
    for name, value in zip(rates, array, strict=True):
        if array.is_rational and value <= 0:
            raise InvalidValue(f"{name} must be positive, not {value}", parameter=name, value=value)
    return list(array)


def need_at_least(least: int, **numbers: int) -> None:
    """Refuse numbers that are too small.

    Raises `InvalidValue` for the first of them.
    """
    for name, value in numbers.items():
        if value < least:
            raise InvalidValue(
                f"{name} must be at least {least}, not {value}", parameter=name, value=value
            )


def bits_of(count: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return the binary digits of 0 .. 2^count - 1, shape (2^count, count), lowest digit first."""
    check_size(1 << count)
    bits: np.ndarray[Any, np.dtype[np.bool_]]
    bits = (np.arange(1 << count)[:, None] >> np.arange(count)) & 1 == 1
    return bits


def check_size(states: int) -> None:
    """Refuse more than `LARGEST` states.

    Raises `SizeLimit`: carries ``states``.
    """
    if states > LARGEST:
        raise SizeLimit(
            f"{states} states: the examples build at most {LARGEST}; choose smaller parameters",
            states=states,
        )


def assemble(kind: type[Chain], n: int, moves: Iterable[Move], **attributes: Any) -> Chain:
    """Build a chain on states 0 .. n-1 from groups of transitions.

    >>> from lumpability import CTMC
    >>> assemble(CTMC, 2, [([0], [1], 3), ([1], [0], 4)]).matrix.row(1)
    [(0, Fraction(4, 1))]
    """
    check_size(n)
    sources, targets, codes = [], [], []
    values: list[Exact] = []
    for source, target, rate in moves:
        source, target = np.ravel(source), np.ravel(target)  # noqa: PLW2901  # used flat below
        if isinstance(rate, ExactArray):
            codes.append(rate.codes.astype(np.int64) + len(values))
            values.extend(rate.values)
        else:
            codes.append(np.full(len(source), len(values)))
            values.append(Fraction(rate) if isinstance(rate, int) else rate)
        sources.append(source)
        targets.append(target)
    structure = WeightedStructure.from_edges(
        n,
        np.concatenate(sources),
        np.concatenate(targets),
        ExactArray.of_values(np.concatenate(codes), values),
    )
    return kind(structure, **attributes)

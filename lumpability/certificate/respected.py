"""The labels and rewards that a lumping respects, and the states that each of them distinguishes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from lumpability.certificate.digest import ChainParts
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition

Codes = np.ndarray[Any, Any]


def names_of(parts: ChainParts) -> list[str]:
    """Return everything that a lumping of a chain can respect."""
    names = [
        *(f"label:{name}" for name in parts.labels),
        *(f"reward:{name}" for name in parts.rewards),
    ]
    return names if parts.initial is None else [*names, "initial"]


def codes_of(parts: ChainParts, name: str) -> list[Codes] | None:
    """Return arrays, equal on states that a name does not tell apart; None if the name is unknown."""
    sort, _, of = name.partition(":")
    if sort == "label" and of in parts.labels:
        return [parts.labels[of]]
    if sort == "reward" and of in parts.rewards:
        return [array.codes for array in parts.rewards[of] if array is not None]
    if name == "initial" and parts.initial is not None:
        return [parts.initial.codes]
    return None


def respected_partition(
    parts: ChainParts, names: tuple[str, ...], extra: Partition | None
) -> Partition:
    """Return the partition of states by some names and another partition together."""

    def codes() -> Iterator[Codes]:
        for name in names:
            yield from codes_of(parts, name) or ()
        if extra is not None:
            yield extra.labels

    return Partition.by(parts.matrix.n, codes())


def with_earned_rewards(parts: ChainParts) -> ChainParts:
    """Return the parts of a CTMC with action rewards replaced by state rewards that earn the same.

    An amount a for each transition out of a state with total rate r earns a r per unit of time.  A quotient
    without the jumps inside blocks preserves no more of it.
    """
    rates: ExactArray | None = None
    rewards = dict(parts.rewards)
    for name, (held, left) in parts.rewards.items():
        if left is not None:
            rates = parts.matrix.row_sums() if rates is None else rates
            earned = left.combine(rates, lambda amount, rate: amount * rate)
            if held is not None:
                earned = held.combine(earned, lambda one, other: one + other)
            rewards[name] = (earned, None)
    return replace(parts, rewards=rewards)

"""Families of chains given by functions of their states, so that a chain of any size can be written range by range.

A family says which transitions leave a range of states.  `lumpability.tables.write_family` writes it to files;
`Family.chain` builds it in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np

from lumpability.markov.chains import CTMC
from lumpability.markov.examples.building import assemble, check_size, need_at_least, read_rates
from lumpability.numbers.exact_array import ExactArray

_PLANTED_DEGREE, _PLANTED_RATES = 10, 100

Array = np.ndarray[Any, Any]
Moves = list[tuple[Array, Array, Array]]
"""Groups of transitions: sources, targets, and the places of the rates."""


@dataclass(frozen=True)
class Family:
    """A chain given by a function of its states.

    Examples
    --------
    >>> family = tandem(4, 3)
    >>> family.n, sum(len(source) for source, _, _ in family.moves(np.arange(family.n)))
    (20, 47)
    """

    n: int  # states
    rates: tuple[Fraction, ...]  # distinct ones (1/time)
    moves: Callable[[Array], Moves]  # the transitions of an array of states
    labels: Callable[[Array], dict[str, Array]]  # of an array of states, boolean arrays by name

    def chain(self) -> CTMC:
        """Return the chain, which starts in state 0, in memory."""
        check_size(self.n)
        states = np.arange(self.n)
        moves = [
            (source, target, ExactArray.of_values(place, self.rates))
            for source, target, place in self.moves(states)
        ]
        return assemble(CTMC, self.n, moves, labels=self.labels(states), initial=0)


def planted_blocks(states: int, *, seed: int = 0) -> Family:
    """Return a random chain of about sqrt(states) equal blocks, ten transitions from every state.

    State s belongs to block s mod k.  Each block has ten random blocks as targets, with random rates
    1, ..., 100, and each of its states chooses a random member of each of them.  The label ``first`` marks
    block 0.  The coarsest ordinary lumping is nearly always that by blocks.

    Parameters
    ----------
    states : int
        At least 400; rounded down to a multiple of k.

    Examples
    --------
    >>> planted_blocks(10_000).n
    10000
    """
    need_at_least(400, states=states)
    count = isqrt(states)
    n = count * (states // count)
    random = np.random.default_rng([seed, states])
    strides = random.integers(1, count // _PLANTED_DEGREE + 1, size=(count, _PLANTED_DEGREE))
    strides[:, 0] = random.integers(count, size=count)
    blocks = np.cumsum(strides, axis=1) % count  # distinct: the other strides sum to less than k
    places = random.integers(_PLANTED_RATES, size=blocks.shape)

    def moves(chosen: Array) -> Moves:
        block = chosen % count
        drawn = np.random.default_rng([seed, states, int(chosen[0])])
        members = drawn.integers(n // count, size=(len(chosen), _PLANTED_DEGREE))
        target = members * count + blocks[block]
        source = np.repeat(chosen, _PLANTED_DEGREE)
        return [(source, target.ravel(), places[block].ravel())]

    rates = tuple(Fraction(rate) for rate in range(1, _PLANTED_RATES + 1))
    return Family(n, rates, moves, lambda chosen: {"first": chosen % count == 0})


def tandem(
    first: int, second: int, *, arrival: Any = 1, first_service: Any = 2, second_service: Any = 3
) -> Family:
    """Return two queues in series; see `lumpability.markov.examples.tandem`.

    Examples
    --------
    >>> tandem(4, 3).rates
    (Fraction(1, 1), Fraction(2, 1), Fraction(3, 1))
    """
    need_at_least(1, first=first, second=second)
    rates = read_rates(arrival=arrival, first=first_service, second=second_service)

    def moves(chosen: Array) -> Moves:
        i, j = chosen // (second + 1), chosen % (second + 1)
        passing, lost = chosen[(i > 0) & (j < second)], chosen[(i > 0) & (j == second)]
        arriving, served = chosen[i < first], chosen[j > 0]
        return [
            _group(arriving, arriving + second + 1, 0),
            _group(passing, passing - second, 1),
            _group(lost, lost - second - 1, 1),
            _group(served, served - 1, 2),
        ]

    def labels(chosen: Array) -> dict[str, Array]:
        i, j = chosen // (second + 1), chosen % (second + 1)
        return {"first full": i == first, "second empty": j == 0}

    return Family((first + 1) * (second + 1), tuple(rates), moves, labels)


def components(
    count: int,
    *,
    crew: int = 1,
    failure: Any = "1/100",
    detection: Any = 2,
    repair: Any = 1,
) -> Family:
    """Return equal components that share a repair crew; see `lumpability.markov.examples.components`.

    Examples
    --------
    >>> components(18, crew=3).n
    387420489
    """
    need_at_least(1, count=count, crew=crew)
    failing, finding, mending = read_rates(failure=failure, detection=detection, repair=repair)
    shares = [mending * min(d, crew) / d for d in range(1, count + 1)]
    units = [3**place for place in range(count)]

    def moves(chosen: Array) -> Moves:
        conditions = [chosen // unit % 3 for unit in units]
        under_repair = sum(condition == 2 for condition in conditions)
        found = []
        for unit, condition in zip(units, conditions, strict=True):
            for now, step in ((0, unit), (1, unit)):
                there = chosen[condition == now]
                found.append(_group(there, there + step, now))
            there = condition == 2
            source = chosen[there]
            found.append((source, source - 2 * unit, 1 + under_repair[there]))
        return found

    def labels(chosen: Array) -> dict[str, Array]:
        intact = [chosen // unit % 3 == 0 for unit in units]
        return {"all intact": chosen == 0, "none intact": ~np.logical_or.reduce(intact)}

    return Family(3**count, (failing, finding, *shares), moves, labels)


def _group(source: Array, target: Array, place: int) -> tuple[Array, Array, Array]:
    return source, target, np.full(len(source), place)

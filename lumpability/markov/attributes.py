"""What hangs on the states of a chain: names, labels, rewards, the initial distribution.

A label is a set of states; a reward gives each state a rate earned while it is held (`state`) and an
amount earned when it is left (`action`); the initial distribution gives each state a probability.
All are read exactly and stored as arrays, so that a chain of millions of states needs no Python
object for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.errors import InvalidChain
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.rationals import Reading, shown

__all__ = ["Reward", "States", "read_initial", "read_labels", "read_rewards"]

Mask = np.ndarray[Any, np.dtype[np.bool_]]


class States(Sequence[Hashable]):
    """State names in order; the integers 0 .. n-1 unless names are given.

    Examples
    --------
    >>> states = States(2, ["up", "down"])
    >>> states[1], states.index("down"), list(States(3))
    ('down', 1, [0, 1, 2])
    """

    def __init__(self, n: int, names: Iterable[Hashable] | None = None) -> None:
        self._n = n
        self._names = None if names is None else tuple(names)
        if self._names is not None and len(self._names) != n:
            raise InvalidChain(
                f"{len(self._names)} state names for {n} states", names=len(self._names), states=n
            )
        if self._names is not None:
            _refuse_duplicates(self._names, self._index)

    @property
    def named(self) -> bool:
        """Whether the states have names of their own."""
        return self._names is not None

    @cached_property
    def _index(self) -> dict[Hashable, int]:
        assert self._names is not None
        return {name: i for i, name in enumerate(self._names)}

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: Any) -> Any:
        return (range(self._n) if self._names is None else self._names)[index]

    def __contains__(self, name: object) -> bool:
        if self._names is None:
            return isinstance(name, int | np.integer) and bool(0 <= name < self._n)
        return isinstance(name, Hashable) and name in self._index

    def index(self, name: Any, start: int = 0, stop: int | None = None) -> int:
        """Return the number of a state.

        Raises
        ------
        InvalidChain
            If there is no such state; carries ``state``.
        """
        if name not in self:
            raise InvalidChain(f"there is no state {name!r}", state=name)
        return int(name) if self._names is None else self._index[name]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, States):
            return NotImplemented
        return self._n == other._n and self._names == other._names

    def __hash__(self) -> int:
        return hash((self._n, self._names))


def _refuse_duplicates(names: tuple[Hashable, ...], index: Mapping[Hashable, int]) -> None:
    for i, name in enumerate(names):
        if index[name] != i:
            raise InvalidChain(f"state name {name!r} occurs twice", state=name)


@dataclass(frozen=True, eq=False)
class Reward:
    """A reward structure: earned per unit of time in a state, and on leaving it.

    Attributes
    ----------
    state : ExactArray or None, shape (n,)
        Per unit of time (CTMC) or per step (DTMC) spent in the state.
    action : ExactArray or None, shape (n,)
        Once for every transition out of the state.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> held, left = ExactArray.read([3, 0])[0], ExactArray.read(["1/2", 1])[0]
    >>> chain = CTMC([[0, 1], [2, 0]], rewards={"cost": Reward(state=held, action=left), "time": [1, 1]})
    >>> chain.rewards["cost"].action, chain.rewards["time"].parts
    (ExactArray([1/2, 1]), [ExactArray([1, 1])])
    """

    state: ExactArray | None = None
    action: ExactArray | None = None

    @property
    def parts(self) -> list[ExactArray]:
        """The arrays present.

        Examples
        --------
        >>> Reward(state=ExactArray.read([3, 0])[0]).parts
        [ExactArray([3, 0])]
        """
        return [part for part in (self.state, self.action) if part is not None]

    def map(self, function: Callable[[ExactArray], ExactArray]) -> Reward:
        """Apply a function to the arrays present.

        Examples
        --------
        >>> reward = Reward(state=ExactArray.read([3, 0, 3])[0])
        >>> reward.map(lambda part: part.take([0, 1])).state
        ExactArray([3, 0])
        """
        return Reward(
            None if self.state is None else function(self.state),
            None if self.action is None else function(self.action),
        )

    def equals(self, other: Reward) -> bool:
        """Whether both give every state the same rewards.

        Examples
        --------
        >>> Reward(ExactArray.read([0.5])[0]).equals(Reward(ExactArray.read(["1/2"])[0]))
        True
        """
        pairs = ((self.state, other.state), (self.action, other.action))
        return all(
            (a is None) == (b is None) and (a is None or b is None or a.equals(b)) for a, b in pairs
        )


def read_labels(labels: Mapping[str, Any] | None, states: States) -> dict[str, Mask]:
    """Read labels: each a boolean array, a predicate of a state, or the states that carry it."""
    return {name: _read_label(name, value, states) for name, value in (labels or {}).items()}


def _read_label(name: str, value: Any, states: States) -> Mask:
    if isinstance(value, np.ndarray) and value.dtype == np.bool_:
        if value.shape != (len(states),):
            raise InvalidChain(
                f"label {name!r} has {value.size} entries for {len(states)} states", label=name
            )
        mask = value.copy()
    elif callable(value):
        mask = np.fromiter((bool(value(s)) for s in states), dtype=bool, count=len(states))
    else:
        mask = np.zeros(len(states), dtype=bool)
        for state in [value] if value in states else value:
            if state not in states:
                raise InvalidChain(
                    f"label {name!r} names {state!r}, which is not a state", label=name, state=state
                )
            mask[states.index(state)] = True
    mask.setflags(write=False)
    return mask


def read_vector(
    what: str, value: Any, states: States, tolerance: float
) -> tuple[ExactArray, Reading]:
    """Read one exact number for each state, from an array or a mapping (others are zero)."""
    if isinstance(value, Mapping):
        numbers: dict[int, Any] = {}
        for state, number in value.items():
            if state not in states:
                raise InvalidChain(f"{what} names {state!r}, which is not a state", state=state)
            numbers[states.index(state)] = number
        return ExactArray.read_sparse(len(states), numbers, tolerance=tolerance)
    array, reading = ExactArray.read(value, tolerance=tolerance)
    if len(array) != len(states):
        raise InvalidChain(f"{what} has {len(array)} entries for {len(states)} states")
    return array, reading


def read_rewards(
    rewards: Mapping[str, Any] | None, states: States, tolerance: float
) -> tuple[dict[str, Reward], Reading]:
    """Read rewards: each a `Reward`, an array or a mapping from states (a state reward)."""
    result, total = {}, Reading()
    for name, value in (rewards or {}).items():
        if isinstance(value, Reward):
            for part in value.parts:
                if len(part) != len(states):
                    raise InvalidChain(
                        f"reward {name!r} has {len(part)} entries for {len(states)} states",
                        reward=name,
                    )
            result[name] = value
        else:
            array, reading = read_vector(f"reward {name!r}", value, states, tolerance)
            result[name], total = Reward(state=array), total + reading
    return result, total


def read_initial(
    initial: Any, states: States, tolerance: float
) -> tuple[ExactArray | None, Reading]:
    """Read an initial distribution: a state, a mapping to probabilities, or an array."""
    if initial is None:
        return None, Reading()
    if not isinstance(initial, Mapping | np.ndarray | list | ExactArray):
        initial = {initial: 1}
    array, reading = read_vector("the initial distribution", initial, states, tolerance)
    if array.is_rational:
        negative = [value for value in array.values if value < 0]
        if negative:
            raise InvalidChain(f"the initial distribution holds the negative {shown(negative[0])}")
    total = _total(array)
    if total != 1:
        raise InvalidChain(
            f"the initial distribution sums to {shown(total)}, not to 1", total=total
        )
    return array, reading


def _total(array: ExactArray) -> Exact:
    """Return the sum of an array, mostly of zeros."""
    counts = np.bincount(array.codes[array.support()]).tolist()
    terms = [value * count for value, count in zip(array.values, counts, strict=False) if count]
    return sum(terms[1:], start=terms[0]) if terms else Fraction(0)

"""The attributes of the states of a chain: names, labels, rewards, the initial distribution.

A label is a set of states.  A reward gives each state a rate that is earned while the chain is there
(`state`) and an amount that is earned when the chain leaves it (`action`).  The initial distribution gives
each state a probability.  All are read exactly and stored as arrays, so that a chain of millions of states
needs no Python object for each of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.errors import InvalidChain, warn
from lumpability.markov.valuations import Valuation, assignments, block_descriptions
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.foreign import by_name, is_frame, is_series, plain
from lumpability.numbers.parameters import is_positive
from lumpability.numbers.rationals import Reading, shown
from lumpability.partition import Partition
from lumpability.vocabulary import did_you_mean

Mask = np.ndarray[Any, np.dtype[np.bool_]]
_SHOWN_NAMES = 6


class States(Sequence[Hashable]):
    """State names in order; the integers 0 .. n-1 unless names are given.

    A state that is named by values of variables is found by them in any order.

    >>> states = States(2, ["up", "down"])
    >>> states[1], states.index("down"), list(States(3))
    ('down', 1, [0, 1, 2])
    >>> States(2, ["x=0,y=1", "x=1,y=0"]).index("y=0, x=1")
    1
    """

    def __init__(self, n: int, names: Iterable[Hashable] | None = None) -> None:
        self._n = n
        names = names.tolist() if isinstance(names, np.ndarray) else names
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
        try:
            return {name: i for i, name in enumerate(self._names)}
        except TypeError as error:
            raise InvalidChain(f"a name of a state cannot be looked up ({error})") from None

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: Any) -> Any:
        return (range(self._n) if self._names is None else self._names)[index]

    @cached_property
    def has_booleans(self) -> bool:
        """Whether a state is named True or False; if none is, True and False name no states."""
        return any(isinstance(name, bool | np.bool_) for name in self._names or ())

    def __contains__(self, name: object) -> bool:
        if isinstance(name, bool | np.bool_) and not self.has_booleans:
            return False
        if self._names is None:
            return isinstance(name, int | np.integer) and bool(0 <= name < self._n)
        try:
            return name in self._index or self._by_values(name) is not None
        except TypeError:  # lists and arrays are not names, nor are tuples of them
            return False

    @cached_property
    def valuation(self) -> Valuation | None:
        """The values of variables, if all states are named by them."""
        return None if self._names is None else Valuation.of(self._names)

    @cached_property
    def _by_pairs(self) -> dict[frozenset[tuple[str, str]], int]:
        if self._names is None or assignments(self._names[0] if self._names else None) is None:
            return {}
        pairs = ((i, assignments(name)) for i, name in enumerate(self._names))
        return {frozenset(found): i for i, found in pairs if found is not None}

    def _by_values(self, name: object) -> int | None:
        """Return the state that a list of values of variables names, in any order."""
        wanted = assignments(name)
        return None if wanted is None else self._by_pairs.get(frozenset(wanted))

    def index(self, name: Any, start: int = 0, stop: int | None = None) -> int:
        """Return the number of a state.

        Raises `InvalidChain` if there is no such state; carries ``state``.
        """
        if name not in self:
            raise InvalidChain(f"there is no state {self.quoted(name)}", state=name)
        if self._names is None:
            return int(name)
        place = self._index.get(name)
        return self._by_values(name) if place is None else place  # type: ignore[return-value]  # it is in

    def quoted(self, name: Any) -> str:
        """Return a name that no state has, for an error, with the name that it may be meant for."""
        meant = did_you_mean(name, self._names or ())
        return f"{name!r}: {meant}" if meant else repr(name)

    def __repr__(self) -> str:
        more = f", ... {self._n - _SHOWN_NAMES} more" if self._n > _SHOWN_NAMES else ""
        return f"States([{', '.join(map(repr, self[:_SHOWN_NAMES]))}{more}])"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, States):
            return NotImplemented
        return self._n == other._n and self._names == other._names

    def __hash__(self) -> int:
        return hash((self._n, self._names))


def _refuse_duplicates(names: tuple[Hashable, ...], index: Mapping[Hashable, int]) -> None:
    for i, name in enumerate(names):
        if name != name:  # noqa: PLR0124  # NaN, as tables have it where an entry is missing
            raise InvalidChain(f"state {i} has the name {name}, which equals no name", state=name)
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
    """Read labels.

    A label is given by a predicate of a state, by the states that carry it, or by booleans: in the order of
    the states, or as a mapping or a Series from states to booleans.

    Warns `UserWarning` if a list of states names one twice; raises `InvalidChain` if it may be a mask of numbers.
    """
    return {name: _read_label(name, value, states) for name, value in _named("labels", labels)}


def _named(what: str, given: Mapping[str, Any] | None) -> Iterable[tuple[str, Any]]:
    if given is not None and not isinstance(given, Mapping):
        raise InvalidChain(f"{what} are a mapping from names, not a {type(given).__name__}")
    return (given or {}).items()


def _read_label(name: str, value: Any, states: States) -> Mask:
    what = f"label {name!r}"
    if is_frame(value):
        raise InvalidChain(f"{what} is a table: give one of its columns", label=name)
    if is_series(value) and (
        str(value.dtype) in ("bool", "boolean") or _are_booleans(value.tolist())
    ):
        if value.isna().any():
            raise InvalidChain(f"{what} has a missing value", label=name)
        value = by_name(value, states, what, InvalidChain)
    value = plain(value)
    if callable(value):
        mask = np.fromiter((bool(value(s)) for s in states), dtype=bool, count=len(states))
    elif isinstance(value, Mapping):
        mask = np.zeros(len(states), dtype=bool)
        for state, carries in value.items():
            if not isinstance(carries, bool | np.bool_):
                raise InvalidChain(
                    f"{what} maps {state!r} to {carries!r}: give booleans", label=name
                )
            mask[_place(what, state, states)] = carries
    else:
        items = [value] if value in states else _listed(what, value, states)
        mask = (
            _mask_of_booleans(what, items, states)
            if _are_booleans(items) and not states.has_booleans
            else _mask_of_states(what, items, states)
        )
    mask.setflags(write=False)
    return mask


def _are_booleans(items: Any) -> bool:
    if isinstance(items, np.ndarray) and items.dtype != object:
        return bool(items.dtype == np.bool_)
    return len(items) > 0 and all(isinstance(item, bool | np.bool_) for item in items)


def _listed(what: str, value: Any, states: States) -> Any:
    if isinstance(value, np.ndarray):
        return value if value.dtype == np.bool_ else value.tolist()
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        _place(what, value, states)
    return list(value)


def _mask_of_booleans(what: str, items: Any, states: States) -> Mask:
    mask = np.array(items, dtype=bool)
    if mask.size and max(mask.shape) == mask.size:  # a row or a column
        mask = mask.ravel()
    if mask.shape != (len(states),):
        raise InvalidChain(f"{what} has {mask.size} entries for {len(states)} states")
    return mask


def _mask_of_states(what: str, items: Sequence[Any], states: States) -> Mask:
    mask = np.zeros(len(states), dtype=bool)
    places = [_place(what, state, states) for state in items]
    mask[places] = True
    if np.count_nonzero(mask) < len(places):
        _tell_twice(what, items, places, states)
    return mask


def _tell_twice(what: str, items: Sequence[Any], places: list[int], states: States) -> None:
    """Warn that a list names a state twice; refuse it if it may be a mask of zeros and ones."""
    twice = Counter(places).most_common(1)[0][0]
    if len(items) != len(states) or any(item not in (0, 1) for item in items):
        warn(f"{what} names {states[twice]!r} twice; if this is a mask, give booleans")
        return
    ones = [str(i) for i, item in enumerate(items) if item]
    raise InvalidChain(
        f"{what} is a list of {len(items)} zeros and ones that names {states[twice]!r} twice: a mask is given by "
        f"booleans (this one has {', '.join(ones[:_SHOWN_NAMES]) or 'no state'}), and names occur once",
        label=what,
    )


def _place(what: str, state: Any, states: States) -> int:
    if state not in states:
        meant = did_you_mean(state, states if states.named else ())
        raise InvalidChain(
            f"{what} names {state!r}, which is not a state{': ' if meant else ''}{meant}",
            state=state,
        )
    return states.index(state)


def read_vector(
    what: str, value: Any, states: States, float_tolerance: float
) -> tuple[ExactArray, Reading]:
    """Read one exact number for each state: an array, a Series, or a mapping (other states have zero)."""
    if is_frame(value):
        raise InvalidChain(f"{what} is a table: give one of its columns")
    if is_series(value):
        value = by_name(value, states, what, InvalidChain)
    value = plain(value)
    if isinstance(value, Mapping):
        numbers = {_place(what, state, states): number for state, number in value.items()}
        return ExactArray.read_sparse(len(states), numbers, float_tolerance=float_tolerance)
    if isinstance(value, np.ndarray) and value.ndim > 1 and max(value.shape) != value.size:
        raise InvalidChain(
            f"{what} is a matrix of shape {value.shape}, not one number for each state"
        )
    if (
        isinstance(value, list | tuple) and value and isinstance(value[0], list)
    ):  # a column or a row
        value = [x for row in value for x in row] if 1 in (len(value), len(value[0])) else value
    array, reading = ExactArray.read(value, float_tolerance=float_tolerance)
    if len(array) != len(states):
        raise InvalidChain(f"{what} has {len(array)} entries for {len(states)} states")
    return array, reading


def read_rewards(
    rewards: Mapping[str, Any] | None, states: States, float_tolerance: float
) -> tuple[dict[str, Reward], Reading]:
    """Read rewards: each is a `Reward`, or an array or mapping from states (a state reward)."""
    result, total = {}, Reading()
    for name, value in _named("rewards", rewards):
        if isinstance(value, Reward):
            for part in value.parts:
                if len(part) != len(states):
                    raise InvalidChain(
                        f"reward {name!r} has {len(part)} entries for {len(states)} states",
                        reward=name,
                    )
            result[name] = value
        else:
            array, reading = read_vector(f"reward {name!r}", value, states, float_tolerance)
            result[name], total = Reward(state=array), total + reading
    return result, total


def read_initial(
    initial: Any, states: States, float_tolerance: float
) -> tuple[ExactArray | None, Reading]:
    """Read an initial distribution: a state, a mapping to probabilities, a Series or an array."""
    if initial is None:
        return None, Reading()
    if (
        isinstance(initial, Hashable)
        and not isinstance(initial, ExactArray)
        and (np.isscalar(initial) or not hasattr(initial, "__array__"))
    ):
        initial = {initial: 1}
    array, reading = read_vector("the initial distribution", initial, states, float_tolerance)
    negative = [value for value in array.values if value and is_positive(-value)]
    if negative:
        raise InvalidChain(f"the initial distribution holds the negative {shown(negative[0])}")
    total = _total(array)
    if total != 1:
        raise InvalidChain(
            f"the initial distribution sums to {shown(total)}, not to 1", total=total
        )
    return array, reading


def _total(array: ExactArray) -> Exact:
    """Return the sum of an array; fast if most entries are zero."""
    counts = np.bincount(array.codes[array.support()]).tolist()
    terms = [value * count for value, count in zip(array.values, counts, strict=False) if count]
    return sum(terms[1:], start=terms[0]) if terms else Fraction(0)


_SHOWN = 4
_WIDTH = 60  # characters
_DESCRIBED = 2000  # blocks; nobody reads the names of more


def listed(names: Sequence[str], size: int) -> str:
    """Name a set by its first members: "{a, b, c, d, ... 7 more}"; by fewer if they are long."""
    shown = [*names[:_SHOWN]]
    while len(shown) > 1 and sum(map(len, shown)) > _WIDTH:
        shown.pop()
    more = [f"... {size - len(shown)} more"] if size > len(shown) else []
    return "{" + ", ".join([*shown, *more]) + "}"


def block_name(states: States, partition: Partition, block: int) -> str:
    """Name a block by its first members; see `listed`."""
    members = partition.blocks[block]
    return listed([str(states[i]) for i in members[:_SHOWN].tolist()], len(members))


def block_names(states: States, partition: Partition) -> list[Any] | None:
    """Return names for the states of the quotient; a block of one keeps its state's name.

    Other blocks are named by what values of variables their states have in common, or by their first members.

    >>> block_names(States(3, ["a", "b", "c"]), Partition([0, 1, 0]))
    ['{a, c}', 'b']
    >>> block_names(States(3, ["x=0,y=0", "x=1,y=0", "x=0,y=1"]), Partition([0, 1, 0]))
    ['x=0', 'x=1,y=0']
    """
    if not states.named or len(partition) == partition.n:
        return list(states) if states.named else None
    singles = partition.blocks.sizes == 1
    names: dict[Any, None] = {}
    valuation = states.valuation if len(partition) <= _DESCRIBED else None
    described = [] if valuation is None else block_descriptions(valuation, partition)
    for block, first in enumerate(partition.representatives.tolist()):
        if singles[block]:
            name = states[first]
        else:
            about = described[block] if described else None
            name = about or block_name(states, partition, block)
        while name in names:  # a state may itself be called "{a, b}"
            name = f"{name}'"
        names[name] = None
    return list(names)

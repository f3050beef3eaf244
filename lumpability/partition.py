"""Partitions of states 0 .. n-1 into blocks, immutable and canonically numbered.

A partition is stored as one label for each state.  Blocks are numbered by their first member: the
block of state 0 is block 0, the block of the smallest state outside it is block 1, and so on.  Hence
two partitions are equal exactly when their label arrays are equal.  The partitions
of a set form a lattice under refinement: P refines R when every block of P lies inside one of R;
`meet` is the coarsest common refinement, `join` the finest common coarsening.
Everything is vectorised: a partition of five million states is one integer array.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np

from lumpability.errors import InvalidPartition
from lumpability.notebook_hooks import Shown
from lumpability.numbers.foreign import by_name, is_frame, is_series
from lumpability.numbers.integers import gather, smallest_unsigned

Labels = np.ndarray[Any, np.dtype[np.int32]]
_SHOWN = 24
_FEW = 6  # with so few blocks, comparing labels with each is faster than a table


class Blocks(Sequence["np.ndarray[Any, np.dtype[np.int64]]"]):
    """The blocks of a partition as a read-only sequence of sorted state arrays.

    Attributes
    ----------
    sizes : array of int, shape (k,)
    members : array of int, shape (n,)
        All states, block after block.
    bounds : array of int, shape (k + 1,)
        Block b is ``members[bounds[b]:bounds[b + 1]]``.

    Examples
    --------
    >>> blocks = Partition.of([0, 1, 0]).blocks
    >>> len(blocks), blocks[0].tolist(), blocks.sizes.tolist()
    (2, [0, 2], [2, 1])
    """

    def __init__(self, labels: Labels, count: int) -> None:
        self.sizes = np.bincount(labels, minlength=count)
        self.bounds = np.concatenate([[0], np.cumsum(self.sizes)])
        self.members = np.argsort(labels, kind="stable")
        self.members.setflags(write=False)

    def __len__(self) -> int:
        return len(self.sizes)

    @overload
    def __getitem__(self, index: int) -> np.ndarray[Any, np.dtype[np.int64]]: ...
    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray[Any, np.dtype[np.int64]]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"block {index} of a partition with {len(self)} blocks")
        index %= len(self)
        return self.members[self.bounds[index] : self.bounds[index + 1]]

    def __iter__(self) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        if len(self.members) > _SHOWN:
            return f"Blocks({len(self)} of {len(self.members)} states)"
        return f"Blocks({[block.tolist() for block in self]})"


class Partition(Shown):
    """A partition of n states into blocks, immutable, hashable, canonically numbered.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        States with equal labels share a block; the labels are renumbered by first member.  Or a list of blocks.

    Raises
    ------
    InvalidPartition
        If `labels` is not a one-dimensional array of integers.

    See Also
    --------
    Partition.of : from sets, a mapping, a label array or a key function.

    Notes
    -----
    Construction costs O(n + k log k) for k blocks.

    Examples
    --------
    >>> partition = Partition([7, 3, 7])
    >>> partition
    Partition([[0, 2], [1]])
    >>> partition.labels.tolist(), len(partition), partition.n
    ([0, 1, 0], 2, 3)
    """

    __slots__ = ("__dict__", "_labels", "_representatives")

    def __init__(self, labels: Any) -> None:
        given = labels
        if isinstance(labels, list | tuple) and _is_nested(labels):  # blocks, as in `repr`
            given = _from_blocks(labels, None)
        self._labels, self._representatives = _canonical(np.asarray(given))
        self._labels.setflags(write=False)

    @classmethod
    def from_canonical(
        cls, labels: Labels, representatives: np.ndarray[Any, np.dtype[np.int64]]
    ) -> Partition:
        """Wrap labels that are already numbered by first member, and these members, unchecked; O(1).

        Examples
        --------
        >>> Partition.from_canonical(np.array([0, 1, 0], dtype=np.int32), np.array([0, 1]))
        Partition([[0, 2], [1]])
        """
        partition = cls.__new__(cls)
        partition._labels, partition._representatives = labels, representatives
        labels.setflags(write=False)
        return partition

    @classmethod
    def of(
        cls,
        spec: Partition
        | Iterable[Iterable[Hashable]]
        | Mapping[Any, Hashable]
        | Callable[[Any], Hashable]
        | Any,
        *,
        states: int | Sequence[Hashable] | None = None,
    ) -> Partition:
        """Build a partition from any common description.

        Parameters
        ----------
        spec : iterable of sets of states, mapping or Series from state to block, label array, or function of a state
            Or a partition, or a lumping, which has one.
        states : int or sequence of hashable, optional
            The number of states or their names in order.  Needed for functions; otherwise the states
            are the integers 0 .. n-1 that `spec` mentions.

        Raises
        ------
        InvalidPartition
            If a state is missing, repeated or unknown; carries ``state``.

        Examples
        --------
        >>> Partition.of([{0, 2}, {1}])
        Partition([[0, 2], [1]])
        >>> Partition.of({"up": 0, "down": 1, "repair": 1}, states=["up", "down", "repair"])
        Partition([[0], [1, 2]])
        >>> Partition.of(lambda s: s % 2, states=4)
        Partition([[0, 2], [1, 3]])
        >>> Partition.of([{0, 1}, {1}])
        Traceback (most recent call last):
            ...
        lumpability.errors.InvalidPartition: state 1 is in two blocks
        """
        held = getattr(spec, "partition", None)  # arrays have a method of this name
        spec = held if isinstance(held, Partition) else spec
        if isinstance(spec, Partition):
            names = _names(states, spec.n)
            if len(names) != spec.n:
                raise InvalidPartition(
                    f"the partition has {spec.n} states, the model {len(names)}",
                    states=spec.n,
                    expected=len(names),
                )
            return spec
        if is_frame(spec):
            raise InvalidPartition("a table is not a partition: give the column of block labels")
        if is_series(spec):
            names = _names(states, spec.size)  # type: ignore[union-attr]
            spec = by_name(spec, names, "the partition", InvalidPartition)
        if callable(spec):
            if states is None:
                raise InvalidPartition("a key function needs states=...: their number or names")
            return cls(_numbered([spec(state) for state in _names(states, 0)]))
        if isinstance(spec, Mapping):
            return cls(_from_mapping(spec, _names(states, len(spec))))
        if not isinstance(spec, Iterable):
            raise InvalidPartition(
                f"a {type(spec).__name__} does not describe a partition: give a list of sets of states, "
                "a mapping from state to block, an array of labels or a key function"
            )
        items = spec if isinstance(spec, np.ndarray) else list(spec)
        if isinstance(items, np.ndarray) or not _is_nested(items):
            return cls(_from_labels(items, states))
        try:
            return cls(_from_blocks(items, states))
        except TypeError as error:
            raise InvalidPartition(f"blocks must be sets of hashable states: {error}") from None

    @classmethod
    def by(cls, n: int, keys: Iterable[np.ndarray[Any, Any]]) -> Partition:
        """Put n states together when they agree in every one of some arrays of non-negative integers.

        O(n) for each array.

        Examples
        --------
        >>> Partition.by(4, [np.array([0, 0, 1, 1]), np.array([5, 7, 7, 7])])
        Partition([[0], [1], [2, 3]])
        """
        combined: np.ndarray[Any, Any] = np.zeros(n, dtype=np.uint8)
        width = 1
        for given in keys:
            mask = given.dtype == np.bool_
            key = given.view(np.uint8) if mask else given
            further = 2 if mask else int(key.max(initial=0)) + 1
            if width == 1:
                combined, width = key, further
                continue
            if width * further > max(4 * n, 1 << 16):
                partition = cls(combined)
                combined, width = partition.labels, len(partition)
            width *= further
            dtype = smallest_unsigned(width + 1)  # bytes are combined much faster than words
            combined = combined.astype(dtype, copy=False) * dtype.type(further)
            combined += key.astype(dtype, copy=False)
        return cls.from_canonical(*_canonical(combined, width - 1))

    @classmethod
    def trivial(cls, n: int) -> Partition:
        """All n states in one block.

        Examples
        --------
        >>> Partition.trivial(3)
        Partition([[0, 1, 2]])
        """
        return cls.from_canonical(np.zeros(n, dtype=np.int32), np.arange(min(n, 1)))

    @classmethod
    def discrete(cls, n: int) -> Partition:
        """Every one of n states in a block of its own.

        Examples
        --------
        >>> Partition.discrete(3)
        Partition([[0], [1], [2]])
        """
        return cls.from_canonical(np.arange(n, dtype=np.int32), np.arange(n))

    @property
    def labels(self) -> Labels:
        """Block of each state, shape (n,), read-only.

        Examples
        --------
        >>> Partition.of([{0, 2}, {1}]).labels.tolist()
        [0, 1, 0]
        """
        return self._labels

    @property
    def n(self) -> int:
        """Number of states.

        Examples
        --------
        >>> Partition.of([{0, 2}, {1}]).n
        3
        """
        return len(self.labels)

    def __len__(self) -> int:
        """Number of blocks."""
        return len(self._representatives)

    @cached_property
    def blocks(self) -> Blocks:
        """The blocks in order, each a sorted read-only array of states.

        Examples
        --------
        >>> [block.tolist() for block in Partition([0, 1, 0]).blocks]
        [[0, 2], [1]]
        """
        return Blocks(self.labels, len(self))

    @property
    def representatives(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The first member of each block, shape (len(self),), ascending.

        Examples
        --------
        >>> Partition([0, 1, 0, 2]).representatives.tolist()
        [0, 1, 3]
        """
        return self._representatives

    def refines(self, other: Partition) -> bool:
        """Whether every block lies inside a block of `other`.

        Examples
        --------
        >>> Partition.of([0, 1, 2]).refines(Partition.of([0, 0, 1]))
        True
        """
        self._same_states(other)
        of_block = other.labels[self.representatives]
        return bool(np.array_equal(gather(of_block, self.labels), other.labels))

    def meet(self, other: Partition) -> Partition:
        """Return the coarsest partition that refines both.

        Examples
        --------
        >>> Partition.of([0, 0, 1, 1]).meet(Partition.of([0, 1, 1, 1]))
        Partition([[0], [1], [2, 3]])
        """
        self._same_states(other)
        return Partition.by(self.n, [self.labels, other.labels])

    def join(self, other: Partition) -> Partition:
        """Return the finest partition that both refine.

        Examples
        --------
        >>> Partition.of([0, 0, 1, 2]).join(Partition.of([0, 1, 1, 2]))
        Partition([[0, 1, 2], [3]])
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        self._same_states(other)
        links = coo_array(
            (np.ones(self.n, dtype=np.int8), (self.labels, other.labels)),
            shape=(len(self), len(other)),
        )
        size = len(self) + len(other)
        square = coo_array((links.data, (links.row, links.col + len(self))), shape=(size, size))
        component = connected_components(square, directed=False)[1]
        return Partition(component[self.labels])

    def restrict(self, states: Any) -> Partition:
        """Return the partition that this one induces on some states, renumbered in the given order.

        Parameters
        ----------
        states : array_like of int or of bool
            The states to keep, or a mask of shape (n,).

        Raises
        ------
        InvalidPartition
            If a state is out of range.

        Examples
        --------
        >>> Partition.of([0, 1, 0, 2]).restrict([2, 3, 0])
        Partition([[0, 2], [1]])
        """
        chosen = np.asarray(states)
        if chosen.shape == (self.n,) and chosen.dtype == np.bool_:
            chosen = np.flatnonzero(chosen)
        if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
            raise InvalidPartition(
                "give the numbers of the states to keep, or one bool for each state"
            )
        chosen = chosen.astype(np.int64, copy=False)
        if chosen.size and (chosen.min() < 0 or chosen.max() >= self.n):
            raise InvalidPartition(f"states must lie in 0 .. {self.n - 1}", states=self.n)
        if len(self) <= 1:
            return Partition.trivial(len(chosen))
        return Partition(self.labels[chosen])

    def _same_states(self, other: Partition) -> None:
        if self.n != other.n:
            raise InvalidPartition(
                f"partitions of {self.n} and of {other.n} states cannot be compared",
                states=self.n,
                expected=other.n,
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Partition):
            return NotImplemented
        return bool(np.array_equal(self.labels, other.labels))

    def __hash__(self) -> int:
        return hash((self.n, self.labels.tobytes()))

    def __iter__(self) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
        return iter(self.blocks)

    def __reduce__(self) -> tuple[type[Partition], tuple[Labels]]:
        return (Partition, (self.labels,))

    def __repr__(self) -> str:
        if self.n > _SHOWN:
            return f"Partition({self.n} states in {len(self)} blocks)"
        return f"Partition({[block.tolist() for block in self.blocks]})"


def _canonical(
    labels: np.ndarray[Any, Any], high: int | None = None
) -> tuple[Labels, np.ndarray[Any, Any]]:
    """Renumber labels by first occurrence; return the new ones and the first member of each.

    No label is beyond `high`.
    """
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iub"):
        raise InvalidPartition(
            f"labels must be a one-dimensional array of integers, not {labels.ndim}-dimensional "
            f"of {labels.dtype}",
        )
    n = len(labels)
    if n == 0:
        return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
    labels = labels.view(np.uint8) if labels.dtype == np.bool_ else labels
    if high is None or high > _FEW:
        high = int(labels.max())
    negative = labels.dtype.kind == "i" and labels.min() < 0
    if high < 1 << 8 and not negative:
        return _canonical_bytes(labels.astype(np.uint8, copy=False), high)
    if high >= max(4 * n, 1 << 16) or negative:
        distinct, labels = np.unique(labels, return_inverse=True)
        high = len(distinct) - 1
    first = np.full(high + 1, n, dtype=np.int64)
    # Assigned in reverse, so that the smallest state of each label is written last.
    first[labels[::-1]] = np.arange(n - 1, -1, -1)
    used = np.flatnonzero(first < n)
    used = used[np.argsort(first[used])]
    number = np.empty(high + 1, dtype=np.int32)
    number[used] = np.arange(len(used), dtype=np.int32)
    return gather(number, labels), first[used]


def _canonical_bytes(
    labels: np.ndarray[Any, np.dtype[np.uint8]], high: int
) -> tuple[Labels, np.ndarray[Any, Any]]:
    """Do the same with labels of one byte, 0 .. high, of which some may not occur.

    A search for a byte runs at the speed of memory.
    """
    data = labels.tobytes()
    members = ((data.find(label), label) for label in range(high + 1))
    found = sorted((first, label) for first, label in members if first >= 0)
    used = [label for _, label in found]
    if used == list(range(len(used))):
        numbers = labels
    elif len(used) <= _FEW:
        numbers = (labels != used[0]).view(np.uint8)
        for further, label in enumerate(used[2:], start=1):
            numbers += (labels == label).view(np.uint8) * np.uint8(further)
    else:
        table = np.zeros(high + 1, dtype=np.int32)
        table[used] = np.arange(len(used), dtype=np.int32)
        numbers = gather(table, labels)
    firsts = np.array([first for first, _ in found], dtype=np.int64)
    return numbers.astype(np.int32, copy=False), firsts


def _names(states: int | Sequence[Hashable] | None, default: int) -> Sequence[Hashable]:
    if states is None:
        return range(default)
    return range(states) if isinstance(states, int | np.integer) else states


def _is_nested(items: Sequence[Any]) -> bool:
    return bool(items) and isinstance(items[0], Iterable) and not isinstance(items[0], str)


def _numbered(keys: list[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    number: dict[Hashable, int] = {}
    try:
        if missing := [place for place, key in enumerate(keys) if key != key]:  # noqa: PLR0124
            raise InvalidPartition(f"the label at position {missing[0]} is missing: it is NaN")
        return np.array([number.setdefault(key, len(number)) for key in keys], dtype=np.int64)
    except TypeError as error:
        raise InvalidPartition(f"a block must have a hashable name: {error}") from None


def _from_labels(
    labels: np.ndarray[Any, Any] | list[Any], states: int | Sequence[Hashable] | None
) -> np.ndarray[Any, Any]:
    if isinstance(labels, list):
        # numpy would turn 1 and "1" into the same text, and huge integers into floats.
        whole = all(isinstance(x, int | np.integer) and -(2**63) <= x < 2**63 for x in labels)
        array: np.ndarray[Any, Any] = np.array(labels, np.int64) if whole else _numbered(labels)
    elif labels.ndim == 1 and labels.dtype.kind not in "iub":
        array = _numbered(labels.tolist())
    else:
        array = labels
    if states is not None and array.ndim == 1 and len(array) != len(_names(states, 0)):
        raise InvalidPartition(
            f"{len(array)} labels for {len(_names(states, 0))} states: give one for each",
            labels=len(array),
            expected=len(_names(states, 0)),
        )
    return array


def _from_mapping(
    block_of: Mapping[Any, Hashable], names: Sequence[Hashable]
) -> np.ndarray[Any, np.dtype[np.int64]]:
    for state in names:
        if state not in block_of:
            known = set(names)
            strangers = [] if isinstance(names, range) else [s for s in block_of if s not in known]
            more = f", and {strangers[0]!r} is not a state of the model" if strangers else ""
            raise InvalidPartition(f"state {state!r} is in no block{more}", state=state)
    if len(block_of) > len(names):
        known = set(names)
        stranger = next(state for state in block_of if state not in known)
        raise InvalidPartition(f"state {stranger!r} is not a state of the model", state=stranger)
    return _numbered([block_of[state] for state in names])


def _from_blocks(
    blocks: Sequence[Iterable[Hashable]], states: int | Sequence[Hashable] | None
) -> np.ndarray[Any, Any]:
    block_of: dict[Hashable, int] = {}
    for number, block in enumerate(blocks):
        for state in block:
            if state in block_of:
                raise InvalidPartition(
                    f"state {state!r} is in two blocks"
                    if block_of[state] != number
                    else f"state {state!r} is listed twice in one block",
                    state=state,
                )
            block_of[state] = number
    return _from_mapping(block_of, _names(states, len(block_of)))

"""A history of splits, replayed: no coarser partition that respects the same is a lumping.

See `lumpability.split_history` for why a history is a proof.  What has to be checked of it is little, because
the final partition is a lumping: one row of sums speaks for each final block.

1. The nodes are a forest: roots tile the final blocks, the parts of a split tile its node, no node is
   split twice, and those that are not split are single blocks.
2. The roots are exactly the classes of what must be respected.
3. A splitter was there before the parts of its split.
4. Every member of a part has the recorded sum into the splitter, and different parts of a split have
   different sums.

The last is checked for all splits at once.  Blocks are renumbered by their place in the history's order, so that every node is a range.  What enters
a splitter is then a range of the transposed rows; summed by source it yields all members of the split
node with a sum that may not be zero, and the other members have the sum zero.  Splitters are done some
million entries at a time: O(m log k) for a history in which the larger part is never the splitter.  A history
that would take much longer is refused; every engine's is far from it.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from lumpability.certificate.soundness import like, portions
from lumpability.certificate.verification import Contradiction
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.split_history import History
from lumpability.structure import WeightedStructure

__all__ = ["Replay", "refuse", "replay"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]

_SAFE = 1 << 62
_PATIENCE = 4


def refuse(reason: str) -> NoReturn:
    """Raise a `Contradiction` about the history."""
    raise Contradiction("history", reason)


@dataclass(frozen=True, eq=False)
class Replay:
    """The splits by sums of one matrix, with blocks numbered by their place in the order."""

    history: History
    k: int
    # starts, sources, codes: what enters the block at place t comes from
    # ``sources[starts[t]:starts[t + 1]]``.
    starts: IntArray
    sources: IntArray
    codes: Any
    splits: IntArray  # those to check
    # Shape (parts,): number of the split times k, plus the place where the part begins; ascending.
    first_place: IntArray
    sums: _Sums
    leaving: _Leaving | None  # for proportional lumpability

    @classmethod
    def of(
        cls, history: History, matrix: WeightedStructure, splits: IntArray, proportional: bool
    ) -> Replay:
        """Renumber and transpose the matrix."""
        k = matrix.n
        place = np.empty(k, dtype=np.int64)
        place[history.order] = np.arange(k)
        rows, columns = place[matrix.sources()], place[matrix.indices]
        starts, sources, codes = compressed(k, columns, rows, matrix.weights.codes)
        owner = np.repeat(np.arange(history.splits), np.diff(history.first_part))
        return cls(
            history=history,
            k=k,
            starts=starts,
            sources=sources,
            codes=codes,
            splits=splits,
            first_place=owner * k + history.starts[history.roots :],
            sums=_Sums.of(
                matrix.weights,
                history.sums,
                terms=int(np.diff(matrix.indptr).max(initial=0)),
                proportional=proportional,
            ),
            leaving=_Leaving(*compressed(k, rows, columns, matrix.weights.codes), matrix.weights)
            if proportional
            else None,
        )

    def run(self, touched: IntArray) -> None:
        """Check all members that something enters the splitter from; count them for each part."""
        history = self.history
        nodes, which = np.unique(history.splitter[self.splits], return_inverse=True)
        order = np.argsort(which, kind="stable")
        splits, which = self.splits[order], which[order]
        if self.leaving is not None:
            self._check_apart(splits)
        lows, highs = self.starts[history.starts[nodes]], self.starts[history.ends[nodes]]
        patience = _PATIENCE * (len(self.codes) + self.k) * max(self.k, 2).bit_length()
        patience = _spend(patience, int((highs - lows).sum()))
        for first, last in portions(highs - lows):
            low, high = np.searchsorted(which, [first, last])
            groups = self._groups(lows[first:last], highs[first:last])
            node, splitter = history.split_node[splits[low:high]], which[low:high] - first
            begins = np.searchsorted(groups.keys, splitter * self.k + history.starts[node])
            ends = np.searchsorted(groups.keys, splitter * self.k + history.ends[node])
            patience = _spend(patience, int((ends - begins).sum()))
            for start, stop in portions(ends - begins):
                some = splits[low:high][start:stop]
                self._check(some, groups, begins[start:stop], ends[start:stop], touched)

    def _groups(self, lows: IntArray, highs: IntArray) -> _Groups:
        """Sum what enters some splitters, for each by where it comes from."""
        owner, entries = ranges(lows, highs)
        keys = owner * self.k + self.sources[entries]
        sort = np.argsort(keys, kind="stable")
        keys, entries = keys[sort], entries[sort]
        begins = np.flatnonzero(np.diff(keys, prepend=-1))
        bounds = np.append(begins, len(keys))
        return _Groups(keys[begins], self.sums.of_groups(self.codes[entries], bounds))

    def _check(
        self, splits: IntArray, groups: _Groups, begins: IntArray, ends: IntArray, touched: IntArray
    ) -> None:
        """Compare the sums of members with those recorded; groups begins .. ends are of each split."""
        history, node = self.history, self.history.split_node[splits]
        chosen, group = ranges(begins, ends)
        places = groups.keys[group] % self.k
        keys = splits[chosen] * self.k + places
        parts = np.searchsorted(self.first_place, keys, side="right") - 1
        if self.leaving is None:
            right = self.sums.agree(groups.sums, group, parts)
        else:
            low, high = history.starts[node][chosen], history.ends[node][chosen]
            leaves = self.leaving.sums(places, low, high)
            right = self.sums.agree_shares(groups.sums, group, leaves, parts)
        if not right.all():
            wrong = int(np.flatnonzero(~right)[0])
            split, block = int(splits[chosen[wrong]]), int(history.order[places[wrong]])
            refuse(
                f"split {split}: block {block} does not have the sum into node "
                f"{int(history.splitter[split])} that is recorded for its part"
            )
        np.add.at(touched, parts, 1)

    def _check_apart(self, splits: IntArray) -> None:
        starts, ends = self.history.starts, self.history.ends
        node, splitter = self.history.split_node[splits], self.history.splitter[splits]
        if ((starts[splitter] < ends[node]) & (starts[node] < ends[splitter])).any():
            refuse("a splitter meets the node that it splits, which shares cannot tell apart")


@dataclass(frozen=True, eq=False)
class _Groups:
    """Sums of what enters splitters, by splitter and by where it comes from."""

    keys: IntArray  # the number of the splitter times k, plus the place that the sum is of
    sums: Any


@dataclass(frozen=True, eq=False)
class _Sums:
    """Exact sums of entries, comparable with those that are recorded."""

    weights: tuple[Any, ...]  # the distinct weights of the matrix
    recorded: ExactArray  # shape (parts,)
    # table, expected: distinct weights and recorded sums times a common denominator, where a bound
    # says that every sum fits 64 bits.
    table: IntArray | None
    expected: IntArray | None

    @classmethod
    def of(cls, weights: ExactArray, sums: ExactArray, *, terms: int, proportional: bool) -> _Sums:
        """Choose integers of 64 bits if no sum of so many entries, those of a row, can be too large."""
        recorded = like(sums, weights, "history")
        if proportional or not (weights.is_rational and weights.is_narrow):
            return cls(weights.values, recorded, None, None)
        integers, denominator = weights.integers
        if terms * max(map(abs, integers), default=0) >= _SAFE:
            return cls(weights.values, recorded, None, None)
        scaled = [value * denominator for value in recorded.values]
        possible = [v.denominator == 1 and abs(v) < _SAFE for v in scaled]
        # No sum can be what stands for a recorded number that is no sum.
        expected = [int(v) if ok else _SAFE for v, ok in zip(scaled, possible, strict=True)]
        as_array = [np.array(numbers, dtype=np.int64) for numbers in (integers, expected)]
        return cls(weights.values, recorded, as_array[0], as_array[1])

    def of_groups(self, codes: Any, bounds: IntArray) -> Any:
        """Return the sum of every group of entries: integers, or an `ExactArray`."""
        if self.table is None:
            return ExactArray(codes, self.weights).segment_sums(bounds)
        running = np.append(0, np.cumsum(self.table[codes]))
        # Running sums may wrap around; their differences are exact modulo 2^64, and small.
        return running[bounds[1:]] - running[bounds[:-1]]

    def agree(self, found: Any, group: IntArray, parts: IntArray) -> Any:
        """Whether sums are those that are recorded for some parts."""
        if self.expected is not None:
            return found[group] == self.expected[self.recorded.codes[parts]]
        return self._same(found, group, parts)

    def agree_shares(
        self, found: ExactArray, group: IntArray, leaves: ExactArray, parts: IntArray
    ) -> Any:
        """Whether the shares of sums in what leaves are those that are recorded for some parts."""
        shares = ExactArray(found.codes[group], found.values).combine(leaves, operator.truediv)
        return self._same(shares, np.arange(len(shares)), parts)

    def _same(self, found: ExactArray, group: IntArray, parts: IntArray) -> Any:
        number = {value: code for code, value in enumerate(self.recorded.values)}
        table = np.array([number.get(value, -1) for value in found.values], dtype=np.int64)
        return table[found.codes[group]] == self.recorded.codes[parts]


@dataclass(frozen=True, eq=False)
class _Leaving:
    """Rows of a matrix, to sum what leaves a node."""

    starts: IntArray
    targets: IntArray
    codes: Any
    weights: ExactArray

    def sums(self, places: IntArray, low: IntArray, high: IntArray) -> ExactArray:
        """Return for members of nodes what goes from each to outside its node ``low .. high``."""
        owner, entries = ranges(self.starts[places], self.starts[places + 1])
        targets = self.targets[entries]
        outside = (targets < low[owner]) | (targets >= high[owner])
        owner, entries = owner[outside], entries[outside]
        bounds = np.searchsorted(owner, np.arange(len(places) + 1))
        return ExactArray(self.codes[entries], self.weights.values).segment_sums(bounds)


def _spend(patience: int, steps: int) -> int:
    """Return the patience that is left after some steps."""
    if steps > patience:
        refuse(
            f"to replay it takes {steps} steps, {patience} are allowed: its splitters are too large"
        )
    return patience - steps


def ranges(low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
    """Return the numbers in some ranges, one range behind the other, and which range each is in.

    Examples
    --------
    >>> owner, numbers = ranges(np.array([5, 9, 2]), np.array([7, 9, 3]))
    >>> owner.tolist(), numbers.tolist()
    ([0, 0, 2], [5, 6, 2])
    """
    lengths = high - low
    owner = np.repeat(np.arange(len(low)), lengths)
    return owner, np.arange(len(owner)) + (low - (np.cumsum(lengths) - lengths))[owner]


def compressed(
    k: int, rows: IntArray, columns: IntArray, codes: Any
) -> tuple[IntArray, IntArray, Any]:
    """Return the compressed rows of a k x k matrix given by places: starts, columns ascending, codes.

    Examples
    --------
    >>> starts, columns, codes = compressed(2, np.array([1, 1]), np.array([1, 0]), np.array([7, 8]))
    >>> starts.tolist(), columns.tolist(), codes.tolist()
    ([0, 0, 2], [0, 1], [8, 7])
    """
    from scipy.sparse import coo_array

    entries = coo_array((np.arange(len(rows)), (rows, columns)), shape=(k, k)).tocsr()
    entries.sort_indices()
    return entries.indptr.astype(np.int64), entries.indices.astype(np.int64), codes[entries.data]


def replay(
    history: History,
    matrices: list[WeightedStructure],
    respected: Partition,
    *,
    proportional: bool = False,
) -> None:
    """Check that a history proves that no two blocks can be merged.

    Raises `Contradiction` if it does not.

    Parameters
    ----------
    matrices : list of WeightedStructure, each of k states
        The sums of one member of each block, for every condition of the kind.
    respected : Partition
        Of the k blocks, by what must be respected.
    proportional : bool
        Whether recorded sums are shares of what leaves the split node.
    """
    _check_forest(history, respected.n, len(matrices))
    _check_roots(history, respected)
    touched = np.zeros(len(history.sums), dtype=np.int64)
    for number, matrix in enumerate(matrices):
        splits = np.flatnonzero(history.condition == number)
        if len(splits):
            Replay.of(history, matrix, splits, proportional).run(touched)
    nonzero = np.array([value != 0 for value in history.sums.values], dtype=bool)
    sizes = (history.ends - history.starts)[history.roots :]
    missing = np.flatnonzero(nonzero[history.sums.codes] & (touched != sizes))
    if len(missing):
        part = history.roots + int(missing[0])
        refuse(f"node {part} has members whose sum into the splitter is zero, not what is recorded")


def _check_forest(history: History, blocks: int, conditions: int) -> None:
    starts, ends, roots = history.starts, history.ends, history.roots
    first, node = history.first_part, history.split_node
    nodes, splits = len(starts), len(node)
    fits = len(ends) == nodes == roots + len(history.sums) and len(first) == splits + 1
    if not fits or not len(history.splitter) == len(history.condition) == splits:
        refuse("its columns have lengths that do not belong together")
    if not np.array_equal(np.sort(history.order), np.arange(blocks)):
        refuse(f"its order does not hold each of {blocks} blocks once")
    if nodes and not ((starts >= 0) & (starts < ends) & (ends <= blocks)).all():
        refuse("a node is no range of blocks")
    if not _tiles(starts[:roots], ends[:roots], 0, blocks):
        refuse("the roots do not tile the blocks")
    if first[0] != roots or first[-1] != nodes or (np.diff(first) < 2).any():
        refuse("a split has fewer than two parts, or parts of its own that it does not name")
    if splits and not ((node >= 0) & (node < first[:-1])).all():
        refuse("a node is split before it is there")
    if splits and not ((history.splitter >= 0) & (history.splitter < first[:-1])).all():
        refuse("a splitter is not there before the parts of its split")
    if splits and not ((history.condition >= 0) & (history.condition < conditions)).all():
        refuse("a split refers to a condition that the kind does not have")
    inner = np.bincount(node, minlength=nodes)
    if inner.max(initial=0) > 1:
        refuse(f"node {int(inner.argmax())} is split twice")
    if ((inner == 0) & (ends - starts > 1)).any():
        left = int(np.flatnonzero((inner == 0) & (ends - starts > 1))[0])
        refuse(f"node {left} stays together, although it holds {ends[left] - starts[left]} blocks")
    begins, lasts = first[:-1], first[1:] - 1
    behind = np.ones(nodes, dtype=bool)  # whether a node starts where the one before it ends
    behind[1:] = starts[1:] == ends[:-1]
    behind[begins] = True
    tiled = (starts[begins] == starts[node]) & (ends[lasts] == ends[node])
    if not (tiled.all() and behind[roots:].all()):
        refuse("the parts of a split do not tile its node")
    _check_different(history, splits)


def _tiles(starts: IntArray, ends: IntArray, low: int, high: int) -> bool:
    return bool(np.array_equal(np.append(low, ends), np.append(starts, high)))


def _check_different(history: History, splits: int) -> None:
    """Refuse a split two of whose parts have one sum."""
    owner = np.repeat(np.arange(splits), np.diff(history.first_part))
    keys = np.sort(owner * max(len(history.sums.values), 1) + history.sums.codes)
    if (keys[1:] == keys[:-1]).any():
        refuse("two parts of a split have the same sum into the splitter")


def _check_roots(history: History, respected: Partition) -> None:
    sizes = (history.ends - history.starts)[: history.roots]
    root = np.empty(respected.n, dtype=np.int64)
    root[history.order] = np.repeat(np.arange(history.roots), sizes)
    if Partition(root) != respected:
        refuse("the roots are not the blocks of what must be respected")

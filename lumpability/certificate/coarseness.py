"""A history of splits, replayed: no coarser partition that respects the same is a lumping.

See `lumpability.history` for why a history is a proof.  What has to be checked of it is little, because
the final partition is a lumping: one row of sums speaks for each final block.

1. The nodes are a forest: roots tile the final blocks, the parts of a split tile its node, no node is
   split twice, and those that are not split are single blocks.
2. The roots are exactly the classes of what must be respected.
3. A splitter was there before the parts of its split.
4. Every member of a part has the recorded sum into the splitter, and different parts of a split have
   different sums.

For 4. blocks are renumbered by their place in `order`, so that every node is a range.  What enters a splitter
is then a range of the transposed rows; summed by source it yields all members of the split node with
a sum that may not be zero, and the other members have the sum zero.  All splitters are done at once, some million
entries at a time: O(m log k) for a history in which the larger part is never the splitter.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.certificate.verification import Contradiction
from lumpability.exact_array import ExactArray
from lumpability.history import History
from lumpability.parameters import read_elements
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure

__all__ = ["replay"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]

_CHUNK = 1 << 22
_SAFE = 1 << 62
_PATIENCE = 4


def replay(
    history: History,
    matrices: list[WeightedStructure],
    respected: Partition,
    *,
    proportional: bool = False,
) -> None:
    """Check that a history proves that no two blocks can be merged.

    Parameters
    ----------
    history : History
    matrices : list of WeightedStructure, each of k states
        The sums of one member of each block, for every condition of the kind.
    respected : Partition
        Of the k blocks, by what must be respected.
    proportional : bool
        Whether recorded sums are shares of what leaves the split node.

    Raises
    ------
    Contradiction
        If it does not.
    """
    _check_forest(history, respected.n, len(matrices))
    _check_roots(history, respected)
    touched = np.zeros(len(history.sums), dtype=np.int64)
    for number, matrix in enumerate(matrices):
        splits = np.flatnonzero(history.condition == number)
        if len(splits):
            _Replay.of(history, matrix, splits, proportional).run(touched)
    nonzero = np.array([value != 0 for value in history.sums.values], dtype=bool)
    sizes = (history.ends - history.starts)[history.roots :]
    missing = np.flatnonzero(nonzero[history.sums.codes] & (touched != sizes))
    if len(missing):
        part = history.roots + int(missing[0])
        _refuse(
            f"node {part} has members whose sum into the splitter is zero, not what is recorded"
        )


def _refuse(reason: str) -> None:
    raise Contradiction("history", reason)


def _check_forest(history: History, blocks: int, conditions: int) -> None:
    starts, ends, roots = history.starts, history.ends, history.roots
    first, node = history.first_part, history.split_node
    nodes, splits = len(starts), len(node)
    fits = len(ends) == nodes == roots + len(history.sums) and len(first) == splits + 1
    if not fits or not len(history.splitter) == len(history.condition) == splits:
        _refuse("its columns have lengths that do not belong together")
    if not np.array_equal(np.sort(history.order), np.arange(blocks)):
        _refuse(f"its order does not hold each of {blocks} blocks once")
    if nodes and not ((starts >= 0) & (starts < ends) & (ends <= blocks)).all():
        _refuse("a node is no range of blocks")
    if not _tiles(starts[:roots], ends[:roots], 0, blocks):
        _refuse("the roots do not tile the blocks")
    if first[0] != roots or first[-1] != nodes or (np.diff(first) < 2).any():
        _refuse("a split has fewer than two parts, or parts of its own that it does not name")
    if splits and not ((node >= 0) & (node < first[:-1])).all():
        _refuse("a node is split before it is there")
    if splits and not ((history.splitter >= 0) & (history.splitter < first[:-1])).all():
        _refuse("a splitter is not there before the parts of its split")
    if splits and not ((history.condition >= 0) & (history.condition < conditions)).all():
        _refuse("a split refers to a condition that the kind does not have")
    inner = np.bincount(node, minlength=nodes)
    if inner.max(initial=0) > 1:
        _refuse(f"node {int(inner.argmax())} is split twice")
    if ((inner == 0) & (ends - starts > 1)).any():
        left = int(np.flatnonzero((inner == 0) & (ends - starts > 1))[0])
        _refuse(f"node {left} stays together, although it holds {ends[left] - starts[left]} blocks")
    begins, lasts = first[:-1], first[1:] - 1
    behind = np.ones(nodes, dtype=bool)  # whether a node starts where the one before it ends
    behind[1:] = starts[1:] == ends[:-1]
    behind[begins] = True
    tiled = (starts[begins] == starts[node]) & (ends[lasts] == ends[node])
    if not (tiled.all() and behind[roots:].all()):
        _refuse("the parts of a split do not tile its node")
    _check_different(history, splits)


def _tiles(starts: IntArray, ends: IntArray, low: int, high: int) -> bool:
    return bool(np.array_equal(np.append(low, ends), np.append(starts, high)))


def _check_different(history: History, splits: int) -> None:
    """Refuse a split two of whose parts have one sum."""
    owner = np.repeat(np.arange(splits), np.diff(history.first_part))
    keys = np.sort(owner * max(len(history.sums.values), 1) + history.sums.codes)
    if (keys[1:] == keys[:-1]).any():
        _refuse("two parts of a split have the same sum into the splitter")


def _check_roots(history: History, respected: Partition) -> None:
    sizes = (history.ends - history.starts)[: history.roots]
    root = np.empty(respected.n, dtype=np.int64)
    root[history.order] = np.repeat(np.arange(history.roots), sizes)
    if Partition(root) != respected:
        _refuse("the roots are not the blocks of what must be respected")


@dataclass(frozen=True, eq=False)
class _Replay:
    """The splits by sums of one matrix, with blocks numbered by their place in the order.

    Attributes
    ----------
    starts, sources, codes : compressed rows of the transposed matrix
        What enters the block at place t comes from ``sources[starts[t]:starts[t + 1]]``.
    splits : array of int
        Those to check.
    first_place : array of int, shape (parts,)
        Number of the split times k, plus the place where the part begins; ascending.
    leaving : _Leaving or None
        For proportional lumpability.
    """

    history: History
    k: int
    starts: IntArray
    sources: IntArray
    codes: Any
    splits: IntArray
    first_place: IntArray
    sums: _Sums
    leaving: _Leaving | None

    @classmethod
    def of(
        cls, history: History, matrix: WeightedStructure, splits: IntArray, proportional: bool
    ) -> _Replay:
        """Renumber and transpose the matrix."""
        k = matrix.n
        place = np.empty(k, dtype=np.int64)
        place[history.order] = np.arange(k)
        rows, columns = place[matrix.sources()], place[matrix.indices]
        starts, sources, codes = _compressed(k, columns, rows, matrix.weights.codes)
        owner = np.repeat(np.arange(history.splits), np.diff(history.first_part))
        return cls(
            history=history,
            k=k,
            starts=starts,
            sources=sources,
            codes=codes,
            splits=splits,
            first_place=owner * k + history.starts[history.roots :],
            sums=_Sums.of(matrix.weights, history.sums, len(codes), proportional),
            leaving=_Leaving(*_compressed(k, rows, columns, matrix.weights.codes), matrix.weights)
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
        work = np.cumsum(highs - lows)
        patience = _PATIENCE * (len(self.codes) + self.k) * max(self.k, 2).bit_length()
        done = first = 0
        while first < len(nodes):
            before = int(work[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(work, before + _CHUNK, side="right")))
            low, high = np.searchsorted(which, [first, last])
            done += int(work[last - 1]) - before
            done += self._run(
                lows[first:last],
                highs[first:last],
                splits[low:high],
                which[low:high] - first,
                touched,
            )
            if done > patience:
                _refuse(
                    f"to replay it takes more than {patience} steps: its splitters are too large"
                )
            first = last

    def _run(
        self, lows: IntArray, highs: IntArray, splits: IntArray, which: IntArray, touched: IntArray
    ) -> int:
        """Check the splits by some splitters; return how many members were looked at."""
        history, k = self.history, self.k
        owner, entries = _ranges(lows, highs)
        keys = owner * k + self.sources[entries]
        sort = np.argsort(keys, kind="stable")  # by splitter, then by where it comes from
        keys, entries = keys[sort], entries[sort]
        begins = np.flatnonzero(np.diff(keys, prepend=-1))
        groups = keys[begins]
        node = history.split_node[splits]
        low = np.searchsorted(groups, which * k + history.starts[node])
        high = np.searchsorted(groups, which * k + history.ends[node])
        looked = int((high - low).sum())
        if looked > _CHUNK + 2 * len(entries):
            _refuse("its splits overlap: one splitter takes parts of a node apart again and again")
        chosen, group = _ranges(low, high)
        places = groups[group] % k
        parts = np.searchsorted(self.first_place, splits[chosen] * k + places, side="right") - 1
        bounds = np.append(begins, len(keys))
        found = self.sums.of_groups(self.codes[entries], bounds)
        if self.leaving is None:
            right = self.sums.agree(found, group, history.sums.codes[parts])
        else:
            leaves = self.leaving.sums(
                places, history.starts[node][chosen], history.ends[node][chosen]
            )
            right = self.sums.agree_shares(found, group, leaves, history.sums.codes[parts])
        if not right.all():
            wrong = int(np.flatnonzero(~right)[0])
            block = int(history.order[places[wrong]])
            _refuse(
                f"split {int(splits[chosen[wrong]])}: block {block} does not have the sum into node "
                f"{int(history.splitter[splits[chosen[wrong]]])} that is recorded for its part"
            )
        np.add.at(touched, parts, 1)
        return looked

    def _check_apart(self, splits: IntArray) -> None:
        starts, ends = self.history.starts, self.history.ends
        node, splitter = self.history.split_node[splits], self.history.splitter[splits]
        if ((starts[splitter] < ends[node]) & (starts[node] < ends[splitter])).any():
            _refuse("a splitter meets the node that it splits, which shares cannot tell apart")


@dataclass(frozen=True, eq=False)
class _Sums:
    """Exact sums of entries, comparable with those that are recorded.

    Attributes
    ----------
    weights : ExactArray
        Of the matrix; only its values are used.
    recorded : list
        The distinct recorded sums.
    table, expected : int64 arrays or None
        Both times a common denominator, where a bound says that every sum fits 64 bits.
    """

    weights: tuple[Any, ...]
    recorded: list[Any]
    table: IntArray | None
    expected: IntArray | None

    @classmethod
    def of(cls, weights: ExactArray, sums: ExactArray, terms: int, proportional: bool) -> _Sums:
        """Choose integers of 64 bits if no sum of that many entries can be too large."""
        if not (weights.is_rational and sums.is_rational):
            # One field for all: equal rational functions are then equal objects.
            elements = read_elements([*weights.values, *sums.values])
            count = len(weights.values)
            return cls(tuple(elements[:count]), elements[count:], None, None)
        recorded = list(sums.values)
        if proportional or not weights.is_narrow:
            return cls(weights.values, recorded, None, None)
        integers, denominator = weights.integers
        if terms * max(map(abs, integers), default=0) >= _SAFE:
            return cls(weights.values, recorded, None, None)
        scaled = [value * denominator for value in recorded]
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
        return running[bounds[1:]] - running[bounds[:-1]]

    def agree(self, found: Any, group: IntArray, codes: Any) -> Any:
        """Whether sums are the recorded ones."""
        if self.expected is not None:
            return found[group] == self.expected[codes]
        return self._same(found, group, codes)

    def agree_shares(
        self, found: ExactArray, group: IntArray, leaves: ExactArray, codes: Any
    ) -> Any:
        """Whether the shares of sums in what leaves are the recorded ones."""
        shares = ExactArray(found.codes[group], found.values).combine(leaves, operator.truediv)
        return self._same(shares, np.arange(len(shares)), codes)

    def _same(self, found: ExactArray, group: IntArray, codes: Any) -> Any:
        number = {value: code for code, value in enumerate(self.recorded)}
        table = np.array([number.get(value, -1) for value in found.values], dtype=np.int64)
        return table[found.codes[group]] == codes


@dataclass(frozen=True, eq=False)
class _Leaving:
    """Rows of a matrix, to sum what leaves a node."""

    starts: IntArray
    targets: IntArray
    codes: Any
    weights: ExactArray

    def sums(self, places: IntArray, low: IntArray, high: IntArray) -> ExactArray:
        """Return for members of nodes what goes from each to outside its node ``low .. high``."""
        owner, entries = _ranges(self.starts[places], self.starts[places + 1])
        targets = self.targets[entries]
        outside = (targets < low[owner]) | (targets >= high[owner])
        owner, entries = owner[outside], entries[outside]
        bounds = np.searchsorted(owner, np.arange(len(places) + 1))
        return ExactArray(self.codes[entries], self.weights.values).segment_sums(bounds)


def _ranges(low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
    """Return for the numbers in some ranges, one range behind the other, which range each is in."""
    lengths = high - low
    owner = np.repeat(np.arange(len(low)), lengths)
    return owner, np.arange(len(owner)) + (low - (np.cumsum(lengths) - lengths))[owner]


def _compressed(
    k: int, rows: IntArray, columns: IntArray, codes: Any
) -> tuple[IntArray, IntArray, Any]:
    """Return the compressed rows of a matrix given by places: starts, columns ascending, codes."""
    from scipy.sparse import coo_array

    entries = coo_array((np.arange(len(rows)), (rows, columns)), shape=(k, k)).tocsr()
    entries.sort_indices()
    return entries.indptr.astype(np.int64), entries.indices, codes[entries.data]

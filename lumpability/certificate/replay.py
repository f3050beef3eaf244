"""Replaying a history of splits: no coarser partition that respects the same is a lumping.

`lumpability.split_history` explains why a history is a proof.  Because the final partition is a lumping, one
row of sums represents each final block, and four things have to be checked:

1. The nodes are a forest: roots tile the final blocks, the parts of a split tile its node, no node is
   split twice, and nodes that are not split are single blocks.
2. The roots are exactly the blocks of the respected partition.
3. A splitter comes before the parts of its split.
4. Every member of a part has the recorded sum into the splitter, and different parts of a split have
   different sums.

The last is checked for all splits at once.  Blocks are renumbered by their place in the history's order, so
every node is a range.  Then the transitions into a splitter are a range of the transposed rows.  Summed by
source, they give all members of the split node with a nonzero sum; the other members have the sum zero.
Splitters are processed some million entries at a time: O(m log k) for a history in which the largest part is
never the splitter.  A history that would take much longer is refused; this library's are far from that limit.
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
    # starts, sources, codes: the transitions into the block at place t come from
    # ``sources[starts[t]:starts[t + 1]]``.
    starts: IntArray
    sources: IntArray
    codes: Any
    splits: IntArray  # those to check
    # Shape (parts,): number of the split times k, plus the place where the part starts; ascending.
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
        """Check all members with transitions into the splitter; count them for each part."""
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
        """Sum the transitions into each of some splitters by their source."""
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
        """Compare the sums of members with the recorded ones; groups begins .. ends belong to each split."""
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
                f"split {split}: the sum of block {block} into node "
                f"{int(history.splitter[split])} is not the sum recorded for its part"
            )
        np.add.at(touched, parts, 1)

    def _check_apart(self, splits: IntArray) -> None:
        starts, ends = self.history.starts, self.history.ends
        node, splitter = self.history.split_node[splits], self.history.splitter[splits]
        if ((starts[splitter] < ends[node]) & (starts[node] < ends[splitter])).any():
            refuse("a splitter overlaps the node that it splits, so shares cannot be compared")


@dataclass(frozen=True, eq=False)
class _Groups:
    """Sums of the transitions into splitters, by splitter and source."""

    keys: IntArray  # the number of the splitter times k, plus the place of the source
    sums: Any


@dataclass(frozen=True, eq=False)
class _Sums:
    """Exact sums of entries, comparable with the recorded sums."""

    weights: tuple[Any, ...]  # the distinct weights of the matrix
    recorded: ExactArray  # shape (parts,)
    # table, expected: distinct weights and recorded sums times a common denominator, if a bound
    # shows that every sum fits 64 bits.
    table: IntArray | None
    expected: IntArray | None

    @classmethod
    def of(cls, weights: ExactArray, sums: ExactArray, *, terms: int, proportional: bool) -> _Sums:
        """Choose integers of 64 bits if no sum of a row, with at most `terms` entries, can be too large."""
        recorded = like(sums, weights, "history")
        if proportional or not (weights.is_rational and weights.is_narrow):
            return cls(weights.values, recorded, None, None)
        integers, denominator = weights.integers
        if terms * max(map(abs, integers), default=0) >= _SAFE:
            return cls(weights.values, recorded, None, None)
        scaled = [value * denominator for value in recorded.values]
        possible = [v.denominator == 1 and abs(v) < _SAFE for v in scaled]
        # A recorded number that cannot be a sum is replaced by one that no sum equals.
        expected = [int(v) if ok else _SAFE for v, ok in zip(scaled, possible, strict=True)]
        as_array = [np.array(numbers, dtype=np.int64) for numbers in (integers, expected)]
        return cls(weights.values, recorded, as_array[0], as_array[1])

    def of_groups(self, codes: Any, bounds: IntArray) -> Any:
        """Return the sum of every group of entries: integers, or an `ExactArray`."""
        if self.table is None:
            return ExactArray(codes, self.weights).segment_sums(bounds)
        running = np.append(0, np.cumsum(self.table[codes]))
        # Running sums may overflow; their differences are exact modulo 2^64, and small.
        return running[bounds[1:]] - running[bounds[:-1]]

    def agree(self, found: Any, group: IntArray, parts: IntArray) -> Any:
        """Return whether sums equal those recorded for some parts."""
        if self.expected is not None:
            return found[group] == self.expected[self.recorded.codes[parts]]
        return self._same(found, group, parts)

    def agree_shares(
        self, found: ExactArray, group: IntArray, leaves: ExactArray, parts: IntArray
    ) -> Any:
        """Return whether each sum over the rate leaving the node equals the recorded share."""
        shares = ExactArray(found.codes[group], found.values).combine(leaves, operator.truediv)
        return self._same(shares, np.arange(len(shares)), parts)

    def _same(self, found: ExactArray, group: IntArray, parts: IntArray) -> Any:
        number = {value: code for code, value in enumerate(self.recorded.values)}
        table = np.array([number.get(value, -1) for value in found.values], dtype=np.int64)
        return table[found.codes[group]] == self.recorded.codes[parts]


@dataclass(frozen=True, eq=False)
class _Leaving:
    """Rows of a matrix, to sum the rates out of a node."""

    starts: IntArray
    targets: IntArray
    codes: Any
    weights: ExactArray

    def sums(self, places: IntArray, low: IntArray, high: IntArray) -> ExactArray:
        """Return for members of nodes the rate of each out of its node ``low .. high``."""
        owner, entries = ranges(self.starts[places], self.starts[places + 1])
        targets = self.targets[entries]
        outside = (targets < low[owner]) | (targets >= high[owner])
        owner, entries = owner[outside], entries[outside]
        bounds = np.searchsorted(owner, np.arange(len(places) + 1))
        return ExactArray(self.codes[entries], self.weights.values).segment_sums(bounds)


def _spend(patience: int, steps: int) -> int:
    """Return the number of steps that remain, or refuse the history."""
    if steps > patience:
        refuse(
            f"to replay it takes {steps} steps, {patience} are allowed: its splitters are too large"
        )
    return patience - steps


def ranges(low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
    """Return the numbers in some ranges, range after range, and for each number the index of its range."""
    lengths = high - low
    owner = np.repeat(np.arange(len(low)), lengths)
    return owner, np.arange(len(owner)) + (low - (np.cumsum(lengths) - lengths))[owner]


def compressed(
    k: int, rows: IntArray, columns: IntArray, codes: Any
) -> tuple[IntArray, IntArray, Any]:
    """Return the compressed rows of a k x k matrix given by places: starts, columns ascending, codes."""
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

    - matrices: the sums of one member of each block, for every condition of the kind
    - respected: the respected partition, of the k blocks
    - proportional: whether recorded sums are shares of the rate out of the split node
    """
    _check_forest(history, respected.n, len(matrices))
    _check_roots(history, respected)
    touched = np.zeros(len(history.sums), dtype=np.int64)
    for number, matrix in enumerate(matrices):
        splits = np.flatnonzero(history.condition == number)
        if len(splits):
            Replay.of(history, matrix, splits, proportional).run(touched)
    sizes = (history.ends - history.starts)[history.roots :]
    missing = np.flatnonzero(history.sums.where(bool) & (touched != sizes))
    if len(missing):
        part = history.roots + int(missing[0])
        refuse(f"node {part} has members whose sum into the splitter is zero, not the recorded sum")


def _check_forest(history: History, blocks: int, conditions: int) -> None:
    starts, ends, roots = history.starts, history.ends, history.roots
    first, node = history.first_part, history.split_node
    nodes, splits = len(starts), len(node)
    fits = len(ends) == nodes == roots + len(history.sums) and len(first) == splits + 1
    if not fits or not len(history.splitter) == len(history.condition) == splits:
        refuse("its columns have inconsistent lengths")
    if not np.array_equal(np.sort(history.order), np.arange(blocks)):
        refuse(f"its order does not hold each of {blocks} blocks once")
    if nodes and not ((starts >= 0) & (starts < ends) & (ends <= blocks)).all():
        refuse("a node is not a range of blocks")
    if not _tiles(starts[:roots], ends[:roots], 0, blocks):
        refuse("the roots do not tile the blocks")
    if first[0] != roots or first[-1] != nodes or (np.diff(first) < 2).any():
        refuse("a split has fewer than two parts, or parts that it does not list")
    if splits and not ((node >= 0) & (node < first[:-1])).all():
        refuse("a node is split before it exists")
    if splits and not ((history.splitter >= 0) & (history.splitter < first[:-1])).all():
        refuse("a splitter does not exist before the parts of its split")
    if splits and not ((history.condition >= 0) & (history.condition < conditions)).all():
        refuse("a split refers to a condition that the kind does not have")
    inner = np.bincount(node, minlength=nodes)
    if inner.max(initial=0) > 1:
        refuse(f"node {int(inner.argmax())} is split twice")
    if ((inner == 0) & (ends - starts > 1)).any():
        left = int(np.flatnonzero((inner == 0) & (ends - starts > 1))[0])
        refuse(f"node {left} stays together, although it holds {ends[left] - starts[left]} blocks")
    begins, lasts = first[:-1], first[1:] - 1
    behind = np.ones(nodes, dtype=bool)  # whether a node starts where the previous node ends
    behind[1:] = starts[1:] == ends[:-1]
    behind[begins] = True
    tiled = (starts[begins] == starts[node]) & (ends[lasts] == ends[node])
    if not (tiled.all() and behind[roots:].all()):
        refuse("the parts of a split do not tile its node")
    _check_different(history, splits)


def _tiles(starts: IntArray, ends: IntArray, low: int, high: int) -> bool:
    return bool(np.array_equal(np.append(low, ends), np.append(starts, high)))


def _check_different(history: History, splits: int) -> None:
    """Refuse a split with two parts of the same sum."""
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

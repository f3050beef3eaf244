"""Splitting by gaps in block sums, compiled: the rounds that `markov.approximate.gaps` defines.

A *group* is a pair of blocks (B, C) with the sums q(x, C) of the members x of B.  A *full* round goes through the rows
of every block B that can be split; a *narrow* round goes through the transitions into those blocks C for which something
has changed.  Both find the least and the largest sum of each group first.  Only where these leave room for a cut are the
sums sorted, cut into clusters, and looked up again.  A state outside the lowest cluster gets a mark: a sum over C
of pseudo-random numbers for its clusters.  Then every block is split by the marks of its members.

What changes when a part N leaves a block, of which the rest R remains: sums into N and R, for states that go to N; and
for a block C that states of N go to, the neighbours of the sums of N and R.  Narrow rounds cost the transitions into
such blocks; a full round costs O(m), and all rounds sorting.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lumpability.markov.approximate.cuts import Float64s
from lumpability.markov.approximate.groups import (
    Rows,
    Work,
    add_weight,
    choose_ways,
    cut_sorted,
    forget,
    mark_by_sum,
    measure,
    put,
    sums_of_state,
    take_sum,
)
from lumpability.numbers.integers import gather
from lumpability.partition import Partition
from lumpability.refinement.kernel.arrays import (
    BLOCK,
    COUNT,
    NOTE,
    ZERO,
    Integer,
    add_to_part,
    last_slot,
    size_of_part,
)
from lumpability.refinement.kernel.compiling import compiled, inlined, prefetch
from lumpability.structure import WeightedStructure

_MANY = 1 << 17  # distinct weights; tables of more are not found in the cache
_AHEAD = 8  # states
_MOST_MOVED = 8  # one of so many states moved: then a full round costs less than to follow
_TRANSPOSE_COST = 4  # full rounds


class Splitting:
    """A partition of a structure that is split by gaps, round after round.

    - structure: weights are positive rationals that floats can hold; transitions inside blocks do not count

    >>> structure = WeightedStructure.from_edges(4, [0, 1, 2], [3, 3, 3], [100, 101, 110])
    >>> splitting = Splitting(structure, Partition([0, 0, 0, 1]))
    >>> splitting.round(0.02, 0.0), splitting.round(0.02, 0.0), splitting.partition
    (1, 0, Partition([[0, 1], [2], [3]]))
    """

    def __init__(self, structure: WeightedStructure, within: Partition) -> None:
        # An implicit diagonal lies inside blocks; the transposed rows would have to store it.
        self.structure, self.blocks = replace(structure, closed=False), len(within)
        self.high, self.low = _tables(structure)
        self.rows = self._rows(self.structure)
        self.incoming: Rows | None = None
        self.missed = 0  # rounds that narrow ones would have replaced
        self.work = Work.on(within, structure.m)
        self.planned = -1  # blocks on the agenda; -1 for a full round
        self.widest: float | None = None

    def _rows(self, structure: WeightedStructure) -> Rows:
        codes, high, low = structure.weights.codes, self.high, self.low
        if len(high) > _MANY:
            high, low = gather(high, codes), gather(low, codes)
            codes = np.arange(len(codes))
        return Rows(structure.indptr, structure.indices, codes.astype(np.uint32), high, low)

    @property
    def partition(self) -> Partition:
        """The partition reached."""
        return Partition(self.work.labels)

    def restart(self) -> None:
        """Look at all groups in the next round."""
        for block in self.work.agenda[: max(self.planned, 0)].tolist():
            self.work.waiting[block] = 0
        self.planned, self.widest = -1, None

    def round(self, tolerance: float, absolute: float) -> int:
        """Look at what may have changed, and split; return how many blocks are new.

        `widest` is then, after a full round that splits nothing, the largest (u - l) / l of the positive sums of a
        group: no larger tolerance splits anything.  After others it is None.
        """
        before, limits, full = self.blocks, (tolerance, absolute), self.planned < 0
        if full:
            marked, widest = full_round(self.blocks, *limits, self.rows, self.work)
        else:
            assert self.incoming is not None
            marked = narrow_round(self.planned, *limits, self.incoming, self.work)
        self.blocks, moved = split_marked(self.blocks, marked, self.work)
        self.planned = -1
        self.widest = widest if full and not moved else None
        if 0 < moved * _MOST_MOVED < len(self.work.labels) and absolute == 0:
            self._plan(moved)
        return self.blocks - before

    def _plan(self, moved: int) -> None:
        """Choose what the next round looks at, after few states have moved."""
        self.missed += 1
        if self.missed < _TRANSPOSE_COST:
            return
        if self.incoming is None:
            self.incoming = self._rows(self.structure.transposed)
        self.planned, size = plan(moved, self.rows, self.incoming, self.work)
        if self.planned == 0 or 2 * size > self.structure.m:
            self.restart()


def _tables(structure: WeightedStructure) -> tuple[Float64s, Float64s]:
    """Return the distinct weights as floats, and as floats what is missing."""
    high, low = [], []
    for value in structure.weights.values:
        near = value.numerator / value.denominator
        over, under = near.as_integer_ratio()
        high.append(near)
        missing = value.numerator * under - over * value.denominator
        low.append(missing / (value.denominator * under))
    return np.array(high, dtype=np.float64), np.array(low, dtype=np.float64)


@compiled
def full_round(
    blocks: Integer, tolerance: Any, absolute: Any, rows: Rows, work: Work
) -> tuple[Any, Any]:
    """Look at all groups; return how many states are marked, and the largest (u - l) / l."""
    marked: Any = 0
    widest = 0.0
    for own in range(blocks):
        first, size = work.start[own], work.size[own]
        if size == 1:
            continue
        reached: Any = 0
        found: Any = 0
        for i in range(first, first + size):
            if i + 2 * _AHEAD < first + size:
                prefetch(rows.pointers, work.members[i + 2 * _AHEAD])
                p = rows.pointers[work.members[i + _AHEAD]]
                prefetch(rows.states, p)
                prefetch(rows.codes, p)
            for j in range(sums_of_state(work.members[i], own, rows, work)):
                block = work.touched[j]
                total = take_sum(block, work)
                reached = measure(block, total, reached, work)
                work.into[found], work.totals[found] = block, total
                found += 1
            work.ends[i] = found
        to_sort, to_cut, width = choose_ways(reached, size, tolerance, absolute, work)
        widest = max(widest, width)
        if to_sort > 0:
            for j in range(found):
                put(work.totals[j], work.into[j], work)
            cut_sorted(reached, size, tolerance, absolute, work)
        if to_cut:
            begin: Any = 0
            for i in range(first, first + size):
                for j in range(begin, work.ends[i]):
                    state, block = work.members[i], work.into[j]
                    marked = mark_by_sum(state, work.totals[j], block, block, marked, work)
                begin = work.ends[i]
        forget(reached, work)
    return marked, widest


@compiled
def narrow_round(
    planned: Integer, tolerance: Any, absolute: Any, incoming: Rows, work: Work
) -> Any:
    """Look at the groups of the blocks on the agenda; return how many states are marked."""
    marked: Any = 0
    for a in range(planned):
        block = work.agenda[a]
        work.waiting[block] = 0
        touched: Any = 0
        for i in range(work.start[block], work.start[block] + work.size[block]):
            target = work.members[i]
            for p in range(incoming.pointers[target], incoming.pointers[target + 1]):
                state = incoming.states[p]
                own = work.labels[state]
                if own != block and work.size[own] > 1:
                    touched = add_weight(p, state, touched, incoming, work)
        reached: Any = 0
        for i in range(touched):
            state = work.touched[i]
            reached = measure(work.labels[state], work.sums[state, 0], reached, work)
        to_sort, _, _ = choose_ways(reached, 0, tolerance, absolute, work)
        if to_sort > 0:
            for i in range(touched):
                state = work.touched[i]
                put(work.sums[state, 0], work.labels[state], work)
            cut_sorted(reached, 0, tolerance, absolute, work)
        for i in range(touched):
            state = work.touched[i]
            total = take_sum(state, work)
            marked = mark_by_sum(state, total, work.labels[state], block, marked, work)
        forget(reached, work)
    return marked


@compiled
def split_marked(blocks: Integer, marked: Integer, work: Work) -> tuple[Any, Any]:
    """Split blocks by the marks of their members; return how many blocks there are, and how many states moved.

    The states that moved are ``touched`` then, with the blocks that they come from in ``origin``.
    """
    last = last_slot(marked)
    found: Any = 0
    for i in range(marked):
        state = work.marked[i]
        word = np.uint64(np.uint32(work.labels[state]))
        named = add_to_part(work.marks[state], word, found, last, work.parts, work.slots)
        found = max(found, named)
        work.part_of[state], work.marks[state] = named, ZERO
    for part in range(1, found + 1):
        own, size = np.int64(work.parts[part, BLOCK]), size_of_part(part, work.parts, work.slots)
        most = work.parts[work.largest[own], COUNT]
        work.number[own] += np.int32(size)
        if work.largest[own] == 0 or size > most:
            work.largest[own] = part
    for part in range(1, found + 1):
        own = np.int64(work.parts[part, BLOCK])
        if work.number[own] == work.size[own] and work.largest[own] == part:
            work.parts[part, NOTE] = own  # it keeps the number of the block
        else:
            work.parts[part, NOTE] = blocks
            blocks += 1
    for part in range(1, found + 1):
        own, label = np.int64(work.parts[part, BLOCK]), np.int64(work.parts[part, NOTE])
        work.number[own] = work.largest[own] = 0
        if label != own:
            work.size[own] -= np.int32(work.parts[part, COUNT])
            work.start[label], work.size[label] = work.start[own] + work.size[own], 0
    moved: Any = 0
    for i in range(marked):
        state = work.marked[i]
        old, new = work.labels[state], np.int32(work.parts[work.part_of[state], NOTE])
        if new != old:
            # Invariant: places of the new block before this one hold its states.
            there = work.start[new] + work.size[new]
            here, other = work.place[state], work.members[there]
            work.members[here], work.place[other] = other, here
            work.members[there], work.place[state] = state, there
            work.labels[state] = new
            work.size[new] += 1
            work.touched[moved], work.origin[moved] = state, old
            moved += 1
    return blocks, moved


@inlined
def add_to_agenda(block: Integer, planned: Any, size: Any, incoming: Rows, work: Work) -> Any:
    """Put a block on the agenda; return how many there are, and the transitions into them."""
    if work.waiting[block] == 0:
        work.waiting[block] = 1
        work.agenda[planned] = block
        planned += 1
        for i in range(work.start[block], work.start[block] + work.size[block]):
            state = work.members[i]
            size += incoming.pointers[state + 1] - incoming.pointers[state]
    return planned, size


@compiled
def plan(moved: Integer, rows: Rows, incoming: Rows, work: Work) -> tuple[Any, Any]:
    """Make the agenda after states have moved; return how many blocks are on it, and the transitions into them."""
    planned: Any = 0
    size: Any = 0
    for i in range(moved):
        state, rest = work.touched[i], work.origin[i]
        own = work.labels[state]
        for p in range(incoming.pointers[state], incoming.pointers[state + 1]):
            other = work.labels[incoming.states[p]]
            if work.size[other] > 1:
                if other != own:
                    planned, size = add_to_agenda(own, planned, size, incoming, work)
                if other != rest:
                    planned, size = add_to_agenda(rest, planned, size, incoming, work)
        for p in range(rows.pointers[state], rows.pointers[state + 1]):
            block = work.labels[rows.states[p]]
            if (block != rest and work.size[rest] > 1) or (block != own and work.size[own] > 1):
                planned, size = add_to_agenda(block, planned, size, incoming, work)
    return planned, size

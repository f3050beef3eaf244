"""Sums of states into blocks, compiled: adding them up, and cutting those of a pair of blocks into clusters.

A *group* is a pair of blocks (B, C) with the sums q(x, C) of the members x of B.  Where its least and its largest sum leave
room for a cut, the sums are sorted and cut as `markov.approximate.gaps` defines.  A state outside the lowest cluster
gets a mark: a sum over C of pseudo-random numbers for its clusters.

Sums are added in pairs of floats, whose error is below 2^-100 of the sum (Knuth's two-sum), and rounded once.
Differences up to 2^-50 of the larger sum count as none (`cuts`), so equal rationals count as equal.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from lumpability.markov.approximate.cuts import Float64s, Room, cut, mixed, reach, sort
from lumpability.partition import Partition
from lumpability.refinement.kernel.arrays import (
    ONE,
    ZERO,
    Codes,
    Int32s,
    Int64s,
    Integer,
    UInt32s,
    UInt64s,
    room_for_parts,
)
from lumpability.refinement.kernel.compiling import inlined, subroutine

UInt8s: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

_TOGETHER, _FROM_ZERO, _SORTED = np.uint8(0), np.uint8(1), np.uint8(2)  # how a group is cut


class Rows(NamedTuple):
    """Transitions from states, or into states; distinct weights are sums of two floats.

    Attributes
    ----------
    pointers : array of int64, shape (n + 1,)
    states : array of int32, shape (m,)
        The states at the other end.
    codes : array of uint32, shape (m,)
    high, low : array of float64
    """

    pointers: Int64s
    states: Int32s
    codes: Codes
    high: Float64s
    low: Float64s


class Work(NamedTuple):
    """The partition reached, and room for a round.

    Attributes
    ----------
    labels, members, place : array of int32, shape (n,)
        The block of each state; all states, block after block; where each state stands there.
    start, size : array of int32, shape (n,)
        Of each block.
    sums : array of float64, shape (n, 2)
        In full rounds the sums of one state into blocks, in narrow ones the sums of states into one block; else zero.
    touched : array of int32, shape (n,)
        Where `sums` are not zero.
    reached : array of int32, shape (n,)
        The blocks of the groups that are looked at: C in full rounds, B in narrow ones.
    number, least, most, way, offset, cuts : arrays of shape (n,)
        Of each of these groups: number, least and largest of its positive sums, how it is cut, where its sums are
        sorted, and at how many places they are cut.
    marks, marked : array of uint64, of int32, shape (n,)
        The marks of states (0 if none), and the states that have one.
    parts, slots, part_of, largest
        The parts into which marks split blocks, see `arrays`; the part of each state that is marked; the largest part of
        each block, or 0.
    origin : array of int32, shape (n,)
        After a round, for each state in ``touched``, which has moved, the block that it comes from.
    agenda, waiting : array of int32, of uint8, shape (n,)
        The blocks C to look at in a narrow round, and whether a block is among them.
    into, totals, ends : array of int32, of float64, shape (m,), of int64, shape (n,)
        In full rounds the sums of the members of one block into others, and where those of each member end.
    values : array of float64, shape (m,)
        The sums that are sorted.
    room : Room
    """

    labels: Int32s
    members: Int32s
    place: Int32s
    start: Int32s
    size: Int32s
    sums: Float64s
    touched: Int32s
    reached: Int32s
    number: Int32s
    least: Float64s
    most: Float64s
    way: UInt8s
    offset: Int64s
    cuts: Int32s
    marks: UInt64s
    marked: Int32s
    parts: UInt64s
    slots: UInt32s
    part_of: Int32s
    largest: Int32s
    origin: Int32s
    agenda: Int32s
    waiting: UInt8s
    into: Int32s
    totals: Float64s
    ends: Int64s
    values: Float64s
    room: Room

    @classmethod
    def on(cls, partition: Partition, transitions: int) -> Work:
        """Room for splitting a partition."""
        n, count, blocks = partition.n, len(partition), partition.blocks
        start, size = np.zeros((2, n), dtype=np.int32)
        start[:count], size[:count] = blocks.bounds[:-1], blocks.sizes
        place = np.empty(n, dtype=np.int32)
        place[blocks.members] = np.arange(n, dtype=np.int32)
        types: dict[str, Any] = dict.fromkeys(("least", "most"), np.float64)
        types |= dict.fromkeys(("offset", "ends"), np.int64)
        types |= {"marks": np.uint64, "way": np.uint8, "waiting": np.uint8}
        known: dict[str, Any] = {
            "labels": partition.labels.copy(),
            "members": blocks.members.astype(np.int32),
            "place": place,
            "start": start,
            "size": size,
            "sums": np.zeros((n, 2)),
            "into": np.empty(transitions, dtype=np.int32),
            "totals": np.empty(transitions),
            "values": np.empty(transitions),
            "room": Room.of(n),
        }
        known["parts"], known["slots"] = room_for_parts(n)
        rest = [name for name in cls._fields if name not in known]
        known.update({name: np.zeros(n, types.get(name, np.int32)) for name in rest})
        return cls(**known)


@inlined
def add_weight(p: Integer, place: Integer, touched: Any, rows: Rows, work: Work) -> Any:
    """Add the weight of a transition to the sum at a place; return how many places are touched."""
    code = rows.codes[p]
    before, weight = work.sums[place, 0], rows.high[code]
    if before == 0.0:
        work.touched[touched] = place
        touched += 1
    total = before + weight
    part = total - before
    error = (before - (total - part)) + (weight - part) + (work.sums[place, 1] + rows.low[code])
    work.sums[place, 0] = total + error
    work.sums[place, 1] = error - (work.sums[place, 0] - total)
    return touched


@inlined
def sums_of_state(state: Integer, own: Integer, rows: Rows, work: Work) -> Any:
    """Add up the weights of a state into other blocks; return how many blocks."""
    touched: Any = 0
    for p in range(rows.pointers[state], rows.pointers[state + 1]):
        block = work.labels[rows.states[p]]
        if block != own:
            touched = add_weight(p, block, touched, rows, work)
    return touched


@inlined
def take_sum(place: Integer, work: Work) -> Any:
    """Return a sum, and clear it."""
    total = work.sums[place, 0]
    work.sums[place, 0] = work.sums[place, 1] = 0.0
    return total


@inlined
def measure(group: Integer, total: Any, reached: Any, work: Work) -> Any:
    """Count a sum to its group; return how many groups there are."""
    if work.number[group] == 0:
        work.reached[reached] = group
        reached += 1
        work.least[group] = work.most[group] = total
    elif total < work.least[group]:
        work.least[group] = total
    elif total > work.most[group]:
        work.most[group] = total
    work.number[group] += 1
    return reached


@inlined
def way_of(low: Any, high: Any, from_zero: Any, tolerance: Any, absolute: Any) -> Any:
    """How a group is cut that has positive sums between two ends, and also zeros or not."""
    near = reach(low, tolerance, absolute)
    way = _TOGETHER
    if from_zero and low <= near:  # zeros share a cluster with others
        if high > absolute:
            way = _SORTED
    elif high - low > near:
        way = _SORTED
    elif from_zero:
        way = _FROM_ZERO
    return way


@inlined
def mark(state: Integer, block: Integer, cluster: Integer, marked: Any, work: Work) -> Any:
    """Add to the mark of a state that it is in a cluster of sums into a block; return how many are marked."""
    if work.marks[state] == ZERO:
        work.marked[marked] = state
        marked += 1
    work.marks[state] += mixed((np.uint64(block) << np.uint64(32)) + np.uint64(cluster))
    if work.marks[state] == ZERO:
        work.marks[state] = ONE
    return marked


@inlined
def cluster_of(value: Any, group: Integer, work: Work) -> Any:
    """The number of the cluster of a value: how many of the cuts of its group are not above it."""
    first = work.offset[group]
    low: Any = 0
    high: Any = work.cuts[group]
    while low < high:
        middle = (low + high) // 2
        if work.values[first + middle] <= value:
            low = middle + 1
        else:
            high = middle
    return low


@subroutine
def choose_ways(
    reached: Integer, size: Integer, tolerance: Any, absolute: Any, work: Work
) -> tuple[Any, Any, Any]:
    """Say how each group is cut.

    `size` is that of the block B if it is the same for all groups, or 0.  Returns how many sums are to be sorted,
    whether anything is to be cut, and the largest (u - l) / l.
    """
    to_sort: Any = 0
    to_cut = False
    widest = 0.0
    for i in range(reached):
        group = work.reached[i]
        low, high = work.least[group], work.most[group]
        from_zero = work.number[group] < (size if size > 0 else work.size[group])
        way = way_of(low, high, from_zero, tolerance, absolute)
        work.way[group], work.offset[group] = way, to_sort
        to_cut |= way != _TOGETHER
        if way == _SORTED:
            to_sort += work.number[group]
        if high - low > absolute:
            widest = max(widest, (high - low) / low)
    return to_sort, to_cut, widest


@inlined
def put(total: Any, group: Integer, work: Work) -> None:
    """Put a sum where its group is sorted."""
    if work.way[group] == _SORTED:
        work.values[work.offset[group]] = total
        work.offset[group] += 1


@subroutine
def cut_sorted(reached: Integer, size: Integer, tolerance: Any, absolute: Any, work: Work) -> None:
    """Sort and cut the groups whose sums have been put together; `size` as in `choose_ways`."""
    for i in range(reached):
        group = work.reached[i]
        if work.way[group] == _SORTED:
            end = work.offset[group]
            start = end - work.number[group]
            from_zero = work.number[group] < (size if size > 0 else work.size[group])
            sort(work.values, start, end, work.room)
            work.offset[group] = start
            work.cuts[group] = cut(work.values, start, end, from_zero, tolerance, absolute)


@inlined
def mark_by_sum(
    state: Integer, total: Any, group: Integer, block: Integer, marked: Any, work: Work
) -> Any:
    """Mark a state by the cluster of its sum into a block; return how many are marked."""
    cluster: Any = work.way[group]
    if cluster == _SORTED:
        cluster = cluster_of(total, group, work)
    if cluster > 0:
        marked = mark(state, block, cluster, marked, work)
    return marked


@inlined
def forget(reached: Integer, work: Work) -> None:
    """Empty the groups."""
    for i in range(reached):
        work.number[work.reached[i]] = 0

"""Sorting sums and cutting them into clusters, compiled; `markov.approximate.gaps` defines where they are cut.

Values are distributed to buckets of equal width first, and each bucket is sorted by itself: O(m) where they are spread
evenly, O(m log m) where they are not.  Differences up to 2^-50 of the larger value count as none.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from lumpability.refinement.kernel.arrays import Int32s, Int64s, Integer
from lumpability.refinement.kernel.compiling import inlined, subroutine

Float64s: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

_EQUAL = 2.0**-50
_FEW = 24  # values that are sorted by insertion
_MOST_BUCKETS = 1 << 17  # more of them are not found in the cache


class Room(NamedTuple):
    """What is needed to sort up to n values.

    Attributes
    ----------
    spare : array of float64, shape (n,)
    begins : array of int32
        Where each bucket begins.
    stack : array of int64
        Ranges that are not sorted yet.
    """

    spare: Float64s
    begins: Int32s
    stack: Int64s

    @classmethod
    def of(cls, n: int) -> Room:
        """Room for n values."""
        begins = np.empty(min(n, _MOST_BUCKETS) + 1, dtype=np.int32)
        return cls(np.empty(n), begins, np.empty(128, dtype=np.int64))


@inlined
def mixed(number: np.uint64) -> np.uint64:
    """A pseudo-random number for a number (splitmix64)."""
    z: Any = number + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@subroutine
def _nearly_sort(values: Float64s, start: Integer, end: Integer, stack: Int64s) -> None:
    """Leave few values out of order (Hoare's quicksort with pseudo-random pivots)."""
    depth: Any = 2
    stack[0], stack[1] = start, end
    while depth > 0:
        depth -= 2
        low: Any = stack[depth]
        high: Any = stack[depth + 1]
        while high - low > _FEW:
            size = np.uint64(high - low)
            pivot = values[low + np.int64(mixed(size) % size)]
            i: Any = low
            j: Any = high - 1
            while i <= j:
                while values[i] < pivot:
                    i += 1
                while values[j] > pivot:
                    j -= 1
                if i <= j:
                    values[i], values[j] = values[j], values[i]
                    i += 1
                    j -= 1
            # The larger part waits, so that few parts wait at a time.
            if j + 1 - low < high - i:
                stack[depth], stack[depth + 1] = i, high
                high = j + 1
            else:
                stack[depth], stack[depth + 1] = low, j + 1
                low = i
            depth += 2


@subroutine
def sort(values: Float64s, start: Integer, end: Integer, room: Room) -> None:
    """Sort a range of values in place."""
    size = end - start
    low: Any = values[start]
    high: Any = low
    for i in range(start, end):
        low, high = min(low, values[i]), max(high, values[i])
    if low == high:
        return
    buckets = min(size // 4, len(room.begins) - 1)
    scale = buckets * (1 - 2.0**-40) / (high - low)  # the last bucket holds the largest value
    if buckets > _FEW and scale < 1e300:  # not so for subnormal differences
        for bucket in range(buckets):
            room.begins[bucket] = 0
        for i in range(start, end):
            room.begins[np.int64((values[i] - low) * scale)] += 1
        begin: Any = 0
        for bucket in range(buckets):
            begin += room.begins[bucket]
            room.begins[bucket] = begin - room.begins[bucket]
        for i in range(start, end):
            there = np.int64((values[i] - low) * scale)
            room.spare[room.begins[there]] = values[i]
            room.begins[there] += 1
        for i in range(size):
            values[start + i] = room.spare[i]
        # Invariant: a bucket begins now where the next one began.
        begin = 0
        for bucket in range(buckets):
            if room.begins[bucket] - begin > _FEW:
                _nearly_sort(values, start + begin, start + room.begins[bucket], room.stack)
            begin = room.begins[bucket]
    else:
        _nearly_sort(values, start, end, room.stack)
    for i in range(start + 1, end):
        value, j = values[i], i
        while j > start and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value


@inlined
def reach(value: Any, tolerance: Any, absolute: Any) -> Any:
    """How far a value may be above another one that is near."""
    return max(tolerance * value, absolute) + _EQUAL * value


@subroutine
def cut(
    values: Float64s, start: Integer, end: Integer, from_zero: Any, tolerance: Any, absolute: Any
) -> Any:
    """Write at which values new clusters begin over a range of ascending values; return how many do.

    Values below the first of them are the lowest cluster, to which zero belongs, if it is a value too.
    """
    cuts: Any = start
    first: Any = start
    while first < end:
        low: Any = values[first]
        opens = first > start
        if first == start and from_zero:
            if low > reach(low, tolerance, absolute):
                opens = True
            else:
                low = 0.0
        last = first + 1
        while last < end and values[last] - values[last - 1] <= reach(
            values[last], tolerance, absolute
        ):
            last += 1
        high = values[last - 1]
        equal = _EQUAL * high
        # Invariant: cuts <= i wherever values[i] is still to be read.
        if opens:
            values[cuts] = values[first]
            cuts += 1
        if high - low > 2 * max(tolerance * high, absolute) + equal:
            below, above = low + 0.75 * (high - low) - equal, low + 0.25 * (high - low) + equal
            largest = 0.0
            before: Any = low
            for i in range(first, last):
                if before < below and values[i] > above:
                    largest = max(largest, values[i] - before)
                before = values[i]
            before = low
            for i in range(first, last):
                value = values[i]
                if before < below and value > above and value - before >= largest - equal:
                    values[cuts] = value
                    cuts += 1
                before = value
        first = last
    return cuts - start

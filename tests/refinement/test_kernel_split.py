"""Splitting in the kernel: the arrays stay consistent, and the largest part keeps its number."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lumpability.integers import prime
from lumpability.partition import Partition
from lumpability.refinement import kernel_loops
from lumpability.refinement.kernel_arrays import (
    ALONE,
    END,
    PRINT,
    SPOT,
    START,
    TOUCHED,
    Arrays,
    Field,
)
from lumpability.refinement.kernel_field import block_value, montgomery_inverse
from lumpability.refinement.kernel_split import cut_blocks, find_parts_of_blocks, rename_parts

P = prime(0)
FIELD = Field(np.uint64(P), montgomery_inverse(P), np.uint64(3), 1 << 31)


@st.composite
def fingerprinted(draw: st.DrawFn) -> tuple[Arrays, Partition, list[int]]:
    """Blocks whose states have fingerprints, some of them with many states or many fingerprints."""
    n = draw(st.integers(1, 120))
    blocks = draw(st.sampled_from([1, 2, 5, n]))
    several = draw(st.sampled_from([1, 2, 3, 40, 10**6]))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    initial = Partition(random.integers(0, blocks, n))
    prints = np.minimum(random.integers(0, several, n), random.integers(0, several, n))
    arrays = Arrays.for_states(n)
    kernel_loops.fill(initial.labels, len(initial), FIELD, arrays)
    assert partition_in(arrays, len(initial)) == initial.labels.tolist()
    arrays.cells[~arrays.alone, PRINT] = prints[~arrays.alone].astype(np.uint64)
    return arrays, initial, prints.tolist()


def value(number: int) -> int:
    return int(block_value(number, FIELD.seed))


def partition_in(arrays: Arrays, count: int) -> list[int]:
    """The number of every state's block, after a look at all that is written down about it."""
    n = len(arrays.alone)
    assert sorted(arrays.order.tolist()) == list(range(n))
    numbers = [-1] * n
    for number in range(count):
        assert arrays.blocks[number, TOUCHED] == 0
        start, end = int(arrays.blocks[number, START]), int(arrays.blocks[number, END])
        assert start < end
        for place in range(start, end):
            state = int(arrays.order[place])
            assert numbers[state] == -1
            numbers[state] = number
            assert int(arrays.cells[state, SPOT]) == number + (place << 32)
            assert bool(arrays.alone[state]) == (end - start == 1)
            assert (arrays.cells[state, PRINT] == ALONE) == (end - start == 1)
    assert -1 not in numbers
    return numbers


@given(fingerprinted(), st.integers(1, 4))
def test_ranges_of_blocks_hold_about_equally_many_states_that_share_one(drawn, ranges):
    arrays, initial, _ = drawn
    count, sizes = len(initial), initial.blocks.sizes
    before = np.append(0, np.cumsum(np.where(sizes > 1, sizes, 0)))
    cuts, offsets = np.empty(ranges + 1, np.int64), np.empty(ranges + 1, np.int64)
    cut_blocks(count, arrays, cuts, offsets)
    for i in range(ranges + 1):
        late = [number for number in range(count) if before[number] * ranges >= before[-1] * i]
        assert cuts[i] == (0 if i == 0 else count if i == ranges or not late else late[0])
    assert offsets.tolist() == before[cuts].tolist()


@given(fingerprinted(), st.booleans(), st.integers(0, 3))
def test_blocks_split_by_fingerprint_and_the_largest_part_keeps_the_number(drawn, sweeping, cut):
    arrays, initial, prints = drawn
    count = len(initial)
    old = initial.labels.tolist()
    moved, ends = 0, []
    shared = np.where(initial.blocks.sizes > 1, initial.blocks.sizes, 0)
    found = []
    for low, high in ((0, min(cut, count)), (min(cut, count), count)):
        first = int(shared[:low].sum())
        found.append((first, *map(int, find_parts_of_blocks(low, high, first, arrays))))
    for first, parts, states in found:
        ends.append(moved + states)
        count, moved = map(
            int, rename_parts(first, first + parts, count, moved, sweeping, FIELD, arrays)
        )
    assert moved == ends[-1]
    now = partition_in(arrays, count)
    assert Partition(np.array(now)) == Partition.of(lambda s: (old[s], prints[s]), states=initial.n)
    sizes = Counter(now)
    for s, number in enumerate(now):
        assert sizes[old[s]] >= sizes[number]
    changed = [s for s in range(initial.n) if now[s] != old[s]]
    assert sorted(arrays.renamed[:moved].tolist()) == changed
    for state, change in zip(arrays.renamed[:moved].tolist(), arrays.changes[:moved], strict=True):
        assert int(change) == (value(now[state]) - value(old[state])) % P
        if sweeping:
            assert int(arrays.values[state]) == value(now[state])

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
    OLD,
    PRINT,
    SPOT,
    START,
    TOUCHED,
    Arrays,
    Field,
)
from lumpability.refinement.kernel_field import block_value, montgomery_inverse
from lumpability.refinement.kernel_split import (
    cut_blocks,
    find_parts_of_blocks,
    group_by_key,
    rename_parts,
)

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
def test_ranges_of_blocks_can_split_into_about_equally_many_parts(drawn, ranges):
    arrays, initial, _ = drawn
    count, sizes = len(initial), initial.blocks.sizes
    before = np.append(0, np.cumsum(sizes - 1))
    cuts, offsets = np.empty(ranges + 1, np.int64), np.empty(ranges + 1, np.int64)
    cut_blocks(count, arrays, cuts, offsets)
    for i in range(ranges + 1):
        late = [number for number in range(count) if before[number] * ranges >= before[-1] * i]
        assert cuts[i] == (0 if i == 0 else count if i == ranges or not late else late[0])
    assert offsets.tolist() == before[cuts].tolist()


@given(fingerprinted(), st.integers(0, 3))
def test_blocks_split_by_fingerprint_and_the_largest_part_keeps_the_number(drawn, cut):
    arrays, initial, prints = drawn
    count = len(initial)
    old = initial.labels.tolist()
    moved, sizes = 0, initial.blocks.sizes
    for low, high in ((0, min(cut, count)), (min(cut, count), len(initial))):
        first = len(initial) + int((sizes[:low] - 1).sum())
        parts, states = map(int, find_parts_of_blocks(low, high, first, arrays))
        arrays.blocks[count : count + parts] = arrays.blocks[first : first + parts]
        rename_parts(count, count + parts, FIELD, arrays)
        count, moved = count + parts, moved + states
    now = partition_in(arrays, count)
    assert Partition(np.array(now)) == Partition.of(lambda s: (old[s], prints[s]), states=initial.n)
    new_sizes = Counter(now)
    for s, number in enumerate(now):
        assert new_sizes[old[s]] >= new_sizes[number]
        assert number == old[s] or arrays.blocks[number, OLD] == old[s]
        assert int(arrays.values[s]) == value(number)
    assert moved == sum(now[s] != old[s] for s in range(initial.n))


@given(
    size=st.integers(0, 3000),
    several=st.sampled_from([1, 2, 3, 40, 10**6]),
    wide=st.sampled_from([3, 2**20, 2**61, 2**64 - 1]),
    low=st.integers(0, 9),
    seed=st.integers(0, 10**6),
)
def test_grouping_permutes_and_brings_equal_keys_together(size, several, wide, low, seed):
    random = np.random.default_rng(seed)
    chosen = random.integers(0, wide, several, dtype=np.uint64)
    keys = np.append(np.zeros(2 * low, np.uint64), random.choice(chosen, size))
    order = np.append(np.full(low, -1), np.arange(size)).astype(np.int32)
    given_keys = keys[2 * low :].copy()
    spare_order, spare_keys = np.empty(len(keys), np.int32), np.empty(len(keys), np.uint64)
    counters = np.empty(len(keys) // 2 + 1, np.int32)
    group_by_key(low, 2 * low, size, order, keys, spare_order, spare_keys, counters)
    states, grouped = order[low:], keys[2 * low :]
    assert sorted(states.tolist()) == list(range(size))
    assert np.array_equal(grouped, given_keys[states])
    changes = 1 + np.count_nonzero(grouped[1:] != grouped[:-1]) if size else 0
    assert changes == len(set(given_keys.tolist()))

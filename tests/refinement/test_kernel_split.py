"""Splitting in the kernel: the arrays stay consistent, and the largest part keeps its number."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_rounds import LOW_HALF, P, field_modulo, value_of

from lumpability.partition import Partition
from lumpability.refinement import kernel_loops
from lumpability.refinement.kernel_arrays import (
    ALONE,
    BLOCK,
    NAME,
    PRINT,
    SIZE,
    START,
    TOUCHED,
    Arrays,
)
from lumpability.refinement.kernel_split import (
    cut_blocks,
    find_parts_of_blocks,
    group_by_key,
    move_parts,
)

FIELDS = [field_modulo(p, 3, np.ones(1, np.uint64)) for p in (0, P)]


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
    kernel_loops.fill(initial.labels, len(initial), FIELDS[0], arrays)
    assert partition_in(arrays, len(initial)) == initial.labels.tolist()
    assert not arrays.blocks[: len(initial), TOUCHED].any()
    arrays.cells[~arrays.alone, PRINT] = 4 * prints[~arrays.alone].astype(np.uint64)
    arrays.cells[:, BLOCK] |= np.arange(n, dtype=np.uint64) << np.uint64(32)
    return arrays, initial, prints.tolist()


def partition_in(arrays: Arrays, count: int) -> list[int]:
    """The number of every state's block, after a look at all that is written down about it."""
    n = len(arrays.alone)
    assert sorted(arrays.order[:n].tolist()) == list(range(n))
    numbers = (arrays.cells[:, BLOCK] & LOW_HALF).tolist()
    sizes = Counter(numbers)
    assert arrays.blocks[:count, NAME].tolist() == list(range(count))
    for number in range(count):
        start, size = arrays.blocks[number, [START, SIZE]].tolist()
        assert size == sizes[number]
        for state in arrays.order[start : start + size].tolist():
            assert numbers[state] == number
            assert bool(arrays.alone[state]) == (size == 1)
            assert (arrays.cells[state, PRINT] == ALONE) == (size == 1)
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


@pytest.mark.parametrize("field", FIELDS)
@given(drawn=fingerprinted(), cut=st.integers(0, 3))
def test_blocks_split_by_fingerprint_and_the_largest_part_keeps_the_number(field, drawn, cut):
    arrays, initial, prints = drawn
    count = len(initial)
    old = initial.labels.tolist()
    moved, sizes = 0, initial.blocks.sizes
    for low, high in ((0, min(cut, count)), (min(cut, count), len(initial))):
        first = len(initial) + int((sizes[:low] - 1).sum())
        parts, states = map(int, find_parts_of_blocks(low, high, first, arrays))
        arrays.blocks[count : count + parts] = arrays.blocks[first : first + parts]
        move_parts(count, count + parts, field, arrays)
        count, moved = count + parts, moved + states
    now = partition_in(arrays, count)
    assert Partition(np.array(now)) == Partition.of(lambda s: (old[s], prints[s]), states=initial.n)
    new_sizes = Counter(now)
    for s, number in enumerate(now):
        assert new_sizes[old[s]] >= new_sizes[number]
        parent = int(arrays.blocks[number, TOUCHED])
        assert (old[s], parent) in {(number, 0), (parent, parent)}
        if number != old[s]:
            assert int(arrays.values[s]) == value_of(number, field)
    assert moved == sum(now[s] != old[s] for s in range(initial.n))
    kept = arrays.cells[:, BLOCK] >> np.uint64(32)
    assert kept.tolist() == list(range(initial.n))


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

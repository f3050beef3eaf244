"""Sweeps split blocks by fingerprint, and what they write down is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_rounds import P, field_modulo, value_of

from lumpability.partition import Partition
from lumpability.refinement.kernel.arrays import LARGEST, SIZE, Sweeping
from lumpability.refinement.kernel.sweep import (
    MEMBER,
    NAME,
    fill,
    split,
)

FIELDS = [field_modulo(p, 3, np.ones(1, np.uint64)) for p in (0, P)]


def check_arrays(arrays: Sweeping, count: int, field) -> None:
    """Look at all that is written down about blocks between sweeps."""
    labels, blocks = arrays.labels, arrays.blocks[:count]
    sizes = np.bincount(labels, minlength=count)
    assert blocks[:, SIZE].tolist() == sizes.tolist()
    assert sizes.all()
    assert labels[blocks[:, MEMBER]].tolist() == list(range(count))
    assert arrays.alone.tolist() == (sizes[labels] == 1).tolist()
    values = [value_of(number, field) for number in range(count)]
    assert arrays.values.tolist() == [values[label] for label in labels.tolist()]


@st.composite
def partitions(draw: st.DrawFn, *, most: int = 200) -> Partition:
    """Of few or many blocks; neighbours are of one block, or not."""
    n = draw(st.integers(1, most))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    labels = random.integers(0, draw(st.sampled_from([1, 2, 5, n])), n)
    return Partition(np.sort(labels) if draw(st.booleans()) else labels)


@pytest.mark.parametrize("field", FIELDS)
@given(initial=partitions())
def test_a_partition_is_filled_in(field, initial):
    arrays = Sweeping.over(initial.n, False)
    lone = fill(initial.labels, len(initial), field, arrays)
    assert arrays.labels.tolist() == initial.labels.tolist()
    assert not arrays.blocks[: len(initial), LARGEST].any()
    assert arrays.blocks[: len(initial), NAME].tolist() == list(range(len(initial)))
    check_arrays(arrays, len(initial), field)
    assert lone == np.count_nonzero(arrays.alone)


@pytest.mark.parametrize("field", FIELDS)
@given(
    initial=partitions(),
    several=st.sampled_from([1, 2, 3, 40, 10**6]),
    seed=st.integers(0, 10**6),
    sweeps=st.integers(1, 3),
)
def test_blocks_split_by_fingerprint(field, initial, several, seed, sweeps):
    n, count = initial.n, len(initial)
    random = np.random.default_rng(seed)
    arrays = Sweeping.over(n, False)
    lone = fill(initial.labels, count, field, arrays)
    for _ in range(sweeps):
        prints = np.minimum(random.integers(0, several, n), random.integers(0, several, n))
        old, old_count = arrays.labels.tolist(), count
        arrays.prints[:] = prints
        count, moved, more = split(count, field, arrays)
        lone += more
        now = arrays.labels.tolist()
        keys = list(zip(old, prints.tolist(), strict=True))
        assert Partition(np.array(now)) == Partition.of(lambda s, keys=keys: keys[s], states=n)
        check_arrays(arrays, count, field)
        assert lone == np.count_nonzero(arrays.alone)
        names = arrays.blocks[now, NAME]
        assert sorted(set(names.tolist())) == list(range(count))
        new = names >= old_count
        assert moved == np.count_nonzero(new)
        assert names[~new].tolist() == np.array(old)[~new].tolist()
        parts, wholes = np.bincount(names), np.bincount(old)
        assert (2 * parts[names[new]] <= wholes[np.array(old)[new]]).all()
        for number in range(old_count, count):
            assert arrays.blocks[number, LARGEST] == old[now.index(number)]
        assert not arrays.blocks[:old_count, LARGEST].any()


@given(
    n=st.integers(2000, 4000),
    rare=st.floats(0.01, 0.2),
    blocks=st.integers(1, 3),
    seed=st.integers(0, 10**6),
)
def test_a_fingerprint_that_most_of_a_large_block_have_stays(n, rare, blocks, seed):
    """Whatever its first members have, which often are of another sort than the others: the others get new blocks."""
    random = np.random.default_rng(seed)
    initial = Partition(np.arange(n) % blocks)
    arrays = Sweeping.over(n, False)
    fill(initial.labels, blocks, FIELDS[0], arrays)
    arrays.prints[:] = (random.random(n) < rare) * random.integers(1, 9, n)
    arrays.prints[:30] = 1
    prints = arrays.prints.copy()
    split(blocks, FIELDS[0], arrays)
    assert arrays.labels[prints == 0].tolist() == initial.labels[prints == 0].tolist()
    assert (arrays.labels[prints != 0] >= blocks).all()

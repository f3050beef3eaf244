"""Grouping by keys in place."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lumpability.refinement.kernel_distribute import group_by_key


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

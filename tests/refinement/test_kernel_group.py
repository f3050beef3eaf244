"""Groups by key and block: one for each pair, however many there are and however the keys look."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lumpability.refinement.kernel_arrays import COUNT, GAIN, WORD, Blocks, Following
from lumpability.refinement.kernel_group import (
    add_to_group,
    enlarged,
    is_full,
    start_table,
)


@numba.njit
def grouped(most: Any, keys: Any, words: Any, groups_of: Any, arrays: Any) -> Any:
    """Group in a table that has room for some groups at first."""
    bits = start_table(most, arrays)
    found = np.int64(0)
    for i in range(len(keys)):
        if is_full(found, bits):
            bits = enlarged(found, arrays)
        group = np.int64(add_to_group(keys[i], words[i], found, bits, arrays))
        found = max(found, group)
        groups_of[i] = group
    return found, bits


@given(
    size=st.integers(1, 2000),
    keys=st.sampled_from([1, 3, 60, 10**6]),
    blocks=st.sampled_from([1, 2, 40]),
    spread=st.sampled_from([0, 2, 32, 44]),
    most=st.sampled_from([0, 40, 1000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_group_is_a_key_and_a_block_and_they_are_numbered_as_they_turn_up(
    size, keys, blocks, spread, most, seed
):
    """However many were expected.  What stands above the block in a word does not matter; it is kept of the first."""
    random = np.random.default_rng(seed)
    key = random.integers(0, keys, size, dtype=np.uint64) << np.uint64(spread)
    own = random.integers(0, blocks, size, dtype=np.uint64)
    word = own | random.integers(0, 9, size, dtype=np.uint64) << np.uint64(32)
    arrays, found_of = Following.over(Blocks.for_states(size)), np.empty(size, np.int64)
    found, bits = grouped(min(most, size), key, word, found_of, arrays)
    number: dict[tuple[int, int], int] = {}
    expected = [number.setdefault(pair, len(number) + 1) for pair in zip(key, own, strict=True)]
    assert found_of.tolist() == expected
    assert found == len(number)
    groups = arrays.groups[1 : found + 1]
    first = [expected.index(group) for group in range(1, found + 1)]
    assert groups[:, GAIN].tolist() == key[first].tolist()
    assert groups[:, WORD].tolist() == word[first].tolist()
    assert groups[:, COUNT].tolist() == np.bincount(expected)[1:].tolist()
    assert 1 << int(bits) <= len(arrays.table)
    assert 3 * (found - 1) <= 2 << int(bits)  # room was made before the last group came

"""Parts by key and block: one for each pair, however many there are and however the keys look."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lumpability.refinement.kernel.arrays import (
    BLOCK,
    COUNT,
    KEY,
    LARGEST,
    SIZE,
    add_to_part,
    last_slot,
    measure_parts,
    room_for_parts,
)


@numba.njit
def grouped(keys: Any, words: Any, part_of: Any, blocks: Any, parts: Any, slots: Any) -> Any:
    """Group, and measure."""
    last, found = last_slot(len(keys)), np.int64(0)
    for i in range(len(keys)):
        part = np.int64(add_to_part(keys[i], words[i], found, last, parts, slots))
        found = max(found, part)
        part_of[i] = part
    measure_parts(found, blocks, parts, slots)
    return found, last


@given(
    size=st.integers(1, 2000),
    keys=st.sampled_from([1, 3, 60, 10**6]),
    blocks=st.sampled_from([1, 2, 40]),
    spread=st.sampled_from([0, 2, 32, 44]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_part_is_a_key_and_a_block_and_they_are_numbered_as_they_turn_up(
    size, keys, blocks, spread, seed
):
    """What stands above the block in a word does not matter; it is kept of the first.  All slots are empty again."""
    random = np.random.default_rng(seed)
    key = random.integers(0, keys, size, dtype=np.uint64) << np.uint64(spread)
    own = random.integers(0, blocks, size, dtype=np.uint64)
    word = own | random.integers(0, 9, size, dtype=np.uint64) << np.uint64(32)
    (parts, slots), found_of = room_for_parts(size), np.empty(size, np.int64)
    table = np.zeros((blocks, 4), dtype=np.uint32)
    table[:, SIZE] = np.bincount(own.astype(np.int64), minlength=blocks) + 5
    found, last = grouped(key, word, found_of, table, parts, slots)
    number: dict[tuple[int, int], int] = {}
    expected = [number.setdefault(pair, len(number) + 1) for pair in zip(key, own, strict=True)]
    assert found_of.tolist() == expected
    assert found == len(number)
    parts = parts[1 : found + 1]
    first = [expected.index(part) for part in range(1, found + 1)]
    assert parts[:, KEY].tolist() == key[first].tolist()
    assert parts[:, BLOCK].tolist() == word[first].tolist()
    counts = np.bincount(expected)[1:]
    assert parts[:, COUNT].tolist() == counts.tolist()
    assert last < len(slots)
    assert 3 * size <= 2 * int(last) + 2
    assert not slots.any()
    assert table[:, SIZE].tolist() == [5] * blocks
    for block in np.unique(own.astype(np.int64)).tolist():
        ours = counts[own[first] == block]
        assert counts[table[block, LARGEST] - 1] == ours.max()

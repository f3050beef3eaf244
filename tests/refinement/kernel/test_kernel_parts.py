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
    add_to_part,
    empty_slots,
    enlarged,
    is_full,
    room_for_parts,
)


@numba.njit
def grouped(most: Any, keys: Any, words: Any, part_of: Any, parts: Any, slots: Any) -> Any:
    """Group in a table that has slots for some parts at first."""
    bits = empty_slots(most, slots)
    found = np.int64(0)
    for i in range(len(keys)):
        if is_full(found, bits):
            bits = enlarged(found, parts, slots)
        part = np.int64(add_to_part(keys[i], words[i], found, bits, parts, slots))
        found = max(found, part)
        part_of[i] = part
    return found, bits


@given(
    size=st.integers(1, 2000),
    keys=st.sampled_from([1, 3, 60, 10**6]),
    blocks=st.sampled_from([1, 2, 40]),
    spread=st.sampled_from([0, 2, 32, 44]),
    most=st.sampled_from([0, 40, 1000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_part_is_a_key_and_a_block_and_they_are_numbered_as_they_turn_up(
    size, keys, blocks, spread, most, seed
):
    """However many were expected.  What stands above the block in a word does not matter; it is kept of the first."""
    random = np.random.default_rng(seed)
    key = random.integers(0, keys, size, dtype=np.uint64) << np.uint64(spread)
    own = random.integers(0, blocks, size, dtype=np.uint64)
    word = own | random.integers(0, 9, size, dtype=np.uint64) << np.uint64(32)
    (parts, slots), found_of = room_for_parts(size), np.empty(size, np.int64)
    found, bits = grouped(min(most, size), key, word, found_of, parts, slots)
    number: dict[tuple[int, int], int] = {}
    expected = [number.setdefault(pair, len(number) + 1) for pair in zip(key, own, strict=True)]
    assert found_of.tolist() == expected
    assert found == len(number)
    parts = parts[1 : found + 1]
    first = [expected.index(part) for part in range(1, found + 1)]
    assert parts[:, KEY].tolist() == key[first].tolist()
    assert parts[:, BLOCK].tolist() == word[first].tolist()
    assert parts[:, COUNT].tolist() == np.bincount(expected)[1:].tolist()
    assert 1 << int(bits) <= len(slots)
    assert 3 * (found - 1) <= 2 << int(bits)  # room was made before the last part came

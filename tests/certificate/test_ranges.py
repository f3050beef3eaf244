"""Ranges of positions: pieces of work, and compressed rows."""

from __future__ import annotations

from itertools import pairwise
from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lumpability.certificate import replay, soundness

works = st.lists(st.integers(0, 12), max_size=12)


@given(work=works, chunk=st.integers(1, 15))
def test_portions_are_as_large_as_allowed_and_no_larger(work: list[int], chunk: int) -> None:
    with mock.patch.object(soundness, "_CHUNK", chunk):
        found = list(soundness.portions(np.array(work, dtype=np.int64)))
    assert [i for low, high in found for i in range(low, high)] == list(range(len(work)))
    for low, high in found:
        assert high == low + 1 or sum(work[low:high]) <= chunk
    for (low, high), _ in pairwise(found):
        assert sum(work[low : high + 1]) > chunk


@given(pairs=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), max_size=8))
def test_ranges_are_python_ranges_one_behind_the_other(pairs: list[tuple[int, int]]) -> None:
    low = np.array([start for start, _ in pairs], dtype=np.int64)
    high = np.array([start + length for start, length in pairs], dtype=np.int64)
    owner, numbers = replay.ranges(low, high)
    expected = [(i, x) for i, (start, size) in enumerate(pairs) for x in range(start, start + size)]
    assert list(zip(owner.tolist(), numbers.tolist(), strict=True)) == expected


@given(places=st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6))), data=st.data())
def test_compressed_rows_hold_the_codes_in_their_places(
    places: set[tuple[int, int]], data: st.DataObject
) -> None:
    given_places = data.draw(st.permutations(sorted(places)))
    rows, columns = (np.array([p[i] for p in given_places], dtype=np.int64) for i in (0, 1))
    codes = np.arange(len(places)) + 100
    starts, found, order = replay.compressed(7, rows, columns, codes)
    code = dict(zip(given_places, codes.tolist(), strict=True))
    for row in range(7):
        ascending = [p for p in sorted(places) if p[0] == row]
        span = slice(starts[row], starts[row + 1])
        assert found[span].tolist() == [column for _, column in ascending]
        assert order[span].tolist() == [code[place] for place in ascending]

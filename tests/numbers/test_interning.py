from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lumpability.numbers import interning
from lumpability.numbers.interning import number_words

words = st.one_of(
    st.integers(0, 2**64 - 1),
    st.floats().map(lambda x: int(np.float64(x).view(np.uint64))),
    st.integers(0, 300),
    st.integers(0, 63).map(lambda bit: 1 << bit),
)


@given(
    st.lists(words, min_size=1, max_size=40, unique=True),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 7, 1 << 15]),
)
@example([0], 0, 1)
@example([5, 0], 0, 7)
def test_codes_stand_for_the_words_however_late_they_occur(distinct, seed, chunk):
    random = np.random.default_rng(seed)
    # Some of the words occur once only, where no sample looks.
    array = np.array(distinct, dtype=np.uint64)[
        random.integers(0, (len(distinct) + 1) // 2, 400_000)
    ]
    array[random.integers(0, len(array), len(distinct))] = distinct
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interning, "_CHUNK", max(chunk, 1000))
        patch.setattr(interning, "_SAMPLE", 3)
        found = number_words(array)
    assert found is not None
    codes, known = found
    assert np.array_equal(known[codes], array)
    assert sorted(known.tolist()) == np.unique(array).tolist()
    assert codes.dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_words_may_be_of_any_size(dtype):
    array = (np.arange(50_000) % 97 * 2).astype(dtype)
    found = number_words(array)
    assert found is not None
    codes, known = found
    assert known.dtype == dtype
    assert np.array_equal(known[codes], array)


@pytest.mark.parametrize("count", [255, 256, 257, 1_000])
def test_codes_grow_with_the_number_of_words(count):
    array = np.concatenate([np.zeros(500_000), np.arange(count)]).view(np.uint64)
    found = number_words(array)
    assert found is not None
    codes, known = found
    assert len(known) == count
    assert codes.dtype == (np.uint8 if count <= 256 else np.uint16)
    assert np.array_equal(known[codes], array)


def test_too_many_words_are_left_to_others():
    assert number_words(np.arange(100_000, dtype=np.uint64)) is None  # seen in the sample
    late = np.concatenate([np.zeros(40_000), np.arange(2_000)]).view(np.uint64)
    assert number_words(late) is None  # seen later
    few = np.arange(1_000, dtype=np.uint64) % 200
    assert number_words(few) is None  # not worth a table


def test_tables_that_would_be_made_too_often_are_given_up(monkeypatch):
    monkeypatch.setattr(interning, "_CHUNK", 10)
    monkeypatch.setattr(interning, "_SAMPLE", 3)
    made = []
    original = interning._table_of
    monkeypatch.setattr(
        interning,
        "_table_of",
        lambda words, rest: made.append(len(words)) or original(words, rest),
    )
    slowly = (np.arange(40_000) // 100).astype(np.uint64)  # a new word every ten chunks
    assert number_words(slowly) is None
    assert sum(made) <= len(slowly) // interning._ENTRIES_PER_WORD + made[-1]


def test_words_for_which_no_multiplier_is_found_are_left_to_others(monkeypatch):
    monkeypatch.setattr(interning, "_MOST_BITS", 2)
    assert number_words(np.arange(50_000, dtype=np.uint64) % 5) is None

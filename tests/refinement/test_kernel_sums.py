"""Sums get the same number exactly where they are equal, however many there are, and by any table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.refinement.kernel_arrays import Rows
from lumpability.refinement.kernel_sums import collapse_rows, number_sums, sum_again


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(0, 500),
    high=st.sampled_from([1, 40, 2**64 - 1]),
)
def test_sums_are_numbered_in_order_of_appearance(seed, size, high):
    """Among up to five hundred the table grows some times."""
    sums = np.random.default_rng(seed).integers(0, high, size, dtype=np.uint64, endpoint=True)
    number: dict[int, int] = {}
    expected = [number.setdefault(total, len(number)) for total in sums.tolist()]
    numbers = sums.copy()
    examples, distinct = number_sums(numbers)
    assert numbers.tolist() == expected
    assert distinct.tolist() == list(number)
    assert examples.tolist() == [expected.index(i) for i in range(len(number))]


def test_sums_that_all_begin_in_one_slot_are_told_apart():
    sums = np.arange(200, dtype=np.uint64) << np.uint64(56)
    numbers = sums.copy()
    number_sums(numbers)
    assert numbers.tolist() == [sums.tolist().index(total) for total in sums.tolist()]


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("equal", [False, True])
def test_another_table_tells_whether_equal_sums_are_equal(closed, equal):
    """States 0 and 1 have two transitions each into the block of 2 and 3."""
    indptr = np.array([0, 3, 6, 8, 8])
    indices = np.array([0, 2, 3, 0, 2, 3, 1, 3], dtype=np.int32)
    codes = np.array([2, 0, 1, 2, 0 if equal else 2, 1, 0, 0], dtype=np.uint8)
    labels, firsts = np.array([0, 1, 2, 2], dtype=np.int32), np.array([0, 1, 2])
    rows = Rows(indptr, indices, codes, np.array([5, 6, 5], dtype=np.uint64), closed)
    pointers, columns = np.zeros(4, dtype=np.int64), np.zeros(8, dtype=np.int32)
    kept, places = np.zeros(8, dtype=np.uint8), np.zeros(4, dtype=np.int64)
    sums, *scratch = np.zeros((3, 4), dtype=np.uint64)
    p = np.uint64(0)
    used, several = collapse_rows(
        firsts, rows, labels, p, pointers, columns, kept, places, sums, *scratch
    )
    assert sums[:several].tolist() == [11, 11]
    numbers, places = sums[:several].copy(), places[:several]
    examples, _ = number_sums(numbers)
    further = rows._replace(table=np.array([1, 2, 3], dtype=np.uint64))
    scratch = np.full(several, 7, dtype=np.uint64)
    assert equal == sum_again(
        firsts, further, labels, p, pointers, columns[:used], places, numbers, examples, scratch
    )

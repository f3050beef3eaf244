"""Sums get the same number exactly where they are equal, by any residues."""

from __future__ import annotations

import numpy as np
import pytest

from lumpability.refinement.kernel.arrays import Rows
from lumpability.refinement.kernel.collapse import _first_places, collapse_rows, sum_again


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("equal", [False, True])
def test_other_residues_tell_whether_equal_sums_are_equal(closed, equal):
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
    numbers, places = np.zeros(several, dtype=np.uint32), places[:several]
    examples = _first_places(numbers, 1)
    further = rows._replace(residues=np.array([1, 2, 3], dtype=np.uint64))
    scratch = np.full(several, 7, dtype=np.uint64)
    assert equal == sum_again(
        firsts, further, labels, p, pointers, columns[:used], places, numbers, examples, scratch
    )

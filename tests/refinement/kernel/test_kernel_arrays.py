"""Scratch is zero, of the shape and type asked for, and can be written to, wherever it is from."""

from __future__ import annotations

import numpy as np
import pytest

from lumpability.refinement.kernel import arrays
from lumpability.refinement.kernel.arrays import blank


@pytest.mark.parametrize("large", [1, 1 << 20])
@pytest.mark.parametrize("shape", [(300,), (2, 300)])
@pytest.mark.parametrize("dtype", [np.uint32, np.int64])
def test_blank_memory_is_zero_and_writable(large, shape, dtype, monkeypatch):
    monkeypatch.setattr(arrays, "_LARGE", large)
    array = blank(shape, dtype)
    assert (array.shape, array.dtype) == (shape, dtype)
    assert array.flags.c_contiguous
    assert not array.any()
    array[-1] = 7
    assert array.sum() == 7 * array[-1].size


def test_nothing_is_not_asked_of_the_system():
    assert blank((0,), np.int64).shape == (0,)

"""The sort of sums that approximate lumping cuts into groups."""

from __future__ import annotations

import numpy as np
import pytest

from lumpability.markov.approximate.cuts import Room, sort

numba = pytest.importorskip("numba")


@numba.njit
def _sorted(values, room):
    sort(values, 0, len(values), room)
    return values


@pytest.mark.parametrize("unit", [5e-324, 1e-300, 1.0, 1e300])
def test_values_of_any_size_are_sorted(unit):
    values = unit * np.random.default_rng(1).integers(0, 9, 400)
    assert _sorted(values.copy(), Room.of(400)).tolist() == sorted(values.tolist())

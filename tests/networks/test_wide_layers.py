"""Wide dense layers are decided from few rows, or in a small multiple of one read of their memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from lumpability.networks.activations import Group
from lumpability.networks.aggregation import Aggregation, Incoming
from lumpability.networks.columns import group_columns


def seconds(action: Callable[[], object]) -> float:
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - start)
    return best


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((4096, 16384), dtype=np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("transposed", [False, True])
def test_a_wide_layer_without_duplicates_is_decided_in_milliseconds(
    wide: np.ndarray, transposed: bool
) -> None:
    matrix = np.asfortranarray(wide) if transposed else wide
    summed = Aggregation(matrix, None, Incoming.separate(len(matrix)))
    assert len(set(group_columns(summed, Group.POSITIVE).leader.tolist())) == 16384
    assert seconds(lambda: group_columns(summed, Group.POSITIVE)) < 0.1


@pytest.mark.slow
def test_a_wide_layer_with_duplicates_costs_a_small_multiple_of_one_read(wide: np.ndarray) -> None:
    matrix = wide[:, np.random.default_rng(1).integers(0, 8192, size=16384)].copy()
    matrix[:, 5000:] *= 2
    summed = Aggregation(matrix, None, Incoming.separate(len(matrix)))
    found = group_columns(summed, Group.POSITIVE)
    distinct = np.unique(matrix[0] / np.abs(matrix[1])).size
    assert len(np.unique(found.leader)) == distinct
    assert seconds(lambda: group_columns(summed, Group.POSITIVE)) < 40 * seconds(matrix.sum)


def test_columns_that_agree_for_many_rows_and_then_differ_are_told_apart() -> None:
    matrix = np.tile(np.arange(1.0, 301)[:, None], (1, 6))
    matrix[299, 1] += 1
    matrix[298, 2] += 1
    matrix[:, 3] *= 2
    matrix[298, 4] += 1
    summed = Aggregation(matrix, None, Incoming.separate(300))
    found = group_columns(summed, Group.POSITIVE)
    assert found.leader.tolist() == [0, 1, 2, 0, 2, 0]
    assert found.factors == {3: 2}

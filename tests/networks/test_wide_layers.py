"""Wide dense layers: what is decided from few rows.  Times are in tests/benchmarks/wide_layers.py."""

from __future__ import annotations

import numpy as np
import pytest

from lumpability.networks.activations import Group
from lumpability.networks.aggregation import Aggregation, Incoming
from lumpability.networks.columns import group_columns


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((4096, 16384), dtype=np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("transposed", [False, True])
def test_all_neurons_of_a_wide_random_layer_are_told_apart(
    wide: np.ndarray, transposed: bool
) -> None:
    matrix = np.asfortranarray(wide) if transposed else wide
    summed = Aggregation(matrix, None, Incoming.separate(len(matrix)))
    assert len(set(group_columns(summed, Group.POSITIVE).leader.tolist())) == 16384


@pytest.mark.slow
def test_planted_multiples_in_a_wide_layer_are_found(wide: np.ndarray) -> None:
    matrix = wide[:, np.random.default_rng(1).integers(0, 8192, size=16384)].copy()
    matrix[:, 5000:] *= 2
    summed = Aggregation(matrix, None, Incoming.separate(len(matrix)))
    found = group_columns(summed, Group.POSITIVE)
    distinct = np.unique(matrix[0] / np.abs(matrix[1])).size
    assert len(np.unique(found.leader)) == distinct


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

"""Wide dense layers: what is decided from few rows.  Times are in tests/benchmarks/network_layers.py."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np
import pytest

from lumpability.networks.merging import group_columns
from lumpability.numbers.groups import Group
from lumpability.structure.dense import DenseStructure, RowClasses


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((4096, 16384), dtype=np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("transposed", [False, True])
def test_all_neurons_of_a_wide_random_layer_are_told_apart(
    wide: np.ndarray, transposed: bool
) -> None:
    matrix = np.asfortranarray(wide) if transposed else wide
    summed = DenseStructure(matrix, None, RowClasses.separate(len(matrix)))
    assert len(set(group_columns(summed, Group.POSITIVE).leader.tolist())) == 16384


@pytest.mark.slow
def test_planted_multiples_in_a_wide_layer_are_found(wide: np.ndarray) -> None:
    matrix = wide[:, np.random.default_rng(1).integers(0, 8192, size=16384)].copy()
    matrix[:, 5000:] *= 2
    summed = DenseStructure(matrix, None, RowClasses.separate(len(matrix)))
    found = group_columns(summed, Group.POSITIVE)
    distinct = np.unique(matrix[0] / np.abs(matrix[1])).size
    assert len(np.unique(found.leader)) == distinct


def test_columns_that_agree_for_many_rows_and_then_differ_are_told_apart() -> None:
    matrix = np.tile(np.arange(1.0, 301)[:, None], (1, 6))
    matrix[299, 1] += 1
    matrix[298, 2] += 1
    matrix[:, 3] *= 2
    matrix[298, 4] += 1
    summed = DenseStructure(matrix, None, RowClasses.separate(300))
    found = group_columns(summed, Group.POSITIVE)
    assert found.leader.tolist() == [0, 1, 2, 0, 2, 0]
    assert found.factors == {3: 2}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("columns", "leaders"),
    [
        ([[2.0, 1.0], [3 * 2.0**-1074, 2 * 2.0**-1074]], [0, 1]),  # half of it rounds to the other
        ([[1.0, 2.0], [2 * 2.0**-1074, 3 * 2.0**-1074]], [0, 1]),
        ([[2.0, 1.0], [4 * 2.0**-1074, 2 * 2.0**-1074]], [0, 0]),
        ([[2.0**-30, 2.0**900], [2.0**100, 2.0**1023]], [0, 1]),
        ([[1.0, 2.0, 4.0, 3.0], [3.0, 6.0, 12.0, 9.0]], [0, 0, 0, 0]),
        ([[4.0, -2.0, 1.0, 5.0], [0.5, 0.25, 0.125, 0.625]], [0, 1, 0, 0]),
    ],
)
def test_ratios_that_are_powers_of_two_are_compared_exactly(
    columns: list[list[float]], leaders: list[int], order: Literal["C", "F"]
) -> None:
    matrix = np.array(columns, order=order)
    found = group_columns(DenseStructure(matrix, None, RowClasses.separate(2)), Group.POSITIVE)
    assert found.leader.tolist() == leaders
    for column, leader in enumerate(leaders):
        factor = found.factors.get(column, Fraction(1))
        assert [Fraction(x) for x in matrix[:, column]] == [
            factor * Fraction(x) for x in matrix[:, leader]
        ]

"""Scaled integers multiply exactly, and round in the direction that they say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.errors import InvalidInput
from lumpability.networks.relaxed.scaled import Scaled


def exact(matrix: Scaled) -> list[list[Fraction]]:
    return [[Fraction(int(k)) / Fraction(2) ** matrix.scale for k in row] for row in matrix.numbers]


@given(st.integers(0, 2**32), st.integers(-80, 80))
def test_products_are_those_of_fractions(seed: int, exponent: int) -> None:
    random = np.random.default_rng(seed)
    n, m, k = random.integers(1, 6, size=3)
    one = random.normal(size=(n, m)) * 2.0 ** random.integers(-60, 60, size=(n, m))
    two = random.normal(size=(m, k)) * 2.0**exponent
    one[random.random(one.shape) < 0.3] = 0
    product = Scaled.of(one) @ Scaled.of(two)
    wanted = [
        [sum(Fraction(one[i, t]) * Fraction(two[t, j]) for t in range(m)) for j in range(k)]
        for i in range(n)
    ]
    assert exact(product) == wanted
    rounded, lost = Scaled.of(one).matmul_down(Scaled.of(two), 64)
    for row, other, changed in zip(exact(rounded), wanted, lost.tolist(), strict=True):
        for a, b, inexact in zip(row, other, changed, strict=True):
            assert a <= b < a + Fraction(1, 2**64)
            assert (a != b) == inexact


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1))
def test_parts_and_slices_keep_values(values: list[float]) -> None:
    matrix = Scaled.of([values])
    ones = Scaled.of(np.ones((len(values), 1)))
    for part, wanted in (
        (matrix.positive, [max(v, 0.0) for v in values]),
        (matrix.negative, [min(v, 0.0) for v in values]),
        (-matrix, [-v for v in values]),
        (matrix[:, ::-1], values[::-1]),
    ):
        assert exact(part @ ones) == [[sum(map(Fraction, wanted), Fraction(0))]]
        assert exact(part)[0] == [Fraction(v) for v in wanted]


def test_long_sums_stay_exact() -> None:
    big = np.full((1, 20_000), 2.0**20 - 1)
    assert exact(Scaled.of(big) @ Scaled.of(big.T)) == [[20_000 * (2**20 - 1) ** 2]]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(InvalidInput, match="not finite"):
        Scaled.of([1.0, value])


def test_empty_matrices_have_products() -> None:
    product = Scaled.of(np.zeros((2, 0))) @ Scaled.of(np.zeros((0, 3)))
    assert exact(product) == [[0] * 3] * 2

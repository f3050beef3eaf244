"""Error-free transformations decide equality exactly, by comparison with fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lumpability.numbers.float_arrays import float_sum, products_agree, round_to, to_fractions

safe = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-60)
narrow = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


@given(st.lists(st.tuples(safe, st.sampled_from([1.0, 2.0, 3.0, 0.1])), min_size=1, max_size=5))
def test_a_sum_called_exact_is_the_sum_of_the_fractions(terms: list[tuple[float, float]]) -> None:
    rows = np.array([[x] for x, _ in terms])
    factors = np.array([c for _, c in terms])
    sums, exact = float_sum(rows, factors, np.ones(len(terms), dtype=bool), np.array([0]))
    if exact[0]:
        assert Fraction(float(sums[0, 0])) == sum(Fraction(x) * Fraction(c) for x, c in terms)


@given(safe, safe, safe, safe)
def test_products_agree_exactly_when_their_fractions_do(
    a: float, b: float, c: float, d: float
) -> None:
    found = products_agree(*(np.array([x]) for x in (a, b, c, d)))[0]
    assert found == (Fraction(a) * Fraction(b) == Fraction(c) * Fraction(d))


@given(narrow, narrow, st.sampled_from([1.0, 3.0, 0.5]))
def test_products_of_float32_agree_exactly_when_their_fractions_do(
    a: float, b: float, k: float
) -> None:
    values = [np.array([x], dtype=np.float32) for x in (a, b * k, b, a * k)]
    exact = [Fraction(float(x[0])) for x in values]
    assert products_agree(*values)[0] == (exact[0] * exact[1] == exact[2] * exact[3])


def test_neighbouring_products_are_told_apart() -> None:
    x = np.array([1 + 2.0**-52])
    one = np.array([1.0])
    assert not products_agree(x, x, np.array([float(x[0] * x[0])]), one)[0]


def test_rounding_reports_every_change() -> None:
    third = np.array([Fraction(1, 3), Fraction(1, 4)], dtype=object)
    rounded, changed = round_to(third, np.float64)
    assert changed.tolist() == [abs(Fraction(float(rounded[0])) - Fraction(1, 3))]
    assert to_fractions(rounded)[1] == Fraction(1, 4)

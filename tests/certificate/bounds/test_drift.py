"""The drift in integers is the drift in rationals, at every size of rates and values."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lumpability.certificate.bounds.drift import drift
from lumpability.certificate.bounds.vector import Vector, whole_numbers
from lumpability.structure import WeightedStructure

WIDE = Fraction(1, 3**400)  # its denominator is beyond the width of common denominators

rates = st.fractions(0, 10, max_denominator=50) | st.sampled_from(
    [Fraction(1, 10**30), Fraction(2**90), Fraction(10**40, 7)]
)
values = st.integers(-5, 5) | st.integers(-(2**200), 2**200)


def by_definition(rows: list[list[Fraction]], v: list[int], scale: int) -> list[Fraction]:
    return [
        sum((q * Fraction(v[u] - v[x], scale) for u, q in enumerate(row)), start=Fraction(0))
        for x, row in enumerate(rows)
    ]


def structure(rows: list[list[Fraction]]) -> WeightedStructure:
    n = len(rows)
    places = [(x, u) for x in range(n) for u in range(n) if rows[x][u]]
    return WeightedStructure.from_edges(
        n, [x for x, _ in places], [u for _, u in places], [rows[x][u] for x, u in places]
    )


@given(data=st.data(), n=st.integers(1, 5), scale=st.sampled_from([1, 3, 2**40]))
def test_the_drift_is_exact(data: st.DataObject, n: int, scale: int) -> None:
    rows = [data.draw(st.lists(rates, min_size=n, max_size=n)) for _ in range(n)]
    v = data.draw(st.lists(values, min_size=n, max_size=n))
    found = drift(structure(rows), Vector(np.array(v, dtype=object), scale))
    exact = by_definition(rows, v, scale)
    assert [Fraction(int(x), found.denominator) for x in found.numerators] == exact
    assert not np.any(found.slack)


@given(data=st.data(), n=st.integers(2, 5))
def test_the_slack_covers_what_rounding_of_wide_rates_leaves_out(
    data: st.DataObject, n: int
) -> None:
    rows = [data.draw(st.lists(rates, min_size=n, max_size=n)) for _ in range(n)]
    rows[0][1] = 1 + WIDE
    v = data.draw(st.lists(values, min_size=n, max_size=n))
    found = drift(structure(rows), Vector(np.array(v, dtype=object), 1))
    slack = np.broadcast_to(found.slack, n)
    for x, exact in enumerate(by_definition(rows, v, 1)):
        near = Fraction(int(found.numerators[x]), found.denominator)
        assert abs(exact - near) <= Fraction(int(slack[x]), found.denominator)
        if len({v[x], *(v[u] for u in range(n) if rows[x][u])}) == 1:
            assert exact == near
            assert slack[x] == 0


def test_a_long_row_of_large_numbers_does_not_overflow() -> None:
    n = 5000
    matrix = WeightedStructure.from_edges(
        n, np.zeros(n - 1, dtype=int), np.arange(1, n), [Fraction(2**61 - 1, 3)] * (n - 1)
    )
    v = np.full(n, 2**61 - 1)
    v[0] = -(2**61 - 1)
    found = drift(matrix, Vector(v, 1))
    assert Fraction(int(found.numerators[0]), found.denominator) == Fraction(
        (n - 1) * (2**61 - 1) * 2 * (2**61 - 1), 3
    )


def test_integers_are_int64_only_where_they_fit() -> None:
    assert whole_numbers([1, -2]).dtype == np.int64
    assert whole_numbers([1, 2**70]).tolist() == [1, 2**70]


def test_weights_around_the_ends_of_64_bits_stay_integers() -> None:
    assert whole_numbers([2**63, -1]).tolist() == [2**63, -1]
    matrix = WeightedStructure.from_edges(2, [0, 1], [1, 0], [2**63, Fraction(1, 3)])
    found = drift(matrix, Vector(np.array([0, 1]), 1))
    assert [Fraction(int(x), found.denominator) for x in found.numerators] == [
        2**63,
        Fraction(-1, 3),
    ]

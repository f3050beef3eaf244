"""Bounds on Poisson probabilities contain them, and leave out next to nothing."""

from __future__ import annotations

from fractions import Fraction

import pytest
from mpmath import mp

from lumpability.certificate.bounds.poisson import poisson_window

MEANS = [
    Fraction(0),
    Fraction(1, 10**9),
    Fraction(1, 3),
    Fraction(1),
    Fraction(25, 2),
    Fraction(700),
]


@pytest.mark.parametrize("mean", [*MEANS, Fraction(100_003, 7)], ids=str)
def test_bounds_contain_the_probabilities(mean: Fraction) -> None:
    window = poisson_window(mean)
    with mp.workdps(60):
        m = mp.mpf(mean.numerator) / mean.denominator
        for i in range(0, len(window.low), max(1, len(window.low) // 50)):
            k = window.first + i
            exact = mp.exp(-m) * m**k / mp.factorial(k)
            assert mp.mpf(window.low[i]) / window.most <= exact * (1 + mp.mpf(10) ** -50)
            assert mp.mpf(window.high[i]) / window.least >= exact * (1 - mp.mpf(10) ** -50)
        before = mp.gammainc(window.first, m, regularized=True) if window.first else mp.mpf(0)
        after = mp.gammainc(window.last + 1, 0, m, regularized=True)
    assert window.before >= window.least * before * (1 - mp.mpf(10) ** -12)
    assert window.after >= window.least * after * (1 - mp.mpf(10) ** -12)
    assert Fraction(window.most - window.least, window.least) < Fraction(1, 2**60)

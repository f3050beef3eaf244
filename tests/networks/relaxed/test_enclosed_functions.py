"""Values and slopes of activations are enclosed; mpmath is the other opinion."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.networks.activations import Activation, activation
from lumpability.networks.relaxed.functions import BITS, slopes_between, values_at
from lumpability.networks.relaxed.scaled import Scaled

FUNCTIONS = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "softplus": lambda z: mpmath.log1p(mpmath.exp(-abs(z))) + max(z, mpmath.mpf(0)),
    "atan": mpmath.atan,
    "softsign": lambda z: z / (1 + abs(z)),
    "elu": lambda z: z if z >= 0 else mpmath.mpf(0.75) * mpmath.expm1(z),
    "clip": lambda z: min(max(z, mpmath.mpf(-0.5)), mpmath.mpf(6)),
}
NUMBERS = st.one_of(
    st.floats(-30, 30),
    st.floats(-1e-6, 1e-6),
    st.floats(-1e4, 1e4),
    st.sampled_from([0.0, -0.0, 1.0, -0.5, 6.0, 2.0**-1074, 1e4, -1e4]),
)


def named(name: str) -> Activation:
    parameters = {"elu": {"alpha": 0.75}, "clip": {"low": -0.5, "high": 6.0}}.get(name, {})
    return activation(name, **parameters)


def fraction(value: mpmath.mpf) -> Fraction:
    sign, mantissa, exponent, _ = value._mpf_
    return Fraction(-mantissa if sign else mantissa) * Fraction(2) ** exponent


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@given(z=NUMBERS)
def test_values_are_enclosed_and_the_enclosure_is_narrow(name: str, z: float) -> None:
    low, high = (one.fractions()[0] for one in values_at(named(name), Scaled.of([z])))
    with mpmath.workprec(2200):
        value = fraction(FUNCTIONS[name](mpmath.mpf(z)))
    assert low <= value <= high
    assert high - low <= Fraction(2, 2**BITS)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@given(ends=st.tuples(NUMBERS, NUMBERS), shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_difference_quotients_lie_between_the_slopes(
    name: str, ends: tuple[float, float], shares: tuple[float, float]
) -> None:
    low, high = min(ends), max(ends)
    least, most = (
        one.fractions()[0]
        for one in slopes_between(named(name), Scaled.of([low]), Scaled.of([high]))
    )
    with mpmath.workprec(2200):
        a, b = (low + mpmath.mpf(share) * (mpmath.mpf(high) - low) for share in shares)
        if a == b:
            return
        quotient = fraction((FUNCTIONS[name](a) - FUNCTIONS[name](b)) / (a - b))
    tiny = Fraction(1, 2**1000)
    assert least - tiny <= quotient <= most + tiny
    assert least >= 0
    assert most <= 1 + Fraction(1, 2**90)


def test_slopes_are_those_at_the_ends_and_at_zero() -> None:
    least, most = slopes_between(named("tanh"), Scaled.of([-1.0, 1.0]), Scaled.of([2.0, 2.0]))
    assert np.allclose(least.floats(), 1 - np.tanh(2.0) ** 2)
    assert np.allclose(most.floats(), [1, 1 - np.tanh(1.0) ** 2])

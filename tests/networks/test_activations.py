"""Activations commute with exactly the factors that the table allows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.errors import InvalidNetwork
from lumpability.networks.activations import ACTIVATIONS, activation, common_group
from lumpability.numbers.groups import Group

FACTORS = [Fraction(n, d) for n in (-3, -1, 1, 2, 3) for d in (1, 2)]
POINTS = np.linspace(-5, 5, 41)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("factor", FACTORS)
def test_an_activation_commutes_with_the_factors_of_its_group_and_with_no_other(
    name: str, factor: Fraction
) -> None:
    act = activation(name, low=-1.0, high=2.0) if name == "clip" else activation(name)
    left = act(float(factor) * POINTS)
    fits = any(
        np.allclose(left, c * act(POINTS), atol=1e-12)
        for c in (
            {float(act.carry(factor))} if factor in act.group else {float(f) for f in FACTORS}
        )
    )
    assert fits == (factor in act.group)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_the_slope_never_exceeds_the_lipschitz_constant(name: str) -> None:
    act = activation(name)
    if act.lipschitz is None:
        return
    x = np.linspace(-12, 12, 200_001)
    slopes = np.abs(np.diff(act(x)) / np.diff(x))
    assert slopes.max() <= float(act.lipschitz) + 1e-9


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@given(value=st.fractions(min_value=-3, max_value=3, max_denominator=8))
def test_exact_values_agree_with_numpy(name: str, value: Fraction) -> None:
    act = activation(name)
    exact = act.value(value)
    if exact is not None:
        assert np.isclose(float(exact), float(act(np.array([float(value)]))[0]), atol=1e-12)


def test_a_sequence_passes_what_every_member_passes() -> None:
    assert common_group([]) is Group.ANY
    assert common_group([activation("abs"), activation("tanh")]) is Group.SIGNS
    assert common_group([activation("relu"), activation("sigmoid")]) is Group.ONE


def test_an_unknown_activation_is_named() -> None:
    with pytest.raises(InvalidNetwork, match="'mish'"):
        activation("mish")

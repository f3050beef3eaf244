"""Ranges of units: they hold everywhere on the box, and are as tight as published ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import read
from lumpability.errors import InvalidInput
from lumpability.networks import Network
from lumpability.networks.activations import activation
from lumpability.networks.difference import Ranges, affine_layers, ranges
from lumpability.networks.difference.affine import AffineLayer, negative_slopes
from lumpability.networks.difference.lines import lines, relu_chord

ACTIVATIONS = [
    "relu",
    "leaky_relu",
    "tanh",
    "sigmoid",
    "softplus",
    "softsign",
    "atan",
    "elu",
    "clip",
]


def _network(seed: int, function: str) -> Network:
    random = np.random.default_rng(seed)
    parameters = {
        "clip": {"low": -0.5, "high": 0.7},
        "elu": {"alpha": 0.5},
        "leaky_relu": {"alpha": 0.1},
    }
    widths = [2, *random.integers(1, 6, size=random.integers(1, 4)).tolist(), 2]
    act = activation(function, **parameters.get(function, {}))
    layers = [(random.normal(size=(m, n)), random.normal(size=n), act) for m, n in pairwise(widths)]
    return Network.dense([*layers[:-1], (*layers[-1][:2], None)])


def _assert_sound(found: Ranges, points: np.ndarray) -> None:
    values = points
    for layer, low, high, bottom, top in zip(
        found.network.layers, found.low, found.high, found.post_low, found.post_high, strict=True
    ):
        arguments = values @ layer.weight + layer.bias
        room = 1e-13 * (1 + np.abs(arguments))
        assert np.all(arguments >= low - room)
        assert np.all(arguments <= high + room)
        values = layer.activation(arguments)
        assert np.all(values >= bottom - room)
        assert np.all(values <= top + room)


@given(st.integers(0, 2**32), st.sampled_from(ACTIVATIONS), st.floats(0, 3), st.floats(-2, 2))
def test_no_unit_leaves_its_range_at_any_point_of_the_box(
    seed: int, function: str, width: float, start: float
) -> None:
    network = affine_layers(_network(seed, function))
    low, high = np.full(2, start), start + np.array([width, width / 2])
    points = np.random.default_rng(seed).uniform(low, high, size=(200, 2))
    corners = np.array([[a, b] for a in (low[0], high[0]) for b in (low[1], high[1])])
    _assert_sound(ranges(network, (low, high)), np.concatenate([points, corners]))


@given(st.integers(0, 2**32))
def test_at_a_single_point_the_range_encloses_the_exact_value_and_is_narrow(seed: int) -> None:
    network = _network(seed, "relu")
    x = np.random.default_rng(seed).normal(size=2)
    found = ranges(affine_layers(network), (x, x))
    exact = network.exact(x)
    for low, value, high in zip(
        found.low[-1].tolist(), exact.tolist(), found.high[-1].tolist(), strict=True
    ):
        assert Fraction(low) <= value <= Fraction(high)
        assert high - low < 1e-9 * (1 + float(abs(value)))


@given(st.floats(-1e3, -1e-12), st.floats(1e-12, 1e3))
def test_the_chord_of_relu_lies_above_both_of_its_ends_in_exact_arithmetic(
    low: float, high: float
) -> None:
    # The terms of its intercept cancel: a slack relative to the intercept would be too small.
    slope, shift = relu_chord(np.array([low]), np.array([high]))
    s, c = Fraction(slope.item()), Fraction(shift.item())
    assert s * Fraction(low) + c >= 0
    assert s * Fraction(high) + c >= Fraction(high)


@given(
    st.floats(-50, 50), st.floats(0, 50), st.sampled_from([0.0, 0.01, 0.3, 1.0]), st.floats(0, 1)
)
def test_lines_of_a_leaky_relu_enclose_it_in_exact_arithmetic(
    low: float, width: float, alpha: float, share: float
) -> None:
    high = low + width
    act = activation("leaky_relu", alpha=alpha)
    layer = AffineLayer((0,), (np.eye(1),), np.zeros(1), act, negative_slopes(act, 1))
    found = lines(layer, np.array([low]), np.array([high]))
    slopes = [
        Fraction(x.item())
        for x in (found.low_slope, found.low_shift, found.high_slope, found.high_shift)
    ]
    inside = min(max(low + share * (high - low), low), high)
    for z in map(Fraction, (low, high, inside, min(max(0.0, low), high))):
        value = act.value(z)
        assert value is not None
        assert slopes[0] * z + slopes[1] <= value <= slopes[2] * z + slopes[3]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((1, 0), "input 0 has low 1 above high 0"),
        ((0, np.nan), "not finite"),
        ((-np.inf, 0), "not finite"),
        (([0, 0, 0], 1), "3 numbers in low"),
        (([0], [1]), "1 number in low"),
        ((0, 1, 2), "a lower and an upper end"),
    ],
)
def test_what_is_no_box_is_refused_in_one_sentence(box: tuple[object, ...], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        ranges(affine_layers(_network(0, "relu")), box)


def test_as_many_units_of_a_published_network_are_inactive_as_in_the_theory(
    shared_file: Callable[[str], Path],
) -> None:
    box = shared_file("networks/vnnlib/mnistfc_prop_0_0.03.vnnlib").read_text()
    ends = {
        side: [float(x) for x in re.findall(rf"\({side} X_\d+ ([-+.e0-9]+)\)", box)]
        for side in (">=", "<=")
    }
    network = read(shared_file("networks/mnistfc/mnist-net_256x4.onnx"))
    found = ranges(affine_layers(network), (ends[">="], ends["<="]))
    assert sum(int(np.sum(high <= 0)) for high in found.high[:-1]) == 787

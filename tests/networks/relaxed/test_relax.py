"""relax keeps its tolerance, its number of units and its proof; what is relaxed is listed."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from random_networks import FEWER, box, dense, perturbed, point

from lumpability import Network, read, relax
from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.examples import planted
from lumpability.networks.regions import Box

SEEDS = st.integers(0, 2**32)


@FEWER
@given(SEEDS, st.sampled_from(["both", "constants", "classes"]))
@example(10036, "both")  # a unit that nothing reads, and that is near to no other
def test_the_difference_at_every_point_is_within_tolerance_and_bound(seed: int, by: Any) -> None:
    random = np.random.default_rng(seed)
    network, region = dense(random, [2, 5, 4, 2]), box(random, 2)
    relaxed = relax(network, region=region, tolerance="0.5", by=by)
    assert relaxed.bound <= Fraction(1, 2)
    assert relaxed.certificate().verify()
    for _ in range(3):
        x = point(random, region)
        gap = network.exact(x) - relaxed.quotient.exact(x)
        assert max(map(abs, gap.tolist())) <= relaxed.bound


@FEWER
@given(SEEDS)
def test_the_bound_for_all_inputs_grows_with_the_largest_input(seed: int) -> None:
    random = np.random.default_rng(seed)
    network = dense(random, [2, 5, 2])
    relaxed = relax(network, units=int(random.integers(0, 6)))
    for size in (1, 10, 1000):
        x = [Fraction(int(k), 7) * size for k in random.integers(-7, 8, size=2)]
        gap = network.exact(x) - relaxed.quotient.exact(x)
        assert max(map(abs, gap.tolist())) <= relaxed.bound * max(1, *map(abs, x))
    assert relaxed.certificate().verify()


@FEWER
@given(SEEDS, st.integers(0, 9))
def test_no_more_units_are_left_than_asked_for(seed: int, units: int) -> None:
    random = np.random.default_rng(seed)
    network, region = dense(random, [2, 5, 4, 2]), box(random, 2)
    assert relax(network, region=region, units=units).quotient.hidden_neurons <= units


def test_widened_networks_that_drifted_are_narrow_again() -> None:
    wide, _ = planted([3, 5, 4, 2], 3, seed=1)
    drifted = perturbed(np.random.default_rng(0), with_biases(wide), 1e-5)
    relaxed = relax(drifted, region=Box([-1] * 3, [1] * 3), tolerance=300, by="classes")
    assert relaxed.quotient.hidden_neurons == 9  # outputs are of the size 10^5
    assert {change.became for change in relaxed.changes} == {"class"}
    assert len(relaxed.changes) == drifted.hidden_neurons - 9
    assert relax(drifted, units=9).bound < 3000


def with_biases(network: Network) -> Network:
    from lumpability.networks.layers import Dense

    layers = [
        Dense(x.weight, np.zeros(x.units) if x.bias is None else x.bias)
        if isinstance(x, Dense)
        else x
        for x in network.layers
    ]
    return Network(tuple(layers), network.input_shape, network.dtype)


def test_the_curve_falls_and_ends_at_what_is_exact() -> None:
    random = np.random.default_rng(5)
    relaxed = relax(dense(random, [3, 8, 8, 2]), region=box(random, 3), units=6)
    units = [point.units for point in relaxed.curve]
    bounds = [point.bound for point in relaxed.curve]
    assert units == sorted(units)
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] < 1e-12
    assert relaxed.report()["curve"][0]["units"] == units[0]


def test_a_tolerance_of_nothing_is_exact_on_the_region() -> None:
    random = np.random.default_rng(2)
    network = dense(random, [2, 6, 2], whole=True)
    relaxed = relax(network, region=box(random, 2), tolerance=0)
    assert (relaxed.bound, relaxed.changes) == (0, ())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "either a tolerance or"),
        ({"units": 1, "tolerance": 1}, "either a tolerance or"),
        ({"units": -1}, "no -1 units"),
        ({"tolerance": -1}, "not negative"),
        ({"tolerance": float("nan")}, "nan"),
        ({"tolerance": 1, "by": "luck"}, "is none of"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], told: str) -> None:
    network = Network.dense([([[1]], None, "relu"), ([[1]], None, None)])
    with pytest.raises(InvalidInput, match=told):
        relax(network, region=Box([0], [1]), **options)


def test_a_tolerance_that_rounding_exceeds_is_refused() -> None:
    random = np.random.default_rng(0)
    network = dense(random, [2, 4, 2])
    with pytest.raises(NotJustified, match="float64"):
        relax(network, region=box(random, 2), tolerance="1e-12", dtype="float16")


Find = Callable[[str], Path]
RELAXED = "cases/relaxed"


@pytest.mark.slow
def test_digits_widened_three_times_have_eighty_units(shared_file: Find) -> None:
    pytest.importorskip("onnx")
    network = read(shared_file(f"{RELAXED}/digits_widened_drift1e-4.onnx"))
    relaxed = relax(network, region=Box([0] * 64, [1] * 64), units=80, by="classes")
    assert relaxed.quotient.hidden_neurons <= 80
    assert relaxed.bound <= Fraction(2, 100)


@pytest.mark.parametrize("seed", range(4))
def test_one_point_is_a_region(seed: int) -> None:
    random = np.random.default_rng(seed)
    network = dense(random, [1, 1, 2, 2, 2], act="leaky_relu")
    region = Box(["2/3"], ["2/3"])
    found = relax(network, region=region, tolerance="1/10", dtype=np.float32)
    gap = network.exact(region.low) - found.quotient.exact(region.low)
    assert max(map(abs, gap.tolist())) <= found.bound <= Fraction(1, 10)

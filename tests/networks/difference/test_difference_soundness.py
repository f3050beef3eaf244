"""No bound is exceeded: exact values along segments in rationals, and exact maxima by integer programming."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from exact_walks import (
    between,
    fractions,
    largest_difference,
    values,
    walk,
)
from hypothesis import given
from hypothesis import strategies as st
from random_pairs import FEWER, dense_pair, joined_pair, random_relation

from lumpability import Network, compare
from lumpability.networks.difference import AffineNetwork, Difference, affine_layers


def assert_holds(
    found: Difference,
    a: AffineNetwork,
    b: AffineNetwork,
    start: list[Fraction],
    end: list[Fraction],
) -> None:
    """Check bounds of outputs, of t and of d at every place where one of the networks bends."""
    for share in sorted({*walk(a, start, end), *walk(b, start, end)}):
        x = between(start, end, share)
        scale = 1 if found.region is not None else max([Fraction(1), *map(abs, x)])
        first, second = values(a, x), values(b, x)
        for low, one, other, high in zip(
            fractions(found.low), first[-1], second[-1], fractions(found.high), strict=True
        ):
            assert low * scale <= one - other <= high * scale
        if found.pair is not None and found.region is not None:
            assert_layers_hold(found, first, second)


def assert_layers_hold(
    found: Difference, first: list[list[Fraction]], second: list[list[Fraction]]
) -> None:
    pair = found.pair
    assert pair is not None
    for number, (low, high) in enumerate(zip(pair.d_low, pair.d_high, strict=True), start=1):
        lift = pair.lifts[number]
        matrix = np.eye(len(lift.shift)) if lift.matrix is None else lift.matrix
        for unit, (below, above) in enumerate(zip(fractions(low), fractions(high), strict=True)):
            lifted = sum(
                h * c for h, c in zip(second[number], fractions(matrix[:, unit]), strict=True)
            )
            d = first[number][unit] - lifted - Fraction(lift.shift[unit].item())
            assert below <= d <= above


def segment(seed: int) -> tuple[np.ndarray, np.ndarray, list[Fraction], list[Fraction]]:
    random = np.random.default_rng(seed + 1)
    low = np.round(random.normal(size=2) * 4) / 4
    high = low + np.round(random.uniform(0, 2, size=2) * 4) / 4
    points = [low + (high - low) * random.integers(0, 5, size=2) / 4 for _ in range(2)]
    return low, high, fractions(points[0]), fractions(points[1])


@given(st.integers(0, 2**32), st.sampled_from(["relu", "leaky_relu"]))
def test_no_output_differs_by_more_than_the_bound_on_any_segment_of_the_box(
    seed: int, function: str
) -> None:
    networks = dense_pair(seed, function=function)
    low, high, start, end = segment(seed)
    found = compare(*networks, region=(low, high))
    assert_holds(found, *map(affine_layers, networks), start, end)


@given(st.integers(0, 2**32))
def test_bounds_hold_whatever_the_relation_is(seed: int) -> None:
    networks = dense_pair(seed)
    a, b = map(affine_layers, networks)
    low, high, start, end = segment(seed)
    found = compare(*networks, region=(low, high), relation=random_relation(seed, a, b))
    assert_holds(found, a, b, start, end)


@FEWER
@given(st.integers(0, 2**32))
def test_bounds_hold_across_residual_joins(seed: int) -> None:
    networks = joined_pair(seed)
    low, high, start, end = segment(seed)
    found = compare(*networks, region=(low, high))
    assert_holds(found, *map(affine_layers, networks), start, end)


@FEWER
@given(st.integers(0, 2**32))
def test_bounds_for_all_inputs_hold_far_away_too(seed: int) -> None:
    networks = dense_pair(seed)
    *_, start, end = segment(seed)
    found = compare(*networks)
    assert_holds(found, *map(affine_layers, networks), [100 * x for x in start], end)


@FEWER
@given(st.integers(0, 2**32))
def test_bounds_hold_for_networks_whose_layers_differ(seed: int) -> None:
    a, b = dense_pair(seed)[0], dense_pair(seed + 1)[0]
    low, high, start, end = segment(seed)
    found = compare(a, b, region=(low, high))
    assert_holds(found, affine_layers(a), affine_layers(b), start, end)


@FEWER
@given(st.integers(0, 2**32))
def test_splitting_tightens_bounds_and_keeps_them_sound(seed: int) -> None:
    networks = dense_pair(seed)
    low, high, start, end = segment(seed)
    whole = compare(*networks, region=(low, high))
    found = compare(*networks, region=(low, high), boxes=5)
    assert found.bound <= whole.bound
    assert found.boxes <= 5
    assert_holds(found, *map(affine_layers, networks), start, end)


@FEWER
@given(st.integers(0, 2**32), st.sampled_from(["relu", "leaky_relu", "joined"]))
def test_cases_tighten_bounds_and_keep_them_sound(seed: int, kind: str) -> None:
    networks = joined_pair(seed) if kind == "joined" else dense_pair(seed, function=kind)
    low, high, start, end = segment(seed)
    whole = compare(*networks, region=(low, high))
    found = compare(*networks, region=(low, high), cases=9)
    assert np.all((found.low >= whole.low) & (found.high <= whole.high))
    assert_holds(found, *map(affine_layers, networks), start, end)


@pytest.mark.parametrize("seed", range(6))
def test_cases_told_apart_to_the_end_prove_the_exact_maximum(seed: int) -> None:
    networks = dense_pair(seed)
    low, high, *_ = segment(seed)
    found = compare(*networks, region=(low, high), cases=1000)
    a, b = map(affine_layers, networks)
    exact = max(
        largest_difference(a, b, (low, high), output, sign)
        for output in range(2)
        for sign in (1, -1)
    )
    assert found.bound == pytest.approx(max(exact, 0), rel=1e-5, abs=1e-6)
    assert found.bound >= exact - 1e-6


@pytest.mark.parametrize("seed", range(8))
def test_the_exact_maximum_lies_between_the_witness_and_the_bound(seed: int) -> None:
    networks = dense_pair(seed)
    low, high, *_ = segment(seed)
    found = compare(*networks, region=(low, high), boxes=3)
    a, b = map(affine_layers, networks)
    exact = [
        max(largest_difference(a, b, (low, high), output, sign) for sign in (1, -1))
        for output in range(2)
    ]
    assert found.witness.difference <= max(exact) + 1e-6
    for below, largest, above in zip(found.low, exact, found.high, strict=True):
        assert largest <= max(-below, above) + 1e-6


@pytest.mark.parametrize(
    "function", ["tanh", "sigmoid", "softplus", "softsign", "atan", "elu", "clip"]
)
def test_bounds_hold_at_random_points_for_every_other_activation(function: str) -> None:
    for seed in range(6):
        networks = dense_pair(seed, function=function)
        low, high, *_ = segment(seed)
        found = compare(*networks, region=(low, high))
        points = np.random.default_rng(seed).uniform(low, high, size=(500, 2))
        gaps = networks[0](points) - networks[1](points)
        assert np.all(gaps >= found.low - 1e-12)
        assert np.all(gaps <= found.high + 1e-12)


def test_the_witness_differs_by_what_it_says_when_both_networks_are_run_exactly() -> None:
    for seed in range(10):
        networks: tuple[Network, Network] = dense_pair(seed)
        low, high, *_ = segment(seed)
        witness = compare(*networks, region=(low, high)).witness
        assert np.all(low <= witness.point)
        assert np.all(witness.point <= high)
        first, second = (network.exact(witness.point)[witness.output] for network in networks)
        assert abs(first - second) >= Fraction(witness.difference)
        assert abs(float(first - second)) <= witness.difference + 1e-9

"""The certified difference of two networks: traps of the theory, published figures, refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumpability import CTMC, compare, lump, read
from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks import Network
from lumpability.networks.difference import Lift, affine_layers
from lumpability.networks.difference.ranges import box_ends
from lumpability.networks.elementwise import Softmax
from lumpability.networks.examples import planted
from lumpability.networks.layers import Dense
from lumpability.networks.regions import Box

Shared = Callable[[str], Path]


def _copied(network: Network, change: Callable[[np.ndarray], np.ndarray]) -> Network:
    """Return the network with the weights of dense layers changed, not their biases."""
    layers = [
        replace(layer, weight=change(layer.weight)) if isinstance(layer, Dense) else layer
        for layer in network.layers
    ]
    return Network(tuple(layers), network.input_shape, network.dtype)


def _half(weight: np.ndarray) -> np.ndarray:
    return weight.astype(np.float16).astype(weight.dtype)


def _eight_bits(weight: np.ndarray) -> np.ndarray:
    step = np.abs(weight).max() / 127
    return (np.round(weight / step) * step).astype(weight.dtype)


def _dense(seed: int = 0) -> Network:
    random = np.random.default_rng(seed)
    return Network.dense(
        [
            (random.normal(size=(3, 6)), random.normal(size=6), "relu"),
            (random.normal(size=(6, 5)), random.normal(size=5), "relu"),
            (random.normal(size=(5, 2)), None, None),
        ]
    )


def test_a_network_differs_from_itself_by_exactly_zero() -> None:
    for found in (compare(_dense(), _dense(), region=(-1, 1)), compare(_dense(), _dense())):
        assert found.bound == found.found == 0
    assert compare(_dense(), _dense(), region=(-1, 1), tolerance=0).certified


def test_units_without_a_residual_differ_by_exactly_zero() -> None:
    # Slack for rounding must not turn the difference of such a unit into an interval.
    whole = _dense()
    *layers, last = whole.layers
    moved = replace(last, bias=np.ones(last.units))  # type: ignore[type-var, attr-defined]
    other = Network((*layers, moved), whole.input_shape, whole.dtype)
    for found in (compare(whole, other, region=(-1, 1)), compare(whole, other)):
        assert found.pair is not None
        assert not any(np.any(d) for d in (*found.pair.d_low[:-1], *found.pair.d_high[:-1]))


def test_an_exact_lumping_with_factors_differs_by_exactly_zero() -> None:
    network = planted([3, 4, 3], copies=3)[0]
    lumping = lump(network, kind="proportional")
    found = compare(network, lumping.quotient, region=(-1, 1))
    assert lumping.quotient.hidden_neurons < network.hidden_neurons
    assert found.bound < 1e-9


def test_the_bound_is_about_the_weights_that_are_stored_not_those_before_rounding() -> None:
    random = np.random.default_rng(0)
    first, last = random.normal(size=(3, 4)), random.normal(size=(8, 2))
    network = Network.dense([(np.tile(first, 2), None, "relu"), (last, None, None)])
    rounded = lump(network, kind="proportional", dtype="float16").quotient
    found = compare(network, rounded, region=(-1, 1))
    points = random.uniform(-1, 1, size=(200, 3))
    gaps = affine_layers(network)(points) - affine_layers(rounded)(points)
    assert 1e-4 < np.abs(gaps).max() <= found.bound


def test_a_constant_enters_the_residual_of_the_next_layer() -> None:
    first = Network.dense([([[1, 0]], [0, 3], "relu"), ([[1], [5]], [0], None)])
    without = Network.dense([([[1]], [0], "relu"), ([[1]], [0], None)])
    folded = Network.dense([([[1]], [0], "relu"), ([[1]], [15], None)])
    relation = [(np.array([[1.0, 0.0]]), np.array([0.0, 3.0]))]
    assert compare(first, without, region=(0, 1), relation=relation).low[0] == pytest.approx(15)
    found = compare(first, folded, region=(0, 1), relation=relation)
    assert found.bound < 1e-12
    assert compare(first, folded, region=(0, 1)).bound < 1e-12


def test_the_lines_of_a_unit_are_about_the_lifted_unit_of_the_reduced_network() -> None:
    # The unit of `first` is three times that of `second`: without the factor the ranges are too small.
    first = Network.dense([([[3]], [1.5], "relu"), ([[1]], None, None)])
    second = Network.dense([([[1]], [0.25], "relu"), ([[3]], None, None)])
    found = compare(first, second, region=(-2, 2), relation=[(np.array([[3.0]]), None)])
    points = np.linspace(-2, 2, 401)[:, None]
    gaps = first(points) - second(points)
    assert gaps.max() == pytest.approx(0.75)
    assert np.all(gaps >= found.low)
    assert np.all(gaps <= found.high)


def test_bounds_that_are_not_finite_are_refused() -> None:
    huge = Network.dense([([[1e200]], None, "relu"), ([[1e200]], None, None)])
    other = Network.dense([([[1e200]], None, "relu"), ([[-1e200]], None, None)])
    with pytest.raises(NotJustified, match="range of doubles"):
        compare(huge, other, region=(0, 1), tolerance=1.0)


def test_a_box_in_decimals_is_taken_outward() -> None:
    # The nearest double to 0.1 is above it, the nearest to 0.3 is below it.
    low, high = box_ends(Box(["0.1"], ["0.3"]), 1)
    assert Fraction(low.item()) <= Fraction(1, 10)
    assert Fraction(high.item()) >= Fraction(3, 10)


def test_a_tolerance_is_proved_refuted_or_open() -> None:
    first = _dense()
    second = _copied(first, _half)
    bound = compare(first, second, region=(-1, 1))
    assert bound.certified is None
    assert compare(first, second, region=(-1, 1), tolerance=2 * bound.bound).certified is True
    assert compare(first, second, region=(-1, 1), tolerance=bound.found / 2).certified is False
    between = (bound.bound + bound.found) / 2
    assert compare(first, second, region=(-1, 1), tolerance=between, boxes=1).certified is None


def test_splitting_ends_when_the_budget_or_the_user_ends_it() -> None:
    first, second = _dense(), _copied(_dense(), _eight_bits)
    whole = compare(first, second, region=(-1, 1))
    seen: list[tuple[int, int, float]] = []
    found = compare(first, second, region=(-1, 1), boxes=21, progress=lambda *x: seen.append(x))
    assert [done for done, *_ in seen] == list(range(3, 22, 2))
    assert found.bound <= seen[-1][2] <= whole.bound

    def stop(done: int, most: int, bound: float) -> None:
        if done == 7:
            raise KeyboardInterrupt

    ended = compare(first, second, region=(-1, 1), boxes=21, progress=stop)
    assert (ended.interrupted, ended.boxes) == (True, 7)
    assert found.bound <= ended.bound <= whole.bound


def test_a_permuted_and_a_pruned_copy_are_matched_by_their_weights() -> None:
    network = _dense()
    first, activation, second, *rest = network.layers
    assert isinstance(first, Dense)
    assert isinstance(second, Dense)
    order = np.array([3, 0, 5, 1, 2, 4])
    moved = (
        Dense(first.weight[:, order], None if first.bias is None else first.bias[order]),
        activation,
        Dense(second.weight[order], second.bias),
        *rest,
    )
    permuted = Network(moved, network.input_shape, network.dtype)
    assert compare(network, permuted, region=(-1, 1)).bound < 1e-12
    assert compare(network, permuted).bound < 1e-12


@pytest.mark.parametrize(
    ("other", "options", "message"),
    [
        (Network.dense([([[1]] * 4, None, None)]), {}, "3 and 4 inputs"),
        (Network.dense([([[1, 2, 3]] * 3, None, None)]), {}, "2 and 3 outputs"),
        (_dense(1), {"region": (0, 1, 2)}, "lower and an upper end"),
        (_dense(1), {"region": ([0, 1], [1, 2])}, "2 numbers in low"),
        (_dense(1), {"region": (1, 0)}, "empty"),
        (_dense(1), {"region": (0, np.nan)}, "not finite"),
        (_dense(1), {"region": Box([0, 0], [1, 1])}, "2 numbers"),
        (_dense(1), {"relation": [(None, None)]}, "1 lifts, but the network has 2 hidden layers"),
        (_dense(1), {"relation": [(np.eye(3), None)] * 2}, "lift of layer 1"),
        (_dense(1), {"relation": [(np.full((6, 6), np.inf), None)] * 2}, "not finite"),
        (_dense(1), {"region": 3}, "lower and an upper end"),
        (_dense(1), {"region": ("0", "1")}, "of floats"),
        (_dense(1), {"region": (0, 2**53 + 1)}, "no doubles"),
        (_dense(1), {"relation": 5}, "a list with a pair"),
        (_dense(1), {"relation": [3, 4]}, "a list with a pair"),
        (_dense(1), {"tolerance": "1"}, "no tolerance"),
        (_dense(1), {"tolerance": -1.0}, "no tolerance"),
        (_dense(1), {"tolerance": np.nan}, "no tolerance"),
        (_dense(1), {"boxes": 0}, "at least 1"),
        (_dense(1), {"cases": -1}, "0 or more"),
        (CTMC([[0, 1], [1, 0]]), {}, "cannot compare a CTMC"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(
    other: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message) as refused:
        compare(_dense(), other, **options)
    assert len(re.findall(r"[.!?]( |$)", str(refused.value))) <= 1


def test_a_network_without_hidden_units_can_be_compared() -> None:
    empty = (np.zeros((3, 0)), None, "relu"), (np.zeros((0, 2)), [1.0, -2.0], None)
    other = (np.zeros((3, 5)), None, "relu"), (np.ones((5, 2)), [1.0, 0.0], None)
    for region in (None, (0, 1)):
        found = compare(Network.dense(empty), Network.dense(other), region=region)
        assert found.bound == pytest.approx(2)
        assert found.found == pytest.approx(2)


def test_what_is_not_covered_is_refused_by_name() -> None:
    soft = Network((*_dense().layers, Softmax()), (None, 3), np.float64)
    with pytest.raises(NotJustified, match="layer 5: no bound for Softmax"):
        compare(soft, soft, region=(0, 1))
    curved = Network.dense([([[1]], None, "tanh"), ([[1]], None, None)])
    with pytest.raises(NotJustified, match="tanh: give a region"):
        compare(curved, Network.dense([([[2]], None, "tanh"), ([[1]], None, None)]))


def _box(shared_file: Shared, name: str, width: float | None = None) -> Any:
    box = Box.read(shared_file(f"networks/vnnlib/{name}.vnnlib"))
    if width is None:
        return box
    low, high = (np.array([float(x) for x in end]) for end in (box.low, box.high))
    # The box of the file is cut off at 0 and 1.
    centre = np.where(low == 0, high - 0.03, np.where(high == 1, low + 0.03, (low + high) / 2))
    return np.clip(centre - width, 0, 1), np.clip(centre + width, 0, 1)


@pytest.mark.parametrize(
    ("name", "box", "change", "most"),
    [
        ("mnistfc/mnist-net_256x4", ("mnistfc_prop_0_0.03", 0.01), _half, 0.000137),
        ("mnistfc/mnist-net_256x2", ("mnistfc_prop_0_0.03", 0.01), _eight_bits, 0.0173),
        ("acasxu/ACASXU_run2a_1_1_batch_2000", ("acasxu_prop_4", None), _half, 0.0221),
    ],
)
def test_the_difference_of_a_rounded_copy_is_as_small_as_in_the_theory(
    shared_file: Shared, name: str, box: tuple[str, float | None], change: Any, most: float
) -> None:
    network = read(shared_file(f"networks/{name}.onnx"))
    found = compare(network, _copied(network, change), region=_box(shared_file, *box), cases=0)
    assert found.found <= found.bound <= most
    assert found.method == "d*"


@pytest.mark.slow
def test_cases_prove_less_of_an_eight_bit_copy_than_lines_of_single_units_can(
    shared_file: Shared,
) -> None:
    network = read(shared_file("networks/mnistfc/mnist-net_256x2.onnx"))
    box, copy = _box(shared_file, "mnistfc_prop_0_0.03", 0.01), _copied(network, _eight_bits)
    found = compare(network, copy, region=box, tolerance=0.0105)
    assert found.certified
    assert found.method == "cases"
    assert compare(network, copy, region=box, tolerance=0.007).certified is False


def test_a_float16_copy_of_the_digits_network_differs_little_on_all_images(
    shared_file: Shared,
) -> None:
    names = ("digits", "digits_float16")
    networks = [read(shared_file(f"cases/relaxed/{name}.onnx")) for name in names]
    found = compare(*networks, region=(0, 1))
    assert 0.0077 <= found.found <= found.bound <= 0.066


def test_a_widened_network_that_drifted_is_matched_with_factors(shared_file: Shared) -> None:
    names = ("digits_widened_drift1e-4", "digits")
    networks = [read(shared_file(f"cases/relaxed/{name}.onnx")) for name in names]
    found = compare(*networks, region=(0, 1))
    assert found.bound <= 0.025
    assert found.pair is not None
    lifts: list[Lift] = list(found.pair.lifts)
    assert all(lift.is_class for lift in lifts)


def test_property_3_of_acas_xu_is_decided_with_few_boxes(shared_file: Shared) -> None:
    network = read(shared_file("networks/acasxu/ACASXU_run2a_1_1_batch_2000.onnx"))
    box = _box(shared_file, "acasxu_prop_3")
    found = compare(network, _copied(network, _half), region=box, tolerance=0.01, boxes=600)
    assert found.certified is True
    assert found.boxes <= 600


def test_no_sample_in_onnxruntime_exceeds_the_bound(shared_file: Shared) -> None:
    runtime = pytest.importorskip("onnxruntime")
    names = ("digits", "digits_float16")
    paths = [shared_file(f"cases/relaxed/{name}.onnx") for name in names]
    found = compare(*map(read, paths), region=(0, 1))
    sessions = [runtime.InferenceSession(str(path)) for path in paths]
    points = np.random.default_rng(0).uniform(size=(2000, 64)).astype(np.float32)
    points[0] = found.witness.point
    outputs = [s.run(None, {s.get_inputs()[0].name: points})[0] for s in sessions]
    gaps = outputs[0].astype(np.float64) - outputs[1]
    rounding = 1e-5  # of an execution in float32, which the bound does not cover
    assert np.all(gaps >= found.low - rounding)
    assert np.all(gaps <= found.high + rounding)
    assert abs(abs(gaps[0, found.witness.output]) - found.witness.difference) < rounding


def test_the_largest_difference_found_is_at_an_input_of_the_region():
    """Solvers keep the ends of a box up to a tolerance only."""
    seeds = np.random.default_rng(82)
    inputs, units = int(seeds.integers(1, 5)), int(seeds.integers(2, 7))
    scale = 10.0 ** seeds.integers(-9, 3)
    weights, last = seeds.normal(size=(inputs, units)) * scale, seeds.normal(size=(units, 1))
    bias = seeds.normal(size=units) * scale
    other = weights * (1 + 0.1 * seeds.normal(size=weights.shape))
    a, b = (Network.dense([(w, bias, "relu"), (last, None, None)]) for w in (weights, other))
    low, high = np.full(inputs, -1.1), np.full(inputs, 0.7)
    point = compare(a, b, region=(low, high), cases=30).witness.point
    assert (low <= point).all()
    assert (point <= high).all()

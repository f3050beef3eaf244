"""On the region the reduced network is the network; published networks lose what the theory page says."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import FEWER, box, dense, point

from lumpability import Network, explain_pruning, lump, read, relax
from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.difference import affine_layers
from lumpability.networks.elementwise import Activate, Shift, Softmax
from lumpability.networks.layers import Conv, Dense
from lumpability.networks.regions import Box
from lumpability.networks.reshape import Flatten

SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.booleans(), st.sampled_from(["relu", "leaky_relu"]))
def test_lumped_on_a_region_equals_the_network_at_every_point_exactly(
    seed: int, keep: bool, act: str
) -> None:
    random = np.random.default_rng(seed)
    sizes = [int(k) for k in random.integers(1, 6, size=random.integers(3, 6))]
    network = dense(random, sizes, whole=True, act=act)
    region = box(random, sizes[0], width=0.6)
    lumping = lump(network, region=region, exact_weights=keep)
    exact = (
        act == "relu"
    )  # the slope of the other, 0.01, is a long number, and products with it round
    assert lumping.bound == 0 if exact else lumping.bound < 1e-10
    for _ in range(4):
        x = point(random, region)
        gap = (lumping.quotient.exact(x) - network.exact(x)).tolist()
        assert max(map(abs, gap)) <= lumping.bound


@FEWER
@given(SEEDS)
def test_a_region_never_leaves_more_than_all_inputs(seed: int) -> None:
    random = np.random.default_rng(seed)
    network = dense(random, [2, 6, 6, 1], whole=True)
    lumping = lump(network, region=box(random, 2))
    assert lumping.quotient.hidden_neurons <= lump(network).quotient.hidden_neurons
    assert sum(row.left for row in lumping.table) == lumping.quotient.hidden_neurons


@FEWER
@given(SEEDS)
def test_more_parts_never_leave_more_units(seed: int) -> None:
    random = np.random.default_rng(seed)
    network, region = dense(random, [2, 5, 5, 1]), box(random, 2)
    found = [lump(network, region=region, boxes=n) for n in (1, 2, 4, 8)]
    left = [one.quotient.hidden_neurons for one in found]
    assert left == sorted(left, reverse=True)
    # More parts than help are not kept: they would only make the certificate longer.
    parts = {one.quotient.hidden_neurons: len(one.claims.parts) for one in reversed(found)}
    assert all(len(one.claims.parts) == parts[one.quotient.hidden_neurons] for one in found)


@FEWER
@given(SEEDS)
def test_rounding_to_half_precision_stays_within_the_bound(seed: int) -> None:
    random = np.random.default_rng(seed)
    network, region = dense(random, [2, 5, 4, 2]), box(random, 2)
    lumping = lump(network, region=region, dtype="float16")
    for _ in range(3):
        x = point(random, region)
        gap = network.exact(x) - lumping.quotient.exact(x)
        assert max(map(abs, gap.tolist())) <= lumping.bound


def test_units_that_cancel_together_stay() -> None:
    # Two twins with weights 1 and -1 above: dead together, though each is used.
    layers = [([[1, 1, 1]], None, "relu"), ([[1], [-1], [2]], None, None)]
    network = Network.dense(layers)
    lumping = lump(network, region=Box([-1], [1]))
    assert lumping.quotient.exact([Fraction(1, 3)]).tolist() == [Fraction(2, 3)]
    assert lumping.bound == 0


def test_active_units_that_cancel_leave_a_unit_that_is_zero() -> None:
    # On the region the second layer is linear, and what it passes on does not depend on the first.
    layers = [
        ([[1, 2]], [1, 0], "relu"),
        ([[1, 2, 1], [1, 1, 0]], [9, 9, 9], "relu"),
        ([[1], [-1], [1]], None, "relu"),
        ([[1]], None, None),
    ]
    network = Network.dense(layers)
    lumping = lump(network, region=Box([0], [1]))
    assert lumping.quotient.exact(["1/3"]).tolist() == network.exact(["1/3"]).tolist()
    assert lumping.certificate().verify()


def test_a_region_on_which_all_is_constant_leaves_no_hidden_unit() -> None:
    network = Network.dense(
        [([[1, 2]], [-3, 1], "relu"), ([[1], [0]], [5], "relu"), ([[2]], [1], None)]
    )
    lumping = lump(network, region=Box([0], [1]))
    assert lumping.quotient.hidden_neurons == 0
    assert lumping.quotient.exact(["1/7"]).tolist() == [11]
    assert lumping.certificate().verify()


def test_layers_before_the_weights_stay_and_inputs_may_be_carried() -> None:
    random = np.random.default_rng(1)
    layers = (
        Shift(np.array([[1.0, 2.0]])),
        Flatten(1),
        Dense(random.normal(size=(2, 5)), np.full(5, 9.0)),
        Activate("relu"),
        Dense(np.ones((5, 1)), np.zeros(1)),
    )
    network = Network(layers, (None, 1, 2), np.float64)
    lumping = lump(network, region=Box(np.full((1, 2), -3), np.full((1, 2), -1)))
    assert lumping.quotient.layers[:2] == layers[:2]
    assert (lumping.table[0].carried, lumping.table[0].carrying) == (5, 2)
    x = [[Fraction(-7, 3), Fraction(-4, 3)]]
    gap = lumping.quotient.exact([x]) - network.exact([x])
    assert abs(gap.item()) <= lumping.bound < 1e-12


def test_convolutions_are_unrolled() -> None:
    random = np.random.default_rng(0)
    layers = (
        Conv(random.normal(size=(2, 1, 2)), random.normal(size=2)),
        Activate("relu"),
        Flatten(1),
        Dense(random.normal(size=(6, 2))),
    )
    network = Network(layers, (None, 1, 4), np.float64)
    lumping = lump(network, region=Box.around(np.zeros((1, 4)), "0.1"))
    assert lumping.quotient.output_shape == network.output_shape
    x = np.full((1, 1, 4), 0.05)
    assert np.allclose(lumping.quotient(x), network(x))


def test_a_region_may_be_a_pair_of_ends_as_for_compare() -> None:
    network = Network.dense([([[1, 1]], [0, -3], "relu"), ([[1], [1]], None, None)])
    for region in ((0, 2), ([0], [2.0])):
        for found in (lump(network, region=region), relax(network, region=region, units=0)):
            assert found.region is not None
            assert found.region.to_json() == {"low": ["0"], "high": ["2"]}
        assert explain_pruning(network, network, region=region).bound == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"region": Box([0, 0], [1, 1])}, "2 inputs, but the network has 1"),
        ({"region": Box([0], [1]), "antiparallel": True}, "antiparallel has no meaning"),
        ({"region": Box([0], [1]), "within": {}}, "within has no meaning"),
        ({"region": Box([0], [1]), "boxes": 0}, "1 to 65,536 boxes"),
        ({"region": Box([0], [1]), "kind": "strict"}, "unknown kind"),
        ({"region": "box.json"}, "a box has a lower and an upper end"),
        ({"boxes": 2}, "give region"),
    ],
)
def test_what_has_no_meaning_is_refused(options: dict[str, Any], told: str) -> None:
    network = Network.dense([([[1]], None, "relu"), ([[1]], None, None)])
    with pytest.raises(InvalidInput, match=told):
        lump(network, **options)


def test_an_activation_that_is_not_monotone_is_refused_by_name() -> None:
    network = Network.dense([([[1]], None, "abs"), ([[1]], None, None)])
    with pytest.raises(NotJustified, match="abs"):
        lump(network, region=Box([0], [1]))


@FEWER
@given(SEEDS, st.sampled_from(["tanh", "sigmoid", "softplus", "softsign", "atan", "elu", "clip"]))
def test_units_before_and_after_another_activation_leave_and_the_bound_holds(
    seed: int, act: str
) -> None:
    random = np.random.default_rng(seed)
    layers = list(dense(random, [3, 5, 4, 3, 2]).layers)
    layers[3] = Activate(act, **({"low": -0.5, "high": 0.75} if act == "clip" else {}))
    network = Network(tuple(layers), (None, 3), np.dtype(np.float64))
    region = box(random, 3, width=0.6)
    lumping = lump(network, region=region, dtype="float16")
    assert lumping.certificate().verify()
    points = np.array([[float(k) for k in point(random, region)] for _ in range(20)])
    gap = affine_layers(network)(points) - affine_layers(lumping.quotient)(points)
    assert np.abs(gap).max() <= float(lumping.bound) + 1e-12


def test_softmax_is_refused_by_name() -> None:
    network = Network((Dense(np.eye(2)), Softmax()), (None, 2), np.float64)
    with pytest.raises(NotJustified, match="Softmax"):
        lump(network, region=Box([0, 0], [1, 1]))


def test_exact_weights_are_refused_if_one_must_be_rounded() -> None:
    network = Network.dense([([[3, 1]], None, "relu"), ([[1], [1]], None, None)])
    with pytest.raises(NotJustified, match="not representable"):
        lump(
            Network.dense([([[0.1, 0.1]], None, "relu"), ([[1], [0.1]], None, None)]),
            region=Box([-1], [1]),
            dtype="float16",
            exact_weights=True,
        )
    assert lump(network, region=Box([-1], [1]), exact_weights=True).rounding.rounded == 0


Find = Callable[[str], Path]
ACAS = "networks/acasxu/ACASXU_run2a_1_1_batch_2000.onnx"


def centre(path: Path) -> Any:
    """The image around which the box of the property lies, clipped to [0, 1]."""
    low, high = Box.read(path).floats
    return np.where(low == 0, high - 0.03, np.where(high == 1, low + 0.03, (low + high) / 2))


@pytest.mark.parametrize(("prop", "left"), [(3, 155), (4, 133)])
def test_acas_networks_lose_half_their_units(shared_file: Find, prop: int, left: int) -> None:
    pytest.importorskip("onnx")
    box = Box.read(shared_file(f"networks/vnnlib/acasxu_prop_{prop}.vnnlib"))
    lumping = lump(read(shared_file(ACAS)), region=box)
    assert lumping.quotient.hidden_neurons <= left
    assert lumping.bound < 2e-5
    assert lumping.certificate().verify()


@pytest.mark.slow
@pytest.mark.parametrize(("prop", "left"), [(3, 140), (4, 123)])
def test_parts_leave_fewer_units_of_acas_networks(shared_file: Find, prop: int, left: int) -> None:
    from lumpability.networks.difference import affine_layers
    from lumpability.networks.relaxed.changes import Changes
    from lumpability.networks.relaxed.rebuild import Frame
    from lumpability.networks.relaxed.stable import cut_further

    pytest.importorskip("onnx")
    box = Box.read(shared_file(f"networks/vnnlib/acasxu_prop_{prop}.vnnlib"))
    network = read(shared_file(ACAS))
    frame = Frame.of(network)
    *_, stable = cut_further(affine_layers(network), box, 64)
    assert len(stable.parts) == 64
    reduced = Changes.on_region(frame, stable).reduced(frame, stable)
    assert sum(reduced.left[:-1]) <= left


@pytest.mark.parametrize(
    ("name", "eps", "left"),
    [("256x2", "0.03", 101), ("256x4", "0.01", 66), ("256x4", "0.03", 237), ("256x4", "0.05", 704)],
)
def test_digit_networks_lose_most_units_on_small_boxes(
    shared_file: Find, name: str, eps: str, left: int
) -> None:
    from lumpability.networks.relaxed.changes import Changes
    from lumpability.networks.relaxed.rebuild import Frame
    from lumpability.networks.relaxed.stable import stable_units

    pytest.importorskip("onnx")
    x = centre(shared_file("networks/vnnlib/mnistfc_prop_0_0.03.vnnlib"))
    frame = Frame.of(read(shared_file(f"networks/mnistfc/mnist-net_{name}.onnx")))
    stable = stable_units(frame.affine, Box.around(x, eps, clip=(0, 1)))
    reduced = Changes.on_region(frame, stable).reduced(frame, stable)
    assert sum(reduced.left[:-1]) <= left


def test_with_exact_weights_onnxruntime_gives_nearly_equal_floats(
    shared_file: Find, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    from lumpability.formats.onnx_compare import compare_in_onnxruntime

    box = Box.read(shared_file("networks/vnnlib/acasxu_prop_4.vnnlib"))
    network = read(shared_file(ACAS))
    lumping = lump(network, region=box, exact_weights=True)
    assert (lumping.bound, lumping.rounding.largest) == (0, 0)
    found = compare_in_onnxruntime(network, lumping.quotient, 200, ends=box.floats)
    assert found.largest_difference < 1e-5


def test_sums_that_doubles_do_not_hold_are_no_exact_weights() -> None:
    layers = [([[0.1, 0.2, 0.30000000000000004]], None, "relu"), ([[1], [1], [1]], None, None)]
    network = Network.dense(layers)
    with pytest.raises(NotJustified, match="not representable in float64"):
        lump(network, region=Box([-1], [1]), exact_weights=True)
    assert lump(network, region=Box([-1], [1])).rounding.rounded > 0

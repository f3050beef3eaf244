"""Units of opposite sign share a unit through a skip, where that leaves fewer parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumpability import check, lump, read, write
from lumpability.networks import Network
from lumpability.networks.activations import ACTIVATIONS, activation
from lumpability.networks.elementwise import Activate, PReLU, Shift
from lumpability.networks.joins import Join
from lumpability.networks.layers import Conv, Dense
from lumpability.networks.pooling import GlobalPool
from lumpability.networks.reshape import Flatten

REFLECTED = ["relu", "leaky_relu", "softplus", "gelu", "gelu_tanh", "silu"]


def integers(seed: int, *shape: int) -> Any:
    """Random numbers that are not zero."""
    random = np.random.default_rng(seed)
    return random.integers(1, 9, size=shape) * random.choice([-1.0, 1.0], size=shape)


def mirrored(function: str, *, seed: int = 0, factor: float = 1.0, depth: int = 1) -> Network:
    """Hidden layers whose second half is the first, times a negative factor."""
    layers: list[Any] = []
    size = 6
    for layer in range(depth):
        half, bias = integers(seed + layer, size, 4), integers(seed + 9 + layer, 4)
        weight = np.concatenate([half, -factor * half], axis=1)
        layers.append((weight, np.concatenate([bias, -factor * bias]), function))
        size = 8
    layers.append((integers(seed + 5, size, 1), integers(seed + 6, 1), None))
    return Network.dense(layers)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_the_table_of_reflections_holds_at_random_points(name: str) -> None:
    act = activation(name)
    x = np.random.default_rng(0).normal(size=1000)
    assert (act.reflection is not None) == (name in REFLECTED)
    if act.reflection is not None:
        np.testing.assert_allclose(act(-x), act(x) - float(act.reflection) * x, atol=1e-12)


@pytest.mark.parametrize("function", REFLECTED)
@pytest.mark.parametrize("depth", [1, 3])
def test_half_of_a_mirrored_layer_disappears(function: str, depth: int) -> None:
    network = mirrored(function, depth=depth)
    lumping = lump(network, antiparallel=True)
    assert lumping.quotient.hidden_neurons == 4 * depth
    assert sum(row.antiparallel for row in lumping.table) == 4 * depth
    assert lumping.certificate().verify()
    assert check(network, lumping.partition, antiparallel=True)
    assert not check(network, lumping.partition)
    x = np.random.default_rng(1).normal(size=(50, 6))
    np.testing.assert_allclose(lumping.quotient(x), network(x), rtol=1e-9, atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    factor=st.sampled_from([1.0, 0.5, 3.0]),
    function=st.sampled_from(["relu", "leaky_relu"]),
    depth=st.integers(1, 3),
)
def test_the_function_is_identical_in_rationals(
    seed: int, factor: float, function: str, depth: int
) -> None:
    network = mirrored(function, seed=seed, factor=factor, depth=depth)
    lumping = lump(network, antiparallel=True, dtype="float64")
    assert lumping.quotient.parameter_count <= lump(network).quotient.parameter_count
    if lumping.rounding.rounded == 0:
        for x in (integers(seed, 6), integers(seed + 1, 6)):
            points = x.astype(int).tolist()
            assert network.exact(points).tolist() == lumping.quotient.exact(points).tolist()


def test_it_is_an_option_and_only_used_where_it_leaves_fewer_parameters() -> None:
    network = mirrored("relu")
    assert lump(network).is_irreducible
    # One mirrored pair among many units above many outputs: the skip would cost more than it saves.
    weight = np.concatenate([integers(3, 5, 6), -integers(3, 5, 6)[:, :1]], axis=1)
    network = Network.dense([(weight, None, "relu"), (integers(4, 7, 30), None, None)])
    lumping = lump(network, antiparallel=True)
    assert lumping.is_irreducible
    assert not any(isinstance(layer, Join) for layer in lumping.quotient.layers)


def test_factors_other_than_minus_one_need_homogeneity() -> None:
    assert lump(mirrored("gelu", factor=2.0), antiparallel=True).is_irreducible
    assert lump(mirrored("relu", factor=2.0), antiparallel=True).quotient.hidden_neurons == 4
    exact = lump(mirrored("relu", factor=2.0), antiparallel=True, kind="exact")
    assert exact.is_irreducible
    exact = lump(mirrored("relu"), antiparallel=True, kind="exact")
    assert exact.quotient.hidden_neurons == 4


def test_only_a_single_activation_can_be_skipped() -> None:
    base = mirrored("relu")
    first, _, last = base.layers
    for after in (
        (Activate("relu"), Shift(np.ones(8))),
        (PReLU(np.full(8, 0.5)),),
        (Activate("relu"), Activate("tanh")),
    ):
        network = Network((first, *after, last), base.input_shape, base.dtype)
        assert lump(network, antiparallel=True).is_irreducible


def test_mirrored_channels_merge_before_padded_convolutions_and_through_reshapes() -> None:
    half = integers(2, 3, 4, 2, 2)
    side = ((1, 1), (1, 1))
    layers = (
        Conv(np.concatenate([half, -2 * half]), np.array([1.0, 2, 3, -2, -4, -6]), pads=side),
        Activate("relu"),
        Conv(integers(3, 2, 6, 2, 2), integers(4, 2), pads=side),
        Activate("relu"),
        GlobalPool(),
        Flatten(1),
        Dense(integers(5, 2, 1)),
    )
    network = Network(layers, (None, 4, 3, 3), np.float64)
    lumping = lump(network, antiparallel=True)
    assert [row.antiparallel for row in lumping.table] == [3, 0, 0]
    x = integers(6, 1, 4, 3, 3).astype(int).astype(object)
    assert network.exact(x).tolist() == lumping.quotient.exact(x).tolist()


def test_a_class_used_by_its_skip_alone_stays() -> None:
    # relu(z) - relu(-z) = z: linear, and seen to be so.
    weight = np.array([[1.0, -1], [2, -2], [3, -3]])
    network = Network.dense([(weight, [1, -1], "relu"), ([[1], [-1]], None, None)])
    lumping = lump(network, antiparallel=True)
    assert lumping.quotient.hidden_neurons == 1
    assert lumping.quotient.exact([1, 1, 1]).tolist() == [7]
    assert lumping.quotient.exact([-1, -1, -1]).tolist() == [-5]


def test_skips_survive_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    lumping = lump(mirrored("relu", depth=2), antiparallel=True)
    write(lumping.quotient, tmp_path / "small.onnx")
    again = read(tmp_path / "small.onnx")
    point = [1, 2, -3, "1/3", 5, -6]
    assert again.exact(point).tolist() == lumping.network.exact(point).tolist()
    assert again.hidden_neurons == lumping.quotient.hidden_neurons

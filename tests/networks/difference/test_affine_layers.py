"""Networks as affine layers: the same function, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lumpability import compare, read
from lumpability.errors import NotJustified
from lumpability.networks import Network
from lumpability.networks.difference import affine_layers, ranges
from lumpability.networks.elementwise import Activate, PReLU, Scale, Shift, Softmax
from lumpability.networks.joins import Join
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import Flatten, Transpose

RANDOM = np.random.default_rng(0)


def _random(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape)


def _image(*after: Layer) -> Network:
    """A network whose input has two channels of six by five pixels."""
    return Network(after, (None, 2, 6, 5), np.float64)


NETWORKS = {
    "dense": Network.dense([(_random(3, 4), _random(4), "tanh"), (_random(4, 2), None, None)]),
    "positions": Network((Dense(_random(5, 3), _random(3)), Activate("relu")), (None, 2, 5), "f8"),
    "conv": _image(
        Conv(_random(3, 2, 3, 2), _random(3), (2, 1), ((1, 0), (0, 1)), (1, 2)), Activate("relu")
    ),
    "groups": _image(Conv(_random(4, 1, 2, 2), groups=2), Activate("leaky_relu"), Flatten(1)),
    "normalised": _image(BatchNorm(_random(2), _random(2), _random(2), _random(2) ** 2)),
    "shifted": _image(Shift(_random(2, 1, 1)), Scale(1 + _random(2, 6, 5) ** 2, divide=True)),
    "prelu": _image(Conv(_random(3, 2, 1, 1)), PReLU(np.abs(_random(3, 1, 1)) % 1)),
    "transposed": _image(Transpose((0, 2, 3, 1)), Flatten(1), Dense(_random(60, 3))),
    "transposed activation": _image(
        Conv(_random(3, 2, 1, 1)), Transpose((0, 3, 1, 2)), PReLU(0.5 * np.ones((5, 1, 1)))
    ),
    "average": _image(AveragePool((2, 2), (1, 2), ((1, 1), (0, 1)), include_pad=False)),
    "average of padding": _image(AveragePool((3, 2), (2, 2), ((1, 1), (0, 1)), include_pad=True)),
    "maximum": _image(MaxPool((3, 2), (2, 2), ((1, 1), (0, 1))), Conv(_random(2, 2, 1, 1))),
    "global": _image(Activate("relu"), GlobalPool(maximum=True), Flatten(1), Dense(_random(2, 2))),
    "global average": _image(GlobalPool(), Flatten(1), Dense(_random(2, 2))),
    "join": _image(
        Join(((Conv(_random(2, 2, 1, 1)), Activate("relu"), Conv(_random(2, 2, 1, 1))), ())),
        Activate("relu"),
    ),
    "join of one layer": _image(
        Conv(_random(2, 2, 1, 1)), Join(((Activate("relu"),), (Activate("tanh"),), ()))
    ),
    "moved": _image(Flatten(1)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_affine_layers_compute_the_function_of_the_network(name: str) -> None:
    network = NETWORKS[name]
    shape = tuple(size or 1 for size in network.input_shape)
    found = affine_layers(network)
    for seed in range(5):
        x = np.random.default_rng(seed).normal(size=shape)
        assert np.allclose(
            found(x.reshape(1, -1)), network(x).reshape(1, -1), rtol=1e-10, atol=1e-12
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_their_differences_stay_in_their_bounds_for_every_kind_of_layer(
    name: str,
) -> None:
    network = NETWORKS[name]
    low = np.random.default_rng(1).normal(size=tuple(size or 1 for size in network.input_shape))
    found = affine_layers(network)
    bounds = ranges(found, (low, low + 0.5))
    points = low.ravel() + np.random.default_rng(2).uniform(0, 0.5, size=(100, low.size))
    outputs = found(points)
    room = 1e-12 * (1 + np.abs(outputs))
    assert np.all(outputs >= bounds.post_low[-1] - room)
    assert np.all(outputs <= bounds.post_high[-1] + room)
    assert compare(network, network, region=(low, low + 0.5)).bound < 1e-9


def test_stored_weights_are_copied_exactly() -> None:
    weight = RANDOM.normal(size=(3, 2)).astype(np.float32)
    (layer,) = affine_layers(Network.dense([(weight, None, "relu")], dtype="float32")).layers
    assert layer.relative == 0
    assert layer.bias_error is None
    assert layer.weight.tolist() == weight.astype(np.float64).tolist()
    assert layer.position == 0


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (Softmax(), "Softmax"),
        (Activate("gelu"), "gelu"),
        (Activate("abs"), "abs"),
        (Activate("sign"), "sign"),
        (Activate("leaky_relu", alpha=1.5), "leaky ReLU"),
        (Activate("elu", alpha=2.0), "elu"),
        (PReLU(np.array([-0.5])), "PReLU"),
    ],
)
def test_a_layer_that_is_not_covered_is_refused_by_name_and_number(
    layer: Layer, named: str
) -> None:
    network = Network((Dense(np.eye(2)), layer), (None, 2), np.float64)
    with pytest.raises(NotJustified, match=named) as refused:
        affine_layers(network)
    assert refused.value.layer == 1


@pytest.mark.parametrize(
    "name",
    [
        "misc/cifar_base_kw.onnx",
        "misc/resnet_2b.onnx",
        "tll/tllBench_n=2_N=M=8_m=1_instance_0_0.onnx",
    ],
)
def test_affine_layers_compute_the_function_of_a_published_network(
    shared_file: Callable[[str], Path], name: str
) -> None:
    network = read(shared_file(f"networks/{name}"))
    shape = tuple(size or 1 for size in network.input_shape)
    x = np.random.default_rng(0).normal(size=shape)
    found = affine_layers(network)(x.reshape(1, -1))
    assert np.allclose(found, network(x).reshape(1, -1), rtol=1e-4, atol=1e-5)

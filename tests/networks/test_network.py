"""Networks check their shapes and weights at the door and evaluate in floats and in rationals."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import lump
from lumpability.errors import InvalidInput, InvalidNetwork
from lumpability.networks import Network
from lumpability.networks.activations import ACTIVATIONS
from lumpability.networks.elementwise import Activate, Constant, PReLU, Scale, Shift, Softmax
from lumpability.networks.joins import Join
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import Flatten, Reshape, Squeeze, Transpose, Unsqueeze

IMAGE: list[Layer] = [
    Conv(np.arange(12.0).reshape(2, 2, 3) - 5, np.array([1.0, -1]), (2,), ((1, 2),)),
    Conv(np.arange(4.0).reshape(2, 1, 2), groups=2, dilations=(2,)),
    BatchNorm(np.array([2.0, 1]), np.ones(2), np.ones(2), np.array([3.0, 8]), 1.0),
    MaxPool((3,), (2,), ((1, 1),), ceil=True),
    AveragePool((2,), (2,), ((0, 1),)),
    AveragePool((2,), (2,), ((0, 1),), include_pad=True),
    GlobalPool(),
    GlobalPool(maximum=True),
    Flatten(1),
    Reshape((-1, 7, 2)),
    Transpose((0, 2, 1)),
    Unsqueeze((1,)),
    Shift(np.array([[1.0], [2.0]])),
    Scale(np.array(4.0), divide=True),
    PReLU(np.array([[0.5], [0.25]])),
    Activate("relu"),
    Join(((Activate("relu"),), ())),
]


@pytest.mark.parametrize("layer", IMAGE, ids=lambda layer: layer.title)
def test_rational_and_float_evaluation_agree_and_shapes_are_foretold(layer: Layer) -> None:
    network = Network((layer,), (1, 2, 7), np.float64)
    x = np.random.default_rng(0).integers(-5, 6, size=(1, 2, 7))
    exact, found = network.exact(x.astype(object)), network(x)
    assert found.shape == exact.shape == network.output_shape
    np.testing.assert_allclose(found, exact.astype(np.float64), rtol=1e-12)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_of_networks_and_of_their_lumpings_compute_the_same(
    copied: Callable[..., Network],
) -> None:
    steps = [Activate(name) for name in ACTIVATIONS if name != "leaky_relu"]
    steps.append(Activate("leaky_relu", alpha=0.25))
    network = Network((Dense(np.array([[1.0, 1, 2]])), *steps), (None, 1), np.float64)
    again = copied(network)
    assert again([0.5]).tolist() == network([0.5]).tolist()
    assert [layer.title for layer in again.layers] == [layer.title for layer in network.layers]
    assert repr(copied(lump(network))) == repr(lump(network))


@given(st.lists(st.integers(-8, 8), min_size=2, max_size=2))
def test_a_single_input_is_a_batch_of_one(x: list[int]) -> None:
    network = Network.dense([([[1, 2], [3, 4]], [0.5, 0], "relu"), ([[1], [-1]], None, None)])
    assert network(x).tolist() == network([x])[0].tolist()
    assert network.exact(x).tolist() == network([x])[0].tolist()


def test_literal_floats_keep_their_binary_value() -> None:
    network = Network.dense([([[1]], None, None)])
    assert network.exact([0.1]).tolist() == [Fraction(0.1)]
    assert network.exact(["0.1"]).tolist() == [Fraction(1, 10)]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([([[1.0, np.nan]], None, None)], r"nan at index \[0, 1\]"),
        ([([[np.inf]], None, None)], r"inf at index \[0, 0\]"),
        ([([[1.0]], [1, 2], None)], "1 neurons but a bias"),
        ([([[1.0, 2]], None, None), ([[1.0]], None, None)], "layer 1: a dense layer with 1 inputs"),
        ([([1.0], None, None)], "2 axes"),
        ([], "at least one layer"),
        ([([["1/3"]], None, None)], "layer 0: a weight is an array of floats"),
        ([([[1.0]], ["x"], None)], "layer 0: a bias is an array of floats"),
        ([([[1.0]], None)], r"layer 0 is not \(weight, bias, activation\)"),
        ([([[1.0]], None, "ReLU")], "'ReLU': did you mean 'relu'"),
    ],
)
def test_networks_that_make_no_sense_are_refused(layers: list[object], message: str) -> None:
    with pytest.raises(InvalidNetwork, match=message):
        Network.dense(layers)  # type: ignore[arg-type]


def test_inputs_of_the_wrong_shape_are_refused() -> None:
    network = Network.dense([([[1, 2], [3, 4]], None, None)])
    with pytest.raises(InvalidInput, match=r"\[free, 2\], not 3"):
        network([1, 2, 3])
    with pytest.raises(InvalidInput, match="not an array of numbers"):
        network(["one", "two"])


def test_integer_weights_and_types_without_support_are_refused() -> None:
    with pytest.raises(InvalidNetwork, match="int64"):
        Dense(np.array([[1]]))
    with pytest.raises(InvalidNetwork, match="int64"):
        Network((), (1,), np.int64)


def test_what_has_no_rational_value_says_so() -> None:
    for layer, message in (
        (Activate("tanh"), "tanh has no rational value"),
        (Softmax(), "softmax"),
        (BatchNorm(*np.ones((4, 1)), epsilon=1.0), "irrational"),
    ):
        with pytest.raises(InvalidNetwork, match=message):
            Network((layer,), (1, 1), np.float64).exact([[1]])
    assert Network((Activate("tanh"),), (1, 1), np.float64).exact([[0]]).tolist() == [[0]]


def test_a_constant_network_ignores_its_input() -> None:
    network = Network((Constant(np.array([3.0])),), (2,), np.float64)
    assert network([1, 2]).tolist() == network.exact([1, 2]).tolist() == [3]


def test_axes_that_do_not_fit_are_refused() -> None:
    for layer in (
        Squeeze((0,)),
        Transpose((0,)),
        Reshape((5,)),
        Flatten(4),
        Unsqueeze((9,)),
        MaxPool((9,)),
    ):
        with pytest.raises(InvalidNetwork):
            Network((layer,), (2, 3), np.float64)

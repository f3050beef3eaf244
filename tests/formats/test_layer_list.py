"""Networks come back from .npz and .safetensors as they were; a description that is not sound is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumpability import CTMC, Network, lump, read, write
from lumpability.errors import FormatError
from lumpability.formats.layer_list import describe_network, network_from
from lumpability.networks.elementwise import Activate, Constant, PReLU, Scale, Shift, Softmax
from lumpability.networks.examples import planted
from lumpability.networks.joins import Join, Opaque
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import Flatten, Reshape, Squeeze, Transpose, Unsqueeze

ONE = np.ones(2, dtype=np.float32)
LAYERS: list[Layer] = [
    Conv(np.arange(12, dtype=np.float32).reshape(2, 2, 3), ONE, (2,), ((1, 2),)),
    Conv(np.ones((2, 1, 2), dtype=np.float32), groups=2, dilations=(2,)),
    BatchNorm(2 * ONE, ONE, ONE, 3 * ONE, 0.1),
    MaxPool((3,), (2,), ((1, 1),), ceil=True),
    AveragePool((2,), (2,), ((0, 1),), include_pad=True),
    GlobalPool(maximum=True),
    Flatten(1),
    Reshape((-1, 7, 2)),
    Transpose((0, 2, 1)),
    Unsqueeze((1,)),
    Squeeze((0,)),
    Shift(ONE[:, None]),
    Scale(np.float32(4) * ONE[:1], divide=True),
    PReLU(np.array([[0.5], [0.25]], dtype=np.float32)),
    Activate("leaky_relu", alpha=0.1),
    Activate("clip", low=0.0),
    Activate("clip", low=-1.5, high=6.0),
    Softmax(1),
    Constant(ONE),
    Join(((Conv(np.ones((2, 2, 1), dtype=np.float32)), Activate("relu")), ())),
]
SUFFIXES = [".npz", ".safetensors"]


def same(one: Any, other: Any) -> bool:
    """Compare layers, or what they hold, with types."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Activate):
        return one.function.same_as(other.function)
    if isinstance(one, Layer):
        return type(one) is type(other) and all(
            same(value, vars(other)[name]) for name, value in vars(one).items()
        )
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.title)
def test_every_layer_comes_back(tmp_path: Path, layer: Layer, suffix: str) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    network = Network((layer,), (1, 2, 7), np.float32, input_name="x", output_name="y")
    write(network, tmp_path / f"n{suffix}")
    again = read(tmp_path / f"n{suffix}")
    assert same(network.layers, again.layers)
    assert (again.input_shape, again.dtype) == (network.input_shape, network.dtype)
    assert (again.input_name, again.output_name) == ("x", "y")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_quotients_with_and_without_skips_come_back(tmp_path: Path, suffix: str) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    weight = [[1, -1, 2], [3, -3, 1], [2, -2, 5]]
    mirrored = Network.dense([(weight, None, "relu"), ([[1], [2], [3]], [1], None)])
    for network, antiparallel in ((planted([3, 4, 2], 2)[0], False), (mirrored, True)):
        quotient = lump(network, antiparallel=antiparallel).quotient
        write(quotient, tmp_path / f"small{suffix}")
        again = read(tmp_path / f"small{suffix}")
        assert same(quotient.layers, again.layers)
        assert again.exact([1, 2, "1/3"]).tolist() == network.exact([1, 2, "1/3"]).tolist()


def test_transposed_weights_are_written_as_they_mean(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    weight = np.arange(6.0).reshape(2, 3).T
    assert not weight.flags.c_contiguous
    write(Network((Dense(weight),), (None, 3), np.float64), tmp_path / "t.safetensors")
    again = read(tmp_path / "t.safetensors")
    assert again.layers[0].weight.tolist() == weight.tolist()


def test_one_suffix_holds_chains_and_networks(tmp_path: Path) -> None:
    chain = CTMC.from_rates({("up", "down"): "1/3", ("down", "up"): 2})
    network = Network.dense([([[1, 2]], None, "relu")])
    write(chain, tmp_path / "chain.npz")
    write(network, tmp_path / "network.npz")
    assert isinstance(read(tmp_path / "chain.npz"), CTMC)
    assert isinstance(read(tmp_path / "network.npz", float_tolerance=0), Network)
    with np.load(tmp_path / "network.npz", allow_pickle=False) as arrays:  # numpy alone reads it
        assert arrays["0.weight"].tolist() == [[1, 2]]
    with pytest.raises(FormatError, match="hold a chain or a network, not a int"):
        write(3, tmp_path / "three.npz")
    with pytest.raises(FormatError, match="hold a network, not a CTMC"):
        write(chain, tmp_path / "chain.safetensors")


def test_an_operator_that_is_not_understood_has_no_description(tmp_path: Path) -> None:
    opaque = Network((Opaque(b"", ("Einsum",), (1,)),), (1,), np.float64)
    with pytest.raises(FormatError, match="opaque Einsum has no description here: write ONNX"):
        write(opaque, tmp_path / "o.npz")
    assert list(tmp_path.iterdir()) == []


def described(**changes: Any) -> tuple[str, dict[str, Any]]:
    layers = (
        Conv(np.ones((2, 2, 1))),
        Activate("relu"),
        MaxPool((1,)),
        Join(((Activate("relu"),), ())),
    )
    text, arrays = describe_network(Network(layers, (None, 2, 3), np.float64))
    document = json.loads(text)
    for key, value in changes.items():
        if key.startswith("layer") and key != "layers":
            document["layers"][int(key[5])].update(value)
        else:
            document[key] = value
    return json.dumps(document), arrays


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "is of the format 'other'"),
        ({"version": 2}, "is version 2"),
        ({"dtype": "int8"}, "holds the dtype 'int8'"),
        ({"dtype": ["float32"]}, "holds the dtype"),
        ({"input_shape": None}, "input_shape is missing"),
        ({"input_shape": [1, True]}, "input_shape is missing or not of its type"),
        ({"input_shape": [None, -2, 3]}, "input shape"),
        ({"input_shape": [None, 3, 3]}, "layer 0: a convolution of 2 channels"),
        ({"input_name": 3}, "name of an input"),
        ({"layers": {}}, "layer list is missing"),
        ({"layers": [3]}, "layer 0 is missing"),
        ({"layer0": {"layer": "os.system"}}, "layer 0 is 'os.system'; known are Dense"),
        ({"layer0": {"layer": ["Dense"]}}, "known are Dense"),
        ({"layer0": {"weight": "1.weight"}}, "there is no array '1.weight'"),
        ({"layer0": {"weight": 0}}, "there is no array 0"),
        ({"layer0": {"groups": "one"}}, "layer 0 groups is missing or not of its type"),
        ({"layer0": {"groups": True}}, "layer 0 groups"),
        ({"layer0": {"strides": [0]}}, "window that is not positive"),
        ({"layer0": {"pads": [[-1, 0]]}}, "window that is not positive"),
        ({"layer0": {"pads": [[1]]}}, "layer 0 pads"),
        ({"layer0": {"more": 1}}, "layer 0 has no more"),
        ({"layer1": {"function": "exec"}}, "there is no activation 'exec'"),
        ({"layer1": {"alpha": 0.5}}, "relu has no parameter alpha"),
        ({"layer1": {"alpha": "x"}}, "layer 1 alpha"),
        ({"layer2": {"kernel": [0]}}, "window that is not positive"),
        ({"layer2": {"kernel": 3}}, "layer 2 kernel"),
        ({"layer3": {"branches": [[{"layer": "no"}]]}}, "layer 3.0.0 is 'no'"),
        ({"layer3": {"branches": 1}}, "layer 3 branches"),
    ],
)
def test_descriptions_that_are_not_sound_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    text, arrays = described(**changes)
    np.savez(tmp_path / "n.npz", network=text, **arrays)
    with pytest.raises(FormatError, match=message):
        read(tmp_path / "n.npz")


def test_text_that_is_no_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="is not JSON"):
        network_from("{", {}, "n.npz")
    np.savez(tmp_path / "n.npz", network=np.array([1.0]))
    with pytest.raises(FormatError, match="without a list of layers"):
        read(tmp_path / "n.npz")


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    text, arrays = described()
    arrays = {**arrays, "0.weight": np.full((2, 2, 1), np.nan)}
    np.savez(tmp_path / "n.npz", network=text, **arrays)
    with pytest.raises(FormatError, match=r"holds nan at index \[0, 0, 0\]"):
        read(tmp_path / "n.npz")
    arrays["0.weight"] = np.full((2, 2, 1), "a")
    np.savez(tmp_path / "n.npz", network=text, **arrays)
    with pytest.raises(FormatError, match="is of type <U1"):
        read(tmp_path / "n.npz")

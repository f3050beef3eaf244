"""ONNX files in every dress, and everything that can be wrong with them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumpability import lump
from lumpability.errors import FormatError
from lumpability.formats import read, write
from lumpability.formats.onnx_writer import to_onnx
from lumpability.networks import Network
from lumpability.networks.elementwise import Activate, PReLU, Scale, Shift, Softmax
from lumpability.networks.joins import Join
from lumpability.networks.layers import BatchNorm, Conv, Dense
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import Flatten, Reshape, Squeeze, Transpose, Unsqueeze

onnx: Any = pytest.importorskip("onnx")
FLOAT = 1


def model(
    nodes: list[Any],
    weights: dict[str, Any],
    *,
    shape: tuple[Any, ...] = (None, 2),
    out: tuple[Any, ...] | None = None,
    opset: int = 13,
    kind: int = FLOAT,
) -> Any:
    helper = onnx.helper
    stored = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in weights.items()]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", kind, list(shape))],
        [helper.make_tensor_value_info("y", kind, out)],
        stored,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)


def node(operator: str, inputs: str, outputs: str, **details: Any) -> Any:
    return onnx.helper.make_node(operator, inputs.split(), outputs.split(), **details)


@pytest.fixture
def load(tmp_path: Path) -> Callable[[Any], Network]:
    def loaded(proto: Any) -> Network:
        path = tmp_path / "net.onnx"
        path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
        network = read(path)
        assert isinstance(network, Network)
        return network

    return loaded


W = np.array([[1, 2], [3, 4]], dtype=np.float32)
B = np.array([1, -1], dtype=np.float32)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("Gemm", "x w b", "y")], [5, 5]),
        ([node("Gemm", "x w b", "y", transB=1)], [4, 6]),
        ([node("Gemm", "x w b", "y", alpha=0.5, beta=2.0)], [4, 1]),
        ([node("Gemm", "x w", "y", alpha=float(np.float32(0.1)))], [0.4, 0.6]),
        ([node("MatMul", "x w", "h"), node("Add", "b h", "y")], [5, 5]),
        ([node("MatMul", "x w", "h"), node("Sub", "h b", "y")], [3, 7]),
        ([node("Sub", "b x", "y")], [0, -2]),
        ([node("Div", "x b", "h"), node("Mul", "h b", "y")], [1, 1]),
        ([node("Identity", "x", "h"), node("Dropout", "h", "i"), node("Neg", "i", "y")], [-1, -1]),
        ([node("Clip", "x b", "y")], None),
    ],
)
def test_spellings_of_an_affine_layer_are_understood(
    load: Callable[[Any], Network], nodes: list[Any], expected: list[float] | None
) -> None:
    network = load(model(nodes, {"w": W, "b": B}))
    if expected is not None:
        np.testing.assert_allclose(network([1, 1]), expected, rtol=1e-6)
        np.testing.assert_allclose(network.exact([1, 1]).astype(float), expected, rtol=1e-6)


def test_shape_arithmetic_before_a_reshape_is_folded(load: Callable[[Any], Network]) -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("Shape", "c", "s"),
        node("Gather", "s zero", "n"),
        node("Unsqueeze", "n axes", "n1"),
        node("Concat", "n1 rest", "t", axis=0),
        node("Reshape", "c t", "r"),
        node("MatMul", "r m", "y"),
    ]
    weights = {
        "w": np.ones((2, 1, 1, 1), dtype=np.float32),
        "zero": np.int64(0),
        "axes": np.array([0]),
        "rest": np.array([-1]),
        "m": np.arange(8, dtype=np.float32)[:, None],
    }
    network = load(model(nodes, weights, shape=("batch", 1, 2, 2)))
    assert [layer.title for layer in network.layers] == ["Conv", "Reshape", "Dense"]
    assert network(np.ones((3, 1, 2, 2))).tolist() == [[28]] * 3
    assert lump(network).quotient.hidden_neurons == 1


def test_a_barrier_of_unknown_shape_takes_in_what_follows(load: Callable[[Any], Network]) -> None:
    """An operator of somebody's own: nobody can tell the shape that it gives."""
    weights = {"W": np.eye(2, dtype=np.float32)}
    nodes = [
        node("MatMul", "x W", "a"),
        node("Secret", "a", "b", domain="own"),
        node("MatMul", "b W", "y"),
    ]
    proto = model(nodes, weights, out=(None, 2))
    proto.opset_import.append(onnx.helper.make_opsetid("own", 1))
    network = load(proto)
    assert [type(layer).__name__ for layer in network.layers] == ["Dense", "Opaque"]
    assert network.layers[1].operators == ("Secret", "MatMul")
    assert network.output_shape == (None, 2)
    assert lump(network).is_unchanged
    assert lump(network, kind="exact").quotient.parameter_count == network.parameter_count


def test_an_operator_that_is_not_understood_is_a_barrier(load: Callable[[Any], Network]) -> None:
    twins = np.ones((2, 2), dtype=np.float32)
    nodes = [node("MatMul", "x w", "a"), node("Cos", "a", "b"), node("MatMul", "b w", "y")]
    network = load(model(nodes, {"w": twins}, out=(None, 2)))
    assert [layer.title for layer in network.layers] == ["Dense", "opaque Cos", "Dense"]
    layers = lump(network, kind="proportional")
    assert layers.is_irreducible
    assert "before opaque Cos" in layers.result
    assert lump(network).quotient.hidden_neurons == 1  # in the graph cos is a function of each unit
    np.testing.assert_allclose(network([1, 1]), [2 * np.cos(2)] * 2, rtol=1e-6)
    with pytest.raises(Exception, match="no exact evaluation"):
        network.exact([1, 1])


def test_branches_that_meet_in_a_sum_become_a_join(
    load: Callable[[Any], Network], tmp_path: Path
) -> None:
    nodes = [
        node("Gemm", "x w b", "a"),
        node("Relu", "a", "p"),
        node("Gemm", "p w b", "q"),
        node("Add", "q a", "r"),
        node("Relu", "r", "y"),
    ]
    network = load(model(nodes, {"w": W, "b": B}))
    assert [layer.title for layer in network.layers] == ["Dense", "Join", "relu"]
    write(network, tmp_path / "again.onnx")
    again = read(tmp_path / "again.onnx")
    assert again.exact([1, -1]).tolist() == network.exact([1, -1]).tolist()


EVERY_LAYER = [
    Conv(np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3) - 9, B, (2, 1), ((1, 0), (0, 1))),
    BatchNorm(*np.array([[1, 2], [0, 1], [1, 1], [4, 9]], dtype=np.float32)),
    PReLU(np.array([[[0.5]], [[0.25]]], dtype=np.float32)),
    Activate("leaky_relu", alpha=0.125),
    MaxPool((2, 2), (1, 1), ((1, 0), (0, 0)), ceil=True),
    AveragePool((2, 1), (1, 1), ((0, 1), (0, 0)), include_pad=True),
    Join(((Activate("tanh"), Activate("silu")), (), (Activate("sigmoid"),))),
    Activate("clip", low=-1.0, high=1.5),
    Transpose((0, 2, 3, 1)),
    Unsqueeze((1,)),
    Squeeze((1,)),
    Transpose((0, 3, 1, 2)),
    GlobalPool(),
    Flatten(1),
    Shift(np.array([1, 2], dtype=np.float32)),
    Scale(np.array([4, 3], dtype=np.float32), divide=True),
    Dense(W, B),
    Activate("elu", alpha=0.5),
    Dense(W),
    Reshape((0, 2)),
    Softmax(),
]


def test_every_layer_is_written_so_that_onnxruntime_agrees(tmp_path: Path) -> None:
    onnxruntime: Any = pytest.importorskip("onnxruntime")
    network = Network(tuple(EVERY_LAYER), (None, 1, 6, 5), np.float32)
    path = tmp_path / "every.onnx"
    write(network, path)
    x = np.random.default_rng(0).normal(size=(3, 1, 6, 5)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(network(x), session.run(None, {"input": x})[0], rtol=1e-4, atol=1e-6)
    again = read(path)
    np.testing.assert_allclose(again(x), network(x), rtol=1e-6)
    assert (again.input_name, again.output_name, again.dtype) == ("input", "output", np.float32)


def test_packed_files_hold_the_same(tmp_path: Path) -> None:
    network = Network.dense([(W, B, "relu"), (W, None, None)], dtype=np.float32)
    write(network, tmp_path / "a.onnx")
    write(network, tmp_path / "a.onnx.gz")
    assert (
        gzip.decompress((tmp_path / "a.onnx.gz").read_bytes()) == (tmp_path / "a.onnx").read_bytes()
    )
    assert read(tmp_path / "a.onnx.gz").exact([1, 2]).tolist() == network.exact([1, 2]).tolist()


def external(location: str) -> Any:
    proto = model([node("MatMul", "x w", "y")], {"w": W})
    (item,) = proto.graph.initializer
    item.ClearField("raw_data")
    item.data_location = onnx.TensorProto.EXTERNAL
    item.external_data.add(key="location", value=location)
    return proto


def test_external_data_beside_the_model_are_read(
    tmp_path: Path, load: Callable[[Any], Network]
) -> None:
    (tmp_path / "weights.bin").write_bytes(W.tobytes())
    assert load(external("weights.bin"))([1, 1]).tolist() == [4, 6]


@pytest.mark.parametrize(
    "location", ["../secret.bin", "/etc/hostname", "", "a/../../secret.bin", "link"]
)
def test_external_data_outside_the_folder_are_not_followed(
    tmp_path: Path, load: Callable[[Any], Network], location: str
) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(FormatError, match="outside the model's folder"):
        load(external(location))


def two_inputs() -> Any:
    proto = model([node("Add", "x z", "y")], {})
    proto.graph.input.append(onnx.helper.make_tensor_value_info("z", FLOAT, [1, 2]))
    return proto


@pytest.mark.parametrize(
    "make",
    [
        two_inputs,
        lambda: model([node("Abs", "x", "y")], {}, kind=7),
        lambda: model(
            [node("Conv", "x w", "y")],
            {"w": np.ones((1, 1, 3), dtype=np.float32)},
            shape=(1, 1, "free"),
        ),
        lambda: model(  # a size that is a number
            [
                node("Shape", "x", "s"),
                node("Gather", "s zero", "n"),
                node("Cast", "n", "f", to=FLOAT),
                node("Mul", "x f", "y"),
            ],
            {"zero": np.int64(0)},
            shape=("batch", 2),
        ),
        lambda: model([node("Squeeze", "x", "y")], {}, shape=("batch", 2, 1)),  # of one or two axes
    ],
)
def test_what_layers_do_not_describe_is_a_graph(make: Callable[[], Any], tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(make().SerializeToString())
    network = read(tmp_path / "net.onnx")
    assert network.domain == "graph"
    write(lump(network).quotient, tmp_path / "again.onnx")
    assert read(tmp_path / "again.onnx").digest == network.digest


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: b"\xff\xff not protobuf", "protobuf is damaged"),
        (lambda: b"", "no graph"),
        (lambda: external("missing.bin"), "cannot be read"),
        (
            lambda: model([node("MatMul", "x w", "y")], {"w": W * np.nan}),
            r"weight 'w' holds nan at index \[0, 0\]",
        ),
        (
            lambda: model([node("MatMul", "x w", "y")], {"w": W[:1]}),
            r"node 'y' \(MatMul\) does not fit",
        ),
        (lambda: model([node("Relu", "x", "z")], {}), "output 'y' is never defined"),
        (lambda: model([node("Relu", "z", "y")], {}), "'z' is read but never defined"),
        (lambda: model([node("Relu", "x", "y")] * 2, {}), "'y' is defined twice"),
    ],
)
def test_bad_files_end_in_one_clear_sentence(
    load: Callable[[Any], Network], make: Callable[[], Any], message: str
) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        load(make())
    assert "net.onnx" in str(caught.value)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "old.onnx"
    path.write_bytes(b"old")
    with pytest.raises(FormatError, match="gelu"):
        write(Network((Activate("gelu"),), (None, 1), np.float32), path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_name_of_the_batch_axis_stays(tmp_path: Path) -> None:
    network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
    model = to_onnx(network)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    quotient = to_onnx(lump(read(tmp_path / "net.onnx")).quotient)
    for item in (*quotient.graph.input, *quotient.graph.output):
        assert item.type.tensor_type.shape.dim[0].dim_param == "batch"

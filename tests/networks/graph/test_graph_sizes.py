"""A free size is a symbol: what is concluded holds for every size, not for some that were tried."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from graph_builder import Graph

from lumpability.networks.graph.compare import session
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.reduce import GraphLumping, reduce_graph

pytest.importorskip("onnxruntime")
random = np.random.default_rng(3)
FAR = (1 << 63) - 1


def size_of(graph: Graph, axis: int) -> str:
    """Return a size of x as a vector of one entry."""
    return graph.add("Gather", graph.add("Shape", "x"), graph.ints(axis), axis=0)


def cropped(start: int, end: int, step: int = 1) -> Callable[[Graph], str]:
    def make(graph: Graph) -> str:
        return graph.add("Slice", "x", *(graph.ints(k) for k in (start, end, 2, step)))

    return make


def cropped_to(op: str, *constants: int) -> Callable[[Graph], str]:
    """Crop x to a height that is computed from its height."""

    def make(graph: Graph) -> str:
        end = size_of(graph, 2)
        for name, k in zip((op, "Mul"), constants, strict=False):
            end = graph.add(name, end, graph.ints(k))
        return graph.add("Slice", "x", graph.ints(0), end, graph.ints(2))

    return make


def swapped(graph: Graph) -> str:
    n, h, w = (size_of(graph, axis) for axis in (0, 2, 3))
    return graph.add("Reshape", "x", graph.add("Concat", n, graph.ints(2), w, h, axis=0))


def as_it_was(graph: Graph) -> str:
    n, h, w = (size_of(graph, axis) for axis in (0, 2, 3))
    return graph.add("Reshape", "x", graph.add("Concat", n, graph.ints(2), h, w, axis=0))


def repeated(graph: Graph) -> str:
    odd = graph.add("Mod", size_of(graph, 2), graph.ints(2))
    more = graph.add("Add", odd, graph.ints(1))
    return graph.add(
        "Tile", "x", graph.add("Concat", graph.ints(1, 1), more, graph.ints(1), axis=0)
    )


def padded(graph: Graph) -> str:
    odd = graph.add("Mod", size_of(graph, 2), graph.ints(2))
    none = graph.ints(0, 0)
    return graph.add("Pad", "x", graph.add("Concat", none, odd, none, none, graph.ints(0), axis=0))


def joined(move: Callable[[Graph], str], shape: list[Any]) -> GraphNetwork:
    """Return a network of x and of what is made of it, both read by the same filters."""
    graph = Graph()
    weights = graph.const(np.arange(1.0, 55).reshape(3, 2, 3, 3) % 7 - 3)
    parts = [
        graph.add(
            "GlobalAveragePool", graph.add("Relu", graph.add("Conv", x, weights, pads=[1] * 4))
        )
        for x in ("x", move(graph))
    ]
    flat = graph.add("Flatten", graph.add("Concat", *parts, axis=1))
    last = graph.const(random.integers(1, 9, (6, 2)))
    return graph.model([graph.add("MatMul", flat, last)], x=shape)


def agrees(lumping: GraphLumping, *shapes: tuple[int, ...]) -> bool:
    """Whether both networks compute the same at some shapes."""
    onnx.checker.check_model(lumping.quotient.model, full_check=True)
    inputs = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    return all(
        np.allclose(lumping.network(x), lumping.quotient(x), rtol=1e-4, atol=1e-4) for x in inputs
    )


def moves_nothing(network: GraphNetwork) -> bool:
    """Whether both convolutions have the same values."""
    first, second = (
        network.analysis.tensors[node.output[0]]
        for node in network.model.graph.node
        if node.op_type == "Conv"
    )
    return np.array_equal(first.ids, second.ids)


SHAPES = [(1, 2, 40, 40), (2, 2, 7, 9), (3, 2, 9, 7), (1, 2, 16, 8), (1, 2, 33, 128)]


@pytest.mark.parametrize(
    "move",
    [
        pytest.param(cropped(0, 20), id="at most so many rows"),
        pytest.param(cropped(-30, FAR), id="the last rows"),
        pytest.param(cropped(0, FAR, 31), id="every so many rows"),
        pytest.param(cropped_to("Div", 2, 2), id="an even number of rows"),
        pytest.param(cropped_to("Min", 30), id="the lesser of two numbers of rows"),
        pytest.param(swapped, id="height and width swapped"),
        pytest.param(repeated, id="twice if odd"),
        pytest.param(padded, id="one more if odd"),
    ],
)
def test_a_movement_is_the_identity_only_if_it_is_at_every_size(
    move: Callable[[Graph], str],
) -> None:
    network = joined(move, ["N", 2, "H", "W"])
    assert not moves_nothing(network)
    assert agrees(reduce_graph(network), *SHAPES)


@pytest.mark.parametrize(
    "move",
    [
        pytest.param(cropped(0, FAR), id="all rows"),
        pytest.param(cropped_to("Mul", 1), id="as many rows as there are"),
        pytest.param(as_it_was, id="the shape that it had"),
    ],
)
def test_a_movement_that_is_the_identity_at_every_size_is_none(
    move: Callable[[Graph], str],
) -> None:
    network = joined(move, ["N", 2, "H", "W"])
    assert agrees(reduce_graph(network), *SHAPES)
    assert moves_nothing(network)


def test_a_fixed_size_is_followed_position_by_position() -> None:
    assert moves_nothing(joined(cropped(0, 20), ["N", 2, 16, "W"]))
    assert not moves_nothing(joined(cropped(0, 20), ["N", 2, 26, "W"]))


@pytest.mark.parametrize("op", ["Mod", "Less", "Size"])
def test_a_number_that_depends_on_a_free_size_is_no_constant(op: str) -> None:
    graph = Graph()
    number = graph.add("Size", "x") if op == "Size" else size_of(graph, 0)
    number = graph.add("Less" if op == "Less" else "Mod", number, graph.ints(2))
    h = graph.add("Relu", graph.add("MatMul", "x", graph.const(random.integers(1, 9, (3, 4)))))
    scaled = graph.add("Mul", h, graph.add("Cast", number, to=1))
    y = graph.add("MatMul", scaled, graph.const(random.integers(1, 9, (4, 2))))
    lumping = reduce_graph(graph.model([y], x=["N", 3]))
    assert agrees(lumping, (1, 3), (2, 3), (3, 3))
    assert lumping.is_unchanged


def test_sizes_with_other_names_may_differ() -> None:
    graph = Graph()
    zero = graph.add("Mul", "x", graph.const(0.0))
    y = graph.add("MatMul", graph.add("Add", "z", zero), graph.const(random.normal(size=(3, 2))))
    network = graph.model([y], x=["N", 3], z=["M", 3])
    lumping = reduce_graph(network)
    x, z = np.ones((5, 3), np.float32), np.ones((1, 3), np.float32)
    assert np.array_equal(lumping.quotient(x, z), network(x, z))


def test_initial_states_of_a_size_are_no_constants() -> None:
    graph = Graph()
    less = graph.add("Sub", size_of(graph, 0), graph.ints(2))
    number = graph.add("Cast", less, to=1)
    states = graph.add(
        "Expand",
        number,
        graph.add("Concat", graph.ints(1), size_of(graph, 1), graph.ints(4), axis=0),
    )
    weights = np.repeat(random.normal(size=(1, 2, 3)), 2, axis=1)
    recurrent = np.eye(4)[None]
    y = graph.add(
        "RNN", "x", graph.const(weights), graph.const(recurrent), "", "", states, hidden_size=4
    )
    y = graph.add(
        "MatMul", graph.add("Squeeze", y, graph.ints(1)), graph.const(random.normal(size=(4, 2)))
    )
    lumping = reduce_graph(graph.model([y], x=["T", "N", 3]))
    assert agrees(lumping, (1, 2, 3), (4, 3, 3), (7, 1, 3))


def test_what_is_cropped_by_a_size_carries_units() -> None:
    """The last step of a sequence, whose number is computed, of twice the same units."""
    graph = Graph()
    h = graph.add("MatMul", "x", graph.const(np.tile(random.integers(1, 9, (3, 2)), 2)))
    last = graph.add(
        "Gather", graph.add("Relu", h), graph.add("Sub", size_of(graph, 1), graph.ints(1)), axis=1
    )
    y = graph.add("MatMul", last, graph.const(random.integers(1, 9, (4, 2))))
    lumping = reduce_graph(graph.model([y], x=["N", "T", 3]))
    assert agrees(lumping, (1, 2, 3), (4, 3, 3), (7, 1, 3))
    assert lumping.quotient.hidden_neurons == 2


def test_a_computed_extent_may_be_zero_which_a_reshape_reads_as_the_extent_before() -> None:
    graph = Graph()
    odd = graph.add("Mod", size_of(graph, 1), graph.ints(3))
    shape = graph.add("Concat", graph.ints(0), odd, graph.ints(-1), axis=0)
    extent = graph.add(
        "Gather", graph.add("Shape", graph.add("Reshape", "x", shape)), graph.ints(1)
    )
    y = graph.add("Concat", graph.add("Cast", odd, to=1), graph.add("Cast", extent, to=1), axis=0)
    network = graph.model([y], x=["N", "T", 3])
    odd_one, extent_one = (network.analysis.tensors[name] for name in (odd, extent))
    assert not np.array_equal(odd_one.ids, extent_one.ids)
    assert network(np.zeros((1, 3, 3), np.float32)).tolist() == [0, 3]


def test_a_node_is_evaluated_in_the_version_of_its_operator() -> None:
    """Until operator set 13 the axes of an Unsqueeze were an attribute."""
    graph = Graph()
    h = graph.add("MatMul", "x", graph.const(np.tile(random.integers(1, 9, (3, 2)), 2)))
    batch = graph.add("Gather", graph.add("Shape", h), graph.const(0, np.int64))
    shape = graph.add("Concat", graph.add("Unsqueeze", batch, axes=[0]), graph.ints(2, 2), axis=0)
    y = graph.add("Reshape", graph.add("Reshape", h, shape), graph.ints(0, -1))
    y = graph.add("MatMul", y, graph.const(random.integers(1, 9, (4, 2))))
    lumping = reduce_graph(graph.model([y], opset=11, x=["N", 3]))
    assert agrees(lumping, (1, 3), (4, 3))
    assert lumping.quotient.hidden_neurons == 2


def test_what_is_empty_at_some_sizes_is_carried() -> None:
    graph = Graph()
    end = graph.add("Sub", size_of(graph, 1), graph.ints(8))
    part = graph.add("Slice", "x", graph.ints(0), end, graph.ints(1))
    y = graph.add("ReduceSum", part, graph.ints(1))
    y = graph.add("MatMul", y, graph.const(np.ones((3, 2))))
    assert agrees(reduce_graph(graph.model([y], x=["N", "T", 3])), (1, 8, 3), (2, 9, 3))


@pytest.mark.parametrize(
    "op", ["Conv", "ConvTranspose", "Gemm", "LSTM", "Depthwise", "InstanceNormalization"]
)
def test_a_free_number_of_channels_is_what_the_weights_of_their_reader_say(op: str) -> None:
    graph, rows = Graph(), np.array([[1, 2], [3, 1], [1, 2], [2, 4]], np.float32)
    shape: list[Any] = [f"d{k}" for k in range({"Gemm": 2, "LSTM": 3}.get(op, 4))]
    x = "x"
    if op == "LSTM":
        gates = graph.const(np.tile(rows[[0, 1, 0, 1]], (4, 1))[None])
        x = graph.add(op, x, gates, graph.const(np.zeros((1, 16, 4))), hidden_size=4)
        y = graph.add("MatMul", x, graph.const([[1], [2], [3], [4]]))
    elif op == "Gemm":
        y = graph.add("MatMul", graph.add(op, x, graph.const(rows), transB=1), graph.const(rows))
    else:
        if op == "Depthwise":
            x = graph.add("Conv", x, graph.const(np.ones((2, 1, 3, 3))), group=2)
        elif op == "InstanceNormalization":
            x = graph.add(op, x, graph.const([1, 2]), graph.const([0, 1]))
        turned = rows.T if op == "ConvTranspose" else rows
        kind = op if op == "ConvTranspose" else "Conv"
        x = graph.add(kind, x, graph.const(turned[:, :, None, None]))
        y = graph.add("Conv", x, graph.const(rows.T[:, :, None, None]))
    lumping = reduce_graph(graph.model([y], x=shape))
    before, after = lumping.network.parameter_count, lumping.quotient.parameter_count
    assert after < before
    onnx.checker.check_model(lumping.quotient.model, full_check=True)
    sessions = [session(one.to_bytes()) for one in (lumping.network, lumping.quotient)]
    given = np.random.default_rng(0).normal(size=(3, 2, *(5 for _ in shape[2:]))).astype(np.float32)
    if op == "LSTM":
        given = given[:, :, [0, 1]]
    wanted, found = (one.run(None, {"x": given})[0] for one in sessions)
    assert np.allclose(wanted, found, rtol=1e-4, atol=1e-5)


def test_numbers_up_to_a_size_are_as_many_as_that() -> None:
    """Positions are added as GPT adds them: the size of the sum is that of x, and heads are split from units."""
    graph = Graph()
    y = graph.add("MatMul", "x", graph.const(np.tile(random.integers(1, 9, (4, 2)), 3)))
    size = graph.add("Squeeze", size_of(graph, 1))
    places = graph.add("Range", graph.const(0, np.int64), size, graph.const(1, np.int64))
    places = graph.add("Gather", graph.const(random.integers(1, 9, (32, 1))), places)
    y = graph.add("Add", y, places)
    target = graph.add("Concat", size_of(graph, 0), size_of(graph, 1), graph.ints(3, 2), axis=0)
    y = graph.add("ReduceSum", graph.add("Reshape", y, target), graph.ints(2), keepdims=0)
    network = graph.model([graph.add("MatMul", y, graph.const(np.ones((2, 2))))], x=["N", "T", 4])
    assert network.analysis.sizes.dims[y][1] == network.analysis.sizes.dims["x"][1]
    assert not network.held


def test_stated_shapes_keep_what_is_not_of_units() -> None:
    """An exporter stated a free size as a number: where units leave, only their axis is written anew."""
    graph = Graph()
    y = graph.add("MatMul", "x", graph.const(np.tile(random.integers(1, 9, (4, 2)), 3)))
    network = graph.model([graph.add("MatMul", y, graph.const(np.ones((6, 2))))], x=["N", "T", 4])
    network.model.graph.value_info.append(onnx.helper.make_tensor_value_info(y, 1, ["N", 5, 6]))
    quotient = reduce_graph(GraphNetwork(network.model)).quotient
    (stated,) = quotient.model.graph.value_info
    assert [d.dim_value for d in stated.type.tensor_type.shape.dim] == [0, 5, 2]

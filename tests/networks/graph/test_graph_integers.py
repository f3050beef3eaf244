"""Numbers that wrap around or round: factors of integers pass no operator."""

from typing import Any

import numpy as np
import pytest
from graph_builder import Graph
from onnx import TensorProto, helper

from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.reduce import reduce_graph

pytest.importorskip("onnxruntime")


def joined(graph: Graph, first: str, second: str, code: int, shape: list[Any]) -> GraphNetwork:
    """Return 3 * first + 5 * second as floats, of an input of some type."""
    parts = [graph.add("Cast", name, to=1) for name in (first, second)]
    weights = graph.const([[3.0], [5.0]])
    y = graph.add("MatMul", graph.add("Concat", *parts, axis=1), weights)
    network = graph.model([y], x=shape)
    network.model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", code, shape))
    return GraphNetwork(network.model)


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16"])
@pytest.mark.parametrize("op", ["Add", "Mul", "Sub"])
def test_a_multiple_of_an_integer_is_another_value(kind: str, op: str) -> None:
    dtype = np.dtype(kind)
    graph = Graph()
    two = graph.const([2], dtype)
    double = {
        "Add": lambda: graph.add("Add", "x", "x"),
        "Mul": lambda: graph.add("Mul", "x", two),
        "Sub": lambda: graph.add("Sub", graph.add("Sub", "x", two), two),
    }[op]()
    network = joined(graph, "x", double, helper.np_dtype_to_tensor_dtype(dtype), ["N", 1])
    after = reduce_graph(network).quotient
    x = np.array([[0], [1], [100], [np.iinfo(dtype).max]], dtype)
    assert after(x).tolist() == network(x).tolist()


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceSum"])
def test_a_mean_of_integers_rounds(op: str) -> None:
    graph = Graph()
    axes = graph.ints(2)
    means = [graph.add(op, name, axes, keepdims=0) for name in ("x", "y")]
    graph.nodes.insert(0, helper.make_node("Mul", ["x", "three"], ["y"]))
    graph.stored.append(helper.make_tensor("three", TensorProto.INT32, [], [3]))
    network = joined(graph, *means, TensorProto.INT32, ["N", 1, 4])
    after = reduce_graph(network).quotient
    x = np.array([[[0, 0, 0, 1]], [[1, 1, 1, -5]]], np.int32)
    assert after(x).tolist() == network(x).tolist()


def test_a_cast_to_fewer_digits_is_no_identity() -> None:
    """What is lost by a cast to half precision, ten million times."""
    graph = Graph()
    half = graph.add("Cast", graph.add("Cast", "x", to=10), to=1)
    rest = graph.add("Mul", graph.add("Sub", "x", half), graph.const(1e7))
    network = graph.model([graph.add("MatMul", rest, graph.const([[1.0], [2]]))], x=["N", 2])
    after = reduce_graph(network).quotient
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    assert np.array_equal(after(x), network(x))


def test_constants_are_folded_only_where_the_evaluator_is_right() -> None:
    """onnx's own evaluator takes the norm without absolute values."""
    graph = Graph()
    norm = graph.add("LpNormalization", graph.const([[3.0, -1]]), p=1, axis=1)
    twins = graph.const([[1.0, 1, 2], [2, 2, 1]])
    h = graph.add("Relu", graph.add("MatMul", graph.add("Add", "x", norm), twins))
    y = graph.add("MatMul", h, graph.const([[1.0], [2], [3]]))
    lumping = reduce_graph(graph.model([y], x=["N", 2]))
    assert lumping.compare(3).largest_difference < 1e-5


@pytest.mark.parametrize("opset", [10, 13, 19, 21])
def test_weights_of_integers_are_folded_in_every_version(opset: int) -> None:
    graph = Graph()
    twins = graph.const([[1, 1, 2], [3, 3, 1]], np.int8)
    weights = graph.add("DequantizeLinear", twins, graph.const(0.5), graph.const(1, np.int8))
    y = graph.add("MatMul", graph.add("MatMul", "x", weights), graph.const([[1.0], [2], [3]]))
    network = graph.model([y], opset=opset, x=["N", 2])
    assert [layer.units for layer in network.layers] == [3, 1]

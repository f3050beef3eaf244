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

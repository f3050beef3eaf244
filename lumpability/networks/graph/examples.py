"""A small graph for examples and tests."""

from __future__ import annotations

import numpy as np

from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.tensors.protobuf import onnx


def residual() -> GraphNetwork:
    """Return a network with a residual join, half of whose units are multiples of the others.

    Examples
    --------
    >>> from lumpability.networks.graph.reduce import reduce_graph
    >>> reduce_graph(residual()).quotient
    GraphNetwork(x -> y, 6 nodes, 8 hidden neurons, 34 parameters)
    """
    helper, numpy_helper = onnx().helper, onnx().numpy_helper
    random = np.random.default_rng(0)

    def whole(*shape: int) -> np.ndarray:
        return random.integers(1, 5, size=shape).astype(np.float32)

    first, second, last = whole(2, 4), whole(4, 4), whole(4, 2)
    double = np.concatenate([np.eye(4), 2 * np.eye(4)], axis=1)  # units 4 to 7 are twice 0 to 3
    half = np.concatenate([np.eye(4), np.zeros((4, 4))])
    weights = {"A": first @ double, "B": half @ second @ double, "C": half @ last}
    nodes = [
        helper.make_node("MatMul", ["x", "A"], ["a"]),
        helper.make_node("Relu", ["a"], ["p"]),
        helper.make_node("MatMul", ["p", "B"], ["b"]),
        helper.make_node("Add", ["p", "b"], ["s"]),
        helper.make_node("Relu", ["s"], ["q"]),
        helper.make_node("Gemm", ["q", "C", "d"], ["y"]),
    ]
    weights["d"] = np.zeros(2)
    kind = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "residual",
        [kind("x", 1, ["N", 2])],
        [kind("y", 1, ["N", 2])],
        [numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return GraphNetwork(model)

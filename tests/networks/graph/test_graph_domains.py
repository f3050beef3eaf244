"""Zero times a value is zero only where the value is finite for every input."""

from collections.abc import Callable

import numpy as np
import pytest
from graph_builder import Graph

from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.reduce import reduce_graph

pytest.importorskip("onnxruntime")
FIRST = np.array([[1.0, 1, 2, 2], [3, 3, -1, -1], [5, 5, 1, 1]])
LAST = np.array([[1.0, 2], [3, 5], [7, 1], [4, 9]])


def inverse(graph: Graph, x: str) -> str:
    return graph.add("Reciprocal", graph.add("Relu", x))


def quotient(graph: Graph, x: str) -> str:
    return graph.add("Div", graph.const(1.0), graph.add("Relu", x))


def power(graph: Graph, x: str) -> str:
    return graph.add("Pow", graph.add("Relu", x), graph.const(-1.0))


def root(graph: Graph, x: str) -> str:
    return graph.add("Sqrt", x)


def logarithm(graph: Graph, x: str) -> str:
    return graph.add("Log", graph.add("Relu", x))


def layer_norm(graph: Graph, x: str) -> str:
    """Return a layer norm as torch wrote it before there was an operator."""
    axes = graph.ints(-1)
    centred = graph.add("Sub", x, graph.add("ReduceMean", x, axes))
    square = graph.add("ReduceMean", graph.add("Pow", centred, graph.const(2.0)), axes)
    deviation = graph.add("Sqrt", graph.add("Add", square, graph.const(1e-5)))
    return graph.add("Div", centred, deviation)


def root_mean_square(graph: Graph, x: str) -> str:
    square = graph.add("ReduceMean", graph.add("Mul", x, x), graph.ints(-1))
    shifted = graph.add("Add", square, graph.const(1e-5))
    return graph.add("Mul", x, graph.add("Reciprocal", graph.add("Sqrt", shifted)))


def softmax(graph: Graph, x: str) -> str:
    powers = graph.add("Exp", graph.add("Sub", x, graph.add("ReduceMax", x, graph.ints(-1))))
    return graph.add("Div", powers, graph.add("ReduceSum", powers, graph.ints(-1)))


def normalised(graph: Graph, x: str) -> str:
    length = graph.add("Clip", graph.add("ReduceL2", x, graph.ints(-1)), graph.const(1e-12))
    return graph.add("Div", x, length)


PARTIAL = [inverse, quotient, power, root, logarithm]
FINITE = [layer_norm, root_mean_square, softmax, normalised]
Function = Callable[[Graph, str], str]


def by_zero(graph: Graph, value: str) -> str:
    return graph.add("Mul", value, graph.const(np.zeros(4)))


def less_itself(graph: Graph, value: str) -> str:
    return graph.add("Sub", value, value)


def through_a_layer(graph: Graph, value: str) -> str:
    return graph.add("MatMul", value, graph.const(np.zeros((4, 4))))


def network(function: Function, cancel: Function) -> GraphNetwork:
    """Return a network in which a layer without a factor of its own meets a function of x."""
    graph = Graph()
    h = graph.add("MatMul", "x", graph.const(FIRST))
    gone = cancel(graph, function(graph, h))
    y = graph.add("MatMul", graph.add("Relu", gone), graph.const(LAST))
    return graph.model(
        [graph.add("Add", y, graph.add("MatMul", "x", graph.const(LAST[:3])))], x=["N", 3]
    )


CANCELS = [by_zero, less_itself, through_a_layer]


@pytest.mark.parametrize("cancel", CANCELS)
@pytest.mark.parametrize("function", PARTIAL)
def test_what_may_be_infinite_is_never_zero_times_anything(
    function: Function, cancel: Function
) -> None:
    before = network(function, cancel)
    after = reduce_graph(before).quotient
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    assert np.isnan(before(x)).any()
    assert np.allclose(before(x), after(x), equal_nan=True, rtol=1e-4)


@pytest.mark.parametrize("cancel", CANCELS)
@pytest.mark.parametrize("function", FINITE)
def test_what_is_finite_is_zero_times_zero(function: Function, cancel: Function) -> None:
    before = network(function, cancel)
    last = [call for call in before.analysis.calls if call is not None and call.op == "Relu"][-1]
    assert not before.analysis.tensors[last.node.output[0]].facs.any()
    after = reduce_graph(before).quotient
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    assert np.allclose(before(x), after(x), rtol=1e-4)


def test_units_that_are_always_infinite_stay_apart() -> None:
    """Their sum with weights of both signs is no number; their weights added up may make it infinite."""
    graph = Graph()
    zero = graph.add("MatMul", "x", graph.const(np.zeros((3, 2))))
    last = graph.const([[1.0], [-3.0]])
    given = graph.model([graph.add("MatMul", graph.add("Reciprocal", zero), last)], x=["N", 3])
    x = np.ones((2, 3), np.float32)
    assert np.isnan(given(x)).all()
    np.testing.assert_array_equal(given(x), reduce_graph(given).quotient(x))


@pytest.mark.parametrize("bias", [np.inf, -np.inf])
def test_zero_times_a_stored_infinity_is_no_number(bias: float) -> None:
    """A unit that is infinite is not dead where its weights are zero."""
    graph = Graph()
    units = graph.add("MatMul", "x", graph.const(FIRST))
    shifted = graph.add("Add", units, graph.const([bias, 1.0, 2.0, 0.0]))
    hidden = graph.add("MatMul", shifted, graph.const([[0.0, 0], [1, 2], [1, -1], [2, 1]]))
    given = graph.model([graph.add("Relu", hidden)], x=["N", 3])
    lumping = reduce_graph(given)
    x = np.array([[1.0, -2, 0.5]], np.float32)
    assert not np.isfinite(given(x)).all()
    np.testing.assert_array_equal(given(x), lumping.quotient(x))


@pytest.mark.parametrize("chosen", [False, True])
def test_a_mask_of_minus_infinity_does_not_hold_the_values_of_attention(chosen: bool) -> None:
    """A softmax of what is finite or minus infinite counts as finite."""
    graph = Graph()
    hidden = np.triu(np.ones((3, 3), bool), 1)
    scores = graph.add("MatMul", "x", graph.add("Transpose", "x", perm=[0, 2, 1]))
    if chosen:
        low = graph.const(-np.inf)
        masked = graph.add("Where", graph.const(hidden, np.bool_), low, scores)
    else:
        masked = graph.add("Add", scores, graph.const(np.where(hidden, -np.inf, 0.0)))
    values = graph.add("MatMul", "x", graph.const([[1.0, 1, 0, 2], [2, 2, 0, -1]]))
    mixed = graph.add("MatMul", graph.add("Softmax", masked, axis=-1), values)
    y = graph.add("MatMul", mixed, graph.const([[1.0], [2], [5], [3]]))
    given = graph.model([y], x=["N", 3, 2])
    lumping = reduce_graph(given)
    assert lumping.quotient.parameter_count < given.parameter_count
    x = np.random.default_rng(0).normal(size=(2, 3, 2)).astype(np.float32)
    np.testing.assert_allclose(given(x), lumping.quotient(x), rtol=1e-5)

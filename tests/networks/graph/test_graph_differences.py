"""Certified differences of graphs: joins, concatenations and what moves data are followed along their edges."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from graph_builder import Graph
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import random_network

from lumpability import Network, compare
from lumpability.errors import NotJustified
from lumpability.networks.difference import affine_layers, ranges
from lumpability.networks.difference.affine import AffineNetwork
from lumpability.networks.elementwise import Activate
from lumpability.networks.graph.network import GraphNetwork

RANDOM = np.random.default_rng(0)


def _joined(change: Any = lambda w: w) -> GraphNetwork:
    """A graph with a residual join, a concatenation, a split and a shuffle."""
    random = np.random.default_rng(1)
    graph = Graph()

    def weight(*shape: int) -> str:
        return graph.const(change(random.normal(size=shape)))

    first = graph.add("Relu", graph.add("Gemm", "x", weight(2, 4), weight(4)))
    second = graph.add("Relu", graph.add("MatMul", first, weight(4, 4)))
    joined = graph.add("Relu", graph.add("Add", first, second))
    left, right = graph.add("Split", joined, graph.ints(1, 3), outputs=2, axis=1)
    mixed = graph.add("Concat", right, second, graph.const([[1.0, -2.0]]), left, axis=1)
    turned = graph.add("Gather", mixed, graph.ints(9, 0, 3, 3, 5), axis=1)
    top = graph.add("Max", graph.add("Gemm", turned, weight(5, 3), weight(3)), graph.const(0.25))
    return graph.model([graph.add("Gemm", top, weight(3, 2), weight(2))], x=[1, 2])


def test_a_graph_with_joins_and_concatenations_is_the_same_function_as_affine_layers() -> None:
    network = _joined()
    found = affine_layers(network)
    assert not found.is_chain
    for _ in range(5):
        x = RANDOM.normal(size=(1, 2)).astype(np.float32)
        assert np.allclose(found(x), network(x), rtol=1e-4, atol=1e-5)


def test_the_difference_of_a_graph_and_its_rounded_copy_is_bounded_by_its_residuals() -> None:
    network, rounded = _joined(), _joined(lambda w: np.round(w * 64) / 64)
    found = compare(network, rounded, region=(-1, 1))
    points = RANDOM.uniform(-1, 1, size=(2000, 2))
    gaps = affine_layers(network)(points) - affine_layers(rounded)(points)
    assert found.method in ("d*", "signed")
    assert np.all(gaps >= found.low)
    assert np.all(gaps <= found.high)
    assert found.bound < 0.5
    assert compare(network, network, region=(-1, 1)).bound == 0
    assert compare(network, rounded).bound > found.bound / 2  # all inputs, homogenised


def _covered(random: np.random.Generator) -> tuple[GraphNetwork, AffineNetwork]:
    """A random graph all of whose nodes have affine layers; about one of eight is."""
    while True:
        network = random_network(int(random.integers(2**32)), steps=3, kinds=["vectors", "images"])
        if len(network.index.outputs) == 1:
            with suppress(NotJustified):
                return network, affine_layers(network)


@settings(max_examples=1 + settings().max_examples // 3)
@given(st.integers(0, 2**32))
def test_affine_layers_of_a_random_graph_compute_what_onnxruntime_does(seed: int) -> None:
    network, found = _covered(np.random.default_rng(seed))
    (_, _, shape), *_ = network.ends["input"]
    x = np.random.default_rng(seed).normal(size=[1, *shape[1:]]).astype(np.float32)
    wanted = np.asarray(network(x)).reshape(1, -1)
    got = found(x.reshape(1, -1).astype(np.float64))
    assert np.allclose(got, wanted, rtol=1e-3, atol=1e-3 * (1 + np.abs(wanted).max()))
    bounds = ranges(found, (x.ravel() - 0.125, x.ravel() + 0.125))
    assert np.all(bounds.post_low[-1] <= got)
    assert np.all(bounds.post_high[-1] >= got)


@pytest.mark.parametrize(
    ("op", "constants", "named"),
    [("Softmax", 0, "Softmax"), ("Erf", 0, "Erf"), ("Pow", 1, "Pow")],
)
def test_a_node_that_is_not_covered_is_refused_by_name(op: str, constants: int, named: str) -> None:
    graph = Graph()
    x = graph.add("MatMul", "x", graph.const([[1.0, 2.0], [0.0, 1.0]]))
    y = graph.add(op, x, *[graph.const(2.0)] * constants)
    with pytest.raises(NotJustified, match=f"node 'n1' \\({named}\\)"):
        affine_layers(graph.model([y], x=[1, 2]))


def test_products_of_tensors_and_several_inputs_are_refused() -> None:
    graph = Graph()
    product = graph.model([graph.add("Mul", "x", "x")], x=[1, 2])
    with pytest.raises(NotJustified, match="product"):
        affine_layers(product)
    other = Graph()
    with pytest.raises(NotJustified, match="several inputs"):
        affine_layers(other.model([other.add("Add", "x", "z")], x=[1, 2], z=[1, 2]))


@pytest.mark.parametrize(
    "function", ["Relu", "LeakyRelu", "Tanh", "Sigmoid", "Softplus", "Elu", "Atan", "Softsign"]
)
@pytest.mark.parametrize("reader", ["Mul", "Gemm", "Add", "Reshape", "Identity", "Sub", "Max"])
def test_what_reads_an_argument_after_its_activation_reads_the_argument(
    function: str, reader: str
) -> None:
    graph = Graph()
    argument = graph.add("Gemm", "x", graph.const([[-1.0, 0.5], [0.25, -2.0]]))
    value = graph.add(function, argument)
    other = {
        "Mul": lambda: graph.const(2.0),
        "Gemm": lambda: graph.const([[1.0, 2.0], [3.0, -4.0]]),
        "Add": lambda: value,
        "Sub": lambda: graph.const(1.0),
        "Max": lambda: graph.const(-0.25),
        "Reshape": lambda: graph.ints(1, 2),
    }
    again = graph.add(reader, argument, *([other[reader]()] if reader in other else []))
    network = graph.model([graph.add("Concat", again, value, axis=1)], x=[1, 2])
    x = np.array([[0.75, 0.5]], dtype=np.float32)
    assert np.allclose(affine_layers(network)(x), network(x), rtol=1e-5, atol=1e-6)


def test_inputs_of_several_shapes_are_refused() -> None:
    graph = Graph()
    kernel = graph.const(np.arange(9.0).reshape(1, 1, 3, 3))
    out = graph.add("Relu", graph.add("Conv", "x", kernel, pads=[1, 1, 1, 1]))
    network = graph.model([out], x=["N", 1, "H", "W"])
    with pytest.raises(NotJustified, match="free sizes besides the first"):
        compare(network, network)
    layers = Network((Activate("relu"),), (None, 1, None, 3), np.dtype(np.float64))
    with pytest.raises(NotJustified, match="free sizes besides the first"):
        compare(layers, layers, region=(0, 1))


@pytest.mark.parametrize(("zero", "kind"), [(0, np.uint8), (100, np.uint8), (-7, np.int8)])
def test_bounds_hold_for_copies_whose_values_are_quantised(zero: int, kind: Any) -> None:
    weight, last = RANDOM.normal(size=(3, 6)), RANDOM.normal(size=(6, 2))
    networks = []
    for quantised in (False, True):
        graph = Graph()
        hidden = graph.add("Relu", graph.add("MatMul", "x", graph.const(weight)))
        if quantised:
            step, start = graph.const(0.02), graph.const(zero, kind)
            integers = graph.add("QuantizeLinear", hidden, step, start)
            hidden = graph.add("DequantizeLinear", integers, step, start)
        networks.append(graph.model([graph.add("MatMul", hidden, graph.const(last))], x=["N", 3]))
    found = compare(*networks, region=(-1, 1))
    x = RANDOM.uniform(-1, 1, size=(3000, 3)).astype(np.float32)
    gaps = networks[0](x) - networks[1](x)
    assert np.all(gaps >= found.low - 1e-5)
    assert np.all(gaps <= found.high + 1e-5)
    assert 0 < np.abs(gaps).max() < found.bound


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceSum"])
@pytest.mark.parametrize(("axes", "keepdims"), [((2, 3), 0), ((-1,), 1), ((1, 2), 1), ((), 1)])
def test_means_and_sums_along_axes_are_affine(
    op: str, axes: tuple[int, ...], keepdims: int
) -> None:
    graph = Graph()
    given = [graph.ints(*axes)] if axes else []
    network = graph.model([graph.add(op, "x", *given, keepdims=keepdims)], x=[1, 2, 3, 4])
    x = RANDOM.normal(size=(1, 2, 3, 4)).astype(np.float32)
    found = affine_layers(network)(x.reshape(1, -1))
    assert np.allclose(found.ravel(), network(x).ravel(), rtol=1e-5, atol=1e-6)


def test_a_bias_that_is_added_makes_the_same_layer_as_one_within() -> None:
    weight, bias = RANDOM.normal(size=(3, 4)), RANDOM.normal(size=4)
    layers = []
    for within in (True, False):
        graph = Graph()
        constants = graph.const(weight), graph.const(bias)
        if within:
            value = graph.add("Gemm", "x", *constants)
        else:
            value = graph.add("Add", graph.add("MatMul", "x", constants[0]), constants[1])
        single = graph.add("Cast", graph.add("Cast", value, to=10), to=1)
        layers.append(affine_layers(graph.model([graph.add("Relu", single)], x=[1, 3])).layers)
    assert len(layers[0]) == len(layers[1]) == 1
    assert np.array_equal(layers[0][0].bias, layers[1][0].bias)


def test_arithmetic_with_integers_is_refused_in_words() -> None:
    graph = Graph()
    step = graph.const(0.02)
    integers = graph.add("QuantizeLinear", "x", step)
    moved = graph.add("Reshape", integers, graph.ints(1, 2))
    network = graph.model([graph.add("DequantizeLinear", moved, step)], x=[1, 2])
    with pytest.raises(NotJustified, match="only values that are dequantised at once"):
        compare(network, _joined(), region=(-1, 1))
    graph = Graph()
    integers, _, _ = graph.add("DynamicQuantizeLinear", "x", outputs=3)
    network = graph.model([graph.add("Cast", integers, to=1)], x=[1, 2])
    with pytest.raises(NotJustified, match="depends on the input: quantise with fixed steps"):
        compare(network, _joined(), region=(-1, 1))

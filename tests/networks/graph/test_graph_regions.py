"""A graph that is lumped on a region equals it there: joins, concatenations, maxima and convolutions by channel."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_builder import Graph
from hypothesis import given, settings
from hypothesis import strategies as st

from lumpability import Box, lump, read, write
from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.difference import AffineNetwork, affine_layers
from lumpability.networks.difference.affine import as_dense
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.relaxed.certificate import RegionCertificate

TINY = 1e-9  # what the rounding of ranges outward may add to a bound that is zero otherwise
FEWER = settings(max_examples=1 + settings().max_examples // 3)


def _joined(random: np.random.Generator) -> GraphNetwork:
    """A graph with residual joins and a concatenation, whose weights are small integers."""
    graph, units = Graph(), int(random.integers(2, 6))

    def weight(*shape: int) -> str:
        return graph.const(random.integers(-3, 4, size=shape))

    value = graph.add("Relu", graph.add("Gemm", "x", weight(2, units), weight(units)))
    inner = value
    for _ in range(int(random.integers(1, 3))):
        inner = graph.add("Relu", graph.add("Gemm", value, weight(units, units), weight(units)))
        added = graph.add("Add", value, graph.add("MatMul", inner, weight(units, units)))
        value = graph.add("Relu", added)
    mixed = graph.add("Concat", value, inner, axis=1)
    last = graph.add("Relu", graph.add("Gemm", mixed, weight(2 * units, 3), weight(3)))
    return graph.model([graph.add("Gemm", last, weight(3, 2), weight(2))], x=["N", 2])


def _box(random: np.random.Generator, inputs: int) -> Box:
    low = [Fraction(int(k), 8) for k in random.integers(-16, 12, size=inputs)]
    return Box(
        low,
        [
            end + Fraction(int(k), 8)
            for end, k in zip(low, random.integers(0, 9, inputs), strict=True)
        ],
    )


def _exact(network: AffineNetwork, x: list[Fraction]) -> list[Fraction]:
    """Return the outputs in rational arithmetic."""
    to_fractions = np.vectorize(Fraction, otypes=[object])
    values: list[Any] = [np.array(x, dtype=object)]
    for layer in network.layers:
        parts = zip(layer.sources, layer.matrices, strict=True)
        total = to_fractions(layer.bias) + sum(
            values[s] @ to_fractions(as_dense(m)) for s, m in parts
        )
        assert layer.slopes is not None
        values.append(np.where(total >= 0, total, to_fractions(layer.slopes) * total))
    found: list[Fraction] = values[-1].tolist()
    return found


@FEWER
@given(st.integers(0, 2**32))
def test_lumped_on_a_region_a_graph_with_joins_equals_it_at_every_point_exactly(seed: int) -> None:
    random = np.random.default_rng(seed)
    network, box = _joined(random), _box(random, 2)
    lumping = lump(network, region=box)
    assert lumping.quotient.hidden_neurons <= lump(network).quotient.hidden_neurons
    rounded = lumping.rounding.rounded
    assert rounded or lumping.bound < TINY
    pair = [affine_layers(one) for one in (network, lumping.quotient)]
    corners = [box.low.tolist(), box.high.tolist()]
    inner = [
        [
            low + (high - low) * Fraction(int(k), 16)
            for low, high, k in zip(*corners, steps, strict=True)
        ]
        for steps in random.integers(0, 17, size=(6, 2))
    ]
    for x in (*corners, *inner):
        gaps = [abs(a - b) for a, b in zip(*(_exact(one, x) for one in pair), strict=True)]
        assert max(gaps) <= (lumping.bound if rounded else 0)


@FEWER
@given(st.integers(0, 2**32))
def test_units_that_are_positive_somewhere_on_the_region_stay(seed: int) -> None:
    random = np.random.default_rng(seed)
    graph = Graph()

    def weight(*shape: int) -> str:
        return graph.const(random.normal(size=shape))

    first = graph.add("Relu", graph.add("Gemm", "x", weight(1, 6), weight(6)))
    second = graph.add("Relu", graph.add("Gemm", first, weight(6, 6), weight(6)))
    added = graph.add("Add", first, graph.add("MatMul", second, weight(6, 6)))
    network = graph.model([graph.add("Gemm", added, weight(6, 1), weight(1))], x=["N", 1])
    lumping = lump(network, region=(0, 1))
    layers = affine_layers(network).layers
    points = np.linspace(0, 1, 257)[:, None]
    alive = [points @ layers[0].weight + layers[0].bias]
    alive.append(np.maximum(alive[0], 0) @ layers[1].weight + layers[1].bias)
    left = {row.output: row.left for row in lumping.table}
    # Units of the first layer also feed the join, where all of them stay together.
    assert left["t2a"] >= int((alive[1] > 1e-9).any(axis=0).sum())
    assert lumping.bound < (1e-4 if lumping.rounding.rounded else TINY)


def _images() -> GraphNetwork:
    """A residual block of convolutions with pooling; the channels 1 and 3 inside are zero on [0, 1]."""
    random, graph = np.random.default_rng(2), Graph()
    kernel = [graph.const(random.normal(size=(4, n, 3, 3)) / 3) for n in (2, 4, 4)]
    first = graph.add("Relu", graph.add("Conv", "x", kernel[0], pads=[1, 1, 1, 1]))
    bias = graph.const([0.5, -100, 0.25, -100])
    inner = graph.add("Relu", graph.add("Conv", first, kernel[1], bias, pads=[1, 1, 1, 1]))
    outer = graph.add("Conv", inner, kernel[2], pads=[1, 1, 1, 1])
    joined = graph.add("Relu", graph.add("Add", first, outer))
    pooled = graph.add("MaxPool", joined, kernel_shape=[2, 2], strides=[2, 2])
    last = graph.add("Gemm", graph.add("Flatten", pooled), graph.const(random.normal(size=(16, 2))))
    return graph.model([last], x=["N", 2, 4, 4])


def test_channels_that_are_zero_on_the_region_leave_a_residual_block(tmp_path: Path) -> None:
    write(_images(), tmp_path / "images.onnx")
    network = read(tmp_path / "images.onnx")  # with layers, among them a join
    lumping = lump(network, region=(0, 1))
    assert [(row.units, row.left) for row in lumping.table] == [(4, 4), (4, 2), (4, 4), (2, 2)]
    assert lumping.bound == 0
    x = np.random.default_rng(0).uniform(size=(50, 2, 4, 4)).astype(np.float32)
    assert np.allclose(lumping.quotient(x), lumping.network(x), atol=1e-5)
    write(lumping.quotient, tmp_path / "small.onnx")
    lumping.certificate().write(tmp_path / "proof.json")
    proof, small = RegionCertificate.read(tmp_path / "proof.json"), read(tmp_path / "small.onnx")
    assert proof.verify(network, small)  # as they were read, or as graphs
    assert proof.verify(lumping.network, lumping.quotient)
    assert not proof.verify(network, network)
    props = {item.key: item.value for item in lumping.quotient.model.metadata_props}
    assert props["lumpability.replaces"] == proof.original.digest
    assert Box([0] * 32, [1] * 32).to_json() == json.loads(props["lumpability.region"])
    assert "whole" not in str(lumping.quotient.model.graph.node)


def test_more_parts_leave_fewer_units_of_a_graph() -> None:
    # relu(x) - relu(x + 1) is never positive, which lines around both do not show where they bend.
    graph = Graph()
    first = graph.add(
        "Relu", graph.add("Gemm", "x", graph.const([[1.0, 1.0]]), graph.const([0.0, 1.0]))
    )
    inner = graph.add("Relu", graph.add("Gemm", first, graph.const([[1.0, 1.0], [-1.0, 2.0]])))
    joined = graph.add("Add", first, graph.add("MatMul", inner, graph.const([[1.0, 2], [3, 5]])))
    network = graph.model([graph.add("Gemm", joined, graph.const([[1.0], [2.0]]))], x=["N", 1])
    found = [lump(network, region=(-2, 2), boxes=n) for n in (1, 2, 64)]
    assert [len(one.claims.parts) for one in found] == [1, 2, 2]
    assert [one.table[1].left for one in found] == [2, 1, 1]


def test_what_is_not_covered_of_a_graph_is_refused_by_name() -> None:
    graph = Graph()
    curved = graph.add("Softmax", graph.add("Gemm", "x", graph.const([[1.0, 2.0]])), axis=1)
    with pytest.raises(NotJustified, match="node 'n1' \\(Softmax\\): no bound"):
        lump(graph.model([curved], x=["N", 1]), region=(0, 1))
    for option, value in (("dtype", "float16"), ("kind", "exact"), ("align", 4)):
        with pytest.raises(InvalidInput, match=option):
            lump(_images(), region=(0, 1), **{option: value})

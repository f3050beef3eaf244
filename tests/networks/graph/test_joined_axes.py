"""A free batch and heads on one axis, as attention of torch has them: units still leave, and sizes follow."""

from typing import Any

import numpy as np
import onnx
import pytest
from graph_builder import Graph
from hypothesis import given
from hypothesis import strategies as st

from lumpability.networks.graph.reduce import GraphLumping, reduce_graph

pytest.importorskip("onnxruntime")
HEADS, WIDTH, LENGTH, INPUTS = 3, 4, 5, 6


def attention(
    rows: dict[str, list[int]], *, computed: bool = True, mask: bool = False
) -> GraphLumping:
    """Lump attention with a free batch; some rows of the weights of queries, keys and values are zero.

    With `computed`, sizes are computed from that of the input as torch's exporter does; the scale as well.
    """
    random, graph = np.random.default_rng(0), Graph()
    count = HEADS * WIDTH
    x = graph.add("Transpose", "x", perm=[1, 0, 2])
    batch = graph.add("Gather", graph.add("Shape", "x"), graph.ints(0))
    joined = graph.add("Mul", batch, graph.ints(HEADS))
    length, width = graph.ints(LENGTH), graph.ints(WIDTH)
    parts = {}
    for name in ("query", "key", "value"):
        weights = random.normal(size=(INPUTS, count))
        weights[:, rows.get(name, [])] = 0
        y = graph.add("MatMul", x, graph.const(weights))
        shape = (
            graph.add("Concat", length, joined, width, axis=0)
            if computed
            else graph.ints(LENGTH, -1, WIDTH)
        )
        parts[name] = graph.add("Transpose", graph.add("Reshape", y, shape), perm=[1, 0, 2])
    size = graph.add("Gather", graph.add("Shape", parts["query"]), graph.ints(2))
    scale = graph.add("Sqrt", graph.add("Cast", size, to=1))
    queries = graph.add("Div", parts["query"], scale if computed else graph.const(2.0))
    turned = graph.add("Transpose", parts["key"], perm=[0, 2, 1])
    scores = graph.add("MatMul", queries, turned)
    if mask:
        scores = graph.add("Add", scores, graph.const(random.normal(size=(LENGTH, LENGTH))))
    scores = graph.add("Softmax", scores, **({"axis": -1} if computed else {}))
    y = graph.add("MatMul", scores, parts["value"])
    y = graph.add("Transpose", y, perm=[1, 0, 2])
    shape = graph.add("Concat", graph.ints(-1), graph.ints(count), axis=0)
    y = graph.add("Reshape", y, shape)
    y = graph.add("MatMul", y, graph.const(random.normal(size=(count, 2))))
    lumping = reduce_graph(graph.model([y], x=["N", LENGTH, INPUTS]))
    onnx.checker.check_model(lumping.quotient.model, full_check=True)
    assert lumping.compare(12).largest_difference < 1e-4
    return lumping


def left(lumping: GraphLumping) -> list[int]:
    """Return how many queries, keys and values stay."""
    return [layer.left for layer in lumping.table[:3]]


def head(*heads: int) -> list[int]:
    return [WIDTH * h + k for h in heads for k in range(WIDTH)]


@pytest.mark.parametrize("computed", [True, False])
@pytest.mark.parametrize("mask", [True, False])
def test_zero_units_of_every_head_leave(computed: bool, mask: bool) -> None:
    zero = [WIDTH * h + k for h in range(HEADS) for k in (1, 3)]
    lumping = attention({"query": zero, "value": zero}, computed=computed, mask=mask)
    assert left(lumping) == [6, 6, 6]


@pytest.mark.parametrize("computed", [True, False])
def test_a_head_without_values_leaves_whole(computed: bool) -> None:
    lumping = attention({"value": head(1)}, computed=computed)
    assert left(lumping) == [8, 8, 8]


def test_one_head_is_left() -> None:
    assert left(attention({"value": head(0, 2)})) == [4, 4, 4]


def test_a_number_that_is_computed_from_a_size_stays_what_it_was() -> None:
    zero = [WIDTH * h for h in range(HEADS)]
    lumping = attention({"key": zero})
    assert left(lumping) == [9, 9, 12]
    assert not lumping.held


@given(st.data())
def test_whatever_is_zero_the_same_is_computed(data: st.DataObject) -> None:
    some = st.lists(st.integers(0, HEADS * WIDTH - 1), unique=True)
    rows: dict[str, Any] = {name: data.draw(some) for name in ("query", "key", "value")}
    attention(rows, computed=data.draw(st.booleans()), mask=data.draw(st.booleans()))


def test_a_joined_axis_is_counted_from_the_last_where_ranks_differ() -> None:
    graph, random = Graph(), np.random.default_rng(1)
    weights = random.normal(size=(INPUTS, 12))
    weights[:, [1, 5, 9]] = 0
    low = graph.add("Reshape", graph.add("MatMul", "x", graph.const(weights)), graph.ints(-1, 4))
    wide = graph.add(
        "Reshape", graph.add("MatMul", "z", graph.const(weights)), graph.ints(3, -1, 4)
    )
    y = graph.add("Reshape", graph.add("Relu", graph.add("Add", low, wide)), graph.ints(3, -1, 12))
    y = graph.add("MatMul", y, graph.const(random.normal(size=(12, 2))))
    lumping = reduce_graph(graph.model([y], x=["N", INPUTS], z=[3, "N", INPUTS]))
    assert lumping.compare(8).largest_difference < 1e-4
    assert left(lumping)[:2] == [9, 9]

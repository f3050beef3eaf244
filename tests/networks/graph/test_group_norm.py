"""Group normalisation: copies of a group's channels leave, whole groups leave, and nothing else."""

import numpy as np
import onnx
import pytest
from graph_builder import Graph
from hypothesis import given
from hypothesis import strategies as st

from lumpability.networks.graph.reduce import GraphLumping, reduce_graph

pytest.importorskip("onnxruntime")


def normalised(
    rows: list[list[float]], groups: int, scales: list[float], shifts: list[float]
) -> GraphLumping:
    """Lump a network that normalises channels, given by their weights, and mixes them."""
    graph = Graph()
    weights = np.array(rows)[:, :, None, None]
    x = graph.add("Conv", "x", graph.const(weights))
    x = graph.add(
        "GroupNormalization", x, graph.const(scales), graph.const(shifts), num_groups=groups
    )
    mixing = np.random.default_rng(len(rows)).normal(size=(2, len(rows), 3, 3))
    y = graph.add("Conv", graph.add("Relu", x), graph.const(mixing), pads=[1] * 4)
    network = graph.model([y], opset=21, x=["N", len(rows[0]), "H", "W"])
    lumping = reduce_graph(network)
    onnx.checker.check_model(lumping.quotient.model, full_check=True)
    assert lumping.compare(20).largest_difference < 1e-4
    return lumping


def left(lumping: GraphLumping) -> list[int]:
    """Return the channels of the first layer that stay."""
    return lumping.kept[lumping.table[0].output].tolist() if lumping.kept else []


A, B, C, D = [1.0, 2.0], [3.0, -1.0], [0.5, 1.0], [2.0, 2.0]


def test_a_copy_of_every_channel_of_every_group_leaves() -> None:
    lumping = normalised([A, A, B, B, C, D, C, D], 2, [1.0] * 8, [0.5] * 8)
    assert left(lumping) == [0, 2, 4, 5]


def test_copies_stay_where_one_group_has_none() -> None:
    lumping = normalised([A, A, B, B, C, D, C, B], 2, [1.0] * 8, [0.5] * 8)
    assert lumping.is_unchanged
    assert not lumping.held


def test_a_group_without_scales_or_shifts_leaves() -> None:
    lumping = normalised([A, B, C, D], 2, [1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0])
    assert left(lumping) == [0, 1]


def test_a_group_with_the_negative_values_of_another_leaves() -> None:
    minus = [[-v for v in row] for row in (A, B)]
    lumping = normalised([A, B, *minus], 2, [1.0, 2.0, -1.0, -2.0], [0.0, 1.0, 0.0, 1.0])
    assert left(lumping) == [0, 1]


def test_channels_of_one_group_that_differ_are_held_by_name() -> None:
    lumping = normalised([A, B, C, D], 1, [1.0, 1.0, 0.0, 0.0], [0.0] * 4)
    assert lumping.is_unchanged
    assert any("GroupNormalization" in reason for reason in lumping.held)


@given(st.data())
def test_what_is_left_of_any_groups_computes_the_same(data: st.DataObject) -> None:
    groups, size = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    count = groups * size
    kinds = [A, B, [-1.0, -2.0], [-3.0, 1.0], [0.0, 0.0]]
    rows = data.draw(st.lists(st.sampled_from(kinds), min_size=count, max_size=count))
    few = st.lists(st.sampled_from([0.0, 1.0, -1.0]), min_size=count, max_size=count)
    normalised(rows, groups, data.draw(few), data.draw(few))

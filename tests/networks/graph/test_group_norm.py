"""Group normalisation: copies of a group's channels leave, whole groups leave, and nothing else."""

from typing import Any

import numpy as np
import onnx
import pytest
from graph_builder import Graph
from hypothesis import given
from hypothesis import strategies as st

from lumpability.networks.graph.reduce import GraphLumping, reduce_graph

pytest.importorskip("onnxruntime")
SPELLED = ["norm", "free", "fixed"]


def normalised(
    rows: list[list[float]],
    groups: int,
    scales: list[float],
    shifts: list[float],
    *,
    spelled: str = "norm",
) -> GraphLumping:
    """Lump a network that normalises channels, given by their weights, and mixes them.

    Spelled by one operator, or as torch does, by an instance norm over channels and positions of groups.
    """
    graph, count = Graph(), len(rows)
    x = graph.add("Conv", "x", graph.const(np.array(rows)[:, :, None, None]))
    if spelled == "norm":
        x = graph.add(
            "GroupNormalization", x, graph.const(scales), graph.const(shifts), num_groups=groups
        )
    else:
        joined = graph.add("Reshape", x, graph.ints(0, groups, -1))
        none = [graph.const(np.full(groups, n)) for n in (1.0, 0.0)]
        normal = graph.add("InstanceNormalization", joined, *none)
        x = graph.add("Reshape", normal, graph.add("Shape", x))
        for op, values in (("Mul", scales), ("Add", shifts)):
            x = graph.add(op, x, graph.const(np.reshape(values, (count, 1, 1))))
    mixing = np.random.default_rng(count).normal(size=(2, count, 3, 3))
    y = graph.add("Conv", graph.add("Relu", x), graph.const(mixing), pads=[1] * 4)
    tail: list[Any] = [4, 6] if spelled == "fixed" else ["H", "W"]
    lumping = reduce_graph(graph.model([y], opset=21, x=["N", len(rows[0]), *tail]))
    onnx.checker.check_model(lumping.quotient.model, full_check=True)
    assert lumping.compare(20).largest_difference < 1e-4
    return lumping


def left(lumping: GraphLumping) -> list[int]:
    """Return the channels of the first layer that stay."""
    return lumping.kept[lumping.table[0].output].tolist() if lumping.kept else []


A, B, C, D = [1.0, 2.0], [3.0, -1.0], [0.5, 1.0], [2.0, 2.0]


@pytest.mark.parametrize("spelled", SPELLED)
def test_a_copy_of_every_channel_of_every_group_leaves(spelled: str) -> None:
    rows = [A, A, B, B, C, D, C, D]
    lumping = normalised(rows, 2, [1.0] * 8, [0.5] * 8, spelled=spelled)
    assert left(lumping) == [0, 2, 4, 5]


def test_copies_stay_where_one_group_has_none() -> None:
    lumping = normalised([A, A, B, B, C, D, C, B], 2, [1.0] * 8, [0.5] * 8)
    assert lumping.is_unchanged
    assert not lumping.held


@pytest.mark.parametrize("spelled", SPELLED)
def test_a_group_without_scales_or_shifts_leaves(spelled: str) -> None:
    scales, shifts = [1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]
    lumping = normalised([A, B, C, D], 2, scales, shifts, spelled=spelled)
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
    spelled = data.draw(st.sampled_from(SPELLED))
    normalised(rows, groups, data.draw(few), data.draw(few), spelled=spelled)

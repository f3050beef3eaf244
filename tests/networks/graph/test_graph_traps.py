"""What looks equal and is not, what couples units that seem free, and what an edit may not touch."""

import time
from fractions import Fraction

import numpy as np
import onnx
import pytest
from graph_builder import Graph

from lumpability.errors import InvalidNetwork
from lumpability.networks.graph.as_layers import as_layers
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.reduce import GraphLumping, reduce_graph
from lumpability.networks.operators import matching
from lumpability.networks.operators.recurrent import stable_classes
from lumpability.partition import Partition
from lumpability.refinement import refine
from lumpability.structure import WeightedStructure

pytest.importorskip("onnxruntime")
random = np.random.default_rng(5)


def whole(*shape: int) -> np.ndarray:
    """Positive whole numbers, different enough."""
    return random.integers(1, 50, shape).astype(np.float32)


def reduced(network: GraphNetwork, tolerance: float = 1e-3) -> GraphLumping:
    """Reduce a network and compare both in onnxruntime."""
    lumping = reduce_graph(network)
    onnx.checker.check_model(lumping.quotient.model, full_check=True)
    assert lumping.compare(6).largest_difference <= tolerance
    return lumping


def test_delay_chains_longer_than_any_unrolling_stay_apart() -> None:
    """Two chains of delays agree for as many steps as they are long, and differ after that."""
    length = 40
    graph = Graph()
    recurrent = np.zeros((2 * length, 2 * length), np.float32)
    for k in range(1, length):
        recurrent[k, k - 1] = recurrent[length + k, length + k - 1] = 1
    recurrent[0, 2 * length - 1] = 1  # the last of the second chain feeds the first of the first
    weights = np.zeros((1, 2 * length, 1), np.float32)
    weights[0, [0, length]] = 1
    y = graph.add(
        "RNN", "x", graph.const(weights), graph.const(recurrent[None]), hidden_size=2 * length
    )
    last = graph.const(whole(2 * length, 2))
    y = graph.add("MatMul", graph.add("Squeeze", y, graph.ints(1)), last)
    lumping = reduced(graph.model([y], x=["T", "N", 1]))
    assert lumping.is_unchanged


def test_twin_chains_of_delays_merge() -> None:
    length = 12
    graph = Graph()
    recurrent = np.kron(np.eye(2), np.eye(length, k=-1)).astype(np.float32)
    weights = np.zeros((1, 2 * length, 1), np.float32)
    weights[0, [0, length]] = 1
    y = graph.add(
        "RNN", "x", graph.const(weights), graph.const(recurrent[None]), hidden_size=2 * length
    )
    y = graph.add(
        "MatMul", graph.add("Squeeze", y, graph.ints(1)), graph.const(whole(2 * length, 2))
    )
    assert reduced(graph.model([y], x=["T", "N", 1])).kept["t0a"].tolist() == [list(range(length))]


def test_states_of_a_recurrent_layer_are_the_coarsest_stable_partition() -> None:
    """The dense rounds and the engine that refines chains agree: one definition."""
    for seed in range(20):
        draw = np.random.default_rng(seed)
        gates, inputs, units = 2, 2, 6
        w = draw.integers(0, 2, (gates, inputs, units)).astype(float)
        r = draw.integers(0, 2, (gates, units, units)).astype(float)
        copies = draw.integers(0, 3, units)
        w, r = w[:, :, copies], r[:, :, copies]
        one = np.full(inputs, Fraction(1), dtype=object)
        found = stable_classes(w, r, np.zeros(units, int), np.arange(inputs), one)
        edges = []
        for j in range(units):
            for g in range(gates):
                state = units + g * units + j
                edges.append((j, state, 1))
                edges += [(state, i, int(r[g, i, j])) for i in range(units) if r[g, i, j]]
                base = units * (1 + gates)
                edges += [(state, base + i, int(w[g, i, j])) for i in range(inputs) if w[g, i, j]]
        start = [0] * units + [1 + g for g in range(gates) for _ in range(units)]
        start += [1 + gates + i for i in range(inputs)]
        n = units * (1 + gates) + inputs
        structure = WeightedStructure.from_edges(
            n, *zip(*edges, strict=True), within=Partition(start)
        )
        assert refine(structure).partition.restrict(np.arange(units)) == Partition(found)


def test_filters_that_differ_where_small_images_have_only_padding_stay_apart() -> None:
    graph = Graph()
    kernels = np.zeros((2, 1, 3, 3), np.float32)
    kernels[:, 0, 1, 1] = 1
    kernels[1, 0, 0, 0] = 1
    y = graph.add("Conv", "x", graph.const(kernels), dilations=[9, 9], pads=[9] * 4)
    y = graph.add("Conv", graph.add("Relu", y), graph.const(whole(1, 2, 1, 1)))
    assert reduced(graph.model([y], x=["N", 1, 8, 8])).is_unchanged
    assert reduced(graph.model([y], x=["N", 1, "H", "W"])).is_unchanged


@pytest.mark.parametrize("of", ["units", "batch"])
def test_a_number_that_is_computed_from_the_number_of_units_does_not_change(of: str) -> None:
    """1 / sqrt(number of units), computed by Shape: the old number is stored; what depends on a free size cannot be."""
    graph = Graph()
    h = graph.add("Relu", graph.add("MatMul", "x", graph.const(np.tile(whole(3, 2), 2))))
    size = graph.add("Gather", graph.add("Shape", h), graph.const(1, np.int64))
    if of == "batch":
        size = graph.add("Size", h)
    root = graph.add("Sqrt", graph.add("Cast", size, to=1))
    y = graph.add("MatMul", graph.add("Div", h, root), graph.const(whole(4, 2)))
    lumping = reduced(graph.model([y], x=["N", 3]))
    assert lumping.is_unchanged == (of == "batch")
    assert any("its size is a number" in reason for reason in lumping.held) == (of == "batch")


def test_a_size_that_shapes_a_tensor_is_free() -> None:
    graph = Graph()
    h = graph.add("Relu", graph.add("MatMul", "x", graph.const(np.tile(whole(3, 2), 2))))
    size = graph.add("Gather", graph.add("Shape", h), graph.ints(0))
    shape = graph.add("Concat", size, graph.ints(2, 2), axis=0)
    y = graph.add("Reshape", graph.add("Reshape", h, shape), graph.ints(0, -1))
    y = graph.add("MatMul", y, graph.const(whole(4, 2)))
    assert reduced(graph.model([y], x=["N", 3])).quotient.hidden_neurons == 2


def test_one_mask_for_all_channels_stays() -> None:
    graph = Graph()
    mask = graph.add("Sigmoid", graph.add("MatMul", "x", graph.const(whole(3, 1))))
    h = graph.add("MatMul", "x", graph.const(np.tile(whole(3, 2), 2)))
    y = graph.add("MatMul", graph.add("Mul", h, mask), graph.const(whole(4, 2)))
    lumping = reduced(graph.model([y], x=["N", 3]))
    assert lumping.quotient.hidden_neurons == 3  # two units and the mask


def test_a_dead_unit_represents_no_other() -> None:
    """Units 0 and 1 are twins; only 1 is read, so only 1 may stay."""
    graph = Graph()
    h = graph.add("Relu", graph.add("MatMul", "x", graph.const(np.array([[1, 1, 2], [2, 2, 0]]))))
    y = graph.add("MatMul", h, graph.const(np.array([[0.0], [5], [7]])))
    assert reduced(graph.model([y], x=["N", 2])).quotient.hidden_neurons == 2


def test_uneven_groups_give_units_back() -> None:
    """Group 0 could lose one unit, group 1 none: both keep all."""
    graph = Graph()
    first = whole(4, 3, 1, 1)
    first[1] = first[0]
    h = graph.add("Relu", graph.add("Conv", "x", graph.const(first)))
    k = graph.add("Conv", h, graph.const(whole(4, 2, 3, 3)), group=2, pads=[1] * 4)
    y = graph.add("Conv", graph.add("Relu", k), graph.const(whole(2, 4, 1, 1)))
    assert reduced(graph.model([y], x=["N", 3, 8, 8]), 1e4).is_unchanged


def test_a_channel_shuffle_keeps_an_even_number_in_each_group() -> None:
    graph = Graph()
    first = np.concatenate([whole(1, 3, 1, 1)] * 3 + [whole(3, 3, 1, 1)])
    h = graph.add("Relu", graph.add("Conv", "x", graph.const(first)))
    wide = graph.add(
        "Transpose", graph.add("Reshape", h, graph.ints(0, 2, 3, 8, 8)), perm=[0, 2, 1, 3, 4]
    )
    y = graph.add("Reshape", wide, graph.ints(0, -1, 8, 8))
    y = graph.add("Conv", y, graph.const(whole(2, 6, 1, 1)))
    reduced(graph.model([y], x=["N", 3, 8, 8]))


def test_constants_are_folded_and_the_largest_stays_where_padding_forbids_it() -> None:
    graph = Graph()
    weights = np.zeros((4, 1, 3, 3), np.float32)
    weights[3] = 1
    bias = graph.const([1e-7, 2, 3, 0])
    h = graph.add("Relu", graph.add("Conv", "x", graph.const(weights), bias, pads=[1] * 4))
    y = graph.add("Conv", h, graph.const(whole(2, 4, 3, 3)), pads=[1] * 4)
    lumping = reduced(graph.model([y], x=["N", 1, 8, 8]))
    assert lumping.kept["t0a"].tolist() == [2, 3]
    assert all(np.abs(a).max() < 1e3 for a in lumping.quotient.index.constants.values())


def test_a_value_times_another_at_each_position_is_no_multiple() -> None:
    """x a(pos) and x b(pos) have one ratio at each point: only several projections tell them apart."""
    graph = Graph()
    h = graph.add("Conv", "x", graph.const(np.ones((2, 1, 1, 1))))
    h = graph.add("Mul", h, graph.const(whole(1, 2, 4, 4)))
    y = graph.add("Conv", h, graph.const(whole(1, 2, 1, 1)))
    assert reduced(graph.model([y], x=["N", 1, 4, 4])).is_unchanged


def test_negative_factors_do_not_pass_relu_and_pass_odd_functions() -> None:
    for op, left in (("Relu", 2), ("Tanh", 1), ("Abs", 1), ("Sigmoid", 2)):
        graph = Graph()
        h = graph.add(op, graph.add("MatMul", "x", graph.const([[1, -1], [2, -2]])))
        y = graph.add("MatMul", h, graph.const([[3.0], [5.0]]))
        assert reduced(graph.model([y], x=["N", 2])).quotient.hidden_neurons == left


def test_what_is_not_touched_stays_byte_for_byte() -> None:
    graph = Graph()
    h = graph.add("Relu", graph.add("MatMul", "x", graph.const(np.tile(whole(3, 2), 2))))
    y = graph.add("MatMul", graph.add("Exp", h), graph.const(whole(4, 2)))
    network = graph.model([y], x=["N", 3])
    network.model.metadata_props.add(key="author", value="somebody")
    network.model.doc_string = "a model"
    network.model.graph.node[1].doc_string = "a node"
    after = reduce_graph(network).quotient.model
    assert after.metadata_props == network.model.metadata_props
    assert (after.doc_string, after.producer_name) == ("a model", network.model.producer_name)
    assert list(after.graph.node) == list(network.model.graph.node)
    assert after.graph.input == network.model.graph.input
    assert reduce_graph(GraphNetwork(after)).quotient.model is after


def test_a_shared_weight_is_cloned_where_only_one_of_its_readers_changes() -> None:
    graph = Graph()
    shared = graph.const(whole(4, 4))
    h = graph.add("Relu", graph.add("MatMul", "x", graph.const(np.tile(whole(4, 2), 2))))
    y = graph.add("Add", graph.add("MatMul", h, shared), graph.add("MatMul", "x", shared))
    lumping = reduced(graph.model([y], x=["N", 4]))
    assert lumping.quotient.hidden_neurons == 2
    assert len(lumping.quotient.model.graph.initializer) == 3


def test_an_operator_that_nobody_knows_is_carried_and_holds_its_input() -> None:
    graph = Graph()
    h = graph.add("MatMul", "x", graph.const(np.tile(whole(3, 2), 2)))
    y = graph.add("MatMul", graph.add("Det2", h, domain="foreign"), graph.const(whole(4, 2)))
    lumping = reduce_graph(graph.model([y], x=["N", 3]))
    assert lumping.is_unchanged
    assert any("Det2" in reason for reason in lumping.held)


@pytest.mark.parametrize("twice", [True, False])
def test_graphs_that_are_not_valid_are_refused(twice: bool) -> None:
    graph = Graph()
    h = graph.add("Relu", "x" if twice else "nowhere")
    network = graph.model([h], x=["N", 3]) if twice else None
    if network is None:
        with pytest.raises(InvalidNetwork, match="never defined"):
            graph.model([h], x=["N", 3])
        return
    network.model.graph.node.append(network.model.graph.node[0])
    with pytest.raises(InvalidNetwork, match="defined twice"):
        GraphNetwork(network.model)


def test_a_computed_shape_follows_where_its_number_is_used_as_well() -> None:
    """d = D / heads shapes the heads and, as a number, scales the scores: only the shape may change."""
    graph = Graph()
    size = graph.add("Gather", graph.add("Shape", "x"), graph.const(2, np.int64))
    width = graph.add("Div", size, graph.const(2, np.int64))
    shape = graph.add(
        "Concat", graph.ints(0, 0, 2), graph.add("Unsqueeze", width, graph.ints(0)), axis=0
    )
    heads = []
    for _ in range(3):
        weights = whole(8, 8)
        weights[:, ::2] = 0
        wide = graph.add("Reshape", graph.add("MatMul", "x", graph.const(weights / 64)), shape)
        heads.append(graph.add("Transpose", wide, perm=[0, 2, 1, 3]))
    scale = graph.add("Pow", graph.add("Cast", width, to=1), graph.const(-0.5))
    turned = graph.add("Transpose", heads[1], perm=[0, 1, 3, 2])
    scores = graph.add("Softmax", graph.add("Mul", graph.add("MatMul", heads[0], turned), scale))
    y = graph.add("Transpose", graph.add("MatMul", scores, heads[2]), perm=[0, 2, 1, 3])
    y = graph.add("MatMul", graph.add("Reshape", y, graph.ints(0, 0, -1)), graph.const(whole(8, 2)))
    assert reduced(graph.model([y], x=["N", "T", 8]), 1e-2).quotient.hidden_neurons == 12


def test_layers_that_share_computed_initial_states_lose_units_one_by_one() -> None:
    """What torch writes for two recurrent layers: zeros for both, of a computed shape, cut in two."""
    graph = Graph()
    length = graph.add("Gather", graph.add("Shape", "x"), graph.ints(1))
    zeros = graph.add(
        "ConstantOfShape", graph.add("Concat", graph.ints(2), length, graph.ints(6), axis=0)
    )
    x, inputs = "x", 3
    for layer in range(2):
        state = graph.add("Slice", zeros, graph.ints(layer), graph.ints(layer + 1), graph.ints(0))
        half = 3 if layer == 0 else 2
        pick = np.arange(6) % half
        weights = whole(1, 3, 6, inputs)[:, :, pick] / 64
        recurrent = whole(1, 3, 6, 6)[:, :, pick] / 256
        gates = [graph.const(a.reshape(1, 18, -1)) for a in (weights, recurrent)]
        x = graph.add("GRU", x, *gates, "", "", state, hidden_size=6)
        x, inputs = graph.add("Squeeze", x, graph.ints(1)), 6
    y = graph.add("MatMul", x, graph.const(whole(6, 2)))
    assert reduced(graph.model([y], x=["T", "N", 3]), 1e-2).quotient.hidden_neurons == 5


def test_instance_normalisation_passes_equal_channels_and_not_multiples() -> None:
    """Its epsilon sees the size of what it normalises."""
    for factor, left in ((1, 2), (2, 4)):
        graph = Graph()
        first = whole(2, 3, 1, 1) / 64
        h = graph.add("Conv", "x", graph.const(np.concatenate([first, factor * first])))
        scale, shift = graph.const([1, 2, 2, 4]), graph.const([1, 0, 2, 0])
        h = graph.add("Relu", graph.add("InstanceNormalization", h, scale, shift))
        y = graph.add("Conv", h, graph.const(whole(2, 4, 1, 1)))
        network = graph.model([y], x=["N", 3, 6, 6])
        assert reduced(network, 1e-2).quotient.hidden_neurons == left


def test_a_long_chain_of_delays_is_told_apart_quickly() -> None:
    length = 300
    chain = np.eye(length, k=-1)[None]
    started = time.perf_counter()
    none = (np.zeros((1, 0, length)), chain)
    start, classes = np.zeros(length, int), np.zeros(0, int)
    assert len(set(stable_classes(*none, start, classes, np.zeros(0, object)).tolist())) == length
    assert time.perf_counter() - started < 5


def test_what_holds_a_layer_that_is_not_understood_is_not_called_irreducible() -> None:
    graph = Graph()
    weights = graph.add("LpNormalization", graph.const(whole(2, 2)), p=1, axis=1)
    lumping = reduced(graph.model([graph.add("Gemm", "x", weights)], x=["N", 2]))
    assert lumping.is_unchanged
    assert not lumping.is_irreducible


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_carried_or_refused(bad: float) -> None:
    graph = Graph()
    value = onnx.numpy_helper.from_array(np.array([1, bad], np.float32))
    graph.add("Relu", "x")
    network = graph.model([graph.add("Constant", value=value)], x=["N", 2])
    assert as_layers(network) is None
    assert reduced(network).is_unchanged
    for op, attribute in (
        ("LeakyRelu", "alpha"),
        ("Elu", "alpha"),
        ("Gemm", "alpha"),
        ("Gemm", "beta"),
    ):
        graph = Graph()
        twins = graph.add("MatMul", "x", graph.const(np.ones((2, 4), np.float32)))
        more = [graph.const(whole(4, 4)), graph.const(whole(4))] if op == "Gemm" else []
        y = graph.add(op, twins, *more, **{attribute: bad})
        network = graph.model([y], x=["N", 2])
        assert reduce_graph(network).is_unchanged
        assert any("not finite" in reason for reason in network.held)


def test_sums_that_were_rounded_are_compared_in_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding to single precision is seen in double precision: no fraction is made for each weight."""
    sizes: list[int] = []
    exact = matching.to_fractions
    monkeypatch.setattr(
        matching, "to_fractions", lambda values: sizes.append(np.size(values)) or exact(values)
    )
    random, graph = np.random.default_rng(0), Graph()
    twins = np.tile(random.normal(size=(3, 32)), 2)
    h = graph.add("Relu", graph.add("MatMul", "x", graph.const(twins)))
    y = graph.add("MatMul", h, graph.const(random.normal(size=(64, 40))))
    lumping = reduced(graph.model([y], x=["N", 3]))
    assert lumping.kept["t0a"].size == 32
    assert lumping.rounding.rounded > 100
    assert max(sizes) <= 64

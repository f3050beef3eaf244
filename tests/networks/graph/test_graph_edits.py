"""What an edit may not touch, and what is kept where no edit is right."""

import numpy as np
import onnx
import pytest
from graph_builder import Graph
from onnx import helper

from lumpability.errors import InvalidNetwork
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.reduce import GraphLumping, reduce_graph

pytest.importorskip("onnxruntime")
TWINS = np.array([[1.0, 1, 2, 2], [3, 3, 0, 0], [5, 5, 1, 1]])
LAST = np.array([[1.0, 2], [3, 5], [7, 1], [4, 9]])


def reduced(network: GraphNetwork, tolerance: float = 1e-4) -> GraphLumping:
    """Reduce a network and compare both in onnxruntime."""
    lumping = reduce_graph(network)
    onnx.checker.check_model(lumping.quotient.model, full_check=True)
    assert lumping.compare(4).largest_difference <= tolerance
    return lumping


def test_names_inside_the_graphs_of_nodes_are_taken() -> None:
    graph = Graph()
    weights = graph.const(TWINS)
    h = graph.add("MatMul", graph.add("Relu", graph.add("MatMul", "x", weights)), graph.const(LAST))
    scalar = [
        helper.make_graph(
            [helper.make_node(op, [weights], [f"{weights}_{k}"], keepdims=0)],
            op,
            [],
            [helper.make_tensor_value_info(f"{weights}_{k}", 1, None)],
        )
        for k, op in enumerate(("ReduceSum", "ReduceMax"))
    ]
    test = graph.add("Greater", graph.add("ReduceSum", "x", keepdims=0), graph.const(0.0))
    choice = graph.add("If", test, then_branch=scalar[0], else_branch=scalar[1])
    network = graph.model([graph.add("Add", h, choice)], x=["N", 3])
    assert reduced(network).quotient.parameter_count <= network.parameter_count


def test_a_weight_that_callers_may_replace_is_no_constant() -> None:
    graph = Graph()
    scale = graph.const([0.0, 0, 1, 1])
    h = graph.add("Mul", graph.add("Relu", graph.add("MatMul", "x", graph.const(TWINS))), scale)
    model = graph.model([graph.add("MatMul", h, graph.const(LAST))], x=["N", 3]).model
    model.graph.input.append(helper.make_tensor_value_info(scale, 1, [4]))
    assert reduced(GraphNetwork(model)).is_unchanged
    model.ir_version = 3  # where all initializers are inputs, and constants
    assert not reduce_graph(GraphNetwork(model)).is_unchanged


def test_units_stay_whose_merged_weights_would_overflow() -> None:
    graph = Graph()
    h = graph.add("Relu", graph.add("MatMul", "x", graph.const(TWINS[:, [0, 0, 2]])))
    y = graph.add("MatMul", h, graph.const([[3e38], [3e38], [1]]))
    assert reduce_graph(graph.model([y], x=["N", 3])).kept.get("t0a", np.arange(3)).size == 3


def test_units_stay_that_are_read_backwards() -> None:
    graph = Graph()
    h = graph.add("Relu", graph.add("MatMul", "x", graph.const(TWINS)))
    picked = graph.add("Slice", h, *(graph.ints(k) for k in (2, -1000, 1, -2)))
    y = graph.add("MatMul", picked, graph.const(LAST[:2]))
    reduced(graph.model([y], x=["N", 3]))


def test_a_reduction_never_stores_more_weights() -> None:
    graph = Graph()
    weights = graph.const(TWINS)
    y = graph.add(
        "MatMul", graph.add("Relu", graph.add("MatMul", "x", weights)), graph.const(LAST[:, :1])
    )
    network = graph.model([y, weights], x=["N", 3])
    assert reduce_graph(network).quotient.parameter_count <= network.parameter_count


@pytest.mark.parametrize("op", ["Mul", "Pow"])
def test_factors_stay_of_bounded_length(op: str) -> None:
    graph = Graph()
    h = graph.add("Tanh", graph.add("MatMul", "x", graph.const(TWINS)))
    h = graph.add("Mul", h, graph.const([1 + 2.0**-23] * 4))
    many = graph.const(63.0)
    for _ in range(40 if op == "Mul" else 6):
        h = graph.add(op, h, h if op == "Mul" else many)
    assert reduce_graph(graph.model([h], x=["N", 3])).is_unchanged


def test_kernels_of_other_orientation_are_other_functions() -> None:
    graph = Graph()
    kernel = np.array([1.0, 2, 4]).reshape(1, 1, 3, 1)
    pair = [np.concatenate([k, k]) for k in (kernel, kernel.transpose(0, 1, 3, 2))]
    both = [graph.add("Conv", "x", graph.const(k), group=2, auto_pad="SAME_UPPER") for k in pair]
    y = graph.add("Conv", graph.add("Concat", *both, axis=1), graph.const(LAST.reshape(2, 4, 1, 1)))
    assert reduced(graph.model([y], x=["N", 2, 5, 7])).is_unchanged


def test_one_weight_in_other_groups_is_another_layer() -> None:
    graph = Graph()
    weights = graph.const(np.arange(1.0, 9).reshape(8, 1, 1, 1))
    half = graph.add("Slice", "x", *(graph.ints(k) for k in (0, 2, 1)))
    one = graph.add("Conv", half, weights, group=2)
    two = graph.add("Conv", "x", weights, group=4)
    last = graph.const(np.arange(1.0, 17).reshape(1, 16, 1, 1))
    y = graph.add("Conv", graph.add("Relu", graph.add("Concat", one, two, axis=1)), last)
    reduced(graph.model([y], x=["N", 4, 3, 3]))


def test_the_order_in_which_positions_are_told_apart_makes_no_difference() -> None:
    graph = Graph()
    wide = graph.add("Concat", "x", graph.const(np.arange(20.0).reshape(2, 5, 2)), axis=2)
    ones = [graph.const(np.ones((n, 4))) for n in (4, 2)]
    parts = [
        graph.add("Relu", graph.add("MatMul", x, w)) for x, w in zip((wide, "x"), ones, strict=True)
    ]
    y = graph.add("Add", *(graph.add("MatMul", part, graph.const(LAST)) for part in parts))
    assert reduced(graph.model([y], x=[2, 5, 2])).quotient.hidden_neurons == 2


@pytest.mark.parametrize(("dtype", "large"), [(np.float16, 6e4), (np.float32, 3e38)])
def test_what_keeps_units_whose_weights_would_overflow_names_the_remedy(
    dtype: type, large: float
) -> None:
    graph = Graph()
    first, last = (np.asarray(w, dtype) for w in (TWINS[:, [0, 0, 2]], [[large], [large], [1]]))
    h = graph.add("Relu", graph.add("MatMul", "x", graph.const(first, dtype)))
    model = graph.model([graph.add("MatMul", h, graph.const(last, dtype))], x=["N", 3]).model
    for end in (*model.graph.input, *model.graph.output):
        end.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    (reason,) = reduce_graph(GraphNetwork(model)).held
    assert f"more than {np.dtype(dtype)} can hold: divide them" in reason


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_layers_with_weights_that_are_no_numbers_are_refused(value: float) -> None:
    graph = Graph()
    weights = TWINS.copy()
    weights[1, 2] = value
    y = graph.add("MatMul", "x", graph.const(weights))
    with pytest.raises(InvalidNetwork, match=rf"holds {value} at index \[1, 2\]"):
        graph.model([y], x=["N", 3])


def test_a_constant_that_takes_the_type_of_a_tensor_holds_nothing() -> None:
    graph = Graph()
    h = graph.add("Relu", graph.add("MatMul", "x", graph.const(TWINS)))
    zero = graph.add("CastLike", graph.const(0.0, np.float64), h)
    h = graph.add("Max", h, zero)
    network = graph.model([graph.add("MatMul", h, graph.const(LAST))], x=["N", 3])
    assert reduced(network).kept["t0a"].size == 2


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("turned", [False, True])
def test_weights_of_eight_bits_stay_integers_when_units_leave(
    axis: int | None, turned: bool
) -> None:
    graph = Graph()
    first = np.array([[1, 0, 3, 1], [0, 0, -5, 0], [7, 0, 2, 7]], np.int8)  # a zero unit, and twins
    last = np.array([[50, 3], [9, 9], [1, -4], [50, 3]], np.int8)

    def stored(values: np.ndarray) -> str:
        values = values.T if turned else values
        count = 1 if axis is None else values.shape[axis]
        scale = graph.const(np.full(count, 0.5) if axis is not None else 0.5)
        zero = graph.const(np.zeros(count) if axis is not None else 0, np.int8)
        name = graph.const(values, np.int8)
        found = graph.add("DequantizeLinear", name, scale, zero, axis=axis or 0)
        return graph.add("Transpose", found) if turned else found

    h = graph.add("MatMul", "x", stored(first))
    one, zero = graph.const(0.25), graph.const(3, np.uint8)
    for op in ("QuantizeLinear", "DequantizeLinear"):
        h = graph.add(op, h, one, zero)
    network = graph.model([graph.add("MatMul", h, stored(last))], x=["N", 3])
    lumping = reduced(network, 0.0)
    assert next(iter(lumping.kept.values())).size == 2
    weights = [i for i in lumping.quotient.model.graph.initializer if len(i.dims) == 2]
    assert {i.data_type for i in weights} == {3}
    assert lumping.quotient.byte_count < network.byte_count
    assert not lumping.integers


def test_sums_that_are_no_integers_of_the_type_keep_the_units_and_are_reported() -> None:
    graph = Graph()
    scale = graph.const(0.5)
    first = graph.const([[1, 1, 3], [2, 2, -5]], np.int8)
    last = graph.const([[100, 3], [100, 9], [1, -4]], np.int8)
    weights = [graph.add("DequantizeLinear", name, scale) for name in (first, last)]
    h = graph.add("Relu", graph.add("MatMul", "x", weights[0]))
    lumping = reduced(graph.model([graph.add("MatMul", h, weights[1])], x=["N", 2]))
    assert lumping.is_unchanged
    assert lumping.integers
    assert not lumping.is_irreducible


@pytest.mark.parametrize(
    ("equations", "turned", "first"),
    [
        (("bti,ih->bth", "bth,ho->bto"), False, False),
        (("bti,hi->bth", "oh,bth->bto"), True, True),
        (("...i,ih->...h", "...h,ho->...o"), False, False),
        (("b t i, h i -> b t h", "b...h,oh->b...o"), True, False),
    ],
)
def test_sums_over_named_axes_are_layers(
    equations: tuple[str, str], turned: bool, first: bool
) -> None:
    graph = Graph()
    weights = [graph.const(w.T if turned else w) for w in (TWINS, LAST)]
    h = graph.add("Relu", graph.add("Einsum", "x", weights[0], equation=equations[0]))
    inputs = (weights[1], h) if first else (h, weights[1])
    y = graph.add("Einsum", *inputs, equation=equations[1])
    lumping = reduced(graph.model([y], x=["N", "T", 3]))
    assert lumping.kept["t0a"].size == 2


@pytest.mark.parametrize("equation", ["bti,ih->bht", "bti,it->bt", "bii,ih->bh", "bti,ih->h"])
def test_other_sums_over_named_axes_are_carried(equation: str) -> None:
    graph = Graph()
    h = graph.add("MatMul", "x", graph.const(TWINS[:, [0, 0, 2]]))
    y = graph.add("Einsum", h, graph.const(np.ones((3, 3))), equation=equation)
    assert reduced(graph.model([y], x=["N", 3, 3])).kept.get("t0a", np.arange(3)).size == 3


@pytest.mark.parametrize("between", [(), ("Identity",), ("Cast", "Identity")])
def test_a_node_that_measures_a_weight_does_not_keep_it(between: tuple[str, ...]) -> None:
    """Torch's exporter makes the bias of a convolution without one from the shape of its weights."""
    graph, random = Graph(), np.random.default_rng(3)
    first, last = random.normal(size=(8, 2, 3, 3)), random.normal(size=(4, 8, 3, 3))
    first[4:] = 0
    h = graph.add("Relu", graph.add("Conv", "x", graph.const(first), pads=[1] * 4))
    weight = measured = graph.const(last)
    for op in between:
        measured = graph.add(op, measured, **({"to": 1} if op == "Cast" else {}))
    width = graph.add("Slice", graph.add("Shape", measured), graph.ints(0), graph.ints(1))
    bias = graph.add("Expand", graph.const(0.0), width)
    lumping = reduced(graph.model([graph.add("Conv", h, weight, bias)], x=["N", 2, 5, 5]))
    assert lumping.quotient.parameter_count == 4 * 2 * 9 + 4 * 4 * 9 + 1
    names = {item.name for item in lumping.quotient.model.graph.initializer}
    assert (weight in names) == (not between)

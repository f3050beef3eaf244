"""States of Scan and Loop and both branches of If are lumped; what comes back is the file with other constants."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from lumpability.networks.graph.bodies import inlined, restored
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.reduce import GraphLumping, reduce_graph

pytest.importorskip("onnxruntime")
random = np.random.default_rng(7)


def kind(name: str, *shape: Any, of: int = 1) -> Any:
    return helper.make_tensor_value_info(name, of, list(shape))


def stored(**arrays: Any) -> list[Any]:
    return [numpy_helper.from_array(np.asarray(a, np.float32), name) for name, a in arrays.items()]


def cell(units: int, inputs: int, twins: bool = True) -> dict[str, np.ndarray]:
    """Weights of a recurrent cell whose second half of units does what the first does."""
    half = units // 2
    first = {"W": (inputs, half), "b": (half,)}
    found = {k: np.tile(random.normal(size=s), 2) for k, s in first.items()}
    u = random.normal(size=(units, half)) / units
    found["U"] = np.tile(u, 2)
    if not twins:
        found["U"][0, -1] += 1
    return found


def scan(
    weights: dict[str, np.ndarray],
    units: int,
    inputs: int,
    step: Any = None,
    start: Any = None,
    **given: Any,
) -> GraphNetwork:
    """x -> Scan over its first axis -> MatMul; the state and what is yielded are the same."""
    nodes = step or [
        helper.make_node("MatMul", ["e", "W"], ["p"]),
        helper.make_node("MatMul", ["h", "U"], ["q"]),
        helper.make_node("Sum", ["p", "q", "b"], ["r"]),
        helper.make_node("Tanh", ["r"], ["n"]),
        helper.make_node("Identity", ["n"], ["o"]),
    ]
    body = helper.make_graph(
        nodes,
        "body",
        [kind("h", 3, units), kind("e", 3, inputs)],
        [kind("n", 3, units), kind("o", 3, units)],
        stored(**weights),
        value_info=[kind("q", 3, units)] if step is None else [],
    )
    outer = stored(
        start=np.zeros((3, units)) if start is None else start, V=random.normal(size=(units, 2))
    )
    graph = helper.make_graph(
        [
            helper.make_node(
                "Scan", ["start", "x"], ["last", "all"], body=body, num_scan_inputs=1, **given
            ),
            helper.make_node("MatMul", ["all", "V"], ["y"]),
            helper.make_node("MatMul", ["last", "V"], ["z"]),
        ],
        "graph",
        [kind("x", *(["T", 3, inputs] if not given else [3, "T", inputs]))],
        [kind("y", None, None, 2), kind("z", 3, 2)],
        outer,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return GraphNetwork(model)


def reduced(network: GraphNetwork) -> GraphLumping:
    lumping = reduce_graph(network)
    onnx.checker.check_model(lumping.quotient.model, full_check=True)
    assert lumping.compare(6).largest_difference <= 1e-4
    assert lumping.certificate().verify()
    return lumping


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"scan_input_axes": [1], "scan_output_axes": [1]},
        {"scan_input_axes": [1], "scan_output_axes": [-2], "scan_input_directions": [1]},
    ],
)
def test_twin_states_of_a_scan_merge(given: Any) -> None:
    lumping = reduced(scan(cell(6, 4), 6, 4, **given))
    assert lumping.kept["last/body/h"].tolist() == [0, 1, 2]
    assert lumping.quotient.parameter_count == 4 * 3 + 3 * 3 + 3 + 3 * 3 + 3 * 2
    node = lumping.quotient.model.graph.node[0]
    body = next(item.g for item in node.attribute if item.name == "body")
    assert [i.name for i in body.initializer] == ["W", "b", "U"]
    assert [n.op_type for n in body.node] == ["MatMul", "MatMul", "Sum", "Tanh", "Identity"]
    assert [d.dim_value for d in body.value_info[0].type.tensor_type.shape.dim] == [3, 3]


def test_states_that_differ_after_many_steps_stay_apart() -> None:
    """Two chains of delays, one of which ends in a state that is fed back: no unrolling of few steps shows it."""
    length = 12
    weights = {
        "W": np.zeros((1, 2 * length)),
        "b": np.zeros(2 * length),
        "U": np.kron(np.eye(2), np.eye(length, k=1)),
    }
    weights["W"][0, [0, length]] = 1
    merged = reduced(scan(weights, 2 * length, 1))
    assert merged.kept["last/body/h"].tolist() == [*range(length)]
    weights["U"][2 * length - 1, 0] = 1
    assert reduced(scan(weights, 2 * length, 1)).is_unchanged


def test_states_that_differ_or_begin_apart_stay() -> None:
    one_apart = reduced(scan(cell(6, 4, twins=False), 6, 4))
    assert one_apart.kept["last/body/h"].tolist() == [0, 1, 2, 5]
    start = np.tile([[0.0, 0, 0, 1, 1, 1]], (3, 1))
    assert reduced(scan(cell(6, 4), 6, 4, start=start)).is_unchanged


def test_states_that_are_zero_at_every_step_leave() -> None:
    weights = cell(6, 4, twins=False)
    for name in weights:
        weights[name][..., 3:] = 0
    assert reduced(scan(weights, 6, 4)).kept["last/body/h"].tolist() == [0, 1, 2]


def test_gates_of_a_scan_lose_their_units() -> None:
    """h' = z h + (1 - z) tanh(W x + U h), z a gate: a unit leaves all of it."""
    first, second = cell(6, 4), cell(6, 4)
    weights = {**first, "Wz": second["W"], "Uz": second["U"], "one": np.ones(())}
    step = [
        helper.make_node("MatMul", ["e", "Wz"], ["pz"]),
        helper.make_node("MatMul", ["h", "Uz"], ["qz"]),
        helper.make_node("Add", ["pz", "qz"], ["rz"]),
        helper.make_node("Sigmoid", ["rz"], ["g"]),
        helper.make_node("MatMul", ["e", "W"], ["p"]),
        helper.make_node("MatMul", ["h", "U"], ["q"]),
        helper.make_node("Sum", ["p", "q", "b"], ["r"]),
        helper.make_node("Tanh", ["r"], ["c"]),
        helper.make_node("Sub", ["one", "g"], ["w"]),
        helper.make_node("Mul", ["g", "h"], ["zh"]),
        helper.make_node("Mul", ["w", "c"], ["wc"]),
        helper.make_node("Add", ["zh", "wc"], ["n"]),
        helper.make_node("Relu", ["n"], ["o"]),
    ]
    assert reduced(scan(weights, 6, 4, step)).kept["last/body/h"].tolist() == [0, 1, 2]


def loop(weights: dict[str, np.ndarray], stop: bool = False) -> GraphNetwork:
    """x -> MatMul -> Loop: h := tanh(h U + b) + input -> MatMul; it may stop when a state is large."""
    nodes = [
        helper.make_node("MatMul", ["h", "U"], ["q"]),
        helper.make_node("Sum", ["q", "b", "v"], ["r"]),
        helper.make_node("Tanh", ["r"], ["n"]),
        helper.make_node("Identity", ["again"], ["more"]),
    ]
    if stop:
        nodes[-1:] = [
            helper.make_node("ReduceMax", ["n"], ["top"], keepdims=0),
            helper.make_node("Less", ["top", "limit"], ["more"]),
        ]
    body = helper.make_graph(
        nodes,
        "body",
        [kind("i", of=7), kind("again", of=9), kind("h", "N", 6)],
        [kind("more", of=9), kind("n", "N", 6)],
        stored(U=weights["U"], b=weights["b"], limit=0.99),
    )
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "W"], ["v"]),
            helper.make_node("Loop", ["times", "", "v"], ["last"], body=body),
            helper.make_node("MatMul", ["last", "V"], ["y"]),
        ],
        "graph",
        [kind("x", "N", 4)],
        [kind("y", "N", 2)],
        [
            *stored(W=weights["W"], V=random.normal(size=(6, 2))),
            numpy_helper.from_array(np.array(5, np.int64), "times"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return GraphNetwork(model)


def test_twin_states_of_a_loop_merge() -> None:
    lumping = reduced(loop(cell(6, 4)))
    assert lumping.kept["last/body/h"].tolist() == [0, 1, 2]
    one_apart = reduced(loop(cell(6, 4, twins=False)))
    assert one_apart.kept["last/body/h"].tolist() == [0, 1, 2, 5]


def test_states_that_decide_when_a_loop_ends_stay() -> None:
    lumping = reduced(loop(cell(6, 4), stop=True))
    assert lumping.is_unchanged
    assert not lumping.is_irreducible


def branching(
    then: np.ndarray, other: np.ndarray, other_nodes: list[Any] | None = None
) -> GraphNetwork:
    """x -> MatMul -> Relu -> one of two layers, as the sum of x is positive or not -> MatMul."""
    make, wide = helper.make_node, then.shape[1]
    nodes = {
        "then": [make("MatMul", ["h", "A"], ["p"]), make("Relu", ["p"], ["a"])],
        "else": other_nodes or [make("MatMul", ["h", "B"], ["b"])],
    }
    weights = {"then": stored(A=then), "else": stored(B=other)}
    graphs = {
        f"{key}_branch": helper.make_graph(
            nodes[key], key, [], [kind(key[0].translate({116: "a", 101: "b"}), "N", wide)], own
        )
        for key, own in weights.items()
    }
    graph = helper.make_graph(
        [
            make("MatMul", ["x", "W"], ["z"]),
            make("Relu", ["z"], ["h"]),
            make("ReduceSum", ["x"], ["s"], keepdims=0),
            make("Greater", ["s", "zero"], ["c"]),
            make("If", ["c"], ["y"], **graphs),
            make("MatMul", ["y", "V"], ["out"]),
        ],
        "graph",
        [kind("x", "N", 3)],
        [kind("out", "N", 2)],
        stored(
            W=np.kron([1, 2], random.normal(size=(3, 4))),
            V=random.normal(size=(wide, 2)),
            zero=0.0,
        ),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return GraphNetwork(model)


def test_units_leave_both_branches_of_an_if_where_both_agree() -> None:
    first, second = (np.tile(random.normal(size=(8, 3)), 2) for _ in range(2))
    lumping = reduced(branching(first, second))
    assert {name: units.tolist() for name, units in lumping.kept.items()} == {
        "z": [0, 1, 2, 3],
        "y/then/p": [0, 1, 2],
        "y/else/b": [0, 1, 2],
        "out": [0, 1],
    }
    assert lumping.quotient.parameter_count == 3 * 4 + 2 * 4 * 3 + 3 * 2 + 1
    inner = {
        item.name: [numpy_helper.to_array(one).shape for one in item.g.initializer]
        for item in lumping.quotient.model.graph.node[4].attribute
    }
    assert inner == {"then_branch": [(4, 3)], "else_branch": [(4, 3)]}
    second[0, -1] += 1
    assert reduced(branching(first, second)).kept["y/then/p"].tolist() == [0, 1, 2, 5]


def test_factors_of_units_pass_an_if_where_they_are_the_same_in_both_branches() -> None:
    first = np.tile(random.normal(size=(8, 3)), 2) * [1, 1, 1, 2, 2, 2]
    assert reduced(branching(first, 3 * first)).kept["y/else/b"].size == 3
    assert reduced(branching(first, np.tile(first[:, :3], 2))).kept["y/else/b"].size == 6


def test_a_constant_that_two_nodes_of_a_branch_read_is_cloned_inside_it() -> None:
    make, weights = helper.make_node, random.normal(size=(8, 8))
    nodes = [
        make("MatMul", ["h", "B"], ["q"]),
        make("Relu", ["q"], ["r"]),
        make("MatMul", ["r", "B"], ["b"]),
    ]
    lumping = reduced(branching(np.tile(weights[:, :4], 2), np.tile(weights[:, :4], 2), nodes))
    assert lumping.quotient.parameter_count < lumping.network.parameter_count
    assert reduced(lumping.quotient).is_unchanged


def test_a_branch_that_yields_a_constant_is_carried() -> None:
    weights = np.tile(random.normal(size=(8, 3)), 2)
    lumping = reduced(branching(weights, weights, [helper.make_node("Neg", ["B"], ["b"])]))
    assert {name for name in lumping.held if "yields a constant" in name}
    assert lumping.kept["y/then/p"].size == 6


def test_a_graph_comes_back_from_its_bodies_as_it_was() -> None:
    three = (scan(cell(6, 4), 6, 4), loop(cell(6, 4)), branching(np.eye(8), np.eye(8)))
    for model in (network.model for network in three):
        flat = inlined(model)
        assert not {"Scan", "Loop"} & {node.op_type for node in flat.graph.node}
        assert all(item.type != 5 for node in flat.graph.node for item in node.attribute)
        assert restored(flat, model) == model
        assert restored(flat, model).SerializeToString() == model.SerializeToString()


def test_a_body_that_was_changed_is_not_proved() -> None:
    lumping = reduce_graph(scan(cell(6, 4), 6, 4))
    for change in ("W", "U", "b"):
        model = onnx.ModelProto()
        model.CopyFrom(lumping.quotient.model)
        body = next(item.g for item in model.graph.node[0].attribute if item.name == "body")
        (item,) = [i for i in body.initializer if i.name == change]
        array = numpy_helper.to_array(item).copy()
        array.flat[0] += 1
        item.CopyFrom(numpy_helper.from_array(array, change))
        changed = GraphNetwork(model)
        claim = lumping.certificate()
        object.__setattr__(claim, "reduced", changed.digest)
        assert not claim.verify(lumping.network, changed)
    model.CopyFrom(lumping.quotient.model)
    node = model.graph.node[0]
    node.attribute.append(helper.make_attribute("scan_input_directions", [1]))
    changed = GraphNetwork(model)
    claim = lumping.certificate()
    object.__setattr__(claim, "reduced", changed.digest)
    assert not claim.verify(lumping.network, changed)


def test_local_functions_are_written_out_if_units_leave_them_and_carried_otherwise() -> None:
    make, opset = helper.make_node, helper.make_opsetid
    nodes = [make("MatMul", ["a", "w"], ["p"]), make("Relu", ["p"], ["b"])]
    function = helper.make_function("own", "Dense", ["a", "w"], ["b"], nodes, [opset("", 18)])
    for weight, left in (
        (np.tile(random.normal(size=(3, 4)), 2), 4),
        (random.normal(size=(3, 8)), 8),
    ):
        graph = helper.make_graph(
            [
                make("Dense", ["x", "W"], ["t"], domain="own"),
                make("Dense", ["t", "V"], ["y"], domain="own"),
            ],
            "graph",
            [kind("x", "N", 3)],
            [kind("y", "N", 2)],
            stored(W=weight, V=random.normal(size=(8, 2))),
        )
        model = helper.make_model(
            graph,
            functions=[function],
            opset_imports=[opset("", 18), opset("own", 1)],
            ir_version=8,
        )
        lumping = reduced(GraphNetwork(model))
        assert lumping.quotient.parameter_count == 5 * left
        assert lumping.is_unchanged == (left == 8)
        assert ("written out" in lumping.result) == (left == 4)


def test_a_scan_over_a_constant_is_carried() -> None:
    network = scan(cell(6, 4), 6, 4)
    model = network.model
    del model.graph.input[:]
    model.graph.initializer.append(numpy_helper.from_array(np.ones((5, 3, 4), np.float32), "x"))
    assert reduce_graph(GraphNetwork(model)).quotient is not None

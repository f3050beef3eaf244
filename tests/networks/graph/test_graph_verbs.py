"""`check`, `explain`, `partition` and the reports of graphs: what readers read decides, and what is held is said."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from graph_builder import Graph

from lumpability import Certificate, Network, check, lump, read
from lumpability.errors import FormatError, InvalidInput, InvalidPartition
from lumpability.formats import write
from lumpability.networks.graph.certificate import GraphCertificate
from lumpability.networks.graph.examples import residual
from lumpability.networks.graph.layers import Held
from lumpability.networks.graph.network import GraphNetwork


def normed() -> Any:
    """Return a network whose second layer feeds a norm over its units."""
    random, graph = np.random.default_rng(0), Graph()
    first = random.normal(size=(3, 4)).astype(np.float32)
    hidden = graph.add("Relu", graph.add("MatMul", "x", graph.const(np.c_[first, first])))
    wide = graph.add("MatMul", hidden, graph.const(random.normal(size=(8, 5)).astype(np.float32)))
    one = graph.const(np.ones(5, np.float32))
    normal = graph.add("LayerNormalization", wide, one, graph.const(np.zeros(5, np.float32)))
    last = graph.const(random.normal(size=(5, 2)).astype(np.float32))
    return graph.model([graph.add("MatMul", normal, last)], x=["N", 3])


def test_the_coarsest_partition_is_a_lumping_and_no_two_of_its_classes_can_be_joined() -> None:
    network = residual()
    partition = lump(network).partition
    assert check(network, partition)
    blocks = [block.tolist() for block in partition.blocks]
    for k in range(len(blocks)):
        for other in range(k):
            if (blocks[k][0] < 8) == (blocks[other][0] < 8) and blocks[k][0] < 16:
                rest = [b for place, b in enumerate(blocks) if place not in (k, other)]
                if blocks[other][0] < 16 and blocks[k][0] // 8 == blocks[other][0] // 8:
                    assert not check(network, [*rest, blocks[k] + blocks[other]])


def test_a_partition_may_name_layers_by_their_outputs_and_the_witness_shows_the_sums() -> None:
    network = residual()
    pairs = [{k, k + 4} for k in range(4)]
    assert check(network, {"a": pairs})
    assert check(network, {0: pairs, "b": pairs})
    assert not check(network, {"a": pairs}, kind="exact")
    verdict = check(network, {"b": [{0, 1}, *({k} for k in range(2, 8))]})
    assert not verdict
    assert "b:0 and b:1" in verdict.text
    assert verdict.witness.total * verdict.witness.factor != verdict.witness.other_total
    with pytest.raises(InvalidPartition, match="no layer 'c'"):
        check(network, {"c": pairs})
    with pytest.raises(InvalidInput, match="unknown kind"):
        check(network, {"a": pairs}, kind="strict")


def test_an_explanation_gives_the_factor_the_weights_that_differ_or_what_holds_a_unit() -> None:
    lumping = lump(residual())
    together = lumping.explain("a:0", "a:4")
    assert together.together
    assert together.factor == 2
    apart = lumping.explain("a:0", "0:1")
    assert not apart.together
    assert not apart.entries[-1].agrees
    assert lumping.explain("a:0", "b:4").reason == "layers"
    assert "output of the network" in lumping.explain("y:0", "y:1").claim
    assert "LayerNormalization" in lump(normed()).explain("1:0", "1:1").claim
    with pytest.raises(InvalidInput, match=r"no unit 'a:8'.*a \(0 to 7\)"):
        lumping.explain("a:8", "a:0")


def test_what_is_held_is_counted_with_its_parameters_and_the_node_that_needs_it() -> None:
    network = normed()
    ((reason, held),) = network.held.items()
    assert reason.startswith("LayerNormalization ")
    assert reason.endswith("works along its units")
    assert held == Held(units=5, parameters=40)
    lumping = lump(network)
    assert lumping.held == network.held
    assert not lumping.is_irreducible
    assert lumping.quotient.hidden_neurons == 4 + 5


def test_layers_whose_units_leave_together_name_each_other() -> None:
    first, second, _ = residual().layers
    assert first.coupled == ("b",)
    assert second.coupled == ("a",)
    assert (first.units, first.classes, first.zero) == (8, 2, 0)


def test_a_node_that_is_carried_says_why() -> None:
    graph = Graph()
    hidden = graph.add("MatMul", "x", graph.const(np.ones((4, 4))))
    joined = graph.add("Reshape", hidden, graph.ints(-1, 2))
    network = graph.model([graph.add("CumSum", joined, graph.const(0, np.int64))], x=["N", 4])
    reason = "CumSum 'n2' uses an axis of free size that is joined with units"
    assert list(network.held) == [reason]


def test_aligned_widths_are_multiples_or_as_they_were_and_the_function_stays() -> None:
    lumping = lump(residual(), align=3)
    left = {layer.output: layer.left for layer in lumping.table}
    assert left["a"] == 6
    assert lump(residual(), align=16).is_unchanged
    assert lumping.compare(4).largest_difference < 1e-5
    assert lumping.certificate().verify()
    with pytest.raises(InvalidInput, match="align is a positive number"):
        lump(residual(), align=0)
    dense = Network.dense([([[1, 1]], None, "relu"), ([[1], [1]], None, None)])
    with pytest.raises(InvalidInput, match="align is for networks as graphs"):
        lump(dense, align=4)


def test_the_latency_of_both_networks_is_measured_on_request() -> None:
    took = lump(residual()).latency(runs=3)
    assert min(took.before, took.after) > 0
    assert "medians of 3 runs" in str(took)


def test_networks_that_take_a_single_number_are_compared() -> None:
    graph = Graph()
    h = graph.add("Relu", graph.add("Mul", "x", graph.const([[1.0, 1.0]])))
    network = graph.model([graph.add("MatMul", h, graph.const([[1.0], [2.0]]))], x=[])
    assert lump(network).compare(3).points == 3


def test_a_certificate_of_graphs_with_other_nodes_is_rejected() -> None:
    lumping = lump(residual())
    model = onnx.ModelProto()
    model.CopyFrom(lumping.quotient.model)
    node = next(node for node in model.graph.node if node.op_type == "MatMul")
    node.input[:] = reversed(node.input)
    other = GraphNetwork(model)
    certificate = replace(lumping.certificate(), reduced=other.digest)
    assert not certificate.verify(reduced=other)


def test_certificates_of_graphs_take_networks_that_layers_describe(tmp_path: Path) -> None:
    path, small = tmp_path / "net.onnx", tmp_path / "small.onnx"
    write(residual(), path)
    network = read(path)
    lumping = lump(network)
    lumping.certificate().write(tmp_path / "claim.json")
    write(lumping.quotient, small)
    claim = GraphCertificate.read(tmp_path / "claim.json")
    assert claim.verify(network, read(small))
    for garbage in ("", "nolayer"):
        other = replace(claim, kept={**claim.kept, garbage: np.array([0])})
        assert "no node" in other.verify(network, read(small)).text
    with pytest.raises(FormatError, match=r"graph\.certificate\.GraphCertificate\.read"):
        Certificate.read(tmp_path / "claim.json")
    layers = Network.dense([([[1]], None, None)])
    with pytest.raises(InvalidInput, match="read the network from its ONNX file"):
        claim.verify(layers, layers)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_of_a_network_know_the_graph_that_it_was_read_from(
    tmp_path: Path, copied: Callable[[Any], Any]
) -> None:
    (tmp_path / "net.onnx").write_bytes(residual().to_bytes())
    network = read(tmp_path / "net.onnx")
    lumping = lump(copied(network))
    assert repr(lumping) == repr(lump(network))
    again = copied(lumping)
    assert again.quotient.to_bytes() == lumping.quotient.to_bytes()
    assert again.certificate().verify()
    assert copied(lump(lumping.quotient)).is_unchanged


def test_operators_on_integers_name_the_remedy() -> None:
    graph = Graph()
    weights = graph.const(np.ones((4, 2)), np.int8)
    narrow, scale, zero = graph.add("DynamicQuantizeLinear", "x", outputs=3)
    product = graph.add("MatMulInteger", narrow, weights, zero)
    y = graph.add("Mul", graph.add("Cast", product, to=1), scale)
    (reason,) = lump(graph.model([y], x=["N", 4])).held
    assert "lump the float model first, then quantise" in reason

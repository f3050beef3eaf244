"""Each pruning method is explained as the relaxed lumping that it is, and its difference certified."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from random_networks import FEWER, box, dense, perturbed, point

from lumpability import Box, Network, explain_pruning, lump
from lumpability.errors import InvalidInput
from lumpability.networks.difference import affine_layers, ranges
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.layers import Dense
from lumpability.networks.relaxed.certificate import RegionCertificate

REGION = Box([-1] * 4, [1] * 4)


def network(seed: int = 0) -> Network:
    return dense(np.random.default_rng(seed), [4, 12, 10, 3])


def changed(original: Network, number: int, **parts: Any) -> Network:
    layers = list(original.layers)
    layers[number] = replace(layers[number], **parts)  # type: ignore[type-var]
    return replace(original, layers=tuple(layers))


def weights(original: Network, number: int) -> Any:
    layer = original.layers[number]
    assert isinstance(layer, Dense)
    return layer.weight


def without(original: Network, unit: int, *, into_bias: float = 0.0) -> Network:
    """Remove a neuron of the first layer."""
    first, relu, second, *rest = original.layers
    assert isinstance(first, Dense)
    assert isinstance(second, Dense)
    assert first.bias is not None
    assert second.bias is not None
    smaller = (
        Dense(np.delete(first.weight, unit, 1), np.delete(first.bias, unit)),
        relu,
        Dense(np.delete(second.weight, unit, 0), second.bias + into_bias * second.weight[unit]),
        *rest,
    )
    return replace(original, layers=smaller)


def test_magnitude_pruning_zeroes_weights() -> None:
    full = network()
    weight = weights(full, 2)
    cut = np.where(np.abs(weight) < 0.5, 0, weight)
    found = explain_pruning(full, changed(full, 2, weight=cut), region=REGION)
    assert found.layers[1].zeroed == int((np.abs(weight) < 0.5).sum())
    assert "weights set to zero" in found.layers[1].method
    assert found.layers[0].method == "unchanged"
    assert found.layers[0].counts == {"kept": 12}
    assert found.bound > 0


def test_a_removed_neuron_is_a_constant_and_named() -> None:
    full = network()
    found = explain_pruning(full, without(full, 5), region=REGION)
    assert [one.unit for one in found.layers[0].neurons if one.became != "kept"] == [5]
    assert found.layers[0].left == 11


def test_compensated_biases_halve_the_difference() -> None:
    full = network(3)
    layer = full.layers[0]
    assert isinstance(layer, Dense)
    assert layer.bias is not None
    top = float(np.abs(layer.weight[:, 5]).sum() + layer.bias[5])
    plain, better = (
        explain_pruning(full, without(full, 5, into_bias=by), region=REGION)
        for by in (0.0, max(top, 0.0) / 2)
    )
    assert better.bound < plain.bound


def test_merged_neurons_have_their_factor() -> None:
    full = network()
    weight = weights(full, 0).copy()
    weight[:, 3] = 2 * weight[:, 7]
    layer = full.layers[0]
    assert isinstance(layer, Dense)
    assert layer.bias is not None
    bias = layer.bias.copy()
    bias[3] = 2 * bias[7]
    full = changed(full, 0, weight=weight, bias=bias)
    found = explain_pruning(full, lump(full).quotient, region=REGION)
    merged = {one.unit: one.factor for one in found.layers[0].neurons if one.became == "merged"}
    assert merged.keys() == {3, 7}
    assert merged[3] / merged[7] == 2
    assert found.bound < 1e-12  # sums of doubles were rounded
    assert "neurons merged, with factors" in found.layers[0].method


def _rank_two(weight: Any) -> Any:
    u, s, v = np.linalg.svd(weight, full_matrices=False)
    return (u[:, :2] * s[:2]) @ v[:2]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda w: w.astype(np.float16).astype(np.float64), "rounded to half precision"),
        (lambda w: w.astype(np.float32).astype(np.float64), "rounded to single precision"),
        (lambda w: np.round(w * 4) / 4, "quantised to"),
        (lambda w: w * 1.01, "weights changed"),
        (_rank_two, "weights of rank 2"),
    ],
)
def test_changes_of_weights_are_told(change: Any, told: str) -> None:
    full = network()
    found = explain_pruning(full, changed(full, 2, weight=change(weights(full, 2))), region=REGION)
    assert told in found.layers[1].method
    if "quantised" in told:
        assert found.layers[1].values < found.layers[1].values_before


@FEWER
@given(st.integers(0, 2**32), st.sampled_from(["zeros", "biases", "middles"]))
def test_a_mask_that_was_lumped_away_is_explained_by_layer(seed: int, mask: str) -> None:
    random = np.random.default_rng(seed)
    full = dense(random, [4, 12, 10, 3])
    region = Box([0] * 4, [1] * 4)
    masked, gone = full, []
    for number, kept in ((0, 7), (2, 6)):
        layer = masked.layers[number]
        assert isinstance(layer, Dense)
        assert layer.bias is not None
        weight, bias = layer.weight.copy(), layer.bias.copy()
        cut = random.permutation(len(bias))[kept:]
        low, high = ranges(affine_layers(masked), region).post(number // 2 + 1)
        weight[:, cut] = 0
        if mask != "biases":
            bias[cut] = 0 if mask == "zeros" else ((low + high) / 2)[cut]
        masked = changed(masked, number, weight=weight, bias=bias)
        gone.append(sorted(cut.tolist()))
    found = explain_pruning(full, lump(masked).quotient, region=region)
    for layer, cut in zip(found.layers, gone, strict=False):
        assert [one.unit for one in layer.neurons if one.became in ("dropped", "constant")] == cut
        assert layer.counts["kept"] == layer.units - len(cut)
        assert layer.residual < 1e-12
        if mask == "zeros":
            assert layer.counts["dropped"] == len(cut)


def test_masked_neurons_are_dropped() -> None:
    full = network()
    weight = weights(full, 2).copy()
    weight[4] = 0  # nothing reads neuron 4 of the first layer
    found = explain_pruning(full, changed(full, 2, weight=weight), region=REGION)
    assert [one.unit for one in found.layers[0].neurons if one.became == "dropped"] == [4]


@FEWER
@given(st.integers(0, 2**32), st.booleans())
def test_the_bound_holds_at_every_point(seed: int, remove: bool) -> None:
    random = np.random.default_rng(seed)
    full = dense(random, [2, 5, 4, 2])
    less = without(full, int(random.integers(0, 5))) if remove else perturbed(random, full, 0.05)
    region = box(random, 2)
    found = explain_pruning(full, less, region=region)
    assert found.certificate.verify()
    for _ in range(3):
        x = point(random, region)
        assert max(map(abs, (full.exact(x) - less.exact(x)).tolist())) <= found.bound


def test_it_is_data_and_a_page() -> None:
    full = network()
    found = explain_pruning(full, without(full, 1))
    data = json.loads(json.dumps(found.to_json()))
    assert data["layers"][0]["counts"]["kept"] == 11
    assert "times the largest input" in data["meaning"]
    page = found.to_html()
    assert page.startswith("<!doctype html>")
    assert "neuron 1" in page


def _skipping(weight: Any, bias: Any, last: Any) -> GraphNetwork:
    """A graph that reads its input twice: relu(x W + b), with x beside it, times the last matrix."""
    tensor, kind = numpy_helper.from_array, helper.make_tensor_value_info
    nodes = [
        helper.make_node("Gemm", ["x", "W", "b"], ["z"]),
        helper.make_node("Relu", ["z"], ["h"]),
        helper.make_node("Concat", ["h", "x"], ["both"], axis=1),
        helper.make_node("MatMul", ["both", "V"], ["y"]),
    ]
    stored = [
        tensor(np.asarray(value, np.float32), name)
        for name, value in (("W", weight), ("b", bias), ("V", last))
    ]
    ends = kind("x", 1, ["N", len(weight)]), kind("y", 1, ["N", last.shape[1]])
    graph = helper.make_graph(nodes, "skip", [ends[0]], [ends[1]], stored)
    opset = helper.make_opsetid("", 18)
    return GraphNetwork(helper.make_model(graph, opset_imports=[opset], ir_version=8))


def test_a_pruned_graph_is_explained_by_its_nodes(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    weight, bias, last = (np.round(random.normal(size=s) * 8) / 8 for s in [(4, 6), 6, (10, 3)])
    fewer = weight[:, [0, 1, 2, 4, 5]]
    fewer[0, 0] = 0
    full = _skipping(weight, bias, last)
    less = _skipping(fewer, bias[[0, 1, 2, 4, 5]], np.delete(last, 3, axis=0))
    found = explain_pruning(full, less, region=Box([-1] * 4, [1] * 4))
    assert [(one.name, one.units, one.left) for one in found.layers] == [("z", 6, 5), ("y", 3, 3)]
    assert found.layers[0].zeroed == 1
    assert found.layers[0].neurons[3].became == "dropped"
    x = random.uniform(-1, 1, size=(1000, 4)).astype(np.float32)
    assert np.abs(full(x) - less(x)).max() <= found.bound
    found.certificate.write(tmp_path / "proof.json")
    claim = RegionCertificate.read(tmp_path / "proof.json")
    assert claim.verify(full, less)
    other = claim.verify(full, full).rejection
    assert other is not None
    assert other.field == "digest"
    tighter = replace(claim, bound=claim.bound - Fraction(1, 10**9)).verify(full, less).rejection
    assert tighter is not None
    assert tighter.field == "bound"


def test_networks_that_do_not_fit_are_refused() -> None:
    full = network()
    with pytest.raises(InvalidInput, match="for networks, not for a str"):
        explain_pruning(full, "pruned.onnx")  # type: ignore[arg-type]
    other = dense(np.random.default_rng(0), [4, 5, 3])
    with pytest.raises(InvalidInput, match="3 and 2 layers"):
        explain_pruning(full, other, region=REGION)
    with pytest.raises(InvalidInput, match="inputs and outputs"):
        explain_pruning(full, dense(np.random.default_rng(0), [3, 5, 5, 3]))

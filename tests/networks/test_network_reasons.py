"""Explanations of networks: true, told with exact numbers, and in agreement with the lumping."""

from __future__ import annotations

import json
import time
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import NETWORKS, dense, integers, lumped

from lumpability import lump, read
from lumpability.errors import InvalidInput
from lumpability.networks import Network, NetworkLumping
from lumpability.networks.elementwise import Activate, Shift
from lumpability.networks.explanation import REASONS, ColumnEntry, NetworkExplanation
from lumpability.networks.layers import Dense

SHARED = Path(__file__).parents[3] / "shared" / "networks"


def pairs(lumping: NetworkLumping) -> list[tuple[int, int, int, bool]]:
    """All pairs of neurons of one layer: its stage, the two, and whether they share a class."""
    return [
        (number, a, b, bool(one.partition.labels[a] == one.partition.labels[b]))
        for number, one in enumerate(lumping.stages)
        for a in range(one.stage.units)
        for b in range(one.stage.units)
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_explanations_agree_with_the_lumping_and_their_numbers_with_the_verdict(name: str) -> None:
    lumping = lumped(name)
    for number, a, b, together in pairs(lumping):
        one = lumping.stages[number]
        found = lumping.explain((one.stage.position, a), f"{one.stage.position}:{b}")
        assert found.together == together
        assert (found.reason in {"same", "multiples"}) == together
        assert all(entry.agrees for entry in found.entries[:-1])
        if found.reason == "multiples":
            assert all(entry.agrees for entry in found.entries)
            assert found.factor == one.factors[b] / one.factors[a]
            for entry in found.entries:
                assert entry.second == found.factor * entry.first
        if found.reason == "columns":
            assert not found.entries[-1].agrees
        shown = len(found.entries) + found.equal + found.unseen
        assert shown in {0, one.summed.classes + 1}


@pytest.mark.parametrize(
    "name", ["reflected", "constant", "dead", "convolution", "shift", "layers"]
)
def test_explanations_follow_the_published_schema(name: str) -> None:
    jsonschema: Any = pytest.importorskip("jsonschema")
    file = resources.files("lumpability").joinpath("schemas", "network-explanation.schema.json")
    validator = jsonschema.Draft202012Validator(json.loads(file.read_text()))
    lumping = lumped(name)
    assert set(validator.schema["properties"]["reason"]["enum"]) == set(REASONS)
    for number, a, b, _ in pairs(lumping):
        position = lumping.stages[number].stage.position
        validator.validate(lumping.explain((position, a), (position, b)).to_json())


def test_rows_of_merged_neurons_are_shown_as_sums() -> None:
    lumping = lumped("layers")
    one, two = lumping.stages[0], lumping.stages[1]
    block = next(block for block in two.partition.blocks if len(block) > 1).tolist()
    found = lumping.explain(
        (two.stage.position, block[0]), (two.stage.position, block[1]), limit=99
    )
    below = {
        tuple(f"{one.stage.position}:{unit}" for unit in members.tolist())
        for members in one.partition.blocks
    }
    assert {entry.sources for entry in found.entries} <= below | {()}
    layer = two.stage.layer
    assert isinstance(layer, Dense)
    entry = found.entries[0]
    rows = [int(source.partition(":")[2]) for source in entry.sources]
    exact = [Fraction(float(layer.weight[row, block[0]])) for row in rows]
    assert entry.first == sum(w * f for w, f in zip(exact, entry.factors, strict=True))


def test_every_reason_is_told() -> None:
    relu = Network.dense(
        [([[1, 2, -1, 0, 1], [1, 2, -1, 0, 2]], [1, 2, -1, 3, 1], "relu"), (np.eye(5), None, None)]
    )
    lumping = lump(relu)
    shifted = dense(Shift(np.array([1.0, 3.0, 5.0, 6.0])), Activate("relu"))
    told = {
        "same": lumping.explain("0:1", "0:1"),
        "multiples": lumping.explain("0:0", "0:1"),
        "layers": lumping.explain("0:0", "2:0"),
        "held": lumping.explain("2:0", "2:1"),
        "within": lump(relu, within={0: [0, 1, 0, 0, 0]}).explain("0:0", "0:1"),
        "constant": lumping.explain("0:0", "0:3"),
        "columns": lumping.explain("0:0", "0:4"),
        "factor": lumping.explain("0:0", "0:2"),
        "function": lump(shifted).explain("0:0", "0:2"),
    }
    assert {code: found.reason for code, found in told.items()} == {code: code for code in REASONS}
    assert told["multiples"].factor == 2
    assert told["factor"].factor == -1
    assert "but relu admits positive factors" in told["factor"].claim
    assert told["function"].claim == (
        "0:0 and 0:2 are apart: their columns are multiples by 2, but layer 1 (Shift) treats them differently"
    )
    (note,) = told["constant"].notes
    assert note == (
        "0:3 is constant: its aggregated weights are zero and its bias is 3, so its output is 3 for every "
        "input, which is folded into the next bias"
    )
    assert "the layer stays as it is (output)" in told["held"].text


def test_dead_and_reflected_neurons_are_told() -> None:
    assert "0:0 is dead" in str(lumped("dead").explain("0:0", "0:1"))
    found = lumped("reflected").explain("0:0", "0:3")
    assert found.factor == -2
    assert "admits both signs by a skip: act(-x) = act(x) - 5/4 x" in found.claim


def test_an_exact_lumping_says_that_it_admits_equal_columns_only() -> None:
    found = lump(NETWORKS["relu"], kind="exact").explain("0:0", "0:2")
    assert (found.together, found.reason, found.factor) == (False, "factor", 2)
    assert "an exact lumping admits equal columns only" in found.text


@pytest.mark.parametrize(
    ("neuron", "words"),
    [
        ("0", "names no neuron"),
        ("a:b", "names no neuron"),
        ((0, 1, 2), "names no neuron"),
        ("1:0", "layer 1 has no weights: layers with weights are 0, 2"),
        ("0:4", "layer 0 has neurons 0 .. 3, not 4"),
        ((0, -1), "layer 0 has neurons"),
    ],
)
def test_neurons_that_are_not_there_are_refused(neuron: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        lumped("relu").explain(neuron, "0:0")


def test_pages_escape_what_they_show() -> None:
    one = Fraction(1)
    entry = ColumnEntry(("<script>",), (one,), one, one, one, 2 * one)
    found = NetworkExplanation(
        "exact", ("a&b", "c"), False, "columns", "<b>", entries=(entry,), notes=('"x"',)
    )
    page = found.to_html()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "a&amp;b" in page
    assert "≠ 2" in page


def test_convolutions_and_flattened_channels_name_the_position() -> None:
    lumping = lumped("convolution")
    assert lumping.explain("0:0", "0:1").entries[0].sources == ("input 0[0]",)
    network = NETWORKS["convolution"]
    last = lump(
        Network(
            (*network.layers, Activate("relu"), Dense(integers(2, 1))), (None, 1, 6), np.float64
        )
    )
    position = last.stages[1].stage.position
    sources = last.explain((position, 0), (position, 1)).entries[0].sources
    assert sources == ("0:0[0]", "0:2[0]")


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no networks in {SHARED}")
def test_a_lattice_network_is_explained_in_less_than_a_second() -> None:
    pytest.importorskip("onnx")
    lumping = lump(read(next(SHARED.glob("tll/*N=M=32*"))))
    started = time.perf_counter()
    count = 0
    for one in lumping.stages[:-1]:
        for other in (1, one.stage.units - 1):
            assert lumping.explain((one.stage.position, 0), (one.stage.position, other)).text
            count += 1
    assert time.perf_counter() - started < count

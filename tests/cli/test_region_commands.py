"""lump --region and verify: sizes, bound, files; every mistake is one line and exit code 3."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumpability import Network, formats, lump, read
from lumpability.networks.regions import Box

pytest.importorskip("onnx")
Run = Callable[..., Any]

VNNLIB = "(declare-const X_0 Real) (assert (<= X_0 2.0)) (assert (>= X_0 0.0))"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A network, and a box on which one of its three units is zero and one linear."""
    layers = [([[1, 1, 1]], [0, -3, -1], "relu"), ([[1], [1], [0.3]], [0], None)]
    formats.write(Network.dense(layers, dtype=np.float32), tmp_path / "net.onnx")
    (tmp_path / "box.vnnlib").write_text(VNNLIB)
    Box([0], [2]).write(tmp_path / "box.json")
    return tmp_path


def test_lumping_on_a_region_is_written_certified_and_verified(run: Run, files: Path) -> None:
    asked = (
        "lump",
        "net.onnx",
        "--box",
        "box.vnnlib",
        "-o",
        "small.onnx",
        "--certificate",
        "c.json",
    )
    result = run(*asked, "--compare", "5")
    assert result.exit_code == 0, result.output
    assert "on the region no output differs at all" in result.stdout
    assert read("small.onnx").hidden_neurons == 2
    verified = run("verify", "c.json", "net.onnx", "--quotient", "small.onnx")
    assert verified.exit_code == 0, verified.output
    assert "no output differs at all" in verified.stdout
    refused = run("verify", "c.json", "net.onnx", "--quotient", "net.onnx")
    assert refused.exit_code == 1
    missing = run("verify", "c.json", "net.onnx")
    assert missing.exit_code == 2
    assert "--quotient" in missing.stderr


def test_json_and_python_agree(run: Run, files: Path) -> None:
    found = run("lump", "net.onnx", "--region", "box.json", "--boxes", "2", "--json").document
    assert found["lumping"]["bound"] == "0"
    assert found["lumping"]["region"] == {"low": ["0"], "high": ["2"]}
    again = lump(read("net.onnx"), region=Box.read("box.json"), boxes=2)
    assert found["lumping"]["after"]["hidden_neurons"] == again.quotient.hidden_neurons
    assert found["lumping"]["layers"][0]["inactive"] == 1


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"low": [2], "high": [1]}', "the box is empty"),
        ('{"low": [NaN], "high": [1]}', "NaN"),
        ('{"low": [0, 0], "high": [1, 1]}', "2 inputs, but the network has 1"),
        ("[]", "no box"),
    ],
)
def test_bad_boxes_are_refused_in_one_line(run: Run, files: Path, text: str, word: str) -> None:
    (files / "bad.json").write_text(text)
    run("lump", "net.onnx", "--region", "bad.json").assert_refused(word)


def test_a_vnnlib_file_that_is_no_box_and_a_missing_file_are_refused(run: Run, files: Path) -> None:
    (files / "or.vnnlib").write_text(f"{VNNLIB} (assert (or (<= X_0 0) (>= X_0 1)))")
    run("lump", "net.onnx", "--region", "or.vnnlib").assert_refused("holds 2 boxes")
    run("lump", "net.onnx", "--region", "none.json").assert_refused("none.json")


def test_layers_that_are_not_covered_are_named(run: Run, files: Path) -> None:
    formats.write(Network.dense([([[1]], None, "abs"), ([[1]], None, None)]), "t.onnx")
    run("lump", "t.onnx", "--region", "box.json").assert_refused("abs")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--html", "x.html"], "leave --region out"),
        (["--partition", "p.json"], "leave --region out"),
    ],
)
def test_pages_and_partitions_are_for_all_inputs(
    run: Run, files: Path, options: list[str], word: str
) -> None:
    result = run("lump", "net.onnx", "--region", "box.json", *options)
    assert result.exit_code == 2
    assert word in result.stderr


def test_chains_have_no_regions(run: Run, files: Path, machines: Path) -> None:
    result = run("lump", "machines.json", "--region", "box.json")
    assert result.exit_code == 2
    assert "--region is not for a CTMC" in result.stderr


def test_a_damaged_certificate_is_refused(run: Run, files: Path) -> None:
    run("lump", "net.onnx", "--region", "box.json", "-o", "s.onnx", "--certificate", "c.json")
    document = json.loads(Path("c.json").read_text())
    document["parts"][0][0][0][0] = "nan"
    Path("c.json").write_text(json.dumps(document))
    run("verify", "c.json", "net.onnx", "--quotient", "s.onnx").assert_refused("finite number")


def test_relaxing_keeps_the_tolerance_and_is_verified(run: Run, files: Path) -> None:
    asked = ("relax", "net.onnx", "--box", "box.json", "--tolerance", "0.2")
    result = run(*asked, "-o", "small.onnx", "--certificate", "c.json")
    assert result.exit_code == 0, result.output
    assert "units left and bounds" in result.stdout
    assert read("small.onnx").hidden_neurons < 2
    assert run("verify", "c.json", "net.onnx", "--quotient", "small.onnx").exit_code == 0
    found = run(*asked, "--json").document
    assert float(Fraction(found["lumping"]["bound"])) <= 0.2
    assert found["lumping"]["changes"][0]["became"] == "constant"


def test_relaxing_needs_a_tolerance_or_a_number_of_units(run: Run, files: Path) -> None:
    for options in ((), ("--tolerance", "1", "--units", "1")):
        result = run("relax", "net.onnx", *options)
        assert result.exit_code == 2
        assert "either --tolerance or --units" in result.stderr
    run("relax", "net.onnx", "--tolerance", "much").assert_refused("much")


def test_relaxing_is_for_networks(run: Run, machines: Path) -> None:
    run("relax", "machines.json", "--units", "1").assert_refused("for networks")


def test_the_curve_is_drawn(run: Run, files: Path) -> None:
    pytest.importorskip("matplotlib")
    result = run("relax", "net.onnx", "--region", "box.json", "--units", "0", "--plot", "curve.svg")
    assert result.exit_code == 0, result.output
    assert Path("curve.svg").read_text().startswith("<?xml")


def test_pruning_is_explained_certified_and_verified(run: Run, files: Path) -> None:
    layers = [([[1, 1]], [0, -1], "relu"), ([[1], [0.3]], [0], None)]
    formats.write(Network.dense(layers, dtype=np.float32), "pruned.onnx")
    asked = ("explain", "net.onnx", "pruned.onnx", "--box", "box.json")
    result = run(*asked, "--html", "what.html", "--certificate", "c.json")
    assert result.exit_code == 0, result.output
    assert "neuron 1 was dropped" in result.stdout
    assert "no output differs at all" in result.stdout
    assert "neuron 1 was dropped" in Path("what.html").read_text()
    assert run("verify", "c.json", "net.onnx", "--quotient", "pruned.onnx").exit_code == 0
    data = run(*asked, "--json").document
    assert data["explanation"]["layers"][0]["counts"]["dropped"] == 1
    assert "neuron 1" not in run(*asked, "--brief").stdout


def test_pruned_networks_of_another_depth_are_refused(run: Run, files: Path) -> None:
    formats.write(Network.dense([([[1]], None, None)], dtype=np.float32), "flat.onnx")
    run("explain", "net.onnx", "flat.onnx").assert_refused("layers")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["net.onnx", "0:1"], "two states or neurons of one model, or the files of two networks"),
        (["net.onnx", "0:1", "0:2", "--brief"], "--brief is for two networks"),
        (["net.onnx", "net.onnx", "--kind", "exact"], "--kind is for two states of one model"),
        (["net.onnx"], "Missing argument"),
    ],
)
def test_two_files_or_two_neurons_are_explained(
    run: Run, files: Path, arguments: list[str], word: str
) -> None:
    result = run("explain", *arguments)
    assert result.exit_code == 2
    assert word in result.stderr


def test_a_graph_is_lumped_on_a_region_certified_and_verified(run: Run, files: Path) -> None:
    from onnx import helper, numpy_helper

    stored = {
        "a": [[1, 1, 1]],
        "b": [0, -3, -1],
        "c": np.eye(3),
        "d": [0, 0, -9],
        "e": np.ones((3, 1)),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "a", "b"], ["z"]),
        helper.make_node("Relu", ["z"], ["h"]),
        helper.make_node("Gemm", ["h", "c", "d"], ["w"]),
        helper.make_node("Relu", ["w"], ["g"]),
        helper.make_node("Add", ["h", "g"], ["s"]),
        helper.make_node("MatMul", ["s", "e"], ["y"]),
    ]
    ends = [[helper.make_tensor_value_info(name, 1, ["N", 1])] for name in "xy"]
    weights = [numpy_helper.from_array(np.float32(value), name) for name, value in stored.items()]
    opset = helper.make_opsetid("", 18)
    graph = helper.make_graph(nodes, "graph", *ends, weights)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    (files / "graph.onnx").write_bytes(model.SerializeToString())
    asked = ("--box", "box.json", "-o", "small.onnx", "--certificate", "c.json", "--compare", "5")
    result = run("lump", "graph.onnx", *asked)
    assert result.exit_code == 0, result.output
    assert "on the region no output differs at all" in result.stdout
    verified = run("verify", "c.json", "graph.onnx", "--quotient", "small.onnx")
    assert verified.exit_code == 0, verified.output
    refused = run("lump", "graph.onnx", "--box", "box.json", "--dtype", "float16")
    assert refused.exit_code == 3
    assert "dtype has no meaning with a region and a graph" in refused.stderr


def test_a_graph_of_several_inputs_has_no_region(run: Run, files: Path) -> None:
    from onnx import helper

    nodes = [helper.make_node("Add", ["x", "z"], ["y"])]
    ends = [helper.make_tensor_value_info(name, 1, ["N", 1]) for name in "xzy"]
    graph = helper.make_graph(nodes, "graph", ends[:2], ends[2:])
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    (files / "graph.onnx").write_bytes(model.SerializeToString())
    found = run("lump", "graph.onnx", "--box", "box.json")
    assert found.exit_code == 3
    assert "several inputs" in found.stderr

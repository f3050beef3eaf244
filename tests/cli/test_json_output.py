"""What --json prints is as `lumpability/schemas/output.schema.json` says."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from lumpability import formats
from lumpability.markov.examples import proportional_not_ordinary
from lumpability.networks.examples import planted, unequal_factors
from lumpability.teaching.exercises import model_answer, read_task

Run = Callable[..., Any]


@pytest.fixture
def conforms(run: Run, machines: Path) -> Callable[..., dict[str, Any]]:
    """Run a command with --json and validate what it prints."""
    jsonschema: Any = pytest.importorskip("jsonschema")
    text = resources.files("lumpability").joinpath("schemas/output.schema.json").read_text()
    validator = jsonschema.Draft202012Validator(json.loads(text))
    validator.check_schema(validator.schema)

    def check(*arguments: str) -> dict[str, Any]:
        document: dict[str, Any] = run(*arguments, "--json").document
        validator.validate(document)
        return document

    return check


def test_the_commands_for_chains_print_what_the_schema_says(
    run: Run, conforms: Callable[..., dict[str, Any]]
) -> None:
    Path("p.txt").write_text("0\n0\n1\n1\n1\n1\n1\n1\n")
    formats.write(proportional_not_ordinary(), "speeds.json")
    conforms("info", "machines.json")
    conforms("convert", "machines.json", "machines.drn")
    conforms("lump", "machines.json", "-o", "small.json")
    conforms("shrink", "machines.json", "--respect", "")
    assert conforms("lump", "speeds.json", "--kind", "proportional")["lumping"]["kappa"]
    assert conforms("check", "machines.json", "p.txt")["verdict"]["witness"]
    assert conforms("check", "machines.json", "p.txt", "--kind", "weak")["verdict"]["witness"]
    assert conforms("solve", "machines.json", "hitting-time", "--target", "ddd")["rows"]
    assert conforms("bound", "machines.json", "p.txt", "--stationary", "operational")["intervals"]
    conforms("demo", "--machines", "3")
    conforms("doctor")


def test_the_commands_for_networks_print_what_the_schema_says(
    run: Run, conforms: Callable[..., dict[str, Any]]
) -> None:
    formats.write(planted([3, 4, 2], copies=3)[0], "wide.nnet")
    formats.write(unequal_factors(), "net.nnet")
    Path("p.json").write_text('[["0:0", "0:1"], ["2:0", "2:1"], ["4:0"], ["4:1"]]')
    conforms("info", "wide.nnet")
    conforms("lump", "wide.nnet", "--dtype", "float16", "--range", "0", "1")
    assert conforms("check", "net.nnet", "p.json")["verdict"]["witness"]
    Path("box.json").write_text(json.dumps({"low": [0] * 3, "high": [1] * 3}))
    compared = conforms(
        "compare", "wide.nnet", "wide.nnet", "--box", "box.json", "--tolerance", "1"
    )
    assert (compared["difference"]["certified"], compared["box"]) == (True, "box.json")
    assert conforms("compare", "wide.nnet", "wide.nnet")["difference"]["region"] is None
    assert conforms("lump", "wide.nnet", "--region", "box.json")["lumping"]["region"]
    assert conforms("relax", "wide.nnet", "--box", "box.json", "--units", "20")["lumping"]["curve"]
    assert conforms("explain", "wide.nnet", "wide.nnet")["explanation"]["layers"]


def test_grading_prints_what_the_schema_says(
    run: Run, conforms: Callable[..., dict[str, Any]]
) -> None:
    run("exercise", "--seed", "7", "-o", "sheet.md")
    Path("right.json").write_text(json.dumps(model_answer(read_task("sheet.md"))))
    Path("wrong.json").write_text('{"quotient": [[1]]}')
    assert conforms("grade", "sheet.md", "right.json")["correct"]
    assert conforms("grade", "sheet.md", "wrong.json")["why"]


def test_the_commands_for_graphs_print_what_the_schema_says(
    conforms: Callable[..., dict[str, Any]],
) -> None:
    pytest.importorskip("onnxruntime")
    from lumpability.networks.graph.examples import residual

    Path("net.onnx").write_bytes(residual().to_bytes())
    assert conforms("info", "net.onnx")["model"]["class"] == "GraphNetwork"
    lumping = conforms("lump", "net.onnx", "--compare", "2", "--time", "--align", "2")["lumping"]
    assert lumping["latency"]["before"] > 0
    assert not conforms("explain", "net.onnx", "a:0", "a:1")["explanation"]["together"]

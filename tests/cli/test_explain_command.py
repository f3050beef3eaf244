"""`lumpability explain`: the same answer as text, JSON and a page; unknown states are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lumpability import CTMC, Network, formats, lump
from lumpability.markov.examples import machine_repair

Run = Callable[..., Any]


def test_the_explanation_is_printed_and_nothing_else(run: Run, machines: Path) -> None:
    lumping = lump(machine_repair(3))
    names = [str(state) for state in lumping.chain.states]
    for other in (names[1], names[-1]):
        result = run("explain", "machines.json", names[0], other)
        assert result.exit_code == 0
        assert result.stderr == ""
        assert result.stdout == f"{lumping.explain(names[0], other)}\n"


def test_json_is_one_document_of_its_schema(run: Run, machines: Path) -> None:
    document = run("explain", "machines.json", "0", "7", "--kind", "exact", "--json").document
    schemas = resources.files("lumpability") / "schemas"
    for name, found in (
        ("output", document),
        ("explanation", document["explanation"]),
    ):
        text = schemas.joinpath(f"{name}.schema.json").read_text()
        jsonschema.validate(found, json.loads(text))
    assert document["explanation"]["kind"] == "exact"
    assert document["written"] == {"html": None, "certificate": None}


def test_a_page_is_written(run: Run, machines: Path) -> None:
    document = run("explain", "machines.json", "0", "7", "--html", "why.html", "--json").document
    assert document["written"] == {"html": "why.html", "certificate": None}
    page = Path("why.html").read_text()
    assert page == lump(machine_repair(3)).explain("0", "7").to_html()


def test_what_is_respected_is_an_option(run: Run, machines: Path) -> None:
    states = machine_repair(3).n
    Path("start.txt").write_text("".join(f"{int(i == 0)}\n" for i in range(states)))
    for options in (["--respect", ""], ["--within", "start.txt"]):
        assert run("explain", "machines.json", "0", "7", *options).exit_code == 0
    said = run("explain", "machines.json", "1", "2", "--respect", "", "--within", "start.txt")
    assert "together" in said.stdout or "the partition that was given" in said.stdout


def test_unknown_states_are_refused_with_a_suggestion(run: Run, tmp_path: Path) -> None:
    formats.write(CTMC.from_rates({("up", "down"): 1}, labels={"x": ["up"]}), tmp_path / "c.json")
    run("explain", "c.json", "up", "dwon").assert_refused("no state 'dwon'; did you mean down?")


def test_control_characters_of_names_do_not_reach_the_terminal(run: Run, tmp_path: Path) -> None:
    chain = CTMC.from_rates({("a\x1b[2J", "b"): 1}, labels={"x": ["b"]})
    formats.write(chain, tmp_path / "c.json")
    assert "\x1b" not in run("explain", "c.json", "0", "1").stdout


def test_neurons_are_explained_as_well(run: Run, tmp_path: Path) -> None:
    network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
    formats.write(network, tmp_path / "net.onnx") if pytest.importorskip("onnx") else None
    result = run("explain", "net.onnx", "0:0", "0:1")
    assert result.exit_code == 0
    assert "share class 0" in result.stdout

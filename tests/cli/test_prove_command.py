"""`lumpability prove`: prints a proof, writes files for proof assistants."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumpability import CTMC, Network, formats
from lumpability.dispatch import lump
from lumpability.markov.examples import hypercube_walk, machine_repair
from lumpability.symbolic import export, prove

Run = Callable[..., Any]


def test_the_proof_is_printed_and_nothing_else(run: Run, machines: Path) -> None:
    result = run("prove", "machines.json")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout == prove(lump(machine_repair(3))).pretty() + "\n"


def test_latex_is_printed_when_asked_for(run: Run, machines: Path) -> None:
    result = run("prove", "machines.json", "--kind", "strict", "--latex")
    assert result.stdout == prove(lump(machine_repair(3), kind="strict")).latex() + "\n"


def test_parameters_stay_symbols(run: Run, tmp_path: Path) -> None:
    rates = {("a", "c"): "mu", ("b", "c"): "mu", ("c", "a"): 1}
    formats.write(CTMC.from_rates(rates, labels={"c": ["c"]}), tmp_path / "c.json")
    assert "for all mu > 0" in run("prove", "c.json").stdout
    run("prove", "c.json", "--coq", "c.v").assert_refused("numbers, not parameters")
    assert not Path("c.v").exists()


def test_files_for_proof_assistants_are_written(run: Run, machines: Path) -> None:
    result = run("prove", "machines.json", "--coq", "m.v")
    assert result.exit_code == 0
    assert result.stderr == "written: m.v\n"
    assert Path("m.v").read_text() == export(lump(machine_repair(3)))


def test_json_is_one_document(run: Run, machines: Path) -> None:
    result = run("prove", "machines.json", "--coq", "m.v", "--json")
    assert result.stderr == ""
    document = result.document
    assert document["proof"]["holds"] is True
    assert document["proof"]["identities"] == ["Q V = V Q^"]
    assert document["proof"]["matrices"]["Q^"][0] == ["-3/100", "3/100", "0", "0"]
    assert document["written"] == {"coq": "m.v"}


def test_rounded_networks_are_not_proved(run: Run, tmp_path: Path) -> None:
    layers = [([[1, 3]], [1, 3], "relu"), ([[0.1], [0.2]], None, None)]
    formats.write(Network.dense(layers, dtype=np.float32), tmp_path / "n.npz")
    result = run("prove", "n.npz")
    assert result.exit_code == 1
    assert "output 0 differs by" in result.stdout


def test_large_models_are_refused(run: Run, tmp_path: Path) -> None:
    formats.write(hypercube_walk(8), tmp_path / "c.json")
    run("prove", "c.json").assert_refused("256 states, more than the 200", "certificate")


def test_json_is_as_the_schema_says(run: Run, machines: Path) -> None:
    jsonschema: Any = pytest.importorskip("jsonschema")
    text = resources.files("lumpability").joinpath("schemas/output.schema.json").read_text()
    jsonschema.validate(run("prove", "machines.json", "--json").document, json.loads(text))


def test_a_file_that_cannot_be_written_is_refused(run: Run, machines: Path) -> None:
    run("prove", "machines.json", "--coq", "no/such/folder/m").assert_refused("no/such/folder")

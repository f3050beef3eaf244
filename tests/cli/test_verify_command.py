"""`lump --certificate` and `verify`: exit codes, tables, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

from lumpability import CTMC, Network, formats
from lumpability.markov.examples import machine_repair

Run = Callable[..., Any]


def test_what_lump_writes_verify_accepts(run: Run, machines: Path) -> None:
    result = run("lump", "machines.json", "--certificate", "proof.json.gz", "-o", "small.json")
    assert result.exit_code == 0
    assert "proof.json.gz" in result.stdout
    result = run("verify", "proof.json.gz", "machines.json", "--quotient", "small.json")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "verdict   accepted" in result.stdout
    assert "coarsest  proved" in result.stdout
    assert "Q V = V Q^ holds exactly, and no two of 4 blocks can be merged" in result.stdout


def test_the_limit_is_that_of_the_certificate_and_of_the_model(run: Run, machines: Path) -> None:
    run("lump", "machines.json", "--certificate", "proof.json.gz")
    run("convert", "machines.json", "machines.tra")  # a format that is never packed
    asked = ("verify", "proof.json.gz", "machines.tra", "--max-bytes")
    run(*asked, "100").assert_refused("raise --max-bytes")
    assert run(*asked, "100000").exit_code == 0


def test_verify_json_is_one_document_with_documented_keys(run: Run, machines: Path) -> None:
    run("lump", "machines.json", "--certificate", "proof.json", "--kind", "exact")
    document = run("verify", "proof.json", "machines.json", "--json").document
    assert list(document) == [
        *("lumpability", "command", "path", "certificate", "model", "verification", "seconds"),
        "warnings",
    ]
    assert document["verification"] == {
        "kind": "exact",
        "accepted": True,
        "sound": True,
        "coarsest": True,
        "text": "exact, proved: D Q = Q^ D holds exactly, and no two of 4 blocks can be merged",
        "rejection": None,
    }


def test_its_documents_are_as_the_schema_says(run: Run, machines: Path) -> None:
    text = resources.files("lumpability").joinpath("schemas/output.schema.json").read_text()
    validator = jsonschema.Draft202012Validator(json.loads(text))
    run("lump", "machines.json", "--certificate", "proof.json")
    formats.write(machine_repair(4), "other.json")
    validator.validate(run("verify", "proof.json", "machines.json", "--json").document)
    validator.validate(run("verify", "proof.json", "other.json", "--json").document)


def test_another_model_is_a_no_with_the_reason(run: Run, machines: Path) -> None:
    run("lump", "machines.json", "--certificate", "proof.json")
    formats.write(machine_repair(4), "other.json")
    result = run("verify", "proof.json", "other.json")
    assert result.exit_code == 1
    assert "verdict   rejected" in result.stdout
    assert "states: 8 expected, 16 found" in result.stdout
    document = run("verify", "proof.json", "other.json", "--json").document
    assert document["verification"]["rejection"]["field"] == "model"
    result = run("verify", "proof.json", "machines.json", "--quotient", "other.json")
    assert result.exit_code == 1


def test_a_forged_partition_is_a_no_that_names_two_states(run: Run, tmp_path: Path) -> None:
    chain = CTMC([[0, 1, 1], [1, 0, 0], [1, 0, 0]], labels={"a": [0]})
    formats.write(chain, "chain.json")
    run("lump", "chain.json", "--certificate", "proof.json")
    document = json.loads(Path("proof.json").read_text())
    document["partition"] = [0, 1, 0]
    Path("proof.json").write_text(json.dumps(document))
    document = run("verify", "proof.json", "chain.json", "--json").document
    assert document["verification"]["rejection"]["states"] == [0, 2]


def test_unreadable_certificates_are_invalid_input(run: Run, machines: Path) -> None:
    run("verify", "missing.json", "machines.json").assert_refused("missing.json")
    Path("bad.json").write_text("{}")
    run("verify", "bad.json", "machines.json").assert_refused("bad.json")
    head = '{"format": "lumpability/certificate", "version": 1, "domain": "tree"}'
    Path("bad.json").write_text(head)
    run("verify", "bad.json", "machines.json").assert_refused("'tree'", "chain, network")
    run("verify", "machines.json", "machines.json").assert_refused("lumpability/chain")


def test_a_certificate_of_a_network_is_verified_by_the_same_command(run: Run) -> None:
    network = Network.dense([([[1, 2]], None, "relu"), ([[1], [1]], None, None)])
    formats.write(network, "net.nnet")
    assert run("lump", "net.nnet", "--certificate", "proof.json").exit_code == 0
    result = run("verify", "proof.json", "net.nnet")
    assert result.exit_code == 0
    assert "sound     proved" in result.stdout
    formats.write(machine_repair(3), "machines.json")
    run("verify", "proof.json", "machines.json").assert_refused("about a network", "holds a chain")


def test_options_of_the_model_s_format_are_not_for_the_quotient(run: Run) -> None:
    Path("machine.tra").write_text("3 4\n0 1 0.33\n0 2 0.67\n1 0 1\n2 0 1\n")
    common = ("--digits", "2", "--type", "dtmc")
    assert (
        run("lump", "machine.tra", *common, "--certificate", "c.json", "-o", "q.json").exit_code
        == 0
    )
    verified = run("verify", "c.json", "machine.tra", *common, "--quotient", "q.json")
    assert verified.exit_code == 0, verified.stderr

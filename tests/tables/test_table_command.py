"""`lumpability lump` on edge tables: options, report, files and exit codes."""

from __future__ import annotations

import json
from importlib import resources

import pytest
from click.testing import CliRunner

from lumpability.cli import cli
from lumpability.markov.examples import components
from lumpability.tables import write_chain

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command beside the files edges.parquet and states.parquet."""
    monkeypatch.chdir(tmp_path)
    write_chain(components(3), "edges.parquet", "states.parquet")

    def run(*arguments, code=0):
        result = CliRunner().invoke(cli, list(arguments))
        assert result.exit_code == code, result.output
        return result

    return run


def test_a_table_is_lumped_and_reported(run, tmp_path):
    table = ["edges.parquet", "--states", "states.parquet", "--engine", "duckdb", "--memory", "1GB"]
    result = run("lump", *table, "-o", "blocks.parquet", "--quotient", "small.parquet")
    assert "27 -> 10" in result.stdout
    assert "Q V = V Q^ holds exactly" in result.stdout
    assert (tmp_path / "blocks.parquet").exists()
    again = run("lump", "small.parquet", "--respect", "", "--json")
    document = json.loads(again.stdout)
    assert document["lumping"]["blocks"] == 1
    jsonschema = pytest.importorskip("jsonschema")
    text = resources.files("lumpability").joinpath("schemas/output.schema.json").read_text()
    jsonschema.validate(document, json.loads(text))


def test_a_certificate_is_verified_on_the_table(run):
    states = ["edges.parquet", "--states", "states.parquet"]
    run("lump", *states, "-o", "blocks.parquet", "--certificate", "proof.json")
    result = run("verify", "proof.json", *states, "--blocks", "blocks.parquet")
    assert "accepted" in result.stdout
    run("lump", *states, "-o", "other.parquet", "--respect", "")
    result = run("verify", "proof.json", *states, "--blocks", "other.parquet", "--json", code=1)
    document = json.loads(result.stdout)
    assert document["verification"]["rejection"]["field"] == "respected"
    run("verify", "proof.json", *states, code=2)
    result = run(
        "verify", "proof.json", *states, "--blocks", "blocks.parquet", "--memory", "1MB", code=3
    )
    assert "too small to begin" in result.stderr


def test_a_table_is_described(run):
    table = ["edges.parquet", "--states", "states.parquet", "--memory", "300MB"]
    result = run("info", *table)
    assert "27, keys are integers" in result.stdout
    assert "all intact, none intact" in result.stdout
    document = json.loads(run("info", *table, "--json").stdout)
    jsonschema = pytest.importorskip("jsonschema")
    text = resources.files("lumpability").joinpath("schemas/output.schema.json").read_text()
    jsonschema.validate(document, json.loads(text))
    assert document["model"]["transitions"] == 81
    assert document["model"]["engine"] == "memory"
    result = run("info", "chain.drn", "--memory", "1GB", code=2)
    assert "--memory is for edge tables, and chain.drn is none" in result.stderr
    result = run("info", "states.parquet", code=3)
    assert "no column 'source'" in result.stderr


def test_options_of_other_models_are_refused(run):
    result = run("lump", "edges.parquet", "--partition", "p.json", code=2)
    assert "--partition is not for an edge table, which has --states" in result.stderr
    for option in (["--tolerance", "1%"], ["--normalize"]):
        result = run("lump", "edges.parquet", *option, code=2)
        assert f"{option[0]} is not for an edge table" in result.stderr
    result = run("lump", "chain.drn", "--memory", "1GB", code=2)
    assert "--memory is for edge tables, and chain.drn is none" in result.stderr


def test_mistakes_end_with_one_sentence(run, tmp_path):
    for arguments, sentence in (
        (["missing.parquet"], "No such file"),
        (["edges.parquet", "--resume"], "--resume goes on in the folder of a run that ended early"),
        (
            ["edges.parquet", "--kind", "proportional"],
            "proportional lumping is not for edge tables",
        ),
        (["edges.parquet", "--engine", "kernel"], "unknown engine 'kernel'"),
        (["edges.parquet", "--memory", "tiny"], "is not a size of memory"),
        (["states.parquet"], "no column 'source'"),
        (["edges.parquet", "-o", "no/such/folder.parquet"], "cannot be written"),
    ):
        result = run("lump", *arguments, "--respect", "", code=3)
        assert sentence in result.stderr
        lines = [line for line in result.stderr.splitlines() if line.startswith("Error")]
        assert len(lines) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edges.parquet", "states.parquet"]

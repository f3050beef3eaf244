"""Certificates of tables are checked on the tables, and a change anywhere is noticed and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lumpability import CTMC
from lumpability.errors import FormatError
from lumpability.markov.examples import components
from lumpability.tables import TableCertificate, lump_table, write_chain

arrow = pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")
parquet = pytest.importorskip("pyarrow.parquet")


def slow(value):
    return pytest.param(value, marks=pytest.mark.slow)


CERTIFIED = ("edges.parquet", "states.parquet", "blocks.parquet", "proof.json")


def certify(chain, folder, **options):
    """Lump a chain as a table, and return the paths of what was written."""
    paths = {name.partition(".")[0]: folder / name for name in CERTIFIED}
    write_chain(chain, paths["edges"], paths["states"])
    lump_table(
        paths["edges"],
        states=paths["states"],
        output=paths["blocks"],
        certificate=paths["proof"],
        **options,
    )
    return paths


@pytest.fixture(scope="module")
def components_certified(tmp_path_factory):
    folder = tmp_path_factory.mktemp("components")
    certify(components(3), folder)
    return folder


@pytest.fixture
def certified(components_certified, tmp_path):
    """Copies of the files of a lumping, which a test may change."""
    return {
        name.partition(".")[0]: Path(shutil.copy(components_certified / name, tmp_path))
        for name in CERTIFIED
    }


def verified(paths):
    proof = TableCertificate.read(paths["proof"])
    return proof.verify(paths["edges"], paths["blocks"], states=paths["states"])


@pytest.mark.parametrize("kind", ["ordinary", "strict", *map(slow, ["bisimulation", "exact"])])
def test_certificates_of_every_kind_and_engine_hold(tmp_path, kind):
    texts = set()
    for engine in ("duckdb", "memory"):
        paths = certify(components(3), tmp_path, kind=kind, engine=engine)
        verification = verified(paths)
        assert verification.sound, verification.text
        assert not verification.coarsest
        texts.add(paths["proof"].read_text())
    assert len(texts) == 1


def test_a_file_of_the_quotient_is_compared_with_the_certified_one(tmp_path):
    quotient = tmp_path / "quotient.parquet"
    paths = certify(components(2), tmp_path, quotient=quotient)
    proof = TableCertificate.read(paths["proof"])

    def check():
        options = {"states": paths["states"], "quotient": quotient}
        return proof.verify(paths["edges"], paths["blocks"], **options)

    assert check()
    change(quotient, "numerator", 0, 7)
    verification = check()
    assert not verification
    assert verification.rejection.field == "quotient"
    shutil.copy(paths["blocks"], quotient)
    with pytest.raises(FormatError, match="has not the columns source, target, numerator"):
        check()


def change(path, column, row, value):
    table = parquet.read_table(path)
    values = table.column(column).to_pylist()
    values[row] = value
    place = table.column_names.index(column)
    parquet.write_table(table.set_column(place, column, arrow.array(values)), path)


def test_a_tampered_label_is_named_by_the_proof(tmp_path):
    rates = {(0, 3): 1, (1, 3): 1, (2, 3): 2, (3, 0): 1}
    paths = certify(CTMC.from_rates(rates, states=range(4), labels={"goal": [3]}), tmp_path)
    assert parquet.read_table(paths["blocks"]).column("block").to_pylist() == [0, 0, 1, 2]
    change(paths["blocks"], "block", 2, 0)
    verification = verified(paths)
    assert not verification
    assert verification.rejection.field == "partition"
    assert verification.rejection.states == (0, 2)
    assert "states 2 and 0 share block 0, but their sums into blocks differ" in verification.text


@pytest.mark.parametrize(
    ("file", "column", "row", "value", "field"),
    [
        ("edges", "rate", 0, "7/100", "quotient"),
        ("edges", "target", 0, 20, "quotient"),
        ("states", "none intact", 3, True, "respected"),
        ("blocks", "state", 3, 4, "partition"),
        ("blocks", "state", 3, 99, "partition"),
    ],
)
def test_changes_of_the_tables_are_noticed(certified, file, column, row, value, field):
    change(certified[file], column, row, value)
    verification = verified(certified)
    assert not verification
    assert verification.rejection.field == field


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("kind", "exact", "quotient"),
        ("states", 28, "states"),
        ("transitions", 3, "transitions"),
        ("denominator", "1", "denominator"),
        ("respected", ["cost"], "respected"),
        ("blocks", 11, "blocks"),
        ("partition", "0" * 64, "partition"),
        ("quotient", "0" * 64, "quotient"),
        ("time", "discrete", "sum to"),
        ("time", "sidereal", "is about 'sidereal' time"),
    ],
)
def test_changes_of_the_certificate_are_noticed(certified, key, value, field):
    document = json.loads(certified["proof"].read_text())
    document[key] = value
    certified["proof"].write_text(json.dumps(document))
    if key == "time":
        with pytest.raises(ValueError, match=field):
            verified(certified)
    else:
        assert verified(certified).rejection.field == field

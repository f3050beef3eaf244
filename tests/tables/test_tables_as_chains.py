"""Tables that are read as chains, quotients as chains and tables, and CSV files in and out."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lumpability import CTMC, DTMC, lump, read, write
from lumpability.cli import cli
from lumpability.errors import FormatError, SizeLimit
from lumpability.formats.assembly import LossyWrite
from lumpability.markov.examples import components, tandem
from lumpability.tables import TABLE_ENGINES, lump_table, read_table, workspace, write_chain

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

CLIENTS = "source,target,rate\nidle,busy,1/3\nbusy,idle,2\nbusy,down,0.5\ndown,idle,1\n"
LOCAL = [name for name in TABLE_ENGINES if name != "spark"]


def unnamed(model):
    return model.rebuilt(
        model.matrix, labels=model.labels, rewards=model.rewards, initial=model.initial
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        result = CliRunner().invoke(cli, list(arguments))
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(
    "model",
    [
        components(3),
        tandem(4, 3),
        CTMC([[0, "1/3", 0], [2, 0, 0], [0, 0, 0]], labels={"up": [0]}),
        DTMC([[0, "1/3", "2/3"], [1, 0, 0], [0, 0, 1]], initial={0: "1/4", 2: "3/4"}),
        CTMC([[0]]),
    ],
)
def test_a_chain_that_is_written_as_tables_is_read_as_it_was(tmp_path, suffix, model):
    """A state without transitions among them."""
    edges, states = tmp_path / f"edges.{suffix}", tmp_path / f"states.{suffix}"
    write_chain(model, edges, states)
    assert read_table(edges, states=states).equals(model)
    assert read(edges).matrix.row(0) == model.matrix.row(0)


def test_keys_are_names_of_states(tmp_path):
    (tmp_path / "clients.csv").write_text(CLIENTS)
    found = read(tmp_path / "clients.csv")
    assert list(found.states) == ["busy", "down", "idle"]
    assert found.equals(
        CTMC.from_rates(
            [
                ("idle", "busy", "1/3"),
                ("busy", "idle", 2),
                ("busy", "down", "1/2"),
                ("down", "idle", 1),
            ],
            states=["busy", "down", "idle"],
        )
    )
    with duckdb.connect(str(tmp_path / "chain.duckdb")) as connection:
        connection.execute("CREATE TABLE edges AS SELECT 0 AS source, 1 AS target, 0.1 AS rate")
    assert read(tmp_path / "chain.duckdb").equals(CTMC([[0, "1/10"], [0, 0]]))


def test_a_table_that_does_not_fit_is_not_read_as_a_chain(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "half_of_memory", lambda: 64 << 20)
    write_chain(components(2), tmp_path / "edges.parquet")
    with pytest.raises(SizeLimit, match="18 transitions of 9 states do not fit into memory"):
        read(tmp_path / "edges.parquet")


@pytest.mark.parametrize("engine", LOCAL)
@pytest.mark.parametrize("time", [CTMC, DTMC])
def test_a_quotient_has_the_labels_rewards_and_initial_distribution_that_lump_gives(
    tmp_path, engine, time
):
    rows = [[0, 1, 1, 0], [0, 0, 0, 2], [0, 0, 0, 2], [1, 1, 0, 0]]
    if time is DTMC:
        rows = [["1/2" if x == 1 else x // 2 for x in row] for row in rows]
    model = time(
        rows,
        labels={"mixed": [1], "end": [3]},
        rewards={"cost": [0, 1, 1, 0]},
        initial={1: "1/4", 2: "1/4", 3: "1/2"},
    )
    write_chain(model, tmp_path / "edges.parquet", tmp_path / "states.parquet")
    paths = {name: tmp_path / f"q.{name}" for name in ("parquet", "csv")}
    for path in paths.values():
        found = lump_table(
            tmp_path / "edges.parquet",
            states=tmp_path / "states.parquet",
            engine=engine,
            ignore=["mixed"],
            quotient=path,
        )
        expected = lump(model, ignore=["mixed"]).quotient
        assert found.quotient.equals(unnamed(expected))
        again = read(path)
        assert type(again) is time
        assert again.matrix.equals(expected.matrix)


def test_a_block_without_transitions_is_in_the_table_of_the_quotient(tmp_path):
    (tmp_path / "edges.csv").write_text("source,target,rate\n0,1,1\n1,0,1\n2,2,1\n")
    for name in ("q.csv", "q.parquet"):
        with pytest.warns(match="all states fall into one block"):
            lump_table(tmp_path / "edges.csv", quotient=tmp_path / name)
        assert read(tmp_path / name).n == 1


def test_csv_in_and_csv_out(run, tmp_path):
    (tmp_path / "clients.csv").write_text(CLIENTS)
    run("lump", "clients.csv", "--kind", "bisimulation", "-o", "b.csv", "--quotient", "q.csv")
    assert (tmp_path / "b.csv").read_text() == "state,block\nbusy,0\ndown,1\nidle,2\n"
    assert (tmp_path / "q.csv").read_text() == (
        "source,target,rate\n0,1,1/2\n0,2,2\n1,2,1\n2,0,1/3\n"
    )


def test_commands_for_chains_take_tables(run, tmp_path):
    (tmp_path / "clients.csv").write_text(CLIENTS)
    (tmp_path / "states.csv").write_text("state,up\nidle,true\nbusy,true\ndown,false\n")
    run("convert", "clients.csv", "chain.drn", "--states", "states.csv")
    assert sorted(read("chain.drn").labels) == ["up"]
    solved = run("solve", "clients.csv", "hitting-time", "--target", "down", "--initial", "idle")
    assert "17" in solved.stdout  # x = 3 + 2/5 + 4/5 x
    (tmp_path / "blocks.json").write_text(json.dumps([["busy", "down"], ["idle"]]))
    run("check", "clients.csv", "blocks.json", code=1)
    run("explain", "clients.csv", "busy", "down")
    run("lump", "clients.csv", "--states", "states.csv", "--quotient", "q.drn")
    assert read("q.drn").equals(unnamed(lump(read("chain.drn")).quotient))
    result = run("convert", "chain.drn", "out.drn", "--states", "states.csv", code=2)
    assert "--states is for edge tables, and chain.drn is none" in result.stderr
    result = run("lump", "clients.csv", "--tolerance", "3%", code=2)
    assert "lumpability convert makes a chain of it" in result.stderr
    result = run("lump", "clients.csv", "--quotient", "q.txt", code=3)
    assert "a lumped chain is written as .csv, .drn" in result.stderr


def test_what_a_table_of_transitions_cannot_hold_is_told(tmp_path):
    with pytest.warns(LossyWrite, match="transitions have no labels"):
        write(components(2), tmp_path / "edges.csv")
    with pytest.raises(FormatError, match="can be read, but not written"):
        write(components(2), tmp_path / "edges.duckdb")


def test_rounds_are_not_reported_where_there_are_none(run):
    write_chain(components(3), "edges.parquet", "states.parquet")
    table = ["edges.parquet", "--states", "states.parquet"]
    assert "rounds" not in run("lump", *table, "--engine", "memory").stdout
    assert "rounds" in run("lump", *table, "--engine", "duckdb").stdout

"""A run that is killed goes on after its last full round, and gives the same answer."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lumpability import CTMC
from lumpability.errors import InvalidInput
from lumpability.tables import lump_table, write_chain
from lumpability.tables.workspace import Workspace

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

# Kills itself with SIGKILL after some number of rounds, or before some statement of SQL.
SCRIPT = """
import os, signal, sys
from lumpability.tables import hybrid, lump_table, streaming
from lumpability.tables.session import Session

if int(sys.argv[3]):  # nothing is finished in memory
    hybrid._BYTES_OF_ROW = streaming._BYTES_OF_ROW = 1 << 60
folder, engine, rounds, statements = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
run = Session.run

def counted(self, statement):
    global statements
    statements -= 1
    if not statements:
        os.kill(os.getpid(), signal.SIGKILL)
    return run(self, statement)

def report(done):
    global rounds
    print(done.number, flush=True)
    rounds -= 1
    if not rounds:
        os.kill(os.getpid(), signal.SIGKILL)

Session.run = counted
lump_table(
    f"{folder}/edges.parquet", states=f"{folder}/states.parquet", engine=engine, temp=f"{folder}/work",
    resume=True, output=f"{folder}/blocks.parquet", progress=report,
)
"""


@pytest.fixture
def path(tmp_path):
    """A path of states with its end marked, as tables: as many rounds as states; and its blocks."""
    n = 7
    rates = {(i, i + 1): 1 for i in range(n - 1)} | {(i + n, i + n + 1): 1 for i in range(n - 1)}
    chain = CTMC.from_rates(rates, states=range(2 * n), labels={"end": [n - 1, 2 * n - 1]})
    write_chain(chain, tmp_path / "edges.parquet", tmp_path / "states.parquet")
    expected = tmp_path / "expected.parquet"
    lump_table(
        tmp_path / "edges.parquet",
        states=tmp_path / "states.parquet",
        engine="duckdb",
        output=expected,
    )
    return tmp_path


def run(folder: Path, rounds: int = 0, statements: int = 0, engine: str = "duckdb"):
    """Return whether the run was killed, and the rounds that it finished."""
    arguments = [sys.executable, "-c", SCRIPT, str(folder), engine, str(rounds), str(statements)]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert result.returncode in (0, -signal.SIGKILL), result.stderr
    return result.returncode != 0, [int(line) for line in result.stdout.split()]


def assert_is_done(folder: Path):
    assert (folder / "blocks.parquet").read_bytes() == (folder / "expected.parquet").read_bytes()
    assert not list((folder / "work").iterdir())


def test_a_run_that_is_killed_goes_on_after_its_last_full_round(path):
    killed, first = run(path, rounds=3)
    assert killed
    assert first == [1, 2, 3]
    killed, second = run(path)
    assert not killed
    assert second[0] == 4
    assert_is_done(path)


@pytest.mark.slow
def test_a_hybrid_run_goes_on_and_finishes_in_memory(path):
    assert run(path, rounds=3, engine="hybrid") == (True, [1, 2, 3])
    assert run(path, rounds=2, engine="hybrid") == (True, [4, 5])
    assert run(path, engine="hybrid") == (False, []), "no round on tables is left"
    assert_is_done(path)


@pytest.mark.slow
def test_a_streamed_run_begins_anew(path):
    assert run(path, rounds=3, engine="stream") == (True, [1, 2, 3])
    assert run(path, rounds=10**6, engine="stream") == (False, [1, 2, 3, 4, 5, 6])
    assert_is_done(path)


@pytest.mark.slow
def test_a_run_may_be_killed_in_every_round(path):
    finished = []
    killed = True
    while killed:
        killed, done = run(path, rounds=1)
        finished += done
    assert finished == list(range(1, len(finished) + 1)), "no round was lost"
    assert_is_done(path)


@pytest.mark.slow
def test_a_run_may_be_killed_before_any_statement(path):
    """It gets a little further every time; what is begun is done again, and nothing that was finished is."""
    killed, statements, last = True, 31, 0
    while killed:
        killed, done = run(path, statements=statements)
        assert not done or done[0] == last + 1
        last = done[-1] if done else last
        statements += 17
    assert_is_done(path)


@pytest.mark.slow
def test_a_checkpoint_of_other_options_is_refused(path):
    killed, _ = run(path, rounds=1)
    assert killed
    with pytest.raises(InvalidInput, match="other tables or options"):
        lump_table(
            path / "edges.parquet",
            states=path / "states.parquet",
            engine="duckdb",
            temp=path / "work",
            resume=True,
            kind="bisimulation",
        )
    killed, done = run(path)
    assert not killed
    assert done[0] == 2, "the refusal has left the checkpoint alone"


@pytest.mark.slow
def test_without_resume_a_run_begins_anew(path):
    run(path, rounds=2)
    reports = []
    lump_table(
        path / "edges.parquet",
        states=path / "states.parquet",
        engine="duckdb",
        temp=path / "work",
        progress=reports.append,
    )
    assert reports[0].number == 1
    assert not list((path / "work").iterdir())


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_in_which_a_run_works_is_refused_and_left_alone(path, resume):
    with Workspace(path / "work") as workspace:
        workspace.database.write_text("a checkpoint")
        with pytest.raises(InvalidInput, match="another process works in this folder"):
            lump_table(path / "edges.parquet", temp=path / "work", resume=resume, engine="stream")
        assert workspace.database.read_text() == "a checkpoint"
    assert not list((path / "work").iterdir())

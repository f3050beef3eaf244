"""Bad tables and limits: one sentence that says what is wrong, and nothing is left behind."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from types import SimpleNamespace

import pytest

from lumpability.errors import FormatError, InvalidChain, InvalidInput, NotJustified, SizeLimit
from lumpability.tables import generator, lump_table, session, workspace

duckdb = pytest.importorskip("duckdb")
arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

WIDE = arrow.array([Decimal(x) for x in ("1.5", "2", "3")], arrow.decimal256(50, 2))
LARGE = arrow.array([0, 1, 2**63], arrow.uint64())
EDGES = {"source": [0, 1, 2], "target": [1, 2, 0], "rate": [1, 2, 3]}
STATES = {"state": [0, 1, 2], "up": [True, False, False]}


@pytest.fixture
def write(tmp_path):
    def write(name="edges", **columns):
        path = tmp_path / f"{name}.parquet"
        parquet.write_table(arrow.table(columns), path)
        return path

    return write


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": None}, "no column 'source'; it has target, rate"),
        ({"rate": None}, "no column 'rate'; it has source, target"),
        ({"rate": [1, None, 3]}, "1 of 3 rows have no rate"),
        ({"target": [1, None, None]}, "2 of 3 rows have no target"),
        ({"rate": [1, -2, 3]}, "negative rate -2"),
        ({"rate": [1.0, float("nan"), 3]}, "the column 'rate' holds nan, which is no number"),
        ({"rate": [1.0, float("inf"), 3]}, "the column 'rate' holds inf, which is no number"),
        ({"rate": [True, False, True]}, "the column 'rate' is BOOLEAN: rates are integers"),
        ({"rate": [[1], [2], [3]]}, "the column 'rate' is BIGINT[]: rates are integers"),
        ({"rate": WIDE}, "the column 'rate' has decimals of more than 38 digits: give texts"),
        ({"probability": [1, 1, 1]}, "has the columns 'rate' and 'probability': give one"),
        ({"source": LARGE}, "the column 'source' holds integers beyond 64 bits"),
        ({"rate": ["1", "two", "3"]}, "'two' is not a number"),
        ({"rate": ["1", "1/0", "3"]}, "divides by zero"),
        ({"source": [0.5, 1.5, 2.5]}, "keys of states are integers or texts"),
        ({"source": ["a", "b", "c"]}, "some keys of states are integers and others are texts"),
    ],
)
def test_bad_transitions_are_named(write, changes, message):
    columns = {name: column for name, column in (EDGES | changes).items() if column is not None}
    with pytest.raises(InvalidInput, match=r"edges\.parquet: ") as caught:
        lump_table(write(**columns), engine="duckdb")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state": None}, "no column 'state'"),
        ({"state": [0, 1, 1]}, "the state 1 is listed more than once"),
        ({"state": [0, 1, 3]}, "a transition has the source 2, which the table of states lacks"),
        ({"up": [True, None, False]}, "1 of 3 rows have no up"),
        ({"up": ["a", "b", "c"]}, "the column 'up' is VARCHAR"),
        ({"up": [1, 2, float("nan")]}, "the column 'up' holds nan, which is no number"),
        ({"initial": [0.5, 0.4, 0]}, "the initial distribution sums to 9/10, not to 1"),
        ({"initial": [1.5, -0.5, 0]}, "negative initial probability -1/2"),
    ],
)
def test_bad_states_are_named(write, changes, message):
    columns = {name: column for name, column in (STATES | changes).items() if column is not None}
    with pytest.raises(InvalidInput) as caught:
        lump_table(write(**EDGES), states=write("states", **columns), engine="duckdb")
    assert message in str(caught.value)


def test_names_to_respect_must_be_columns(write):
    with pytest.raises(
        InvalidInput, match="no 'down' to respect; the table of states has label:up"
    ):
        lump_table(write(**EDGES), states=write("states", **STATES), respect=["down"])


def test_files_that_are_not_tables_are_refused(tmp_path, write):
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(write(**EDGES).read_bytes()[:-10])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FormatError, match=r"damaged\.parquet"):
        lump_table(damaged)
    with pytest.raises(FormatError, match=r"holds no \.parquet file"):
        lump_table(empty)
    with pytest.raises(FormatError, match="No such file"):
        lump_table(tmp_path / "missing.parquet")
    with duckdb.connect(str(tmp_path / "chain.duckdb")) as connection:
        connection.execute("CREATE TABLE other AS SELECT 1 AS source").fetchall()
    with pytest.raises(FormatError, match="no table 'edges'; it has other"):
        lump_table(tmp_path / "chain.duckdb")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b,1\nb,a,2\n", "no column 'source'"),
        ("source,target,rate\na,b\nb,a,2\n", "rows with other columns than its first line"),
        ("source,target,rate\n" + "a,b,1\n" * 9999 + "b\n", "line 10001: Expected Number of"),
        ('source,target,rate\n"a,b,1\nb,a,2\n', "or a quote is not closed"),
        ("source,target,rate\na,b,\nb,a,2\n", "1 of 2 rows have no rate"),
        ("source;target;rate\na;b;0,5\n", "'0,5' is not a number"),
        ("source,target,rate\n\xe4,b,1\n", "line 2: Invalid unicode"),
    ],
)
def test_bad_csv_files_are_refused_with_one_sentence(tmp_path, text, message):
    path = tmp_path / "edges.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FormatError, match=r"edges\.csv: ") as caught:
        lump_table(path, engine="duckdb")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")
@pytest.mark.parametrize(
    "keys", [["1", "b"], ["2020-01-01", "2020-02-01"], ["true", "1e3"], ["a,1", 'b "x"']]
)
def test_keys_of_csv_files_are_texts_unless_all_are_integers(tmp_path, keys):
    """In a column of 30,000 integers, a text at the end is found too."""
    path, output = tmp_path / "it's [odd]*.csv", tmp_path / "blocks.parquet"
    quoted = ['"' + key.replace('"', '""') + '"' for key in keys]
    rows = [f"{quoted[0]},{quoted[0]},1"] * 30_000 + [f"{quoted[1]},{quoted[0]},1/3"]
    path.write_text("\n".join(["source,target,rate", *rows]))
    lump_table(path, engine="duckdb", output=output)
    assert parquet.read_table(output).column("state").to_pylist() == sorted(keys)


@pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")
def test_a_view_on_the_edges_of_a_database_is_a_table(tmp_path):
    with duckdb.connect(str(tmp_path / "chain.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE edges AS SELECT 0 AS source, 1 AS target, 2 AS rate"
        ).fetchall()
        connection.execute("CREATE VIEW v AS SELECT * FROM edges").fetchall()
    found = lump_table(tmp_path / "chain.duckdb", table="v", engine="duckdb", kind="bisimulation")
    assert found.stats.blocks == 2


@pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")
def test_a_path_names_one_file(tmp_path):
    """And not another one that it would match as a pattern."""
    for name, rows in (("q[1].csv", "1,2,1\n2,1,1\n"), ("q1.csv", "1,2,7\n2,3,5\n3,1,2\n")):
        (tmp_path / name).write_text(f"source,target,rate\n{rows}")
    found = lump_table(tmp_path / "q[1].csv", kind="bisimulation", engine="duckdb", respect=())
    assert found.stats.states == 2


def test_files_are_not_what_they_cannot_be(write, tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE edges (source, target, rate)")
        connection.commit()
    with pytest.raises(FormatError, match="is a database of SQLite, and not of DuckDB"):
        lump_table(tmp_path / "other.db")
    edges = write(**EDGES)
    with pytest.raises(FormatError, match=r"tables are written as \.parquet or \.csv"):
        lump_table(edges, output=tmp_path / "blocks.drn")
    with pytest.raises(FormatError, match="is read: write to another file"):
        lump_table(edges, output=edges)
    with pytest.raises(FormatError, match="is no database, which has tables by name"):
        lump_table(edges, table="rates")


@pytest.mark.parametrize("rows", [([0, 1], ["1/2", "1"]), ([0, 0], ["1/2", "1/2"])])
def test_rows_of_a_dtmc_must_sum_to_one(write, rows):
    columns = {"source": rows[0], "target": [1, 0], "probability": rows[1]}
    for engine in ("duckdb", "stream", "memory"):
        with pytest.raises(InvalidChain, match=r"the probabilities of state \d sum to"):
            lump_table(write(**columns), engine=engine)


def test_kinds_and_engines_that_tables_lack_are_named(write):
    with pytest.raises(NotJustified, match="proportional lumping is not for edge tables"):
        lump_table(write(**EDGES), kind="proportional")
    with pytest.raises(NotJustified, match="use engine='hybrid'"):
        lump_table(write(**EDGES), kind="exact", engine="stream")
    with pytest.raises(InvalidInput, match="unknown engine 'storm'"):
        lump_table(write(**EDGES), engine="storm")
    with pytest.raises(InvalidInput, match="unknown type 'mdp'"):
        lump_table(write(**EDGES), type="mdp")
    with pytest.raises(InvalidInput, match="there must be one at least"):
        lump_table(write(**EDGES), threads=0)
    with pytest.raises(InvalidInput, match="unknown kind 'nice'"):
        lump_table(write(**EDGES), kind="nice")


@pytest.mark.parametrize("memory", ["much", "4 apples", "1MB", -5])
def test_a_limit_of_memory_must_be_one(write, memory):
    with pytest.raises(InvalidInput, match="memory"):
        lump_table(write(**EDGES), memory=memory)


def test_streaming_needs_memory_for_its_arrays_of_states(write, monkeypatch):
    monkeypatch.setattr(sys.modules[lump_table.__module__], "_BYTES_STREAMED", 1 << 30)
    with pytest.raises(SizeLimit, match=r"arrays of 3 states do not fit into 2048 MiB: give more"):
        lump_table(write(**EDGES), engine="stream", memory="2GiB")


def test_a_version_of_duckdb_that_is_too_old_is_refused(write, monkeypatch):
    monkeypatch.setattr(duckdb, "__version__", "1.4.9")
    with pytest.raises(InvalidInput, match=r"need DuckDB 1.5 or newer, and this is 1.4.9"):
        lump_table(write(**EDGES), engine="duckdb")


def test_a_version_of_spark_that_is_too_old_is_refused(write, monkeypatch):
    monkeypatch.setitem(
        sys.modules, "pyspark", SimpleNamespace(__version__="3.5.1", __name__="pyspark")
    )
    with pytest.raises(InvalidInput, match=r"need Spark 4.0 or newer, and this is 3\.5\.1"):
        lump_table(write(**EDGES), engine="spark")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (duckdb.OutOfMemoryException("failed to pin block"), "too small"),
        (duckdb.IOException("No space left on device"), "the disk is full"),
        (duckdb.OutOfMemoryException("failed to offload: max_temp_directory_size"), "disk is full"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_full_disks_and_small_limits_keep_the_checkpoint_where_it_helps(
    write, tmp_path, monkeypatch, error, message, late
):
    """Before the first round nothing is kept, and afterwards the checkpoint."""
    run = session.Session.run

    def failing(self, statement):
        first = "TABLE touched AS" if late else "TABLE gen AS"
        if first in statement:
            with session.translated(self.memory):
                raise error
        return run(self, statement)

    monkeypatch.setattr(session.Session, "run", failing)
    work = tmp_path / "work"
    with pytest.raises(InvalidInput, match=message):
        lump_table(write(**EDGES), states=write("s", **STATES), engine="duckdb", temp=work)
    assert (work / workspace.DATABASE).exists() == late
    assert not (work / workspace.SPILL).exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits of files are set in a child process")
@pytest.mark.parametrize("engine", ["duckdb", "stream"])
def test_files_that_may_not_grow_end_a_run_with_one_sentence(write, tmp_path, engine):
    """As on a full disk: a process with a small limit for files, whose working folder is empty afterwards."""
    n, work = 50_000, tmp_path / "work"
    edges = write(source=range(n), target=[(7919 * s) % n for s in range(n)], rate=[1] * n)
    script = (
        "import resource, signal, sys; from lumpability.cli import main; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        f"sys.argv[1:] = ['lump', {str(edges)!r}, '--engine', {engine!r}, '--temp', {str(work)!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("Error: the working folder (temp): ")
    assert done.stderr.count("\n") == 1
    assert not list(work.iterdir())


def test_temporary_folders_are_removed(write, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    with pytest.raises(InvalidInput):
        lump_table(write(**EDGES | {"rate": [1, -1, 1]}), engine="duckdb")
    lump_table(write(**EDGES), states=write("s", **STATES), engine="duckdb")
    assert not list((tmp_path / "scratch").iterdir())


@pytest.mark.parametrize(
    ("rates", "fits"),
    [
        ([2**62, 2**62 - 1], True),  # together just below 2^63
        ([2**62, 2**62], False),
        ([2**62, 2**63 - 1], False),
        (["1/4611686018427387904", "3"], False),
    ],
)
def test_sums_that_could_overflow_are_of_residues(write, rates, fits, monkeypatch):
    """Exit rates below 2^63 times values below 2^60, and as much for the diagonal, are below 2^124."""
    taken = []
    moduli_of = generator.moduli_of

    def counted(*arguments):
        found = moduli_of(*arguments)
        taken.append(found == (0,))
        return found

    monkeypatch.setattr(generator, "moduli_of", counted)
    edges = write(source=[0, 0, 1], target=[1, 2, 2], rate=arrow.array([*rates, type(rates[0])(5)]))
    states = write("states", state=[0, 1, 2], up=[False, False, True])
    for engine in ("duckdb", "memory", "stream"):
        assert len(lump_table(edges, states=states, engine=engine).partition) == 3
    assert taken == [fits]


def test_an_interrupted_query_is_an_interrupt():
    with pytest.raises(KeyboardInterrupt), session.translated(1 << 30):
        raise RuntimeError("Query interrupted")
    with pytest.raises(RuntimeError, match="another"), session.translated(1 << 30):
        raise RuntimeError("another")


def test_a_notebook_without_widgets_has_no_bar_of_progress_to_switch_off():
    class Notebook:
        """Answers as DuckDB does in Jupyter where ipywidgets is missing."""

        def execute(self, statement):
            if statement.startswith("SET"):
                raise duckdb.InvalidInputException("Could not change the progress bar setting")
            return self

        def fetchone(self):
            return (False,)

    with pytest.raises(duckdb.InvalidInputException):
        Notebook().execute("SET enable_progress_bar = false")
    session._quieten(Notebook())

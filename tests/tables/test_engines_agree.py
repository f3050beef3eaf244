"""Every engine of edge tables returns the partition that the definition returns, and the same bytes.

Chains are small; limits are changed so that the streaming engine streams and rounds meet collisions.
"""

from __future__ import annotations

import functools
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, lump
from lumpability.markov.examples import components, tandem
from lumpability.numbers.integers import prime
from lumpability.partition import Partition
from lumpability.tables import generator, lump_table, rounds, statements, streaming, write_chain
from lumpability.tables import lump as lump_module
from lumpability.tables.sql import refine_by_sql
from lumpability.testing.strategies import ctmcs, dtmcs, labelled

duckdb = pytest.importorskip("duckdb")
arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")
KINDS = ["ordinary", "bisimulation", "exact", "strict"]


@pytest.fixture
def nothing_fits(monkeypatch):
    """Let nothing be finished in memory."""
    monkeypatch.setattr(streaming, "_BYTES_OF_ROW", 1 << 60)


@pytest.fixture
def tables(tmp_path):
    """Write a chain to files, and return the arguments of `lump_table`."""

    def write(chain):
        write_chain(chain, tmp_path / "edges.parquet", tmp_path / "states.parquet")
        return tmp_path / "edges.parquet", tmp_path / "states.parquet"

    return write


def lump_files(files, **options):
    edges, states = files
    return lump_table(edges, states=states, **options)


def lumped(chain, **options):
    with tempfile.TemporaryDirectory() as folder:
        edges, states = Path(folder, "edges.parquet"), Path(folder, "states.parquet")
        write_chain(chain, edges, states)
        return lump_table(edges, states=states, **options)


def assert_same(chain, kind, engine):
    expected = lump(chain, kind=kind, engine="definition")
    found = lumped(chain, kind=kind, engine=engine)
    assert found.partition == expected.partition
    assert found.quotient.matrix.equals(expected.quotient.matrix)
    for name, mask in expected.quotient.labels.items():
        assert np.array_equal(found.quotient.labels[name], mask)
    assert found.stats.proof == expected.stats.proof


chains = labelled(st.one_of(ctmcs(), dtmcs()))


PATHS = {
    "rounds on DuckDB": ("duckdb", {}),
    "rounds with values of one bit": (
        "duckdb",
        {(lump_module, "refine_by_sql"): functools.partial(refine_by_sql, bits=1)},
    ),
    "the hybrid": ("hybrid", {}),
    "streaming": ("stream", {(streaming, "_BYTES_OF_ROW"): 1 << 60}),
    "streaming, finished in memory": ("stream", {}),
    "what fits into memory": ("auto", {}),
}


def assert_every_path_gives_the_definition(chain, kind, names):
    for name in names:
        engine, constants = PATHS[name]
        if engine == "stream" and kind not in generator.STREAMED_KINDS:
            continue
        with pytest.MonkeyPatch.context() as patch:
            for (module, constant), value in constants.items():
                patch.setattr(module, constant, value)
            assert_same(chain, kind, engine)


@settings(max_examples=8)
@given(chains, st.sampled_from(KINDS), st.sampled_from(sorted(PATHS)))
def test_every_engine_gives_the_coarsest_partition_and_its_quotient(chain, kind, path):
    assert_every_path_gives_the_definition(chain, kind, [path])


WIDE = [
    1,
    3,
    2**62,
    2**63 - 1,
    2**63,
    2**64 + 1,
    2**127 - 1,
    2**127,
    2**200 + 1,
    prime(0),
    2**200 + 1 + prime(0),
]


@st.composite
def wide_chains(draw):
    """Chains with weights of up to 200 bits, some of which are equal modulo 2^64 or modulo the first prime."""
    n = draw(st.integers(2, 5))
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(
        lambda pair: pair[0] != pair[1]
    )
    numbers = st.builds(Fraction, st.sampled_from(WIDE), st.sampled_from([1, 1, 3]))
    rates = draw(st.dictionaries(ends, numbers, min_size=1, max_size=12))
    marked = draw(st.sets(st.integers(0, n - 1), max_size=n))
    return CTMC.from_rates(rates, states=range(n), labels={"marked": sorted(marked)})


@settings(max_examples=8)
@given(wide_chains(), st.sampled_from(KINDS), st.sampled_from(sorted(PATHS)))
def test_weights_of_any_size_give_the_coarsest_partition_and_its_quotient(chain, kind, path):
    assert_every_path_gives_the_definition(chain, kind, [path])


def test_weights_that_agree_modulo_a_prime_are_told_apart():
    rates = {(0, 3): 2**200, (1, 3): 2**200 + prime(0), (2, 3): 2**200, (3, 0): 1}
    chain = CTMC.from_rates(rates, states=range(4), labels={"end": [3]})
    assert lumped(chain, engine="duckdb").partition == Partition([0, 1, 0, 2])


@pytest.mark.slow
@settings(max_examples=6)
@given(chains, st.sampled_from(KINDS))
def test_all_engines_give_the_coarsest_partition_and_its_quotient(chain, kind):
    assert_every_path_gives_the_definition(chain, kind, PATHS)


def test_a_collision_happens_and_is_repaired(tables, monkeypatch):
    colliding = functools.partial(refine_by_sql, bits=1)
    monkeypatch.setattr(lump_module, "refine_by_sql", colliding)
    seeds = []
    start = statements.Statements.start
    monkeypatch.setattr(
        statements.Statements,
        "start",
        lambda self, base, seed: seeds.append(seed) or start(self, base, seed),
    )
    chain = components(4, crew=2)
    found = lump_files(tables(chain), engine="duckdb")
    assert max(seeds) > 0, "one bit told everything apart"
    assert found.partition == lump(chain).partition


def test_every_engine_writes_the_same_bytes(tables, tmp_path, nothing_fits):
    files = tables(components(4, crew=3))
    written = set()
    for engine in ("memory", "stream", "hybrid", "duckdb"):
        blocks, quotient = tmp_path / f"{engine}.parquet", tmp_path / f"{engine}.q.parquet"
        lump_files(files, engine=engine, output=blocks, quotient=quotient)
        written.add((blocks.read_bytes(), quotient.read_bytes()))
    assert len(written) == 1


def test_the_quotient_is_a_table_that_can_be_lumped_again(tables, tmp_path):
    first = lump_files(tables(components(3, repair="1/3")), quotient=tmp_path / "q.parquet")
    again = lump_table(tmp_path / "q.parquet", respect=())
    assert again.stats.states == first.stats.blocks == 10
    table = parquet.read_table(tmp_path / "q.parquet")
    assert set(table.column("denominator").to_pylist()) == {900}


@pytest.mark.parametrize("engine", ["duckdb", "stream", "memory"])
def test_row_order_files_threads_and_keys_do_not_matter(tables, tmp_path, engine, nothing_fits):
    chain = tandem(5, 4)
    edges, listed = tables(chain)
    expected = lump(chain, respect="first full").partition
    table = parquet.read_table(edges)
    order = np.random.default_rng(1).permutation(len(table))
    parts = tmp_path / "parts"
    parts.mkdir()
    for i, places in enumerate(np.array_split(order, 3)):
        parquet.write_table(table.take(places), parts / f"{i}.parquet")
    states = parquet.read_table(listed).take(np.random.default_rng(2).permutation(chain.n))
    parquet.write_table(states, tmp_path / "states.parquet")
    options = {"respect": "first full", "engine": engine}
    for threads in (1, 2):
        found = lump_table(parts, states=tmp_path / "states.parquet", threads=threads, **options)
        assert found.partition == expected

    def named(column):
        return arrow.array([f"state {key:03}" for key in column.to_pylist()])

    renamed = table.take(order)
    for i, column in enumerate(("source", "target")):
        renamed = renamed.set_column(i, column, named(renamed.column(column)))
    parquet.write_table(renamed, tmp_path / "named.parquet")
    parquet.write_table(
        states.set_column(0, "state", named(states.column("state"))), tmp_path / "states.parquet"
    )
    output = tmp_path / "blocks.parquet"
    lump_table(
        tmp_path / "named.parquet", states=tmp_path / "states.parquet", output=output, **options
    )
    blocks = parquet.read_table(output)
    assert blocks.column("state").to_pylist() == [f"state {i:03}" for i in range(chain.n)]
    assert Partition(blocks.column("block").to_numpy()) == expected


@pytest.mark.parametrize("engine", ["duckdb", "stream", "memory"])
def test_csv_files_and_databases_hold_tables_too(tmp_path, engine):
    rows = [
        ("c", "a", "2"),
        ("a", "c", "0.1"),
        ("b", "c", "1/10"),
        ("b", "b", "7"),
        ("a", "b", "0"),
    ]
    edges, states = tmp_path / "edges.csv", tmp_path / "states.csv"
    edges.write_text("\n".join(map(",".join, [("source", "target", "rate"), *rows])))
    states.write_text("state,goal,cost\nc,true,0.5\na,false,1\nb,false,1\n")
    database = tmp_path / "chain.duckdb"
    with duckdb.connect(str(database)) as connection:
        for name in ("edges", "states"):
            query = f"CREATE TABLE {name} AS SELECT * FROM read_csv('{tmp_path / name}.csv', all_varchar = true)"
            connection.execute(query).fetchall()
        connection.execute("ALTER TABLE states ALTER goal TYPE BOOLEAN").fetchall()
        connection.execute("ALTER TABLE states ALTER cost TYPE DOUBLE").fetchall()
    for source in (edges, database):
        listed = states if source is edges else database
        found = lump_table(source, states=listed, engine=engine)
        assert found.partition == Partition([0, 0, 1])
        assert found.quotient.matrix.row(0) == [
            (1, CTMC([[0, "1/10"], [0, 0]]).matrix.row(0)[0][1])
        ]
        assert list(found.quotient.rewards) == ["cost"]


@pytest.mark.parametrize("engine", ["duckdb", "stream", "memory"])
def test_floats_are_read_as_the_rationals_that_were_meant(tmp_path, engine):
    edges = tmp_path / "edges.parquet"
    columns = {"source": [0, 1, 1, 2], "target": [2, 2, 2, 0], "rate": [0.3, 0.1, 0.2, 1 - 0.9]}
    parquet.write_table(arrow.table(columns), edges)
    parquet.write_table(
        arrow.table({"state": [0, 1, 2], "goal": [False, False, True]}), tmp_path / "s.parquet"
    )
    found = lump_table(edges, states=tmp_path / "s.parquet", engine=engine)
    assert found.partition == Partition([0, 0, 1])


@pytest.mark.parametrize("keys", [[5, 7, 9], ["source=x", "b", "c"]])
def test_folders_may_be_partitioned_by_keys(tmp_path, keys):
    """Names of folders are columns, as Spark and Hive write them."""
    for i, key in enumerate(keys):
        part = tmp_path / "edges" / f"source={str(key).replace('=', '%3D')}"
        part.mkdir(parents=True)
        columns = {"target": [keys[i - 1]], "rate": ["1/3"]}
        parquet.write_table(arrow.table(columns), part / "part [0].parquet")
    lump_table(tmp_path / "edges", output=tmp_path / "blocks.parquet")
    blocks = parquet.read_table(tmp_path / "blocks.parquet").to_pydict()
    assert blocks == {"state": sorted(keys), "block": [0, 0, 0]}


@pytest.mark.parametrize("engine", ["duckdb", "stream", "memory"])
def test_parallel_transitions_are_summed_where_nothing_lumps(tmp_path, engine):
    edges = tmp_path / "edges.parquet"
    columns = {"source": [0, 0, 1, 1], "target": [1, 1, 1, 0], "rate": [1, 1, 7, 0]}
    parquet.write_table(arrow.table(columns), edges)
    found = lump_table(edges, kind="bisimulation", engine=engine)
    assert found.stats.block_transitions == found.quotient.matrix.m == 2


def test_a_discrete_chain_is_one_by_its_column(tmp_path):
    edges = tmp_path / "edges.parquet"
    columns = {
        "source": [0, 0, 1, 2],
        "target": [1, 2, 0, 0],
        "probability": ["1/2", "0.5", "1", "1"],
    }
    parquet.write_table(arrow.table(columns), edges)
    found = lump_table(edges, engine="duckdb")
    assert isinstance(found.quotient, DTMC)
    assert len(found.partition) == 1


def test_progress_is_reported_after_every_round(tables):
    reports = []
    lump_files(tables(components(4)), engine="duckdb", progress=reports.append)
    assert [report.number for report in reports] == list(range(1, len(reports) + 1))
    assert isinstance(reports[0], rounds.RoundReport)
    assert reports[-1].blocks == 15
    seconds = [report.seconds for report in reports]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0

"""Families that are written directly are the chains of the examples, whatever the cuts into ranges."""

from __future__ import annotations

import pytest

from lumpability import lump
from lumpability.markov import examples
from lumpability.markov.examples import families
from lumpability.tables import lump_table, write_family, writing
from lumpability.tables.session import Session

pytest.importorskip("duckdb")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.mark.parametrize("states", [7, 1 << 17])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("components", {"count": 3, "crew": 2}), ("tandem", {"first": 5, "second": 3})],
)
def test_a_family_is_the_chain_of_the_examples(name, arguments, states, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_STATES", states)
    files = tmp_path / "edges.parquet", tmp_path / "states.parquet"
    write_family(getattr(families, name)(**arguments), *files)
    chain = getattr(examples, name)(**arguments)
    columns = parquet.read_table(files[0]).to_pydict()
    listed = zip(columns["source"], columns["target"], columns["rate"], strict=True)
    written = type(chain).from_rates(list(listed), states=range(chain.n))
    assert written.matrix.equals(chain.matrix)
    found = lump_table(files[0], states=files[1])
    assert found.partition == lump(chain).partition


def test_planted_blocks_are_found(tmp_path):
    files = tmp_path / "edges.parquet", tmp_path / "states.parquet"
    write_family(families.planted_blocks(900), *files)
    found = lump_table(files[0], states=files[1])
    assert found.partition.labels.tolist() == [state % 30 for state in range(900)]


def test_rows_in_the_order_of_sources_are_streamed_without_sorting(tmp_path, monkeypatch):
    edges, states = tmp_path / "edges.parquet", tmp_path / "states.parquet"
    monkeypatch.setattr(writing, "_STATES", 1 << 9)  # many groups of rows, which threads share
    write_family(families.planted_blocks(10_000), edges, states)
    queries = []
    batches = Session.batches
    monkeypatch.setattr(
        Session,
        "batches",
        lambda session, query, **options: (
            queries.append(query) or batches(session, query, **options)
        ),
    )
    lumping = lump_table(edges, states=states, engine="stream", memory="1GB", threads=2)
    assert lumping.stats.blocks == 100
    assert [query for query in queries if "code" in query and "ORDER BY" in query] == []

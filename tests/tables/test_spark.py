"""The statements run by Spark give the same partition, quotient and bytes; needs pyspark and a JVM."""

from __future__ import annotations

import shutil

import pytest

from lumpability import lump
from lumpability.markov.examples import components
from lumpability.tables import lump_table, write_chain

pytest.importorskip("pyspark")
pytest.importorskip("duckdb")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def spark():
    if shutil.which("java") is None:
        pytest.skip("there is no JVM here")
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]")
    for name, value in (
        ("spark.ui.enabled", "false"),
        ("spark.sql.shuffle.partitions", "2"),
        ("spark.ui.showConsoleProgress", "false"),
    ):
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["ordinary", "bisimulation", "exact", "strict"])
def test_spark_gives_the_partition_and_the_bytes_of_other_engines(spark, tmp_path, kind):
    chain = components(3, crew=2)
    edges, states = tmp_path / "edges.parquet", tmp_path / "states.parquet"
    write_chain(chain, edges, states)
    written = []
    for engine in ("memory", "spark"):
        blocks, quotient = tmp_path / f"{engine}.parquet", tmp_path / f"{engine}.q.parquet"
        found = lump_table(
            edges,
            states=states,
            kind=kind,
            engine=engine,
            spark=spark,
            output=blocks,
            quotient=quotient,
        )
        assert found.quotient.matrix.equals(lump(chain, kind=kind).quotient.matrix)
        written.append((blocks.read_bytes(), quotient.read_bytes()))
    assert written[0] == written[1]

"""The statements run by Spark give the same partition, quotient and bytes; needs pyspark and a JVM."""

from __future__ import annotations

import shutil
from fractions import Fraction

import pytest

from lumpability import CTMC, lump
from lumpability.markov.examples import components
from lumpability.numbers.integers import prime
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


def wide():
    """A chain that lumps, with rates of up to 200 bits; some are equal modulo the first prime of 31 bits."""
    weights = [2**40, 2**200, 2**200 + prime(0, 31), Fraction(2**90 + 1, 3)]
    rates = {}
    for block, weight in enumerate(weights):
        for member in range(3):
            state = 3 * block + member
            rates[state, 3 * ((block + 1) % 4) + (member + block) % 3] = weight
            rates[state, 3 * ((block + 2) % 4) + (member + 1) % 3] = weights[block - 1] + 5
    return CTMC.from_rates(rates, states=range(12), labels={"up": [0, 1, 2]})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "kind", ["ordinary", "bisimulation", "exact", "strict", "exact of wide", "strict of wide"]
)
def test_spark_gives_the_partition_and_the_bytes_of_other_engines(spark, tmp_path, kind):
    kind, of, _ = kind.partition(" of ")
    chain = wide() if of else components(3, crew=2)
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


def test_a_run_on_spark_goes_on_after_its_last_full_round(spark, tmp_path):
    edges, states, work = tmp_path / "edges.parquet", tmp_path / "states.parquet", tmp_path / "work"
    write_chain(components(3), edges, states)
    given = {"states": states, "engine": "spark", "spark": spark, "temp": work}
    numbers = []

    def stop_after_one(report):
        numbers.append(report.number)
        if report.number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lump_table(edges, **given, progress=stop_after_one)
    found = lump_table(edges, **given, resume=True, progress=stop_after_one)
    assert numbers == list(range(1, found.rounds + 1))
    assert found.partition == lump(components(3)).partition
    assert not list(work.iterdir())

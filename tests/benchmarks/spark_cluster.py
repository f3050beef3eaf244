"""Lump an edge table on a Spark cluster on this machine, and kill one of its executors in the middle.

    PYTHONPATH=. python tests/benchmarks/spark_cluster.py [--states 1e6] [--cluster local-cluster[2,1,1024]]

The table is a planted chain with ten transitions from every state.  After the first round an executor is
killed with SIGKILL; Spark starts another one and computes again what was lost.  The blocks must be those that the
engine "stream" writes, byte for byte.  Needs pyspark and a JVM.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
from pathlib import Path

from lumpability.markov.examples.families import planted_blocks
from lumpability.tables import lump_table, write_family
from lumpability.tables.rounds import RoundReport

EXECUTOR = "CoarseGrainedExecutorBackend"


def executors(parent: int) -> list[int]:
    """Return the processes of executors among the descendants of a process."""
    found = []
    for listed in Path(f"/proc/{parent}/task").glob("*/children"):
        for child in map(int, listed.read_text().split()):
            command = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace")
            found += (
                [child] if EXECUTOR in command.split("\0") or f".{EXECUTOR}\0" in command else []
            )
            found += executors(child)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--states", type=float, default=1e6)
    parser.add_argument("--cluster", default="local-cluster[2,1,1024]")
    options = parser.parse_args()
    import pyspark
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    builder = SparkSession.builder.master(options.cluster).config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.shuffle.partitions", "8")
    spark = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")  # it would tell of the executor that is lost
    killed: list[int] = []

    def kill_one(report: RoundReport) -> None:
        print(
            f"round {report.number}: {report.blocks:,} blocks, {time.time() - start:.0f} s",
            flush=True,
        )
        if not killed:
            killed.append(executors(os.getpid())[0])
            os.kill(killed[0], signal.SIGKILL)
            print(f"killed executor {killed[0]}", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tables = folder / "edges.parquet", folder / "states.parquet"
        write_family(planted_blocks(int(options.states)), *tables)
        start = time.time()
        written = []
        for engine in ("spark", "stream"):
            output = folder / f"{engine}.parquet"
            found = lump_table(
                tables[0], states=tables[1], engine=engine, spark=spark, temp=folder / "work", output=output,
                progress=kill_one if engine == "spark" else None,
            )  # fmt: skip
            print(
                f"{engine}: {found}, {found.stats.transitions:,} transitions, {time.time() - start:.0f} s"
            )
            written.append(output.read_bytes())
    spark.stop()
    if not killed or written[0] != written[1]:
        raise SystemExit("no executor was killed" if not killed else "the blocks differ")
    print("the same blocks")


if __name__ == "__main__":
    main()

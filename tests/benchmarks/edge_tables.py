"""Lump edge tables with every engine, each in a process of its own: CPU seconds, peak memory, disk.

    PYTHONPATH=. python tests/benchmarks/edge_tables.py [--sizes 1e5 1e6] [--folder DIR] [--write FILE]

Planted chains of the sizes given in states, with ten transitions from every state, and two queues in series,
which need as many rounds as a queue has places.  They are written by `write_family`.  All
engines must write the same bytes.  CPU seconds are user and system time of the whole process, start included;
memory is its peak resident set; disk is what the working folder took at most after a round.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from suite.measuring import titled

from lumpability.markov.examples.families import planted_blocks, tandem
from lumpability.tables import write_family

MEMORY = {"stream": "400MB", "duckdb": "2GB", "hybrid": "2GB", "memory": "16GB"}
COLUMNS = (
    "table",
    "transitions",
    "blocks",
    "rounds",
    "engine",
    "limit",
    "CPU s",
    "RSS MB",
    "disk MB",
)
SCRIPT = """
import json, resource, sys
from lumpability.tables import lump_table, streaming

folder, engine, memory = sys.argv[1:]
if engine == "stream":
    streaming._BYTES_OF_ROW = 1 << 60  # nothing is finished in memory
disk = [0]
found = lump_table(
    f"{folder}/edges.parquet", states=f"{folder}/states.parquet", engine=engine, memory=memory,
    output=f"{folder}/{engine}.parquet", temp=f"{folder}/work", progress=lambda done: disk.append(done.disk),
)
used = resource.getrusage(resource.RUSAGE_SELF)
stats = found.stats
print(json.dumps({
    "transitions": stats.transitions, "blocks": stats.blocks, "rounds": found.rounds,
    "cpu": used.ru_utime + used.ru_stime, "rss": used.ru_maxrss / 1e3, "disk": max(disk) / 1e6,
}))
"""


def measure(folder: Path, engine: str) -> dict[str, Any]:
    arguments = [sys.executable, "-c", SCRIPT, str(folder), engine, MEMORY[engine]]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    found["digest"] = hashlib.sha256((folder / f"{engine}.parquet").read_bytes()).hexdigest()
    return found


def lines(name: str, folder: Path, engines: list[str]) -> list[str]:
    rows, digests = [], set()
    for engine in engines:
        found = measure(folder, engine)
        digests.add(found["digest"])
        cells = (
            name, f"{found['transitions']:,}", f"{found['blocks']:,}", f"{found['rounds']:,}", engine,
            MEMORY[engine], f"{found['cpu']:.1f}", f"{found['rss']:,.0f}", f"{found['disk']:,.0f}",
        )  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    if len(digests) > 1:
        raise SystemExit(f"the engines wrote different blocks of {name}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=float, nargs="*", default=[1e5, 1e6])
    parser.add_argument("--queues", type=int, nargs="*", default=[127])
    parser.add_argument("--engines", nargs="*", default=["memory", "stream", "hybrid", "duckdb"])
    parser.add_argument(
        "--folder", type=Path, help="where tables are kept; a temporary folder by default"
    )
    parser.add_argument("--write", type=Path, help="write the table to this file as well")
    options = parser.parse_args()
    table = [titled(), "", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    print("\n".join(table), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        families = {f"planted:{int(n)}": planted_blocks(int(n)) for n in options.sizes}
        families |= {f"tandem:{k}": tandem(k, k) for k in options.queues}
        for name, family in families.items():
            folder = (options.folder or Path(scratch)) / name.replace(":", "-")
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "edges.parquet").exists():
                write_family(family, folder / "edges.parquet", folder / "states.parquet")
            table += lines(name, folder, options.engines)
    if options.write is not None:
        options.write.write_text("\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What the first minute costs: import, a first small lumping, compiling and loading the kernel.

    PYTHONPATH=. python tests/benchmarks/start_up.py [--write]

Every measurement is a fresh process.  Its CPU seconds count, without those of importing numpy and scipy.sparse;
the import of the library is inside the timer.  Medians of `--runs` processes.  Compiling uses an empty cache in a
temporary folder (``NUMBA_CACHE_DIR``), loading the cache that this filled.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from suite.measuring import titled

import lumpability

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "start-up-table.txt"
BASE = "import numpy, scipy.sparse"
SMALL = """
from lumpability import lump
from lumpability.markov.examples import cycle_walk
lump(cycle_walk(10))"""
BUILT = """
from lumpability import DTMC, lump
rates = {(i, j % 10): "1/2" for i in range(10) for j in (i - 1, i + 1)}
lump(DTMC.from_rates(rates, labels={"origin": [0]}))"""
SHALLOW = """
from lumpability import lump
from lumpability.markov.examples import machine_repair
lump(machine_repair(16))"""
DEEP = """
from lumpability import lump
from lumpability.markov.examples import tandem
lump(tandem(577, 577))"""
HISTORY = f"{DEEP}.history"
LARGE = {
    "lump 1,048,576 transitions to 17 blocks (machine_repair:16)": SHALLOW,
    "lump 1,000,518 transitions to 334,084 blocks (tandem:577)": DEEP,
    "the same, and make a history": HISTORY,
}


def seconds(code: str, cache: str) -> float:
    """Run a program in a process of its own; return its CPU seconds beyond the base."""
    here = str(Path(lumpability.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": here, "NUMBA_CACHE_DIR": cache}
    timed = f"{BASE}\nimport time; started = time.process_time()\n{code}\nprint(time.process_time() - started)"
    done = subprocess.run(
        [sys.executable, "-c", timed], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def median(code: str, cache: str, runs: int) -> float:
    return statistics.median(seconds(code, cache) for _ in range(runs))


def table(runs: int) -> list[str]:
    """Measure, and return the lines of a markdown table."""
    compiling = {}
    for title, code in LARGE.items():
        with tempfile.TemporaryDirectory() as cache:
            compiling[title] = seconds(code, cache)
    with tempfile.TemporaryDirectory() as cache:
        for code in (BUILT, *LARGE.values()):
            seconds(code, cache)  # brings files into the page cache, and compiles
        small = {
            "import lumpability": (median("import lumpability", cache, runs), ""),
            "import it, and lump a 10-state chain": (median(SMALL, cache, runs), "0.15"),
            "import it, build such a chain and lump it": (median(BUILT, cache, runs), ""),
        }
        loading = {title: median(code, cache, runs) for title, code in LARGE.items()}
    bars = {title: "12" if code is not HISTORY else "" for title, code in LARGE.items()}
    return [
        "| in a fresh process, beyond importing numpy and scipy.sparse | CPU seconds | at most |",
        "|---|---|---|",
        *(f"| {title} | {time:.3f} | {most} |" for title, (time, most) in small.items()),
        *(
            f"| {title}, nothing compiled | {compiling[title]:.1f} | {bars[title]} |"
            for title in LARGE
        ),
        *(f"| {title}, compiled before | {time:.2f} | |" for title, time in loading.items()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in the guides")
    options = parser.parse_args()
    text = "\n".join([titled(), "", *table(options.runs)])
    print(text)
    if options.write:
        PAGE.write_text(text + "\n")


if __name__ == "__main__":
    main()

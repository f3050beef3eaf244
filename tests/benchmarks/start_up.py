"""What the first minute costs: import, a first small lumping, compiling and loading the kernel.

    PYTHONPATH=. python tests/benchmarks/start_up.py [--write]

Every measurement is a fresh process; medians of `--runs` of them, in turn.  Compiling uses an empty cache in a
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
TIMED = "import time; started = time.perf_counter()\n{}\nprint(time.perf_counter() - started)"
BASE = "import numpy, scipy.sparse"
SMALL = f"""{BASE}
from lumpability import lump
from lumpability.markov.examples import cycle_walk
chain = cycle_walk(10)
{TIMED.format("lump(chain)")}"""
BUILT = f"""{BASE}
from lumpability import DTMC, lump
rates = {{(i, j % 10): "1/2" for i in range(10) for j in (i - 1, i + 1)}}
{TIMED.format("lump(DTMC.from_rates(rates, labels={'origin': [0]}))")}"""


def large(chain: str, call: str) -> str:
    """Return a program that lumps a chain of `lumpability.markov.examples`."""
    return f"""{BASE}
from lumpability import lump
from lumpability.markov.examples import machine_repair, tandem
chain = {chain}
{TIMED.format(call)}"""


SHALLOW = "lump 106,496 transitions (machine_repair:13)", large("machine_repair(13)", "lump(chain)")
DEEP = "lump 1,000,518 transitions (tandem:577)", large("tandem(577, 577)", "lump(chain)")
SWEEPING, FOLLOWING = (
    large(chain, "lump(chain, engine='kernel')")
    for chain in ("machine_repair(16)", "tandem(577, 577)")
)
COMPLETE = f"""{SWEEPING}
from lumpability.refinement.kernel_warm import is_warm
while not is_warm(chain.matrix):
    time.sleep(0.05)
print(time.perf_counter() - started)"""


def printed(code: str, cache: str) -> list[float]:
    """Run a program that prints times."""
    here = str(Path(lumpability.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": here, "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [float(time) for time in done.stdout.split()]


def seconds(code: str, cache: str) -> float:
    (time,) = printed(code, cache)
    return time


def median(code: str, cache: str, runs: int) -> float:
    return statistics.median(seconds(code, cache) for _ in range(runs))


def compiling() -> tuple[float, float]:
    """Return how long a chain that is only swept waits for the kernel, and how long it takes to have all of it."""
    with tempfile.TemporaryDirectory() as cache:
        waited, complete = printed(COMPLETE, cache)
        return waited, complete


def table(runs: int) -> list[str]:
    """Measure, and return the lines of a markdown table."""
    waited, complete = compiling()
    base, ours = TIMED.format(BASE), TIMED.format(f"{BASE}\nimport lumpability")
    with tempfile.TemporaryDirectory() as cache:
        seconds(ours, cache)  # brings the files into the page cache
        pairs = [(seconds(base, cache), seconds(ours, cache)) for _ in range(runs)]
        before, after = (statistics.median(column) for column in zip(*pairs, strict=True))
        return [
            "| in a fresh process | seconds | at most |",
            "|---|---|---|",
            f"| import numpy, scipy.sparse | {before:.3f} | |",
            f"| import lumpability, beyond that | {after - before:.3f} | 0.15 |",
            f"| lump a 10-state chain, first call | {median(SMALL, cache, runs):.3f} | 0.2 |",
            f"| build such a chain and lump it | {median(BUILT, cache, runs):.3f} | |",
            *(
                f"| {title}, nothing compiled | {seconds(code, cache):.2f} | |"
                for title, code in (SHALLOW, DEEP)
            ),
            f"| compile the engine, and lump 1,048,576 transitions (machine_repair:16) by it | {waited:.1f} | |",
            f"| the same, and wait until all of it is compiled | {complete:.1f} | |",
            f"| compile the engine, and lump tandem:577 by it | {seconds(FOLLOWING, cache):.1f} | |",
            *(
                f"| {title}, compiled before | {median(code, cache, runs):.2f} | |"
                for title, code in (SHALLOW, DEEP)
            ),
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

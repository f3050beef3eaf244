"""Time our exact bisimulation against Storm's in double precision: same chains, same run, interleaved.

    python tests/benchmarks/lumping_against_storm.py [--runs 5] [--write docs/guides/performance-table.txt] [MODEL ...]

Both sides are timed from a chain object in memory to a quotient object in memory; Storm's sparse model
is built from the same arrays beforehand.  A run of one is followed by a run of the other, and medians are
reported.  MODEL is a file that `lumpability.formats.read` takes, or a family and its size such as
``machine_repair:20``; by default every .npz beside the project with at least 100,000 transitions,
and generated families.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

import lumpability
from lumpability import CTMC, DTMC, lump
from lumpability.formats import read
from lumpability.formats.storm import to_stormpy
from lumpability.markov import examples

CHAINS = Path(__file__).parents[3] / "shared" / "chains"
FAMILIES: dict[str, Callable[[int], CTMC | DTMC]] = {
    "components": examples.components,
    "ehrenfest": examples.ehrenfest,
    "machine_repair": examples.machine_repair,
    "polling": examples.polling,
    "tandem": lambda size: examples.tandem(size, size),
    "torus_walk": examples.torus_walk,
}
SMALLEST = 100_000  # transitions


@dataclass(frozen=True)
class Row:
    """One model: sizes, and seconds of either side."""

    name: str
    states: int
    transitions: int
    blocks: int
    storm: float
    ours: float

    @property
    def ratio(self) -> float:
        return self.storm / self.ours

    def __str__(self) -> str:
        each = 1e9 / self.transitions
        return (
            f"| {self.name} | {self.states:,} | {self.transitions:,} | {self.blocks:,} | "
            f"{self.storm:.4f} | {self.ours:.4f} | {each * self.storm:.0f} | {each * self.ours:.0f} | "
            f"{self.ratio:.2f} |"
        )


HEADER = (
    "| model | states | transitions | blocks | Storm s | ours s | Storm ns/transition | "
    "ours ns/transition | Storm / ours |\n|---|---|---|---|---|---|---|---|---|"
)


def load(model: str) -> CTMC | DTMC:
    """Read a file, or build a member of a family; rewards are left out, Storm would ignore them."""
    family, _, size = model.partition(":")
    chain = FAMILIES[family](int(size)) if family in FAMILIES else read(model)
    start = np.zeros(chain.n, dtype=np.int64)
    start[0] = 1
    return chain.rebuilt(chain.matrix, labels=chain.labels, initial=start)


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def measure(name: str, chain: CTMC | DTMC, runs: int) -> Row:
    """Run both sides in turn and take medians; block counts must agree."""
    from stormpy.transformations import BisimulationType, perform_bisimulation

    model = to_stormpy(chain, exact=False)
    strong = BisimulationType.STRONG

    def storm() -> int:
        return int(perform_bisimulation(model, None, bisimulation_type=strong).nr_states)

    def ours() -> int:
        return lump(chain, kind="bisimulation", respect="labels").quotient.n

    blocks, storm_blocks = ours(), storm()
    if blocks != storm_blocks:
        print(f"{name}: Storm has {storm_blocks} blocks, we have {blocks}", file=sys.stderr)
    pairs = [(seconds(storm), seconds(ours)) for _ in range(runs)]
    storm_median, our_median = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Row(name, chain.n, chain.matrix.m, blocks, storm_median, our_median)


def suite() -> list[str]:
    """The default models: real ones where they are present, and families."""
    files = [str(path) for path in sorted(CHAINS.glob("*.npz"))]
    return [
        *files,
        "machine_repair:16",
        "polling:13",
        "tandem:255",
        "torus_walk:500",
        "ehrenfest:16",
    ]


def machine() -> str:
    """Name processor, cores and versions."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    import os

    versions = ", ".join(f"{p} {version(p)}" for p in ("numpy", "numba", "stormpy"))
    return (
        f"{processor}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}, "
        f"lumpability {lumpability.__version__}; load {os.getloadavg()[0]:.1f} at the start"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", type=Path, help="write the table to this file as well")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the block counts say what is trivial
    lines = [machine(), "", HEADER]
    print("\n".join(lines), flush=True)
    ratios = []
    for model in options.models or suite():
        chain = load(model)
        if chain.matrix.m < SMALLEST:
            continue
        row = measure(Path(model).stem, chain, options.runs)
        ratios.append(row.ratio)
        lines.append(str(row))
        print(row, flush=True)
    lines += ["", f"Geometric mean of Storm / ours: {statistics.geometric_mean(ratios):.2f}"]
    print("\n".join(lines[-2:]))
    if options.write:
        options.write.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

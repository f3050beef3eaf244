"""How often blocks are recovered after every rate has been multiplied by a random number between 1 - d and 1 + d.

    PYTHONPATH=. python tests/benchmarks/jittered_chains.py                  # 200 seeds over nine families
    PYTHONPATH=. python tests/benchmarks/jittered_chains.py --seeds 20
    PYTHONPATH=. python tests/benchmarks/jittered_chains.py --write          # keeps the table for the page

d takes values from 1e-4 to 5e-2 in turn; the tolerance is 2 d / (1 - d).  Rows of chains in discrete time are divided by
their sums afterwards, which changes them by up to d once more, so there it is twice that.  What is compared with is the
coarsest lumping of the chain before the jitter.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np

from lumpability import DTMC, Partition, lump
from lumpability.markov import MarkovChain
from lumpability.markov.examples import (
    components,
    cycle_walk,
    ehrenfest,
    hypercube_walk,
    machine_repair,
    moran,
    planted,
    polling,
    sis_epidemic,
)
from lumpability.markov.matrices import divide_rows
from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "jittered-chains-table.txt"
JITTERS = [Fraction(x) for x in ("1/10000", "1/1000", "1/100", "1/50", "1/20")]


def with_a_label(chain: MarkovChain, partition: Partition) -> MarkovChain:
    """Return the chain with a label on the first block."""
    return chain.rebuilt(chain.matrix, labels={"first": partition.labels == 0})


FAMILIES: dict[str, Callable[[int], MarkovChain]] = {
    "machine_repair(8)": lambda seed: machine_repair(8),
    "ehrenfest(5)": lambda seed: ehrenfest(5),
    "sis_epidemic(4)": lambda seed: sis_epidemic(4),
    "hypercube_walk(6)": lambda seed: hypercube_walk(6),
    "cycle_walk(30)": lambda seed: cycle_walk(30),
    "components(4)": lambda seed: components(4),
    "moran(5)": lambda seed: moran(5),
    "polling(4)": lambda seed: polling(4),
    "planted": lambda seed: with_a_label(*planted("ordinary", [5, 4, 6, 3], seed=seed)),
}


@cache
def factors(d: Fraction) -> list[Fraction]:
    """Return 2,001 numbers from 1 - d to 1 + d."""
    return [1 + d * Fraction(i, 1000) for i in range(-1000, 1001)]


def jittered(chain: MarkovChain, d: Fraction, seed: int) -> MarkovChain:
    """Return the chain with every rate multiplied by a random number between 1 - d and 1 + d."""
    random = np.random.default_rng(seed)
    factor = ExactArray.of_values(random.integers(0, 2001, chain.matrix.m), factors(d))
    matrix = chain.matrix
    weights = matrix.weights.combine(factor, lambda rate, times: rate * times)
    changed = WeightedStructure(matrix.indptr, matrix.indices, weights, matrix.within)
    if isinstance(chain, DTMC):
        changed = divide_rows(changed, changed.row_sums())
    return chain.rebuilt(
        changed,
        states=chain.states,
        labels=chain.labels,
        rewards=chain.rewards,
        initial=chain.initial,
    )


def is_recovered(family: str, seed: int) -> bool:
    """Whether the partition within the tolerance is the coarsest lumping of the chain before the jitter."""
    d = JITTERS[seed % len(JITTERS)]
    chain = FAMILIES[family](seed)
    tolerance = 2 * d / (1 - d) * (2 if isinstance(chain, DTMC) else 1)
    found = lump(jittered(chain, d, seed), tolerance=tolerance).partition
    return found == lump(chain).partition


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="keep the table for the page")
    asked = parser.parse_args()
    lines = ["| family | states | blocks | recovered | CPU s |", "|---|---|---|---|---|"]
    for family, make in FAMILIES.items():
        begun = time.process_time()
        good = sum(is_recovered(family, seed) for seed in range(asked.seeds))
        small = lump(make(0))
        cost = time.process_time() - begun
        sizes = f"{small.chain.n} | {small.quotient.n}"
        lines.append(f"| `{family}` | {sizes} | {good} of {asked.seeds} | {cost:.1f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    print("\n".join(lines))
    if asked.write:
        PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

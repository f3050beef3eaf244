"""Refine small random structures on every path of the kernel, and compare with brute force.

    python tests/refinement/kernel/random_structures.py --runs 1000000 --seed 1

Structures have one to ten states, one to three initial blocks and few different weights, some negative; half of them
have no cycles but loops, or hardly any, so that states settle.  Rows may be closed.  Brute force splits blocks by
dictionaries of integer sums until nothing splits; one run in two hundred is compared with `refinement.definition` too.
One in ten compares the quotient.  Runs depend on the seed alone.
"""

from __future__ import annotations

import argparse
import time
from fractions import Fraction
from math import inf
from typing import Any

import numpy as np
import pytest
from kernel_rounds import PATHS, only_primes, take

from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.refinement import definition, kernel
from lumpability.refinement.kernel import settle
from lumpability.refinement.kernel.quotient import collapse
from lumpability.refinement.stability import first_rows
from lumpability.structure import WeightedStructure

WEIGHTS = ([1, 2], [-1, 1, 2], [1, 5], [1, 2, 3])
TOGETHER = 50  # runs on one path
Rows = list[list[tuple[int, int]]]


def drawn(random: np.random.Generator) -> tuple[WeightedStructure, Rows]:
    """Return a structure, and its rows of (target, integer)."""
    n = int(random.integers(1, 11))
    goes = random.random((n, n)) < random.random() / 2
    shape = random.random()
    if shape < 0.5:
        goes = np.triu(goes)
    if shape < 0.25:
        goes |= random.random((n, n)) < 0.03
    weights = WEIGHTS[int(random.integers(len(WEIGHTS)))]
    scale = Fraction(1, int(random.integers(1, 7)))
    codes = random.integers(0, len(weights), (n, n))[goes]
    sources, targets = np.nonzero(goes)
    rows: Rows = [[] for _ in range(n)]
    for source, target, code in zip(
        sources.tolist(), targets.tolist(), codes.tolist(), strict=True
    ):
        rows[source].append((target, weights[code]))
    structure = WeightedStructure(
        np.append(0, np.cumsum(goes.sum(axis=1))),
        targets.astype(np.int32),
        ExactArray(codes.astype(np.uint8), tuple(weight * scale for weight in weights)),
        Partition(random.integers(0, int(random.integers(1, 4)), n)),
        bool(random.random() < 0.4),
    )
    return structure, rows


def coarsest(rows: Rows, labels: list[int], closed: bool) -> list[int]:
    """Split by sums until nothing splits; blocks are numbered by their first members."""
    while True:
        number: dict[Any, int] = {}
        after = []
        for state, row in enumerate(rows):
            sums: dict[int, int] = {}
            for target, weight in row:
                sums[labels[target]] = sums.get(labels[target], 0) + weight
            if closed:  # the diagonal makes rows sum to zero, so the sum into the own block follows from others
                sums.pop(labels[state], None)
            key = (labels[state], frozenset((b, total) for b, total in sums.items() if total))
            after.append(number.setdefault(key, len(number)))
        if len(number) == len(set(labels)):
            return after
        labels = after


def compare(runs: int, seed: int) -> None:
    """Compare so many; an `AssertionError` tells the first that differs."""
    random = np.random.default_rng(seed)
    paths = [(path, modulus) for path in PATHS for modulus in (None, only_primes)]
    for done in range(0, runs, TOGETHER):
        path, modulus = paths[done // TOGETHER % len(paths)]
        with pytest.MonkeyPatch.context() as patch:
            if path == "as it comes" and done // TOGETHER % 3:
                patch.setattr(settle, "_ROW_LENGTH", inf)
            take(path, patch)
            if modulus is not None:
                patch.setattr(kernel, "moduli", modulus)
            for run in range(done, min(done + TOGETHER, runs)):
                check(run, *drawn(random))


def check(run: int, structure: WeightedStructure, rows: Rows) -> None:
    """Compare one."""
    start = structure.within
    expected = coarsest(rows, start.labels.tolist(), structure.closed)
    found = kernel.refine(structure, start, threads=1 + run % 3)
    assert found.labels.tolist() == expected, (structure.closed, start, rows, expected, found)
    if run % 10 == 0 and len(found) < structure.n:
        quotient = collapse(structure, found)
        plain = first_rows(structure, found).explicit()
        assert quotient.explicit().equals(plain), (rows, found)
    if run % 200 == 0:
        assert definition.refine([structure.explicit()], start) == found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.process_time()
    compare(options.runs, options.seed)
    seconds = time.process_time() - started
    print(
        f"{options.runs:,} structures, seed {options.seed}: all equal, {seconds:,.0f} CPU seconds"
    )


if __name__ == "__main__":
    main()

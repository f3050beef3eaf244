"""Time the grouping of the neurons of wide dense layers: against one read of their memory, and others.

    python tests/benchmarks/network_layers.py [--runs 5] [--write docs/guides/network-performance-table.txt]

Layers of random float32 weights, sizes growing: all neurons distinct, with rows or with columns
contiguous in memory, and half of the neurons multiples of others by 2 or 3.  Beside the dense path, which
proves what it finds,

* `numpy.sum` of the same array: one read of its memory;
* hashing in numpy: every column divided by its first entry, its bits multiplied by random odd numbers and
  added, the sums sorted: what one writes in five lines; proves nothing;
* hashing in Python: the divided columns as bytes in a dictionary;
* comparing in pairs: every divided column with one of each class so far, up to 1,024 neurons.

Runs of all are interleaved; medians are reported.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
from suite.measuring import seconds, titled

from lumpability.networks.merging import group_columns
from lumpability.numbers.float_arrays import Array
from lumpability.numbers.groups import Group
from lumpability.structure.dense import DenseStructure, RowClasses

SIZES = ((256, 1_024), (1_024, 4_096), (4_096, 16_384))
PAIRS_UP_TO = 1_024  # neurons
SIDES = ("ours", "numpy.sum", "numpy hash", "Python hash", "pairs")


def layers(rows: int, neurons: int) -> dict[str, Array]:
    """Layers of one size, by name."""
    random = np.random.default_rng(0)
    distinct = random.standard_normal((rows, neurons), dtype=np.float32)
    # Weights of 12 bits, so that three times a weight is a float32.
    short = np.round(distinct * 256) / np.float32(256)
    halves = short[:, random.integers(0, neurons // 2, size=neurons)]
    halves[:, neurons // 3 :] *= 2
    halves[:, 2 * neurons // 3 :] *= 3
    return {
        "distinct": distinct,
        "distinct, columns contiguous": np.asfortranarray(distinct),
        "half are multiples": halves,
        "half are multiples, columns contiguous": np.asfortranarray(halves),
    }


def divided(matrix: Array) -> Array:
    """Columns divided by the size of their first nonzero entry, in double precision."""
    wide = matrix.astype(np.float64)
    first = wide[(wide != 0).argmax(axis=0), np.arange(wide.shape[1])]
    return np.asarray(wide / np.abs(first) + 0.0)


def by_numpy_hash(matrix: Array) -> int:
    odd = np.random.default_rng(1).integers(0, 2**63, len(matrix), dtype=np.uint64) * 2 + 1
    bits = divided(matrix).view(np.uint64)
    return len(np.unique((bits ^ (bits >> 33)).T @ odd))


def by_python_hash(matrix: Array) -> int:
    return len({column.tobytes() for column in divided(matrix).T})


def by_pairs(matrix: Array) -> int:
    columns = np.ascontiguousarray(divided(matrix).T)
    classes: list[int] = []
    for number, column in enumerate(columns):
        if not any(np.array_equal(column, columns[other]) for other in classes):
            classes.append(number)
    return len(classes)


def measure(name: str, matrix: Array, runs: int) -> str:
    """Time all sides on one layer; a line of the table."""
    summed = DenseStructure(matrix, None, RowClasses.separate(len(matrix)))
    classes = len(np.unique(group_columns(summed, Group.POSITIVE).leader))
    others: dict[str, Callable[[Array], int]] = {
        "numpy hash": by_numpy_hash,
        "Python hash": by_python_hash,
    }
    if matrix.shape[1] <= PAIRS_UP_TO:
        others["pairs"] = by_pairs
    for side, other in others.items():
        found = other(matrix)
        if found != classes:
            raise SystemExit(f"{side} finds {found} classes in {name}, not {classes}")
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: group_columns(summed, Group.POSITIVE),
        "numpy.sum": matrix.sum,
        **{side: lambda other=other: other(matrix) for side, other in others.items()},
    }
    times: dict[str, list[float]] = {side: [] for side in calls}
    for _ in range(runs):
        for side, call in calls.items():
            times[side].append(seconds(call))
    taken = {side: statistics.median(found) for side, found in times.items()}
    cells = [f"{1e3 * taken[side]:,.2f}" if side in taken else "" for side in SIDES]
    ratios = [f"{taken[side] / taken['ours']:,.1f}" if side in taken else "" for side in SIDES[2:]]
    size = f"{matrix.shape[0]:,} x {matrix.shape[1]:,}"
    cost = f"{taken['ours'] / taken['numpy.sum']:.2f}"
    return f"| {name} | {size} | {classes:,} | {' | '.join([*cells, cost, *ratios])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", type=Path, help="write the table to this file as well")
    options = parser.parse_args()
    columns = ["layer", "rows x neurons", "classes", *(f"{side} ms" for side in SIDES)]
    columns += ["ours / numpy.sum", *(f"{side} / ours" for side in SIDES[2:])]
    lines = [titled(), "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    print("\n".join(lines), flush=True)
    for rows, neurons in SIZES:
        for name, matrix in layers(rows, neurons).items():
            lines.append(measure(name, matrix, options.runs))
            print(lines[-1], flush=True)
    if options.write:
        options.write.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Time the grouping of the neurons of a wide dense layer against one read of its memory.

    python tests/benchmarks/wide_layers.py

A 4096 x 16384 float32 layer without duplicates, with rows or with columns contiguous in memory, and one
in which half of the neurons are multiples of others; beside them `numpy.sum` of the same array.  Best of
five runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from lumpability.networks.activations import Group
from lumpability.networks.aggregation import Aggregation, Incoming
from lumpability.networks.columns import group_columns


def best_of_five(action: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((4096, 16384), dtype=np.float32)
    doubled = wide[:, rng.integers(0, 8192, size=16384)].copy()
    doubled[:, 5000:] *= 2
    print(
        "| layer | neurons | classes | ours ms | numpy.sum ms | ratio |\n|---|---|---|---|---|---|"
    )
    for name, matrix in (
        ("distinct, rows contiguous", wide),
        ("distinct, columns contiguous", np.asfortranarray(wide)),
        ("half are multiples", doubled),
    ):
        summed = Aggregation(matrix, None, Incoming.separate(len(matrix)))
        found = group_columns(summed, Group.POSITIVE)
        ours = best_of_five(lambda summed=summed: group_columns(summed, Group.POSITIVE))
        read = best_of_five(matrix.sum)
        print(
            f"| {name} | {matrix.shape[1]:,} | {len(set(found.leader.tolist())):,} | "
            f"{1e3 * ours:.1f} | {1e3 * read:.1f} | {ours / read:.1f} |"
        )


if __name__ == "__main__":
    main()

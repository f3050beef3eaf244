"""Total rates between blocks, compiled: the same as sums of entries."""

from fractions import Fraction

import numpy as np
import pytest

from lumpability import Partition
from lumpability.markov.approximate.block_totals import totals_between_blocks
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.structure import WeightedStructure


@pytest.mark.parametrize("seed", range(6))
def test_totals_are_the_sums_of_the_entries_of_blocks(seed):
    rng = np.random.default_rng(seed)
    n, m, inner = 60, 400, bool(seed % 2)
    pool = [Fraction(int(x), 7) for x in rng.integers(1, 99, 9)]
    if seed >= 3:  # several limbs
        pool += [Fraction(10**40), Fraction(1, 3 * 10**20)]
    matrix = WeightedStructure.from_edges(
        n, *rng.integers(0, n, (2, m)), [pool[i] for i in rng.integers(0, len(pool), m)]
    )
    partition = Partition(rng.integers(0, 1 + 7 * seed, n))
    rows, columns = partition.labels[matrix.sources()], partition.labels[matrix.indices]
    counts = np.flatnonzero(inner | (rows != columns))
    weights = matrix.weights.take(counts)
    shape = len(partition), len(partition)
    indptr, into, expected = sum_entries(shape, rows[counts], columns[counts], weights)
    found = totals_between_blocks(matrix, partition, inner=inner)
    assert found[0].tolist() == indptr.tolist()
    assert found[1].tolist() == into.tolist()
    assert found[2].equals(expected)

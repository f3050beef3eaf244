"""The partition by gaps in block sums: the definition.

A round takes for every block B and every other block C the sums q(x, C) of the members x of B, absent ones 0, and
cuts their sorted values

- between neighbours a < b with b - a > max(t b, absolute), where t is the relative tolerance;
- and a cluster wider than twice that, b its largest value, once more: at the largest gap among those that reach into
  the middle half of the cluster, and at all gaps of the same size.

Two states stay together if they share a cluster for every C.  Rounds are repeated until none splits.  The tolerances
are taken from a ladder: t 2^j for the largest j that leaves it below 1, then half of it, and so on down to t; each
starts from the partition of the one before.  So the partition of a tolerance refines that of twice the tolerance.
(A single tolerance alone does not: a smaller one may leave *coarser* blocks.)

The rule sees the values of sums only, hence renumbering states and scaling all rates change nothing.  Values that are
equal are never cut, hence states of one block of the exact lumping are never separated, and tolerance 0 gives that
lumping.  If rates of a lumpable chain are multiplied by numbers between 1 - d and 1 + d, its blocks survive where
t >= 2 d / (1 - d) and different sums lie farther apart than that.  A sum of 0 shares a cluster with others only if an
absolute tolerance is given.

This file is the specification.  O(m log m) for each round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.partition import Partition
from lumpability.refinement import Progress
from lumpability.structure import WeightedStructure


def ladder(tolerance: Fraction) -> list[Fraction]:
    """Return the tolerances to go through, each half of the one before.

    >>> [str(t) for t in ladder(Fraction(1, 10))], ladder(Fraction(0))
    (['4/5', '2/5', '1/5', '1/10'], [Fraction(0, 1)])
    """
    rungs = [tolerance]
    while 0 < 2 * rungs[-1] < 1:
        rungs.append(2 * rungs[-1])
    return rungs[::-1]


def refine(
    matrix: WeightedStructure,
    within: Partition,
    tolerance: Fraction,
    absolute: Fraction = Fraction(0),
    *,
    progress: Progress | None = None,
) -> Partition:
    """Return the partition by gaps, down the ladder; tolerances that split nothing are skipped.

    Parameters
    ----------
    matrix : WeightedStructure
        Rates or probabilities; sums into the own block do not count.
    within : Partition
        The initial partition.
    progress : callable, optional
        Called with (blocks so far, states) between tolerances.

    Examples
    --------
    >>> matrix = WeightedStructure.from_edges(4, [0, 1, 2], [3, 3, 3], [100, 101, 110])
    >>> refine(matrix, Partition([0, 0, 0, 1]), Fraction(1, 50))
    Partition([[0, 1], [2], [3]])
    """
    partition, widest = within, Fraction(1)
    for rung in ladder(tolerance):
        if rung >= widest:
            continue
        partition = refine_at(matrix, partition, rung, absolute)
        widest = widest_spread(matrix, partition, absolute)
        if progress is not None:
            progress(len(partition), matrix.n)
    return partition


def refine_at(
    matrix: WeightedStructure, within: Partition, tolerance: Fraction, absolute: Fraction
) -> Partition:
    """Repeat rounds of one tolerance until none splits."""
    partition = within
    while True:
        refined = split(matrix, partition, tolerance, absolute)
        if len(refined) == len(partition):
            return partition
        partition = refined


def split(
    matrix: WeightedStructure, partition: Partition, tolerance: Fraction, absolute: Fraction
) -> Partition:
    """Split every block by the clusters of its states' sums into all other blocks: one round."""
    keys: list[list[tuple[int, int]]] = [[] for _ in range(partition.n)]
    for (own, block), sums in _groups(matrix, partition).items():
        values = set(sums.values())
        if len(sums) < partition.blocks.sizes[own]:
            values.add(Fraction(0))
        number = clusters(sorted(values), tolerance, absolute)
        for state, total in sums.items():
            if number[total] != number.get(0, -1):  # what is near zero counts as absent
                keys[state].append((block, number[total]))
    labels = partition.labels.tolist()
    return Partition.of(lambda s: (labels[s], tuple(keys[s])), states=partition.n)


def widest_spread(matrix: WeightedStructure, partition: Partition, absolute: Fraction) -> Exact:
    """Return the largest (u - l) / l of the positive sums of a block into another one, where u - l > absolute.

    Once a tolerance splits nothing, no tolerance from this one on does: neighbours and clusters are nearer.

    >>> matrix = WeightedStructure.from_edges(4, [0, 1, 2], [3, 3, 3], [100, 101, 110])
    >>> widest_spread(matrix, Partition([0, 0, 0, 1]), Fraction(0))
    Fraction(1, 10)
    """
    ends = ((min(s.values()), max(s.values())) for s in _groups(matrix, partition).values())
    spreads = ((high - low) / low for low, high in ends if high - low > absolute)
    return max(spreads, default=Fraction(0))


def _groups(
    matrix: WeightedStructure, partition: Partition
) -> dict[tuple[int, int], dict[int, Exact]]:
    """Return for each block and each other block the sums that are not zero, by state."""
    groups: dict[tuple[int, int], dict[int, Exact]] = {}
    labels = partition.labels.tolist()
    for state, own in enumerate(labels):
        for target, weight in matrix.row(state):
            if labels[target] != own:
                sums = groups.setdefault((own, labels[target]), {})
                sums[state] = sums.get(state, 0) + weight
    return groups


def split_by_values(partition: Partition, vector: ExactArray, tolerance: Fraction) -> Partition:
    """Cut the values of a vector inside blocks in the same way, down the ladder, until none splits.

    >>> cost = ExactArray.read([100, 101, 200, 0])[0]
    >>> split_by_values(Partition.trivial(4), cost, Fraction(1, 50))
    Partition([[0, 1], [2], [3]])
    """
    for rung in ladder(tolerance):
        count = 0
        while count < len(partition):
            count = len(partition)
            labels = partition.labels
            pairs = labels.astype(np.int64) * len(vector.values) + vector.codes
            distinct, place = np.unique(pairs, return_inverse=True)
            blocks, codes = np.divmod(distinct, len(vector.values))
            values: dict[int, list[Exact]] = {}
            for block, code in zip(blocks.tolist(), codes.tolist(), strict=True):
                values.setdefault(block, []).append(vector.values[code])
            cut = {b: clusters(sorted(v), rung, Fraction(0)) for b, v in values.items()}
            number = [
                cut[b][vector.values[c]]
                for b, c in zip(blocks.tolist(), codes.tolist(), strict=True)
            ]
            partition = Partition.by(partition.n, [labels, np.array(number, np.int64)[place]])
    return partition


def clusters(values: Sequence[Exact], tolerance: Fraction, absolute: Fraction) -> dict[Exact, int]:
    """Number the clusters of ascending values.

    >>> clusters([0, 10, 11, 13, 15], Fraction(1, 5), Fraction(0))
    {0: 0, 10: 1, 11: 1, 13: 1, 15: 1}
    >>> clusters([10, 11, 13, 15, 18], Fraction(1, 5), Fraction(0))
    {10: 0, 11: 0, 13: 0, 15: 0, 18: 1}
    """
    number: dict[Exact, int] = {}
    count = 0
    for cluster in _cut_at_gaps(values, tolerance, absolute):
        for part in _cut_in_the_middle(cluster, tolerance, absolute):
            number.update(dict.fromkeys(part, count))
            count += 1
    return number


def _cut_at_gaps(
    values: Sequence[Exact], tolerance: Fraction, absolute: Fraction
) -> Iterator[Sequence[Exact]]:
    start = 0
    for i in range(1, len(values)):
        low, high = values[i - 1], values[i]
        if high - low > max(tolerance * max(abs(low), abs(high)), absolute):
            yield values[start:i]
            start = i
    yield values[start:]


def _cut_in_the_middle(
    cluster: Sequence[Exact], tolerance: Fraction, absolute: Fraction
) -> Iterator[Sequence[Exact]]:
    low, high = cluster[0], cluster[-1]
    width = high - low
    if width <= 2 * max(tolerance * max(abs(low), abs(high)), absolute):
        yield cluster
        return
    middle = [
        i
        for i in range(1, len(cluster))
        if cluster[i - 1] < low + 3 * width / 4 and cluster[i] > low + width / 4
    ]
    largest = max(cluster[i] - cluster[i - 1] for i in middle)
    cuts = [i for i in middle if cluster[i] - cluster[i - 1] == largest]
    for start, stop in zip([0, *cuts], [*cuts, len(cluster)], strict=True):
        yield cluster[start:stop]

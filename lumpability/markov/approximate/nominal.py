"""The nominal quotient: blocks with the plain means of their members' rates, probabilities and rewards.

Q^[B, C] is the mean over x in B of the sum of the rates from x into C.  For an ordinary lumping it is the
quotient.  Otherwise it is one chain of the interval hull among many, good as an estimate; the ends of the
hull say what holds.  Means are better than the middles between least and largest sum, which a single member far
away determines.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.markov.approximate.tolerance import require_numbers
from lumpability.markov.attributes import States, block_names
from lumpability.markov.chains import MarkovChain
from lumpability.markov.earned_rewards import with_respected_rewards
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import intern
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.partition import Partition
from lumpability.quotient import project
from lumpability.refinement.choose import is_small
from lumpability.structure import WeightedStructure

Array = np.ndarray[Any, Any]


def nominal_quotient(
    chain: MarkovChain, partition: Partition, rewards: Collection[str] | None = None
) -> tuple[MarkovChain, tuple[str, ...]]:
    """Return the chain of means on blocks, and the labels and rewards that it lacks.

    It lacks labels that are not constant on blocks.

    - rewards: the rewards that get their means; by default all.  Others are kept where they are constant on
      blocks

    >>> from lumpability import CTMC, Partition
    >>> chain = CTMC([[0, 0, 1], [0, 0, 2], [3, 3, 0]], labels={"up": [2]}, rewards={"cost": [1, 2, 0]})
    >>> quotient, dropped = nominal_quotient(chain, Partition([0, 0, 1]))
    >>> quotient.matrix.row(0), quotient.rewards["cost"].state, dropped
    ([(1, Fraction(3, 2))], ExactArray([3/2, 0]), ())
    """
    require_numbers(chain)
    seen = with_respected_rewards(chain, keeps_jumps=False)
    first, dropped = partition.representatives, []
    labels, kept = {}, {}
    for name, mask in chain.labels.items():
        if np.array_equal(mask[first][partition.labels], mask):
            labels[name] = mask[first]
        else:
            dropped.append(f"label:{name}")
    for name, reward in seen.rewards.items():
        parts = [part.codes for part in reward.parts]
        constant = all(np.array_equal(codes[first][partition.labels], codes) for codes in parts)
        if constant or rewards is None or name in rewards:
            kept[name] = reward.map(
                lambda part: _divided(project(part, partition), partition.blocks.sizes)
            )
        else:
            dropped.append(f"reward:{name}")
    initial = chain.initial
    # The matrix is not validated: means of rows that sum to one sum to one.
    quotient = chain.rebuilt(
        WeightedStructure(*means(chain, partition), Partition.trivial(len(first))),
        states=States(len(first), block_names(chain.states, partition)),
        labels=labels,
        rewards=kept,
        initial=None if initial is None else project(initial, partition),
        validate=False,
    )
    return quotient, tuple(dropped)


def means(chain: MarkovChain, partition: Partition) -> tuple[Array, Array, ExactArray]:
    """Return the plain means over members of the sums into blocks, as compressed rows of blocks.

    >>> from lumpability import CTMC
    >>> indptr, into, mean = means(CTMC([[0, 1, 2], [0, 0, 1], [5, 0, 0]]), Partition([0, 0, 1]))
    >>> indptr.tolist(), into.tolist(), mean
    ([0, 1, 2], [1, 0], ExactArray([3/2, 5]))
    """
    matrix, labels, inner = chain.matrix, partition.labels, chain.time == "discrete"
    if is_small(matrix) or not matrix.weights.is_narrow:
        rows, columns, weights = labels[matrix.sources()], labels[matrix.indices], matrix.weights
        counts = np.flatnonzero(inner | (rows != columns))
        shape = len(partition), len(partition)
        found = sum_entries(shape, rows[counts], columns[counts], weights.take(counts))
    else:
        from lumpability.markov.approximate.block_totals import totals_between_blocks

        found = totals_between_blocks(matrix, partition, inner=inner)
    indptr, into, totals = found
    sizes = np.repeat(partition.blocks.sizes, np.diff(indptr))
    return indptr, into, _divided(totals, sizes)


def _divided(totals: ExactArray, sizes: Array) -> ExactArray:
    codes, distinct = intern(sizes)
    size = ExactArray.of_values(codes, [Fraction(x) for x in distinct.tolist()])
    return totals.combine(size, lambda total, number: total / number)

"""The matrices of a quotient sequence, and the chain of uniformised steps; see `lumpability.markov.horizon`."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Enclosure:
    """Lower and upper ends for every state, shape (n,).

    Attributes
    ----------
    lower, upper : ExactArray
    """

    lower: ExactArray
    upper: ExactArray


@dataclass(frozen=True, eq=False)
class Step:
    """A matrix M_i from the blocks of one partition to those of a coarser one, as compressed rows.

    Attributes
    ----------
    indptr, indices : int array
    weights : ExactArray
        Probabilities; every row sums to one.
    """

    indptr: Array
    indices: Array
    weights: ExactArray

    def row(self, block: int) -> list[tuple[int, Fraction]]:
        """Return the probabilities of a block, as pairs with the blocks that it goes to."""
        places = range(int(self.indptr[block]), int(self.indptr[block + 1]))
        return [(int(self.indices[i]), self.weights[i]) for i in places]

    def sums(self, values: Array) -> tuple[Array, int]:
        """Return M times an array of exact numbers as objects, over the denominator that is returned too."""
        integers, denominator = self._integers
        return np.add.reduceat(integers * values[self.indices], self.indptr[:-1]), denominator

    @cached_property
    def _integers(self) -> tuple[Array, int]:
        numerators, denominator = self.weights.integers
        return np.array(numerators, dtype=object)[self.weights.codes], denominator


def uniformised(chain: MarkovChain, rate: Any = None) -> tuple[WeightedStructure, Any]:
    """Return the probabilities of steps, for a CTMC I + Q/rate, and the rate: the largest exit rate, or a larger one.

    >>> uniformised(CTMC([[0, 1], [2, 0]]), 4)[0].row(1)
    [(0, Fraction(1, 2)), (1, Fraction(1, 2))]
    """
    if not isinstance(chain, CTMC):
        return chain.matrix, None
    exits = chain.exit_rates
    rate = rate or max(exits.values, default=Fraction(0)) or Fraction(1)
    plain = chain.matrix.without_diagonal()
    jumps = WeightedStructure(
        plain.indptr, plain.indices, plain.weights.map(lambda w: w / rate), plain.within
    )
    return jumps.with_diagonal(exits.map(lambda out: 1 - out / rate)), rate


def step_between(matrix: WeightedStructure, fine: Partition, coarse: Partition) -> Step:
    """Return the probabilities from the blocks of a partition to those of a coarser one, by first members."""
    owner, positions = matrix.entries_of(fine.representatives)
    weights = ExactArray(matrix.weights.codes[positions], matrix.weights.values)
    columns = coarse.labels[matrix.indices[positions]]
    return Step(*sum_entries((len(fine), len(coarse)), owner, columns, weights))

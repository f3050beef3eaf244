"""The interval hull of a chain along a partition: a small chain whose rates are intervals.

    l[B, C] = min, u[B, C] = max over x in B of q(x, C),     q(x, C) = sum over y in C of Q[x, y],

where members that do not reach C count with 0.  What is proved for every chain with sums between l and u holds
for the chain and for all chains near it, so intervals cover measured rates as well as the lumping.  If the
partition is an ordinary lumping, l = u is the quotient.  A DTMC has intervals for the own block too, C = B, and
its rows sum to one: without that the probabilities could sum to more than one.

Givan, Leach and Dean, "Bounded-parameter Markov decision processes", 2000; O(m) and sorting.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.certificate.bounds.rows import hull_of, outflows_of
from lumpability.markov.approximate.tolerance import require_numbers
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Hull:
    """Blocks and exact intervals of the rates (or probabilities) between them.

    Row B holds the positions ``indptr[B] .. indptr[B + 1]`` of the other arrays, blocks ascending.  A CTMC has
    no entries C = B.  Upper ends are positive; a lower end is 0 where some member does not reach C.

    Attributes
    ----------
    time : {"continuous", "discrete"}
    indptr : int array, shape (k + 1,)
    indices : int array, shape (e,)
        The blocks C.
    lower, upper : ExactArray, shape (e,)
    least_outflow, largest_outflow : ExactArray, shape (k,)
        The least and largest sum of the rates of a member out of its block.

    Examples
    --------
    >>> from lumpability import CTMC, Partition
    >>> chain = CTMC([[0, 0, 1], [0, 0, "11/10"], [2, 2, 0]])
    >>> small = hull(chain, Partition([0, 0, 1]))
    >>> small
    Hull(2 blocks, 2 intervals)
    >>> small.row(0), small.largest_outflow
    ([(1, Fraction(1, 1), Fraction(11, 10))], ExactArray([11/10, 4]))
    """

    time: str
    indptr: Array
    indices: Array
    lower: ExactArray
    upper: ExactArray
    least_outflow: ExactArray
    largest_outflow: ExactArray

    @property
    def k(self) -> int:
        """Number of blocks."""
        return len(self.indptr) - 1

    def row(self, block: int) -> list[tuple[int, Fraction, Fraction]]:
        """Return the intervals of a block: (other block, lower, upper)."""
        places = range(int(self.indptr[block]), int(self.indptr[block + 1]))
        return [(int(self.indices[i]), self.lower[i], self.upper[i]) for i in places]

    def __repr__(self) -> str:
        return f"Hull({self.k} blocks, {len(self.indices)} intervals)"


def hull(chain: MarkovChain, partition: Partition) -> Hull:
    """Return the interval hull of a chain along a partition, in exact arithmetic; see `Hull`.

    Raises
    ------
    InvalidInput
        If the chain has parameters.

    Examples
    --------
    >>> from lumpability import DTMC, Partition
    >>> chain = DTMC([["1/2", 0, "1/2"], [0, "1/4", "3/4"], [1, 0, 0]])
    >>> hull(chain, Partition([0, 0, 1])).row(0)
    [(0, Fraction(1, 4), Fraction(1, 2)), (1, Fraction(1, 2), Fraction(3, 4))]
    """
    require_numbers(chain)
    rows = hull_of(chain.matrix, partition, inner=chain.time == "discrete")
    least, most = outflows_of(chain.matrix, partition)
    counts = np.bincount(rows.row, minlength=len(partition))
    return Hull(
        chain.time,
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        rows.target.astype(np.int32),
        rows.least,
        rows.most,
        least,
        most,
    )

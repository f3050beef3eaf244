"""Exact lumpability: every block sends equal sums into the states of a block.

A partition is exactly lumpable when for states s, t of one block and every block C the sums
q(C, s) = sum over u in C of Q[u, s] and q(C, t) are equal, the diagonal included; for a DTMC the same
with P.  With D = diag(1/|C|) V^T, which spreads a block's probability uniformly, this is D Q = Q^ D for
Q^ = D Q V, that is Q^[B, C] = |C|/|B| q(B, s) for any s in C.  Then x^ Q^ = 0 gives (x^ D) Q = 0, and
p(0) = p^(0) D gives p(t) = p^(t) D: the quotient determines probabilities of *single states*, the
stationary ones always, transient ones when the start is uniform inside blocks.
Equal exit rates inside blocks are sufficient, but not necessary: the diagonal stays inside the sum.
The condition is stability of the transposed matrix, so the engine refines that.  Schweitzer 1984;
Buchholz 1994.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.kinds.kind import Condition, Kind, balance_matrix
from lumpability.markov.matrices import divide_rows
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.quotient import collapse
from lumpability.structure import WeightedStructure


class Exact(Kind):
    """Equal sums coming in from every block."""

    name = "exact"
    outgoing, incoming = False, True
    preserves = (
        "probabilities of single states: stationary ones always, transient ones when the start is "
        "uniform inside blocks"
    )
    respects = ("labels", "rewards", "initial")

    def identity(self, chain: MarkovChain) -> str:
        return "D Q = Q^ D" if isinstance(chain, CTMC) else "D P = P^ D"

    def conditions(self, chain: MarkovChain) -> Sequence[Condition]:
        return [Condition(balance_matrix(chain).transposed, "in")]

    def quotient(
        self, chain: MarkovChain, conditions: Sequence[Condition], partition: Partition
    ) -> WeightedStructure:
        # Row C of the collapse holds q(B, s) for the first s in C.
        incoming = collapse(conditions[0].matrix, partition)
        sizes = partition.blocks.sizes.tolist()
        columns = ExactArray.of_values(np.arange(len(sizes)), [Fraction(1, c) for c in sizes])
        rows = ExactArray.of_values(np.arange(len(sizes)), [Fraction(b) for b in sizes])
        quotient = divide_rows(divide_rows(incoming, columns).transposed, rows)
        return quotient.without_diagonal() if isinstance(chain, CTMC) else quotient

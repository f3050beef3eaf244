"""Ordinary (strong) lumpability: states of a block have equal sums of rates into every block.

A partition is ordinary lumpable when for states s, t of one block and every block C the sums
q(s, C) = sum over u in C of Q[s, u] and q(t, C) are equal; for a DTMC the same with P, own block
included.  Equivalently Q V = V Q^.  The quotient Q^[B, C] = q(s, C), s in B, describes the block process
for *every* initial distribution: p(t) V is its transient distribution.  Self-loops and rates inside a
block do not matter for a CTMC, because they do not show in the generator's sums outside the block and
the diagonal determines the sum into the block itself.  Kemeny and Snell 1976, theorem 6.3.2; Buchholz 1994.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.kinds.kind import Condition, Kind


class Ordinary(Kind):
    """Ordinary lumpability of the generator (CTMC) or the stochastic matrix (DTMC)."""

    name = "ordinary"
    preserves = (
        "block probabilities at every time for every initial distribution, stationary block masses, "
        "labels and rewards that are constant on blocks; not the probabilities of single states"
    )

    def identity(self, chain: MarkovChain) -> str:
        return "Q V = V Q^" if isinstance(chain, CTMC) else "P V = V P^"

    def conditions(self, chain: MarkovChain) -> Sequence[Condition]:
        # The generator's diagonal is implicit, because storing it would copy the matrix.
        return [Condition(replace(chain.matrix, closed=isinstance(chain, CTMC)))]

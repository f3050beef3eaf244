"""Strict lumpability: ordinary and exact at once.

States of one block have equal sums into every block, q(s, C) = q(t, C), and from every block,
q(C, s) = q(C, t): Q V = V Q^ and D Q = Q^ D with one and the same quotient, because D V = I gives
D Q V = D V Q^ = Q^.  It preserves what either of the two preserves.  The coarsest strict partition is
found by refining for both matrices until neither splits a block: each split keeps together what any strict
partition keeps together.  Buchholz 1994.
"""

from __future__ import annotations

from collections.abc import Sequence

from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.kinds.kind import Condition, Kind, balance_matrix


class Strict(Kind):
    """Equal sums into and from every block."""

    name = "strict"
    incoming = True
    preserves = (
        "what ordinary and what exact lumping preserve: block probabilities for every initial "
        "distribution, and those of single states when the start is uniform inside blocks"
    )
    respects = ("labels", "rewards", "initial")

    def identity(self, chain: MarkovChain) -> str:
        if isinstance(chain, CTMC):
            return "Q V = V Q^ and D Q = Q^ D"
        return "P V = V P^ and D P = P^ D"

    def conditions(self, chain: MarkovChain) -> Sequence[Condition]:
        matrix = balance_matrix(chain)
        return [Condition(matrix), Condition(matrix.transposed, "in")]

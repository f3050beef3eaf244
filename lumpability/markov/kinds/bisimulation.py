"""Strong bisimulation on rates, as model checkers use it: finer than ordinary lumpability.

States s, t of one block must have equal total rates r(s, C) = r(t, C) into *every* block C, their own
included, self-loops included; exit rates then agree as well: R V = V R^.  Time-bounded properties that
depend on single jumps (next, exit rates) need this; distributions over blocks do not.  On a CTMC whose
states a and b move between each other at rates 1 and 2 the one block {a, b} is ordinary lumpable (the
process never leaves it) but not a bisimulation (the exit rates 1 and 2 differ).  For a DTMC the notion is
ordinary lumpability.  Baier, Katoen, Hermanns and Wolf 2005 (strong bisimulation for CTMCs).
"""

from __future__ import annotations

from collections.abc import Sequence

from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.kinds.kind import Condition, Kind


class Bisimulation(Kind):
    """Equal rates into every block, the own block included."""

    name = "bisimulation"
    keeps_jumps = True
    preserves = (
        "what ordinary lumping preserves, and exit rates, self-loops and the distribution of single "
        "jumps between blocks"
    )

    def identity(self, chain: MarkovChain) -> str:
        return "R V = V R^" if isinstance(chain, CTMC) else "P V = V P^"

    def conditions(self, chain: MarkovChain) -> Sequence[Condition]:
        return [Condition(chain.matrix)]

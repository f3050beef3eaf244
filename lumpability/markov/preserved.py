"""The table of what the quotient of each kind preserves; every row is a property test.

A row says whether the quotient of one kind determines one quantity.  "Every start" means every initial
distribution, with p^(0) = p(0) V; a "uniform start" gives the states of a block equal probabilities.  Rewards and
targets are constant on blocks, and chains with stationary quantities irreducible.  p, pi, r belong to the chain,
p^, pi^, r^ to the quotient; V is the indicator of the partition, and D = diag(1/|C|) V^T spreads a block's
probability uniformly.
The tests (tests/markov/test_preserved.py) check the rows that hold on random chains in exact arithmetic, and
find a counterexample for each row that does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from lumpability.markov.kinds import find_kind

QUANTITIES: dict[str, str] = {
    "block probabilities, every start": r"p(t) V = \hat p(t)",
    "block probabilities, uniform start": r"p(t) V = \hat p(t), \; p(0) = \hat p(0) D",
    "state probabilities, uniform start": r"p(t) = \hat p(t) D",
    "stationary block masses": r"\pi V \hat Q = 0",
    "stationary masses weighted with kappa": r"\pi K V \hat Q = 0",
    "stationary state probabilities": r"\hat\pi D Q = 0",
    "hitting probabilities, every start": r"h = V \hat h",
    "hitting probabilities, uniform start": r"D h = \hat h",
    "hitting times, every start": r"k = V \hat k",
    "hitting times, uniform start": r"D k = \hat k",
    "rewards, every start": r"p(t) V \hat r = \hat p(t) \hat r",
    "rewards, uniform start": r"p(t) V \hat r = \hat p(t) \hat r, \; p(0) = \hat p(0) D",
    "single jumps": r"r(s, C) = \hat r(B, C) \text{ for } s \in B",
}
"""Quantities, and for each the equation that holds if it is preserved, in LaTeX."""

WEAK: dict[str, str] = {
    "block probabilities, every start": "from the start checked",
    "stationary block masses": "yes",
    "hitting probabilities, every start": "from the start checked",
    "hitting times, every start": "from the start checked",
    "rewards, every start": "from the start checked",
}
"""What weak lumpability preserves: the law of the block process, from the initial distribution that was checked."""

_WEIGHTED = "stationary masses weighted with kappa"
_BLOCKS = {
    "block probabilities, every start",
    "block probabilities, uniform start",
    "stationary block masses",
    "hitting probabilities, every start",
    "hitting probabilities, uniform start",
    "hitting times, every start",
    "hitting times, uniform start",
    "rewards, every start",
    "rewards, uniform start",
}
_STATES = {
    "block probabilities, uniform start",
    "state probabilities, uniform start",
    "stationary block masses",
    "stationary state probabilities",
    "hitting probabilities, uniform start",
    "hitting times, uniform start",
    "rewards, uniform start",
}
_KEPT: dict[str, set[str]] = {
    "ordinary": _BLOCKS,
    "bisimulation": _BLOCKS | {"single jumps"},
    "exact": _STATES,
    "strict": _BLOCKS | _STATES,
    "proportional": {
        _WEIGHTED,
        "hitting probabilities, every start",
        "hitting probabilities, uniform start",
    },
}


@dataclass(frozen=True)
class Claim:
    """One row: whether a kind preserves a quantity.

    Attributes
    ----------
    kind, quantity : str
    holds : bool
    equation : str
        The equation that holds if the quantity is preserved, in LaTeX.
    """

    kind: str
    quantity: str
    holds: bool
    equation: str


PRESERVED: tuple[Claim, ...] = tuple(
    Claim(kind, quantity, quantity in kept, equation)
    for kind, kept in _KEPT.items()
    for quantity, equation in QUANTITIES.items()
    if quantity != _WEIGHTED or find_kind(kind).scaled  # others have no kappa
)
"""The table, for CTMCs; for DTMCs read P for Q (proportional lumping is for CTMCs only)."""


def as_table() -> str:
    """Return the table as Markdown, quantities down and kinds across, weak lumpability last."""
    holds = {(claim.kind, claim.quantity): claim.holds for claim in PRESERVED}
    mark = {True: "yes", False: "no", None: ""}
    lines = [
        f"| quantity | {' | '.join(_KEPT)} | weak | equation |",
        "|---" * (len(_KEPT) + 3) + "|",
    ]
    for quantity, equation in QUANTITIES.items():
        marks = " | ".join(mark[holds.get((kind, quantity))] for kind in _KEPT)
        weak = "" if quantity == _WEIGHTED else WEAK.get(quantity, "no")
        lines.append(f"| {quantity} | {marks} | {weak} | ${equation}$ |")
    return "\n".join(lines)

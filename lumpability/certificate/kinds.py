"""The claims of each kind: all that the checker needs to know about a kind.

M stands for the generator Q of a CTMC or the matrix P of a DTMC, R for the rates or for P.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClaimedKind:
    """One kind of lumping, as certificates describe it."""

    name: str
    # The identity between matrices, and what it says about the members of a block.
    identity: str
    meaning: str
    # Whether sums into blocks, and sums from blocks, are equal inside blocks.
    outgoing: bool = True
    incoming: bool = False
    # Whether a CTMC keeps the jumps inside blocks, so that sums into the own block count.
    keeps_jumps: bool = False
    # Whether states have factors; the history then records shares in place of sums.
    scaled: bool = False

    def keeps_time(self, time: str) -> bool:
        """Whether jumps inside blocks count: always in a DTMC."""
        return self.keeps_jumps or time == "discrete"


_MEMBERS = "members s of one block have equal sums of"

KINDS: dict[str, ClaimedKind] = {
    kind.name: kind
    for kind in (
        ClaimedKind(
            "ordinary",
            "{M} V = V {M}^",
            f"{_MEMBERS} {{M}}[s, u] over u in each {{other}}block",
        ),
        ClaimedKind(
            "bisimulation",
            "{R} V = V {R}^",
            f"{_MEMBERS} {{M}}[s, u] over u in each block",
            keeps_jumps=True,
        ),
        ClaimedKind(
            "exact",
            "D {M} = {M}^ D",
            f"{_MEMBERS} {{M}}[u, s] over u in each block",
            outgoing=False,
            incoming=True,
        ),
        ClaimedKind(
            "strict",
            "{M} V = V {M}^ and D {M} = {M}^ D",
            f"{_MEMBERS} {{M}}[s, u], and of {{M}}[u, s], over u in each block",
            incoming=True,
        ),
        ClaimedKind(
            "proportional",
            "K^-1 {M} V = V {M}^ outside blocks",
            f"{_MEMBERS} {{M}}[s, u] / kappa(s) over u in each other block",
            scaled=True,
        ),
    )
}
"""The kinds that have certificates, by name."""

"""The table of what is preserved: its denials have counterexamples.

That its promises are kept is a law, tried in tests/laws.
"""

from __future__ import annotations

import pytest

from lumpability import lump
from lumpability.errors import InvalidInput, NotJustified
from lumpability.markov.examples import planted
from lumpability.markov.preserved import PRESERVED, Claim, as_table
from lumpability.markov.solve import is_irreducible
from lumpability.testing.laws.promises import is_promise_kept

# A planted partition may have a single block; that warning has its own test.
pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")


def name(claim: Claim) -> str:
    return f"{claim.kind}: {claim.quantity}"


@pytest.mark.parametrize("claim", [c for c in PRESERVED if not c.holds], ids=name)
def test_what_the_table_denies_has_a_counterexample(claim):
    for seed in range(60):
        chain, partition = planted(claim.kind, [2, 2, 1], seed=seed)
        if "stationary" in claim.quantity and not is_irreducible(chain):
            continue
        lumping = lump(chain, kind=claim.kind, respect=(), within=partition)
        assert lumping.partition == partition
        try:
            if not is_promise_kept(lumping, claim.quantity):
                return
        except NotJustified:  # refused, with the reason
            return
    pytest.fail(f"no counterexample to {name(claim)}")


def test_an_unknown_quantity_is_refused():
    chain, partition = planted("strict", [2], seed=0)
    lumping = lump(chain, kind="strict", within=partition)
    with pytest.raises(InvalidInput, match="no quantity 'luck'"):
        is_promise_kept(lumping, "luck")


def test_the_documentation_shows_this_table(checkout):
    page = checkout / "docs" / "theory" / "preserved.md"
    assert as_table() in page.read_text(encoding="utf-8")

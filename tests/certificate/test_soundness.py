"""What the checker computes itself: identities and quotients, and how it tells what differs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lumpability import CTMC, lump
from lumpability.certificate.digest import Digest
from lumpability.numbers.exact_array import ExactArray


def one_to_three() -> CTMC:
    """Blocks of one, two and three states, one leading to all of the next."""
    blocks = [[0], [1, 2], [3, 4, 5]]
    edges = {(s, t): 1 for i in range(3) for s in blocks[i] for t in blocks[i - 2]}
    return CTMC.from_rates(edges, states=range(6), labels={"first": [0], "last": [3, 4, 5]})


@pytest.mark.parametrize("kind", ["exact", "strict"])
def test_blocks_of_many_sizes_have_the_quotient_of_the_definition(kind: str) -> None:
    chain = one_to_three()
    lumping = lump(chain, kind=kind)
    sizes = sorted(len(block) for block in lumping.partition.blocks)
    assert sizes == [1, 2, 3]
    assert lumping.certificate().verify(chain, lumping.quotient).coarsest
    # From block to block go all the transitions of a member: as many as the next block has states.
    assert sorted(lumping.quotient.matrix.weights) == [1, 2, 3]


def test_a_share_that_differs_is_told_with_the_factor() -> None:
    rates = {("a", "c"): 1, ("a", "d"): 2, ("b", "c"): 3, ("b", "d"): 6, ("c", "a"): 1}
    marks = {"labels": {"third": ["c"], "fourth": ["d"]}, "states": "abcd"}
    chain = CTMC.from_rates(rates, **marks)
    other = CTMC.from_rates({**rates, ("b", "d"): 5}, **marks)
    certificate = lump(chain, kind="proportional").certificate()
    assert list(certificate.kappa) == [1, 3, 1, 1]
    verification = replace(certificate, model=Digest.of(other)).verify(other)
    assert verification.rejection.states == (0, 1)
    assert "are 2 and 5, where kappa is 3" in verification.rejection.reason
    smaller = ExactArray.read([1, "1/3", 1, 1])[0]
    told = replace(certificate, kappa=smaller).verify(chain).rejection.reason
    assert told.endswith("sums into block 1 are 1 and 3, where kappa is 1/3")

"""Near misses and tolerances: at which tolerance two states are merged, and at what cost."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, check, lump
from lumpability.errors import InvalidChain, InvalidInput, NotJustified
from lumpability.testing import ctmcs, labelled

pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")
RATES = {("a", "c"): 100, ("b", "c"): 103, ("c", "a"): 2, ("c", "b"): 2}


@given(labelled(ctmcs(min_states=2, max_states=6)), st.data())
def test_the_states_share_a_block_at_the_tolerance_that_is_found(chain, data):
    state, other = (data.draw(st.integers(0, chain.n - 1)) for _ in range(2))
    found = lump(chain).tolerance_merging(state, other)
    if found.tolerance is None:
        labels = lump(chain, tolerance=Fraction(1, 2)).partition.labels
        assert found.lumping is None
        assert "no tolerance merges" in str(found)
    else:
        labels = found.lumping.partition.labels
        assert found.lumping.residual.relative <= 2 * found.tolerance
        assert lump(chain, tolerance=found.tolerance).partition == found.lumping.partition
    assert (labels[state] == labels[other]) == (found.tolerance is not None)


def test_the_cost_is_the_residual_of_the_merged_partition():
    lumping = lump(CTMC.from_rates(RATES, states="abc", labels={"goal": ["c"]}))
    found = lumping.tolerance_merging("a", "b")
    assert Fraction(3, 103) <= found.tolerance < Fraction(3, 103) * Fraction(102, 100)
    assert found.alone.relative == found.lumping.residual.relative == Fraction(3, 103)
    assert check(lumping.chain, [{"a", "b"}, {"c"}], tolerance=found.tolerance)
    assert not found.lumping.residual.relative < Fraction(3, 103)
    miss = lumping.near_misses()[0]
    assert miss.merged(lumping.partition) == found.lumping.partition


def test_states_of_one_block_need_no_tolerance():
    chain = DTMC([[0, 0, 1], [0, 0, 1], [1, 0, 0]], labels={"goal": [2]})
    found = lump(chain).tolerance_merging(0, 1)
    assert (found.tolerance, found.lumping.residual.absolute) == (0, 0)


def test_labels_are_never_merged():
    lumping = lump(CTMC.from_rates(RATES, labels={"goal": ["c"]}))
    assert lumping.tolerance_merging("a", "c").tolerance is None


def test_bad_questions_get_one_sentence():
    chain = CTMC.from_rates(RATES, labels={"goal": ["c"]})
    with pytest.raises((InvalidInput, InvalidChain), match="'x'"):
        lump(chain).tolerance_merging("a", "x")
    with pytest.raises(
        NotJustified, match="a tolerance is for ordinary lumping, not for 'bisimulation'"
    ):
        lump(chain, kind="bisimulation").tolerance_merging("a", "b")
    with pytest.raises(InvalidInput, match="has the parameters x"):
        lump(CTMC([[0, "x"], [1, 0]])).tolerance_merging(0, 1)

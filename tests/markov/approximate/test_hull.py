"""Hulls and residuals against brute force over members."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Partition, check, lump
from lumpability.errors import InvalidChain, InvalidInput
from lumpability.markov.approximate import hull, residual
from lumpability.testing import ctmcs, dtmcs


def total(chain, state, block):
    return sum((w for u, w in chain.matrix.row(state) if u in set(block.tolist())), Fraction(0))


@st.composite
def chains_and_partitions(draw):
    chain = draw(st.one_of(ctmcs(max_states=6), dtmcs(max_states=6)))
    labels = draw(st.lists(st.integers(0, 3), min_size=chain.n, max_size=chain.n))
    return chain, Partition(labels)


@given(chains_and_partitions(), st.booleans())
def test_the_hull_is_the_least_and_the_largest_sum_of_members(case, wide):
    chain, partition = case
    if wide:  # sums that no 64 bits hold are ordered by their places
        factor = Fraction(10**30 + 57, 10**29)
        chain = (
            chain.rebuilt(chain.matrix)
            if chain.time == "discrete"
            else chain.rebuilt(
                replace(chain.matrix, weights=chain.matrix.weights.map(lambda w: w * factor))
            )
        )
    found = hull(chain, partition)
    for b, members in enumerate(partition.blocks):
        row = {c: (low, high) for c, low, high in found.row(b)}
        for c, block in enumerate(partition.blocks):
            sums = [total(chain, x, block) for x in members.tolist()]
            if c == b and chain.time == "continuous":
                assert c not in row
            else:
                assert row.get(c, (0, 0)) == (min(sums), max(sums))
        outflows = [
            sum((w for u, w in chain.matrix.row(x) if partition.labels[u] != b), Fraction(0))
            for x in members.tolist()
        ]
        assert (found.least_outflow[b], found.largest_outflow[b]) == (min(outflows), max(outflows))


@given(chains_and_partitions())
def test_the_residual_is_the_largest_spread_and_zero_for_ordinary_lumpings_alone(case):
    chain, partition = case
    found = residual(chain, partition)
    absolute = relative = Fraction(0)
    for b, members in enumerate(partition.blocks):
        for c, block in enumerate(partition.blocks):
            sums = [total(chain, x, block) for x in members.tolist()]
            if b != c and max(sums) > 0:
                absolute = max(absolute, max(sums) - min(sums))
                relative = max(relative, (max(sums) - min(sums)) / max(sums))
    assert (found.absolute, found.relative) == (absolute, relative)
    assert bool(found) != bool(check(chain, partition))
    for witness, spread in ((found.witness, relative), (found.absolute_witness, absolute)):
        if witness is None:
            assert spread == 0
            continue
        block = partition.blocks[witness.block]
        sums = [total(chain, x, block) for x in (witness.state, witness.other)]
        assert sums == [witness.total, witness.other_total]
        assert partition.labels[witness.state] == partition.labels[witness.other]
        gap = abs(sums[0] - sums[1])
        assert spread in {gap, gap / max(sums)}


def test_zero_spread_is_the_quotient():
    chain = CTMC([[0, 1, 2], [0, 0, 3], [5, 0, 0]], labels={"goal": [2]})
    lumping = lump(chain)
    found = hull(chain, lumping.partition)
    assert found.lower.equals(found.upper)


def test_rows_of_a_hull_of_probabilities_reach_one():
    chain = DTMC([["1/2", 0, "1/2"], [0, "1/4", "3/4"], [1, 0, 0]])
    found = hull(chain, Partition([0, 0, 1]))
    assert sum(low for _, low, _ in found.row(0)) <= 1 <= sum(high for _, _, high in found.row(0))


def test_parameters_are_refused_with_the_way_out():
    chain = CTMC([[0, "x"], [1, 0]])
    for ask in (hull, residual):
        with pytest.raises(
            InvalidInput, match=r"has the parameters x: substitute numbers .* chain\.subs"
        ):
            ask(chain, Partition([0, 1]))


def test_weights_beyond_floats_and_empty_chains():
    chain = CTMC([[0, 0, 10**400], [0, 0, 2 * 10**400], [1, 0, 0]])
    assert residual(chain, Partition([0, 0, 1])).relative == Fraction(1, 2)
    assert hull(chain, Partition([0, 0, 1])).row(0) == [(1, 10**400, 2 * 10**400)]
    still = CTMC([[0, 0], [0, 0]])
    assert not residual(still, Partition([0, 0]))
    assert list(hull(still, Partition([0, 1])).largest_outflow) == [0, 0]


def test_trap_a_zero_quotient_is_no_zero_residual_and_large_spreads_are_not_capped():
    """Norms relative to a quotient that is zero have been published as 0, and spreads beyond 2 as 2."""
    still = CTMC([[0, 0, 3], [0, 0, 0], [0, 0, 0]])
    found = residual(still, Partition([0, 0, 1]))
    assert (found.relative, found.absolute) == (1, 3)
    assert residual(still, Partition([0, 1, 2])).relative == 0
    with pytest.raises(InvalidChain, match="sum"):
        DTMC([[0, 3], [1, 0]])

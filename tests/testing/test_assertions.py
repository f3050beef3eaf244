"""The assertions pass where they should, and otherwise say what is wrong in words."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Network, Partition, lump
from lumpability.errors import InvalidInput
from lumpability.testing import (
    assert_lumpable,
    assert_quotient_correct,
    assert_same_function,
    assert_same_partition,
    lumpable_chains,
    lumpable_networks,
    not_lumpable_chains,
    partitions,
)

LINE = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, states=["a", "b", "c"])
TWINS = Network.dense([([[1, 2]], [0, 0], "relu"), ([[1], [1]], None, None)])


def failure(check, *arguments, **options):
    with pytest.raises(AssertionError) as caught:
        check(*arguments, **options)
    return str(caught.value)


@given(lumpable_chains())
def test_lumpable_chains_are_asserted_to_be(pair):
    assert_lumpable(*pair)


@given(not_lumpable_chains(kind="exact"))
def test_what_is_not_lumpable_is_told_with_the_witness(triple):
    chain, partition, witness = triple
    text = failure(assert_lumpable, chain, partition, kind="exact")
    assert text.startswith(f"{chain!r} is not lumpable on this partition into ")
    assert f"sum to {witness.total} and to {witness.other_total}" in text


def test_a_network_that_is_not_lumpable_is_told_with_units():
    assert_lumpable(TWINS, {0: [{0, 1}]})
    text = failure(assert_lumpable, TWINS, {0: [{0, 1}]}, kind="exact")
    assert text.splitlines() == [
        "Network(1 -> 1, 2 hidden neurons, 6 parameters) is not lumpable on this partition:",
        (
            "  not exact: units 0 and 1 of layer 0: their sums from inputs [0] are 1 and 2: the factor 2 "
            "does not pass the layers that follow"
        ),
    ]


@given(partitions(states=5), partitions(states=5))
def test_partitions_are_the_same_exactly_when_they_are_equal(one, other):
    if one == other:
        assert_same_partition(one, other)
    else:
        assert "the partitions differ" in failure(assert_same_partition, one, other)


def test_differences_of_partitions_are_told_by_names():
    text = failure(assert_same_partition, [0, 0, 1], [{"a", "c"}, {"b"}], states=["a", "b", "c"])
    assert text.splitlines() == [
        "the partitions differ, 2 blocks found and 2 expected:",
        "  'a' and 'b' share a block, and should not",
        "  'a' and 'c' should share a block, and do not",
    ]
    text = failure(assert_same_partition, [0] * 9, list(range(9)))
    assert text.splitlines()[0] == "the partitions differ, 1 block found and 9 expected:"
    assert text.splitlines()[-1] == "  and 3 more"
    assert failure(assert_same_partition, [0], [0, 1]) == "the partitions are of 1 and of 2 states"


@pytest.mark.parametrize("kind", ["ordinary", "bisimulation", "exact", "strict", "proportional"])
@given(data=st.data())
def test_quotients_are_asserted_to_be_right_and_changed_ones_are_not(kind, data):
    chain, partition = data.draw(lumpable_chains(kind=kind, irreducible=True, min_blocks=2))
    lumping = lump(chain, kind=kind, within=partition)
    assert_quotient_correct(chain, partition, lumping.quotient, kind=kind, factors=lumping.factors)
    wrong = CTMC([
        [rate + Fraction(s != t, 10**9) for t, rate in enumerate(row)]
        for s, row in enumerate(rows_of(lumping.quotient))
    ])  # fmt: skip
    text = failure(
        assert_quotient_correct, chain, partition, wrong, kind=kind, factors=lumping.factors
    )
    assert text.startswith(f"not the {kind} quotient: from ")


def rows_of(chain):
    rows = [[Fraction(0)] * chain.n for _ in range(chain.n)]
    for s, row in enumerate(rows):
        for t, weight in chain.matrix.row(s):
            row[t] = weight
    return rows


def test_a_wrong_quotient_is_told_by_its_entry():
    assert failure(assert_quotient_correct, LINE, [0, 0, 1], CTMC([[0, 1], [3, 0]])) == (
        "not the ordinary quotient: from 'c' into {a, b} the chain has 2, the quotient 3"
    )
    back = CTMC.from_rates({("c", "a"): 2, ("c", "b"): 2}, states=["a", "b", "c"])
    assert failure(
        assert_quotient_correct, back, [0, 0, 1], CTMC([[0, 0], [3, 0]]), kind="exact"
    ) == ("not the exact quotient: from {c} into 'a' the chain has 2, the quotient 3/2")
    assert failure(assert_quotient_correct, LINE, [0, 0, 1], CTMC([[0]])) == (
        "CTMC(1 state, 0 transitions) cannot be the quotient of CTMC(3 states, 3 transitions) on 2 blocks"
    )
    assert "cannot be the quotient" in failure(
        assert_quotient_correct, LINE, [0, 0, 1], DTMC([[0, 1], [1, 0]])
    )


@given(lumpable_networks())
def test_a_network_and_its_quotient_have_the_same_function(planted):
    assert_same_function(planted[0], lump(planted[0]).quotient)


def test_different_functions_are_told_with_the_input():
    half = Network.dense([([[1]], None, "relu"), ([[2]], None, None)])
    text = failure(assert_same_function, TWINS, half)
    assert text == "the functions differ: at x = [1] output 0 is 3 against 2"
    text = failure(assert_same_function, TWINS, half, points=[["1/3"]])
    assert text == "the functions differ: at x = [1/3] output 0 is 1 against 2/3"
    wide = Network.dense([([[1, 1]], None, None)])
    assert "have other inputs or outputs" in failure(assert_same_function, TWINS, wide)


def test_functions_without_rational_values_are_referred_to_the_symbolic_proof():
    odd = Network.dense([([[1, 2]], None, "tanh"), ([[1], [1]], None, None)])
    with pytest.raises(InvalidInput, match=r"symbolic\.prove"):
        assert_same_function(odd, odd)


def test_partitions_may_be_given_in_any_way():
    assert_same_partition({"a": 0, "b": 0, "c": 1}, Partition([0, 0, 1]), states=["a", "b", "c"])
    assert_lumpable(LINE, [{"a", "b"}, {"c"}])

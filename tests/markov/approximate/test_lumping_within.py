"""`lump` and `check` with a tolerance: what they return, and what they refuse."""

from fractions import Fraction

import pytest

from lumpability import CTMC, DTMC, check, lump
from lumpability.errors import InvalidChain, InvalidInput, TrivialLumping
from lumpability.markov.attributes import Reward
from lumpability.numbers.exact_array import ExactArray

RATES = {("a", "c"): 100, ("b", "c"): 101, ("c", "a"): 2, ("c", "b"): 2}
CHAIN = CTMC.from_rates(
    RATES,
    states="abc",
    labels={"goal": ["c"]},
    rewards={"cost": {"a": 50, "b": 51}},
    initial={"a": "1/4", "b": "3/4"},
)


def test_states_whose_sums_nearly_agree_are_merged_and_means_are_nominal():
    small = lump(CHAIN, tolerance="1%", ignore="cost")
    assert small.partition.labels.tolist() == [0, 0, 1]
    assert small.quotient.matrix.row(0) == [(1, Fraction(201, 2))]
    assert small.quotient.matrix.row(1) == [(0, 4)]
    assert list(small.quotient.states) == ["{a, b}", "c"]
    assert list(small.quotient.initial) == [1, 0]
    assert small.interval.row(0) == [(1, 100, 101)]
    assert small.residual.relative == Fraction(1, 101)
    assert (small.tolerance, small.dropped) == (Fraction(1, 100), ("reward:cost",))
    assert small.block_of("b") == 0
    assert small.table()[0].members == ("a", "b")


def test_rewards_are_respected_strictly_or_within_a_tolerance_of_their_own():
    assert len(lump(CHAIN, tolerance="1%").partition) == 3
    small = lump(CHAIN, tolerance="1%", reward_tolerance="2%")
    assert list(small.quotient.rewards["cost"].state) == [Fraction(101, 2), 0]
    assert len(lump(CHAIN, tolerance="1%", reward_tolerance="1%").partition) == 3


def test_labels_are_respected_strictly():
    named = CHAIN.rebuilt(CHAIN.matrix, states=CHAIN.states, labels={"goal": ["c"], "first": ["a"]})
    assert len(lump(named, tolerance="50%").partition) == 3
    assert len(lump(named, tolerance="50%", ignore="first").partition) == 2
    assert len(lump(named, tolerance="50%", respect="goal").partition) == 2


def test_within_makes_any_sequence_of_tolerances_nested():
    coarse = lump(CHAIN, tolerance="10%", ignore="cost")
    fine = lump(CHAIN, tolerance="0.1%", ignore="cost", within=coarse.partition)
    assert fine.partition.refines(coarse.partition)
    assert fine.respected == coarse.partition


def test_action_rewards_count_by_what_they_earn():
    paid = Reward(action=ExactArray.read([1, 1, 0])[0])
    chain = CTMC.from_rates(RATES, states="abc", labels={"goal": ["c"]}, rewards={"paid": paid})
    assert len(lump(chain, tolerance="1%").partition) == 3
    small = lump(chain, tolerance="1%", reward_tolerance="1%")
    assert list(small.quotient.rewards["paid"].state) == [Fraction(201, 2), 0]


def test_chains_in_discrete_time_have_means_that_sum_to_one():
    rows = [["0.50", "0.00", "0.50"], ["0.00", "0.51", "0.49"], ["1/2", "1/2", "0"]]
    small = lump(DTMC(rows, labels={"goal": [2]}), tolerance="3%")
    assert small.quotient.matrix.row(0) == [(0, Fraction(101, 200)), (1, Fraction(99, 200))]
    assert small.quotient.matrix.row_sums().values == (1,)


def test_no_text_of_an_approximate_lumping_claims_to_be_exact():
    small = lump(CHAIN, tolerance="1%", ignore="cost")
    texts = [repr(small), repr(small.interval), repr(small.residual)]
    texts += [str(check(CHAIN, small.partition, tolerance=t)) for t in ("1%", "0.1%", 0)]
    assert not any("exact" in text for text in texts)


def test_a_verdict_within_a_tolerance_has_its_residual_and_its_witness():
    blocks = [{"a", "b"}, {"c"}]
    verdict = check(CHAIN, blocks, tolerance="1%")
    assert verdict
    assert verdict.residual.relative == Fraction(1, 101)
    assert str(verdict) == (
        "ordinary within 1%: sums spread by at most 0.99%, and by at most 1 in absolute terms"
    )
    refuted = check(CHAIN, blocks, tolerance="0.5%")
    assert not refuted
    assert refuted.witness.total, refuted.witness.other_total == (100, 101)
    assert str(refuted) == (
        "not ordinary within 0.5%: states 'a' and 'b' share a block, but their rates into {c} sum to 100 "
        "and to 101, which differ by 0.99%"
    )
    assert check(CHAIN, blocks, tolerance="0.5%", absolute=1)
    assert not check(CHAIN, blocks, tolerance=0)
    assert check(CHAIN, [{"a"}, {"b"}, {"c"}], tolerance=0)


@pytest.mark.parametrize(
    "written", ["1%", " 1 % ", 0.01, "0.01", "1/100", "1e-2", Fraction(1, 100)]
)
def test_tolerances_are_written_in_many_ways(written):
    assert lump(CHAIN, tolerance=written, ignore="cost").tolerance == Fraction(1, 100)


@pytest.mark.parametrize("verb", [lump, lambda *given, **more: check(given[0], [0, 1, 2], **more)])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": "1%%"}, "the tolerance '1%%' is not a number: give a share such as \"1%\""),
        ({"tolerance": "much"}, "the tolerance 'much' is not a number"),
        ({"tolerance": float("nan")}, "the tolerance nan is not a number"),
        ({"tolerance": float("inf")}, "the tolerance inf is not a number"),
        ({"tolerance": True}, "the tolerance True is not a number"),
        ({"tolerance": []}, r"the tolerance \[\] is not a number"),
        ({"tolerance": -0.1}, "the tolerance -0.1 is not a share from 0 to below 1"),
        ({"tolerance": "100%"}, "the tolerance '100%' is not a share from 0 to below 1"),
        ({"tolerance": 5}, "the tolerance 5 is not a share from 0 to below 1"),
        ({"tolerance": "1%", "absolute": -1}, "the absolute tolerance -1 is negative"),
        ({"tolerance": "1%", "absolute": "x"}, "the absolute tolerance 'x' is not a number"),
        (
            {"tolerance": "1%", "kind": "exact"},
            "a tolerance is for ordinary lumping, not for 'exact'",
        ),
        ({"absolute": 1}, "absolute is for a lumping within a tolerance: give tolerance="),
    ],
)
def test_bad_tolerances_get_one_sentence(verb, options, message):
    with pytest.raises(InvalidInput, match=message):
        verb(CHAIN, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reward_tolerance": "1%"}, "reward_tolerance is for a lumping within a tolerance"),
        ({"tolerance": "1%", "reward_tolerance": "x"}, "the reward tolerance 'x' is not a number"),
        ({"tolerance": "1%", "engine": "rounds"}, "engine has no meaning with a tolerance"),
        ({"tolerance": "1%", "ignore": "nothing"}, "there is no 'nothing' to ignore"),
    ],
)
def test_options_that_do_not_fit_get_one_sentence(options, message):
    with pytest.raises(InvalidInput, match=message):
        lump(CHAIN, **options)
    with pytest.raises(InvalidChain, match="there is no 'what' to respect"):
        lump(CHAIN, tolerance="1%", respect="what")


def test_chains_with_parameters_are_refused_with_the_reason():
    chain = CTMC.from_rates({("a", "b"): "x", ("b", "a"): 1})
    for ask in (lambda: lump(chain, tolerance="1%"), lambda: check(chain, [0, 1], tolerance="1%")):
        with pytest.raises(InvalidInput, match=r"has the parameters x: substitute numbers"):
            ask()


def test_the_ordinary_kind_may_be_named_and_trivial_results_are_told():
    assert len(lump(CHAIN, kind="ordinary", tolerance="1%", ignore="cost").partition) == 2
    with pytest.warns(TrivialLumping, match="all states fall into one block"):
        lump(CTMC([[0, 1], [1, 0]]), tolerance="1%")

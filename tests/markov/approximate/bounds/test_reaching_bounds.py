"""Intervals of hitting probabilities and of expectations until a target contain the exact values."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampled_chains import chains_with_partitions

from lumpability import CTMC, DTMC
from lumpability.certificate.bounds.proofs import Evidence, prove
from lumpability.certificate.bounds.question import Asked
from lumpability.certificate.bounds.vector import Vector
from lumpability.certificate.digest import ChainParts
from lumpability.certificate.verification import Contradiction
from lumpability.errors import InvalidInput, NoConvergence, NoFiniteBound
from lumpability.markov import MarkovChain
from lumpability.markov.approximate.bounds import bounds
from lumpability.markov.solve import expected_reward_until, hitting_probabilities
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.testing.strategies.lumpable import lumpable_chains

numbers = st.sampled_from([Fraction(0), Fraction(1), Fraction(5), Fraction(1, 3)])
accuracies = st.sampled_from([None, None, 1e-6])


def drawn_target(data: st.DataObject, n: int) -> np.ndarray:
    mask = np.zeros(n, dtype=bool)
    mask[data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=2))] = True
    return mask


@given(pair=chains_with_partitions(), data=st.data(), accuracy=accuracies)
def test_the_interval_contains_the_hitting_probability_of_every_state(
    pair: tuple[MarkovChain, Partition], data: st.DataObject, accuracy: float | None
) -> None:
    chain, partition = pair
    target = drawn_target(data, chain.n)
    exact = hitting_probabilities(chain, target).values
    found = bounds(chain, partition)
    everywhere = found.hitting(target)
    assert all(value in everywhere for value in exact)
    for x in range(chain.n):
        interval = found.hitting(target, initial=chain.states[x], accuracy=accuracy)
        assert exact[x] in interval
        assert interval.certify().verify(chain)
        if accuracy is not None:
            assert interval.width <= Fraction(2, 10**6)


@given(pair=chains_with_partitions(), data=st.data(), accuracy=accuracies)
def test_the_interval_contains_the_expectation_until_the_target(
    pair: tuple[MarkovChain, Partition], data: st.DataObject, accuracy: float | None
) -> None:
    chain, partition = pair
    target = drawn_target(data, chain.n)
    g = data.draw(st.lists(numbers, min_size=chain.n, max_size=chain.n))
    chain = chain.rebuilt(chain.matrix, states=chain.states, rewards={"g": g})
    exact = list(expected_reward_until(chain, "g", target))
    for x in range(chain.n):
        try:
            interval = bounds(chain, partition).expected(
                "g", until=target, initial=chain.states[x], accuracy=accuracy
            )
        except NoFiniteBound as error:
            refused = error
        else:
            refused = None
        if refused is not None:
            assert refused.lower <= exact[x]
            assert refused.state in chain.states
            assert accuracy is None or math.inf in exact
            continue
        if exact[x] == math.inf:  # the target may be missed, where nothing more is earned
            continue
        assert exact[x] in interval
        assert interval.certify().verify(chain)
        if accuracy is not None:
            assert interval.width <= Fraction(2, 10**6) * interval.upper


@given(pair=lumpable_chains(kind="ordinary"))
def test_a_lumping_gives_a_hitting_probability_of_no_width(
    pair: tuple[MarkovChain, Partition],
) -> None:
    chain, partition = pair
    target = partition.labels == len(partition) - 1
    exact = hitting_probabilities(chain, target).values
    for x in range(chain.n):
        interval = bounds(chain, partition).hitting(target, initial=chain.states[x])
        assert interval.width < Fraction(1, 10**9)
        assert exact[x] in interval


def test_trap_without_the_graph_search_one_would_be_a_lower_bound() -> None:
    # From state 0 the target is reached with probability 1/2; v = 1 has no drift anywhere.
    chain = DTMC([[0, "1/2", "1/2"], [0, 1, 0], [0, 0, 1]], initial=0, labels={"goal": [1]})
    asked, parts = Asked("hitting", target="label:goal", start=chain.initial), ChainParts.of(chain)
    ones = Vector.constant(Fraction(1), 3)
    with pytest.raises(Contradiction, match="state 2"):
        prove(asked, parts, Partition([0, 1, 2]), Evidence((ones,)), upper=False)
    found = bounds(chain, [0, 1, 2]).hitting("goal")
    assert Fraction(1, 2) in found
    assert found.width < Fraction(1, 10**9)


def test_trap_a_member_that_never_leaves_its_block_is_named() -> None:
    rates = {("a", "b"): 1, ("b", "a"): 1, ("a", "goal"): 1}
    chain = CTMC.from_rates(rates, states=["a", "b", "goal"], initial="a")
    found = bounds(chain, [{"a", "b"}, {"goal"}])
    with pytest.raises(NoFiniteBound, match="'b'") as caught:
        found.expected(until=["goal"])
    assert caught.value.state == "b"
    assert 0 <= caught.value.lower <= 2
    interval = found.expected(until=["goal"], accuracy=1e-9)
    assert Fraction(2) in interval
    assert interval.width < Fraction(1, 10**7)
    assert 1 in found.hitting(["goal"])


def test_trap_a_target_that_may_be_missed_has_no_expected_time() -> None:
    chain = DTMC(
        [[0, "1/2", "1/2"], [0, 1, 0], [0, 0, 1]], states=["s", "goal", "trap"], initial="s"
    )
    for accuracy in (None, 1e-6):
        with pytest.raises(NoFiniteBound, match="'trap'") as caught:
            bounds(chain, [0, 1, 2]).expected(until=["goal"], accuracy=accuracy)
        assert caught.value.state == "trap"


def test_a_chain_whose_states_are_in_the_target_is_there_at_once() -> None:
    chain = CTMC([[0, 1], [1, 0]])
    found = bounds(chain, [0, 0])
    assert found.hitting([0, 1]).lower == 1
    assert found.expected(until=[0, 1]).upper == 0


def test_negative_rewards_until_a_target_are_refused() -> None:
    with pytest.raises(InvalidInput, match="negative"):
        bounds(CTMC([[0, 1], [1, 0]]), [0, 1]).expected([-1, 0], until=[1])


def test_action_rewards_are_earned_on_leaving() -> None:
    from lumpability import Reward

    paid = Reward(action=ExactArray.read([3, 0])[0])
    chain = CTMC([[0, 2], [0, 0]], rewards={"paid": paid}, initial=0)
    interval = bounds(chain, [0, 1]).expected("paid", until=[1])
    assert interval.lower == interval.upper == 3


@pytest.mark.parametrize(
    ("rates", "answer"),
    [
        ({("b", "a"): "1e-17"}, 10**17),
        ({("b", "a"): "1e-12", ("a", "b"): "7e6"}, 10**12),
        ({("b", "a"): "1e-12", ("b", "c"): "1e9", ("c", "b"): 1}, 10**12 + 10**21),
    ],
)
def test_rates_may_lie_apart_as_far_as_they_will_in_small_chains(
    rates: dict[object, object], answer: int
) -> None:
    chain = CTMC.from_rates(rates, labels={"a": ["a"]}, initial="b")
    for partition in ([*range(chain.n)], chain.labels["a"].astype(int)):
        found = bounds(chain, partition)
        interval = found.expected(until="a", accuracy="1e-9")
        assert (interval.lower, interval.upper) == (answer, answer)
        assert interval.certify().verify(chain)
        assert found.hitting("a", accuracy="1e-9").lower == 1


def test_stiff_lumpings_of_many_blocks_give_narrow_intervals() -> None:
    """A queue that is seldom full: the time until then has ten digits, and all of its blocks are states."""
    n = 90
    rates = {(x, x + 1): 1 for x in range(n)} | {(x + 1, x): "5/4" for x in range(n)}
    chain = CTMC.from_rates(rates, states=range(n + 1), labels={"full": [n]}, initial=0)
    gains = [Fraction(1)]
    for _ in range(n - 1):
        gains.append(1 + Fraction(5, 4) * gains[-1])
    found = bounds(chain, range(n + 1))
    for accuracy in (None, 1e-20):
        interval = found.expected(until="full", accuracy=accuracy)
        assert sum(gains) in interval
        assert interval.width <= 2 * Fraction(accuracy or 1e-12) * interval.upper
        assert interval.certify().verify(chain)


def test_long_runs_of_stiff_small_chains_are_exact() -> None:
    rates = {(0, 2): "9e-12", (3, 1): 6 * 10**9, (3, 2): 2 * 10**6}
    chain = CTMC.from_rates(rates, states=range(4), labels={"a": [2]}, initial=3)
    interval = bounds(chain, [0, 1, 2, 3]).long_run("a")
    assert interval.lower == interval.upper == Fraction(1, 3001)
    assert interval.certify().verify(chain)


def test_vectors_that_prove_nothing_are_told_in_words() -> None:
    rates = {(x, x + 1): Fraction(10) ** (-18 * (x % 2)) for x in range(80)}
    rates |= {(x + 1, x): Fraction(10) ** (18 * (x % 2)) for x in range(80)}
    chain = CTMC.from_rates(rates, states=range(81), labels={"a": [80]}, initial=0)
    with pytest.raises((NoConvergence, NoFiniteBound)):
        bounds(chain, np.arange(81)).expected(until="a")

"""Finite horizons: quotient sequences answer questions about so many steps, exactly."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from lumpability import CTMC, DTMC, lump
from lumpability.errors import InvalidInput, NotJustified
from lumpability.refinement.definition import rounds
from lumpability.testing import ctmcs, dtmcs, labelled

pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")

WALK = DTMC.from_rates(
    {(i, i + d): "1/2" for i in range(1, 20) for d in (-1, 1)} | {(0, 0): 1, (20, 20): 1},
    states=range(21),
    labels={"won": [20], "lost": [0]},
    rewards={"cost": [0] + [1] * 19 + [0]},
)


def applied(chain, values, held=None):
    """P times a vector, and 1 on what is held."""
    return [
        Fraction(1)
        if held is not None and held[x]
        else sum((w * values[u] for u, w in chain.matrix.row(x)), Fraction(0))
        for x in range(chain.n)
    ]


@given(labelled(dtmcs(max_states=6), max_rewards=1), st.integers(0, 4))
def test_questions_about_k_steps_are_answered_exactly(chain, horizon):
    small = lump(chain, horizon=horizon)
    mask = chain.labels["a"].tolist()
    now = reached = [Fraction(x) for x in mask]
    for steps in range(horizon + 1):
        assert list(small.probability("a", steps=steps)) == now
        assert list(small.reached("a", steps=steps)) == reached
        now, reached = applied(chain, now), applied(chain, reached, mask)
    for name, reward in chain.rewards.items():
        zero = [Fraction(0)] * chain.n
        rates = [sum(part[x] for part in reward.parts) for x in range(chain.n)]
        total = zero
        for _ in range(horizon):
            total = [r + v for r, v in zip(rates, applied(chain, total), strict=True)]
        assert list(small.earned(name)) == total


@given(labelled(st.one_of(ctmcs(max_states=7), dtmcs(max_states=7))), st.integers(0, 5))
def test_the_partitions_are_the_rounds_of_the_definition(chain, horizon):
    small = lump(chain, horizon=horizon)
    matrix = chain.generator() if chain.time == "continuous" else chain.matrix
    expected = list(rounds([matrix], chain.respected()))
    assert list(small.partitions) == expected[: horizon + 1]
    assert small.is_lumping == (horizon >= len(expected))
    assert lump(chain).partition.refines(small.partition)
    if small.is_lumping:
        assert small.partition == lump(chain).partition


@given(labelled(dtmcs(max_states=6)), st.integers(1, 4))
def test_rows_of_the_quotient_sequence_are_sums_of_every_member(chain, horizon):
    small = lump(chain, horizon=horizon)
    for i in range(1, horizon + 1):
        fine, coarse = (small.partitions[min(j, len(small.partitions) - 1)] for j in (i, i - 1))
        for state in range(chain.n):
            sums = {}
            for target, weight in chain.matrix.row(state):
                block = int(coarse.labels[target])
                sums[block] = sums.get(block, 0) + weight
            assert dict(small.step(i).row(int(fine.labels[state]))) == sums


def test_a_short_horizon_needs_few_blocks():
    assert len(lump(WALK).partition) == 21
    assert [len(lump(WALK, horizon=k).partition) for k in (0, 1, 2, 3)] == [3, 5, 7, 9]
    small = lump(WALK, horizon=3)
    assert list(small.reached("won"))[16:] == [0, Fraction(1, 8), Fraction(1, 4), Fraction(5, 8), 1]
    assert list(small.earned("cost"))[9:11] == [3, 3]


@pytest.mark.parametrize("time", ["1/2", 2, 20, 0])
def test_chains_in_continuous_time_are_answered_within_the_truncation(time):
    rates = {(i, i + 1): Fraction(i + 1, 2) for i in range(8)} | {(i + 1, i): 2 for i in range(8)}
    chain = CTMC.from_rates(rates, states=range(9), labels={"top": [8], "low": [0, 1]})
    generator = chain.generator().to_scipy().toarray()
    for horizon, wide in ((400, False), (3, True)):
        small = lump(chain, horizon=horizon)
        assert small.rate == 6
        found = small.probability("low", time=time)
        truth = expm(generator * float(Fraction(time)))[:, :2].sum(axis=1)
        held = generator.copy()
        held[8] = 0
        until = small.reached("top", time=time)
        reached = expm(held * float(Fraction(time)))[:, 8]
        for ends, values in ((found, truth), (until, reached)):
            for low, high, value in zip(ends.lower, ends.upper, values.tolist(), strict=True):
                assert float(low) - 1e-12 <= value <= float(high) + 1e-12
                assert 0 <= low <= high <= 1
                assert wide or high - low < Fraction(1, 10**20)


def test_the_width_is_at_most_the_probability_of_more_steps():
    chain = CTMC([[0, 1, 0], [0, 0, 0], [0, 0, 0]], labels={"done": [1]})
    found = lump(chain, horizon=1).reached("done", time=1)
    assert float(found.lower[0]) == pytest.approx(np.exp(-1))
    assert float(found.upper[0]) == pytest.approx(1 - np.exp(-1))
    sure = CTMC([[0, 1], [0, 0]], labels={"done": [1]})  # no later step leads anywhere else
    found = lump(sure, horizon=1).reached("done", time=1)
    assert float(found.lower[0]) == pytest.approx(1 - np.exp(-1))


def test_symmetry_makes_horizons_smaller_too():
    small = lump(WALK, horizon=2, respect=(), within=lambda s: s in (0, 20))
    assert len(small.partition) == 4
    with pytest.raises(NotJustified, match="label 'won' was not respected"):
        small.reached("won")


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: lump(WALK, horizon=-1), "the horizon -1 is not a number of steps"),
        (lambda: lump(WALK, horizon="3"), "the horizon '3' is not a number of steps"),
        (lambda: lump(WALK, horizon=True), "the horizon True is not a number of steps"),
        (lambda: lump(WALK, horizon=3, kind="exact"), "a horizon is for ordinary lumping"),
        (lambda: lump(WALK, horizon=3, tolerance="1%"), "tolerance has no meaning with a horizon"),
        (lambda: lump(WALK, horizon=3).reached("won", steps=4), "lump with horizon=4"),
        (lambda: lump(WALK, horizon=3).reached("won", steps=-1), "-1 is not a number of steps"),
        (lambda: lump(WALK, horizon=3).reached("won", time=1), "has steps: give steps="),
        (
            lambda: lump(WALK, horizon=3).reached("up"),
            "there is no label 'up'; the chain has won, lost",
        ),
        (lambda: lump(WALK, horizon=3).step(0), "steps are numbered from 1 to 3, not 0"),
        (lambda: lump(CTMC([[0, "x"], [1, 0]]), horizon=3), "has the parameters x: substitute"),
        (lambda: timed().reached("a"), "has times: give time="),
        (lambda: timed().reached("a", time=-1), "the time -1 is negative"),
        (lambda: timed().reached("a", time="soon"), "the time 'soon' is not a number"),
    ],
)
def test_bad_input_gets_one_sentence(ask, message):
    with pytest.raises(InvalidInput, match=message):
        ask()


def timed():
    return lump(CTMC([[0, 1], [1, 0]], labels={"a": [0]}, rewards={"r": [1, 0]}), horizon=3)


def test_rewards_until_a_time_are_not_rewards_of_uniformised_steps():
    with pytest.raises(NotJustified, match="rewards of uniformised steps"):
        timed().earned("r")

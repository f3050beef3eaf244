"""`lump` with an error refines for one question until its proved interval is narrow enough."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, lump, read
from lumpability.errors import InvalidInput, NoConvergence, SizeLimit
from lumpability.markov import MarkovChain
from lumpability.markov.approximate.bounds import (
    Expected,
    Hitting,
    LongRun,
    Question,
    Stationary,
    TimeBounded,
    Transient,
    bounds,
)
from lumpability.markov.approximate.bounds.goal import split
from lumpability.markov.approximate.bounds.width import Width, timed_width
from lumpability.markov.approximate.bounds.width_average import average_width
from lumpability.markov.examples import machine_repair
from lumpability.markov.solve import (
    expected_hitting_times,
    hitting_probabilities,
    stationary,
    transient,
)
from lumpability.markov.solve.classes import recurrent_classes
from lumpability.partition import Partition
from lumpability.testing.strategies.chains import ctmcs, dtmcs


@given(chain=st.one_of(ctmcs(min_states=2), dtmcs(min_states=2)), data=st.data())
def test_the_answer_is_as_narrow_as_asked_and_contains_the_exact_one(
    chain: MarkovChain, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, chain.n - 1))
    mask = np.zeros(chain.n, dtype=bool)
    mask[data.draw(st.integers(0, chain.n - 1))] = True
    question = Transient(mask, 3, initial=chain.states[start])
    small = lump(chain, error="1%", question=question)
    assert small.answer.width <= Fraction(2, 100)
    exact = transient(chain, 3, initial=chain.states[start]).floats() @ mask
    assert small.answer.lower - 1e-9 <= exact <= small.answer.upper + 1e-9
    assert small.answer.certify().verify(chain)
    reached = lump(chain, error="1%", question=Hitting(mask, initial=chain.states[start]))
    assert hitting_probabilities(chain, mask).values[start] in reached.answer
    assert reached.answer.width <= Fraction(2, 100)


def test_few_blocks_answer_one_question_about_a_chain_that_does_not_lump() -> None:
    chain = uneven(8)
    assert len(lump(chain).partition) == chain.n
    small = lump(chain, error="1%", question=Transient("operational", 10))
    assert len(small.partition) <= 12
    assert small.quotient.n == len(small.partition)
    exact = transient(chain, 10).floats() @ chain.labels["operational"]
    assert small.answer.lower <= exact <= small.answer.upper
    bounded = lump(
        chain, error="1%", question=TimeBounded([chain.states[0]], 1, initial="dddddddd")
    )
    assert bounded.answer.width <= Fraction(2, 100)


def test_an_expected_time_is_answered_relative_to_itself() -> None:
    chain = machine_repair(6, failure="1/10")
    broken = ~chain.labels["operational"]
    exact = expected_hitting_times(chain, broken).values[0]
    for error in ("30%", "1%"):
        small = lump(chain, error=error, question=Expected(until=broken))
        assert exact in small.answer
        assert small.answer.width <= small.answer.upper * 2 * small.error
        assert len(small.partition) < 12


def test_contributions_sum_to_the_width() -> None:
    chain = machine_repair(6, failure="1/10")
    question = Transient("operational", 3)
    for partition in ([0] * chain.n, np.arange(chain.n) % 5):
        task = bounds(chain, partition).task(question)
        width = timed_width(task)
        assert width.contribution.sum() == pytest.approx(2 * width.half, rel=1e-6, abs=1e-9)
        proved = bounds(chain, partition).transient(3, of="operational", over="members")
        assert float(proved.width / 2) == pytest.approx(width.half, rel=1e-6)


@pytest.mark.parametrize("kind", [Stationary, LongRun])
def test_contributions_sum_to_the_width_of_an_average(kind: type) -> None:
    chain = uneven(6)
    for blocks in (1, 5, 13):
        found = bounds(chain, np.arange(chain.n) % blocks)
        question = kind("operational")
        width = average_width(found.task(question))
        assert float(found.answer(question).width / 2) == pytest.approx(width.half, rel=1e-6)


def test_few_blocks_answer_for_an_average_of_a_chain_that_nearly_lumps() -> None:
    chain = uneven(7)
    assert len(lump(chain).partition) == chain.n
    exact = stationary(chain).floats() @ chain.labels["operational"]
    for error, most in (("5%", 20), ("0.01%", 64)):
        for question in (Stationary("operational"), LongRun("operational")):
            small = lump(chain, error=error, question=question)
            assert len(small.partition) <= most
            assert small.answer.width <= 2 * small.error
            assert small.answer.lower <= exact <= small.answer.upper
            assert small.answer.certify().verify(chain)


@given(chain=st.one_of(ctmcs(min_states=2), dtmcs(min_states=2)), data=st.data())
def test_a_long_run_is_answered_class_by_class(chain: MarkovChain, data: st.DataObject) -> None:
    mask = np.zeros(chain.n, dtype=bool)
    mask[data.draw(st.integers(0, chain.n - 1))] = True
    start = data.draw(st.integers(0, chain.n - 1))
    small = lump(chain, error="1%", question=LongRun(mask, initial=chain.states[start]))
    assert small.answer.width <= Fraction(2, 100)
    assert small.answer.certify().verify(chain)
    levels = stationary_by_class(chain, mask)
    assert small.answer.lower - Fraction(1, 10**9) <= levels[start]
    assert levels[start] <= small.answer.upper + Fraction(1, 10**9)


def test_averages_of_several_classes_are_asked_from_a_start() -> None:
    chain = DTMC([[0, "1/2", "1/2"], [0, 1, 0], [0, 0, 1]], labels={"a": [1]}, initial=0)
    with pytest.raises(InvalidInput, match=r"2 recurrent classes.*LongRun"):
        lump(chain, error="1%", question=Stationary("a"))
    assert lump(chain, error="1%", question=LongRun("a")).answer.lower == Fraction(1, 2)


def uneven(machines: int) -> MarkovChain:
    """Machines whose rates all differ by up to a fifth."""
    chain = machine_repair(machines, failure="1/10")
    rates = chain.matrix.to_scipy()
    rates.data = rates.data * np.linspace(1, 1.2, chain.matrix.m)
    return CTMC(rates, states=chain.states, labels=chain.labels, initial=chain.initial)


def stationary_by_class(chain: MarkovChain, mask: np.ndarray) -> list[Fraction]:
    """The long-run share of time in some states, from every state."""
    total = [Fraction(0)] * chain.n
    for states in recurrent_classes(chain):
        inside = np.zeros(chain.n, dtype=bool)
        inside[states] = True
        reached = hitting_probabilities(chain, inside).values
        members = bounds(chain, np.arange(chain.n))
        level = members.long_run(mask, initial=chain.states[int(states[0])]).lower
        total = [a + level * p for a, p in zip(total, reached, strict=True)]
    return total


def test_blocks_whose_members_score_alike_are_left_whole() -> None:
    width = Width(1.0, 1.0, np.array([0.5, 0.5]), np.array([2.0, 2.0, 1.0, 0.0]))
    assert split(Partition([0, 0, 1, 1]), width) == Partition([0, 0, 1, 2])


def test_what_is_respected_and_given_is_kept_apart() -> None:
    chain = machine_repair(4, failure="1/10")
    question = Transient([1] * chain.n, 1)
    assert len(lump(chain, error="1%", question=question).partition) == 1
    assert len(lump(chain, error="1%", question=question, respect="labels").partition) == 2
    within = np.arange(chain.n) % 3
    assert len(lump(chain, error="1%", question=question, within=within).partition) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"error": "1%"}, "give both"),
        ({"question": Stationary("operational")}, "give both"),
        ({"error": "1%", "question": "operational"}, "Transient"),
        ({"error": 0, "question": Transient("operational", 1)}, "above"),
        ({"error": "1%", "question": Transient("operational", 1), "tolerance": "1%"}, "tolerance"),
        ({"error": "1%", "question": Transient("operational", 1), "kind": "exact"}, "ordinary"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        lump(machine_repair(3), **options)


def test_an_error_below_the_rounding_is_not_reached() -> None:
    chain = DTMC([["1/3", "2/3"], ["1/7", "6/7"]], initial=0)
    with pytest.raises(NoConvergence, match="larger error"):
        lump(chain, error=1e-30, question=Transient([1, 0], 3))


@pytest.mark.slow
def test_kanban_needs_at_most_57_blocks_for_one_per_cent_of_the_span(shared: Path) -> None:
    path = shared / "chains" / "kanban3.npz"
    if not path.is_file():
        pytest.skip(f"the chain is not here: {path}")
    chain = read(path)
    small = lump(chain, error="1%", question=Transient("tokens_cell4", 5))
    assert len(small.partition) <= 57
    assert small.answer.width <= Fraction(3 * 2, 100)
    assert small.answer.lower <= 0.1089 <= small.answer.upper
    assert small.answer.certify().verify(chain)


def test_steps_that_do_not_fit_the_memory_are_refused_before_they_are_stored() -> None:
    rates = {(0, 1): 10**9, (1, 0): 1, (0, 2): 10**9 + 7, (2, 0): 1}
    chain = CTMC.from_rates(rates, labels={"a": [0]}, states=range(3), initial=1)
    with pytest.raises(SizeLimit, match="too many for a refinement"):
        lump(chain, error="1%", question=Transient("a", 1))
    walk = DTMC([[0, 1], [1, 0]], labels={"a": [0]}, initial=0)
    with pytest.raises(SizeLimit, match="too many for a refinement"):
        lump(walk, error="1%", question=Transient("a", 10**12))
    still = CTMC([[0, 0], [0, 0]], labels={"a": [1]}, initial=0)
    assert lump(still, error="1%", question=Transient("a", 5 * 10**9)).answer.upper < 1e-18


@pytest.mark.parametrize(
    "question",
    [Transient("up", 1), TimeBounded("up", 1), Hitting("up"), Expected(until="up")],
    ids=lambda question: type(question).__name__,
)
def test_questions_about_every_start_are_refused_at_once(question: Question) -> None:
    rates = {("a", "b"): 1, ("b", "c"): 2, ("c", "a"): 3}
    chain = CTMC.from_rates(rates, labels={"up": ["a"]})
    with pytest.raises(InvalidInput, match="no initial distribution"):
        lump(chain, error="1%", question=question)
    assert lump(chain, error="1%", question=LongRun("up")).answer.width < Fraction(2, 100)
    at_home = replace(question, initial="a")
    assert lump(chain, error="1%", question=at_home).answer.width < Fraction(2, 100)

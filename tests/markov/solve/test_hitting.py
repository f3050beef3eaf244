"""Hitting probabilities, expected times and rewards against closed forms and each other."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from lumpability import CTMC, DTMC, Reward, lump
from lumpability.errors import InvalidChain, InvalidInput, InvalidValue, NoConvergence, NotUnique
from lumpability.markov import ask as ask_chain
from lumpability.markov.examples import machine_repair, moran, planted
from lumpability.markov.solve import (
    absorbing,
    accumulated_reward,
    expected_hitting_times,
    expected_reward_until,
    hitting_probabilities,
    instantaneous_reward,
    linear,
    long_run_reward,
    transient,
)
from lumpability.markov.solve.linear import solve_exact, solve_numeric
from lumpability.markov.solve.solution import Effort
from lumpability.numbers.exact_array import ExactArray


def gambler(goal: int, up: Fraction) -> DTMC:
    rows = [[Fraction(0)] * (goal + 1) for _ in range(goal + 1)]
    rows[0][0] = rows[goal][goal] = Fraction(1)
    for i in range(1, goal):
        rows[i][i + 1], rows[i][i - 1] = up, 1 - up
    return DTMC(rows, labels={"rich": [goal]}, initial=1)


def test_the_gamblers_ruin_has_its_closed_form():
    goal, up = 7, Fraction(2, 5)
    odds = (1 - up) / up
    chain = gambler(goal, up)
    expected = [(1 - odds**i) / (1 - odds**goal) for i in range(goal + 1)]
    assert list(hitting_probabilities(chain, "rich").values) == expected
    times = expected_hitting_times(gambler(goal, Fraction(1, 2)), [0, goal])
    assert list(times) == [i * (goal - i) for i in range(goal + 1)]


@pytest.mark.parametrize("method", ["direct", "iterative"])
def test_numerical_methods_agree_with_the_exact_one(method):
    chain = machine_repair(5)
    for solve in (hitting_probabilities, expected_hitting_times):
        numeric, exact = (
            solve(chain, ["ddddd"], method=method),
            solve(chain, ["ddddd"], method="exact"),
        )
        assert numeric.floats() == pytest.approx(exact.floats(), rel=1e-7)
        assert numeric.residual < 1e-6


@given(seed=st.integers(0, 10**6), target=st.integers(0, 4))
def test_hitting_times_are_infinite_exactly_where_the_target_may_be_missed(seed, target):
    chain, _ = planted("bisimulation", [2, 3], seed=seed)
    reach = hitting_probabilities(chain, [target], method="exact")
    times = expected_hitting_times(chain, [target], method="exact")
    numeric = expected_hitting_times(chain, [target], method="direct").floats()
    for state in range(chain.n):
        assert (times[state] == math.inf) == (reach[state] < 1)
        assert numeric[state] == pytest.approx(float(times[state]))
        moves = [(t, r) for t, r in chain.matrix.row(state) if t != state]
        leaving = sum(r for _, r in moves)
        if state != target and leaving:  # the equations themselves
            assert sum(r * reach[t] for t, r in moves) == leaving * reach[state]
            if times[state] != math.inf:
                assert sum(r * times[t] for t, r in moves) + 1 == leaving * times[state]


@pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")  # where all are targets
@given(
    seed=st.integers(0, 10**6),
    target=st.sets(st.integers(0, 5), min_size=1),
    avoid=st.sets(st.integers(0, 5), min_size=1),
)
def test_to_avoid_states_is_to_make_them_absorbing(seed, target, avoid):
    chain, _ = planted("bisimulation", [2, 3, 1], seed=seed)
    kept = {(s, t): w for s in range(6) for t, w in chain.matrix.row(s) if s not in avoid - target}
    stopped = CTMC.from_rates(kept, states=range(6))
    found = hitting_probabilities(chain, list(target), avoid=list(avoid))
    right = hitting_probabilities(stopped, list(target))
    assert list(found) == list(right)
    answer = ask_chain(
        chain, "hitting-probability", target=list(target), avoid=list(avoid), states=True
    )
    assert [row.value for row in answer.rows] == list(right)


def test_avoid_is_for_probabilities():
    chain = gambler(4, Fraction(1, 2))
    assert hitting_probabilities(chain, "rich", avoid=[1])[2] == Fraction(2, 3) / 2
    with pytest.raises(InvalidInput, match="is for hitting-probability"):
        ask_chain(chain, "hitting-time", target="rich", avoid=[0])
    with pytest.raises(InvalidChain, match="no label or state 'poor'"):
        hitting_probabilities(chain, "rich", avoid="poor")


def test_infinite_values_are_not_handed_out_as_numbers():
    chain = CTMC([[0, 1, 1], [0, 0, 0], [0, 0, 0]])
    times = expected_hitting_times(chain, [1])
    with pytest.raises(InvalidValue, match="state 0 is infinite"):
        _ = times.values
    assert times.floats().tolist() == [math.inf, 0, math.inf]
    assert repr(times) == "Solution([inf, 0, inf], exact)"


def test_a_singular_system_is_refused():
    with pytest.raises(NotUnique, match="singular"):
        solve_exact([{0: Fraction(1), 1: Fraction(1)}] * 2, [Fraction(1), Fraction(1)])
    with pytest.raises(NoConvergence, match="exact"):
        solve_numeric(csr_array(np.ones((2, 2))), np.ones(2), Effort("direct"))


def test_large_matrices_are_preconditioned_by_their_diagonal(monkeypatch):
    monkeypatch.setattr(linear, "_FACTORISE_UP_TO", 0)
    chain = gambler(30, Fraction(2, 5))
    numeric = hitting_probabilities(chain, "rich", method="iterative")
    assert numeric.floats() == pytest.approx(hitting_probabilities(chain, "rich").floats())


def test_a_target_is_a_label_states_a_mask_or_a_predicate():
    chain = gambler(3, Fraction(1, 2))
    forms = ["rich", [3], np.arange(4) == 3, lambda state: state == 3]
    found = {str(hitting_probabilities(chain, form)) for form in forms}
    assert len(found) == 1


def test_an_empty_or_unknown_target_is_refused():
    with pytest.raises(InvalidChain, match="empty"):
        hitting_probabilities(gambler(3, Fraction(1, 2)), [])
    with pytest.raises(InvalidChain, match="not a state"):
        hitting_probabilities(gambler(3, Fraction(1, 2)), [9])


def test_symbolic_chains_give_formulas():
    chain = CTMC.from_rates({("a", "b"): "x", ("b", "a"): "y", ("b", "c"): "z"})
    times = expected_hitting_times(chain, ["c"])
    assert str(times[0].as_expr()) == "(x + y + z)/(x*z)"
    assert times[2] == 0
    never = hitting_probabilities(CTMC.from_rates({("a", "b"): "x", ("a", "c"): "y"}), ["b"])
    assert str(never[0].as_expr()) == "x/(x + y)"


def test_rewards_until_a_target_count_time_and_jumps():
    cost = Reward(ExactArray.read([2, 0, 0])[0], action=ExactArray.read([0, 5, 0])[0])
    chain = CTMC([[0, 1, 0], [3, 0, 1], [0, 0, 0]], rewards={"cost": cost})
    # From 0: cycles 0 -> 1 -> 0 with probability 3/4; each visit to 0 costs 2, each leaving of 1 five.
    assert list(expected_reward_until(chain, "cost", [2]).values) == [28, 26, 0]
    with pytest.raises(InvalidChain, match="no reward 'time'"):
        expected_reward_until(chain, "time", [2])


@pytest.mark.parametrize("time", [0, 1.5, 10])
def test_accumulated_reward_is_the_integral_of_the_instantaneous_one(time):
    chain = machine_repair(3)
    reward = Reward(ExactArray.read([3 - s.bit_count() for s in range(8)])[0])
    points = np.linspace(0, time, 2001)
    earned = [instantaneous_reward(chain, reward, t) for t in points[::40]]
    by_rule = np.trapezoid(earned, points[::40])
    assert accumulated_reward(chain, reward, time) == pytest.approx(by_rule, rel=1e-3, abs=1e-12)


def test_rewards_of_a_dtmc_add_up_step_by_step():
    chain = gambler(4, Fraction(1, 2))
    reward = Reward(ExactArray.read([0, 1, 2, 3, 4])[0], action=ExactArray.read([0, 1, 1, 1, 0])[0])
    rho = [0, 2, 3, 4, 4]
    total = sum(
        sum(p * r for p, r in zip(transient(chain, k).values, rho, strict=True)) for k in range(5)
    )
    assert accumulated_reward(chain, reward, 5) == total
    assert long_run_reward(chain, reward) == 1  # rich with probability 1/4, four each step
    with pytest.raises(InvalidInput, match="whole numbers"):
        accumulated_reward(chain, reward, 1.5)
    with pytest.raises(InvalidInput, match="not negative"):
        accumulated_reward(machine_repair(1), Reward(ExactArray.read([1, 0])[0]), -1)
    still = CTMC([[0, 0], [0, 0]], initial=1)
    assert accumulated_reward(still, Reward(ExactArray.read([1, 2])[0]), 3) == 6


def test_rewards_in_the_long_run_survive_lumping():
    up = [8 - s.bit_count() for s in range(256)]
    chain = machine_repair(8)
    chain = chain.rebuilt(chain.matrix, labels=chain.labels, rewards={"up": up}, initial=0)
    lumping = lump(chain)
    exact = long_run_reward(lumping.quotient, "up")
    assert isinstance(exact, Fraction)
    assert long_run_reward(chain, "up", method="direct") == pytest.approx(float(exact))


def test_functions_of_states_are_pulled_back_from_the_quotient():
    chain = moran(5)
    lumping = lump(chain)
    small = hitting_probabilities(lumping.quotient, "fixed")
    whole = hitting_probabilities(chain, "fixed", method="exact")
    assert lumping.pull_back(small.values).equals(whole.values)


def rough_chain(seed: int, states: int) -> CTMC:
    """A chain whose rates differ by many orders of magnitude, and that reaches state 0 from everywhere."""
    random = np.random.default_rng(seed)
    rates = {}
    for s in range(1, states):
        for t in {s - 1, *random.integers(0, states, 2).tolist()} - {s}:
            rates[s, t] = Fraction(int(random.integers(1, 10))) * Fraction(10) ** int(
                random.integers(-8, 9)
            )
    reward = {s: Fraction(int(random.integers(-3, 9)), 7) for s in range(states)}
    return CTMC.from_rates(rates, states=range(states), rewards={"cost": reward})


@given(seed=st.integers(0, 10**6), method=st.sampled_from(["direct", "iterative"]))
def test_errors_of_hitting_stay_within_their_bounds(seed, method):
    chain = rough_chain(seed, 7)
    for ask in (
        lambda method: expected_hitting_times(chain, [0], method=method),
        lambda method: hitting_probabilities(chain, [3], method=method),
        lambda method: expected_reward_until(chain, "cost", [0], method=method),
    ):
        exact = ask("exact")
        try:
            found = ask(method)
        except NoConvergence:
            assert method == "iterative"
            continue
        pairs = [(Fraction(x), y) for x, y in zip(found.finite.tolist(), exact.finite, strict=True)]
        if method == "direct":
            assert found.error_bound is not None
        if found.error_bound is not None:
            assert max(abs(x - y) for x, y in pairs) <= found.error_bound
        if found.relative_error is not None:
            assert found.relative_error < 1e-10 or method == "iterative"
            assert all(abs(x - y) <= Fraction(found.relative_error) * y for x, y in pairs)


@pytest.mark.parametrize("dense", [0, 2000])
def test_times_are_right_to_ten_digits_with_and_without_tables(monkeypatch, dense):
    monkeypatch.setattr(absorbing, "_DENSE_UP_TO", dense)
    chain = machine_repair(6, repairers=2)
    found = expected_hitting_times(chain, [chain.states[-1]], method="direct")
    exact = expected_hitting_times(chain, [chain.states[-1]], method="exact")
    assert found.relative_error < 1e-12
    assert found.floats() == pytest.approx(exact.floats(), rel=found.relative_error * 2)


def test_times_that_cannot_be_shown_to_be_right_are_refused():
    quotient = lump(machine_repair(8, repairers=2, failure="1/1000000000")).quotient
    with pytest.raises(NoConvergence, match="cannot be shown to be right"):
        expected_hitting_times(quotient, [quotient.states[-1]], method="iterative")
    direct = expected_hitting_times(quotient, [quotient.states[-1]], method="direct")
    exact = expected_hitting_times(quotient, [quotient.states[-1]], method="exact")
    assert direct.floats() == pytest.approx(exact.floats(), rel=1e-12)


def test_times_beyond_the_range_of_floats_are_refused():
    """From 0 to 399 against the drift: a finite number of 337 digits."""
    n = 400
    rates = {(i, i + 1): 1 for i in range(n - 1)} | {(i + 1, i): 7 for i in range(n - 1)}
    chain = CTMC.from_rates(
        rates, states=range(n), labels={"full": [n - 1]}, initial=0, rewards={"r": [1] * n}
    )
    for solve in (expected_hitting_times, lambda c, t: expected_reward_until(c, "r", t)):
        with pytest.raises(NoConvergence, match="beyond the range of floating point"):
            solve(chain, "full")


def test_probabilities_that_underflow_have_no_bound_and_true_zeros_do():
    """Gambler's ruin: 999 / (1000^199 - 1) is about 1e-594."""
    n = 200
    rates = {(0, 0): 1, (n - 1, n - 1): 1}
    for i in range(1, n - 1):
        rates |= {(i, i + 1): "1/1001", (i, i - 1): "1000/1001"}
    ruin = DTMC.from_rates(rates, states=range(n), labels={"top": [n - 1]}, initial=1)
    found = hitting_probabilities(ruin, "top")
    assert (found[1], found.relative_error, found.error_bound) == (0.0, None, None)
    ways = {(i, i + 1): 1 for i in range(99)} | {(i + 1, i): 1 for i in range(49)}
    earning = CTMC.from_rates(
        ways, states=range(100), labels={"end": [99]}, rewards={"r": [1] * 30 + [0] * 70}
    )
    found = expected_reward_until(earning, "r", "end")
    assert found[80] == 0.0
    assert found.relative_error < 1e-12

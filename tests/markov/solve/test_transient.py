"""Transient distributions against matrix exponentials, closed forms and exact powers."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from lumpability import CTMC, DTMC, lump
from lumpability.errors import InvalidInput, NotUnique, SizeLimit
from lumpability.markov.examples import hypercube_walk, machine_repair, planted
from lumpability.markov.solve import accumulated_reward, transient
from lumpability.markov.solve.poisson import poisson_window
from lumpability.markov.solve.transient import multiply_exactly
from lumpability.numbers.exact_array import ExactArray


@given(seed=st.integers(0, 10**6), time=st.floats(0, 20))
def test_uniformization_is_the_matrix_exponential(seed, time):
    chain, _ = planted("bisimulation", [2, 3], seed=seed)
    start = ExactArray.read(["1/2", 0, "1/4", "1/4", 0])[0]
    found = transient(chain, time, initial=start)
    generator = chain.generator().explicit().to_scipy().toarray()
    assert np.abs(found.floats() - start.to_floats() @ expm(generator * time)).sum() < 1e-8
    assert found.error_bound <= 1e-10


@given(mean=st.floats(1e-6, 1e5), epsilon=st.sampled_from([1e-3, 1e-8, 1e-13]))
def test_the_poisson_weights_left_out_are_at_most_epsilon(mean, epsilon):
    window = poisson_window(mean, epsilon)
    assert window.error <= 2 * epsilon + 1e-11
    mpmath.mp.dps = 40
    for k in {window.first, int(mean), window.last}:
        exact = mpmath.exp(k * mpmath.log(mean) - mean - mpmath.loggamma(k + 1))
        assert abs(window.weights[k - window.first] / exact - 1) <= 2 * epsilon + 1e-11
    assert abs(window.weights.sum() - 1) < 1e-12


def test_the_truncation_error_is_the_stated_one():
    chain = CTMC([[0, 1], [1, 0]], initial=0)
    for epsilon in (1e-2, 1e-5):
        found = transient(chain, 3, epsilon=epsilon)
        exact = (1 + np.exp(-6)) / 2
        error = abs(found.floats()[0] - exact) + abs(found.floats()[1] - (1 - exact))
        assert error <= found.error_bound <= epsilon


@given(seed=st.integers(0, 10**6), steps=st.integers(0, 6))
def test_powers_of_a_dtmc_are_exact_or_floats_of_the_same(seed, steps):
    rates, _ = planted("bisimulation", [3, 2], seed=seed)
    rows = [[Fraction(s == t) for t in range(5)] for s in range(5)]
    for s in range(5):
        for t, weight in rates.matrix.row(s):
            rows[s][t] += weight
    chain = DTMC(rows, normalize=True, initial=0)
    exact = transient(chain, steps)
    assert exact.is_exact
    assert sum(exact.values) == 1
    assert np.allclose(transient(chain, steps, exact=False).floats(), exact.floats())
    power = np.linalg.matrix_power(chain.matrix.to_scipy().toarray(), steps)
    assert np.allclose(exact.floats(), power[0])


@pytest.mark.parametrize("time", [0, 0.5, 4.0])
def test_lump_then_solve_is_solve_then_project(time):
    chain = machine_repair(5)
    lumping = lump(chain)
    whole, small = transient(chain, time), transient(lumping.quotient, time)
    assert np.allclose(lumping.project(whole.values).to_floats(), small.floats(), atol=1e-9)


def test_single_states_come_back_from_an_exact_quotient():
    chain = hypercube_walk(5)
    lumping = lump(chain, kind="exact")
    assert lumping.lift(transient(lumping.quotient, 3).values).equals(transient(chain, 3).values)


def test_a_chain_without_transitions_stays_where_it_is():
    assert transient(CTMC([[0, 0], [0, 0]], initial=1), 5).floats().tolist() == [0, 1]


def test_symbolic_dtmcs_step_exactly():
    chain = DTMC([["1-q", "q"], [1, 0]], initial=0)
    found = transient(chain, 2).values
    assert [str(x.as_expr()) for x in found] == ["q**2 - q + 1", "-q**2 + q"]


def test_multiplication_by_a_matrix_keeps_zeros():
    chain = DTMC([[0, 1, 0], [0, 1, 0], [0, 0, 1]])
    assert multiply_exactly(ExactArray.read([1, 0, 0])[0], chain.matrix).equals(
        ExactArray.read([0, 1, 0])[0]
    )


@pytest.mark.parametrize(
    ("time", "options", "error", "text"),
    [
        (-1, {}, InvalidInput, "not negative"),
        (float("inf"), {}, InvalidInput, "finite"),
        (1, {"epsilon": 2}, InvalidInput, "epsilon"),
        (1, {"exact": True}, InvalidInput, "not rational"),
    ],
)
def test_impossible_requests_are_refused(time, options, error, text):
    with pytest.raises(error, match=text):
        transient(CTMC([[0, 1], [1, 0]], initial=0), time, **options)


def test_a_fraction_of_a_step_and_a_missing_start_are_refused():
    with pytest.raises(InvalidInput, match="whole number"):
        transient(DTMC([[1]], initial=0), 0.5)
    with pytest.raises(NotUnique, match="initial"):
        transient(DTMC([[1]]), 1)


def test_progress_is_reported_and_can_cancel():
    seen = []
    transient(machine_repair(3), 10, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for chain in (machine_repair(3), DTMC([[0, 1], [1, 0]], initial=0)):
        with pytest.raises(KeyboardInterrupt):
            transient(chain, 10, progress=stop)


@given(
    n=st.integers(2, 5),
    exponents=st.lists(st.integers(-7, 1), min_size=25, max_size=25),
    time=st.sampled_from([0.3, 40.0, 3e3, 1e6, 1e9]),
)
def test_the_bound_holds_for_the_whole_error_rounding_included(n, exponents, time):
    rates = np.array([10.0**k if k > -6 else 0.0 for k in exponents]).reshape(5, 5)[:n, :n]
    chain = CTMC(rates, initial=0)
    found = transient(chain, time, max_steps=5000)
    mpmath.mp.dps = 60
    generator = mpmath.matrix(n, n)
    for s in range(n):
        for u, rate in dict(chain.generator().row(s)).items():
            generator[s, u] = mpmath.mpf(rate.numerator) / rate.denominator
    exact = mpmath.expm(generator * time, method="taylor")[0, :]
    error = sum(abs(mpmath.mpf(x) - y) for x, y in zip(found.floats(), exact, strict=True))
    assert error <= found.error_bound <= 1e-9


def test_a_million_steps_and_more_are_answered_when_nothing_moves_any_more():
    chain = CTMC([[0, 1], [1, 0]], initial=0)
    times = [1e6, 0.5, 1e9, 1e18, 0]
    found = transient(chain, times)
    for time, solution in zip(times, found, strict=True):
        exact = (1 + np.exp(-2 * time)) / 2
        assert abs(solution[0] - exact) + abs(solution[1] - 1 + exact) <= solution.error_bound
        assert solution.error_bound <= 1e-10
    assert np.array_equal(found[1].floats(), transient(chain, 0.5).floats())
    repair = CTMC([[0, 1, 0], [0, 0, 1e-3], [0, 0, 0]], initial=0, rewards={"r": [1, 1, 0]})
    assert transient(repair, 1e9)[2] == pytest.approx(1, abs=1e-9)
    assert accumulated_reward(repair, "r", 1e9) == pytest.approx(1001, rel=1e-8)


def _slow(states: int) -> CTMC:
    """Return two parts with rare changes between them, of rates that differ by 10^12."""
    rates = {(s, s ^ 1): 1 for s in range(states)} | {(0, 2): 1e-12, (2, 0): 3e-12}
    rates |= {(s, s - 2): 1 for s in range(4, states)}
    return CTMC.from_rates(rates, initial=0, rewards={"r": {0: 1}})


def test_a_chain_that_moves_too_slowly_is_refused_before_all_steps_are_made():
    with pytest.raises(SizeLimit, match=r"after 2\d\d\d\d the chain still moves"):
        transient(_slow(300), 1e11)
    with pytest.raises(SizeLimit, match="still moves"):
        accumulated_reward(_slow(6), "r", 1e11)
    with pytest.raises(SizeLimit, match="max_steps=100"):
        transient(_slow(300), 1e11, max_steps=100)


@pytest.mark.parametrize("time", [1e9, 1e11, 1e14])
def test_a_small_chain_that_moves_slowly_is_squared(time):
    found = transient(_slow(4), time)
    assert found.method == "squaring"
    share = (
        3 + np.exp(-2e-12 * time)
    ) / 4  # half of each part is spent in the state that leaves it
    exact = np.array([share, share, 1 - share, 1 - share]) / 2
    assert np.abs(found.floats() - exact).sum() <= found.error_bound + 1e-11 < 2e-10


def test_a_long_way_to_the_first_recurrent_state_has_no_limit_at_first():
    steps = {(s, s + 1): 1 for s in range(1200)} | {(1200, 1200): 1}
    found = transient(DTMC.from_rates(steps, initial=0), 10**9)
    assert found[1200] == 1
    assert found.error_bound < 1e-9


@given(seed=st.integers(0, 10**6), time=st.integers(0, 300))
def test_squaring_is_the_power_and_the_exponential_within_its_bound(seed, time):
    rates, _ = planted("bisimulation", [2, 3], seed=seed)
    jumps = DTMC.from_structure(rates.matrix, normalize=True, absorbing=True)
    for chain in (rates, jumps):
        found = transient(chain, time, initial=0, max_steps=0)
        right = transient(chain, time, initial=0)
        wrong = np.abs(found.floats() - right.floats()).sum()
        assert wrong <= found.error_bound + right.error_bound
        assert found.error_bound < 1e-9


@pytest.mark.parametrize("steps", [10**9, 10**9 + 1, 10**18 + 5])
def test_a_chain_with_a_period_is_answered_after_any_number_of_steps(steps):
    ring = DTMC.from_rates(
        {(s, (s + 1) % 6): "1/3" for s in range(6)} | {(s, (s + 4) % 6): "2/3" for s in range(6)},
        initial=1,
        rewards={"even": {0: 1, 2: 1, 4: 4}},
    )  # of period 3
    found = transient(ring, steps)
    right = np.zeros(6)
    right[[(1 + steps) % 3, (1 + steps) % 3 + 3]] = 1 / 2
    assert np.abs(found.floats() - right).sum() <= found.error_bound < 1e-9
    assert accumulated_reward(ring, "even", steps) == pytest.approx(steps, rel=1e-8)
    both = DTMC.from_rates(
        {(0, 1): "1/2", (0, 3): "1/2", (1, 2): 1, (2, 1): 1, (3, 4): 1, (4, 5): 1, (5, 3): 1},
        initial=0,
    )
    found = transient(both, steps).floats()
    assert np.flatnonzero(found).tolist() == [1 + (steps - 1) % 2, 3 + (steps - 1) % 3]


def test_many_steps_of_a_dtmc_are_bounded_too():
    chain = DTMC([["1/3", "2/3"], ["1/7", "6/7"]], initial=0)
    exact = transient(chain, 200)
    assert exact.is_exact
    several = transient(chain, [10**9, 200, 3], exact=False)
    assert np.abs(several[1].floats() - exact.floats()).sum() <= several[1].error_bound < 1e-9
    assert several[0].floats() == pytest.approx([3 / 17, 14 / 17], abs=1e-9)
    assert transient(chain, 10**9).error_bound < 1e-9  # beyond 1000 steps not exact
    swinging = DTMC([[0, 1], [1, 0]], initial=0)
    assert transient(swinging, 2001).floats().tolist() == [0, 1]


@pytest.mark.parametrize("time", [-1, float("inf"), float("nan"), "soon", None, 10**400, "1/0", 1j])
def test_what_is_no_time_is_refused_in_words(time):
    chain = CTMC.from_rates({("a", "b"): 1, ("b", "a"): 2}, initial="a", rewards={"r": {"a": 1}})
    for ask in (transient, lambda chain, t: accumulated_reward(chain, "r", t)):
        with pytest.raises(InvalidInput, match="the time must be finite and not negative"):
            ask(chain, time)
    with pytest.raises(InvalidInput):
        transient(chain, [1, time])


def test_times_may_be_texts():
    chain = CTMC.from_rates({("a", "b"): 1, ("b", "a"): 2}, initial="a")
    found, right = transient(chain, ["1/2", 0.5])
    assert found.floats().tolist() == right.floats().tolist()


@pytest.mark.parametrize("time", [1e14, 1e18, 1e200])
def test_rewards_up_to_times_without_end_need_no_memory(time):
    chain = CTMC.from_rates({("a", "b"): 1, ("b", "a"): 2}, initial="a", rewards={"r": {"a": 3}})
    assert accumulated_reward(chain, "r", time) == pytest.approx(2 * time, rel=1e-9)
    assert transient(chain, time).floats() == pytest.approx([2 / 3, 1 / 3])


def test_more_jumps_than_floats_can_count_are_refused_in_words():
    chain = CTMC.from_rates({("a", "b"): 1e300}, initial="a", rewards={"r": {"a": 3}})
    for ask in (transient, lambda chain, t: accumulated_reward(chain, "r", t)):
        with pytest.raises(InvalidInput, match="another unit of time"):
            ask(chain, 1e10)

"""Transient distributions against matrix exponentials, closed forms and exact powers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from lumpability import CTMC, DTMC, lump
from lumpability.errors import InvalidInput, NotUnique, SizeLimit
from lumpability.markov.examples import hypercube_walk, machine_repair, planted
from lumpability.markov.solve import transient
from lumpability.markov.solve.transient import multiply_exactly, poisson_window
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
    assert window.left_out <= epsilon
    assert abs(window.weights.sum() + window.left_out - 1) < 1e-9


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
        (10**9, {}, SizeLimit, "max_steps"),
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

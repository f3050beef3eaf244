"""Stationary distributions: exact elimination, factorisation and iteration agree with pi Q = 0."""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, lump, read
from lumpability.errors import InvalidChain, InvalidInput, InvalidValue, NoConvergence, NotUnique
from lumpability.markov.examples import (
    components,
    ehrenfest,
    machine_repair,
    planted,
    sis_epidemic,
    tandem,
)
from lumpability.markov.solve import (
    expected_hitting_times,
    hitting_probabilities,
    is_irreducible,
    long_run,
    recurrent_classes,
    stationary,
    stationary_distributions,
    transient,
)
from lumpability.markov.solve.gth import relative_error_bound

TWO_TRAPS = DTMC([[0, "1/3", "2/3"], [0, 1, 0], [0, 0, 1]], initial=0)


@given(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3), seed=st.integers(0, 10**6))
def test_there_is_one_exact_stationary_distribution_for_each_recurrent_class(sizes, seed):
    chain, _ = planted("bisimulation", sizes, seed=seed)
    solutions = stationary_distributions(chain, method="exact")
    for states, solution in zip(recurrent_classes(chain), solutions, strict=True):
        pi = list(solution.values)
        assert sum(pi) == 1
        assert [s for s, x in enumerate(pi) if x > 0] == states.tolist()
        for target in range(chain.n):
            inflow = sum(pi[s] * dict(chain.generator().explicit().row(s)).get(target, 0)
                         for s in range(chain.n))  # fmt: skip
            assert inflow == 0


@pytest.mark.parametrize("method", ["direct", "iterative"])
@pytest.mark.parametrize(
    "chain",
    [lump(machine_repair(8)).quotient, machine_repair(5), components(4), DTMC([[0, 1], [1, 0]])],
)
def test_numerical_methods_agree_with_the_exact_one(chain, method):
    exact = stationary(chain, method="exact").floats()
    numeric = stationary(chain, method=method)
    assert numeric.method == method
    assert numeric.residual < 1e-10
    assert np.abs(numeric.floats() - exact).max() < 1e-9


def test_auto_is_exact_for_small_chains_then_iterates_and_factorises_what_converges_slowly():
    assert stationary(machine_repair(6)).is_exact
    assert stationary(ehrenfest(14)).method == "iterative"
    slow = tandem(60, 60)
    with pytest.raises(NoConvergence):
        stationary(slow, method="iterative", max_iterations=50)
    solution = stationary(slow)
    assert solution.method == "direct"
    assert solution.residual < 1e-12


def test_the_residual_is_that_of_the_balance_equations():
    chain = machine_repair(8)
    solution = stationary(chain, method="iterative")
    balance = chain.generator().explicit().to_scipy().T @ solution.floats()
    assert solution.residual == pytest.approx(np.abs(balance).max(), abs=1e-17)
    assert solution.iterations > 0


def test_a_chain_with_several_recurrent_classes_is_refused_with_the_ways_out():
    with pytest.raises(NotUnique, match="2 recurrent classes") as caught:
        stationary(TWO_TRAPS)
    assert caught.value.classes == 2
    assert [list(s.values) for s in stationary_distributions(TWO_TRAPS)] == [[0, 1, 0], [0, 0, 1]]
    assert list(long_run(TWO_TRAPS).values) == [0, Fraction(1, 3), Fraction(2, 3)]
    numeric = long_run(TWO_TRAPS, initial={0: "1/2", 1: "1/2"}, method="direct")
    assert numeric.floats() == pytest.approx([0, 2 / 3, 1 / 3])
    with pytest.raises(NotUnique, match="initial"):
        long_run(DTMC(TWO_TRAPS.matrix))


def test_recurrent_classes_are_found_behind_transient_states():
    chain = CTMC([[0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    assert [c.tolist() for c in recurrent_classes(chain)] == [[1, 2], [3]]
    assert not is_irreducible(chain)
    assert recurrent_classes(CTMC(np.zeros((0, 0)))) == []


def test_an_empty_chain_has_no_stationary_distribution():
    with pytest.raises(InvalidChain, match="empty"):
        stationary(CTMC(np.zeros((0, 0))))


def test_symbolic_stationary_distributions_hold_for_all_parameters():
    chain = sis_epidemic(3, infection="b", recovery="g")
    quotient = lump(chain.rebuilt(
        CTMC.from_rates([*[(s, t, w.as_expr()) for s in range(8) for t, w in chain.matrix.row(s)],
                         (0, 7, "h")], states=range(8)).matrix, labels=chain.labels)).quotient  # fmt: skip
    symbolic = stationary(quotient)
    assert symbolic.is_exact
    point = {"b": "1/2", "g": 3, "h": "1/7"}
    numbers = stationary(quotient.subs(point))
    import sympy

    for expression, number in zip(symbolic.values, numbers.values, strict=True):
        value = expression.as_expr().subs(
            {sympy.Symbol(k): sympy.Rational(v) for k, v in point.items()}
        )
        assert Fraction(int(value.p), int(value.q)) == number


def test_numerical_methods_are_refused_with_parameters():
    chain = CTMC.from_rates({("a", "b"): "x", ("b", "a"): 1})
    with pytest.raises(InvalidInput, match="subs"):
        stationary(chain, method="direct")
    with pytest.raises(InvalidInput, match="unknown method"):
        stationary(chain, method="magic")


def test_an_iteration_that_stops_early_says_so_with_its_residual():
    with pytest.raises(NoConvergence, match="max_iterations") as caught:
        stationary(lump(machine_repair(9)).quotient, method="iterative", max_iterations=1)
    assert caught.value.residual > 0


@pytest.mark.parametrize("method", ["exact", "iterative"])
def test_progress_is_reported_and_can_cancel(method):
    seen = []
    stationary(machine_repair(4), method=method, progress=lambda done, _: seen.append(done))
    assert seen == sorted(seen)
    assert seen

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stationary(machine_repair(4), method=method, progress=stop)


def test_solutions_are_shown_in_one_line():
    assert repr(stationary(machine_repair(1))) == "Solution([100/101, 1/101], exact)"
    assert repr(stationary(machine_repair(7))).startswith(
        "Solution(128 numbers, direct, relative error at most"
    )


@given(
    n=st.integers(2, 8),
    exponents=st.lists(st.integers(-40, 3), min_size=64, max_size=64),
    method=st.sampled_from(["direct", "iterative", "sparse"]),
)
def test_every_entry_is_as_right_as_its_bound_says_however_small(n, exponents, method):
    rates = np.array([10.0**k if k > -30 else 0.0 for k in exponents]).reshape(8, 8)[:n, :n]
    rates[np.arange(n), (np.arange(n) + 1) % n] += 0.1  # irreducible
    chain = CTMC(rates, float_tolerance=0)
    try:
        with pytest.MonkeyPatch.context() as patch:
            if method == "sparse":
                patch.setattr(sys.modules[stationary.__module__], "_DENSE_UP_TO", 1)
            found = stationary(chain, method=method.replace("sparse", "direct"))
    except NoConvergence:
        assert method != "direct"
        return
    exact = stationary(chain, method="exact").values
    errors = [abs(Fraction(x) / y - 1) for x, y in zip(found.floats(), exact, strict=True)]
    assert max(errors) <= found.relative_error <= 1e-10
    assert sum(abs(Fraction(x) - y) for x, y in zip(found.floats(), exact, strict=True)) <= (
        found.error_bound
    )


@pytest.mark.parametrize(("machines", "failure"), [(8, "1/10000"), (12, "1/10000"), (12, "1000")])
def test_rare_failures_have_their_probability_and_rare_repairs_too(machines, failure):
    chain = machine_repair(machines, repairers=2, failure=failure)
    lumping = lump(chain)
    exact = stationary(lumping.quotient)
    assert exact.is_exact
    down = ~lumping.quotient.labels["operational"]
    expected = float(sum(exact[b] for b in np.flatnonzero(down)))
    found = stationary(chain)
    assert found.relative_error < 1e-10
    assert found.floats()[~chain.labels["operational"]].sum() == pytest.approx(expected, rel=1e-12)
    sizes = np.bincount(lumping.partition.labels)
    entries = (exact.floats() / sizes)[lumping.partition.labels]
    assert found.floats() == pytest.approx(entries, rel=1e-12, abs=0)


@pytest.mark.parametrize("more", ["", ",ws_fail=1/500000", ",line_fail=1/50,switch_fail=1/3"])
def test_every_block_of_a_cluster_is_right(shared_file, more):
    pytest.importorskip("stormpy")
    source = shared_file("chains/prism-language/cluster.sm")
    chain = read(source, constants=f"N=2{more}")
    lumping = lump(chain)
    exact = stationary(lumping.quotient, method="exact").values
    for solution in (stationary(lumping.quotient), stationary(chain)):
        found = solution.floats()
        if len(found) == chain.n:
            found = np.bincount(lumping.partition.labels, found)
        assert max(abs(Fraction(x) / y - 1) for x, y in zip(found, exact, strict=True)) < 1e-10


@pytest.mark.slow
def test_a_cluster_beyond_elimination_is_as_right_as_its_quotient(shared_file):
    pytest.importorskip("stormpy")
    chain = read(shared_file("chains/prism-language/cluster.sm"), constants="N=10")
    lumping = lump(chain)
    small, large = stationary(lumping.quotient), stationary(chain)
    assert lumping.quotient.n < 3000 < chain.n
    assert max(small.relative_error, large.relative_error) < 1e-10
    found = np.bincount(lumping.partition.labels, large.floats())
    assert found == pytest.approx(small.floats(), rel=1e-10, abs=0)


def test_a_wrong_distribution_gets_no_small_bound():
    chain = machine_repair(6, failure="1/10000")
    rates = chain.matrix.to_scipy().tocsr()
    masses = stationary(chain, method="direct").floats()
    assert relative_error_bound(rates, masses) < 1e-12
    for state in (0, 63):
        wrong = masses.copy()
        wrong[state] *= 1 + 1e-6
        assert relative_error_bound(rates, wrong) > 1e-6


def test_a_chain_of_parts_that_hardly_touch_is_solved():
    size, parts = 65, 50
    ring = np.eye(size, k=1) + np.diag(np.ones(size - 1) * 0.5, -1)
    rates = scipy.sparse.kron(scipy.sparse.eye_array(parts), scipy.sparse.csr_array(ring)).tolil()
    for part in range(parts):
        rates[part * size, (part + 1) % parts * size] = 1e-11 * (part + 1)
    found = stationary(CTMC(rates.tocsr(), float_tolerance=0))
    assert found.relative_error < 1e-9
    # Flow between parts balances: each has mass in proportion to 1/(part + 1).
    masses = found.floats().reshape(parts, size)[:, 0]
    assert masses * np.arange(1, parts + 1) == pytest.approx(masses[0], rel=1e-9)


def test_probabilities_that_underflow_do_not_hide_the_others():
    n = 5000
    rates = scipy.sparse.diags_array([np.ones(n - 1), np.full(n - 1, 2.0)], offsets=[1, -1])
    found = stationary(CTMC(rates.tocsr()))
    assert found.relative_error is None
    assert found.floats()[:500] == pytest.approx(0.5 ** np.arange(1, 501), rel=1e-12, abs=0)


def two_queues(places: int) -> tuple[CTMC, np.ndarray]:
    """Two queues side by side, one slow and one stiff, and their stationary distribution."""
    number = np.arange(places * places).reshape(places, places)
    sides = [(number[:-1], number[1:], 0.9, 1.0), (number[:, :-1], number[:, 1:], 1e-4, 0.5)]
    rows = np.concatenate([np.concatenate([a.ravel(), b.ravel()]) for a, b, *_ in sides])
    columns = np.concatenate([np.concatenate([b.ravel(), a.ravel()]) for a, b, *_ in sides])
    rates = np.concatenate([np.repeat([up, down], a.size) for a, _, up, down in sides])
    matrix = scipy.sparse.csr_array((rates, (rows, columns)), shape=(places**2, places**2))
    slow, stiff = 0.9 ** np.arange(places), 2e-4 ** np.arange(places)
    return CTMC(matrix), np.outer(slow / slow.sum(), stiff / stiff.sum()).ravel()


def test_few_cycles_make_every_entry_of_a_stiff_grid_right():
    chain, right = two_queues(25)
    solution = stationary(chain, method="iterative")
    assert solution.iterations < 400
    assert solution.relative_error < 1e-9
    assert solution.floats() == pytest.approx(right, rel=1e-9)


@pytest.mark.slow
def test_the_large_cluster_takes_few_cycles(shared_file):
    quotient = lump(read(shared_file("chains/cluster64.npz"))).quotient
    solution = stationary(quotient, method="iterative")
    assert solution.iterations < 400
    assert solution.relative_error < 1e-9


def test_numbers_with_long_unrelated_denominators_are_solved_in_floating_point():
    """Their exact solutions have millions of digits."""
    rates = {
        (s, t): Fraction(s + t + 1, 10**600 + 7 * s + t) * 10**600
        for s in range(40)
        for t in ((s + 1) % 40, (s + 7) % 40, (s + 11) % 40)
    }
    chain = CTMC.from_rates(rates, labels={"a": [0]}, initial=0, states=range(40))
    found = stationary(chain)
    assert found.method == "direct"
    assert found.relative_error < 1e-10
    assert hitting_probabilities(chain, "a").method != "exact"
    steps = DTMC.from_rates(
        {
            (s, t): rate / sum(r for (a, _), r in rates.items() if a == s)
            for (s, t), rate in rates.items()
        },
        initial=0,
        states=range(40),
    )
    assert transient(steps, 900).method == "powers"


def test_rates_below_the_range_of_floats_are_solved_exactly_or_refused():
    few, many = (
        CTMC.from_rates(
            {(i, (i + 1) % n): f"{i + 1}e-400" for i in range(n)}, initial=0, labels={"a": [1]}
        )
        for n in (5, 100)
    )
    assert stationary(few).is_exact
    for solve in (stationary, lambda chain: expected_hitting_times(chain, "a")):
        with pytest.raises(InvalidValue, match="too small for floating point"):
            solve(many)
    assert stationary(many, method="exact").is_exact


@pytest.mark.parametrize("method", ["direct", "iterative"])
def test_what_overflows_is_refused_and_never_claimed(method):
    """Rates of 1e-250 and 1e250 leave the range of floats during elimination."""
    rates = {}
    for i in range(12):
        rates[i, (i + 1) % 12] = f"{i + 1}e{(-250, 250, 0, 120)[i % 4]}"
        rates[i, (i - 1) % 12] = f"{i + 2}e{(250, -250, -130, 3)[i % 4]}"
    chain = CTMC.from_rates(rates, states=range(12), initial=0, labels={"a": [11]})
    for solve in (stationary, lambda chain, **how: expected_hitting_times(chain, "a", **how)):
        right = solve(chain, method="exact")
        try:
            found = solve(chain, method=method)
        except NoConvergence:
            continue
        assert np.isfinite(found.floats()).all()
        if found.relative_error is not None:
            for x, y in zip(found, right, strict=True):
                assert abs(Fraction(x) - y) <= Fraction(found.relative_error) * y

"""Results know the names of states and the parameters of the chain."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy

from lumpability import CTMC, DTMC
from lumpability.errors import InvalidChain, InvalidInput
from lumpability.markov.examples import machine_repair
from lumpability.markov.solve import expected_hitting_times, long_run, stationary, transient

UP_DOWN = CTMC.from_rates({("up", "down"): "a", ("down", "up"): "b"}, initial="up")


def test_numbers_are_found_by_the_names_of_states():
    chain = UP_DOWN.subs({"a": 1, "b": 2})
    solution = stationary(chain)
    assert (
        (solution["up"], solution["down"])
        == (solution[0], solution[1])
        == (Fraction(2, 3), Fraction(1, 3))
    )
    assert dict(solution.items()) == {"up": Fraction(2, 3), "down": Fraction(1, 3)}
    assert transient(chain, [0, 1])[0]["up"] == 1
    assert expected_hitting_times(chain, ["down"])["up"] == 1
    large = stationary(machine_repair(7))
    assert large["u" * 7] == large[0]
    assert long_run(DTMC([[0, 1], [0, 1]], initial=0)).states is not None
    with pytest.raises((InvalidChain, IndexError, TypeError)):
        solution["sideways"]


def test_names_that_are_integers_are_names():
    solution = stationary(CTMC.from_rates({(5, 0): 1, (0, 5): 3}))
    assert (solution[5], solution[0]) == (Fraction(3, 4), Fraction(1, 4))
    assert list(solution) == [Fraction(1, 4), Fraction(3, 4)]  # in the order of the states, 0 and 5


@pytest.mark.parametrize("given", ["text", "plain", "positive"])
def test_formulas_are_expressions_in_the_symbols_that_were_given(given):
    a, b = sympy.symbols("a b", positive=given == "positive" or None)
    rates = ("a", "b") if given == "text" else (a, b)
    solution = stationary(CTMC.from_rates({("up", "down"): rates[0], ("down", "up"): rates[1]}))
    up = solution["up"]
    assert up.diff(a) == sympy.diff(up, a)
    assert sympy.simplify(up.diff(a) + b / (a + b) ** 2) == 0
    assert float(up.subs({a: 1, b: 3})) == 0.75
    assert sympy.limit(up, a, 0) == 1
    assert sympy.solve(up - sympy.Rational(1, 2), a) == [b]
    assert solution.subs({"a": 1, b: 3})["up"] == Fraction(3, 4)
    assert solution.subs({sympy.Symbol("a"): 1, sympy.Symbol("b", positive=True): 3})[
        "up"
    ] == up.subs({a: 1, b: 3})


def test_sympy_finds_parameters_that_came_as_texts_by_their_names():
    solution = stationary(UP_DOWN)
    assert solution["up"].diff("a") == solution["up"].diff(sympy.Symbol("a")) != 0
    assert solution["up"].subs("a", 2) == solution["up"].subs({sympy.Symbol("a"): 2})
    assert solution["up"].subs({"a": 1, "b": 3}) == sympy.Rational(3, 4)
    assert str(solution.subs({"b": "2"})["down"]) == "a/(a + 2)"
    with pytest.raises(InvalidInput, match="floating point"):
        transient(UP_DOWN.subs({"a": 1, "b": 1}), 1).subs({"a": 1})


def test_series_and_frames_are_by_state():
    pytest.importorskip("pandas")
    series = stationary(UP_DOWN.subs({"a": 1, "b": 2})).to_series()
    assert series["up"] == Fraction(2, 3)
    assert series.index.name == "state"
    frame = stationary(machine_repair(7)).to_frame()
    assert frame.loc["u" * 7, "value"] > 0.9
    assert frame["value"].dtype == np.float64
    pairs = CTMC.from_rates({((0, 1), (1, 0)): 1, ((1, 0), (0, 1)): 1})
    assert list(stationary(pairs).to_series().index) == [(0, 1), (1, 0)]

"""One question, answered on the quotient that it needs, is answered as on the whole chain."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC
from lumpability.errors import InvalidInput, NotJustified
from lumpability.markov import ask
from lumpability.markov.examples import machine_repair, planted
from lumpability.markov.solve import (
    accumulated_reward,
    expected_hitting_times,
    expected_reward_until,
    hitting_probabilities,
    instantaneous_reward,
    long_run,
    long_run_reward,
    stationary,
    transient,
)


def chain_of(seed: int) -> Any:
    """A chain with planted blocks, labels, a reward and a start."""
    chain, partition = planted("ordinary", [2, 3, 1, 2], seed=seed)
    labels = {"goal": partition.labels == 0, "other": np.arange(chain.n) % 2 == 0}
    cost = [Fraction(int(b) * 2 - 1, 3) for b in partition.labels]
    return chain.rebuilt(
        chain.matrix,
        labels=labels,
        rewards={"cost": cost, "noise": range(chain.n)},
        initial=chain.n - 1,
    )


@given(seed=st.integers(0, 10**6))
def test_every_quantity_is_that_of_the_whole_chain(seed):
    chain = chain_of(seed)
    inside = chain.labels["goal"]

    def carried(answer: Any) -> list[Any]:
        return [row.value for row in answer.rows]

    mass = sum(p for p, yes in zip(long_run(chain).values, inside, strict=True) if yes)
    assert ask(chain, label="goal").value == mass
    assert ask(chain, "reward", reward="cost").value == long_run_reward(chain, "cost")
    assert carried(ask(chain, "hitting-time", target="goal", states=True)) == list(
        expected_hitting_times(chain, "goal")
    )
    assert carried(ask(chain, "hitting-probability", target="goal", states=True)) == list(
        hitting_probabilities(chain, "goal")
    )
    assert carried(ask(chain, "reward-until", target="goal", reward="cost", states=True)) == list(
        expected_reward_until(chain, "cost", "goal")
    )
    at = ask(chain, "transient", label="goal", times=[0, 3])
    assert [float(row.value) for row in at.rows] == pytest.approx(
        [float(transient(chain, t).floats() @ inside) for t in (0, 3)], abs=1e-9
    )
    for quantity, alone in (
        ("instantaneous-reward", instantaneous_reward),
        ("accumulated-reward", accumulated_reward),
    ):
        found = ask(chain, quantity, reward="cost", times=2).value
        assert float(found) == pytest.approx(float(alone(chain, "cost", 2)), abs=1e-8)


def test_only_what_the_question_needs_is_kept_apart():
    chain = chain_of(1)
    assert len(ask(chain, label="goal").lumping.partition) < chain.n
    assert len(ask(chain).lumping.partition) == chain.n  # "noise" tells all states apart


@given(seed=st.integers(0, 10**6))
def test_errors_stay_within_the_bounds_that_rows_state(seed):
    chain = chain_of(seed)
    for quantity, options in (
        ("stationary", {"label": "goal"}),
        ("reward", {"reward": "cost"}),
        ("hitting-time", {"target": "goal"}),
        ("reward-until", {"target": "goal", "reward": "cost"}),
    ):
        exact = ask(chain, quantity, method="exact", **options)
        direct = ask(chain, quantity, method="direct", **options)
        for row, right in zip(direct.rows, exact.rows, strict=True):
            if right.value == math.inf:
                assert row.value == math.inf
            else:
                assert abs(Fraction(row.value) - right.value) <= row.error


@pytest.mark.parametrize("time", [0, 1, 30])
def test_accumulated_rewards_are_right_within_their_bound(time):
    # From 0 to 1 at rate 1 and back at rate 2: P(in 1 at u) = (1 - exp(-3u)) / 3.
    chain = CTMC([[0, 1], [2, 0]], rewards={"one": [0, 1]}, initial=0)
    (row,) = ask(chain, "accumulated-reward", reward="one", times=time).rows
    right = (time - (1 - np.exp(-3 * time)) / 3) / 3
    assert row.error <= 1e-9 * (1 + time)
    assert abs(row.value - right) <= row.error + 1e-15


def test_a_sweep_lumps_once_and_equals_chains_with_numbers():
    rates = {("a", "c"): "x", ("b", "c"): "x", ("c", "a"): "y", ("c", "b"): 1}
    chain = CTMC.from_rates(rates, labels={"goal": ["c"]})
    answer = ask(chain, label="goal", values={"y": "1/2"}, sweep={"x": [1, "3/2", 4]})
    assert len(answer.lumping.partition) == 2
    for row in answer.rows:
        alone = stationary(chain.subs({"y": "1/2", **row.point}))
        assert row.value == alone["c"]
    both = ask(chain, label="goal", sweep={"x": [1, 2], "y": [1, 2, 3]})
    assert [tuple(row.point.values()) for row in both.rows][:4] == [(1, 1), (1, 2), (1, 3), (2, 1)]
    assert str(ask(chain, label="goal").value) == "x/(x + y + 1)"


def test_exact_lumpings_determine_single_states():
    chain = machine_repair(4, repairers=2)
    answer = ask(chain, kind="exact", states=True)
    assert [row.value for row in answer.rows] == list(stationary(chain))
    with pytest.raises(NotJustified):
        ask(chain, states=True)


@pytest.mark.parametrize(
    ("quantity", "options", "message"),
    [
        ("stationery", {}, "did you mean 'stationary'"),
        ("hitting-time", {}, "needs target="),
        ("reward", {}, "needs reward="),
        ("transient", {}, "needs times="),
        ("stationary", {"times": 3}, "times=... is not for stationary"),
        ("reward", {"reward": "cost", "target": "goal"}, "target=... is not for reward"),
        ("hitting-time", {"target": "goal", "label": "goal"}, "label=... is for stationary"),
        ("stationary", {"kind": "proportional"}, "not for this question"),
        ("hitting-time", {"target": "goal", "kind": "exact", "states": True}, "does not determine"),
        ("stationary", {"sweep": {"z": [1]}}, "no parameter z"),
    ],
)
def test_what_is_missing_or_superfluous_is_refused(quantity, options, message):
    with pytest.raises(InvalidInput, match=message):
        ask(chain_of(0), quantity, **options)


def test_an_unknown_label_names_those_that_there_are():
    with pytest.raises(InvalidInput, match="unknown label 'gaol': did you mean 'goal'"):
        ask(chain_of(0), label="gaol")


def test_answers_are_tables():
    pytest.importorskip("pandas")
    chain = DTMC([[0, "1/2", "1/2"], [0, 1, 0], [0, 0, 1]], labels={"won": [1]}, initial=0)
    answer = ask(chain, "transient", times=[0, 1], label="won")
    assert answer.to_frame()["value"].tolist() == [0, Fraction(1, 2)]
    assert answer.to_csv().splitlines()[-1] == "1,won,3,0.5,0.0,1/2"
    with pytest.raises(InvalidInput, match="2 numbers"):
        _ = answer.value


@pytest.mark.parametrize("method", ["exact", "direct"])
def test_the_number_from_a_start_is_the_mean_over_it(method):
    chain = CTMC.from_rates(
        {("a", "b"): 1, ("b", "c"): 2, ("c", "a"): 3, ("b", "x"): 1}, labels={"goal": ["x"]}
    )
    by_state = {
        row.name: row.value for row in ask(chain, "hitting-time", target="goal", states=True).rows
    }
    start = {"a": "1/4", "c": "3/4"}
    answer = ask(chain, "hitting-time", target="goal", initial=start, method=method)
    wanted = by_state["a"] / 4 + by_state["c"] * Fraction(3, 4)
    assert abs(Fraction(answer.value) - wanted) <= (answer.rows[0].error or 0)
    stuck = chain.rebuilt(chain.matrix, states=chain.states, labels={"goal": ["c"]})
    assert ask(stuck, "hitting-time", target="goal", initial="a", method=method).value == math.inf


def test_csv_holds_decimals_within_the_error_and_exact_numbers():
    chain = CTMC.from_rates({(0, 1): "1/3", (1, 0): 1}, labels={"goal": [1]})
    header, *lines = ask(chain, "stationary").to_csv().splitlines()
    assert header == "name,states,value,error,exact"
    for line in lines:
        _, _, value, error, exact = line.split(",")
        assert abs(Fraction(float(value)) - Fraction(exact)) <= Fraction(float(error))
    tiny = CTMC.from_rates({(0, 1): 1, (1, 0): 10**400}, labels={"goal": [1]})
    assert f"1/{10**400 + 1}" in ask(tiny, "stationary", label="goal").to_csv()


@pytest.mark.parametrize("nothing", [None, "model.sm", [[0, 1], [1, 0]]])
def test_what_is_no_chain_is_refused(nothing):
    with pytest.raises(InvalidInput, match=r"ask takes a CTMC or a DTMC"):
        ask(nothing)


def test_long_formulas_are_refused_unless_they_are_asked_for():
    chain = CTMC.from_rates(
        {(i, i + 1): f"a + {i}" for i in range(50)} | {(i + 1, i): "b" for i in range(50)}
    )
    with pytest.raises(
        InvalidInput, match=r"a formula in a, b for 51 blocks takes long: give values="
    ):
        ask(chain, "hitting-time", target=[50])
    with pytest.raises(InvalidInput, match="a formula in b for"):
        ask(chain, "hitting-time", target=[50], sweep={"a": [1, 2]})
    assert len(ask(chain, "hitting-time", target=[50], values={"a": 1, "b": 2}).rows) == 51


def test_frames_hold_floats_unless_exact_numbers_are_asked_for():
    pytest.importorskip("pandas")
    line = CTMC.from_rates({("up", "down"): "x", ("down", "up"): 2}, labels={"ok": ["up"]})
    answer = ask(line, label="ok", sweep={"x": [1, "1/2"]})
    assert answer.to_frame()[["x", "value"]].dtypes.map(str).tolist() == ["float64", "float64"]
    assert answer.to_frame(exact=True)["value"].tolist() == [Fraction(2, 3), Fraction(4, 5)]

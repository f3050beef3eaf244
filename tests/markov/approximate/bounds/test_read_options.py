"""Accuracies, times and numbers of steps are read like tolerances, and refused in one sentence."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from lumpability import CTMC, DTMC, lump
from lumpability.errors import InvalidInput, SizeLimit
from lumpability.markov.approximate.bounds import bounds

CHAIN = CTMC([[0, 0, 1], [0, 0, "11/10"], [1, 1, 0]], labels={"up": [0, 1]}, initial=0)
STEPS = DTMC([["1/2", "1/2"], [0, 1]], labels={"done": [1]}, initial=0)
FOUND = bounds(CHAIN, [0, 0, 1])

WRONG = [float("nan"), float("inf"), "nan", "", -1, "-1%", True, np.True_, [], b"1%", 1j, None]


@pytest.mark.parametrize(
    "accuracy",
    ["1e-7%", 1e-9, "1/1000000000", Fraction(1, 10**9), Decimal("1e-9"), np.float32(1e-9)],
)
def test_an_accuracy_is_written_in_many_ways(accuracy: Any) -> None:
    assert FOUND.stationary("up", accuracy=accuracy).width < 1e-8
    assert FOUND.hitting("up", accuracy=accuracy).width < 1e-8


@pytest.mark.parametrize("accuracy", [*WRONG[:-1], 0, 1, "200%"], ids=repr)
def test_what_is_no_accuracy_is_refused(accuracy: Any) -> None:
    for ask in (FOUND.stationary, FOUND.long_run, FOUND.hitting):
        with pytest.raises(InvalidInput, match=r"^the accuracy .* is not "):
            ask("up", accuracy=accuracy)


@pytest.mark.parametrize("time", [2, 2.0, "2", Fraction(2), np.uint8(2), np.array(2)], ids=repr)
def test_a_time_is_written_in_many_ways(time: Any) -> None:
    assert FOUND.transient(time, of="up").question == "up at time 2"
    (only,) = FOUND.time_bounded("up", np.array([time]))
    assert only.question == "up reached within time 2"


@pytest.mark.parametrize("time", WRONG, ids=repr)
def test_what_is_no_time_is_refused(time: Any) -> None:
    if isinstance(time, list):
        assert FOUND.transient(time, of="up") == []
        return
    with pytest.raises(InvalidInput, match=r"^the time .* is (not a number|negative)"):
        FOUND.transient(time, of="up")
    if time is not None:
        with pytest.raises(InvalidInput, match=r"^the time .* is (not a number|negative)"):
            lump(CHAIN, horizon=3).probability("up", time=time)


@pytest.mark.parametrize("steps", [3, np.int64(3), np.uint8(3)], ids=repr)
def test_a_number_of_steps_is_any_integer(steps: Any) -> None:
    small = lump(STEPS, horizon=steps)
    assert small.horizon == 3
    assert list(small.reached("done", steps=steps)) == [Fraction(7, 8), 1]


@pytest.mark.parametrize("steps", [*WRONG[:-1], 2.0, "2"], ids=repr)
def test_what_is_no_number_of_steps_is_refused(steps: Any) -> None:
    with pytest.raises(InvalidInput, match="is not a number of steps"):
        lump(STEPS, horizon=steps)
    with pytest.raises(InvalidInput, match="is not a number of steps"):
        lump(STEPS, horizon=3).reached("done", steps=steps)


def test_times_that_need_too_many_steps_are_refused() -> None:
    with pytest.raises(SizeLimit, match="steps are too many"):
        FOUND.transient(10**12, of="up")
    for time in (10**12, "1e400"):
        found = lump(CHAIN, horizon=3).reached("up", time=time)
        assert (list(found.lower), list(found.upper)) == ([1, 1, 0], [1, 1, 1])
        assert list(lump(CHAIN, horizon=3).probability("up", time=time).lower) == [0, 0, 0]


def test_only_an_expected_time_is_called_time() -> None:
    assert FOUND.stationary([1, 1, 1]).question == "stationary the given numbers"
    assert FOUND.expected(until="up").question == "expected time until up"

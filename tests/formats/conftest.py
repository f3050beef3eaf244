"""Chains that the tests of the formats write and read."""

from __future__ import annotations

from fractions import Fraction

import pytest

from lumpability import CTMC, DTMC, Reward
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.exact_array import ExactArray


def _reward(*numbers: str) -> ExactArray:
    return ExactArray.read(list(numbers))[0]


@pytest.fixture
def repair() -> MarkovChain:
    """A CTMC with names, labels, both kinds of rewards, a self-loop and an absorbing state."""
    return CTMC.from_rates(
        {
            ("up", "worn"): "1/3",
            ("worn", "up"): "0.1",
            ("worn", "worn"): 2,
            ("worn", "broken"): Fraction(1, 10**20),
        },
        states=["up", "worn", "broken"],
        labels={"ok": ["up", "worn"], "needs care": ["worn"], "deadlock": []},
        rewards={
            "cost": Reward(_reward("0", "1/7", "3"), _reward("5", "0", "0")),
            "time": [1, 1, 1],
        },
        initial="up",
    )


@pytest.fixture
def walk() -> MarkovChain:
    """A DTMC without names, with two equally likely initial states."""
    return DTMC(
        [["1/3", "2/3", 0], [0, "1/2", "1/2"], [0, 0, 1]],
        labels={"end": [2]},
        rewards={"steps": Reward(action=_reward("1", "1", "0"))},
        initial={0: "1/2", 1: "1/2"},
    )


@pytest.fixture(params=["repair", "walk"])
def chain(request: pytest.FixtureRequest) -> MarkovChain:
    """Each of the example chains."""
    result: MarkovChain = request.getfixturevalue(request.param)
    return result

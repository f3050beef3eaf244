"""Estimates of what rounds cost: more work costs more, and no more is expected than there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.refinement.kernel.follow import begins_to_pay, cost_of_following
from lumpability.refinement.kernel.sweep import cost_of_looking, cost_of_splitting

FEW, MANY = 1000, 10**7  # states that fit a cache, and that do not


@pytest.mark.parametrize(
    ("ratio", "sharing", "touched"), [(2.0, 1000, 20), (9.0, 1000, 50), (2.0, 7, 7)]
)
def test_no_more_states_are_expected_to_be_touched_than_there_are_or_are_gone_to(
    ratio, sharing, touched
):
    """Ten states move, fifty transitions enter them."""
    nothing = cost_of_following(10, 3, 0.0, 5.0, sharing, FEW)
    one = cost_of_following(1, 0, 1.0, 1.0, 1, FEW) - cost_of_following(1, 0, 0.0, 1.0, 1, FEW)
    more = cost_of_following(10, 3, ratio, 5.0, sharing, FEW)
    assert more - nothing == touched * one


def test_memory_that_is_far_costs_more():
    near, far = (cost_of_following(10, 3, 2.0, 5.0, 1000, states) for states in (FEW, MANY))
    assert near < far < 10 * near


def test_no_more_states_are_expected_to_move_in_a_sweep_than_share_a_block():
    assert cost_of_splitting(10**6, 10**5, 7) == cost_of_splitting(7, 7, 7)


@given(
    states=st.integers(1, MANY),
    share=st.floats(0, 1),
    degree=st.integers(1, 20),
    threads=st.integers(2, 8),
)
def test_looking_is_shared_where_there_is_much_to_look_at(states, share, degree, threads):
    sharing, transitions = int(share * states), states * degree
    alone, together = cost_of_looking(states, sharing, transitions, threads)
    assert (alone, alone) == cost_of_looking(states, sharing, transitions, 1)
    if transitions < 50_000:
        assert alone < together
    if degree >= 5 and share > 0.9 and states > 10**6:
        assert together < alone


def test_rows_are_transposed_when_as_much_would_have_been_saved_as_that_costs():
    """At first for less, as few moves at first are a sign of many rounds; the price rises up to a bound."""
    sweeps = [*range(1, 12), 10**6]  # where nothing else is compiled there may be as many as states
    price = [next(s for s in range(1000) if begins_to_pay(s / 100, k, 1.0)) for k in sweeps]
    assert price == sorted(price)
    assert price[0] < price[-1] == price[-2]

"""Estimates of what rounds cost: more work costs more, and rows are transposed once that has paid."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lumpability.refinement.kernel.follow import begins_to_pay, most_followed
from lumpability.refinement.kernel.sweep import ranges_for

MANY = 10**7  # states


@given(states=st.integers(1, MANY), degree=st.integers(1, 20))
def test_states_are_followed_unless_too_many_move(states, degree):
    """Fewer where they have more predecessors, and never all that share a block."""
    most, fewer = (most_followed(states, float(d * states)) for d in (degree, degree + 1))
    assert fewer <= most < states
    assert most > 0 or states < 10


@given(
    states=st.integers(1, MANY),
    share=st.floats(0, 1),
    degree=st.integers(1, 20),
    threads=st.integers(2, 8),
)
def test_rows_are_shared_out_where_there_are_many(states, share, degree, threads):
    sharing, transitions = int(share * states), states * degree
    assert ranges_for(states, sharing, transitions, 1) == 1
    ranges = ranges_for(states, sharing, transitions, threads)
    if transitions < 50_000:
        assert ranges == 1
    if degree >= 5 and share > 0.9 and states > 10**6:
        assert ranges == threads


def test_rows_are_transposed_when_as_much_would_have_been_saved_as_that_costs():
    """At first for less, as few moves at first are a sign of many rounds; the price rises up to a bound."""
    sweeps = [*range(1, 12), 10**6]  # where nothing else is compiled there may be as many as states
    price = [next(s for s in range(1001) if begins_to_pay(s, k, 1000)) for k in sweeps]
    assert price == sorted(price)
    assert price[0] < price[-1] == price[-2]

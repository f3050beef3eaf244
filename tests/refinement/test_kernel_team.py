"""Every range of a loop is run once, whoever takes it; threads that help come and go."""

from concurrent.futures import wait
from itertools import pairwise

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.refinement.kernel_team import (
    HIGH,
    KIND,
    LOW,
    RESULT,
    THIRD,
    Team,
    cores,
    finish,
    next_range,
)

PLACES = 1_000
MOST = 12
SECONDS = 30  # far more than any of this takes
helped = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="a thread needs no help")


@numba.njit(nogil=True)
def count(board, ranges, stays, counts, forbidden):
    """Count the places of each range; the results are their number times the kind, and the third entry."""
    while True:
        i = next_range(board, stays)
        if i < 0:
            return
        for place in range(ranges[i, LOW], ranges[i, HIGH]):
            if place == forbidden:
                raise ValueError("a forbidden place")
            counts[place] += 1
        ranges[i, RESULT] = (ranges[i, HIGH] - ranges[i, LOW]) * board[KIND]
        ranges[i, RESULT + 1] = ranges[i, THIRD]
        finish(board)


def team_of(threads, forbidden=-1):
    counts = np.zeros(PLACES, dtype=np.int64)
    return Team(count, (counts, forbidden), threads, MOST), counts


cuts = st.lists(st.integers(0, PLACES), max_size=MOST - 1).map(sorted)


@given(threads=st.integers(1, 4), loops=st.lists(st.tuples(st.integers(0, 5), cuts), max_size=20))
def test_every_range_of_every_loop_is_run_once_with_its_own_result(threads, loops):
    team, counts = team_of(threads)
    with team:
        for kind, inner in loops:
            bounds = [0, *inner, PLACES]
            ranges = [(low, high, i) for i, (low, high) in enumerate(pairwise(bounds))]
            found = team.run(kind, ranges).tolist()
            assert found == [[kind * (high - low), i] for low, high, i in ranges]
    assert set(counts.tolist()) == {len(loops)}


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_what_a_loop_raises_is_raised_whichever_thread_ran_it(threads):
    for _ in range(50):
        team, _ = team_of(threads, forbidden=700)
        with team, pytest.raises(ValueError, match="forbidden"):
            team.run(1, [(i * 100, i * 100 + 100) for i in range(10)])


@helped
def test_threads_that_help_leave_when_the_team_is_closed():
    team, _ = team_of(3)
    with team:
        team.run(1, [(0, 500), (500, PLACES)])
        called = list(team._called)
    assert len(called) == 2
    assert not wait(called, timeout=SECONDS).not_done


@helped
def test_threads_that_help_leave_after_idle_time_and_are_called_again():
    team, counts = team_of(2)
    with team:
        team.run(1, [(0, 500), (500, PLACES)])
        first = list(team._called)
        assert not wait(first, timeout=SECONDS).not_done
        team.run(1, [(0, 500), (500, PLACES)])
        assert team._called
        assert team._called != first
    assert set(counts.tolist()) == {2}


def test_nobody_is_called_for_a_single_range_or_by_a_single_thread():
    alone, _ = team_of(1)
    many, _ = team_of(4)
    with alone, many:
        alone.run(1, [(0, 500), (500, PLACES)])
        many.run(1, [(0, PLACES)])
        assert alone._called == many._called == []


def test_no_range_at_all_is_a_loop_as_well():
    team, counts = team_of(2)
    with team:
        assert team.run(1, []).shape == (0, 2)
    assert not counts.any()


def test_a_process_may_run_somewhere():
    assert cores() >= 1

"""Random paths follow the chain and its frequencies."""

from __future__ import annotations

import numpy as np
import pytest

from lumpability import CTMC, DTMC
from lumpability.errors import InvalidInput, NotUnique
from lumpability.markov.examples import machine_repair, torus_walk
from lumpability.markov.solve import simulate, stationary


def test_a_path_makes_only_possible_moves():
    chain = torus_walk(5, 2)
    path = simulate(chain, steps=200, seed=3)
    assert len(path.states) == 201
    assert path.times.tolist() == list(range(201))
    for source, target in zip(path.states[:-1], path.states[1:], strict=True):
        assert target in dict(chain.matrix.row(int(source)))


def test_the_fractions_of_time_approach_the_stationary_distribution():
    chain = CTMC([[0, 1, 0], [1, 0, 3], [2, 0, 0]], initial=0)
    path = simulate(chain, time=20_000, seed=5)
    held = np.diff(np.append(path.times, path.end))
    shares = np.bincount(path.states, weights=held, minlength=3) / path.end
    assert path.end == 20_000
    assert shares == pytest.approx(stationary(chain).floats(), abs=0.02)


def test_the_same_seed_gives_the_same_path():
    first, second = (simulate(machine_repair(3), steps=50, seed=9) for _ in range(2))
    assert np.array_equal(first.states, second.states)
    assert np.array_equal(first.times, second.times)


def test_a_path_ends_in_an_absorbing_state():
    path = simulate(CTMC([[0, 1], [0, 0]], initial=0), steps=10, seed=1)
    assert path.states.tolist() == [0, 1]
    assert path.end == float("inf")
    assert (path.at(0), path.at(10**6)) == (0, 1)
    limited = simulate(CTMC([[0, 0], [0, 0]], initial=1), time=2.0, seed=1)
    assert (limited.states.tolist(), limited.end) == ([1], 2.0)
    with pytest.raises(InvalidInput, match="runs from 0"):
        limited.at(3)


def test_unlimited_or_unstartable_paths_are_refused():
    with pytest.raises(InvalidInput, match="never end"):
        simulate(DTMC([[1]], initial=0))
    with pytest.raises(InvalidInput, match="negative"):
        simulate(DTMC([[1]], initial=0), steps=-1)
    with pytest.raises(NotUnique, match="initial"):
        simulate(DTMC([[1]]), steps=1)


def test_a_long_simulation_can_be_cancelled():
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(DTMC([[0, 1], [1, 0]], initial=0), steps=10**9, seed=1, progress=stop)

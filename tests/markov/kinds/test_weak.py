"""Weak lumpability against its definition: conditional distributions after every history."""

from __future__ import annotations

import sys
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Partition, check, lump
from lumpability.errors import InvalidChain, NotJustified, SizeLimit
from lumpability.markov.examples import cycle_walk, planted, weak_not_ordinary
from lumpability.markov.kinds.weak import check_weak
from lumpability.markov.solve import is_irreducible, stationary

BLOCKS = [0, 1, 1]


@st.composite
def irreducible_dtmcs(draw: st.DrawFn) -> DTMC:
    n = draw(st.integers(2, 4))
    rows = draw(
        st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=n, max_size=n)
    )
    for state, row in enumerate(rows):
        row[(state + 1) % n] += 1  # a cycle through all states
    return DTMC([[Fraction(x, sum(row)) for x in row] for row in rows])


def is_markov_from(chain: DTMC, labels: list[int], start: list[Fraction], length: int) -> bool:
    """After every history of blocks, the next block must depend on the last one only."""
    count = max(labels) + 1
    rows = [dict(chain.matrix.row(s)) for s in range(chain.n)]
    pi = list(stationary(chain, method="exact").values)

    def onwards(masses: dict[int, Fraction]) -> list[Fraction]:
        result = [Fraction(0)] * count
        for s, mass in masses.items():
            for t, p in rows[s].items():
                result[labels[t]] += mass * p
        return [x / sum(masses.values()) for x in result]

    expected = [onwards({s: pi[s] for s in range(chain.n) if labels[s] == b}) for b in range(count)]
    for history in product(range(count), repeat=length):
        masses = {s: start[s] for s in range(chain.n) if labels[s] == history[0] and start[s]}
        for last, following in zip(history, [*history[1:], None], strict=True):
            if not masses:
                break
            if onwards(masses) != expected[last]:
                return False
            moved: dict[int, Fraction] = {}
            for s, mass in masses.items():
                for t, p in rows[s].items():
                    if labels[t] == following:
                        moved[t] = moved.get(t, Fraction(0)) + mass * p
            masses = moved
    return True


@given(chain=irreducible_dtmcs(), data=st.data())
def test_the_verdict_and_the_starts_agree_with_the_definition(chain, data):
    labels = data.draw(st.lists(st.integers(0, 1), min_size=chain.n, max_size=chain.n))
    partition = Partition(np.array(labels))
    labels = partition.labels.tolist()
    verdict = check(chain, partition, kind="weak")
    pi = list(stationary(chain, method="exact").values)
    # Spans grow at most n times, so that histories of n blocks decide.
    assert bool(verdict) == is_markov_from(chain, labels, pi, chain.n + 1)
    weights = data.draw(st.lists(st.integers(0, 3), min_size=chain.n, max_size=chain.n))
    assume(sum(weights))
    start = [Fraction(w, sum(weights)) for w in weights]
    assert verdict.starts.admits(start) == is_markov_from(chain, labels, start, chain.n + 1)


@given(chain=irreducible_dtmcs(), data=st.data())
def test_a_witness_is_a_history_after_which_the_past_matters(chain, data):
    labels = data.draw(st.lists(st.integers(0, 1), min_size=chain.n, max_size=chain.n))
    verdict = check(chain, Partition(np.array(labels)), kind="weak")
    assume(not verdict)
    history = verdict.witness
    assert history.probability != history.expected
    assert 0 <= history.probability <= 1
    assert len(history.blocks) >= 2  # after one block alone, the two agree by definition
    assert "not weak" in str(verdict)


@given(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3), seed=st.integers(0, 10**5))
def test_from_ordinary_lumpings_every_start_is_admissible(sizes, seed):
    chain, partition = planted("ordinary", sizes, seed=seed)
    assume(is_irreducible(chain))
    verdict = check(chain, partition, kind="weak")
    assert verdict
    assert verdict.starts.dimension == chain.n - 1


@given(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3), seed=st.integers(0, 10**5))
def test_exact_lumpings_are_weak_ones_from_uniform_starts(sizes, seed):
    chain, partition = planted("exact", sizes, seed=seed)
    assume(is_irreducible(chain))
    verdict = check(chain, partition, kind="weak")
    assert verdict
    uniform = [Fraction(1, len(sizes)) / partition.blocks.sizes[b] for b in partition.labels]
    assert verdict.starts.admits(uniform)


def test_the_example_of_kemeny_and_snell():
    verdict = check_weak(weak_not_ordinary(), BLOCKS)
    pi = stationary(weak_not_ordinary()).values
    assert verdict.starts.admits(pi)
    assert verdict.starts.admits(0)
    assert not verdict.starts.admits(1)
    assert verdict.starts.dimension == 1


def test_a_ctmc_has_the_answer_of_its_uniformized_chain():
    chain = weak_not_ordinary()
    continuous = CTMC(chain.matrix)  # P as rates: the generator P - I
    assert check(continuous, BLOCKS, kind="weak")
    assert not check(continuous, [0, 0, 1], kind="weak")
    assert "uniformized" in str(check(continuous, [0, 0, 1], kind="weak"))


def test_a_chain_with_parameters_is_decided_for_all_values():
    chain = CTMC.from_rates({("a", "c"): "x", ("b", "c"): "y", ("c", "a"): 1, ("c", "b"): 1})
    assert not check(chain, [{"a", "b"}, {"c"}], kind="weak")
    assert check(chain.subs({"x": 2, "y": 2}), [0, 1, 0], kind="weak")


def test_weak_lumping_is_a_check_only():
    with pytest.raises(NotJustified, match="no coarsest"):
        lump(weak_not_ordinary(), kind="weak")


def test_reducible_and_large_chains_are_refused():
    with pytest.raises(InvalidChain, match="irreducible"):
        check(DTMC([[1, 0], [0, 1]]), [0, 1], kind="weak")
    with pytest.raises(SizeLimit) as caught:
        check(cycle_walk(201), [0] * 201, kind="weak")
    assert caught.value.max_states == 200
    assert check_weak(cycle_walk(30), [min(i, 30 - i) for i in range(30)], max_states=30)


def test_ordinary_and_exact_lumpings_need_no_stationary_distribution(monkeypatch):
    """A symbolic stationary distribution of 32 states would take minutes."""
    module = sys.modules["lumpability.markov.solve.stationary"]
    monkeypatch.setattr(module, "eliminate_states", None)
    names = [f"{'ab'[i % 2]}{i // 2}" for i in range(32)]
    rates = {}
    for i in range(0, 32, 2):
        onward = (i + 2) % 32
        for own in (i, i + 1):
            rates[names[own], names[onward]] = f"x{i % 5}"
            rates[names[own], names[onward + 1]] = "y"
    chain = CTMC.from_rates(rates, states=names)
    blocks = [{names[i], names[i + 1]} for i in range(0, 32, 2)]
    assert check(chain, blocks, kind="ordinary")
    assert check(chain, blocks, kind="weak")
    rates = {}
    for i in range(0, 32, 2):
        for state, step in ((i, 2), (i + 1, 4)):
            for target in (0, 1):
                rates[names[state], names[(i + step + target) % 32]] = f"x{i % 5}"
    exact = CTMC.from_rates(rates, states=names)
    assert not check(exact, blocks, kind="ordinary")
    assert check(exact, blocks, kind="exact")
    assert check(exact, blocks, kind="weak")


def test_a_long_check_says_how_far_it_is_and_can_be_stopped():
    calls = []
    chain = weak_not_ordinary()
    assert check(
        chain, BLOCKS, kind="weak", progress=lambda found, states: calls.append((found, states))
    )
    assert calls[0] == (0, chain.n)
    assert calls[-1] == (1, chain.n)

    def stop(found, states):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(chain, BLOCKS, kind="weak", progress=stop)

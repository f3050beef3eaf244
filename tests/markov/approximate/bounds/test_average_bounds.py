"""Intervals of stationary and long-run averages contain the exact ones, for any chain and partition."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampled_chains import chains_with_partitions, mixed_members

from lumpability import CTMC, DTMC
from lumpability.certificate.bounds.proofs import Evidence, prove
from lumpability.certificate.bounds.question import Asked
from lumpability.certificate.bounds.vector import Vector
from lumpability.certificate.digest import ChainParts
from lumpability.certificate.verification import Contradiction
from lumpability.markov import MarkovChain
from lumpability.markov.approximate.bounds import bounds
from lumpability.markov.solve import long_run, stationary_distributions
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.testing.strategies.lumpable import lumpable_chains

numbers = st.sampled_from([Fraction(0), Fraction(1), Fraction(-2), Fraction(1, 3)])
accuracies = st.sampled_from([None, None, 1e-6])


def averages(chain: MarkovChain, g: list[Fraction]) -> list[Fraction]:
    return [
        sum((p * x for p, x in zip(found.values, g, strict=True)), start=Fraction(0))
        for found in stationary_distributions(chain)
    ]


@given(pair=chains_with_partitions(), data=st.data(), accuracy=accuracies)
def test_the_interval_contains_the_average_of_every_recurrent_class(
    pair: tuple[MarkovChain, Partition], data: st.DataObject, accuracy: float | None
) -> None:
    chain, partition = pair
    g = data.draw(st.lists(numbers, min_size=chain.n, max_size=chain.n))
    exact = averages(chain, g)
    if len(exact) > 1:
        accuracy = None
    interval = bounds(chain, partition).stationary(g, accuracy=accuracy)
    assert all(value in interval for value in exact)
    assert interval.certify().verify(chain)
    if accuracy is not None:
        assert interval.width <= Fraction(2, 10**6) * (max(g) - min(g))


@given(pair=chains_with_partitions(), data=st.data())
def test_the_interval_from_blocks_holds_for_every_mixture_of_their_members(
    pair: tuple[MarkovChain, Partition], data: st.DataObject
) -> None:
    chain, partition = pair
    k = len(partition)
    g = data.draw(st.lists(numbers, min_size=k, max_size=k))
    other = data.draw(st.composite(mixed_members)(chain, partition))
    interval = bounds(chain, partition).stationary([g[b] for b in partition.labels.tolist()])
    assert all(value in interval for value in averages(other, g))


@given(pair=chains_with_partitions(), data=st.data(), accuracy=accuracies)
def test_the_long_run_is_bounded_class_by_class(
    pair: tuple[MarkovChain, Partition], data: st.DataObject, accuracy: float | None
) -> None:
    chain, partition = pair
    g = data.draw(st.lists(numbers, min_size=chain.n, max_size=chain.n))
    found = bounds(chain, partition)
    for x in range(chain.n):
        exact = long_run(chain, initial=chain.states[x]).values
        average = sum((p * v for p, v in zip(exact, g, strict=True)), start=Fraction(0))
        interval = found.long_run(g, initial=chain.states[x], accuracy=accuracy)
        assert average in interval
        assert interval.certify().verify(chain)
        if accuracy is not None:
            assert interval.width <= Fraction(3, 10**6) * (max(g) - min(g))


@given(pair=lumpable_chains(kind="ordinary"))
def test_a_lumping_gives_an_average_of_no_width(pair: tuple[MarkovChain, Partition]) -> None:
    chain, partition = pair
    of = [int(block == 0) for block in partition.labels.tolist()]
    exact = averages(chain, [Fraction(x) for x in of])
    interval = bounds(chain, partition).stationary(of)
    if len(exact) == 1:
        assert interval.lower == interval.upper == exact[0]


def test_trap_a_float_end_is_not_a_proof() -> None:
    # The float nearest to the average lies above it: as an upper end it would pass, as a lower one it is false.
    chain = CTMC([[0, 3], [7, 0]], labels={"up": [0]})
    interval = bounds(chain, [0, 1]).stationary("up")
    assert interval.lower == interval.upper == Fraction(7, 10)
    assert Fraction(interval.estimate) != Fraction(7, 10)
    asked, parts = Asked("stationary", "label:up"), ChainParts.of(chain)
    vector = Vector.of(ExactArray.read([Fraction(0.1), 0])[0])
    upper = prove(asked, parts, Partition([0, 1]), Evidence((vector,)), upper=True)
    assert upper >= Fraction(7, 10)
    assert upper != Fraction(float(upper))


def test_trap_a_reducible_chain_is_bounded_as_widely_as_its_classes_differ() -> None:
    chain = DTMC([[0, "1/2", "1/2"], [0, 1, 0], [0, 0, 1]], initial=0, labels={"a": [1]})
    found = bounds(chain, [0, 1, 2])
    everywhere = found.stationary("a")
    assert (everywhere.lower, everywhere.upper) == (0, 1)
    start = found.long_run("a")
    assert Fraction(1, 2) in start
    assert start.width < Fraction(1, 10**9)


def test_trap_a_member_that_stays_in_its_block_is_sound_if_wide() -> None:
    # State 1 moves only inside {0, 1}; an adversary could let the block keep the chain for ever.
    chain = CTMC([[0, 0, 1], [5, 0, 0], [1, 1, 0]], labels={"in": [0, 1]})
    found = bounds(chain, [0, 0, 1])
    exact = averages(chain, [Fraction(1), Fraction(1), Fraction(0)])[0]
    wide, narrow = found.stationary("in"), found.stationary("in", accuracy=1e-9)
    assert exact in wide
    assert exact in narrow
    assert wide.upper == 1
    assert narrow.width < Fraction(1, 10**8)


def test_trap_a_level_that_increases_proves_nothing() -> None:
    chain = DTMC([[0, 1], [0, 1]], initial=0)
    asked = Asked("long_run", ExactArray.read([0, 1])[0], start=chain.initial)
    parts, partition = ChainParts.of(chain), Partition([0, 1])
    zero = Vector.constant(Fraction(0), 2)
    level = Vector.of(ExactArray.read([0, 1])[0])
    with pytest.raises(Contradiction, match="positive"):
        # The average is 1 from both states; h = (0, 1) satisfies g + Q v <= h but increases along the way.
        prove(asked, parts, partition, Evidence((level, zero)), upper=True)
    one = Vector.constant(Fraction(1), 2)
    assert prove(asked, parts, partition, Evidence((one, zero)), upper=True) == 1


def test_an_accuracy_beyond_floating_point_is_reached() -> None:
    n = 70  # more than are solved exactly
    up, down = (
        [Fraction(100 + x, 99) for x in range(n - 1)],
        [Fraction(7 + x % 3, 8) for x in range(n - 1)],
    )
    rates = {(x, x + 1): rate for x, rate in enumerate(up)}
    rates |= {(x + 1, x): rate for x, rate in enumerate(down)}
    chain = CTMC.from_rates(rates, states=range(n))
    weights = [Fraction(1)]
    for birth, death in zip(up, down, strict=True):
        weights.append(weights[-1] * birth / death)
    exact = sum(w for x, w in enumerate(weights) if x % 3 == 1) / sum(weights)
    interval = bounds(chain, [0] * n).stationary([x % 3 == 1 for x in range(n)], accuracy=1e-40)
    assert exact in interval
    assert interval.width <= Fraction(2, 10**40)
    assert interval.certify().verify(chain)


def test_an_interrupt_keeps_the_best_interval_and_another_error_stops_the_search() -> None:
    chain = CTMC([[0, 1, "1/3"], ["1/7", 0, 2], [1, 3, 0]])

    def interrupt(width: float, wanted: float) -> None:
        raise KeyboardInterrupt

    def stop(width: float, wanted: float) -> None:
        raise TimeoutError

    found = bounds(chain, [0, 0, 0])
    exact = averages(chain, [Fraction(1), Fraction(2), Fraction(4)])[0]
    assert exact in found.stationary([1, 2, 4], accuracy=1e-40, progress=interrupt)
    with pytest.raises(TimeoutError):
        found.stationary([1, 2, 4], accuracy=1e-40, progress=stop)

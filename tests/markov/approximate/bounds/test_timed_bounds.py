"""Intervals of questions about a time contain the answer, for the chain and for every chain in its hull."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampled_chains import chains_with_partitions, expectations_at, inside_the_hull, mixed_members

from lumpability import CTMC, DTMC, lump
from lumpability.certificate import BoundCertificate
from lumpability.certificate.bounds.proofs import evolution_of
from lumpability.certificate.bounds.question import Asked, absorbing
from lumpability.certificate.digest import ChainParts
from lumpability.certificate.verification import Contradiction
from lumpability.errors import InvalidChain, InvalidInput, LumpabilityError
from lumpability.markov import MarkovChain
from lumpability.markov.approximate.bounds import bounds
from lumpability.partition import Partition
from lumpability.testing.strategies.lumpable import lumpable_chains

SLACK = Fraction(1, 10**30)  # of the exact solutions of CTMCs

times = st.sampled_from([Fraction(0), Fraction(1), Fraction(3), Fraction(40)])
numbers = st.sampled_from([Fraction(0), Fraction(1), Fraction(-2), Fraction(1, 3)])


def covers(interval: object, values: list[object]) -> bool:
    return all(
        interval.lower <= value + SLACK and value - SLACK <= interval.upper for value in values
    )


@given(pair=chains_with_partitions(), data=st.data(), time=times)
def test_the_interval_contains_the_expectation_from_every_state(
    pair: tuple[MarkovChain, Partition], data: st.DataObject, time: Fraction
) -> None:
    chain, partition = pair
    g = data.draw(st.lists(numbers, min_size=chain.n, max_size=chain.n))
    exact = expectations_at(chain, g, time)
    one = data.draw(st.integers(0, chain.n - 1))
    found = bounds(chain, partition)
    assert covers(found.transient(time, of=g, initial=one), [exact[one]])
    everywhere = found.transient(time, of=g)
    assert covers(everywhere, exact)
    assert everywhere.certify().verify(chain)


@given(pair=chains_with_partitions(), data=st.data(), time=times)
def test_the_interval_holds_for_every_chain_in_the_hull(
    pair: tuple[MarkovChain, Partition], data: st.DataObject, time: Fraction
) -> None:
    chain, partition = pair
    k = len(partition)
    g = data.draw(st.lists(numbers, min_size=k, max_size=k))
    other = data.draw(st.composite(inside_the_hull)(chain, partition))
    exact = expectations_at(other, g, time)
    of = [g[b] for b in partition.labels.tolist()]
    interval = bounds(chain, partition).transient(time, of=of, over="hull")
    assert interval.holds_in_hull
    assert covers(interval, exact)


@given(pair=chains_with_partitions(), data=st.data(), time=times)
def test_the_members_give_a_narrower_interval_that_holds_for_their_mixtures(
    pair: tuple[MarkovChain, Partition], data: st.DataObject, time: Fraction
) -> None:
    chain, partition = pair
    k = len(partition)
    g = data.draw(st.lists(numbers, min_size=k, max_size=k))
    other = data.draw(st.composite(mixed_members)(chain, partition))
    of = [g[b] for b in partition.labels.tolist()]
    found = bounds(chain, partition)
    narrow, wide = (found.transient(time, of=of, over=over) for over in ("members", "hull"))
    assert covers(narrow, expectations_at(other, g, time))
    assert narrow.width <= wide.width + Fraction(1, 2**50)
    assert not narrow.holds_in_hull
    assert narrow.certify().verify(chain)


@given(pair=chains_with_partitions(), data=st.data(), time=times)
def test_a_target_within_a_time_is_the_expectation_of_the_chain_that_stops_there(
    pair: tuple[MarkovChain, Partition], data: st.DataObject, time: Fraction
) -> None:
    chain, partition = pair
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=chain.n, max_size=chain.n)))
    mask[data.draw(st.integers(0, chain.n - 1))] = True
    stopped = absorbing(chain.matrix, mask, discrete=chain.time == "discrete")
    exact = expectations_at(chain.rebuilt(stopped), [Fraction(int(x)) for x in mask], time)
    assert covers(bounds(chain, partition).time_bounded(mask, time), exact)


@given(pair=lumpable_chains(kind="ordinary"), time=times)
def test_a_lumping_gives_an_interval_of_no_width_but_for_rounding(
    pair: tuple[MarkovChain, Partition], time: Fraction
) -> None:
    chain, partition = pair
    of = (partition.labels == 0).astype(int)
    for start in range(chain.n):
        interval = bounds(chain, partition).transient(time, of=of, initial=start)
        assert interval.width < Fraction(1, 2**45)


def test_several_times_are_answered_as_one_by_one() -> None:
    chain = CTMC([[0, 1, 2], [3, 0, 1], [1, 1, 0]], labels={"up": [0]}, initial=2)
    found = bounds(chain, [0, 1, 1])
    at = [Fraction(5), Fraction(0), Fraction(1, 2)]
    together = found.transient(at, of="up")
    for time, interval in zip(at, together, strict=True):
        alone = found.transient(time, of="up")
        assert abs(alone.lower - interval.lower) < Fraction(1, 2**44)
        assert abs(alone.upper - interval.upper) < Fraction(1, 2**44)
        assert interval.certify().verify(chain)
    assert found.transient([], of="up") == []


def test_trap_a_box_of_probabilities_whose_rows_exceed_one_is_not_monotone() -> None:
    # Without row sums the upper bounds 3/4 + 3/4 of the row would give 3/2.
    chain = DTMC([["1/4", 0, "3/4", 0], [0, "1/4", 0, "3/4"], [0, 0, 1, 0], [0, 0, 0, 1]])
    interval = bounds(chain, [0, 0, 1, 2]).transient(1, of=[0, 0, 1, 1], initial=0)
    assert interval.upper <= Fraction(3, 4) + Fraction(1, 2**60)
    # The middle block may reach either of two blocks of value one, never both together.
    swings = DTMC([[0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert bounds(swings, [0, 0, 1, 2]).transient(1, of=[0, 0, 1, 1]).upper == 1


def test_trap_a_rate_below_the_outflow_is_refused_because_the_tail_bound_would_fail() -> None:
    chain = CTMC([[0, 3], [1, 0]], initial=0)
    asked = Asked("transient", of=bounds_of([0, 1]), time=Fraction(2), start=chain.initial)
    parts, partition = ChainParts.of(chain), Partition([0, 1])
    with pytest.raises(Contradiction, match="outflow"):
        evolution_of(asked, parts, partition, Fraction(5, 2))
    evolution_of(asked, parts, partition, Fraction(3))


def bounds_of(numbers: list[int]) -> object:
    from lumpability.numbers.exact_array import ExactArray

    return ExactArray.read(numbers)[0]


def test_trap_steps_do_not_end_because_two_of_them_are_close() -> None:
    # Nothing reaches state 2 for a long time, and u_k changes by less than 2^-64 a step at first.
    slow = Fraction(1, 10**9)
    chain = CTMC.from_rates({(0, 1): slow, (1, 2): slow, (2, 2): 1}, states=[0, 1, 2], initial=0)
    interval = bounds(chain, [0, 1, 2]).transient(10**10, of=[0, 0, 1])
    exact = expectations_at(chain, [Fraction(0), Fraction(0), Fraction(1)], Fraction(10**10))
    assert covers(interval, exact[:1])
    assert interval.lower > Fraction(99, 100)
    assert interval.width < Fraction(1, 10**9)


def test_a_slow_chain_is_decided_by_the_time_and_not_by_the_steps() -> None:
    chain = CTMC([[0, 1], [2, 0]], labels={"up": [0]}, initial=0)
    interval = bounds(chain, [0, 1]).transient(10**8, of="up")
    assert Fraction(2, 3) in interval
    assert interval.width < Fraction(1, 10**12)
    assert interval.certify().above.steps < 200


def test_certificates_of_times_hold_after_a_round_trip_and_for_no_other_chain(tmp_path) -> None:
    chain = CTMC([[0, 1, 2], [3, 0, 1], [1, 1, 0]], labels={"up": [0]}, initial=2)
    other = CTMC([[0, 1, 2], [3, 0, 1], [1, 2, 0]], labels={"up": [0]}, initial=2)
    for interval in (
        bounds(chain, [0, 1, 1]).transient("1/3", of="up"),
        bounds(chain, [0, 1, 1]).time_bounded("up", 2, initial=1),
    ):
        path = tmp_path / "bound.json.gz"
        interval.certify().write(path)
        read = BoundCertificate.read(path)
        assert read.verify(chain)
        assert read.verify(other).rejection.field == "model"
        assert read.verify(chain, chain).rejection.field == "quotient"


def test_questions_that_make_no_sense_are_refused() -> None:
    chain = DTMC([[0, 1], [1, 0]], labels={"up": [0]})
    found = bounds(chain, [0, 1])
    for time in (-1, "1/2"):
        with pytest.raises(InvalidInput):
            found.transient(time, of="up")
    with pytest.raises(InvalidChain, match="no label or reward"):
        found.transient(1, of="down")
    with pytest.raises(InvalidInput, match="parameters"):
        bounds(CTMC([[0, "x"], [1, 0]]), [0, 1])


def test_the_approximate_lumping_of_a_jittered_chain_answers_closely() -> None:
    rates = {("a", "c"): "1", ("b", "c"): "1.005", ("c", "a"): 2, ("c", "b"): 2}
    chain = CTMC.from_rates(rates, labels={"goal": ["c"]}, initial="a")
    small = lump(chain, tolerance="1%")
    assert len(small.partition) == 2
    interval = small.bounds.transient(3, of="goal")
    assert 0 < interval.width < Fraction(1, 500)
    assert interval.lower <= interval.estimate <= interval.upper


@pytest.mark.parametrize("rate", ["1e-400", "1e400"])
def test_rates_beyond_floats_are_answered_or_refused_in_words(rate: str) -> None:
    rates = {("b", "a"): rate, ("b", "c"): rate, ("c", "b"): 2}
    chain = CTMC.from_rates(rates, labels={"a": ["a"]}, initial="b")
    for partition in ([0, 1, 2], [0, 1, 0]):
        found = bounds(chain, partition)
        for ask in (
            lambda found: found.transient(1, of="a"),
            lambda found: found.time_bounded("a", 2),
            lambda found: found.expected(until="a"),
            lambda found: found.stationary("a"),
        ):
            with suppress(LumpabilityError):
                assert ask(found).certify().verify(chain)


def test_ends_lie_between_the_least_and_the_largest_of_what_is_averaged() -> None:
    chain = CTMC([[0, "1/3", 2], [3, 0, 1], [0, 0, 0]], labels={"done": [2]}, initial=0)
    found = bounds(chain, [0, 1, 2])
    assert found.time_bounded("done", 100).upper == 1
    assert found.transient(100, of=[2, 1, 1], initial=2).lower == 1
    assert bounds(chain, [0, 0, 0]).stationary("done").lower == 0

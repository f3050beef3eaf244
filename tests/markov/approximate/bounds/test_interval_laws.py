"""Laws of intervals: numbers of states and the unit of time do not matter, and finer blocks give no wider ones."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sampled_chains import chains_with_partitions

from lumpability.markov import MarkovChain
from lumpability.markov.approximate.bounds import bounds
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure
from lumpability.testing.strategies.chains import ctmcs, dtmcs

SLACK = Fraction(1, 10**9)


def ends(chain: MarkovChain, partition: Partition, of: list[int], start: int) -> list[Fraction]:
    """The ends of all intervals that begin in a state."""
    found, target = bounds(chain, partition), np.arange(chain.n) == start
    intervals = [found.transient(3, of=of, initial=start), found.time_bounded(target, 2)]
    intervals += [found.stationary(of), found.hitting(target)]
    return [end for interval in intervals for end in (interval.lower, interval.upper)]


@given(pair=chains_with_partitions(), turn=st.randoms(use_true_random=False))
def test_intervals_are_independent_of_numbering(
    pair: tuple[MarkovChain, Partition], turn: random.Random
) -> None:
    chain, partition = pair
    order = turn.sample(range(chain.n), chain.n)
    turned = chain.rebuilt(chain.matrix.renumber(np.array(order)))
    of = [x % 3 for x in range(chain.n)]
    plain = ends(chain.rebuilt(chain.matrix), partition, of, order[0])
    other = ends(turned, Partition(partition.labels[order]), [of[x] for x in order], 0)
    assert plain[:4] == other[:4]
    assert all(abs(a - b) <= SLACK for a, b in zip(plain, other, strict=True))


@given(pair=chains_with_partitions(ctmcs(max_states=6)), unit=st.sampled_from(["1/3", 7, "1/1000"]))
def test_intervals_are_free_of_the_unit_of_time(
    pair: tuple[MarkovChain, Partition], unit: object
) -> None:
    chain, partition = pair
    factor, matrix = Fraction(unit), chain.matrix
    scaled = matrix.weights.map(lambda rate: rate * factor)
    faster = chain.rebuilt(WeightedStructure(matrix.indptr, matrix.indices, scaled, matrix.within))
    of = [x % 3 for x in range(chain.n)]
    slow, fast = (bounds(x, partition) for x in (chain, faster))
    for over in ("hull", "members"):
        one, other = (
            slow.transient(2, of=of, over=over),
            fast.transient(2 / factor, of=of, over=over),
        )
        assert (one.lower, one.upper) == (other.lower, other.upper)
    one, other = slow.stationary(of), fast.stationary(of)
    assert abs(one.lower - other.lower) + abs(one.upper - other.upper) <= SLACK


@given(pair=chains_with_partitions(dtmcs(max_states=6)), data=st.data())
def test_finer_blocks_give_no_wider_intervals(
    pair: tuple[MarkovChain, Partition], data: st.DataObject
) -> None:
    chain, partition = pair
    labels = data.draw(st.lists(st.integers(0, 1), min_size=chain.n, max_size=chain.n))
    finer = partition.meet(Partition(labels))
    of = partition.labels % 3
    coarse, fine = bounds(chain, partition), bounds(chain, finer)
    for ask in (
        lambda found: found.transient(4, of=of, over="members"),
        lambda found: found.stationary(of),
    ):
        wide, narrow = ask(coarse), ask(fine)
        assert wide.lower - SLACK <= narrow.lower
        assert narrow.upper <= wide.upper + SLACK

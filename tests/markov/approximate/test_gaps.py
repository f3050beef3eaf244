"""The partition by gaps: its laws, its traps, and the kernel against the definition."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import Partition, lump
from lumpability.markov.approximate import gaps, residual
from lumpability.markov.approximate.choose import by_kernel, partition_by_gaps
from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure
from lumpability.testing import ctmcs, dtmcs, labelled

pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")

RATES = st.sampled_from(
    [Fraction(x) for x in ("1", "101/100", "51/50", "11/10", "2", "3", "1/3", "2/3")]
)
TOLERANCES = st.sampled_from([Fraction(1, d) for d in (100, 20, 10, 3, 1000)])
CHAINS = labelled(
    st.one_of(ctmcs(max_states=7, rates=st.one_of(st.just(0), RATES)), dtmcs(max_states=7))
)


def only(numbers):
    """States that go to one target, each at one rate."""
    n = len(numbers)
    used = [i for i, number in enumerate(numbers) if number]
    matrix = WeightedStructure.from_edges(
        n + 1, used, [n] * len(used), [Fraction(numbers[i]) for i in used]
    )
    return matrix, Partition([0] * n + [1])


def random_structure(seed, n=40):
    """A structure whose refinement takes rounds of both kinds."""
    rng = np.random.default_rng(seed)
    sources = np.repeat(np.arange(n), 2)
    near = rng.random() < 0.5
    targets = (
        np.minimum(sources + rng.integers(0, 3, 2 * n), n - 1)
        if near
        else rng.integers(0, n, 2 * n)
    )
    pool = [Fraction(int(x), int(y)) for x, y in rng.integers(1, 9, (3, 2))]
    pool += [rate * Fraction(int(x), 1000) for rate in pool for x in rng.integers(980, 1021, 3)]
    weights = [pool[i] for i in rng.integers(0, len(pool), 2 * n)]
    within = Partition((np.arange(n) == n - 1).astype(int))
    return WeightedStructure.from_edges(n, sources, targets, weights), within


@pytest.mark.parametrize("seed", range(60))
def test_the_kernel_follows_the_definition(seed):
    matrix, within = random_structure(seed)
    tolerance = [Fraction(1, 100), Fraction(1, 7), Fraction(1, 1000)][seed % 3]
    absolute = Fraction(seed % 5 // 4, 3)
    expected = within
    for rung in gaps.ladder(tolerance):
        expected = gaps.refine_at(matrix, expected, rung, absolute)
    assert gaps.refine(matrix, within, tolerance, absolute) == expected
    assert by_kernel(matrix, within, tolerance, absolute) == expected
    generator = replace(matrix, closed=True)  # as `lump` hands over chains in continuous time
    assert by_kernel(generator, within, tolerance, absolute) == expected


@pytest.mark.parametrize("spread", [1, 1000, 10**9])
def test_large_groups_are_sorted_from_buckets_of_any_fill(spread):
    rng = np.random.default_rng(spread)
    numbers = rng.integers(0, 40, 700) * spread + rng.integers(1, 12, 700)
    matrix, within = only([*numbers.tolist(), 10**12])
    for tolerance in (Fraction(1, 50), Fraction(1, 3)):
        expected = gaps.refine(matrix, within, tolerance)
        assert by_kernel(matrix, within, tolerance, Fraction(0)) == expected


@pytest.mark.parametrize("seed", range(5))
def test_the_kernel_is_independent_of_numbering(seed):
    matrix, within = random_structure(seed, n=300)
    order = np.random.default_rng(seed).permutation(matrix.n)
    found = by_kernel(matrix, within, Fraction(1, 50), Fraction(0))
    turned = Partition(within.labels[order])
    renumbered = by_kernel(matrix.renumber(order), turned, Fraction(1, 50), Fraction(0))
    assert renumbered == Partition(found.labels[order])


def test_a_long_queue_takes_narrow_rounds_and_the_time_of_its_transitions():
    n = 30_000
    up = np.arange(n - 1)
    matrix = WeightedStructure.from_edges(
        n, np.concatenate([up, up + 1]), np.concatenate([up + 1, up]), [1] * (n - 1) + [2] * (n - 1)
    )
    partition = by_kernel(
        matrix, Partition((np.arange(n) == n - 1).astype(int)), Fraction(1, 100), Fraction(0)
    )
    assert len(partition) == n


@given(CHAINS, TOLERANCES, st.randoms(use_true_random=False))
def test_the_partition_is_independent_of_numbering(chain, tolerance, random):
    order = random.sample(range(chain.n), chain.n)
    turned = lump(chain.renumber(order), tolerance=tolerance).partition
    assert turned == Partition(lump(chain, tolerance=tolerance).partition.labels[order])


@given(labelled(ctmcs(max_states=7, rates=st.one_of(st.just(0), RATES))), TOLERANCES)
def test_the_partition_is_free_of_the_unit_of_time(chain, tolerance):
    matrix = chain.matrix
    scaled = WeightedStructure.from_rows(
        matrix.indptr, matrix.indices, matrix.weights.map(lambda rate: rate * Fraction(7, 3))
    )
    faster = chain.rebuilt(scaled, labels=chain.labels)
    assert lump(faster, tolerance=tolerance).partition == lump(chain, tolerance=tolerance).partition


@given(CHAINS, TOLERANCES)
def test_half_the_tolerance_refines(chain, tolerance):
    finer = lump(chain, tolerance=tolerance / 2).partition
    assert finer.refines(lump(chain, tolerance=tolerance).partition)


@given(CHAINS, TOLERANCES)
def test_states_of_the_exact_lumping_are_never_separated(chain, tolerance):
    assert lump(chain).partition.refines(lump(chain, tolerance=tolerance).partition)


@given(CHAINS)
def test_tolerance_zero_and_differences_beyond_the_tolerance_give_the_exact_lumping(chain):
    exact = lump(chain).partition
    assert lump(chain, tolerance=0).partition == exact
    assert lump(chain, tolerance="1e-9").partition == exact
    assert not lump(chain, tolerance=0).residual


@given(CHAINS, TOLERANCES)
def test_sums_of_a_block_spread_by_at_most_twice_the_tolerance(chain, tolerance):
    small = lump(chain, tolerance=tolerance)
    assert small.residual.relative <= 2 * tolerance
    assert small.residual == residual(chain, small.partition)


@given(CHAINS, TOLERANCES)
def test_the_exact_quotient_has_the_same_partition(chain, tolerance):
    """What `lump` uses to begin with fewer states."""
    whole = gaps.refine(chain.matrix, chain.respected(), tolerance, Fraction(0))
    assert lump(chain, tolerance=tolerance).partition == whole


def test_one_tolerance_alone_is_not_monotone_but_the_ladder_is():
    """At 10 % the values are one wide cluster, cut at all its equal gaps; at 8 % two of them stay together."""
    matrix, within = only([10, 11, 12, 13, 30, 31])
    larger = gaps.refine_at(matrix, within, Fraction(10, 100), Fraction(0))
    smaller = gaps.refine_at(matrix, within, Fraction(8, 100), Fraction(0))
    assert matrix.n == 7
    assert not smaller.refines(larger)
    for j in range(1, 8):
        rungs = [Fraction(8, 100) * 2**i / 2**j for i in (1, 0)]
        coarser, finer = (gaps.refine(matrix, within, t) for t in rungs)
        assert finer.refines(coarser)


def test_zero_is_near_to_zero_only_unless_an_absolute_tolerance_is_given():
    matrix, within = only(["1/1000", "0", "10", "11"])
    relative = gaps.refine(matrix, within, Fraction(1, 5))
    assert relative == Partition([0, 1, 2, 2, 3])
    assert gaps.refine(matrix, within, Fraction(1, 5), Fraction(1, 1000)) == Partition(
        [0, 0, 1, 1, 2]
    )
    assert by_kernel(matrix, within, Fraction(1, 5), Fraction(1, 1000)) == Partition(
        [0, 0, 1, 1, 2]
    )


def test_numbers_at_the_tolerance_stay_together_and_beyond_it_part():
    matrix, within = only(["99", "100", "1", "1.01"])
    for refine in (gaps.refine, by_kernel):
        assert refine(matrix, within, Fraction(1, 100), Fraction(0)) == Partition([0, 0, 1, 1, 2])
        assert refine(matrix, within, Fraction(99, 10_000), Fraction(0)) == Partition(
            [0, 1, 2, 3, 4]
        )


def test_a_wide_cluster_is_cut_at_the_largest_gap_of_its_middle_half():
    values = [Fraction(x) for x in (100, 104, 108, 109, 116, 117)]
    number = gaps.clusters(values, Fraction(7, 100), Fraction(0))
    assert list(number.values()) == [0, 0, 0, 0, 1, 1]


def test_rewards_are_cut_by_their_values_also_negative_ones():
    costs = ExactArray.read([-100, -99, 5, 5, 0, 6])[0]
    found = gaps.split_by_values(Partition.trivial(6), costs, Fraction(1, 50))
    assert found == Partition([0, 0, 1, 1, 2, 3])
    assert gaps.split_by_values(Partition.trivial(6), costs, Fraction(0)) == Partition.by(
        6, [costs.codes]
    )


def test_tolerances_and_numbers_beyond_floats_are_served_by_the_definition():
    for unit in (1, 10**400):
        matrix, within = only([unit * (2**60 + i) for i in range(2)] * 260)
        assert len(partition_by_gaps(matrix, within, Fraction(1, 10), Fraction(0))) == 2
    matrix, within = only([2**60, 2**60 + 1])
    assert len(partition_by_gaps(matrix, within, Fraction(1, 2**61), Fraction(0))) == 3


def test_progress_is_reported_and_may_stop_the_computation():
    class Enough(Exception):
        pass

    def stop(blocks, states):
        assert (blocks, states) == (3, 601)
        raise Enough

    matrix, within = only([1, 2] * 300)
    with pytest.raises(Enough):
        partition_by_gaps(matrix, within, Fraction(1, 10), Fraction(0), progress=stop)

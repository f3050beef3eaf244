"""The coarsest lumping of every family of examples is the one that theory predicts."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import comb

import numpy as np
import pytest

from lumpability import CTMC, DTMC, Partition, check, lump
from lumpability.errors import InvalidInput, InvalidValue, SizeLimit
from lumpability.markov import examples
from lumpability.markov.examples import (
    components,
    cycle_walk,
    ehrenfest,
    hypercube_walk,
    machine_repair,
    moran,
    nearly_lumpable,
    planted,
    polling,
    queue_at_changing_speed,
    queue_with_servers,
    sis_epidemic,
    symmetric_birth_death,
    tandem,
    torus_walk,
    weak_not_ordinary,
)
from lumpability.markov.solve import expected_hitting_times, hitting_probabilities, stationary


def ones(n: int) -> np.ndarray:
    """The number of binary digits set in 0 .. n-1."""
    return np.array([state.bit_count() for state in range(n)])


def up_to_rotation(stations: int) -> list:
    """States of the polling model with the server's place taken as origin."""
    size = 1 << stations

    def turned(place: int, bits: int) -> tuple[int, ...]:
        digits = [bits >> station & 1 for station in range(stations)]
        return tuple(digits[place:] + digits[:place])

    looking = [(place, bits) for place in range(stations) for bits in range(size)]
    serving = [(place, bits) for place, bits in looking if bits >> place & 1]
    keys = [("looks", turned(*state)) for state in looking]
    return keys + [("serves", turned(*state)) for state in serving]


def folded(length: int, dimension: int) -> list:
    """States of a torus up to mirror images and exchange of axes."""
    keys = []
    for state in range(length**dimension):
        digits = [state // length**axis % length for axis in range(dimension)]
        keys.append(tuple(sorted(min(x, length - x) for x in digits)))
    return keys


def customers(servers: int, capacity: int) -> np.ndarray:
    return np.concatenate([ones(1 << servers), np.arange(servers + 1, capacity + 1)])


def conditions(count: int) -> list:
    return [tuple(sorted(state // 3**c % 3 for c in range(count))) for state in range(3**count)]


def keys(values: list) -> Partition:
    return Partition.of(values.__getitem__, states=len(values))


PREDICTIONS: dict[str, tuple[Callable[[], CTMC | DTMC], Callable[[], Partition]]] = {
    **{
        f"machine_repair({k}, repairers={r})": (
            lambda k=k, r=r: machine_repair(k, repairers=r),
            lambda k=k: Partition(ones(1 << k)),
        )
        for k, r in [(1, 1), (3, 2), (5, 1), (6, 6)]
    },
    **{
        f"queue_with_servers({c}, {k})": (
            lambda c=c, k=k: queue_with_servers(c, k),
            lambda c=c, k=k: Partition(customers(c, k)),
        )
        for c, k in [(1, 1), (1, 4), (3, 3), (4, 7)]
    },
    **{
        f"polling({k})": (lambda k=k: polling(k), lambda k=k: keys(up_to_rotation(k)))
        for k in (1, 2, 3, 4, 5)
    },
    **{
        f"components({k}, crew={c})": (
            lambda k=k, c=c: components(k, crew=c),
            lambda k=k: keys(conditions(k)),
        )
        for k, c in [(2, 1), (4, 2), (5, 5)]
    },
    **{
        f"hypercube_walk({d})": (
            lambda d=d: hypercube_walk(d),
            lambda d=d: Partition(ones(1 << d)),
        )
        for d in (1, 2, 5, 8)
    },
    **{
        f"cycle_walk({n})": (
            lambda n=n: cycle_walk(n),
            lambda n=n: keys([min(i, n - i) for i in range(n)]),
        )
        for n in (3, 4, 7, 12)
    },
    "cycle_walk(7, forward=1/3)": (
        lambda: cycle_walk(7, forward="1/3"),
        lambda: Partition.discrete(7),
    ),
    **{
        f"torus_walk({n}, {d})": (
            lambda n=n, d=d: torus_walk(n, d),
            lambda n=n, d=d: keys(folded(n, d)),
        )
        for n, d in [(3, 2), (5, 2), (6, 2), (7, 3), (3, 4)]
    },
    "torus_walk(4, 2)": (
        lambda: torus_walk(4, 2),
        lambda: keys([sum(key) for key in folded(4, 2)]),
    ),
    **{
        f"symmetric_birth_death({k})": (
            lambda k=k: symmetric_birth_death(k),
            lambda k=k: keys([abs(i - k) for i in range(2 * k + 1)]),
        )
        for k in (1, 2, 9)
    },
    **{
        f"ehrenfest({k})": (
            lambda k=k: ehrenfest(k),
            lambda k=k: Partition(np.minimum(ones(1 << k), k - ones(1 << k))),
        )
        for k in (2, 3, 5, 6)
    },
    **{
        f"moran({k}, fitness={r})": (
            lambda k=k, r=r: moran(k, fitness=r),
            lambda k=k: Partition(ones(1 << k)),
        )
        for k, r in [(2, 1), (4, 2), (6, "3/2")]
    },
    **{
        f"sis_epidemic({k})": (
            lambda k=k: sis_epidemic(k),
            lambda k=k: Partition(ones(1 << k)),
        )
        for k in (1, 3, 6)
    },
    "tandem(4, 3)": (lambda: tandem(4, 3), lambda: Partition.discrete(20)),
}


@pytest.mark.parametrize("name", PREDICTIONS)
def test_the_coarsest_ordinary_lumping_is_the_predicted_one(name):
    build, predict = PREDICTIONS[name]
    assert lump(build()).partition == predict()


@pytest.mark.parametrize("shape", [(1, 1), (4, 3), (9, 2)])
def test_the_first_of_two_queues_in_series_is_a_chain_by_itself(shape):
    first, second = shape
    chain = tandem(first, second)
    lumping = lump(chain, respect="first full")
    assert lumping.partition == Partition(np.arange(chain.n) // (second + 1))


@pytest.mark.parametrize("speeds", [(1, 2), (1, 2, 5), (3, 3, 1, "1/2")])
def test_a_queue_at_changing_speed_lumps_proportionally_by_customers(speeds):
    chain = queue_at_changing_speed(5, speeds)
    phases = len(speeds)
    lumping = lump(chain, kind="proportional")
    assert lumping.partition == Partition(np.arange(chain.n) // phases)
    assert list(lumping.factors) == [Fraction(speed) / Fraction(speeds[0]) for speed in speeds] * 6


@pytest.mark.parametrize("chain", [hypercube_walk(4), symmetric_birth_death(3)])
def test_lumpings_by_symmetry_are_strict(chain):
    respect = ("labels",)
    assert lump(chain, kind="strict", respect=respect).partition == lump(chain).partition


def test_components_lump_alike_whatever_the_rates_as_long_as_they_have_names():
    chain = components(3, crew=2, failure="f", detection="d", repair="r")
    lumping = lump(chain)
    assert lumping.partition == keys(conditions(3))
    assert lumping.coarser_when() == []


def test_numbers_of_the_literature_come_out():
    k, fitness = 5, Fraction(2)
    fixed = hitting_probabilities(lump(moran(k, fitness=fitness)).quotient, "fixed")
    assert fixed[1] == (1 - 1 / fitness) / (1 - 1 / fitness**k)
    # Kac: the mean recurrence time of an urn state is 2^k / binomial(k, i).
    pi = stationary(lump(hypercube_walk(k)).quotient).values
    assert list(pi) == [Fraction(comb(k, i), 2**k) for i in range(k + 1)]
    back = expected_hitting_times(lump(hypercube_walk(k)).quotient, "origin")
    assert 1 + back[1] == 2**k


@pytest.mark.parametrize("kind", ["ordinary", "bisimulation", "exact", "strict", "proportional"])
def test_a_planted_chain_is_the_same_for_the_same_seed(kind):
    first, second = planted(kind, [2, 3], seed=7), planted(kind, [2, 3], seed=7)
    assert first[0].equals(second[0])
    assert first[1] == second[1]


@pytest.mark.parametrize("epsilon", ["1/1000", Fraction(1, 10**12)])
def test_a_nearly_lumpable_chain_misses_by_epsilon_exactly(epsilon):
    chain, partition = nearly_lumpable([3, 2, 1], epsilon, seed=3)
    witness = check(chain, partition).witness
    assert abs(witness.total - witness.other_total) == Fraction(epsilon)


def test_the_example_of_kemeny_and_snell_is_weakly_lumpable_only():
    chain = weak_not_ordinary()
    assert not check(chain, [0, 1, 1])
    assert not check(chain, [0, 1, 1], kind="exact")
    assert check(chain, [0, 1, 1], kind="weak")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: queue_with_servers(0, 3), InvalidValue),
        (lambda: queue_with_servers(3, 2), InvalidValue),
        (lambda: queue_with_servers(2, 3, arrival=-1), InvalidValue),
        (lambda: cycle_walk(2), InvalidValue),
        (lambda: cycle_walk(5, forward=2), InvalidValue),
        (lambda: hypercube_walk(40), SizeLimit),
        (lambda: torus_walk(1000, 3), SizeLimit),
        (lambda: ehrenfest(30), SizeLimit),
        (lambda: components(20), SizeLimit),
        (lambda: machine_repair(21), SizeLimit),
        (lambda: machine_repair(2, repairers=0), InvalidValue),
        (lambda: planted("weak", [2]), InvalidInput),
        (lambda: planted("exact", [2, 0]), InvalidValue),
        (lambda: nearly_lumpable([1, 1]), InvalidValue),
    ],
)
def test_parameters_out_of_range_are_refused(call, error):
    with pytest.raises(error):
        call()


def test_every_family_is_exported_and_documented():
    for name in examples.__all__:
        assert "Examples" in getattr(examples, name).__doc__


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chain", "blocks"),
    [
        (lambda: ehrenfest(20), 11),
        (lambda: sis_epidemic(20), 21),
        (lambda: hypercube_walk(20), 21),
        (lambda: components(13, crew=3), 105),
        (lambda: torus_walk(101, 3), comb(53, 3)),
    ],
)
def test_families_scale_to_a_million_states(chain, blocks):
    assert len(lump(chain()).partition) == blocks

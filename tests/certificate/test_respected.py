"""What must be respected, by name: the right codes for what is there, none for anything else."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lumpability import CTMC, DTMC, Reward, lump
from lumpability.certificate.digest import ChainParts
from lumpability.certificate.respected import (
    codes_of,
    names_of,
    respected_partition,
    with_earned_rewards,
)
from lumpability.errors import TrivialLumping
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition

RATES = [[0, "1/2", 0], [2, 0, "1/3"], [0, 3, 0]]


def numbers(*values: object) -> ExactArray:
    return ExactArray.read(list(values))[0]


@pytest.fixture
def parts() -> ChainParts:
    rewards = {
        "held": Reward(state=numbers(1, 2, 2)),
        "left": Reward(action=numbers("1/5", "1/7", 1)),
        "both": Reward(state=numbers(0, 1, "1/2"), action=numbers(3, "1/2", 0)),
    }
    return ChainParts.of(CTMC(RATES, labels={"up": [0]}, rewards=rewards, initial=2))


def test_everything_there_is_has_a_name_and_codes(parts: ChainParts) -> None:
    names = names_of(parts)
    assert names == ["label:up", "reward:held", "reward:left", "reward:both", "initial"]
    apart = [Partition.by(3, codes_of(parts, name)).labels.tolist() for name in names]
    assert apart == [[0, 1, 1], [0, 1, 1], [0, 1, 2], [0, 1, 2], [0, 0, 1]]


@pytest.mark.parametrize(
    "name",
    ["label:held", "reward:up", "alias:up", "zone:up", "alias:held", "zone:held", "label:", "up"],
)
def test_what_is_not_there_has_no_codes(name: str, parts: ChainParts) -> None:
    assert codes_of(parts, name) is None


@pytest.mark.parametrize("name", ["initial", "abc", "zero", "label:up", "reward:held"])
def test_a_chain_without_anything_has_no_codes(name: str) -> None:
    assert codes_of(ChainParts.of(CTMC(RATES)), name) is None


@pytest.mark.parametrize("name", ["initia", "initiated", "a", "z"])
def test_only_the_start_is_named_so(name: str, parts: ChainParts) -> None:
    assert codes_of(parts, name) is None


def test_names_and_another_partition_tell_apart_together(parts: ChainParts) -> None:
    other = Partition.of([0, 0, 1])
    assert len(respected_partition(parts, ("label:up",), other)) == 3
    assert respected_partition(parts, ("label:up",), None) == Partition.of([0, 1, 1])
    assert respected_partition(parts, (), other) == other
    assert respected_partition(parts, (), None) == Partition.trivial(3)


def test_an_amount_on_leaving_earns_itself_times_the_rate(parts: ChainParts) -> None:
    earned = with_earned_rewards(parts).rewards
    rates = [Fraction(1, 2), Fraction(7, 3), Fraction(3)]
    assert list(earned["held"][0]) == [1, 2, 2]
    assert list(earned["left"][0]) == [rates[0] / 5, rates[1] / 7, rates[2]]
    assert list(earned["both"][0]) == [rates[0] * 3, 1 + rates[1] / 2, Fraction(1, 2)]
    assert all(left is None for _, left in earned.values())


@pytest.mark.parametrize("kind", ["ordinary", "bisimulation"])
def test_a_certificate_says_what_its_lumping_respected_and_no_more(kind: str) -> None:
    """A CTMC earns the same in both states, at rates that differ, unless jumps are looked at."""
    chain = CTMC(
        [[0, 1, 1], [3, 0, 0], [3, 1, 0]],
        rewards={"toll": Reward(action=numbers(1, 4, 3))},
        labels={"start": [0]},
    )
    lumping = lump(chain, kind=kind)
    certificate = lumping.certificate()
    assert certificate.respected == ("label:start", "reward:toll")
    assert certificate.within is None
    assert len(lumping.partition) == (2 if kind == "ordinary" else 3)
    assert certificate.verify(chain, lumping.quotient).coarsest


def test_labels_that_a_lumping_does_not_respect_are_not_named() -> None:
    chain = DTMC([["1/2", "1/2"], ["1/2", "1/2"]], labels={"up": [0], "all": [0, 1]})
    with pytest.warns(TrivialLumping):
        certificate = lump(chain, respect=["all"]).certificate()
    assert certificate.respected == ("label:all",)
    assert certificate.verify(chain).coarsest


def test_in_discrete_time_what_is_held_and_what_is_left_are_two_things() -> None:
    """Together they are the same in both states."""
    toll = Reward(state=numbers(0, 1), action=numbers(1, 0))
    chain = DTMC([["1/2", "1/2"], ["1/2", "1/2"]], rewards={"toll": toll})
    certificate = lump(chain).certificate()
    assert (certificate.respected, certificate.within) == (("reward:toll",), None)
    assert len(certificate.partition) == 2
    assert certificate.verify(chain).coarsest
    with pytest.warns(TrivialLumping):
        certificate = lump(chain, respect=[]).certificate()
    assert (certificate.respected, certificate.within) == ((), None)
    assert certificate.verify(chain).coarsest


def test_a_large_quotient_is_named_and_not_stored() -> None:
    def line(n: int) -> CTMC:
        return CTMC.from_rates({(s, s + 1): 1 for s in range(n - 1)}, states=range(n))

    def stored(chain: CTMC) -> bool:
        apart = np.arange(chain.n)
        return lump(chain, within=apart).certificate().matrix is not None

    assert stored(line(1000))
    assert not stored(line(1001))
    assert stored(CTMC(1 - np.eye(100, dtype=int)))
    assert not stored(CTMC(1 - np.eye(101, dtype=int)))

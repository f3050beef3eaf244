"""The checker's verdict in words, and the claims at the head of a certificate."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lumpability import CTMC, DTMC, Certificate, Partition, lump
from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure


@pytest.fixture
def chain() -> CTMC:
    rates = {("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}
    return CTMC.from_rates(rates, states="abc", labels={"goal": ["c"]})


def certified(chain: Any, kind: str = "ordinary") -> Certificate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lump(chain, kind=kind).certificate()


def refused(chain: Any, certificate: Certificate, **claims: Any) -> tuple[str, str]:
    """Return the field and the reason for which other claims are refused."""
    found = replace(certificate, **claims).verify(chain)
    assert not found
    assert str(found) == f"rejected: {found.rejection}"
    return found.rejection.field, found.rejection.reason


def test_what_was_proved_is_said_for_one_block_and_for_several(chain: CTMC) -> None:
    assert str(certified(chain).verify(chain)) == (
        "ordinary, proved: Q V = V Q^ holds exactly, and no two of 2 blocks can be merged"
    )
    alike = CTMC([[0, 1], [1, 0]])
    assert str(certified(alike).verify(alike)) == (
        "ordinary, proved: Q V = V Q^ holds exactly, and one block is least"
    )
    apart = CTMC([[0, 1, 0], [0, 0, 1], [0, 0, 0]], labels={"end": [2]})
    assert str(certified(apart, "strict").verify(apart)) == (
        "strict, proved: Q V = V Q^ and D Q = Q^ D hold exactly, and no two of 3 blocks can be merged"
    )


def test_a_kind_has_to_be_one_and_to_fit(chain: CTMC) -> None:
    ordinary, proportional = certified(chain), certified(chain, "proportional")
    assert refused(chain, ordinary, kind="weak") == ("kind", "there is no kind 'weak'")
    assert refused(chain, ordinary, kind="proportional")[0] == "kappa"
    assert refused(chain, proportional, kind="ordinary")[0] == "kappa"
    discrete = DTMC([[0, 1], [1, 0]])
    one = ExactArray.read([1, 1])[0]
    field, reason = refused(discrete, certified(discrete), kind="proportional", kappa=one)
    assert (field, reason.partition(",")[0]) == ("kind", "proportional lumping changes times")


@pytest.mark.parametrize("n", [0, 2, 4])
def test_sizes_have_to_be_those_of_the_model(n: int, chain: CTMC) -> None:
    certificate, other = certified(chain), Partition(np.zeros(n, dtype=np.int64))
    assert refused(chain, certificate, partition=other) == (
        "partition",
        f"it is a partition of {n} states, the model has 3",
    )
    assert refused(chain, certificate, within=other) == (
        "initial",
        f"it is a partition of {n} states",
    )
    factors = ExactArray.read([1] * n)[0]
    assert refused(chain, certified(chain, "proportional"), kappa=factors) == (
        "kappa",
        f"it has {n} factors for 3 states",
    )


@pytest.mark.parametrize("denominator", [None, 0, 2, 10**30])
def test_the_denominator_has_to_be_the_common_one(denominator: int | None, chain: CTMC) -> None:
    assert refused(chain, certified(chain), denominator=denominator)[0] == "denominator"


def test_factors_have_to_be_positive_and_one_for_first_members() -> None:
    """A state that is never left has any factor, if only it is positive."""
    chain = CTMC([[0, 0, 0], [0, 0, 0], [1, 0, 0]], labels={"last": [2]})
    certificate = certified(chain, "proportional")
    assert certificate.partition == Partition.of([0, 0, 1])
    for factor in (1, "1/2", 7):
        kappa = ExactArray.read([1, factor, 1])[0]
        assert replace(certificate, kappa=kappa).verify(chain)
    for factor in (0, -1):
        kappa = ExactArray.read([1, factor, 1])[0]
        assert refused(chain, certificate, kappa=kappa) == (
            "kappa",
            f"the factor {factor} is not positive",
        )
    for kappa in ([2, 1, 1], [1, 1, 2], [2, 2, 2]):
        field, reason = refused(chain, certificate, kappa=ExactArray.read(kappa)[0])
        assert (field, reason) == (
            "kappa",
            "the first member of a block has a factor other than 1",
        )


def test_blocks_that_mix_are_told_with_two_states(chain: CTMC) -> None:
    certificate = certified(chain)
    merged = Partition.of([0, 1, 0])
    assert refused(chain, certificate, partition=merged) == (
        "partition",
        "states 0 and 2 share block 0, which mixes 'label:goal'",
    )
    assert refused(chain, certificate, within=Partition.of([0, 1, 1])) == (
        "partition",
        "it does not refine the initial partition",
    )
    assert refused(chain, certificate, respected=("label:no",)) == (
        "respected",
        "the model has no 'label:no'",
    )


def test_large_chains_are_the_same_by_value_and_not_by_identity() -> None:
    """Numbers up to 256 are one object each in CPython; others are not."""

    def ring() -> CTMC:
        n = 1500
        edges = {(s, (s + 1) % n): 1 for s in range(n)}
        return CTMC.from_rates(edges, states=range(n), labels={"end": [0]}, initial=0)

    certificate = certified(ring())
    assert certificate.verify(ring(), lump(ring()).quotient).coarsest


@pytest.mark.parametrize(
    ("n", "said"),
    [
        (0, "0 states -> 0 blocks"),
        (1, "1 state -> 1 block"),
        (2, "2 states -> 1 block"),
        (3, "3 states -> 2 blocks"),
    ],
)
def test_a_certificate_says_how_many_states_and_blocks_it_has(n: int, said: str) -> None:
    edges = WeightedStructure.from_edges(n, [], [], [])
    assert repr(certified(CTMC(edges, labels={"third": [2] if n > 2 else []}))) == (
        f"Certificate(ordinary: {said})"
    )

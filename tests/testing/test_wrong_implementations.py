"""The laws catch implementations that are wrong in the ways in which implementations are wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings

from lumpability import Lumping, Partition, lump
from lumpability.errors import InvalidInput
from lumpability.refinement import refine
from lumpability.structure import WeightedStructure
from lumpability.testing import LAWS, LawBroken, check_refiner, parametrize_with_laws, structures


@contextmanager
def profile(**options: Any) -> Iterator[None]:
    """Other defaults of Hypothesis, for a while."""
    before = settings.get_current_profile_name()
    settings.register_profile("for a while", settings(database=None, **options))
    settings.load_profile("for a while")
    try:
        yield
    finally:
        settings.load_profile(before)


@pytest.fixture
def unshrunk() -> Iterator[None]:
    """It is enough that a law is broken: do not look for the smallest example."""
    with profile(phases=[Phase.generate], max_examples=300):
        yield


def sums_into(structure: WeightedStructure, labels: list[int], number: Callable = Fraction) -> list:
    """Row by row the sums of weights into every block, as numbers of some type."""
    rows = []
    for state in range(structure.n):
        sums = [number(0)] * (max(labels) + 1)
        for target, weight in structure.row(state):
            sums[labels[target]] += number(weight)
        rows.append(sums)
    return rows


def refined(structure: WeightedStructure, within: Partition, key: Callable, rounds: int) -> Any:
    """Split by a key of each state's sums until nothing splits, or for some rounds only."""
    labels = within.labels.tolist()
    for _ in range(rounds):
        keys = [(labels[s], key(sums)) for s, sums in enumerate(sums_into(structure, labels))]
        number = {one: i for i, one in enumerate(dict.fromkeys(keys))}
        labels = [number[one] for one in keys]
    return labels


def never_splits(structure, within):
    return within


def splits_everything(structure, within):
    return Partition.discrete(structure.n)


def one_round(structure, within):
    return refined(structure, within, tuple, 1)


def ignores_the_start(structure, within):
    return refine(structure, Partition.trivial(structure.n)).partition


def compares_floats(structure, within):
    """Sums of floats and ==."""
    labels = within.labels.tolist()
    for _ in range(structure.n):
        rows = sums_into(structure, labels, float)
        keys = [(labels[s], tuple(sums)) for s, sums in enumerate(rows)]
        number = {one: i for i, one in enumerate(dict.fromkeys(keys))}
        labels = [number[one] for one in keys]
    return labels


def compares_with_a_tolerance(structure, within):
    """Sums of floats that differ by less than 1e-6 are taken to be equal."""
    labels = within.labels.tolist()
    for _ in range(structure.n):
        rows = np.array(sums_into(structure, labels, float))
        fresh: list[int] = []
        for state in range(structure.n):
            alike = (
                fresh[other]
                for other in range(state)
                if labels[other] == labels[state]
                and np.allclose(rows[state], rows[other], rtol=0, atol=1e-6)
            )
            fresh.append(next(alike, max(fresh, default=-1) + 1))
        labels = fresh
    return labels


def hashing(function):
    """Return a refiner that compares a hash of each sum."""

    def refiner(structure, within):
        return refined(structure, within, lambda sums: tuple(map(function, sums)), structure.n)

    return refiner


multiplies_numerator_and_denominator = hashing(lambda x: x.numerator * x.denominator)
adds_numerator_and_denominator = hashing(lambda x: x.numerator + x.denominator)
weighs_numerator_and_denominator = hashing(lambda x: 31 * x.numerator + x.denominator)
keeps_eight_bits = hashing(
    lambda x: x.numerator * pow(x.denominator, -1, 257) % 256 if x.denominator % 257 else 0
)
rounds_to_single_precision = hashing(lambda x: float(np.float32(float(x))))


def forgets_which_block(structure, within):
    """Only the sorted sums are compared."""
    return refined(structure, within, lambda sums: tuple(sorted(sums)), structure.n)


def misses_blocks_that_are_not_contiguous(structure, within):
    """Only neighbours are compared, as where blocks are ranges of states."""
    labels = [0]
    for state in range(1, structure.n):
        labels.append(labels[-1] + int(within.labels[state] != within.labels[state - 1]))
    return refine(structure, Partition(labels)).partition


def numbers_blocks_as_they_come(structure, within):
    labels = refine(structure, within).partition.labels
    backwards = (labels.max() - labels).astype(np.int32)
    last = len(labels) - 1 - np.unique(labels[::-1], return_index=True)[1]
    return Partition.from_canonical(backwards, last[::-1])


WRONG = {
    never_splits: {"stable", "close is not equal"},
    splits_everything: {"coarsest", "order of rates", "planted blocks"},
    one_round: {"stable", "idempotent"},
    ignores_the_start: {"refines the given partition"},
    compares_floats: {"order of rates"},
    compares_with_a_tolerance: {"close is not equal", "unit of time"},
    misses_blocks_that_are_not_contiguous: {"coarsest", "equivariant", "planted blocks"},
    **{
        key: {"hashes are not sums"}
        for key in (
            multiplies_numerator_and_denominator,
            adds_numerator_and_denominator,
            weighs_numerator_and_denominator,
            keeps_eight_bits,
            rounds_to_single_precision,
            forgets_which_block,
        )
    },
    numbers_blocks_as_they_come: {"canonical numbering"},
}


@pytest.mark.parametrize(
    ("wrong", "law"),
    [(wrong, law) for wrong, laws in WRONG.items() for law in sorted(laws)],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
@pytest.mark.usefixtures("unshrunk")
def test_a_wrong_implementation_breaks_the_law(wrong, law):
    with pytest.raises(LawBroken, match=f"the law '{law}' does not hold: "):
        LAWS["refiner"][law].check(wrong)


@pytest.mark.parametrize("name", ["canonical numbering", "refines the given partition"])
def test_a_wrong_implementation_keeps_the_laws_it_does_not_break(name):
    LAWS["refiner"][name].check(never_splits)


def test_the_report_of_a_broken_law_holds_the_smallest_example():
    with profile(derandomize=True), pytest.raises(LawBroken) as caught:
        LAWS["refiner"]["stable"].check(never_splits)
    assert str(caught.value).splitlines() == [
        (
            "the law 'stable' does not hold: States of one block have equal sums of weights into every "
            "block: M V = V M^. (Paige and Tarjan 1987; Valmari and Franceschinis 2010)"
        ),
        (
            "states 0 and 1 share a block of Partition([[0, 1]]), but their weights into [0, 1] sum to 1 "
            "and to 0"
        ),
        "for 2 states, within [[0, 1]], weights",
        "  0 -> 0: 1",
    ]


@pytest.mark.usefixtures("unshrunk")
def test_a_checked_refiner_is_told_all_laws_that_it_breaks():
    with pytest.raises(LawBroken) as caught:
        check_refiner(never_splits, inputs=structures(max_states=3), max_examples=40)
    text = str(caught.value)
    assert text.startswith("3 of 13 laws do not hold:\n\n1. the law 'stable' does not hold: ")
    assert "\n\n2. the law 'close is not equal' does not hold: " in text


def test_laws_about_all_inputs_take_others():
    drawn = []

    def recording(structure, within):
        drawn.append(structure.n)
        return refine(structure, within).partition

    LAWS["refiner"]["stable"].check(recording, inputs=structures(min_states=3, max_states=3))
    assert set(drawn) == {3}


def lumps_too_much(chain: Any, *, kind: str, within: Partition) -> Lumping:
    """Takes exact lumpings for ordinary ones."""
    return lump(chain, kind="exact", within=within)


@pytest.mark.usefixtures("unshrunk")
def test_a_wrong_lumper_is_caught_for_the_kind_it_gets_wrong():
    law = LAWS["lumper"]["lumping by definition"]
    law.check(lumps_too_much, variant="exact")
    with pytest.raises(LawBroken, match="'lumping by definition, ordinary' does not hold"):
        law.check(lumps_too_much, variant="ordinary")
    with pytest.raises(InvalidInput, match="has no variant 'weak'"):
        law.check(lumps_too_much, variant="weak")


@pytest.mark.usefixtures("unshrunk")
def test_a_wrong_network_lumper_is_caught():
    from lumpability.networks.examples import widened

    class Wider:
        def __init__(self, network):
            self.quotient = widened(network, 2)

    with pytest.raises(LawBroken, match="for the network\n  x @ "):
        LAWS["network lumper"]["lumped networks are irreducible"].check(
            lambda network, kind: Wider(network), variant="exact"
        )


def test_parametrizing_makes_one_test_of_each_law_and_variant():
    mark = parametrize_with_laws(never_splits, max_examples=20).mark
    assert mark.args[0] == "law"
    assert [case.id for case in mark.args[1]][:3] == [
        "refines the given partition", "stable", "coarsest",
    ]  # fmt: skip
    broken = {case.id: case.values[0] for case in mark.args[1]}
    with pytest.raises(LawBroken):
        broken["stable"]()
    ids = [case.id for case in parametrize_with_laws(lump, of="lumper").mark.args[1]]
    assert "quotient identity (strict)" in ids
    with pytest.raises(InvalidInput, match="no laws of a 'solver'"):
        parametrize_with_laws(lump, of="solver")


def test_examples_are_shared_out_among_the_variants_of_a_law():
    counted = []

    def counting(chain, *, kind, within):
        counted.append(kind)
        return lump(chain, kind=kind, within=within)

    with profile(max_examples=100):
        cases = parametrize_with_laws(counting, of="lumper").mark.args[1]
    next(case for case in cases if case.id == "planted lumping (exact)").values[0]()
    assert 10 <= len(counted) <= 20

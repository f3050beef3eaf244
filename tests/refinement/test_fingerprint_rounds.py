"""Rounds of fingerprints: never too fine, and right after the exact completion."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.errors import InvalidInput
from lumpability.numbers import exact_array
from lumpability.numbers.integers import prime
from lumpability.partition import Partition
from lumpability.refinement import SHARES, SUMS, fingerprint_rounds, refine
from lumpability.structure import WeightedStructure
from lumpability.testing import structures


@given(structures())
def test_rounds_give_the_partition_of_the_definition(structure):
    expected = refine(structure, engine="definition").partition
    assert refine(structure, engine="rounds").partition == expected
    tables = fingerprint_rounds.field_tables(structure.weights)
    assert fingerprint_rounds.propose(structure, structure.within, tables) == expected


@given(structures())
def test_tables_that_collide_give_a_coarser_partition_and_the_worklist_repairs_it(structure):
    def zero(attempt: int) -> fingerprint_rounds.FieldTables:
        nothing = np.zeros(len(structure.weights.values), dtype=np.uint64)
        return fingerprint_rounds.FieldTables((prime(0, 31), prime(1, 31)), (nothing, nothing))

    blind = fingerprint_rounds.propose(structure, structure.within, zero)
    expected = refine(structure, engine="definition").partition
    assert expected.refines(blind)
    assert refine(structure, blind, engine="worklist").partition == expected


def test_a_total_that_vanishes_modulo_a_prime_is_no_zero():
    # 2^31 - 1 itself as a weight: modulo that prime nothing leaves the first two states.
    p, q = prime(0, 31), prime(1, 31)
    structure = WeightedStructure.from_edges(4, [0, 0, 1, 1], [2, 3, 2, 3], [p, q, 2 * p, 2 * q])
    start = Partition.of([0, 0, 1, 2])
    tables = fingerprint_rounds.field_tables(structure.weights)
    assert fingerprint_rounds.propose(structure, start, tables, SHARES) == start
    unequal = WeightedStructure.from_edges(4, [0, 1], [2, 2], [p * q, 1])
    tables = fingerprint_rounds.field_tables(unequal.weights)
    assert fingerprint_rounds.propose(unequal, start, tables, SHARES) == start


def test_weights_that_cancel_are_refused_for_proportional_refinement():
    structure = WeightedStructure.from_edges(4, [0, 0, 1], [2, 3, 2], [1, -1, 1])
    with pytest.raises(InvalidInput, match="weight -1, and shares need positive weights"):
        refine(structure, Partition.of([0, 0, 1, 2]), normal=SHARES)


@pytest.mark.parametrize("n", [2_000])
def test_a_path_needs_as_many_rounds_as_states_and_gets_them(n):
    marked = np.zeros(n, dtype=np.int64)
    marked[-1] = 1
    structure = WeightedStructure.from_edges(
        n, np.arange(n - 1), np.arange(1, n), np.ones(n - 1), within=Partition(marked)
    )
    seen: list[int] = []
    partition = refine(
        structure, engine="rounds", progress=lambda blocks, _: seen.append(blocks)
    ).partition
    assert len(partition) == n
    assert len(seen) >= n - 2
    assert seen == sorted(seen)


def test_progress_can_stop_a_refinement():
    def stop(blocks: int, states: int) -> None:
        raise KeyboardInterrupt

    structure = WeightedStructure.from_edges(2, [0], [1], [1])
    with pytest.raises(KeyboardInterrupt):
        refine(structure, engine="rounds", progress=stop)


@given(
    numbers=st.lists(st.integers(0, 10**9), max_size=9),
    few=st.sampled_from([0, 100]),
    p=st.sampled_from([prime(0, 31), prime(3, 31)]),
)
def test_inverses_are_inverses_and_zero_stays(numbers, few, p):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint_rounds, "_FEW", few)
        found = fingerprint_rounds._inverses(np.array(numbers, dtype=np.uint64), p).tolist()
    assert [x * y % p for x, y in zip(numbers, found, strict=True)] == [x > 0 for x in numbers]
    assert all(y == 0 for x, y in zip(numbers, found, strict=True) if x == 0)


@given(lengths=st.lists(st.integers(0, 6), max_size=12), most=st.integers(1, 8))
def test_chunks_tile_the_rows_and_are_as_long_as_they_may_be(lengths, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint_rounds, "_CHUNK", most)
        chunks = list(fingerprint_rounds._chunks(np.array(lengths, dtype=np.int64)))
    assert [row for low, high in chunks for row in range(low, high)] == list(range(len(lengths)))
    for low, high in chunks:
        assert sum(lengths[low:high]) <= most or high == low + 1
        assert high == len(lengths) or sum(lengths[low : high + 1]) > most


@given(structures(), st.booleans())
def test_rounds_in_small_chunks_and_with_many_inverses_find_the_same(structure, proportional):
    if proportional:  # for positive weights, which a structure need not have
        positive = replace(structure, weights=structure.weights.map(abs))
        structure = positive.without_diagonal()
    tables = fingerprint_rounds.field_tables(structure.weights)
    arguments = structure, structure.within, tables
    normal = SHARES if proportional else SUMS
    expected = fingerprint_rounds.propose(*arguments, normal)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint_rounds, "_CHUNK", 2)
        patch.setattr(fingerprint_rounds, "_FEW", 0)
        assert fingerprint_rounds.propose(*arguments, normal) == expected


@pytest.mark.parametrize("bits", [10**6, -1])
def test_denominators_that_a_prime_divides_call_for_other_primes(bits, monkeypatch):
    """Whether weights are scaled to integers or taken one by one."""
    monkeypatch.setattr(exact_array, "_NARROW_BITS", bits)
    p, q = prime(0, 31), prime(1, 31)
    structure = WeightedStructure.from_edges(
        4, [0, 1, 2], [3, 3, 3], [Fraction(1, p), Fraction(1, p), Fraction(1, q)]
    )
    tables = fingerprint_rounds.field_tables(structure.weights)
    found = fingerprint_rounds.propose(structure, Partition.trivial(4), tables)
    assert found == Partition.of([{0, 1}, {2}, {3}])


def test_totals_that_vanish_modulo_every_prime_that_is_tried_are_left_to_the_worklist():
    """Rates made of those primes: the first two states are proportional, the third is not."""
    product = 1
    for number in range(2 * 8):
        product *= prime(number, 31)
    structure = WeightedStructure.from_edges(
        5, [0, 0, 1, 1, 2, 2], [3, 4, 3, 4, 3, 4],
        [product - 1, 1, 2 * product - 2, 2, 2 * product - 1, 1],
    )  # fmt: skip
    start = Partition.of([0, 0, 0, 1, 2])
    found = refine(structure, start, normal=SHARES, engine="rounds")
    assert found.partition == Partition.of([{0, 1}, {2}, {3}, {4}])

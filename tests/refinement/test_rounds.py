"""Rounds of fingerprints: never too fine, and right after the exact completion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from lumpability.errors import LumpabilityError
from lumpability.integers import prime
from lumpability.partition import Partition
from lumpability.refinement import refine, rounds
from lumpability.structure import WeightedStructure
from lumpability.testing import structures


@given(structures())
def test_rounds_give_the_partition_of_the_definition(structure):
    expected = refine(structure, engine="reference").partition
    assert refine(structure, engine="rounds").partition == expected
    tables = rounds.field_tables(structure.weights)
    assert rounds.refine(structure, structure.initial, tables) == expected


@given(structures())
def test_tables_that_collide_give_a_coarser_partition_and_the_worklist_repairs_it(structure):
    def zero(attempt: int) -> rounds.FieldTables:
        nothing = np.zeros(len(structure.weights.values), dtype=np.uint64)
        return rounds.FieldTables((prime(0, 31), prime(1, 31)), (nothing, nothing))

    blind = rounds.refine(structure, structure.initial, zero)
    expected = refine(structure, engine="reference").partition
    assert expected.refines(blind)
    assert refine(structure, blind, engine="worklist").partition == expected


def test_a_total_that_vanishes_modulo_a_prime_is_no_zero():
    # 2^31 - 1 itself as a weight: modulo that prime nothing leaves the first two states.
    p, q = prime(0, 31), prime(1, 31)
    structure = WeightedStructure.from_edges(4, [0, 0, 1, 1], [2, 3, 2, 3], [p, q, 2 * p, 2 * q])
    start = Partition.of([0, 0, 1, 2])
    tables = rounds.field_tables(structure.weights)
    assert rounds.refine(structure, start, tables, proportional=True) == start
    unequal = WeightedStructure.from_edges(4, [0, 1], [2, 2], [p * q, 1])
    tables = rounds.field_tables(unequal.weights)
    assert rounds.refine(unequal, start, tables, proportional=True) == start


def test_weights_that_cancel_are_refused_for_proportional_refinement():
    structure = WeightedStructure.from_edges(4, [0, 0, 1], [2, 3, 2], [1, -1, 1])
    with pytest.raises(LumpabilityError, match="not positive"):
        rounds.refine(
            structure,
            Partition.of([0, 0, 1, 2]),
            rounds.field_tables(structure.weights),
            proportional=True,
        )


@pytest.mark.parametrize("n", [2_000])
def test_a_path_needs_as_many_rounds_as_states_and_gets_them(n):
    marked = np.zeros(n, dtype=np.int64)
    marked[-1] = 1
    structure = WeightedStructure.from_edges(
        n, np.arange(n - 1), np.arange(1, n), np.ones(n - 1), initial=Partition(marked)
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

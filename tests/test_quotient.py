"""Collapsing along a partition, and carrying vectors across."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.networks.merging import MergedStage
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.quotient import Verdict, collapse, project, pull_back, spread
from lumpability.refinement import Refinement, Witness, refine, stability
from lumpability.refinement.fingerprint_rounds import FieldTables
from lumpability.structure import WeightedStructure
from lumpability.testing import partitions, structures

weights = st.sampled_from([Fraction(1), Fraction(-1), Fraction(1, 3), Fraction(2**70)])
pairs = structures(max_states=7, weights=weights).flatmap(
    lambda structure: st.tuples(st.just(structure), partitions(states=structure.n))
)


@given(pairs)
def test_the_quotient_of_the_coarsest_partition_cannot_be_refined_further(pair):
    structure, partition = pair
    coarsest = refine(structure, partition).partition
    quotient = collapse(structure, coarsest)
    start = Partition(partition.labels[coarsest.representatives])
    assert refine(quotient, start).partition == Partition.discrete(len(coarsest))


@given(pairs)
def test_the_collapse_holds_the_block_sums_of_first_members(pair):
    structure, partition = pair
    quotient = collapse(structure, partition)
    for block, first in enumerate(partition.representatives.tolist()):
        assert dict(quotient.row(block)) == stability.block_sums(structure, partition, first)


@given(st.lists(st.fractions(), min_size=1, max_size=9), st.data())
def test_project_sums_over_blocks_and_pull_back_copies_to_members(values, data):
    labels = data.draw(st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values)))
    partition = Partition(np.array(labels))
    vector = ExactArray.read(values)[0]
    sums = project(vector, partition)
    assert list(sums) == [sum(values[s] for s in block.tolist()) for block in partition.blocks]
    assert list(pull_back(sums, partition)) == [sums[b] for b in partition.labels.tolist()]


@given(st.lists(st.sampled_from([0, 0, 1, -1, "1/2", "-1/2"]), min_size=1, max_size=6), st.data())
def test_the_numbers_of_a_projection_are_distinct_and_all_used(values, data):
    labels = data.draw(st.lists(st.integers(0, 2), min_size=len(values), max_size=len(values)))
    sums = project(ExactArray.read(values)[0], Partition(labels))
    assert len(set(sums.values)) == len(sums.values)
    assert set(sums.codes.tolist()) == set(range(len(sums.values)))


def test_what_is_projected_may_have_parameters():
    vector = ExactArray.read(["p", 0, "1-p", 0])[0]
    for labels, expected in (([0, 1, 0, 2], [1, 0, 0]), ([0, 0, 1, 1], [vector[0], vector[2]])):
        assert list(project(vector, Partition(labels))) == expected
    alone = vector.take([0, 1, 1])
    assert list(project(alone, Partition([0, 0, 1]))) == [vector[0], 0]
    assert list(project(alone, Partition([0, 0, 0]))) == [vector[0]]


def test_an_empty_structure_collapses_to_itself():
    empty = WeightedStructure.from_edges(0, [], [], [])
    assert collapse(empty, Partition.trivial(0)).n == 0


@given(pairs, st.data())
def test_spreading_is_even_and_undone_by_projecting(pair, data):
    _, partition = pair
    values = data.draw(st.lists(st.fractions(), min_size=len(partition), max_size=len(partition)))
    shares = spread(ExactArray.read(values)[0], partition)
    assert list(project(shares, partition)) == values
    assert all(len({shares[s] for s in block.tolist()}) == 1 for block in partition.blocks)


@given(pairs, st.booleans())
def test_the_collapse_is_closed_as_the_structure_is_and_starts_from_the_same_blocks(pair, closed):
    structure = replace(pair[0], closed=closed)
    partition = structure.within.meet(pair[1])
    quotient = collapse(structure, partition)
    assert quotient.closed == closed
    assert pull_back_partition(quotient.within, partition) == structure.within
    assert collapse(structure.explicit(), partition).equals(quotient.explicit())


def pull_back_partition(blocks: Partition, partition: Partition) -> Partition:
    return Partition(blocks.labels[partition.labels])


@pytest.mark.parametrize("kind", [Verdict, Witness, Refinement, FieldTables, MergedStage])
def test_results_are_values_that_nobody_changes(kind):
    assert kind.__dataclass_params__.frozen


@pytest.mark.parametrize("count", [254, 255, 256, 257, 258])
def test_projecting_finds_room_for_every_sum(count):
    """Codes of sums are as narrow as can be, and there may be one more for zero."""
    values = [Fraction(s + 1) for s in range(count)]
    assert list(project(ExactArray.read(values)[0], Partition.discrete(count))) == values
    padded = ExactArray.read([Fraction(0), *values])[0]
    assert list(project(padded, Partition.discrete(count + 1))) == [0, *values]

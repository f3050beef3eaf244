"""The identity M V = V M^ that proves a quotient, decided without any engine."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.numbers import parameters
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.refinement import Witness
from lumpability.refinement.stability import block_sums, disagreement, first_rows, is_stable
from lumpability.structure import WeightedStructure
from lumpability.testing import definitions, partitions, structures

weights = st.sampled_from([Fraction(1), Fraction(-1), Fraction(1, 3), Fraction(2**70)])
pairs = structures(max_states=7, weights=weights).flatmap(
    lambda structure: st.tuples(st.just(structure), partitions(states=structure.n))
)


@given(pairs)
def test_disagreement_is_none_exactly_when_mv_equals_v_times_the_collapse(pair):
    structure, partition = pair
    assert (disagreement(structure, partition) is None) == definitions.is_stable(
        structure, partition
    )


@given(pairs)
def test_witnesses_name_two_states_of_a_block_and_their_true_sums(pair):
    structure, partition = pair
    witness = disagreement(structure, partition)
    if witness is None:
        return
    assert partition.labels[witness.state] == partition.labels[witness.other]
    for state, total in ((witness.state, witness.total), (witness.other, witness.other_total)):
        members = set(partition.blocks[witness.block].tolist())
        assert sum(w for u, w in structure.row(state) if u in members) == total
    assert witness.total != witness.other_total


@given(pairs)
def test_checking_in_small_chunks_gives_the_same_verdict(pair):
    structure, partition = pair
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lumpability.structure.sparse._CHUNK", 1)
        small = disagreement(structure, partition)
    assert small == disagreement(structure, partition)


def test_a_witness_prefers_another_block_to_the_own_one():
    """In a generator the own block's sum holds the diagonal, which says less."""
    generator = WeightedStructure.from_edges(
        3, [0, 0, 1, 1], [0, 2, 1, 2], ["-1", "1", "-3/2", "3/2"]
    )
    witness = disagreement(generator, Partition.of([{0, 1}, {2}]))
    assert (witness.block, witness.total, witness.other_total) == (1, 1, Fraction(3, 2))


def test_sums_of_floats_as_meant_are_equal():
    thirds = WeightedStructure.from_edges(
        5, [0, 0, 0, 1, 4], [2, 3, 2, 2, 2], [1 / 3, 1 / 3, 1 / 3, 1, 0.1 + 0.2 + 0.7]
    )
    assert disagreement(thirds, Partition.of([{0, 1, 4}, {2, 3}])) is None


def test_an_empty_structure_is_stable():
    empty = WeightedStructure.from_edges(0, [], [], [])
    assert disagreement(empty, Partition.trivial(0)) is None


@given(pairs)
def test_block_sums_come_block_by_block_and_are_not_zero(pair):
    structure, partition = pair
    for state in range(structure.n):
        sums = block_sums(structure, partition, state)
        assert list(sums) == sorted(sums)
        assert 0 not in sums.values()


def test_a_witness_says_which_way_the_sums_go():
    assert str(Witness(0, 1, 2, Fraction(3), Fraction(4), "out")).endswith("into block 2")
    assert str(Witness(0, 1, 2, Fraction(3), Fraction(4), "in")).endswith("from block 2")


@given(pairs)
def test_first_rows_hold_the_block_sums_of_first_members(pair):
    structure, partition = pair
    rows = first_rows(structure, partition)
    for block, first in enumerate(partition.representatives.tolist()):
        assert dict(rows.row(block)) == block_sums(structure, partition, first)


@given(pairs)
def test_symbolic_weights_are_stable_where_the_definition_says_so(pair):
    """Weights times x + y, and every other number its own multiple: components decide."""
    structure, partition = pair
    x = ExactArray.read(["x + y"])[0].values[0]
    symbolic = replace(structure, weights=structure.weights.map(lambda weight: weight * x))
    assert is_stable(symbolic, partition) == definitions.is_stable(structure, partition)


def test_one_component_that_differs_is_enough():
    structure = WeightedStructure.from_edges(4, [0, 1, 2], [3, 3, 3], ["x + y", "y + x", "x - y"])
    assert is_stable(structure, Partition.of([{0, 1}, {2}, {3}]))
    assert not is_stable(structure, Partition.of([{0, 1, 2}, {3}]))


def test_weights_of_too_many_monomials_are_refused(monkeypatch):
    monkeypatch.setattr(parameters, "_MAX_MONOMIALS", 1)
    structure = WeightedStructure.from_edges(2, [0, 1], [1, 0], ["x/(x + y)", "y/(x - y)"])
    assert structure.weights.components is None
    with pytest.raises(ValueError, match="too many monomials"):
        is_stable(structure, Partition.trivial(2))

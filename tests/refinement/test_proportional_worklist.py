"""Shares separate what the definition separates: rows out of a block that are not proportional."""

from __future__ import annotations

from fractions import Fraction
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumpability import CTMC, lump
from lumpability.errors import InvalidInput
from lumpability.numbers.integers import prime
from lumpability.partition import Partition
from lumpability.quotient import collapse
from lumpability.refinement import SHARES, definition, fingerprint_rounds, split_history
from lumpability.refinement.proportional_worklist import split_by_shares
from lumpability.refinement.refinable import RefinableBlocks
from lumpability.structure import WeightedStructure

WEIGHTS = [Fraction(1), Fraction(2), Fraction(1, 2), Fraction(3)]


@st.composite
def scaled_copies(draw: st.DrawFn) -> tuple[WeightedStructure, Partition]:
    """A small matrix without diagonal, of which every row occurs several times, scaled.

    Later copies go to other copies of their targets, and some to other targets altogether, so that
    there is much to keep together and much to separate late.
    """
    classes = draw(st.integers(2, 5))
    entries = st.lists(
        st.tuples(st.integers(0, classes - 1), st.sampled_from(WEIGHTS)), min_size=1, max_size=4
    )
    rows = [draw(entries) for _ in range(classes)]
    copies = draw(st.integers(1, 3))
    sources, targets, weights = [], [], []
    for copy in range(copies):
        for own, row in enumerate(rows):
            factor = draw(st.sampled_from(WEIGHTS))
            for target, weight in row:
                if target != own:
                    sources.append(copy * classes + own)
                    targets.append(draw(st.integers(0, copies - 1)) * classes + target)
                    weights.append(weight * factor)
    n = classes * copies
    structure = WeightedStructure.from_edges(
        n, np.array(sources, dtype=np.int64), np.array(targets, dtype=np.int64), weights
    )
    marked = draw(st.lists(st.integers(0, 1), min_size=classes, max_size=classes))
    return structure, Partition(np.array(marked * copies))


def coarsest(structure: WeightedStructure, initial: Partition) -> Partition:
    return definition.refine([structure], initial, SHARES)


@given(scaled_copies())
@settings(max_examples=200)
def test_splitting_by_shares_ends_in_the_partition_of_the_definition(drawn):
    structure, initial = drawn
    assert split_by_shares(structure, initial).partition() == coarsest(structure, initial)


@pytest.mark.parametrize(("n", "m", "one_in"), [(12, 24, 8), (8, 14, 6), (20, 40, 12)])
def test_many_sparse_structures_are_separated_as_the_definition_does(n, m, one_in):
    """In a few of a hundred, shares in a sibling that was a splitter before are what separates."""
    random = np.random.default_rng(n)
    for _ in range(300):
        structure = WeightedStructure.from_edges(
            n, random.integers(0, n, m), random.integers(0, n, m), random.integers(1, 3, m)
        ).without_diagonal()
        initial = Partition((random.integers(0, one_in, n) > 0).astype(np.int64))
        assert split_by_shares(structure, initial).partition() == coarsest(structure, initial)


@given(scaled_copies())
@settings(max_examples=100)
def test_proportional_rounds_end_in_the_partition_of_the_definition(drawn):
    structure, initial = drawn
    tables = fingerprint_rounds.field_tables(structure.weights)
    found = fingerprint_rounds.propose(structure, initial, tables, SHARES)
    assert found == coarsest(structure, initial)


@given(scaled_copies())
@settings(max_examples=200)
def test_recorded_shares_are_those_of_every_member(drawn):
    """On the first members of the classes, which are all separated in the end."""
    structure, initial = drawn
    partition = coarsest(structure, initial)
    quotient = collapse(structure, partition).without_diagonal()
    start = initial.restrict(partition.representatives)
    history = split_by_shares(quotient, start).history(Fraction(0))
    for i in range(history.splits):
        node = set(history.blocks(int(history.split_node[i])))
        splitter = set(history.blocks(int(history.splitter[i])))
        recorded = []
        for part in range(int(history.first_part[i]), int(history.first_part[i + 1])):
            recorded.append(history.sums[part - history.roots])
            for state in history.blocks(part):
                leaving = sum(w for t, w in quotient.row(state) if t not in node)
                into = sum(w for t, w in quotient.row(state) if t in splitter)
                assert recorded[-1] == (into / leaving if leaving else 0)
        assert len(set(recorded)) == len(recorded) > 1


@pytest.mark.parametrize("marks", [5, 300])
def test_many_blocks_are_told_apart_by_their_numbers(marks):
    """Beyond 256 blocks; every class has two members, with proportional rows."""
    random = np.random.default_rng(7)
    classes, degree = 400, 3
    rows = random.integers(0, classes, (classes, degree))
    weights = random.integers(1, 5, (classes, degree))
    every = np.arange(2 * classes)
    partner = (every + classes) % (2 * classes)  # in the same block, where weights do not matter
    structure = WeightedStructure.from_edges(
        2 * classes,
        np.concatenate([np.repeat(every, degree), every]),
        np.concatenate([rows.ravel(), rows.ravel() + classes, partner]),
        np.concatenate([weights.ravel(), 3 * weights.ravel(), 1 + every // classes]),
    ).without_diagonal()
    initial = Partition(np.tile(np.arange(classes) % marks, 2))
    found = split_by_shares(structure, initial).partition()
    assert len(found) > 300
    assert found == coarsest(structure, initial)


def test_shares_of_no_matrix_make_no_sense():
    with pytest.raises(InvalidInput):
        split_history([], Partition.trivial(2), normal=SHARES)


def test_a_history_is_of_blocks_that_are_single_states():
    with pytest.raises(AssertionError):
        RefinableBlocks(Partition.trivial(2)).history(Fraction(0))


@pytest.mark.parametrize("engine", ["auto", "definition", "worklist", "rounds"])
@pytest.mark.parametrize("bits", [31, 57, 61])
def test_rates_made_of_the_engine_s_primes_are_told_apart(engine, bits):
    big = prod(prime(index, bits) for index in range(16))
    for rate in (big, big + 1):
        rates = {(0, 2): 1, (0, 3): 1, (1, 2): 1, (1, 3): rate}
        chain = CTMC.from_rates(rates, states=range(4), labels={"x": [2]})
        assert len(lump(chain, kind="proportional", engine=engine).partition) == 4

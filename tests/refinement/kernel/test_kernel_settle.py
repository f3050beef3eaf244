"""What settles is as the definition has it, and what does not is left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_rounds import unfolded

from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.refinement import kernel, refine
from lumpability.refinement.kernel import settle
from lumpability.refinement.kernel.settle import settled
from lumpability.structure import WeightedStructure
from lumpability.testing import structures


def coarsest(structure: WeightedStructure, within: Partition) -> Partition:
    return refine(structure.explicit(), within, engine="definition").partition


MANY = settings(max_examples=max(200, settings.default.max_examples))


@st.composite
def mostly_forwards(draw: st.DrawFn) -> WeightedStructure:
    """Nearly all transitions go to the same or a later state; few blocks, or rows that go to many."""
    n, degree = draw(st.integers(1, 30)), draw(st.sampled_from([1, 2, 9]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ends = random.integers(0, n, (2, n * degree))
    sources, targets = ends.min(axis=0), ends.max(axis=0)
    for _ in range(draw(st.integers(0, 2))):
        sources, targets = (
            np.append(sources, random.integers(n)),
            np.append(targets, random.integers(n)),
        )
    weights = draw(st.sampled_from([[1], [1, 2], [1, -1, 2]]))
    structure = WeightedStructure.from_edges(
        n,
        sources,
        targets,
        random.choice(weights, len(sources)),
        within=Partition(random.integers(0, draw(st.integers(1, 3)), n)),
    )
    return replace(structure, closed=draw(st.booleans()))


@pytest.fixture(autouse=True)
def rows_of_any_length(monkeypatch):
    monkeypatch.setattr(settle, "_ROW_LENGTH", 10**6)


@MANY
@given(structure=st.one_of(mostly_forwards(), unfolded(), structures()))
def test_what_settles_is_stable_and_nowhere_coarser_than_the_coarsest(structure):
    found = settled(structure, structure.within)
    expected = coarsest(structure, structure.within)
    if found is not None:
        assert found.exact
        assert found.partition.refines(expected)
        assert coarsest(structure, found.partition) == found.partition
        assert not found.complete or found.partition == expected
    assert kernel.refine(structure, structure.within) == expected


@MANY
@given(structure=mostly_forwards())
def test_acyclic_structures_settle_entirely(structure):
    forwards = structure.indices >= np.repeat(np.arange(structure.n), np.diff(structure.indptr))
    if forwards.all():
        found = settled(structure, structure.within)
        assert found.complete
        assert found.partition == coarsest(structure, structure.within)


def test_a_few_states_that_do_not_settle_are_refined_with_the_blocks_of_the_others():
    """Two circles of two states before forty that go to a marked one; one circle is like some of these."""
    n = 45
    sources = [0, 1, 2, 3, *range(4, 44)]
    targets = [1, 0, 3, 2, *[44] * 40]
    weights = [1, 1, 2, 3, *[1 + s % 2 for s in range(40)]]
    structure = WeightedStructure.from_edges(
        n, sources, targets, weights, within=Partition(np.arange(n) == 44)
    )
    found = settled(structure, structure.within)
    assert not found.complete
    assert [len(block) for block in found.partition] == [1, 1, 1, 1, 20, 20, 1]
    found = kernel.refine(structure, structure.within)
    assert found == coarsest(structure, structure.within)
    assert [len(block) for block in found] == [2, 1, 1, 20, 20, 1]


def test_a_state_may_join_the_block_that_it_goes_to():
    """States 0 and 1 go to an absorbing state of their initial block; where rows are closed, 2 does too."""
    edges = ([0, 1, 2, 3], [3, 3, 3, 3], [1, 1, 5, 1])
    structure = WeightedStructure.from_edges(4, *edges)
    assert settled(structure, structure.within).partition == Partition.of([{0, 1, 3}, {2}])
    closed = replace(structure, closed=True)
    assert settled(closed, closed.within).partition == Partition.trivial(4)


def value(block: int) -> int:
    z = (block + 1) * 0x9E3779B97F4A7C15 % 2**64
    z = (z ^ z >> 29) * 0xBF58476D1CE4E5B9 % 2**64
    return z ^ z >> 32


def test_different_rows_with_one_hash_are_told_apart():
    """Weights w and w' with w value(0) = w' value(1), so that keys collide."""
    first, second = value(0), value(1)
    low = (first & -first).bit_length() - 1  # first is an odd number times 2^low
    inverse = pow(first >> low, -1, 2**64)
    smalls = range(2**low, 2**low * 10_000, 2**low)
    pairs = (((small * second % 2**64 >> low) * inverse % 2**64, small) for small in smalls)
    w, small = next(pair for pair in pairs if pair[0] < 2**60)
    assert w * first % 2**64 == small * second % 2**64
    structure = WeightedStructure.from_edges(
        4, [0, 1], [3, 2], [w, small], within=Partition.of([{0, 1}, {2}, {3}])
    )
    found = settled(structure, structure.within)
    assert found == (Partition.discrete(4), True, True)


@given(structure=mostly_forwards(), shift=st.sampled_from([61, 62, 63, 70]))
def test_large_and_symbolic_weights_settle_too_and_are_proved(structure, shift):
    """Of sums of weights that differ by a large power of two some collide; then rounds modulo primes go on."""
    large = [weight * (3**40 + 2) for weight in structure.weights]
    for changed in (large, [f"({weight})*(x + y)" for weight in structure.weights]):
        other = replace(structure, weights=ExactArray.read(changed)[0])
        assert kernel.refine(other, other.within) == coarsest(structure, structure.within)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settle, "moduli", lambda components: iter([0]))
        changed = [weight + ((1 << shift) if weight > 1 else 0) for weight in structure.weights]
        other = replace(structure, weights=ExactArray.read(changed)[0])
        assert kernel.refine(other, other.within) == coarsest(other, other.within)


def test_what_settles_entirely_is_proved_without_a_round(monkeypatch):
    """Rounds need more memory than the walk and the proof."""
    monkeypatch.delattr(kernel._Rounds, "run")
    large = [3**40 + 1, 3**40 + 2, 3**40 + 2, 3**41]
    structure = WeightedStructure.from_edges(4, [0, 1, 2, 0], [3, 3, 3, 2], large)
    found = settled(structure, structure.within)
    assert found == (Partition([[0], [1, 2], [3]]), True, False)
    assert kernel.refine(structure, structure.within) == found.partition


@pytest.mark.parametrize("longest", [1, 2, 5])
@given(structure=mostly_forwards())
def test_states_with_long_rows_may_be_left_to_the_rounds(longest, structure):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settle, "_longest", lambda m: min(m, longest))
        found = settled(structure, structure.within)
        assert kernel.refine(structure, structure.within) == coarsest(structure, structure.within)
    lengths = np.diff(structure.indptr)
    if found is not None:
        assert (
            np.bincount(found.partition.labels)[found.partition.labels[lengths > longest]] == 1
        ).all()


def test_the_walk_ends_early_where_too_many_states_do_not_settle():
    n = 1_000
    circle = WeightedStructure.from_edges(n, np.arange(n), np.roll(np.arange(n), 1), [1] * n)
    assert settled(circle, circle.within) is None

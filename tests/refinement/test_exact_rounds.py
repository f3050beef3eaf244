"""Levels are the partitions of the definition's rounds, and depths the first round that separates."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.errors import InvalidPartition
from lumpability.partition import Partition
from lumpability.refinement import SHARES, SUMS
from lumpability.refinement import exact_rounds as module
from lumpability.refinement.definition import rounds
from lumpability.refinement.exact_rounds import Levels
from lumpability.structure import WeightedStructure

WEIGHTS = [Fraction(1), Fraction(2), Fraction(1, 2), Fraction(3)]


@st.composite
def structures(draw: st.DrawFn) -> WeightedStructure:
    n = draw(st.integers(2, 9))
    state = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(state, state, st.sampled_from(WEIGHTS)), max_size=20))
    labels = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    sources, targets, numbers = (list(c) for c in zip(*edges, strict=True)) if edges else ([],) * 3
    return WeightedStructure.from_edges(
        n,
        np.array(sources, dtype=np.int64),
        np.array(targets, dtype=np.int64),
        numbers,
        within=Partition(np.array(labels)),
    )


@given(structure=structures(), mode=st.sampled_from(["out", "both", "proportional"]))
def test_every_level_is_the_round_of_the_definition(structure, mode):
    normal = SHARES if mode == "proportional" else SUMS
    matrices = [structure] if mode != "both" else [structure, structure.transposed]
    expected = list(rounds(matrices, structure.within, normal))
    levels = Levels(matrices, structure.within, normal)
    states = np.arange(structure.n)
    for s in range(structure.n):
        for t in range(s):
            depth = next((i for i, p in enumerate(expected) if p.labels[s] != p.labels[t]), None)
            if depth is None:
                with pytest.raises(InvalidPartition, match="nothing separates blocks"):
                    levels.depth(s, t)
            else:
                assert levels.depth(s, t) == depth
                found = [Partition(levels.labels(states, level)) for level in range(depth + 1)]
                assert found == expected[: depth + 1]
                for level in (depth, 0, depth // 2):  # up and down again
                    assert Partition(levels.all_labels(level)) == expected[level]


@given(structure=structures())
def test_rows_with_one_hash_are_told_apart(structure):
    """A hash that collides for its first seeds is replaced by the next."""
    scrambled = module.scrambled
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            module,
            "scrambled",
            lambda x, seed: scrambled(x, seed) if seed > 1 else x * np.uint64(0),
        )
        numbers = module._equal_rows(structure)
    rows = [tuple(structure.row(s)) for s in range(structure.n)]
    assert Partition(numbers) == Partition.of(rows.__getitem__, states=structure.n)


def test_a_long_line_is_separated_level_by_level():
    n = 400
    line = WeightedStructure.from_edges(n, np.arange(n - 1), np.arange(1, n), np.ones(n - 1, int))
    marked = Partition((np.arange(n) == n - 1).astype(np.int64))
    levels = Levels([line], marked)
    assert levels.depth(0, 1) == n - 2
    assert levels.depth(n - 1, 0) == 0
    assert levels.depth(n - 5, 3) == 4


@given(structure=structures(), proportional=st.booleans())
def test_a_block_is_as_old_as_its_members(structure, proportional):
    """`since` is the first level at which the members of a block were one block of that label."""
    levels = Levels([structure], structure.within, SHARES if proportional else SUMS)
    states = np.arange(structure.n)
    for s in range(1, structure.n):
        with suppress(InvalidPartition):
            levels.depth(0, s)
    found = [levels.labels(states, level).tolist() for level in range(len(levels._renamed) + 1)]
    for level, labels in enumerate(found):
        for label in set(labels):
            members = [x == label for x in labels]
            first = next(i for i, now in enumerate(found) if [x == label for x in now] == members)
            assert levels.since(label, level) == first

"""All engines compute the same partition: the coarsest stable refinement of the initial one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lumpability.errors import InvalidInput
from lumpability.partition import Partition
from lumpability.quotient import disagreement
from lumpability.refinement import ENGINES, refine
from lumpability.structure import WeightedStructure

FAST = ("worklist", "kernel")
WEIGHTS = [Fraction(-1), Fraction(1), Fraction(1, 2), Fraction(1, 3), Fraction(2), Fraction(10**30)]


@st.composite
def structures(draw: st.DrawFn, max_states: int = 8) -> WeightedStructure:
    n = draw(st.integers(0, max_states))
    state = st.integers(0, max(n - 1, 0))
    edges = draw(
        st.lists(st.tuples(state, state, st.sampled_from(WEIGHTS)), max_size=24 if n else 0)
    )
    labels = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    sources, targets, weights = (
        (list(c) for c in zip(*edges, strict=True)) if edges else ([], [], [])
    )
    return WeightedStructure.from_edges(
        n,
        np.array(sources, dtype=np.int64),
        np.array(targets, dtype=np.int64),
        weights,
        initial=Partition(np.array(labels, dtype=np.int64)),
    )


def all_partitions(n: int) -> list[Partition]:
    """Every partition of n states, as restricted growth strings."""
    found = [[0]] if n else [[]]
    for _ in range(n - 1):
        found = [[*labels, b] for labels in found for b in range(max(labels) + 2)]
    return [Partition(np.array(labels, dtype=np.int64)) for labels in found]


def path(n: int) -> WeightedStructure:
    """A line with one marked end: as many rounds as states."""
    marked = np.zeros(n, dtype=np.int64)
    marked[-1] = 1
    return WeightedStructure.from_edges(
        n, np.arange(n - 1), np.arange(1, n), np.ones(n - 1, dtype=np.int64),
        initial=Partition(marked),
    )  # fmt: skip


def random_structure(
    seed: int, n: int, m: int, *, blocks: int
) -> tuple[WeightedStructure, Partition]:
    """A structure with a planted stable partition: random rows on blocks, spread over members."""
    rng = np.random.default_rng(seed)
    label = np.concatenate([np.arange(blocks), rng.integers(0, blocks, n - blocks)])
    planted = Partition(label)
    members = planted.blocks
    degree = m // n
    block_rows = rng.integers(0, blocks, (blocks, degree))
    block_weights = rng.integers(1, 4, (blocks, degree))
    targets = block_rows[planted.labels].copy()
    weights = block_weights[planted.labels]
    for block in range(blocks):
        places = np.nonzero(targets == block)
        targets[places] = -1 - rng.choice(members[block], len(places[0]))
    structure = WeightedStructure.from_edges(
        n, np.repeat(np.arange(n), degree), (-1 - targets).ravel(), weights.ravel()
    )
    return structure, planted


@pytest.mark.parametrize("engine", FAST)
@given(structure=structures())
@example(structure=WeightedStructure.from_edges(3, [0, 2, 2], [1, 1, 1], ["0.3", "0.1", "0.2"]))
def test_every_engine_gives_the_partition_of_the_reference(engine, structure):
    expected = refine(structure, engine="reference").partition
    assert refine(structure, engine=engine).partition == expected


@given(structure=structures(max_states=5))
def test_the_reference_is_the_coarsest_stable_refinement_by_brute_force(structure):
    found = refine(structure, engine="reference").partition
    stable = [
        p
        for p in all_partitions(structure.n)
        if p.refines(structure.initial) and disagreement(structure, p) is None
    ]
    assert found in stable
    assert all(p.refines(found) for p in stable)


@pytest.mark.parametrize("engine", FAST)
@given(structure=structures(), random=st.randoms(use_true_random=False))
def test_renumbering_states_renumbers_the_partition(engine, structure, random):
    order = list(range(structure.n))
    random.shuffle(order)
    renumbered = refine(
        structure.renumber(np.array(order, dtype=np.int64)), engine=engine
    ).partition
    assert renumbered == refine(structure, engine=engine).partition.restrict(order)


@pytest.mark.parametrize("engine", FAST)
@given(structure=structures())
def test_refining_the_result_changes_nothing(engine, structure):
    once = refine(structure, engine=engine).partition
    assert refine(structure, once, engine=engine).partition == once


@pytest.mark.parametrize("engine", ENGINES)
def test_empty_and_single_state_structures(engine):
    empty = WeightedStructure.from_edges(0, [], [], [])
    assert refine(empty, engine=engine).partition == Partition.trivial(0)
    for edges in ([], [0]):
        single = WeightedStructure.from_edges(1, edges, edges, [1] * len(edges))
        assert refine(single, engine=engine).partition == Partition.trivial(1)


@pytest.mark.parametrize("engine", ENGINES)
def test_blocks_need_not_be_contiguous(engine):
    rows = [["0.2", "0.5", "0.3"], ["0.4", "0.2", "0.4"], ["0.3", "0.5", "0.2"]]
    structure = WeightedStructure.from_edges(
        3, np.repeat([0, 1, 2], 3), np.tile([0, 1, 2], 3), [x for row in rows for x in row],
        initial=Partition.of([{0, 2}, {1}]),
    )  # fmt: skip
    assert refine(structure, engine=engine).partition == Partition.of([{0, 2}, {1}])


@pytest.mark.parametrize("engine", FAST)
def test_a_line_needs_as_many_rounds_as_states_and_stays_linear(engine):
    n = 20_000 if engine == "worklist" else 300_000
    assert refine(path(n), engine=engine).partition == Partition.discrete(n)


@pytest.mark.parametrize(("n", "m", "blocks"), [(3_000, 15_000, 40), (3_000, 15_000, 2_500)])
def test_engines_agree_and_find_planted_partitions_on_larger_structures(n, m, blocks):
    structure, planted = random_structure(3, n, m, blocks=blocks)
    initial = Partition(planted.labels % 7)
    start = structure.with_initial(initial)
    answers = [refine(start, engine=engine).partition for engine in FAST]
    assert answers[0] == answers[1]
    assert planted.refines(answers[0])


def test_unknown_engine_is_refused():
    with pytest.raises(InvalidInput, match="unknown engine 'magic': choose one of auto"):
        refine(path(2), engine="magic")  # type: ignore[arg-type]


def test_symbolic_weights_are_refined_as_rational_functions():
    structure = WeightedStructure.from_edges(
        4, [0, 1, 2, 2], [3, 3, 3, 3], ["(a**2 - b**2)/(a - b)", "a + b", "a", "2*b"]
    )
    assert refine(structure).partition == Partition.of([{0, 1}, {2}, {3}])

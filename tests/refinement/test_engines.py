"""All engines compute the same partition; that it is the right one, tests/laws shows on drawn structures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lumpability.errors import InvalidInput
from lumpability.partition import Partition
from lumpability.refinement import (
    ENGINES,
    SUMS,
    definition,
    fingerprint_rounds,
    kernel,
    refine,
    worklist,
)
from lumpability.structure import WeightedStructure

FAST = ("worklist", "kernel")
SPARSE = [name for name, engine in ENGINES.items() if engine.serves(SUMS)]


def path(n: int) -> WeightedStructure:
    """A line with one marked end: as many rounds as states."""
    marked = np.zeros(n, dtype=np.int64)
    marked[-1] = 1
    return WeightedStructure.from_edges(
        n, np.arange(n - 1), np.arange(1, n), np.ones(n - 1, dtype=np.int64),
        within=Partition(marked),
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


@pytest.mark.parametrize("engine", SPARSE)
def test_empty_and_single_state_structures(engine):
    empty = WeightedStructure.from_edges(0, [], [], [])
    assert refine(empty, engine=engine).partition == Partition.trivial(0)
    for edges in ([], [0]):
        single = WeightedStructure.from_edges(1, edges, edges, [1] * len(edges))
        assert refine(single, engine=engine).partition == Partition.trivial(1)


@pytest.mark.parametrize("engine", SPARSE)
def test_blocks_need_not_be_contiguous(engine):
    rows = [["0.2", "0.5", "0.3"], ["0.4", "0.2", "0.4"], ["0.3", "0.5", "0.2"]]
    structure = WeightedStructure.from_edges(
        3, np.repeat([0, 1, 2], 3), np.tile([0, 1, 2], 3), [x for row in rows for x in row],
        within=Partition.of([{0, 2}, {1}]),
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
    start = structure.starting_from(initial)
    answers = [refine(start, engine=engine).partition for engine in FAST]
    assert answers[0] == answers[1]
    assert planted.refines(answers[0])


def test_the_definition_stops_at_many_blocks_as_at_few():
    structure, planted = random_structure(5, 600, 3_000, blocks=400)
    start = structure.starting_from(Partition(planted.labels % 7))
    found = refine(start, engine="definition").partition
    assert 256 < len(found) < 600
    assert found == refine(start, engine="worklist").partition


def test_unknown_engine_is_refused():
    with pytest.raises(InvalidInput, match="unknown engine 'magic': choose one of auto"):
        refine(path(2), engine="magic")  # type: ignore[arg-type]


def test_symbolic_weights_are_refined_as_rational_functions():
    structure = WeightedStructure.from_edges(
        4, [0, 1, 2, 2], [3, 3, 3, 3], ["(a**2 - b**2)/(a - b)", "a + b", "a", "2*b"]
    )
    assert refine(structure).partition == Partition.of([{0, 1}, {2}, {3}])


@pytest.mark.parametrize("engine", SPARSE)
def test_sums_of_any_sign_are_told_apart_and_zero_is_no_transition(engine):
    """State s has the sum s % 7 - 3 into the last one, where 0 may be 1 - 1 or nothing at all."""
    totals = [s % 7 - 3 for s in range(14)]
    sources = [s for s, total in enumerate(totals) if total or s < 7 for _ in range(2)]
    weights = [weight for s in sources[::2] for weight in (1, totals[s] - 1)]
    structure = WeightedStructure.from_edges(
        15, sources, [14] * len(sources), weights, within=Partition.of([0] * 14 + [1])
    )
    expected = Partition.of([s % 7 for s in range(14)] + [7])
    assert refine(structure, engine=engine).partition == expected


@pytest.mark.parametrize("engine", SPARSE)
def test_rows_that_are_understood_to_sum_to_zero_are_refined_with_their_diagonal(engine):
    """As for the generator of a chain: what stays inside a block does not matter."""
    random = np.random.default_rng(1)
    for n in range(1, 12):
        structure = WeightedStructure.from_edges(
            n,
            random.integers(0, n, 2 * n),
            random.integers(0, n, 2 * n),
            random.integers(1, 3, 2 * n),
            within=Partition(random.integers(0, 2, n)),
        )
        closed = replace(structure, closed=True)
        expected = refine(closed.explicit(), engine="definition").partition
        assert refine(closed, engine=engine).partition == expected


@pytest.mark.parametrize("engine", SPARSE)
def test_the_engine_that_is_asked_for_is_the_one_that_runs_first(engine, monkeypatch):
    called: list[str] = []
    for module in (definition, worklist, fingerprint_rounds, kernel):
        name = module.__name__.rpartition(".")[2]

        def counted(*arguments, name=name, run=module.refine, **options):
            called.append(name)
            return run(*arguments, **options)

        monkeypatch.setattr(module, "refine", counted)
    found = refine(path(4), engine=engine)
    assert found.engine == engine
    assert found.proved == (engine in {"rounds", "kernel"})
    assert called == [ENGINES[engine].module]


def test_what_rounds_did_not_tell_apart_the_worklist_does(monkeypatch):
    """As if fingerprints had collided: the proof fails, and the result is repaired."""
    structure = path(5)
    monkeypatch.setattr(fingerprint_rounds, "propose", lambda structure, start, *_: start)
    found = refine(structure, engine="rounds")
    assert found.partition == Partition.discrete(5)
    assert found.proved

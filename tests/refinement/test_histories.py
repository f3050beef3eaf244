"""A history replays, by the definition, to single blocks, however it was made; if not, it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, lump, read
from lumpability.errors import InvalidInput, InvalidPartition
from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.quotient import collapse
from lumpability.refinement import (
    SHARES,
    SUMS,
    definition,
    histories,
    split_history,
)
from lumpability.refinement.kernel import history as compiled_history
from lumpability.refinement.proportional_worklist import split_by_shares
from lumpability.split_history import History
from lumpability.structure import WeightedStructure

WEIGHTS = [Fraction(1), Fraction(2), Fraction(1, 2), Fraction(3), Fraction(-1)]
WIDE = [Fraction(2**70), Fraction(2**70 + 1), Fraction(1, 3), Fraction(-(2**70)), Fraction(2**131)]
pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")

KINDS = ("ordinary", "exact", "strict", "bisimulation", "proportional")


@st.composite
def structures(
    draw: st.DrawFn, weights: Sequence[Fraction] = WEIGHTS, max_states: int = 8
) -> WeightedStructure:
    n = draw(st.integers(1, max_states))
    state = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(state, state, st.sampled_from(weights)), max_size=24))
    labels = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    sources, targets, numbers = (list(c) for c in zip(*edges, strict=True)) if edges else ([],) * 3
    return WeightedStructure.from_edges(
        n,
        np.array(sources, dtype=np.int64),
        np.array(targets, dtype=np.int64),
        numbers,
        within=Partition(np.array(labels)),
    )


@st.composite
def chains(draw: st.DrawFn) -> CTMC | DTMC:
    structure = draw(structures([w for w in WEIGHTS if w > 0], max_states=7))
    labels = {"goal": structure.within.labels == 0}
    initial = draw(st.one_of(st.none(), st.integers(0, structure.n - 1)))
    if draw(st.booleans()):
        return CTMC(structure, labels=labels, initial=initial)
    edges = [(s, t, w) for s in range(structure.n) for t, w in structure.row(s)]
    loops = [(s, s, Fraction(1)) for s in range(structure.n) if not structure.row(s)]
    return DTMC.from_rates(
        edges + loops, states=range(structure.n), labels=labels, initial=initial, normalize=True
    )


def value(rows: list[dict[int, Exact]], s: int, into: set[int], outside: set[int] | None) -> Exact:
    """A sum of weights; or, given what is outside of the state's node, its share in what goes there."""
    total = sum(weight for target, weight in rows[s].items() if target in into)
    if outside is None:
        return total
    leaving = sum(weight for target, weight in rows[s].items() if target in outside)
    return total / leaving if leaving != 0 else 0


def replay(
    history: History,
    matrices: Sequence[WeightedStructure],
    initial: Partition,
    *,
    proportional: bool = False,
) -> None:
    """Check every claim of a history by its definition."""
    rows = [[dict(m.row(s)) for s in range(m.n)] for m in (m.explicit() for m in matrices)]
    nodes = [set(history.blocks(v)) for v in range(len(history.starts))]
    assert sorted(history.order.tolist()) == list(range(initial.n))
    assert [sorted(node) for node in nodes[: history.roots]] == [b.tolist() for b in initial]
    assert history.first_part[0] == history.roots
    assert history.first_part[-1] == len(nodes)
    leaves = set(range(history.roots))
    for i in range(history.splits):
        node, splitter = int(history.split_node[i]), int(history.splitter[i])
        parts = range(int(history.first_part[i]), int(history.first_part[i + 1]))
        assert splitter < parts[0]
        assert node in leaves
        assert set().union(*(nodes[p] for p in parts)) == nodes[node]
        assert sum(len(nodes[p]) for p in parts) == len(nodes[node])
        sums = [history.sums[p - history.roots] for p in parts]
        assert len(set(sums)) == len(sums) > 1
        outside = None
        if proportional:
            assert not nodes[node] & nodes[splitter]
            outside = set(range(initial.n)) - nodes[node]
        matrix = rows[int(history.condition[i])]
        for part, expected in zip(parts, sums, strict=True):
            for state in nodes[part]:
                assert value(matrix, state, nodes[splitter], outside) == expected
        leaves = leaves - {node} | set(parts)
    assert all(len(nodes[leaf]) == 1 for leaf in leaves)


def quotient_of(structure: WeightedStructure) -> tuple[WeightedStructure, Partition]:
    """The coarsest quotient, by the definition."""
    partition = definition.refine([structure.explicit()], structure.within)
    return collapse(structure, partition), structure.within.restrict(partition.representatives)


def choose(patch: pytest.MonkeyPatch, *, compiled: bool) -> None:
    """Take one of the implementations, whatever the size."""
    patch.setattr(histories, "SMALL", -1 if compiled else 10**9)


@pytest.fixture(params=["python", "compiled"])
def engine(request, monkeypatch):
    """Both implementations, whatever the size."""
    choose(monkeypatch, compiled=request.param == "compiled")
    return request.param


@given(structure=structures(), closed=st.booleans(), compiled=st.booleans())
def test_a_history_replays_to_single_blocks(structure, closed, compiled):
    structure = replace(structure, closed=closed)
    quotient, initial = quotient_of(structure)
    with pytest.MonkeyPatch.context() as patch:
        choose(patch, compiled=compiled)
        replay(split_history([quotient], initial), [quotient], initial)


@given(structure=structures(WIDE), compiled=st.booleans())
def test_weights_beyond_64_bits_need_several_primes_and_stay_exact(structure, compiled):
    quotient, initial = quotient_of(structure)
    with pytest.MonkeyPatch.context() as patch:
        choose(patch, compiled=compiled)
        replay(split_history([quotient], initial), [quotient], initial)


@pytest.mark.parametrize(("largest", "compiled"), [(2**61, True), (2**62, False), ("x", False)])
def test_sums_beyond_62_bits_and_symbols_are_left_to_the_plain_worklist(largest, compiled):
    structure = WeightedStructure.from_edges(3, [0, 1], [2, 2], [largest, 1])
    found = compiled_history.split_history([structure], Partition.of([{0, 1}, {2}]))
    assert isinstance(found, History) == compiled
    assert compiled or found is None


@given(chain=chains(), kind=st.sampled_from(KINDS), compiled=st.booleans())
@settings(max_examples=150)
def test_the_history_of_every_kind_of_lumping_replays(chain, kind, compiled):
    if kind == "proportional" and isinstance(chain, DTMC):
        return
    lumping = lump(chain, kind=kind, respect=["labels", "initial"])
    matrices = [collapse(c.matrix, lumping.partition) for c in lumping.notion.conditions(chain)]
    initial = lumping.respected.restrict(lumping.partition.representatives)
    with pytest.MonkeyPatch.context() as patch:
        choose(patch, compiled=compiled)
        replay(lumping.history, matrices, initial, proportional=kind == "proportional")


@given(structure=structures([w for w in WEIGHTS if w > 0], max_states=10))
@settings(max_examples=200)
def test_shares_separate_exactly_what_proportional_lumping_does(structure):
    chain = CTMC(structure, labels={"goal": structure.within.labels == 0})
    lumping = lump(chain, kind="proportional")
    matrix = structure.without_diagonal()
    found = split_by_shares(matrix, lumping.respected).partition()
    assert found == lumping.partition


@pytest.mark.parametrize("proportional", [False, True])
def test_blocks_that_nothing_separates_are_refused(engine, proportional):
    structure = WeightedStructure.from_edges(4, [0, 1, 2], [3, 3, 3], [1, 1, 2])
    initial = Partition.of([{0, 1, 2}, {3}])
    with pytest.raises(InvalidPartition, match="nothing separates blocks 0 and 1, so") as caught:
        split_history([structure], initial, normal=SHARES if proportional else SUMS)
    assert caught.value.blocks == (0, 1)


def test_shares_of_two_matrices_make_no_sense():
    structure = WeightedStructure.from_edges(2, [0], [1], [1])
    with pytest.raises(InvalidInput, match="SHARES of 2 matrices"):
        split_history([structure] * 2, Partition.trivial(2), normal=SHARES)


def test_a_discrete_start_needs_no_splits(engine):
    structure = WeightedStructure.from_edges(2, [0], [1], [1])
    history = split_history([structure], Partition.discrete(2))
    assert (history.roots, history.splits, len(history.sums)) == (2, 0, 0)


def test_symbolic_sums_are_rational_functions():
    chain = CTMC.from_rates({("a", "c"): "x", ("b", "c"): "2*x"}, labels={"goal": ["c"]})
    lumping = lump(chain)
    generator = collapse(lumping.notion.conditions(chain)[0].matrix, lumping.partition)
    replay(lumping.history, [generator], lumping.respected)
    assert [str(total) for total in lumping.history.sums] == ["-x", "-2*x"]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("proportional", [False, True])
def test_a_line_has_as_many_splits_as_states_and_takes_no_quadratic_time(reverse, proportional):
    n = 20_000 if proportional else 300_000
    line = WeightedStructure.from_edges(n, np.arange(n - 1), np.arange(1, n), np.ones(n - 1, int))
    marked = np.zeros(n, dtype=np.int64)
    marked[0 if reverse else -1] = 1
    matrix = line.transposed if reverse else line
    history = split_history([matrix], Partition(marked), normal=SHARES if proportional else SUMS)
    assert history.splits == n - 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_history_of_a_real_chain_replays(shared_file, kind):
    chain = read(shared_file("chains/embedded8.npz"))
    lumping = lump(chain, kind=kind)
    matrices = [collapse(c.matrix, lumping.partition) for c in lumping.notion.conditions(chain)]
    initial = lumping.respected.restrict(lumping.partition.representatives)
    history = lumping.history
    assert lumping.history is history
    check_vectorised(history, matrices, proportional=kind == "proportional")
    assert history.roots == len(initial)


@pytest.mark.parametrize("name", ["polling10", "kanban3", "herman11", "tandem127"])
def test_compiled_histories_of_real_chains_replay(shared_file, name):
    chain = read(shared_file(f"chains/{name}.npz"))
    lumping = lump(chain)
    matrices = [collapse(c.matrix, lumping.partition) for c in lumping.notion.conditions(chain)]
    check_vectorised(lumping.history, matrices)


def check_vectorised(
    history: History, matrices: Sequence[WeightedStructure], *, proportional: bool = False
) -> None:
    """Replay on plain dictionaries, but only for one member of each part and all smaller parts."""
    rows = [[dict(m.row(s)) for s in range(m.n)] for m in (m.explicit() for m in matrices)]
    place = np.argsort(history.order)
    starts, ends = history.starts.tolist(), history.ends.tolist()
    for i in range(history.splits):
        node, splitter = int(history.split_node[i]), int(history.splitter[i])
        parts = range(int(history.first_part[i]), int(history.first_part[i + 1]))
        bounds = sorted((starts[p], ends[p]) for p in parts)
        assert (bounds[0][0], bounds[-1][1]) == (starts[node], ends[node])
        assert all(a[1] == b[0] for a, b in pairwise(bounds))
        sums = [history.sums[p - history.roots] for p in parts]
        assert len(set(sums)) == len(sums) > 1
        matrix = rows[int(history.condition[i])]
        for part, expected in zip(parts, sums, strict=True):
            for state in history.order[starts[part] : min(ends[part], starts[part] + 3)].tolist():
                entries = matrix[state].items()
                total = sum(w for u, w in entries if starts[splitter] <= place[u] < ends[splitter])
                if proportional:
                    leaving = sum(
                        w for u, w in entries if not starts[node] <= place[u] < ends[node]
                    )
                    total = total / leaving if leaving != 0 else 0
                assert total == expected
    leaf = np.ones(len(starts), dtype=bool)
    leaf[history.split_node] = False
    assert (history.ends[leaf] - history.starts[leaf] == 1).all()


@pytest.mark.parametrize("proportional", [False, True])
def test_the_blocks_that_nothing_separates_are_found_behind_others(engine, proportional):
    structure = WeightedStructure.from_edges(4, [1, 2, 3], [0, 0, 0], [1, 1, 2])
    with pytest.raises(InvalidPartition) as caught:
        split_history(
            [structure], Partition.of([{0}, {1, 2, 3}]), normal=SHARES if proportional else SUMS
        )
    assert caught.value.blocks == (1, 2)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(20, 60), closed=st.booleans())
@settings(max_examples=25)
def test_large_blocks_are_split_into_many_parts_by_the_compiled_worklist(seed, n, closed):
    random = np.random.default_rng(seed)
    structure = WeightedStructure.from_edges(
        n,
        random.integers(0, n, 2 * n),
        random.integers(0, n, 2 * n),
        random.integers(1, 4, 2 * n),
        within=Partition(random.integers(0, 2, n)),
    )
    quotient, initial = quotient_of(replace(structure, closed=closed))
    history = compiled_history.split_history([quotient], initial)
    replay(history, [quotient], initial)


def test_no_sum_is_mistaken_for_the_mark_of_untouched_states():
    """Every small number, of either sign, is a partial sum into the first splitter, which has two states."""
    n = 200
    sources = [*np.repeat(np.arange(2, n + 2), 2).tolist(), 0]
    targets = [*[0, 1] * n, 2]
    weights = [weight for s in range(n) for weight in (s - 2, 1000)] + [1]
    structure = WeightedStructure.from_edges(n + 2, sources, targets, weights)
    start = Partition(np.repeat([0, 1], [2, n]))
    history = compiled_history.split_history([structure], start)
    assert sorted(history.blocks(int(history.splitter[0]))) == [0, 1]
    replay(history, [structure], start)


@pytest.mark.parametrize(("small", "compiled"), [(3, False), (2, True)])
def test_the_number_of_transitions_alone_chooses_who_makes_a_history(small, compiled, monkeypatch):
    monkeypatch.setattr(histories, "SMALL", small)
    called = []
    run = compiled_history.split_history
    monkeypatch.setattr(
        compiled_history, "split_history", lambda *arguments: called.append(1) or run(*arguments)
    )
    matrix = WeightedStructure.from_edges(4, [0, 1, 2], [3, 3, 3], [1, 2, 3])
    assert split_history([matrix], Partition.of([{0, 1, 2}, {3}])).splits == 1
    assert bool(called) == compiled

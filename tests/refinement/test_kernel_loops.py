"""What the rounds compute, by its definition; and that nothing is left to the repair of collisions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumpability.integers import prime
from lumpability.partition import Partition
from lumpability.refinement import kernel, kernel_loops, reference, rounds
from lumpability.refinement.kernel_arrays import ALONE, PRINT, Arrays, Field, Rows
from lumpability.refinement.kernel_field import block_value, montgomery_inverse
from lumpability.structure import WeightedStructure

P = prime(0)
PATHS = {
    "as it comes": {},
    "only sweeping": {"_FOLLOW_COST": 1e9},
    "propagating": {"_FOLLOW_COST": 1e-6},
    "in small budgets": {"_FOLLOW_COST": 1e-6, "_BUDGET": 1},
    "on several threads": {"_HAND_OUT_COST": 0},
    "in more ranges than threads": {"_HAND_OUT_COST": 0, "_BALANCED_BEYOND": 0},
}


@st.composite
def scattered(draw: st.DrawFn) -> WeightedStructure:
    """State 0 is a block of its own and nothing goes there.

    The first block has the value 0 under the first seed, so that sums into it do not show.
    """
    n = draw(st.integers(2, 40))
    m = draw(st.integers(1, 3)) * n
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    marks = 1 + (random.integers(0, n, n) == 0)
    marks[0] = 0
    structure = WeightedStructure.from_edges(
        n,
        random.integers(0, n, m),
        random.integers(1, n, m),
        random.integers(1, draw(st.sampled_from([2, 4])), m),
        initial=Partition(marks),
    )
    return replace(structure, closed=draw(st.booleans()))


def refined_on(
    path: str, structure: WeightedStructure, initial: Partition
) -> tuple[Partition, list[int]]:
    """The partition found with the settings of a path, and the prime of each attempt."""
    attempts = []
    table = kernel.combined_table

    def counted(components, p, seed):
        attempts.append(p)
        return table(components, p, seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "combined_table", counted)
        for name, value in PATHS[path].items():
            patch.setattr(kernel, name, value)
        return kernel.refine(structure, initial, threads=4), attempts


@pytest.mark.parametrize("path", PATHS)
@given(structure=scattered())
def test_no_path_needs_a_second_prime(path, structure):
    """Fingerprints modulo 2^61 - 1 do not collide by accident: another attempt would hide a mistake."""
    found, attempts = refined_on(path, structure, structure.initial)
    assert found == reference.refine(structure.explicit(), structure.initial)
    assert len(attempts) == (structure.m > 0)


@st.composite
def dense_rows(draw: st.DrawFn) -> WeightedStructure:
    """A few states that go everywhere: sums of more products than fit 128 bits."""
    n, wide = draw(st.integers(100, 300)), draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    structure = WeightedStructure.from_edges(
        n,
        np.repeat(np.arange(wide), n),
        np.tile(np.arange(n), wide),
        random.integers(1, 9, n * wide),
        initial=Partition(
            np.append(np.zeros(wide, dtype=np.int64), random.integers(1, 99, n - wide))
        ),
    )
    return replace(structure, closed=draw(st.booleans()))


@given(
    structure=st.one_of(scattered(), dense_rows()),
    seed=st.integers(0, 9),
    blockwise=st.booleans(),
)
def test_a_fingerprint_is_the_sum_of_weights_times_values_of_blocks(structure, seed, blockwise):
    random = np.random.default_rng(seed)
    table = random.integers(P - 5, P, len(structure.weights.values), dtype=np.uint64)
    step = max(1, min(2**62 // (int(table.max(initial=1)) + 1), 2**31))
    field = Field(np.uint64(P), montgomery_inverse(P), np.uint64(seed), step)
    s, labels = structure, structure.initial.labels
    rows = Rows(s.indptr, s.indices, s.weights.codes, table, s.closed)
    arrays = Arrays.for_states(s.n)
    count = len(s.initial)
    kernel_loops.fill(labels, count, field, arrays)
    if blockwise:
        kernel_loops.fingerprint_blocks(0, count, rows, field, arrays)
    else:
        kernel_loops.fingerprint_rows(0, s.n, rows, field, arrays)
    values = [int(block_value(number, field.seed)) for number in range(count)]
    inverse = pow(2**64, -1, P)
    for state in range(s.n):
        if s.initial.blocks.sizes[labels[state]] == 1:
            assert arrays.cells[state, PRINT] == ALONE
            continue
        total = 0
        for i in range(int(s.indptr[state]), int(s.indptr[state + 1])):
            weight = int(table[s.weights.codes[i]])
            own = values[labels[state]] if s.closed else 0
            total += weight * (values[labels[s.indices[i]]] - own)
        assert int(arrays.cells[state, PRINT]) == total * inverse % P
    leaving = kernel_loops.leaving(rows, field).tolist()
    for state in range(s.n):
        span = range(int(s.indptr[state]), int(s.indptr[state + 1]))
        out = [int(table[s.weights.codes[i]]) for i in span if s.indices[i] != state]
        assert leaving[state] == sum(out) % P


@given(seed=st.integers(0, 2**32 - 1), width=st.integers(10, 300), path=st.sampled_from([*PATHS]))
@settings(max_examples=20)
def test_long_rows_of_large_weights_are_summed_without_overflow(seed, width, path):
    """States with one total of other weights stay together, by the first prime."""
    random = np.random.default_rng(seed)
    weights = [int(w) for w in random.integers(1, 2**62, width)]
    first, second = 3, 6  # sources with one total, and with another; state 0 is alone
    rows = []
    for row in range(second):
        moved = [int(x) for x in random.integers(-(2**60), 2**60, width)]
        rows.append([w + moved[i] - moved[i - 1] for i, w in enumerate(weights)])
        rows[-1][0] += row >= first
    n = 1 + second + width
    structure = WeightedStructure.from_edges(
        n,
        np.repeat(np.arange(1, second + 1), width),
        np.tile(np.arange(second + 1, n), second),
        [weight for row in rows for weight in row],
    )
    start = Partition(np.repeat([0, 1, 2], [1, second, width]))
    found, attempts = refined_on(path, structure, start)
    assert found == Partition(np.repeat([0, 1, 2, 3], [1, first, second - first, width]))
    assert len(attempts) == 1


@pytest.mark.parametrize("half", [2, 4, 30])
def test_when_all_states_are_touched_there_is_room_for_one_more(half, monkeypatch):
    """Every state goes everywhere, and half of them move at once, so that all are touched often."""
    monkeypatch.setattr(kernel, "_FOLLOW_COST", 1e-6)
    n = 2 * half
    sources, targets = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    structure = WeightedStructure.from_edges(n, sources, targets, 1 + sources // half)
    expected = Partition(np.repeat([0, 1], half))
    assert kernel.refine(structure, Partition.trivial(n)) == expected


def test_transposed_entries_are_wider_where_states_and_weights_need_it(monkeypatch):
    """70,000 states and half as many rates: 33 bits for an entry."""
    monkeypatch.setattr(kernel, "_FOLLOW_COST", 1e-6)
    n = 70_000
    random = np.random.default_rng(5)
    sources = np.arange(1, n)
    rates = random.permutation(np.arange(1, n))
    rates[: n // 2] = rates[0]  # some are alike, so that there is something to lump
    initial = Partition((np.arange(n) == 0).astype(np.int64))
    structure = WeightedStructure.from_edges(
        n, sources, random.integers(0, 50, n - 1), rates, initial=initial
    )
    found = kernel.refine(structure, initial)
    assert 1 < len(found) < n
    assert found == rounds.refine(structure, initial, rounds.field_tables(structure.weights))


@pytest.mark.slow
def test_states_beyond_the_cache_are_looked_ahead_for():
    """Seven kinds of states, four million in all, with targets anywhere: the blocks of seven states."""
    kinds, n = 7, 7 * 600_000
    nexts = [[(kind + 1) % kinds, (3 * kind + 2) % kinds] for kind in range(kinds)]
    small = WeightedStructure.from_edges(
        kinds, np.repeat(np.arange(kinds), 2), np.ravel(nexts), [1, 2] * kinds
    )
    start = Partition(np.arange(kinds) == 0)
    random = np.random.default_rng(3)
    kind = np.arange(n) % kinds
    targets = kinds * random.integers(0, n // kinds, 2 * n) + np.array(nexts)[kind].ravel()
    large = WeightedStructure.from_rows(2 * np.arange(n + 1), targets, np.tile([1, 2], n))
    found = kernel.refine(large, Partition(start.labels[kind]))
    assert found == Partition(reference.refine(small, start).labels[kind])


@pytest.mark.parametrize("threads", [1, 3])
def test_an_index_error_of_a_loop_is_not_taken_for_the_end_of_the_work(threads, monkeypatch):
    """With numba's bounds checking a loop that leaves its arrays raises one."""

    def outside(*arguments):
        raise IndexError("index is out of bounds")

    monkeypatch.setattr(kernel_loops, "fingerprint_rows", outside)
    monkeypatch.setattr(kernel, "_HAND_OUT_COST", 0)
    structure = WeightedStructure.from_edges(40, range(39), range(1, 40), [1] * 39)
    with pytest.raises(IndexError, match="out of bounds"):
        kernel.refine(structure, structure.initial, threads=threads)

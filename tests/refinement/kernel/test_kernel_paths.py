"""What the rounds compute, by its definition; and that nothing is left to the repair of collisions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_rounds import (
    PATHS,
    P,
    field_modulo,
    only_primes,
    row_sums,
    scattered,
    take,
    unfolded,
    value_of,
)

from lumpability.partition import Partition
from lumpability.refinement import definition, fingerprint_rounds, kernel
from lumpability.refinement.kernel import settle
from lumpability.refinement.kernel import sweep as sweep_module
from lumpability.refinement.kernel.arrays import ALONE, Rows, Sweeping
from lumpability.refinement.kernel.follow import follow_changes
from lumpability.structure import WeightedStructure

MODULI = {"2^64": kernel.moduli, "a prime": only_primes}


@pytest.fixture(autouse=True)
def nothing_settles(monkeypatch):
    """Or most of the small structures here would be done before the first round."""
    monkeypatch.setattr(settle, "_ROW_LENGTH", 0)


def refined_on(
    path: str, modulus: str, structure: WeightedStructure
) -> tuple[Partition, list[int]]:
    """The partition found with the settings of a path, and the modulus of each attempt."""
    attempts = []
    table = kernel.combined_residues

    def counted(components, p, seed):
        attempts.append(p)
        return table(components, p, seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "combined_residues", counted)
        patch.setattr(kernel, "moduli", MODULI[modulus])
        take(path, patch)
        return kernel.refine(structure, structure.within, threads=4), attempts


@pytest.mark.parametrize(
    ("path", "calls", "most"),
    [
        ("only sweeping", 0, 0),
        ("following", 1, None),
        ("in small budgets", 198, None),
        ("on several threads", None, 3),
    ],
)
def test_every_path_goes_its_way(path, calls, most, monkeypatch):
    """How often rounds propagate, and in how many ranges loops are cut, along a line of 200 states."""
    structure = WeightedStructure.from_edges(200, range(199), range(1, 200), [1] * 199)
    followed, ranges, run = [], [0], kernel._in_parallel
    monkeypatch.setattr(
        kernel.follow, "follow_changes", lambda *a: followed.append(1) or follow_changes(*a)
    )
    monkeypatch.setattr(kernel, "_in_parallel", lambda *a: ranges.append(len(a[1])) or run(*a))
    take(path, monkeypatch)
    kernel.refine(structure, Partition(np.arange(200) == 199), threads=3)
    assert calls in {None, len(followed)}
    assert most in {None, max(ranges)}


def test_a_line_may_take_thousands_of_sweeps(monkeypatch):
    n = 3_000
    take("only sweeping", monkeypatch)
    line = WeightedStructure.from_edges(n, range(n - 1), range(1, n), [1] * (n - 1))
    assert len(kernel.refine(line, Partition(np.arange(n) == n - 1))) == n


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("modulus", MODULI)
@given(structure=st.one_of(scattered(), unfolded()))
def test_no_path_needs_a_second_modulus(path, modulus, structure):
    """Fingerprints do not collide by accident where weights are small: another attempt would hide a mistake."""
    found, attempts = refined_on(path, modulus, structure)
    assert found == definition.refine([structure.explicit()], structure.within)
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
        within=Partition(
            np.append(np.zeros(wide, dtype=np.int64), random.integers(1, 99, n - wide))
        ),
    )
    return replace(structure, closed=draw(st.booleans()))


@pytest.mark.parametrize("p", [0, P])
@given(
    structure=st.one_of(scattered(), dense_rows(), scattered(max_states=3000)),
    seed=st.integers(0, 9),
    lonely=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    cut=st.floats(0, 1),
)
def test_a_fingerprint_is_the_sum_of_weights_times_values_of_blocks(
    p, structure, seed, lonely, cut
):
    """Of all states that share a block; the others need none.  In ranges as in one piece."""
    random = np.random.default_rng(seed)
    size, modulus = len(structure.weights.values), p or 2**64
    table = random.integers(modulus - 5, modulus, size, dtype=np.uint64)
    field = field_modulo(p, seed, table)
    s, labels = structure, structure.within.labels
    rows = Rows(s.indptr, s.indices, s.weights.codes, table, s.closed)
    arrays = Sweeping.over(s.n, s.closed)
    arrays.leaving[:] = row_sums(rows, p)
    count = len(s.within)
    sweep_module.fill(labels, count, field, arrays)
    arrays.alone[:] |= random.random(s.n) < lonely
    middle = int(cut * s.n)
    sweep_module.fingerprint(0, middle, 0, count, rows, field, arrays)
    sweep_module.fingerprint(middle, s.n, 0, count, rows, field, arrays)
    values = [value_of(number, field) for number in range(count)]
    factor = pow(2**64, -1, p) if p else 1
    weights = table[s.weights.codes].tolist()
    targets, numbers = labels[s.indices].tolist(), labels.tolist()
    for state in np.flatnonzero(~arrays.alone).tolist():
        own = values[numbers[state]] if s.closed else 0
        span = range(int(s.indptr[state]), int(s.indptr[state + 1]))
        total = sum(weights[i] * (values[targets[i]] - own) for i in span)
        assert int(arrays.prints[state]) == total * factor % modulus


@pytest.mark.parametrize("closed", [False, True])
def test_few_blocks_of_many_states_have_values_and_many_blocks_give_theirs_to_states(closed):
    n, random = sweep_module._FAR + 1, np.random.default_rng(1)
    first, labels = random.integers(0, n, n), random.integers(0, 3, n)
    targets = np.stack([first, (first + random.integers(1, n, n)) % n], axis=1)
    weights = random.integers(1, 60, (n, 2), dtype=np.uint64)
    rows = Rows(
        2 * np.arange(n + 1),
        targets.ravel().astype(np.int32),
        weights.ravel().astype(np.uint8),
        np.arange(60, dtype=np.uint64),
        closed,
    )
    field, arrays, count = field_modulo(0, 3, rows.residues), Sweeping.over(n, closed), 3
    arrays.leaving[:] = weights.sum(axis=1) if closed else []
    sweep_module.fill(labels.astype(np.int32), count, field, arrays)
    for few in (True, False):
        assert (count <= sweep_module._FEW) == few
        values = np.array([value_of(number, field) for number in range(count)], dtype=np.uint64)
        own, others = values[arrays.labels], values[arrays.labels[targets]]
        sums = (weights * (others - own[:, None] if closed else others)).sum(axis=1)
        sweep_module.fingerprint(0, n, 0, count, rows, field, arrays)
        assert np.array_equal(arrays.prints, sums)
        before = arrays.labels.copy()
        count, _, _ = sweep_module.split(count, field, arrays)
        assert Partition(arrays.labels) == Partition.by(n, [before, Partition(sums).labels])


@pytest.mark.parametrize("p", [0, P])
@pytest.mark.parametrize("threads", [1, 3])
@given(structure=st.one_of(scattered(), dense_rows()), seed=st.integers(0, 9))
def test_rows_are_summed_where_they_are_closed(p, threads, structure, seed):
    size, modulus = len(structure.weights.values), p or 2**64
    table = np.random.default_rng(seed).integers(modulus - 5, modulus, size, dtype=np.uint64)
    s = replace(structure, closed=True)
    rows, expected = Rows.of(s, table), row_sums(Rows.of(s, table), p)
    rounds = kernel._Rounds(s, threads, None)
    arrays = Sweeping.over(s.n, True, threads)
    with pytest.MonkeyPatch.context() as patch:
        take("on several threads", patch)
        sweep_module.sum_rows(rounds._fingerprint, rows, field_modulo(p, seed, table), arrays)
    assert arrays.leaving.tolist() == expected.tolist()


@given(
    labels=st.lists(st.integers(0, 9), min_size=1, max_size=30),
    lonely=st.sets(st.integers(0, 29)),
)
def test_blocks_are_numbered_by_first_member_and_states_that_are_alone_are_blocks(labels, lonely):
    mixed = np.array(labels, dtype=np.uint32)
    n, lonely = len(labels), [state for state in lonely if state < len(labels)]
    mixed[lonely] = ALONE
    alone, number = np.zeros(n, dtype=bool), np.empty(10, dtype=np.int32)
    expected = Partition.of(lambda s: ("alone", s) if s in lonely else labels[s], states=n)
    firsts = np.empty(len(expected), dtype=np.int64)
    sweep_module.canonical_labels(mixed, alone, firsts, number)
    assert mixed.tolist() == expected.labels.tolist()
    assert firsts.tolist() == expected.representatives.tolist()
    assert np.flatnonzero(alone).tolist() == sorted(lonely)


@pytest.mark.parametrize("modulus", MODULI)
@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(10, 42),
    times=st.integers(1, 7),
    path=st.sampled_from([*PATHS]),
)
@settings(max_examples=20)
def test_long_rows_of_large_weights_are_summed_without_overflow(modulus, seed, width, times, path):
    """States with one total of other weights stay together, by the first modulus.

    Rows of up to 294 entries have at most 42 weights each, so that codes take one byte.
    """
    random = np.random.default_rng(seed)
    weights = [int(w) for w in random.integers(1, 2**62, width)]
    first, second = 3, 6  # sources with one total, and with another; state 0 is alone
    rows = []
    for row in range(second):
        moved = [int(x) for x in random.integers(-(2**60), 2**60, width)]
        rows.append(times * [w + moved[i] - moved[i - 1] for i, w in enumerate(weights)])
        rows[-1][0] += row >= first
    width *= times
    n = 1 + second + width
    structure = WeightedStructure.from_edges(
        n,
        np.repeat(np.arange(1, second + 1), width),
        np.tile(np.arange(second + 1, n), second),
        [weight for row in rows for weight in row],
        within=Partition(np.repeat([0, 1, 2], [1, second, width])),
    )
    found, attempts = refined_on(path, modulus, structure)
    assert found == Partition(np.repeat([0, 1, 2, 3], [1, first, second - first, width]))
    assert len(attempts) == 1


@pytest.mark.parametrize("half", [2, 4, 30])
def test_when_all_states_are_touched_there_is_room_for_one_more(half, monkeypatch):
    """Every state goes everywhere, and half of them move at once, so that all are touched often."""
    take("following", monkeypatch)
    n = 2 * half
    sources, targets = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    structure = WeightedStructure.from_edges(n, sources, targets, 1 + sources // half)
    expected = Partition(np.repeat([0, 1], half))
    assert kernel.refine(structure, Partition.trivial(n)) == expected


@pytest.mark.slow  # the kernel is compiled for entries of 8 bytes
def test_transposed_entries_are_wider_where_states_and_weights_need_it(monkeypatch):
    """70,000 states and half as many rates: 33 bits for an entry."""
    take("following", monkeypatch)
    n = 70_000
    random = np.random.default_rng(5)
    sources = np.arange(1, n)
    rates = random.permutation(np.arange(1, n))
    rates[: n // 2] = rates[0]  # some are alike, so that there is something to lump
    initial = Partition((np.arange(n) == 0).astype(np.int64))
    structure = WeightedStructure.from_edges(
        n, sources, random.integers(0, 50, n - 1), rates, within=initial
    )
    found = kernel.refine(structure, initial)
    assert 1 < len(found) < n
    assert found == fingerprint_rounds.propose(
        structure, initial, fingerprint_rounds.field_tables(structure.weights)
    )


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
    assert found == Partition(definition.refine([small], start).labels[kind])


@pytest.mark.parametrize("helping", [False, True])
def test_an_error_of_a_loop_is_raised_whoever_runs_it(helping, monkeypatch):
    """With numba's bounds checking a loop that leaves its arrays raises one."""

    def outside(low, *arguments):
        if (low > 0) == helping:
            raise IndexError("index is out of bounds")

    monkeypatch.setattr(sweep_module, "fingerprint", outside)
    take("on several threads", monkeypatch)
    structure = WeightedStructure.from_edges(40, range(39), range(1, 40), [1] * 39)
    with pytest.raises(IndexError, match="out of bounds"):
        kernel.refine(structure, structure.within, threads=3)

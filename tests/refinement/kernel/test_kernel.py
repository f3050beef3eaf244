"""What only the compiled kernel can get wrong: collisions, threads, rounds, big numbers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import chain, repeat

import numpy as np
import pytest
import random_structures
from hypothesis import given
from hypothesis import strategies as st
from kernel_rounds import PATHS, only_primes, take

from lumpability.numbers import exact_array
from lumpability.numbers.integers import prime
from lumpability.numbers.residues import combined_residues
from lumpability.partition import Partition
from lumpability.refinement import definition, kernel, refine, worklist
from lumpability.refinement.kernel import quotient as compiled
from lumpability.refinement.kernel import settle
from lumpability.refinement.kernel.arrays import Following, Sweeping
from lumpability.refinement.stability import disagreement, first_rows
from lumpability.structure import WeightedStructure

_SMALL_PRIMES = [3, 5, 7, 11, 13, 101, 10_007, 1_000_003]


@pytest.fixture(autouse=True)
def nothing_settles(monkeypatch):
    """Or most of the small structures here would be done before the first round."""
    monkeypatch.setattr(settle, "_ROW_LENGTH", 0)


def scatter(seed: int, n: int, degree: int, weights: list[object]) -> WeightedStructure:
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, len(weights), n * degree)
    return WeightedStructure.from_edges(
        n,
        np.repeat(np.arange(n), degree),
        rng.integers(0, n, n * degree),
        [weights[i] for i in chosen.tolist()],
        within=Partition(rng.integers(0, 2, n)),
    )


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 12))
def test_collisions_of_fingerprints_are_found_and_repaired(seed, n):
    """With primes as small as 3, different sums collide all the time; the answer stays exact."""
    structure = scatter(seed, n, 2, [1, 2, 3, 4, 6, 9])
    expected = definition.refine([structure], structure.within)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "moduli", lambda _: chain(_SMALL_PRIMES, repeat(1_000_003)))
        assert kernel.refine(structure, structure.within) == expected


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 20),
    shift=st.sampled_from([61, 62, 63, 64, 65, 128]),
    path=st.sampled_from([*PATHS]),
)
def test_what_2_to_the_64_confuses_is_repaired_by_a_prime(seed, n, shift, path):
    """Many of these weights differ by a multiple of a large power of 2."""
    power = 1 << shift
    structure = scatter(seed, n, 2, [1, 1 + power, 1 - power, 3, 3 + 2 * power, 2])
    expected = definition.refine([structure], structure.within)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "moduli", lambda components: chain([0], only_primes(components)))
        take(path, patch)
        assert kernel.refine(structure, structure.within) == expected


@pytest.fixture
def attempts(monkeypatch) -> list[int]:
    """The moduli of attempts, as they are made."""
    seen: list[int] = []

    def counted(components, p, seed):
        seen.append(p)
        return combined_residues(components, p, seed)

    monkeypatch.setattr(kernel, "combined_residues", counted)
    return seen


FOUR_APART = Partition([0, 0, 0, 1])


def test_the_first_block_has_a_value_that_shows(attempts):
    structure = WeightedStructure.from_edges(5, [0, 1, 2, 3], [4, 4, 4, 4], [1, 2, 3, 5])
    assert kernel.refine(structure, Partition.trivial(5)) == Partition.discrete(5)
    assert attempts == [0]


def three_sums(total):
    """Into the last two states, which stay together, go a total of two weights, nothing, and 1."""
    structure = WeightedStructure.from_edges(5, [0, 0, 2], [3, 4, 3], [total - 1, 1, 1])
    return structure, Partition([0, 0, 0, 1, 1]), Partition([0, 1, 2, 3, 3])


def test_sums_that_vanish_modulo_2_to_the_64_are_told_apart_by_the_first_prime(attempts):
    structure, initial, expected = three_sums(2**64)
    assert kernel.refine(structure, initial) == expected
    assert attempts == [0, prime(0)]


def test_sums_that_vanish_modulo_the_first_prime_too_are_told_apart_by_the_next(attempts):
    structure, initial, expected = three_sums(prime(0) << 64)
    assert kernel.refine(structure, initial) == expected
    assert attempts == [0, prime(0), prime(1)]


def test_weights_that_differ_by_a_large_power_of_two_go_to_the_primes_at_once(attempts):
    weights = [1, 1 + 2**64, 1 - 2**65]
    structure = WeightedStructure.from_edges(4, [0, 1, 2], [3, 3, 3], weights)
    assert kernel.refine(structure, FOUR_APART) == Partition.discrete(4)
    assert attempts == [prime(0)]


def test_powers_of_two_that_all_weights_share_confuse_nothing(attempts):
    weights = [2**80, 3 * 2**80, 2**81]
    structure = WeightedStructure.from_edges(4, [0, 1, 2], [3, 3, 3], weights)
    assert kernel.refine(structure, FOUR_APART) == Partition.discrete(4)
    assert attempts == [0]


@pytest.mark.parametrize("shift", [60, 64, 200])
def test_large_powers_of_two_do_not_make_weights_vanish(shift):
    tiny = Fraction(1, 2**shift)
    weights = [1 + tiny, 1, 1 + 2 * tiny, 1 + tiny]
    structure = WeightedStructure.from_edges(5, [0, 1, 2, 3], [4, 4, 4, 4], weights)
    expected = Partition.of([{0, 3}, {1}, {2}, {4}])
    assert kernel.refine(structure, Partition.trivial(5)) == expected


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_answer_does_not_depend_on_the_number_of_threads(threads):
    structure = scatter(5, 40_000, 4, [1, 2, "1/3"])
    expected = worklist.refine([structure], structure.within)
    assert kernel.refine(structure, structure.within, threads=threads) == expected


@pytest.mark.parametrize("path", ["only sweeping", "following"])
def test_sweeping_and_propagating_rounds_give_the_same_partition(path, monkeypatch):
    take(path, monkeypatch)
    n = 3_000
    rng = np.random.default_rng(1)
    targets = np.concatenate([np.arange(1, n), rng.integers(0, n, n // 2)])
    sources = np.concatenate([np.arange(n - 1), rng.integers(0, n, n // 2)])
    marked = Partition((np.arange(n) % 500 == 0).astype(np.int64))
    structure = WeightedStructure.from_edges(n, sources, targets, rng.integers(1, 3, len(targets)))
    assert kernel.refine(structure, marked) == worklist.refine([structure], marked)


def test_propagation_in_small_budgets_gives_the_same_partition(monkeypatch):
    take("in small budgets", monkeypatch)
    structure = scatter(9, 2_000, 2, [1, 2])
    lonely = Partition((np.arange(2_000) == 7).astype(np.int64))
    assert kernel.refine(structure, lonely) == worklist.refine([structure], lonely)


def test_progress_reports_growing_blocks_and_may_stop_the_run():
    structure = scatter(2, 30_000, 3, [1, 2, 5])
    seen: list[tuple[int, int]] = []
    partition = kernel.refine(
        structure, structure.within, progress=lambda b, n: seen.append((b, n))
    )
    assert seen[-1] == (len(partition), structure.n)
    assert seen == sorted(seen)

    def stop(blocks: int, states: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kernel.refine(structure, structure.within, progress=stop)


def test_inputs_are_left_as_they_were():
    structure = scatter(4, 500, 3, [1, 2])
    before = structure.within.labels.copy()
    kernel.refine(structure, structure.within)
    assert np.array_equal(structure.within.labels, before)


def closed(structure: WeightedStructure) -> WeightedStructure:
    return replace(structure, closed=True)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 14))
def test_an_understood_diagonal_refines_like_a_stored_one(seed, n):
    """Rows that are closed to sum zero: self-loops do not matter, the diagonal does."""
    structure = closed(scatter(seed, n, 3, [1, 2, "1/3", 2**70]))
    expected = definition.refine([structure.explicit()], structure.within)
    assert kernel.refine(structure, structure.within) == expected


@pytest.mark.parametrize("path", ["only sweeping", "following"])
def test_an_understood_diagonal_survives_both_kinds_of_rounds(path, monkeypatch):
    take(path, monkeypatch)
    structure = closed(scatter(11, 3_000, 2, [1, 2]))
    lonely = Partition((np.arange(3_000) == 7).astype(np.int64))
    expected = worklist.refine([structure.explicit()], lonely)
    assert kernel.refine(structure, lonely) == expected


@given(
    seed=st.integers(0, 2**32 - 1),
    room=st.sampled_from([0, 1 << 20]),
    data=st.data(),
)
def test_the_compiled_collapse_equals_the_plain_one(seed, room, data):
    n = data.draw(st.integers(1, 12))
    weights = data.draw(st.sampled_from([[1, -1, 2], ["1/3", "1/6"], [2**80, 1]]))
    structure = scatter(seed, n, 3, weights)
    if data.draw(st.booleans()):
        structure = closed(structure)
    partition = Partition(np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))))
    expected = first_rows(structure, partition)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_ROOM", room)
        found = compiled.collapse(structure, partition)
    assert found.closed == structure.closed
    # Where rows are closed, stored self-loops are ignored and may or may not be kept.
    assert found.explicit().equals(expected.explicit())


@pytest.mark.parametrize("transitions", [40, 100, 500])
@pytest.mark.parametrize("hollow", [False, True])
@pytest.mark.parametrize("blocks", [3, 400, 1_000])
@pytest.mark.parametrize("scale", [1, 2**80])
def test_first_members_with_any_number_of_transitions_have_their_columns_in_order(
    transitions, hollow, blocks, scale
):
    """Rows are sorted, or added up block by block where they are long and sums fit 64 bits."""
    n, rng = 2_000, np.random.default_rng(3)
    targets = np.concatenate([rng.permutation(n)[:transitions] for _ in range(5)])
    sources = np.repeat(np.arange(5), transitions)
    weights = [scale * w for w in rng.integers(1, 9, len(targets)).tolist()]
    structure = WeightedStructure.from_edges(n, sources, targets, weights)
    structure = replace(structure, closed=hollow)
    partition = Partition(np.append(np.arange(3), rng.integers(0, blocks, n - 3)))
    found = compiled.collapse(structure, partition)
    for low, high in zip(found.indptr[:-1], found.indptr[1:], strict=True):
        assert (np.diff(found.indices[low:high]) > 0).all()
    assert found.equals(first_rows(structure, partition))


@pytest.mark.parametrize("groups", [1, 2, 3, 20, 1_500])
def test_large_blocks_split_into_any_number_of_groups(groups):
    """Grouping by hash, with and without a group that dominates; states differ by their rates to two others."""
    n = 5_000
    rng = np.random.default_rng(groups)
    sizes = rng.integers(0, groups, n)
    sizes[: n // 2] = 0
    structure = WeightedStructure.from_edges(
        n + 2,
        np.tile(np.arange(n), 2),
        np.repeat([n, n + 1], n),
        1 + np.append(sizes % 50, sizes // 50),
    )
    initial = Partition(np.repeat([0, 1, 2], [n, 1, 1]))
    expected = Partition(np.append(sizes, [groups, groups + 1]))
    assert kernel.refine(structure, initial) == expected


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 12))
def test_weights_too_wide_to_scale_refine_alike(seed, n):
    structure = scatter(seed, n, 3, ["1/3", "2/7", "1/2", "13/21", 1])
    expected = definition.refine([structure], structure.within)
    collapsed = first_rows(structure, expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_array, "_NARROW_BITS", -1)
        assert kernel.refine(structure, structure.within) == expected
        assert refine(structure, engine="rounds").partition == expected
        assert compiled.collapse(structure, expected).equals(collapsed)
        assert disagreement(structure, expected) is None


@pytest.fixture
def dirty_memory(monkeypatch):
    """Arrays that hold anything at first, as memory does that was used before."""

    def dirty(right):
        def make(*arguments):
            arrays, random = right(*arguments), np.random.default_rng(7)
            kept = {"slots"}  # these are zero
            if isinstance(arguments[0], Sweeping):
                kept |= {"labels", "blocks", "parts", "splitters"}  # these are given
            for name, array in zip(arrays._fields, arrays, strict=True):
                if name in kept:
                    continue
                octets = array.reshape(-1).view(np.uint8)
                octets[:] = random.integers(0, 256, len(octets), dtype=np.uint8)
            return arrays

        return make

    monkeypatch.setattr(Sweeping, "over", dirty(Sweeping.over))
    monkeypatch.setattr(Following, "after", dirty(Following.after))


@pytest.mark.parametrize("closed_rows", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_what_memory_held_before_does_not_matter(dirty_memory, path, closed_rows, monkeypatch):
    take(path, monkeypatch)
    structure = scatter(7, 2_000, 3, [1, 2])
    structure = closed(structure) if closed_rows else structure
    start = Partition((np.arange(2_000) % 3 == 0).astype(np.int64))
    assert kernel.refine(structure, start) == worklist.refine([structure.explicit()], start)


def test_small_random_structures_are_refined_as_by_brute_force_on_every_path():
    """A million of them on purpose: random_structures.py beside this file."""
    random_structures.compare(runs=1_200, seed=1)

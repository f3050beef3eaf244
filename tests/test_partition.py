from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import time
import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lumpability.errors import InvalidPartition
from lumpability.partition import Partition

sizes = st.integers(0, 7)
labels = st.lists(st.integers(0, 4), max_size=9)


@st.composite
def partitions(draw, count=1):
    """Draw partitions of the same states."""
    n = draw(sizes)
    drawn = [
        Partition(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))) for _ in range(count)
    ]
    return drawn[0] if count == 1 else drawn


def as_sets(partition):
    return {frozenset(block.tolist()) for block in partition.blocks}


def all_partitions(n):
    """Every partition of n states once, by canonical labels."""
    found = {Partition(list(word)) for word in product(range(max(n, 1)), repeat=n)}
    return sorted(found, key=lambda p: p.labels.tolist())


# Canonical numbering


@given(labels)
def test_blocks_are_numbered_by_first_member(word):
    partition = Partition(word)
    seen = []
    for label in partition.labels.tolist():
        if label not in seen:
            seen.append(label)
    assert seen == list(range(len(partition)))
    assert partition.representatives.tolist() == sorted(partition.representatives.tolist())


@given(
    st.integers(0, 300).flatmap(lambda high: st.lists(st.integers(0, high), max_size=40)),
    st.sampled_from(["uint8", "int16", "uint16", "int32", "int64", "uint64"]),
)
def test_numbers_and_first_members_do_not_depend_on_how_labels_are_stored(word, dtype):
    stored = np.array(word, dtype=np.int64) % min(301, np.iinfo(dtype).max + 1)
    partition = Partition(stored.astype(dtype))
    first = {label: stored.tolist().index(label) for label in stored.tolist()}
    assert partition.representatives.tolist() == sorted(first.values())
    assert [partition.representatives[b] for b in partition.labels] == [
        first[label] for label in stored.tolist()
    ]
    assert partition.labels.dtype == np.int32
    assert partition.representatives.dtype == np.int64
    mask = stored.astype(dtype) % 2 == 1
    assert Partition(mask[::-1]) == Partition(mask[::-1].astype(np.int64))


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 255), st.integers(0, 999)),
        max_size=20,
    )
)
def test_states_are_together_if_they_agree_in_arrays_of_any_dtype(rows):
    dtypes = ("bool", "uint8", "uint8", "int64")
    columns = [[row[i] for row in rows] for i in range(4)]
    keys = [np.array(column, dtype=dtype) for column, dtype in zip(columns, dtypes, strict=True)]
    partition = Partition.by(len(rows), keys)
    for i, j in product(range(len(rows)), repeat=2):
        assert (partition.labels[i] == partition.labels[j]) == (rows[i] == rows[j])


@pytest.mark.parametrize("key", [np.array([0.5, 1.5]), np.array([[0], [1]])])
def test_states_are_told_apart_by_arrays_of_integers_only(key):
    with pytest.raises(InvalidPartition, match="one-dimensional array of integers"):
        Partition.by(2, [key])


@given(labels, st.permutations(range(5)), st.integers(-(2**62), 2**62))
def test_the_names_of_blocks_do_not_matter(word, renaming, shift):
    renamed = [renaming[label] * 3 + shift for label in word]
    assert Partition(word) == Partition(renamed)
    assert hash(Partition(word)) == hash(Partition(renamed))


@given(labels)
def test_every_description_of_a_partition_gives_the_same_one(word):
    partition = Partition(word)
    n = len(word)
    names = [f"s{i}" for i in range(n)]
    blocks = [[names[s] for s in block] for block in partition.blocks]
    assert Partition.of(word, states=n) == partition
    assert Partition.of(np.array(word, dtype=np.int16)) == partition
    assert Partition.of([str(label) for label in word]) == partition
    assert Partition.of(dict(enumerate(word))) == partition
    assert Partition.of(dict(zip(names, word, strict=True)), states=names) == partition
    assert Partition.of(lambda s: word[s], states=n) == partition
    assert Partition.of(reversed(blocks), states=names) == partition
    assert Partition.of(as_sets(partition)) == partition
    assert Partition.of(partition, states=n) is partition


def test_labels_that_numpy_would_confuse_stay_different():
    assert len(Partition.of([1, "1", 1.5, None])) == 4
    assert len(Partition.of([2**53, 2**53 + 1, 0.5])) == 3
    assert len(Partition.of([10**30, 10**30 + 1, 10**30])) == 2
    assert len(Partition.of([2**63, 2**63 + 1, -1])) == 3


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int32, np.uint64, np.int64])
def test_every_integer_dtype_is_a_label(dtype):
    assert Partition(np.array([1, 0, 1], dtype=dtype)) == Partition([0, 1, 0])


def test_labels_of_any_size_and_sign_are_renumbered():
    extremes = np.array([2**63 - 1, -(2**63), 0, -(2**63)])
    assert Partition(extremes).labels.tolist() == [0, 1, 2, 1]
    assert Partition(np.array([2**64 - 1, 0], dtype=np.uint64)).labels.tolist() == [0, 1]


def test_numbering_is_the_same_in_every_process():
    script = (
        "from lumpability.partition import Partition\n"
        "names = [f'state-{i}' for i in range(200)]\n"
        "blocks = [{n for n in names if len(set(n)) % 5 == k} for k in range(5)]\n"
        "p = Partition.of(set(map(frozenset, blocks)), states=names)\n"
        "q = Partition.of(lambda name: frozenset(name), states=names)\n"
        "print(p.labels.tolist(), q.labels.tolist())"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(answers) == 1
    assert len(answers.pop()) > 1000


# What it holds


@given(labels)
@example([])
def test_blocks_are_disjoint_sorted_and_cover_all_states(word):
    partition = Partition(word)
    assert sorted(s for block in partition.blocks for s in block.tolist()) == list(range(len(word)))
    assert all(np.all(np.diff(block) > 0) and len(block) for block in partition.blocks)
    assert [len(b) for b in partition.blocks] == partition.blocks.sizes.tolist()
    assert len(partition) == len(partition.blocks) == len(set(word))
    assert [b[0] for b in partition] == partition.representatives.tolist()


def test_blocks_are_a_sequence():
    blocks = Partition([0, 1, 0, 2]).blocks
    assert blocks[-1].tolist() == [3]
    assert [b.tolist() for b in blocks[:2]] == [[0, 2], [1]]
    for index in (3, -4):
        with pytest.raises(IndexError, match="of a partition with 3 blocks"):
            blocks[index]


def test_a_partition_cannot_be_changed():
    given_labels = np.array([0, 1, 0])
    partition = Partition(given_labels)
    given_labels[:] = 0
    assert partition.labels.tolist() == [0, 1, 0]
    for array in (partition.labels, partition.blocks[0]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(AttributeError):
        partition.labels = np.zeros(3)


@given(partitions(count=2))
def test_equality_is_equality_of_blocks(pair):
    p, q = pair
    assert (p == q) == (as_sets(p) == as_sets(q))
    assert (p != q) == (as_sets(p) != as_sets(q))
    assert p != q or hash(p) == hash(q)
    assert p != as_sets(p)


@given(partitions())
def test_copies_are_equal(partition):
    for other in (pickle.loads(pickle.dumps(partition)), copy.copy(partition)):
        assert other == partition
        assert hash(other) == hash(partition)
    assert copy.deepcopy(partition) == partition


def test_repr_is_one_line_and_short_when_large():
    assert repr(Partition([0, 1, 0])) == "Partition([[0, 2], [1]])"
    assert repr(Partition([])) == "Partition([])"
    assert repr(Partition(np.arange(1000) % 10)) == "Partition(1000 states in 10 blocks)"


# The lattice


@given(partitions(count=2))
def test_refines_means_every_block_lies_inside_one(pair):
    p, q = pair
    assert p.refines(q) == all(any(b <= c for c in as_sets(q)) for b in as_sets(p))


@given(partitions(count=3))
def test_refinement_is_a_partial_order(three):
    p, q, r = three
    assert p.refines(p)
    assert not (p.refines(q) and q.refines(p)) or p == q
    assert not (p.refines(q) and q.refines(r)) or p.refines(r)


@pytest.mark.parametrize("n", range(5))
def test_meet_and_join_are_the_best_bounds_of_all(n):
    everything = all_partitions(n)
    assert len(everything) == [1, 1, 2, 5, 15][n]  # Bell numbers
    for p, q in product(everything, repeat=2):
        below = [r for r in everything if r.refines(p) and r.refines(q)]
        above = [r for r in everything if p.refines(r) and q.refines(r)]
        assert p.meet(q) in below
        assert all(r.refines(p.meet(q)) for r in below)
        assert p.join(q) in above
        assert all(p.join(q).refines(r) for r in above)


@given(partitions(count=3))
def test_the_laws_of_a_lattice(three):
    p, q, r = three
    for one, other in ((Partition.meet, Partition.join), (Partition.join, Partition.meet)):
        assert one(p, p) == p
        assert one(p, q) == one(q, p)
        assert one(p, one(q, r)) == one(one(p, q), r)
        assert one(p, other(p, q)) == p  # absorption
    assert p.refines(q) == (p.meet(q) == p) == (p.join(q) == q)


@given(partitions())
def test_the_trivial_partition_is_the_top_and_the_discrete_one_the_bottom(p):
    top, bottom = Partition.trivial(p.n), Partition.discrete(p.n)
    assert bottom.refines(p)
    assert p.refines(top)
    assert p.meet(top) == p == p.join(bottom)
    assert p.join(top) == top
    assert p.meet(bottom) == bottom
    assert len(top) == min(p.n, 1)
    assert len(bottom) == p.n


@given(partitions(), st.data())
def test_restriction_keeps_who_is_together(p, data):
    chosen = data.draw(st.lists(st.sampled_from(range(p.n)), unique=True) if p.n else st.just([]))
    small = p.restrict(chosen)
    for i, s in enumerate(chosen):
        for j, t in enumerate(chosen):
            assert (small.labels[i] == small.labels[j]) == (p.labels[s] == p.labels[t])


def test_restriction_takes_a_mask():
    p = Partition([0, 1, 0, 2])
    assert p.restrict(np.array([True, False, True, True])) == p.restrict([0, 2, 3])


# Bad input


@pytest.mark.parametrize(
    ("spec", "states", "message"),
    [
        ([{0, 1}, {1}], None, "state 1 is in two blocks"),
        ([[0, 1, 1]], None, "state 1 is listed twice in one block"),
        ([{0, 1}, {3}], None, "state 2 is in no block"),
        ([{0, 1}], 3, "state 2 is in no block"),
        ([{0, 1}, {2}], 2, "state 2 is not a state of the model"),
        ([{"a"}, {"c"}], ["a", "b"], "state 'b' is in no block"),
        ({"a": 0}, ["a", "b"], "state 'b' is in no block"),
        ({"a": 0, "b": 1, "z": 1}, ["a", "b"], "state 'z' is not a state of the model"),
        ({0: "x", 5: "y"}, None, "state 1 is in no block"),
        ([0, 1, 0], 4, "3 labels for 4 states: give one for each"),
        (np.zeros(5, dtype=int), 4, "5 labels for 4 states: give one for each"),
        (np.zeros((2, 2), dtype=int), None, "one-dimensional array of integers, not 2-dimensional"),
        (np.array(7), None, "one-dimensional array of integers, not 0-dimensional"),
        (np.array(7), 1, "one-dimensional array of integers, not 0-dimensional"),
        (lambda s: s, None, "a key function needs states=...: their number or names"),
        (lambda s: [s], 2, "a block must have a hashable name: unhashable type: 'list'"),
        ({0: [1], 1: [1]}, None, "a block must have a hashable name: unhashable type: 'list'"),
        ([0, [1]], None, "a block must have a hashable name: unhashable type: 'list'"),
        ([{0, 1}, 2], None, "blocks must be sets of hashable states: 'int' object is not iterable"),
        ([[[0]], [[1]]], None, "blocks must be sets of hashable states: unhashable type: 'list'"),
        (5, None, "a int does not describe a partition: give a list of sets"),
        (None, 3, "a NoneType does not describe a partition: give a list of sets"),
        (Partition([0, 0]), 3, "the partition has 2 states, the model 3"),
    ],
)
def test_what_is_no_partition_is_refused_with_the_reason(spec, states, message):
    with pytest.raises(InvalidPartition) as caught:
        Partition.of(spec, states=states)
    assert message in str(caught.value)


def test_the_evidence_is_the_state_at_fault():
    with pytest.raises(InvalidPartition) as caught:
        Partition.of([{"up"}, {"up", "down"}])
    assert caught.value.state == "up"


@pytest.mark.parametrize("bad", [[0.5, 1.5], ["a"], np.array([[0, 1]]), np.array([1 + 1j]), 3])
def test_labels_must_be_a_row_of_integers(bad):
    with pytest.raises(InvalidPartition, match="one-dimensional array of integers"):
        Partition(bad)


def test_a_key_function_that_fails_shows_its_own_error():
    with pytest.raises(TypeError, match="unsupported operand"):
        Partition.of(lambda s: s + "x", states=2)


@pytest.mark.parametrize("method", [Partition.refines, Partition.meet, Partition.join])
def test_partitions_of_different_sets_are_not_compared(method):
    with pytest.raises(InvalidPartition, match="of 2 and of 3 states cannot be compared"):
        method(Partition.trivial(2), Partition.trivial(3))


@pytest.mark.parametrize("bad", [[3], [-1], [0.0], [[0]], np.array([True]), ["a"]])
def test_restriction_refuses_what_is_no_state(bad):
    with pytest.raises(InvalidPartition):
        Partition.trivial(3).restrict(bad)


def test_numpy_counts_are_counts():
    assert Partition.of(lambda s: s % 2, states=np.int64(4)) == Partition([0, 1, 0, 1])


# Size


def test_five_million_states_cost_no_python_object_each():
    n = 5_000_000
    array = (np.arange(n, dtype=np.int64) * 2654435761) % 1_000_003
    tracemalloc.start()
    started = time.perf_counter()
    p = Partition.of(array)
    q = Partition.of(array // 10)
    assert p.refines(q)
    assert p.meet(q) == p
    assert hash(p) != hash(q)
    elapsed = time.perf_counter() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(p) == 1_000_003
    assert p.labels.nbytes == 4 * n
    assert peak < 80 * n  # a few arrays; a dictionary of states alone would take 100 bytes each
    assert elapsed < 30  # about two seconds; only a loop over states would take minutes


@pytest.mark.parametrize("labels", [[0, float("nan"), 1], np.array([0, np.nan, np.nan])])
def test_a_missing_label_is_no_label(labels):
    with pytest.raises(InvalidPartition, match="position 1 is missing"):
        Partition.of(labels)


@given(st.lists(st.integers(0, 3), max_size=12))
def test_the_text_of_a_partition_builds_it(labels):
    partition = Partition(labels)
    assert eval(repr(partition), {"Partition": Partition}) == partition

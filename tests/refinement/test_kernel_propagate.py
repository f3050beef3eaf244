"""Rounds that follow what changed: each is one round of the definition, and leaves the arrays in order."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_rounds import EVERYTHING, P, Rounds, begun, one_round, scattered, unfolded, value_of

from lumpability.partition import Partition
from lumpability.refinement import reference
from lumpability.refinement.kernel_arrays import (
    ALONE,
    MEMBER,
    MIXED,
    NAME,
    PRINT,
    SIZE,
    START,
    TOUCHED,
)
from lumpability.refinement.kernel_loops import settle
from lumpability.structure import WeightedStructure
from lumpability.testing import structures

MODULI = [0, P]
MANY = settings(max_examples=max(200, settings.default.max_examples))  # each takes little time

Array = np.ndarray[Any, Any]


@st.composite
def watched(draw: st.DrawFn) -> WeightedStructure:
    """A block that splits into single states, to each of which some of a large block go, most to one.

    Where rows are closed, what leaves these differs as well, and most of it stays inside.
    """
    several, watchers = draw(st.integers(2, 4)), draw(st.integers(4, 20))
    closed, heavy = draw(st.booleans()), draw(st.integers(0, several - 1))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    split, watching = np.arange(several), several + np.arange(watchers)
    sink = several + watchers
    rare = random.integers(0, 3, watchers) == 0
    inner = watchers if closed else 0
    structure = WeightedStructure.from_edges(
        sink + 1,
        np.concatenate([split, watching, random.choice(watching, inner)]),
        np.concatenate(
            [
                np.full(several, sink),
                np.where(rare, random.integers(0, several, watchers), heavy),
                random.choice(watching, inner),
            ]
        ),
        np.concatenate([1 + split, np.ones(watchers, int), random.integers(1, 3, inner)]),
        initial=Partition(np.repeat([0, 1, 2], [several, watchers, 1])),
    )
    return replace(structure, closed=closed)


beginnings = st.tuples(
    st.one_of(unfolded(), watched(), scattered(), structures()),
    st.sampled_from(MODULI),
    st.integers(1, 9),  # the seed
)


def look_through(rounds: Rounds, old_numbers: Array, old_names: Array) -> None:
    """Look at all that is written down after a round that followed what changed."""
    check_blocks(rounds)
    check_new_blocks(rounds, old_numbers)
    check_names(rounds, old_names)
    alone = lone(rounds)
    assert not rounds.arrays.cells[~alone, PRINT].any()
    assert (rounds.arrays.blocks[rounds.numbers[alone], SIZE] == 1).all()


def lone(rounds: Rounds) -> Array:
    """Which states are marked as their whole block."""
    marked: Array = rounds.arrays.cells[:, PRINT] & ALONE > 0
    return marked


def check_blocks(rounds: Rounds) -> None:
    numbers, order = rounds.numbers, rounds.arrays.order
    blocks = rounds.arrays.blocks[: rounds.count]
    sizes = np.bincount(numbers, minlength=rounds.count)
    assert blocks[:, SIZE].tolist() == sizes.tolist()
    assert sizes.all()
    assert sorted(blocks[:, NAME].tolist()) == list(range(rounds.count))
    for number in np.flatnonzero(sizes > 1).tolist():
        behind = order[blocks[number, START] :]
        behind = behind[(behind >= 0) & (behind < len(numbers))]  # sweeps leave other things there
        members = behind[numbers[behind] == number][: sizes[number]]
        assert sorted(members.tolist()) == np.flatnonzero(numbers == number).tolist()


def check_new_blocks(rounds: Rounds, old_numbers: Array) -> None:
    """Those cut off know what they were cut from, and whether what leaves their states differs."""
    numbers, order = rounds.numbers, rounds.arrays.order
    blocks = rounds.arrays.blocks
    assert not blocks[: rounds.fresh, TOUCHED].any()
    assert numbers[numbers < rounds.fresh].tolist() == old_numbers[numbers < rounds.fresh].tolist()
    for number in range(rounds.fresh, rounds.count):
        members = np.flatnonzero(numbers == number)
        assert set(old_numbers[members].tolist()) == {int(blocks[number, TOUCHED] & ~MIXED)}
        start, size = blocks[number, [START, SIZE]].tolist()
        assert sorted(order[start : start + size].tolist()) == members.tolist()
        differs = rounds.structure.closed and len(set(rounds.incoming.totals[members].tolist())) > 1
        assert bool(blocks[number, TOUCHED] & MIXED) == differs
        assert size > 1 or lone(rounds)[members].all()


def check_names(rounds: Rounds, old_names: Array) -> None:
    """A name is new to at most half of a block."""
    names = rounds.names
    new = names >= rounds.fresh
    assert names[~new].tolist() == old_names[~new].tolist()
    assert rounds.moved == np.count_nonzero(new)
    assert set(names[new].tolist()) == set(range(rounds.fresh, rounds.count))
    sizes, old_sizes = np.bincount(names), np.bincount(old_names)
    assert (2 * sizes[names[new]] <= old_sizes[old_names[new]]).all()


@MANY
@given(beginning=beginnings, crowded=st.booleans())
def test_every_round_that_follows_is_a_round_of_the_definition(beginning, crowded):
    """And so it is where ``order`` has no room left, and is packed."""
    rounds = begun(*beginning)
    structure = rounds.structure.explicit()
    partition = one_round(structure, structure.initial)
    assert rounds.partition == partition
    while rounds.moved:
        numbers, names, count = rounds.numbers, rounds.names, rounds.count
        followed = (names >= rounds.fresh) & (np.bincount(names)[names] == 1)
        if crowded:
            rounds.tail = len(rounds.arrays.order)
        rounds.propagate()
        partition = one_round(structure, partition)
        assert rounds.partition == partition
        assert rounds.fresh == count
        assert rounds.tail <= len(rounds.arrays.order)
        assert lone(rounds)[followed].all()
        look_through(rounds, numbers, names)
    assert rounds.count == rounds.fresh
    assert partition == reference.refine(structure, structure.initial)


@MANY
@given(beginning=beginnings)
def test_only_states_that_go_where_a_name_is_new_are_touched(beginning):
    """But for those that are their whole block; and where rows are closed those with a new name, if not all of their block lose the same."""
    rounds = begun(*beginning)
    pointers, entries, bits, _, totals, closed = rounds.incoming
    while rounds.moved:
        touched: set[int] = set()
        for name in range(rounds.fresh, rounds.count):
            renamed = np.flatnonzero(rounds.names == name)
            for state in renamed.tolist():
                row = entries[pointers[state] : pointers[state + 1]].astype(np.uint64)
                touched.update((row >> bits).tolist())
            if closed and len(set(totals[renamed].tolist())) > 1:
                touched.update(renamed.tolist())
        touched -= set(np.flatnonzero(rounds.arrays.cells[:, PRINT] & ALONE).tolist())
        moved = rounds.moved
        rounds.propagate()
        changed = np.count_nonzero(rounds.numbers >= rounds.fresh)
        assert rounds.ratio in {number / moved for number in range(changed, len(touched) + 1)}


@MANY
@given(beginning=beginnings, look=st.one_of(st.just(inf), st.floats(0, 300)))
def test_rounds_go_on_while_they_cost_no_more_than_a_sweep(beginning, look):
    """Where sweeps cost too much, to the end: nothing moves, and the partition is the coarsest stable one."""
    rounds, in_steps = begun(*beginning), begun(*beginning)
    if rounds.moved:
        rounds.propagate(look=look, budget=EVERYTHING)
    while in_steps.moved:
        in_steps.propagate()
        if in_steps.is_dearer(look):
            break
    assert rounds.progress == in_steps.progress
    assert rounds.numbers.tolist() == in_steps.numbers.tolist()
    assert rounds.names.tolist() == in_steps.names.tolist()
    if look == inf:
        structure = rounds.structure
        assert rounds.partition == reference.refine(structure.explicit(), structure.initial)


@MANY
@given(beginning=beginnings, kinds=st.lists(st.booleans()))
def test_sweeps_may_come_between_rounds_that_follow(beginning, kinds):
    """Either kind is a round of the definition, and finds what the other left."""
    rounds = begun(*beginning)
    structure, partition = rounds.structure.explicit(), rounds.partition
    for follows in kinds:
        numbers, names = rounds.numbers, rounds.names
        if follows and rounds.moved:
            rounds.propagate()
            look_through(rounds, numbers, names)
        else:
            names_of_numbers = numbers  # by which sweeps name blocks
            rounds.sweep()
            check_blocks(rounds)
            check_names(rounds, names_of_numbers)
        partition = one_round(structure, partition)
        assert rounds.partition == partition
    rounds.finish()
    assert rounds.partition == reference.refine(structure, structure.initial)


@MANY
@given(beginning=beginnings, several=st.integers(0, 4))
def test_after_settling_sweeps_have_what_they_need_of_blocks(beginning, several):
    rounds = begun(*beginning)
    for _ in range(several):
        if rounds.moved:
            rounds.propagate()
    numbers = rounds.numbers
    settle(rounds.count, rounds.field, rounds.arrays)
    arrays = rounds.arrays
    blocks = arrays.blocks[: rounds.count]
    assert arrays.labels.tolist() == numbers.tolist()
    values = [value_of(number, rounds.field) for number in range(rounds.count)]
    assert arrays.values.tolist() == [values[number] for number in numbers.tolist()]
    assert blocks[:, NAME].tolist() == list(range(rounds.count))
    assert not blocks[:, TOUCHED].any()
    assert numbers[blocks[:, MEMBER]].tolist() == list(range(rounds.count))
    assert arrays.alone.tolist() == (np.bincount(numbers)[numbers] == 1).tolist()


@MANY
@given(beginning=beginnings)
def test_how_many_states_became_their_whole_block_is_counted(beginning):
    """A part that is left behind may be one state as well; that is no part that is new."""
    rounds = begun(*beginning)
    sizes = np.bincount(rounds.numbers)
    assert rounds.lone == np.count_nonzero(sizes == 1)
    while rounds.moved:
        rounds.propagate()
        sizes = np.bincount(rounds.numbers)
        assert rounds.lone == np.count_nonzero(sizes[rounds.fresh :] == 1)


def wired(
    edges: list[tuple[int, int, int]], initial: list[int], *, p: int, closed: bool = False
) -> Rounds:
    sources, targets, weights = zip(*edges, strict=True)
    structure = WeightedStructure.from_edges(
        len(initial), sources, targets, weights, initial=Partition(initial)
    )
    return begun(replace(structure, closed=closed), p, 1)


@pytest.mark.parametrize("p", MODULI)
@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("touched", range(7))
def test_the_larger_of_what_gains_and_what_is_left_keeps_the_name(touched, closed, p):
    """Six states go to 0 or 1, which the sweep tells apart and of which 0 moves."""
    edges = [(0, 8, 1), (1, 8, 2), *((2 + i, int(i >= touched), 1) for i in range(6))]
    rounds = wired(edges, [0, 0, *[1] * 6, 2], p=p, closed=closed)
    assert rounds.names[:2].tolist() == [3, 0]
    rounds.propagate()
    assert np.bincount(rounds.names)[1] == max(touched, 6 - touched)
    assert rounds.moved == min(touched, 6 - touched)
    assert rounds.numbers[2:8].tolist() == [4 if 0 < touched < 6 else 1] * touched + [1] * (
        6 - touched
    )
    rounds.finish()
    assert touched in {0, 6} or rounds.ratio == 0  # where all lose the same, nothing is touched
    assert rounds.partition == Partition([0, 1, *[2] * touched, *[3] * (6 - touched), 4])
    assert lone(rounds).tolist() == (
        [True, True, *[touched == 1] * touched, *[touched == 5] * (6 - touched), True]
    )


@pytest.mark.parametrize("p", MODULI)
@pytest.mark.parametrize("closed", [False, True])
def test_gains_that_cancel_leave_a_state_where_it_is(closed, p):
    """States 4 to 8 go to 0, 1, 2, 3 with weights that sum to zero; the sweep splits 01|23."""
    edges = [(0, 9, 1), (1, 9, 1), (2, 9, 2), (3, 9, 2)]
    edges += [(4, 0, 1), (4, 1, -1), (5, 2, 3), (5, 3, -3), (6, 0, 1), (6, 2, -1)]
    edges += [(7, 1, 2), (7, 0, -1), (7, 3, -1)]
    rounds = wired(edges, [0] * 4 + [1] * 5 + [2], p=p, closed=closed)
    assert rounds.partition == Partition([0, 0, 1, 1, *[2] * 5, 3])
    rounds.propagate()
    assert rounds.partition == Partition([0, 0, 1, 1, 2, 2, 3, 3, 2, 4])
    assert not rounds.arrays.cells[:9, PRINT].any()
    rounds.propagate()
    assert rounds.moved == 0


@pytest.mark.parametrize("p", MODULI)
@pytest.mark.parametrize(("into", "together"), [(1, True), (2, False)])
def test_where_rows_are_closed_only_sums_into_other_blocks_matter(into, together, p):
    """States 0 and 1 are cut off together; what leaves them differs, by what stays between them."""
    edges = [(0, 4, 1), (1, 4, 1), (2, 4, 2), (3, 4, 2), (0, 1, 1), (1, 0, 5)]
    edges += [(0, 2, 1), (1, 3, into)]
    rounds = wired(edges, [0, 0, 0, 0, 1], p=p, closed=True)
    assert rounds.partition == Partition([0, 0, 1, 1, 2])
    rounds.finish()
    assert rounds.partition == Partition([0, 0 if together else 1, 2, 2, 3])


@pytest.mark.parametrize("p", MODULI)
@pytest.mark.parametrize("closed", [False, True])
def test_in_many_rounds_order_is_packed_and_nothing_is_lost(closed, p):
    """Ten states in a line, and five that go to all of these and are touched in every round."""
    line, watching = range(10), range(10, 15)
    edges = [(i, i + 1 if i < 9 else 15, 1) for i in line]
    edges += [(watcher, i, 1 + i) for watcher in watching for i in line]
    rounds = wired(edges, [0] * 10 + [1] * 5 + [2], p=p, closed=closed)
    packed = 0
    while rounds.moved:
        before = rounds.tail
        rounds.propagate()
        check_blocks(rounds)
        packed += rounds.tail < before
    assert packed >= 2
    assert rounds.partition == Partition([*line, *[10] * 5, 11])


@pytest.mark.parametrize("shift", [62, 63, 64, 100])
def test_gains_that_differ_by_a_multiple_of_2_to_the_62_are_told_apart_by_a_prime_only(shift):
    """Values are multiples of 4; a state that goes to 0 by such a weight seems to gain nothing more."""
    edges = [(0, 5, 1), (1, 5, 2), (2, 0, 1 + 2**shift), (3, 0, 1), (4, 0, 1)]
    for p, expected in ((0, [0, 1, 2, 2, 2, 3]), (P, [0, 1, 2, 3, 3, 4])):
        rounds = wired([*edges, (2, 1, -(2**shift))], [0, 0, 1, 1, 1, 2], p=p)
        assert rounds.partition == Partition([0, 1, 2, 2, 2, 3])
        rounds.finish()
        assert rounds.partition == Partition(expected)

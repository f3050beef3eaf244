"""Rounds that follow what changed: each is one round of the definition, and leaves the arrays in order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_rounds import P, Rounds, begun, one_round, scattered, unfolded

from lumpability.partition import Partition
from lumpability.refinement import definition
from lumpability.refinement.kernel.arrays import ALONE, COUNT, LARGEST, SIZE
from lumpability.refinement.kernel.follow import MIXED, NONE, REST, ROLE, START
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
        within=Partition(np.repeat([0, 1, 2], [several, watchers, 1])),
    )
    return replace(structure, closed=closed)


beginnings = st.tuples(
    st.one_of(unfolded(), watched(), scattered(), structures()),
    st.sampled_from(MODULI),
    st.integers(1, 9),  # the seed
)


def look_through(rounds: Rounds, old: Partition) -> None:
    """Look at all that is written down after a round that followed what changed."""
    check_blocks(rounds)
    check_parts(rounds, old)
    check_what_leaves_parts(rounds)


def lone(rounds: Rounds) -> Array:
    """Which states are marked as their whole block."""
    marked: Array = rounds.arrays.labels == ALONE
    return marked


def check_blocks(rounds: Rounds) -> None:
    """No state is marked as touched; there is a number for each block."""
    used, tail = rounds.count, rounds.agenda.tail
    labels, members, blocks = rounds.arrays.labels, rounds.arrays.members, rounds.arrays.blocks
    sizes = np.bincount(labels[~lone(rounds)], minlength=used)
    assert len(sizes) == used
    assert blocks[:used, SIZE].tolist() == sizes.tolist()
    assert rounds.count == len(rounds.partition)
    for number in np.flatnonzero(sizes).tolist():
        assert blocks[number, LARGEST] == 0
        if sizes[number] > 1:
            behind = members[blocks[number, START] : tail if rounds.moved else None]
            behind = behind[(behind >= 0) & (behind < len(labels))]  # fresh memory is behind
            here = behind[labels[behind] == number][: sizes[number]]
            assert sorted(here.tolist()) == np.flatnonzero(labels == number).tolist()
    assert np.count_nonzero(sizes == 0) == np.count_nonzero(lone(rounds))


def check_parts(rounds: Rounds, old: Partition) -> None:
    """All parts of a block are followed but one, so large that none is larger than half of the block."""
    partition, parts = rounds.partition, rounds.parts
    followed = np.zeros(partition.n, dtype=bool)
    for part in parts:
        label = partition.labels[part[0]]
        assert np.flatnonzero(partition.labels == label).tolist() == part.tolist()
        assert not followed[part].any()
        followed[part] = True
        assert 2 * len(part) <= old.blocks.sizes[old.labels[part[0]]]
    assert rounds.moved == followed.sum()
    assert rounds.new == len(parts) == len(partition) - len(old)
    assert len(set(old.labels[~followed].tolist())) == len(old)


def check_what_leaves_parts(rounds: Rounds) -> None:
    """It is known of those that gained, and looked up of what they left."""
    leaving, closed = rounds.incoming.leaving, rounds.structure.closed
    splitters = rounds.arrays.splitters[1 : rounds.agenda.splitters + 1]
    followed = splitters[splitters[:, ROLE] != NONE]
    for (*_, role, _), states in zip(followed.tolist(), rounds.parts, strict=True):
        differs = closed and len(set(leaving[states].tolist())) > 1
        assert role == REST or bool(role & int(MIXED)) == differs


@MANY
@given(beginning=beginnings, crowded=st.booleans())
def test_every_round_that_follows_is_a_round_of_the_definition(beginning, crowded):
    """And so it is where ``members`` has no room left, and is packed."""
    rounds = begun(*beginning)
    structure = rounds.structure.explicit()
    partition = one_round(structure, structure.within)
    assert rounds.partition == partition
    look_through(rounds, structure.within)
    while rounds.moved:
        single = [part[0] for part in rounds.parts if len(part) == 1]
        if crowded:
            rounds.agenda = rounds.agenda._replace(tail=len(rounds.arrays.members))
        rounds.follow()
        old, partition = partition, one_round(structure, partition)
        assert rounds.partition == partition
        assert rounds.agenda.tail <= len(rounds.arrays.members)
        assert lone(rounds)[single].all()
        look_through(rounds, old)
    assert partition == definition.refine([structure], structure.within)


@MANY
@given(beginning=beginnings)
def test_only_states_that_go_to_a_part_that_is_followed_are_touched(beginning):
    """Others keep their block.  Where rows are closed, those of the part are touched too, if not all lose the same."""
    rounds = begun(*beginning)
    pointers, entries, bits, _, leaving, closed = rounds.incoming
    while rounds.moved:
        touched: set[int] = set()
        for part in rounds.parts:
            for state in part.tolist():
                row = entries[pointers[state] : pointers[state + 1]].astype(np.uint64)
                touched.update((row >> bits).tolist())
            if closed and len(set(leaving[part].tolist())) > 1:
                touched.update(part.tolist())
        before = rounds.numbers
        rounds.follow()
        split = [part for part in rounds.parts if not touched.issuperset(part.tolist())]
        # Such a part is what others left, which are all in parts that nobody follows.
        assert all(
            touched.issuperset(np.flatnonzero(_left(part, before, rounds))) for part in split
        )


def _left(part: Array, before: Array, rounds: Rounds) -> Array:
    """Which states had the block of a part, and have another one."""
    left: Array = (before == before[part[0]]) & (rounds.numbers != rounds.numbers[part[0]])
    return left


@MANY
@given(beginning=beginnings)
def test_rounds_go_on_until_nothing_moves(beginning):
    """At once as one after the other; then the partition is the coarsest stable one."""
    rounds, in_steps = begun(*beginning), begun(*beginning)
    rounds.finish()
    while in_steps.moved:
        in_steps.follow()
    assert (rounds.agenda, rounds.count, rounds.moved) == (in_steps.agenda, in_steps.count, 0)
    assert rounds.numbers.tolist() == in_steps.numbers.tolist()
    structure = rounds.structure
    assert rounds.partition == definition.refine([structure.explicit()], structure.within)


@MANY
@given(beginning=beginnings)
def test_how_many_states_became_their_whole_block_is_counted(beginning):
    """A part that is left behind may be one state as well; that is no part that is new."""
    rounds = begun(*beginning)
    assert rounds.lone == np.count_nonzero(np.bincount(rounds.numbers) == 1)
    while rounds.moved:
        rounds.follow()
        splitters = rounds.arrays.splitters[1 : rounds.agenda.splitters + 1]
        assert rounds.lone == np.count_nonzero(
            (splitters[:, ROLE] != NONE) & (splitters[:, COUNT] == 1)
        )


def wired(
    edges: list[tuple[int, int, int]], initial: list[int], *, p: int, closed: bool = False
) -> Rounds:
    sources, targets, weights = zip(*edges, strict=True)
    structure = WeightedStructure.from_edges(
        len(initial), sources, targets, weights, within=Partition(initial)
    )
    return begun(replace(structure, closed=closed), p, 1)


@pytest.mark.parametrize("p", MODULI)
@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("touched", range(7))
def test_the_larger_of_what_gains_and_what_is_left_keeps_the_name(touched, closed, p):
    """Six states go to 0 or 1, which the sweep tells apart and of which 0 moves."""
    edges = [(0, 8, 1), (1, 8, 2), *((2 + i, int(i >= touched), 1) for i in range(6))]
    rounds = wired(edges, [0, 0, *[1] * 6, 2], p=p, closed=closed)
    assert [part.tolist() for part in rounds.parts] == [[0]]
    rounds.follow()
    smaller = list(range(2, 2 + touched) if touched <= 3 else range(2 + touched, 8))
    assert [part.tolist() for part in rounds.parts] == ([smaller] if smaller else [])
    assert rounds.moved == len(smaller)
    rounds.finish()
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
    rounds.follow()
    assert rounds.partition == Partition([0, 0, 1, 1, 2, 2, 3, 3, 2, 4])
    check_blocks(rounds)
    rounds.follow()
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
def test_in_many_rounds_members_are_packed_and_nothing_is_lost(closed, p):
    """Ten states in a line, and five that go to all of these and are touched in every round."""
    line, watching = range(10), range(10, 15)
    edges = [(i, i + 1 if i < 9 else 15, 1) for i in line]
    edges += [(watcher, i, 1 + i) for watcher in watching for i in line]
    rounds = wired(edges, [0] * 10 + [1] * 5 + [2], p=p, closed=closed)
    packed = 0
    while rounds.moved:
        before = rounds.agenda.tail
        rounds.follow()
        check_blocks(rounds)
        packed += rounds.agenda.tail < before
    assert packed >= 1
    assert rounds.partition == Partition([*line, *[10] * 5, 11])


def test_when_members_are_packed_does_not_depend_on_how_many_rounds_are_run_at_a_time():
    """Forty states in a line, and five that are touched in every round."""
    edges = [(i, i + 1 if i < 39 else 45, 1) for i in range(40)]
    edges += [(watcher, i, 1 + i) for watcher in range(40, 45) for i in range(40)]
    at_once, in_steps = (wired(edges, [0] * 40 + [1] * 5 + [2], p=0) for _ in range(2))
    at_once.finish()
    while in_steps.moved:
        in_steps.follow()
    assert at_once.agenda == in_steps.agenda


@pytest.mark.parametrize("shift", [64, 100])
def test_gains_that_differ_by_a_multiple_of_2_to_the_64_are_told_apart_by_a_prime_only(shift):
    """A state that goes to 0 by such a weight seems to gain nothing more."""
    edges = [(0, 5, 1), (1, 5, 2), (2, 0, 1 + 2**shift), (3, 0, 1), (4, 0, 1)]
    for p, expected in ((0, [0, 1, 2, 2, 2, 3]), (P, [0, 1, 2, 3, 3, 4])):
        rounds = wired([*edges, (2, 1, -(2**shift))], [0, 0, 1, 1, 1, 2], p=p)
        assert rounds.partition == Partition([0, 1, 2, 2, 2, 3])
        rounds.finish()
        assert rounds.partition == Partition(expected)

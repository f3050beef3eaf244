"""Chains whose refinement takes a given number of rounds, with small numbers.

First the partitions of all rounds are drawn, as a tree: labels separate the roots, and each round splits some
nodes into parts.  Then the rates are drawn from the top down.  The sum of a group of states into a block is divided
among the parts of the block once these exist.  Groups that the next round separates divide it in different ways;
groups that it keeps together divide it in the same way.  So each round splits exactly the intended nodes.  In the
end every block is unfolded into its states.

Exact lumping compares columns instead of rows, diagonal included.  There one state is alone from the start and
receives the rates that make all exit rates equal, so that the diagonal tells no two states apart.  A strict chain is
a symmetric one on levels: round i separates level i from the levels after it.
"""

from __future__ import annotations

from random import Random

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.markov.chains import CTMC
from lumpability.markov.kinds import KINDS, find_kind
from lumpability.markov.solve.classes import is_irreducible
from lumpability.teaching.exercises.task import Task, rounds_of

LARGEST = 16
"""Largest number of states of an exercise, which is solved by hand."""

_ATTEMPTS = 4000
_ROOTS = {"ordinary": 2, "bisimulation": 2, "exact": 2, "strict": 2, "proportional": 3}
_LABELS = ("start", "goal")
Rates = list[list[int]]
Stages = list[list[int]]
"""For every round but the first, the parent of each node among those of the round before."""


def exercise(kind: str = "ordinary", *, states: int = 6, rounds: int = 3, seed: int = 0) -> Task:
    """Make a chain whose coarsest lumping takes exactly `rounds` rounds of refinement.

    Parameters
    ----------
    kind : {"ordinary", "bisimulation", "exact", "strict", "proportional"}
    states : int
        At most 16.
    rounds : int
        At least 1; two states remain to be merged, so there are at most ``states - 3``
        (``states - 4`` for "proportional").
    seed : int
        The same arguments give the same chain, on every machine.

    Raises
    ------
    InvalidInput
        For an unknown kind, or if there is no such chain; the message says what is possible.

    Examples
    --------
    >>> task = exercise("ordinary", states=6, rounds=3, seed=7)
    >>> task
    Task(ordinary, 6 states, 3 rounds)
    >>> [len(partition) for partition in rounds_of(task.chain, kind="ordinary")]
    [2, 3, 4, 5]
    >>> exercise(states=6, rounds=4)
    Traceback (most recent call last):
        ...
    lumpability.errors.InvalidInput: no ordinary exercise with 6 states has 4 rounds and something to merge: choose 1 to 3 rounds, or more states
    """
    if kind not in _ROOTS:
        known = ", ".join(_ROOTS)
        reason = "has no coarsest lumping to be found" if kind in KINDS else "is not a kind"
        raise InvalidInput(f"{kind!r} {reason}: choose one of {known}", kind=kind)
    most = states - _ROOTS[kind] - 1
    if states > LARGEST or most < 1:
        least = _ROOTS[kind] + 2
        raise InvalidInput(
            f"{kind} exercises have {least} to {LARGEST} states, not {states}", states=states
        )
    if not 1 <= rounds <= most:
        raise InvalidInput(
            f"no {kind} exercise with {states} states has {rounds} rounds and something to merge: "
            f"choose 1 to {most} rounds, or more states",
            rounds=rounds,
            most=most,
        )
    # A text as seed, because its random numbers stay the same over the versions of Python.
    random = Random(f"{kind} {states} {rounds} {seed}")  # noqa: S311 - no secret, an exercise
    for attempt in range(_ATTEMPTS):
        # Deep trees divide their numbers many times, so they need larger ones.
        chain = _candidate(random, kind, states, rounds, top=2 + rounds + attempt // 25)
        if (
            chain is not None
            and is_irreducible(chain)
            and len(found := rounds_of(chain, kind=kind)) == rounds + 1
            and len(found[-1]) < states
        ):
            made = f"exercise --kind {kind} --states {states} --rounds {rounds} --seed {seed}"
            return Task(chain, kind, made)
    raise InvalidInput(  # no arguments are known that lead here
        f"of {_ATTEMPTS} chains drawn none has {rounds} rounds: choose another seed, or fewer rounds",
        rounds=rounds,
        seed=seed,
    )


def _candidate(random: Random, kind: str, states: int, rounds: int, top: int) -> CTMC | None:
    """Draw a chain that usually has the right number of rounds; None if a number is too small to divide.

    Sums into the blocks of the initial partition are at most `top`.
    """
    roots = _ROOTS[kind]
    notion = find_kind(kind)
    if notion.outgoing and notion.incoming:
        owner, rates = _levels(random, states, rounds)
        root_of = [min(level, 1) for level in owner]
    else:
        blocks = random.randint(roots + rounds, min(states - 1, roots + rounds + 2))
        stages = _tree(random, roots, blocks, rounds)
        sums = _staged_sums(random, stages, roots, top)
        if sums is None:
            return None
        alone = notion.incoming  # the first block has one state
        owner = [*range(blocks)]
        owner += [random.randrange(1 if alone else 0, blocks) for _ in range(states - blocks)]
        rates = _unfolded(random, owner, sums)
        root_of = [_ancestor(stages, block) for block in owner]
        if notion.incoming:
            rates = _with_equal_exits(rates)
        if notion.scaled:
            rates = _at_speeds(random, rates)
    if not notion.keeps_jumps:
        for state, row in enumerate(rates):
            row[state] = 0
    order = random.sample(range(states), states)
    shuffled = [[rates[source][target] for target in order] for source in order]
    labels = {
        name: np.array([root_of[state] == root for state in order])
        for root, name in enumerate(_LABELS[-roots + 1 :])
    }
    return CTMC(shuffled, states=[chr(ord("a") + i) for i in range(states)], labels=labels)


def _tree(random: Random, roots: int, leaves: int, rounds: int) -> Stages:
    """Draw the splits of each round, with their numbers of parts; the first node stays whole."""
    pieces = [1] * rounds
    for _ in range(leaves - roots - rounds):
        pieces[random.randrange(rounds)] += 1
    stages: Stages = []
    nodes = roots
    for more in pieces:
        parts = [1] * nodes
        for _ in range(more):
            parts[random.randrange(1, nodes)] += 1
        stages.append([node for node, count in enumerate(parts) for _ in range(count)])
        nodes = len(stages[-1])
    return stages


def _ancestor(stages: Stages, node: int) -> int:
    for parents in reversed(stages):
        node = parents[node]
    return node


def _staged_sums(random: Random, stages: Stages, roots: int, top: int) -> Rates | None:
    """Return for every final block its sums into all final blocks, such that each round splits as drawn."""
    sums = [[random.randint(0, top) for _ in range(roots)] for _ in stages[0]]
    if not _siblings_differ(sums, stages[0]):
        return None
    last = len(stages[-1])
    for number, parents in enumerate(stages):
        # The rows of the groups that the next round separates, or of the final blocks.
        groups = stages[number + 1] if number + 1 < len(stages) else list(range(last))
        rows = [_shared_out(random, sums[own], parents) for own in groups]
        if number + 1 < len(stages) and not _siblings_differ(rows, groups):
            return None
        sums = rows
    return sums


def _siblings_differ(rows: Rates, parents: list[int]) -> bool:
    keys = [(parent, *row) for parent, row in zip(parents, rows, strict=True)]
    return len(set(keys)) == len(keys)


def _shared_out(random: Random, totals: list[int], parents: list[int]) -> list[int]:
    """Divide the sum into every node among its parts, one unit at a time."""
    parts: dict[int, list[int]] = {}
    for part, parent in enumerate(parents):
        parts.setdefault(parent, []).append(part)
    row = [0] * len(parents)
    for parent, total in enumerate(totals):
        for _ in range(total):
            row[random.choice(parts[parent])] += 1
    return row


def _unfolded(random: Random, owner: list[int], sums: Rates) -> Rates:
    """Let every state divide its block's sums among the states of each block."""
    return [_shared_out(random, sums[block], owner) for block in owner]


def _with_equal_exits(columns: Rates) -> Rates:
    """Turn incoming rates into a matrix, and add rates into state 0 that make all row sums equal.

    With equal row sums E, loops included, Q is the matrix minus E on the diagonal, so columns of Q agree
    where those of the matrix do.  State 0 is a block of its own, so no condition holds for its column.
    """
    rates = [list(row) for row in zip(*columns, strict=True)]
    heaviest = max(sum(row[1:]) for row in rates) + 1
    return [[heaviest - sum(row[1:]), *row[1:]] for row in rates]


def _at_speeds(random: Random, rates: Rates) -> Rates:
    speeds = (random.choice((1, 1, 2, 3)) for _ in rates)
    return [[speed * rate for rate in row] for speed, row in zip(speeds, rates, strict=True)]


def _levels(random: Random, states: int, rounds: int) -> tuple[list[int], Rates]:
    """Return a symmetric chain on levels in a line; the states of a level have equal sums into each level.

    Rates out of level 0 are then multiplied by a common factor, so that the chain is not symmetric.
    """
    levels = rounds + 2
    owner = sorted([*range(levels), *random.choices(range(levels), k=states - levels)])
    members = [[s for s in range(states) if owner[s] == level] for level in range(levels)]
    rates = [[0] * states for _ in range(states)]
    for level, here in enumerate(members):
        inside = random.randint(0, 2)
        across = random.randint(1, 3)
        beyond = members[level + 1] if level + 1 < levels else []
        for state in here:
            for other, rate in [*((o, inside) for o in here), *((o, across) for o in beyond)]:
                rates[state][other] = rates[other][state] = rate
        _swapped(random, rates, here, beyond)
    factor = random.randint(1, 3)
    for state in members[0]:
        rates[state] = [factor * rate for rate in rates[state]]
    return owner, rates


def _swapped(random: Random, rates: Rates, here: list[int], beyond: list[int]) -> None:
    """Change the rates between two levels without changing any sum between them."""
    if min(len(here), len(beyond)) < 2:
        return
    (a, b), (c, d) = random.sample(here, 2), random.sample(beyond, 2)
    for state, other, change in ((a, c, 1), (b, d, 1), (a, d, -1), (b, c, -1)):
        rates[state][other] += change
        rates[other][state] += change

"""Chains whose refinement takes exactly so many rounds, with small numbers.

The partitions of all rounds are drawn first, as a tree: the roots are told apart by labels, and in every
round some nodes fall into parts.  Then the rates are drawn from the top down.  What a group of states
sends into a block is shared out among the block's parts once these exist; groups that the next round
separates share it out differently, groups that it keeps together in the same way.  So each round sees
just what it shall see.  In the end every block is unfolded into its states.

Exact lumping sees columns instead of rows, and the diagonal with them; there one state is alone from the
start and takes whatever makes all exit rates equal, so that the diagonal tells no two states apart.  A
strict chain is a symmetric one on levels: round i separates level i from those behind it.
"""

from __future__ import annotations

from random import Random

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.markov.chains import CTMC
from lumpability.markov.kinds import KINDS, find_kind
from lumpability.markov.solve.classes import is_irreducible
from lumpability.teaching.exercises.task import Task, rounds_of

__all__ = ["LARGEST", "exercise"]

LARGEST = 16
"""Most states of an exercise: it is done by hand."""

_ATTEMPTS = 4000
_ROOTS = {"ordinary": 2, "bisimulation": 2, "exact": 2, "strict": 2, "proportional": 3}
_LABELS = ("start", "goal")
Rates = list[list[int]]
Stages = list[list[int]]
"""For every round but the first, the parent of each node among those of the round before."""


def exercise(kind: str = "ordinary", *, states: int = 6, rounds: int = 3, seed: int = 0) -> Task:
    """Make a chain whose coarsest lumping is reached in exactly so many rounds of refinement.

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

    Returns
    -------
    Task

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
        reason = "has no coarsest lumping to be found" if kind in KINDS else "is no kind"
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
    # A text as seed, because Python keeps what follows from it the same over its versions.
    random = Random(f"{kind} {states} {rounds} {seed}")  # noqa: S311 - no secret, an exercise
    for attempt in range(_ATTEMPTS):
        # Deep trees share their numbers out many times: larger ones come to the end.
        chain = _candidate(random, kind, states, rounds, top=2 + rounds + attempt // 25)
        if (
            chain is not None
            and is_irreducible(chain)
            and len(found := rounds_of(chain, kind=kind)) == rounds + 1
            and len(found[-1]) < states
        ):
            made = f"exercise --kind {kind} --states {states} --rounds {rounds} --seed {seed}"
            return Task(chain, kind, made)
    raise InvalidInput(  # no arguments are known that come here
        f"of {_ATTEMPTS} chains drawn none has {rounds} rounds: choose another seed, or fewer rounds",
        rounds=rounds,
        seed=seed,
    )


def _candidate(random: Random, kind: str, states: int, rounds: int, top: int) -> CTMC | None:
    """Draw a chain that has the right number of rounds, as a rule; None where numbers ran out.

    Sums into the blocks of the start are at most `top`.
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
    """Draw which nodes fall into how many parts in which round; the first node stays whole."""
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
    """Return for every final block its sums into all final blocks, so that each round does its part."""
    sums = [[random.randint(0, top) for _ in range(roots)] for _ in stages[0]]
    if not _siblings_differ(sums, stages[0]):
        return None
    last = len(stages[-1])
    for number, parents in enumerate(stages):
        # Rows are those of the groups that the round after this one tells apart, or of the final blocks.
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
    """Share the sum into every node out among its parts, one unit after the other."""
    parts: dict[int, list[int]] = {}
    for part, parent in enumerate(parents):
        parts.setdefault(parent, []).append(part)
    row = [0] * len(parents)
    for parent, total in enumerate(totals):
        for _ in range(total):
            row[random.choice(parts[parent])] += 1
    return row


def _unfolded(random: Random, owner: list[int], sums: Rates) -> Rates:
    """Let every state share its block's sums out among the states of each block."""
    return [_shared_out(random, sums[block], owner) for block in owner]


def _with_equal_exits(columns: Rates) -> Rates:
    """Turn what states receive into rates, and let state 0 receive what makes all rows equally heavy.

    With equal row sums E, loops included, Q is the matrix less E on the diagonal, so that columns of Q
    agree where those of the matrix do.  State 0 is a block of its own: nothing is asked of its column.
    """
    rates = [list(row) for row in zip(*columns, strict=True)]
    heaviest = max(sum(row[1:]) for row in rates) + 1
    return [[heaviest - sum(row[1:]), *row[1:]] for row in rates]


def _at_speeds(random: Random, rates: Rates) -> Rates:
    speeds = (random.choice((1, 1, 2, 3)) for _ in rates)
    return [[speed * rate for rate in row] for speed, row in zip(speeds, rates, strict=True)]


def _levels(random: Random, states: int, rounds: int) -> tuple[list[int], Rates]:
    """Return a symmetric chain on levels in a line, each state as tied to its neighbours as the next.

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
    """Vary the rates between two levels, keeping every sum between them."""
    if min(len(here), len(beyond)) < 2:
        return
    (a, b), (c, d) = random.sample(here, 2), random.sample(beyond, 2)
    for state, other, change in ((a, c, 1), (b, d, 1), (a, d, -1), (b, c, -1)):
        rates[state][other] += change
        rates[other][state] += change

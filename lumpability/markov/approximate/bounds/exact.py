"""Exact answers on the blocks of a small lumping: linear systems in rationals, whose solutions prove both ends.

With at most 64 blocks that part what is asked about, an interval is a point for every start.  Nothing depends on
floating point, so rates may lie apart as far as they will.
"""

from __future__ import annotations

from fractions import Fraction

from lumpability.certificate.bounds.vector import Vector
from lumpability.markov.approximate.bounds.ends import Ends, Task
from lumpability.markov.solve.classes import recurrent_classes
from lumpability.markov.solve.linear import solve_exact
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition

Rows = list[dict[int, Fraction]]

_ONE = Fraction(1)


def exactly(task: Task) -> Ends | None:
    """Return the exact ends of a question about no time; None for other partitions, and where an end is infinite."""
    rows, kind = task.view.negated_generator, task.asked.kind
    if rows is None:
        return None
    first = task.partition.representatives
    earning = None if kind == "hitting" else task.asked.earning(task.parts)
    if earning is not None and not task.partition.refines(Partition(earning.codes)):
        return None
    rewards = [Fraction(0)] * len(rows) if earning is None else list(earning.take(first))
    if kind in ("hitting", "expected"):
        vectors = _until(task, rows, rewards)
    else:
        vectors = _averages(task, rows, rewards)
    if vectors is None:
        return None
    ends = task.proved_both(vectors, vectors)
    return ends if ends.are_known else None


def _until(task: Task, rows: Rows, rewards: list[Fraction]) -> tuple[Vector, ...] | None:
    """Solve -Q v = g where the target can still be reached."""
    goal = task.asked.goal(task.parts)
    never = task.never
    assert never is not None
    if not task.partition.refines(Partition(goal + 2 * never)):
        return None
    on_arrival = Fraction(task.asked.kind == "hitting")
    system, right = [], []
    for block, x in enumerate(task.partition.representatives.tolist()):
        fixed = goal[x] or never[x]
        system.append({block: _ONE} if fixed else dict(rows[block]))
        right.append(rewards[block] if not fixed else on_arrival if goal[x] else Fraction(0))
    return (_vector(solve_exact(system, right)),)


def _averages(task: Task, rows: Rows, rewards: list[Fraction]) -> tuple[Vector, ...] | None:
    """Solve c - Q v = g in every recurrent class, and -Q h = 0, h - Q v = g in transient blocks."""
    labels = task.partition.labels
    classes = {tuple(sorted({*labels[x].tolist()})) for x in recurrent_classes(task.chain)}
    if task.asked.kind == "stationary" and len(classes) > 1:
        return None
    levels, biases = [Fraction(0)] * len(rows), list(rewards)
    level_rows, bias_rows = ([dict(row) for row in rows] for _ in range(2))
    for blocks in sorted(classes):
        place = {block: i for i, block in enumerate(blocks)}
        system = [{place[c]: q for c, q in rows[b].items()} | {len(blocks): _ONE} for b in blocks]
        earned = [*(rewards[b] for b in blocks), Fraction(0)]
        *bias, average = solve_exact([*system, {0: _ONE}], earned)
        for block, value in zip(blocks, bias, strict=True):
            levels[block], biases[block] = average, value
            level_rows[block] = bias_rows[block] = {block: _ONE}
    found = solve_exact(level_rows, levels)
    inside = {block for blocks in classes for block in blocks}
    right = [v if b in inside else v - found[b] for b, v in enumerate(biases)]
    vectors = _vector(found), _vector(solve_exact(bias_rows, right))
    return vectors[1:] if task.asked.kind == "stationary" else vectors


def _vector(numbers: list[Fraction]) -> Vector:
    return Vector.of(ExactArray.of_values(range(len(numbers)), numbers))

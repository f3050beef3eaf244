"""Refinement towards one answer: split the blocks that contribute most to the width, until it is small.

Each round marks the fewest blocks that contribute a share theta of the width (Dörfler 1996, for finite elements) and
cuts each of them in two, between the scores of members that are closest to the middle of their range.  The
partition is small for this question; for another one it may be useless.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lumpability.errors import InvalidInput, NoConvergence
from lumpability.markov.approximate.bounds.ends import Task
from lumpability.markov.approximate.bounds.width import Width, timed_width
from lumpability.markov.approximate.bounds.width_average import average_width
from lumpability.markov.approximate.bounds.width_until import reaching_width
from lumpability.markov.solve.classes import recurrent_classes
from lumpability.partition import Partition

_WIDTHS = {
    "transient": timed_width,
    "time_bounded": timed_width,
    "stationary": average_width,
    "long_run": average_width,
    "hitting": reaching_width,
    "expected": reaching_width,
}
_SHARE = 0.35
_APART = 1e-12  # of scores, relative to the largest of all
_MOST_VALUES = 64


def starting_partition(task: Task) -> Partition:
    """Return the coarsest partition that a refinement begins with.

    It parts what is averaged, if that has few values; the target, and the states that cannot reach it; for averages
    the recurrent classes.
    """
    if task.asked.kind in ("hitting", "expected"):
        assert task.never is not None
        return Partition(task.asked.goal(task.parts) + 2 * task.never)
    earning = task.asked.earning(task.parts)
    few = len(earning.values) <= _MOST_VALUES
    parted = Partition(earning.codes) if few else Partition.trivial(task.chain.n)
    return parted if task.asked.time is not None else parted.meet(_classes(task))


def question_needs_start(task: Task) -> bool:
    """Whether the answer of a question depends on the start; that of an average only with several recurrent classes."""
    if task.asked.kind == "long_run":
        return len(recurrent_classes(task.chain)) > 1
    return task.asked.kind != "stationary"


def _classes(task: Task) -> Partition:
    """Return the recurrent classes of the chain and its other states."""
    classes = recurrent_classes(task.chain)
    if task.asked.kind == "stationary" and len(classes) > 1:
        raise InvalidInput(
            f"the chain has {len(classes)} recurrent classes, whose averages are apart: ask for a LongRun",
            classes=len(classes),
        )
    labels = np.zeros(task.chain.n, dtype=np.int64)
    for number, states in enumerate(classes, start=1):
        labels[states] = number
    return Partition(labels)


def refined_for(
    task: Task,
    wanted: float,
    answered: Callable[[Task], float],
    progress: Callable[[int, int], None] | None = None,
) -> Task:
    """Refine the partition of a task until the proved half-width is as wanted.

    - wanted: the half-width, relative to the `size` of the width
    - answered (callable): returns the half-width that is proved for a task; called once the width in floating
      point is small enough
    - progress (callable): called with (blocks so far, states); an exception from it stops the refinement

    Raises `NoConvergence` if no block can be split any more; carries ``residual``, the half-width.
    """
    find = _WIDTHS[task.asked.kind]
    sought = wanted
    while True:
        width = find(task)
        if width.half <= sought * width.size:
            if answered(task) <= wanted * width.size:
                return task
            sought = 0.9 * width.half / width.size
        partition = split(task.partition, width)
        if len(partition) == len(task.partition):
            raise NoConvergence(
                f"no block can be split any more, and the half-width is {width.half:.1e}: ask for a larger error",
                residual=width.half,
            )
        task = task.on(partition)
        if progress is not None:
            progress(len(partition), task.chain.n)


def split(partition: Partition, width: Width) -> Partition:
    """Cut in two the fewest blocks that contribute a share of the width.

    Examples
    --------
    >>> width = Width(1.0, 1.0, np.array([0.9, 0.1]), np.array([1.0, 4.0, 5.0, 0.0]))
    >>> split(Partition([0, 0, 0, 1]), width)
    Partition([[0], [1, 2], [3]])
    """
    contribution = width.contribution
    if not contribution.sum() > 0:  # nothing is known: an end is missing
        contribution = np.ones(len(partition))
    order = np.argsort(-contribution, kind="stable")
    sums = np.cumsum(contribution[order])
    labels, count = partition.labels.astype(np.int64), len(partition)
    apart = _APART * float(np.abs(width.score).max(initial=0.0))
    wanted = _SHARE * float(sums[-1])
    covered = 0.0
    for block in order.tolist():
        if covered >= wanted:
            break
        members = partition.blocks[block]
        scores = np.unique(width.score[members])
        gaps = np.flatnonzero(np.diff(scores) > apart)
        if not len(gaps):
            continue
        middles = (scores[gaps] + scores[gaps + 1]) / 2
        cut = middles[np.argmin(np.abs(middles - (scores[0] + scores[-1]) / 2))]
        labels[members[width.score[members] > cut]] = count
        count += 1
        covered += float(contribution[block])
    return Partition(labels)

"""From questions to intervals: exact systems where they are small, else a search, and the certificate of what it found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from lumpability.certificate.bounds.certificate import BoundCertificate
from lumpability.certificate.bounds.proofs import HULL, MEMBERS
from lumpability.errors import InvalidInput, NoConvergence
from lumpability.markov.approximate.bounds.ends import Ends, Progress, Task
from lumpability.markov.approximate.bounds.exact import exactly
from lumpability.markov.approximate.bounds.interval import Interval, float_inside, outward
from lumpability.markov.approximate.bounds.longrun import average_ends, long_run_ends
from lumpability.markov.approximate.bounds.reaching import reaching_ends
from lumpability.markov.approximate.bounds.timed import estimates_at, evolution, timed_ends
from lumpability.markov.approximate.tolerance import read_positive_share
from lumpability.partition import Partition
from lumpability.version import __version__

Over = Literal["hull", "members"]
StepProgress = Callable[[int, int], None]

_FINE = 1e-12
_SEARCHES = {
    "stationary": average_ends,
    "long_run": long_run_ends,
    "hitting": reaching_ends,
    "expected": reaching_ends,
}


def at_times(
    tasks: Sequence[Task], over: Over | None, progress: StepProgress | None
) -> list[Interval]:
    """Answer questions that differ in their times alone, in one pass over the longest."""
    if over not in (None, HULL, MEMBERS):
        raise InvalidInput(f"over is 'hull' or 'members', not {over!r}", over=over)
    if not tasks:
        return []
    recursion = evolution(max(tasks, key=lambda task: task.asked.time or 0), over)
    times = [task.asked.time or Fraction(0) for task in tasks]
    found = timed_ends(recursion, times, progress=progress)
    return [
        _interval(task, ends, estimate, rate=recursion.rate, over=recursion.over)
        for task, ends, estimate in zip(tasks, found, estimates_at(tasks[0], times), strict=True)
    ]


def at_no_time(task: Task, accuracy: Any, progress: Progress | None) -> Interval:
    """Answer a question about an average or a target; small chains exactly where floating point finds no proof."""
    wanted = None if accuracy is None else float(read_positive_share(accuracy, "accuracy"))
    ends = exactly(task)
    if ends is not None:
        return _interval(task, ends)
    search = _SEARCHES[task.asked.kind]
    try:
        with np.errstate(all="ignore"):  # overflow proves nothing, and is noticed there
            if wanted is None and task.is_of_quotient:
                with suppress(
                    NoConvergence
                ):  # blocks that move alike leave nothing to an adversary
                    return _interval(task, *search(task, accuracy=_FINE, progress=progress))
            found, estimate = search(task, accuracy=wanted, progress=progress)
        return _interval(task, found, estimate)
    except NoConvergence:
        ends = exactly(task.on(Partition.discrete(task.chain.n)))
        if ends is None:
            raise
    return _interval(task, ends)


def _interval(
    task: Task,
    ends: Ends,
    estimate: float = float("nan"),
    *,
    rate: Fraction | None = None,
    over: str = MEMBERS,
) -> Interval:
    """Return the interval of two ends, rounded outward to numbers of moderate length."""
    if ends.lower is None or ends.upper is None:
        raise NoConvergence(
            "no vector was found that proves both ends: rates lie too far apart for floating point",
            residual=float("inf"),
            lower=ends.lower,
            upper=ends.upper,
        )
    width = ends.upper - ends.lower
    lower = outward(ends.lower, up=False, width=width)
    upper = outward(ends.upper, up=True, width=width)
    certificate = BoundCertificate(
        task.view.digest,
        task.asked,
        task.partition,
        rate,
        over,
        lower,
        upper,
        ends.below,
        ends.above,
        __version__,
    )
    inside = float_inside(lower, upper, estimate)
    return Interval(lower, upper, inside, str(task.asked), certificate)

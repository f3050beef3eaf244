"""A sweep by one thread; loops that threads run together, see `kernel_team`: a sweep's, and the check of the result."""

from __future__ import annotations

from typing import Any

from lumpability.refinement.kernel_check import first_unstable
from lumpability.refinement.kernel_compile import FIRST, compiled
from lumpability.refinement.kernel_loops import fingerprint_rows
from lumpability.refinement.kernel_split import (
    are_few,
    cut,
    expect,
    find_different,
    move_different,
    write_values,
)
from lumpability.refinement.kernel_team import (
    FOURTH,
    HIGH,
    KIND,
    LOW,
    RESULT,
    THIRD,
    add,
    finish,
    next_range,
)

__all__ = ["FINGERPRINT", "FIND_DIFFERENT", "MOVE", "check_together", "sweep", "sweep_together"]

FINGERPRINT, FIND_DIFFERENT, MOVE = range(3)


@compiled
def sweep(count: Any, segments: Any, rows: Any, field: Any, arrays: Any) -> Any:
    """Sweep over all states; returns what `cut` does.  ``segments`` int64 (1, 2) is scratch."""
    states = len(arrays.alone)
    fingerprint_rows(FIRST, states, count, FIRST, rows, field, arrays)
    expect(count, arrays)
    segments[0, 0], segments[0, 1] = 0, find_different(FIRST, states, arrays)
    result = cut(count, segments, field, arrays)
    move_different(FIRST, segments[0, 1], count, result[0], field, arrays)
    if are_few(count, arrays) and not are_few(result[0], arrays):
        write_values(result[0], field, arrays)
    return result


@compiled
def sweep_together(board: Any, ranges: Any, stays: Any, rows: Any, field: Any, arrays: Any) -> None:
    """Run what the board says on ranges of states or of the list; the results are those of the loop."""
    while True:
        i = next_range(board, stays)
        if i < 0:
            return
        low, high, kind = ranges[i, LOW], ranges[i, HIGH], board[KIND]
        if kind == FINGERPRINT:
            fingerprint_rows(low, high, ranges[i, THIRD], i, rows, field, arrays)
        elif kind == FIND_DIFFERENT:
            ranges[i, RESULT] = find_different(low, high, arrays)
        else:
            move_different(low, high, ranges[i, THIRD], ranges[i, FOURTH], field, arrays)
        finish(board)


@compiled
def check_together(
    board: Any, ranges: Any, stays: Any, rows: Any, p: Any, labels: Any, first: Any,
    desks: Any, taken: Any,
) -> None:  # fmt: skip
    """Check ranges of states; the result of each is its first state whose sums differ, or -1.

    ``desks`` uint64 (threads, blocks) is scratch, zero before and after, of which each thread takes a row;
    ``taken`` int64 (1) is how many have, zero before.
    """
    sums = desks[add(taken, 0, 1)]
    while True:
        i = next_range(board, stays)
        if i < 0:
            return
        low, high = ranges[i, LOW], ranges[i, HIGH]
        ranges[i, RESULT] = first_unstable(low, high, rows, p, labels, first, sums)
        finish(board)

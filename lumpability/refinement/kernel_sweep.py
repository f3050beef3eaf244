"""Loops that threads run together, see `kernel_team`: those of a sweep, and the check of the result."""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_check import first_unstable
from lumpability.refinement.kernel_compile import allocating, compiled
from lumpability.refinement.kernel_loops import fingerprint_rows
from lumpability.refinement.kernel_split import find_different, move_different
from lumpability.refinement.kernel_team import (
    FOURTH,
    HIGH,
    KIND,
    LOW,
    RESULT,
    THIRD,
    finish,
    next_range,
)

__all__ = ["FINGERPRINT", "FIND_DIFFERENT", "MOVE", "check_together", "sweep_together"]

FINGERPRINT, FIND_DIFFERENT, MOVE = range(3)


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


@allocating
def check_together(
    board: Any, ranges: Any, stays: Any, rows: Any, p: Any, labels: Any, first: Any
) -> None:
    """Check ranges of states; the result of each is its first state whose sums differ, or -1."""
    sums = np.zeros(len(first[0]) - 1, dtype=np.uint64)
    while True:
        i = next_range(board, stays)
        if i < 0:
            return
        low, high = ranges[i, LOW], ranges[i, HIGH]
        ranges[i, RESULT] = first_unstable(low, high, rows, p, labels, first, sums)
        finish(board)

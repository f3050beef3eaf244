"""Loops of the kernel that threads run together, see `kernel_team`: a sweep, and the check of the result."""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.refinement.kernel_check import first_unstable
from lumpability.refinement.kernel_compile import allocating, compiled
from lumpability.refinement.kernel_loops import fingerprint_blocks, fingerprint_rows
from lumpability.refinement.kernel_split import find_parts_of_blocks, move_parts
from lumpability.refinement.kernel_team import (
    HIGH,
    KIND,
    LOW,
    RESULT,
    THIRD,
    finish,
    next_range,
)

__all__ = [
    "FINGERPRINT_BLOCKS",
    "FINGERPRINT_ROWS",
    "FIND_PARTS",
    "MOVE_PARTS",
    "check_together",
    "sweep_together",
]

FINGERPRINT_ROWS, FINGERPRINT_BLOCKS, FIND_PARTS, MOVE_PARTS = range(4)


@compiled
def sweep_together(board: Any, ranges: Any, stays: Any, rows: Any, field: Any, arrays: Any) -> None:
    """Run what the board says on ranges of rows or blocks; the results are those of the loop."""
    while True:
        i = next_range(board, stays)
        if i < 0:
            return
        low, high, kind = ranges[i, LOW], ranges[i, HIGH], board[KIND]
        if kind == FINGERPRINT_ROWS:
            fingerprint_rows(low, high, rows, field, arrays)
        elif kind == FINGERPRINT_BLOCKS:
            fingerprint_blocks(low, high, rows, field, arrays)
        elif kind == FIND_PARTS:
            parts, states = find_parts_of_blocks(low, high, ranges[i, THIRD], arrays)
            ranges[i, RESULT], ranges[i, RESULT + 1] = parts, states
        else:
            move_parts(low, high, field, arrays)
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

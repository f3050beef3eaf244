"""The bundles of arrays that the compiled loops of the kernel share.

For n states and m transitions:

* `Rows`: ``indptr`` int64 (n + 1), ``indices`` int32 (m), ``codes`` uint (m); ``table`` uint64 holds the residue
  of every distinct weight modulo p.  If ``closed``, diagonal entries are ignored and every row is
  understood to have the one that makes it sum to zero.
* `Incoming`: the transposed rows of the states that share a block; ``entries`` int32 (m', 2) holds source and
  code of the weight; ``totals`` what leaves each state, if ``closed``.
* `Field`: the prime p, its Montgomery inverse, the seed of block values, and how many products of a
  weight and a value may be summed before they must be reduced.
* `Arrays`: per state in ``cells`` its fingerprint (with two marks above it) and its spot, the number of its
  block and its place in ``order``; ``values``, the value of its block; ``alone``, whether it is its whole
  block (such states cannot split and are skipped).  Per block in ``blocks`` its range of ``order`` and how many
  of its states were touched.  ``renamed`` and ``changes``: the states that moved to another block in this
  round, and the difference of the two values.  ``keys``, ``group_keys``, ``groups``, ``slots``, ``parts``, ``touched``:
  room for grouping and for lists of parts and of states.

What is used together lies together in memory: one cache miss instead of three.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "ALONE",
    "CODE",
    "END",
    "MARKED",
    "PRINT",
    "SOURCE",
    "SPOT",
    "START",
    "TOUCHED",
    "Arrays",
    "Field",
    "Incoming",
    "Rows",
]

PRINT, SPOT = 0, 1  # columns of cells; a spot is block + 2^32 place
ALONE, MARKED = (
    np.uint64(1 << 63),
    np.uint64(1 << 62),
)  # marks of a fingerprint, which is below 2^61
START, END, TOUCHED = 0, 1, 2  # columns of blocks
SOURCE, CODE = 0, 1  # columns of entries


class Rows(NamedTuple):
    """Compressed rows; see the module."""

    indptr: Any
    indices: Any
    codes: Any
    table: Any
    closed: bool


class Incoming(NamedTuple):
    """Compressed transposed rows; see the module."""

    indptr: Any
    entries: Any
    table: Any
    totals: Any
    closed: bool


class Field(NamedTuple):
    """A prime field and pseudo-random values in it; see the module."""

    p: np.uint64
    inverse: np.uint64
    seed: np.uint64
    step: int


class Arrays(NamedTuple):
    """The state of a refinement; see the module."""

    cells: Any
    values: Any
    alone: Any
    order: Any
    blocks: Any
    renamed: Any
    changes: Any
    keys: Any
    group_keys: Any
    groups: Any
    slots: Any
    parts: Any
    touched: Any

    @classmethod
    def for_states(cls, n: int) -> Arrays:
        """Room for the refinement of n states, not initialised."""
        return cls(
            cells=np.empty((n, 2), dtype=np.uint64),
            values=np.empty(n, dtype=np.uint64),
            alone=np.empty(n, dtype=np.bool_),
            order=np.empty(n, dtype=np.int32),
            blocks=np.empty((n, 4), dtype=np.int32),  # the fourth aligns them to cache lines
            renamed=np.empty(n, dtype=np.int32),
            changes=np.empty(n, dtype=np.uint64),
            keys=np.empty(n, dtype=np.uint64),
            group_keys=np.empty(n, dtype=np.uint64),
            groups=np.empty((n, 3), dtype=np.int32),
            slots=np.empty(3 * n, dtype=np.int32),
            parts=np.empty((n, 3), dtype=np.int32),
            touched=np.empty(n + 1, dtype=np.int32),  # one more, see `propagate`
        )

"""The bundles of arrays that the compiled loops of the kernel share.

For n states and m transitions:

* `Rows`: ``indptr`` int64 (n + 1), ``indices`` int32 (m), ``codes`` uint (m); ``table`` uint64 holds the residue
  of every distinct weight modulo p.  If ``closed``, diagonal entries are ignored and every row is
  understood to have the one that makes it sum to zero.
* `Incoming`: the transposed rows of the states that share a block; ``entries`` uint (m') holds source x 2^bits +
  code of the weight; ``totals`` what leaves each state, if ``closed``.
* `Field`: the prime p, its Montgomery inverse, the seed of block values, and how many products of a
  weight and a value may be summed before they must be reduced.
* `Arrays`: per state in ``cells`` its fingerprint (with two marks above it) and its spot, the number of its
  block and its place in ``order``; ``values``, the value of its block; ``alone``, whether it is its whole
  block (such states cannot split and are skipped).  Per block in ``blocks`` its range of ``order``, how many
  of its states were touched, and the block it was cut from.  ``touched``: a list of states or blocks;
  ``renamed``: the states that moved to another block in this round.
  ``keys``, ``spare_keys``, ``spare_order``, ``counters``: room for grouping.

The first four, which every state uses, are one piece of memory that comes in large pages: fresh memory is
handed out by the page, which costs more than what is done with it.  Of the others only what blocks and
moving states need is ever touched.

What is used together lies together in memory: one cache miss instead of three.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "ALONE",
    "END",
    "MARKED",
    "OLD",
    "PRINT",
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
START, END, TOUCHED, OLD = 0, 1, 2, 3  # columns of blocks

_LARGE_PAGE = 1 << 21  # bytes


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
    bits: np.uint64
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
    order: Any
    alone: Any
    blocks: Any
    keys: Any
    touched: Any
    renamed: Any
    spare_keys: Any
    spare_order: Any
    counters: Any

    @classmethod
    def for_states(cls, n: int) -> Arrays:
        """Room for the refinement of n states, not initialised."""
        shapes = {
            "cells": ((n, 2), np.uint64),
            "values": ((n,), np.uint64),
            "order": ((n,), np.int32),
            "alone": ((n,), np.bool_),
        }
        return cls(
            **_carve(shapes),
            blocks=np.empty((n, 4), dtype=np.int32),
            keys=np.empty(n, dtype=np.uint64),
            touched=np.empty(n + 1, dtype=np.int32),  # one more, see `_touch`
            renamed=np.empty(n, dtype=np.int32),
            spare_keys=np.empty(n, dtype=np.uint64),
            spare_order=np.empty(n, dtype=np.int32),
            counters=np.empty(n // 2 + 1, dtype=np.int32),
        )


def _carve(shapes: dict[str, tuple[tuple[int, ...], Any]]) -> dict[str, Any]:
    """Return arrays that lie one after another in one piece of memory.

    numpy asks for large pages if a piece has some, and they begin where large pages do.
    """
    sizes = [prod(shape) * np.dtype(dtype).itemsize for shape, dtype in shapes.values()]
    ends = np.cumsum(sizes).tolist()
    room = np.empty(ends[-1] + _LARGE_PAGE, dtype=np.uint8)
    begin = -room.ctypes.data % _LARGE_PAGE
    starts = [begin, *(begin + end for end in ends[:-1])]
    return {
        name: room[start : start + size].view(dtype).reshape(shape)
        for (name, (shape, dtype)), start, size in zip(shapes.items(), starts, sizes, strict=True)
    }

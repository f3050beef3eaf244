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
  block (such states cannot split and are skipped).  Per block in ``blocks`` its range of ``order``, how many
  of its states were touched, and the block it was cut from.  ``touched``: a list of states or blocks;
  ``renamed``: the states that moved to another block in this round.
  ``keys``, ``spare_keys``, ``spare_order``, ``counters``: room for grouping.

All of `Arrays` is one piece of memory: fresh memory is handed out by the page, which costs more than what is
done with it, and a large piece comes in large pages.
What is used together lies together in memory: one cache miss instead of three.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "ALONE",
    "CODE",
    "END",
    "MARKED",
    "OLD",
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
START, END, TOUCHED, OLD = 0, 1, 2, 3  # columns of blocks
SOURCE, CODE = 0, 1  # columns of entries

_LINE, _LARGE_PAGE = 64, 1 << 21  # bytes


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
        parts: dict[str, tuple[tuple[int, ...], Any]] = {
            "cells": ((n, 2), np.uint64),
            "values": ((n,), np.uint64),
            "order": ((n,), np.int32),
            "alone": ((n,), np.bool_),
            # What follows is used as far as there are blocks, or states that move.
            "blocks": ((n, 4), np.int32),
            "keys": ((n,), np.uint64),
            "touched": ((n + 1,), np.int32),  # one more, see `propagate`
            "renamed": ((n,), np.int32),
            "spare_keys": ((n,), np.uint64),
            "spare_order": ((n,), np.int32),
            "counters": ((n // 2 + 1,), np.int32),
        }
        return cls(**_carve(parts))


def _carve(parts: dict[str, tuple[tuple[int, ...], Any]]) -> dict[str, Any]:
    """Return arrays of some shapes and types that lie one after another, each at a cache line."""
    sizes = [prod(shape) * np.dtype(dtype).itemsize for shape, dtype in parts.values()]
    ends = np.cumsum([-(-size // _LINE) * _LINE for size in sizes]).tolist()
    room = np.empty(ends[-1] + _LARGE_PAGE, dtype=np.uint8)
    large = ends[-1] >= _LARGE_PAGE
    begin = -room.ctypes.data % (_LARGE_PAGE if large else _LINE)
    starts = [begin, *(begin + end for end in ends[:-1])]
    return {
        name: room[start : start + size].view(dtype).reshape(shape)
        for (name, (shape, dtype)), start, size in zip(parts.items(), starts, sizes, strict=True)
    }

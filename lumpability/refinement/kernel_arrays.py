"""The bundles of arrays that the compiled loops of the kernel share.

For n states and m transitions:

* `Rows`: ``indptr`` int64 (n + 1), ``indices`` int32 (m), ``codes`` uint (m); ``table`` uint64 holds the residue
  of every distinct weight modulo p.  If ``closed``, diagonal entries are ignored and every row is
  understood to have the one that makes it sum to zero.
* `Incoming`: the transposed rows of the states that share a block; ``entries`` uint (m') holds source x 2^bits +
  code of the weight; ``totals`` what leaves each state, if ``closed``.
* `Field`: the prime p, or 0 for arithmetic modulo 2^64, its Montgomery inverse, the seed of block values, and how many products of a
  weight and a value may be summed before they must be reduced.
* `Arrays`, of which sweeps use per state ``labels``, the number of its block, and ``values``, that of its block; or, of many states
  in few blocks, ``shorts``, its number in 16 bits, where the values are in ``value_of``; and ``prints``, its fingerprint; and propagation ``cells``: what it gains in a round, with two marks below it, and
  the number of its block, with a hash of what leaves it above, if ``closed``.  Either is made from the other when
  rounds change, and ``prints`` and ``values`` lie where the cells are then.  ``alone``: whether a state is its whole block (such states cannot split and are skipped).
  Per block in ``blocks`` where its states begin in ``order`` (in sweeps instead a member, with whose fingerprint
  the others are compared), how many they are, a count of those touched, and the name that gives
  it its value, a number like those of blocks.  Where a block is new, the
  count holds the block it was cut from, and `MIXED` if what leaves its states differs.
  ``order`` has twice the room, see `kernel_propagate`; in sweeps ``labels`` are in its place, and in that of ``groups`` there is ``expected``, the fingerprint of each member.  ``touched``: a list of states, those that differ from others of their
  block, with their groups in ``group_of``, which are in ``groups``, found through ``table``, see `kernel_group`.
  ``totals``: for each range that is fingerprinted at the same time as others, a desk for two running totals.

What every state uses is one piece of memory that comes in large pages: fresh memory is
handed out by the page, which costs more than what is done with it.  Of the others only what blocks and
moving states need is ever touched.

What is used together lies together in memory: one cache miss instead of three.
"""

from __future__ import annotations

from itertools import accumulate
from math import prod
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "ALONE",
    "BLOCK",
    "COUNT",
    "DIFFERENCE",
    "FEW",
    "FIRST_STATE",
    "GAIN",
    "MARKED",
    "MEMBER",
    "MIXED",
    "NAME",
    "NEAR",
    "PRINT",
    "SIZE",
    "START",
    "TOUCHED",
    "WORD",
    "Arrays",
    "Field",
    "Incoming",
    "Rows",
]

PRINT, BLOCK = 0, 1  # columns of cells
MARKED, ALONE = np.uint64(1), np.uint64(2)  # marks in the two bits below a fingerprint
START, SIZE, TOUCHED, NAME = 0, 1, 2, 3  # columns of blocks
MEMBER = START  # in sweeps
MIXED = np.uint32(1 << 31)
GAIN, WORD, DIFFERENCE, COUNT = 0, 1, 2, 3  # columns of groups
FIRST_STATE = DIFFERENCE  # in sweeps

_TOTALS = 2048  # running totals that are kept at a time, in the fastest cache
FEW = 1 << 16  # blocks
NEAR = 300_000  # states; values of fewer are in the cache

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

    @staticmethod
    def layout(states: int, weights: int) -> tuple[int, str]:
        """Return in how many bits of an entry the code of a weight is, and the type of entries."""
        bits = (weights - 1).bit_length()
        return bits, "uint64" if (states - 1).bit_length() + bits > 32 else "uint32"


class Field(NamedTuple):
    """A prime field and pseudo-random values in it; see the module."""

    p: np.uint64
    inverse: np.uint64
    seed: np.uint64
    step: int


class Arrays(NamedTuple):
    """The state of a refinement; see the module."""

    labels: Any
    shorts: Any
    value_of: Any
    values: Any
    prints: Any
    cells: Any
    alone: Any
    order: Any
    blocks: Any
    expected: Any
    touched: Any
    group_of: Any
    groups: Any
    table: Any
    totals: Any

    @classmethod
    def for_states(cls, n: int, desks: int = 1) -> Arrays:
        """Room for the refinement of n states in so many ranges at a time, not initialised."""
        pieces = _carve({"cells": ((n, 2), np.uint64), "alone": ((n,), np.bool_)})
        # In sweeps there are neither cells nor an order, and no groups before fingerprints are compared.
        prints, values = pieces["cells"].reshape(2, n)
        order = np.empty(2 * n, dtype=np.int32)
        groups = np.empty((n + 1, 4), dtype=np.uint64)
        return cls(
            labels=order[:n],
            shorts=np.empty(n if n > NEAR else 0, dtype=np.uint16),
            value_of=np.empty(min(n, FEW), dtype=np.uint64),
            prints=prints,
            values=values,
            **pieces,
            order=order,
            blocks=np.empty((n, 4), dtype=np.uint32),
            expected=groups.reshape(-1)[:n],
            touched=np.empty(n + 1, dtype=np.int32),  # one more, see `_touch`
            group_of=np.empty(n, dtype=np.int32),
            groups=groups,
            table=np.empty(max(1 << (n + n // 2).bit_length(), 64), dtype=np.uint32),
            totals=np.empty((desks, 2, _TOTALS + 1), dtype=np.uint64),
        )


def _carve(shapes: dict[str, tuple[tuple[int, ...], Any]]) -> dict[str, Any]:
    """Return arrays that lie one after another in one piece of memory.

    numpy asks for large pages if a piece has some, and they begin where large pages do.
    """
    sizes = [prod(shape) * np.dtype(dtype).itemsize for shape, dtype in shapes.values()]
    room = np.empty(sum(sizes) + _LARGE_PAGE, dtype=np.uint8)
    address, _ = room.__array_interface__["data"]
    starts = accumulate(sizes[:-1], initial=-address % _LARGE_PAGE)
    return {
        name: room[start : start + size].view(dtype).reshape(shape)
        for (name, (shape, dtype)), start, size in zip(shapes.items(), starts, sizes, strict=True)
    }

"""The bundles of arrays that the compiled loops of the kernel share.

For n states and m transitions:

* `Rows`: ``indptr`` int64 (n + 1), ``indices`` int32 (m), ``codes`` uint (m); ``table`` uint64 holds the residue
  of every distinct weight modulo p.  If ``closed``, diagonal entries are ignored and every row is
  understood to have the one that makes it sum to zero.
* `Incoming`: the transposed rows of the states that share a block; ``entries`` uint (m') holds source x 2^bits +
  code of the weight; ``totals`` what leaves each state, if ``closed``.
* `Field`: the prime p, or 0 for arithmetic modulo 2^64, its Montgomery inverse, the seed of block values, and how many products of a
  weight and a value may be summed before they must be reduced.
* `Blocks`: ``labels`` int32 (n), the number of each state's block; ``alone``, whether a state is its whole block (such states
  cannot split and are skipped); and of each block in ``blocks`` where its states begin in ``order`` (in sweeps instead a
  member, with whose fingerprint the others are compared), how many they are, a note of who touched it, and, in
  sweeps, the name that gives it its value, a number like those of blocks, or, where rounds follow, the next free number.
* `Sweeping` adds ``values``, of the block of each state; or, of many states in few blocks, ``shorts``, its number in 16
  bits, where the values are in ``value_of``; ``prints``, the fingerprint of each state, and ``expected``, that of the member
  of each block, where the groups will be; ``touched``, the states that differ from it, with their groups in the same places of ``prints``.
  ``totals``: for each range that is fingerprinted at the same time as others, a desk for two running totals.
* `Following` adds ``order``, with twice the room, and ``records`` of states that are touched: what they gain, and the state
  below its block, or later below its group; see `kernel_propagate`.

Both have ``groups``, found through ``table``, see `kernel_group`.  Only one of the two is there at a time.
What states use in a sweep is one piece of memory that comes in large pages: fresh memory is
handed out by the page, which costs more than what is done with it, and what is given back in pieces is not always
used again.  Of the others only what blocks and moving states need is ever touched.

What is used together lies together in memory: one cache miss instead of three.
"""

from __future__ import annotations

from itertools import accumulate
from math import prod
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "ALONE",
    "COUNT",
    "DIFFERENCE",
    "FEW",
    "FIRST_STATE",
    "GAIN",
    "MEMBER",
    "NAME",
    "NEAR",
    "NEXT",
    "PART",
    "PLACE",
    "SIZE",
    "START",
    "TOUCHED",
    "WORD",
    "Blocks",
    "Field",
    "Following",
    "Incoming",
    "Rows",
    "Sweeping",
]

START, SIZE, TOUCHED, NAME = 0, 1, 2, 3  # columns of blocks
MEMBER = START  # in sweeps
NEXT = NAME  # where rounds follow
GAIN, WORD, DIFFERENCE, COUNT = 0, 1, 2, 3  # columns of groups, and the first two of records
FIRST_STATE = DIFFERENCE  # in sweeps
PLACE, PART = GAIN, DIFFERENCE  # of a group that became a block
ALONE = np.uint32(1 << 31)
"""Where rounds follow, the label of a state that is its whole block; see `kernel_propagate`."""

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


class Blocks(NamedTuple):
    """The partition that a refinement has reached; see the module."""

    labels: Any
    alone: Any
    blocks: Any

    @classmethod
    def for_states(cls, n: int) -> Blocks:
        """Room for a partition of n states, not initialised."""
        return cls(
            labels=np.empty(n, dtype=np.int32),
            alone=np.empty(n, dtype=np.bool_),
            blocks=np.empty((n, 4), dtype=np.uint32),
        )


class Sweeping(NamedTuple):
    """What sweeps use; see the module."""

    labels: Any
    alone: Any
    blocks: Any
    groups: Any
    table: Any
    expected: Any
    shorts: Any
    value_of: Any
    values: Any
    prints: Any
    touched: Any
    totals: Any

    @classmethod
    def over(cls, blocks: Blocks, desks: int = 1) -> Sweeping:
        """Room for sweeps in so many ranges at a time, not initialised."""
        n = len(blocks.labels)
        groups, table = _groups(n)
        return cls(
            *blocks,
            groups=groups,
            table=table,
            expected=groups.reshape(-1)[:n],  # no groups before fingerprints are compared
            value_of=np.empty(min(n, FEW), dtype=np.uint64),
            **_carve(
                {
                    "prints": ((n,), np.uint64),
                    "values": ((n,), np.uint64),
                    "touched": ((n + 1,), np.int32),  # one more, see `find_different`
                    "shorts": ((n if n > NEAR else 0,), np.uint16),
                }
            ),
            totals=np.empty((desks, 2, _TOTALS + 1), dtype=np.uint64),
        )


class Following(NamedTuple):
    """What rounds that follow use; see the module."""

    labels: Any
    alone: Any
    blocks: Any
    groups: Any
    table: Any
    order: Any
    records: Any

    @classmethod
    def over(cls, blocks: Blocks) -> Following:
        """Room for rounds that follow, not initialised."""
        n = len(blocks.labels)
        groups, table = _groups(n)
        return cls(
            *blocks._replace(labels=blocks.labels.view(np.uint32)),
            groups=groups,
            table=table,
            order=np.empty(2 * n, dtype=np.int32),
            records=np.empty((n + 2, 2), dtype=np.uint64),  # the first, and one more, see `_touch`
        )


def _groups(n: int) -> tuple[Any, Any]:
    """Room for as many groups as states, counted from 1, and for the table that finds them."""
    slots = max(1 << (n + n // 2).bit_length(), 64)
    return np.empty((n + 1, 4), dtype=np.uint64), np.empty(slots, dtype=np.uint32)


def _carve(shapes: dict[str, tuple[tuple[int, ...], Any]]) -> dict[str, Any]:
    """Return arrays that lie one after another in one piece of memory.

    numpy asks for large pages if a piece has some, and then they begin where large pages do.
    """
    sizes = [prod(shape) * np.dtype(dtype).itemsize for shape, dtype in shapes.values()]
    large = sum(sizes) >= 2 * _LARGE_PAGE
    room = np.empty(sum(sizes) + large * _LARGE_PAGE, dtype=np.uint8)
    address, _ = room.__array_interface__["data"]
    starts = accumulate(sizes[:-1], initial=-address % _LARGE_PAGE if large else 0)
    return {
        name: room[start : start + size].view(dtype).reshape(shape)
        for (name, (shape, dtype)), start, size in zip(shapes.items(), starts, sizes, strict=True)
    }

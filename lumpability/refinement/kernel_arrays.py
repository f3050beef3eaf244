"""The bundles of arrays that the compiled loops of the kernel share.

For n states and m transitions:

* `Rows`: ``indptr`` int64 (n + 1), ``indices`` int32 (m), ``codes`` uint (m); ``table`` uint64 holds the residue
  of every distinct weight modulo p.  If ``closed``, diagonal entries are ignored and every row is
  understood to have the one that makes it sum to zero.
* `Field`: the prime p, its Montgomery inverse, the seed of block values, and how many products of a
  weight and a value may be summed before they must be reduced.
* `Arrays`: per state its fingerprint (``prints``), the value of its block (``values``, kept by sweeps),
  whether it is its whole block (``alone``; such states cannot split and are skipped), and in ``spots``
  its block and its place in ``order``; per block in ``blocks`` its range of ``order`` and how many of its
  states were touched; ``renamed`` and ``changes``: the states that moved to another block in this
  round, and the difference of the two values; ``keys``, ``group_keys``, ``groups``, ``slots``, ``touched``: room
  for grouping and for lists of blocks.

What is used together lies together in memory: one cache miss instead of three.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["BLOCK", "END", "PLACE", "START", "TOUCHED", "Arrays", "Field", "Rows"]

BLOCK, PLACE = 0, 1  # columns of spots
START, END, TOUCHED = 0, 1, 2  # columns of blocks


class Rows(NamedTuple):
    """Compressed rows; see the module."""

    indptr: Any
    indices: Any
    codes: Any
    table: Any
    closed: bool


class Field(NamedTuple):
    """A prime field and pseudo-random values in it; see the module."""

    p: np.uint64
    inverse: np.uint64
    seed: np.uint64
    step: int


class Arrays(NamedTuple):
    """The state of a refinement; see the module."""

    prints: Any
    values: Any
    alone: Any
    spots: Any
    order: Any
    blocks: Any
    renamed: Any
    changes: Any
    keys: Any
    group_keys: Any
    groups: Any
    slots: Any
    touched: Any

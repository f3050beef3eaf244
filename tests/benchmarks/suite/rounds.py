"""What one would write with numpy alone: rounds of random fingerprints until the number of blocks stays.

Not exact: nothing is proved, and weights are multiplied modulo 2^64, where powers of two collide.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["integer_weights", "refine"]

Array = np.ndarray[Any, Any]


def integer_weights(weights: Any) -> Array:
    """Return the weights of an `ExactArray` over their common denominator, modulo 2^64."""
    integers, _ = weights.integers
    return np.array([integer % 2**64 for integer in integers], dtype=np.uint64)[weights.codes]


def refine(indptr: Array, indices: Array, weights: Array, labels: list[Array]) -> Array:
    """Return a block number for every state."""
    random = np.random.default_rng(0)
    n = len(indptr) - 1
    blocks, count = np.zeros(n, dtype=np.int64), 1
    for mask in labels:
        distinct, blocks = np.unique(2 * blocks + mask, return_inverse=True)
        count = len(distinct)
    rows = np.flatnonzero(np.diff(indptr))  # reduceat has no empty segments
    while True:
        to, own = random.integers(2**64, size=(2, count), dtype=np.uint64)
        fingerprints = own[blocks]
        fingerprints[rows] += np.add.reduceat(weights * to[blocks[indices]], indptr[rows])
        distinct, blocks = np.unique(fingerprints, return_inverse=True)
        if len(distinct) == count:
            return blocks
        count = len(distinct)

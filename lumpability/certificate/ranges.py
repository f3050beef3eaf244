"""Many ranges of array positions at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["compressed", "portions", "ranges"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]

_CHUNK = 1 << 22


def portions(work: IntArray) -> Iterator[tuple[int, int]]:
    """Yield consecutive ranges of items of about four million steps each, of one item at least.

    Examples
    --------
    >>> list(portions(np.array([3_000_000, 1_000_000, 5_000_000, 1])))
    [(0, 2), (2, 3), (3, 4)]
    """
    done = np.cumsum(work)
    first = 0
    while first < len(work):
        before = int(done[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(done, before + _CHUNK, side="right")))
        yield first, last
        first = last


def ranges(low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
    """Return the numbers in some ranges, one range behind the other, and which range each is in.

    Examples
    --------
    >>> owner, numbers = ranges(np.array([5, 9, 2]), np.array([7, 9, 3]))
    >>> owner.tolist(), numbers.tolist()
    ([0, 0, 2], [5, 6, 2])
    """
    lengths = high - low
    owner = np.repeat(np.arange(len(low)), lengths)
    return owner, np.arange(len(owner)) + (low - (np.cumsum(lengths) - lengths))[owner]


def compressed(
    k: int, rows: IntArray, columns: IntArray, codes: Any
) -> tuple[IntArray, IntArray, Any]:
    """Return the compressed rows of a k x k matrix given by places: starts, columns ascending, codes.

    Examples
    --------
    >>> starts, columns, codes = compressed(2, np.array([1, 1]), np.array([1, 0]), np.array([7, 8]))
    >>> starts.tolist(), columns.tolist(), codes.tolist()
    ([0, 0, 2], [0, 1], [8, 7])
    """
    from scipy.sparse import coo_array

    entries = coo_array((np.arange(len(rows)), (rows, columns)), shape=(k, k)).tocsr()
    entries.sort_indices()
    return entries.indptr.astype(np.int64), entries.indices.astype(np.int64), codes[entries.data]

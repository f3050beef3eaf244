"""Exact sums of the entries of a sparse matrix that share row and column.

Everything that aggregates (parallel transitions, quotients, the identity M V = V M^) is one such sum.
Rationals are summed as integers over their common denominator, limb by limb in int64, with scipy's
compiled conversion from coordinates to rows: O(m), and sorting inside rows.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.integers import Limbs

Rows = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], ExactArray]


def sum_entries(
    shape: tuple[int, int],
    rows: np.ndarray[Any, Any],
    columns: np.ndarray[Any, Any],
    weights: ExactArray,
) -> Rows:
    """Return compressed rows (indptr, indices, weights) of the summed entries; sums may be zero.

    - rows, columns: array of int, shape (m,)
    - weights: ExactArray, shape (m,)

    >>> weights, _ = ExactArray.read(["1/3", 2, "1/6"])
    >>> indptr, indices, sums = sum_entries((2, 2), np.array([0, 1, 0]), np.array([1, 0, 1]), weights)
    >>> indptr.tolist(), indices.tolist(), list(sums)
    ([0, 1, 2], [1, 0], [Fraction(1, 2), Fraction(2, 1)])
    """
    if len(weights) == 0:
        empty = np.empty(0, dtype=np.uint8)
        return (
            np.zeros(shape[0] + 1, dtype=np.int64),
            np.empty(0, dtype=np.int32),
            ExactArray(empty, ()),
        )
    if not weights.is_rational:
        return _sum_symbolic(shape, rows, columns, weights)
    if not weights.is_narrow:
        return _sum_sorted(shape, rows, columns, weights)
    return _sum_rational(shape, rows, columns, weights)


def _sum_sorted(shape: tuple[int, int], rows: Any, columns: Any, weights: ExactArray) -> Rows:
    """Sort entries by place and sum the segments of equal places, for wide denominators."""
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    begins = np.flatnonzero(np.append(True, (np.diff(rows) != 0) | (np.diff(columns) != 0)))
    counts = np.bincount(rows[begins], minlength=shape[0])
    return (
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        columns[begins].astype(np.int32, copy=False),
        weights.take(order).segment_sums(np.append(begins, len(rows))),
    )


def _sum_rational(shape: tuple[int, int], rows: Any, columns: Any, weights: ExactArray) -> Rows:
    from scipy.sparse import coo_array

    integers, denominator = weights.integers
    entries = coo_array((np.ones(len(weights), dtype=np.int8), (rows, columns)), shape=shape)
    sums = []
    for table in Limbs(integers, terms=len(weights)).tables:
        entries.data = table[weights.codes]
        summed = entries.tocsr()
        summed.sort_indices()
        sums.append(summed.data)
    codes, distinct = Limbs.recombine(sums)
    return (
        summed.indptr.astype(np.int64),
        summed.indices.astype(np.int32, copy=False),
        ExactArray(codes, tuple(Fraction(w, denominator) for w in distinct)),
    )


def _sum_symbolic(shape: tuple[int, int], rows: Any, columns: Any, weights: ExactArray) -> Rows:
    from lumpability.numbers.parameters import add

    terms: dict[tuple[int, int], list[int]] = {}
    places = zip(rows.tolist(), columns.tolist(), strict=True)
    for place, code in zip(places, weights.codes.tolist(), strict=True):
        terms.setdefault(place, []).append(code)
    known: dict[tuple[int, ...], Exact] = {}  # rational functions are slow and repeat often
    sums: dict[tuple[int, int], Exact] = {}
    for place, codes in terms.items():
        key = tuple(sorted(codes))
        if key not in known:
            known[key] = add([weights.values[code] for code in key])
        sums[place] = known[key]
    ordered = sorted(sums)
    counts = np.bincount([row for row, _ in ordered], minlength=shape[0])
    return (
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        np.array([column for _, column in ordered], dtype=np.int32),
        ExactArray.of_values(np.arange(len(ordered)), [sums[place] for place in ordered]),
    )

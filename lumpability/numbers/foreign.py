"""Values of other packages: pandas' Series and frames, sympy's and numpy's matrices, tensors.

A Series or a frame names its entries, and they are matched by these names, never by position.
Nothing is imported: an object is recognised by its methods.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput


def is_series(value: Any) -> bool:
    """Whether this is a pandas Series."""
    return hasattr(value, "iloc") and getattr(value, "ndim", 0) == 1


def is_frame(value: Any) -> bool:
    """Whether this is a pandas DataFrame."""
    return hasattr(value, "iloc") and getattr(value, "ndim", 0) == 2


def plain(value: Any) -> Any:
    """Return matrices, tensors and masked arrays as numpy arrays or lists; anything else unchanged.

    Raises `InvalidInput` if entries of a masked array are masked.

    >>> import sympy
    >>> plain(sympy.eye(2)), plain("abc")
    ([[1, 0], [0, 1]], 'abc')
    """
    if type(value) is np.ndarray:
        return value if value.ndim else value.item()
    if isinstance(value, str | bytes | list | tuple):
        return value
    if np.ma.isMaskedArray(value) and np.ma.getmaskarray(value).any():
        raise InvalidInput("entries of the array are masked: fill them, as array.filled(0) does")
    if hasattr(value, "applyfunc") and hasattr(value, "tolist"):  # sympy's matrices
        return value.tolist()
    if hasattr(value, "detach"):  # a tensor of torch
        value = value.detach().cpu()
    if hasattr(value, "__array__") and not np.isscalar(value):
        return np.asarray(value)
    return value


def by_name(
    series: Any, names: Sequence[Hashable], what: str, error: type[InvalidInput]
) -> np.ndarray[Any, Any]:
    """Return the entries of a Series in the order of names; its index holds each name once.

    Raises `InvalidInput`, or the given class, if the index lacks a name, repeats one, or holds another.
    """
    return np.asarray(series.to_numpy())[_places(series.index, names, what, error)]


def _places(
    index: Any, names: Sequence[Hashable], what: str, error: type[InvalidInput]
) -> list[int]:
    found = index.tolist()
    place = {name: i for i, name in enumerate(found)}
    if len(place) < len(found):
        twice = next(name for i, name in enumerate(found) if place[name] != i)
        raise error(f"{what} has the index {twice!r} twice", state=twice)
    missing = next((name for name in names if name not in place), None)
    if missing is not None:
        raise error(
            f"{what} is matched by its index, which lacks {missing!r}: reindex it, or pass .to_numpy() "
            "to go by position",
            state=missing,
        )
    if len(place) > len(names):
        known = set(names)
        stranger = next(name for name in found if name not in known)
        raise error(f"{what} has the index {stranger!r}, which is not a state", state=stranger)
    return [place[name] for name in names]


def frame_entries(
    frame: Any, names: Sequence[Hashable] | None, error: type[InvalidInput]
) -> tuple[list[Hashable] | None, np.ndarray[Any, Any]]:
    """Return the states of a square frame and its entries, rows by index and columns by name.

    - names: the states in the order wanted; by default that of the index
    - returns names, list or None: none if rows and columns are merely numbered
    - returns entries, array, shape (n, n)
    """
    rows, columns = frame.index.tolist(), frame.columns.tolist()
    entries = _entries(frame)
    if rows == columns == list(range(len(rows))):
        return (None if names is None else list(names)), entries
    wanted = rows if names is None else list(names)
    for name in columns:
        if names is None and name not in set(rows):
            raise error(
                f"column {name!r} of the table has no row of that name: a matrix needs a row and a column "
                "for every state",
                state=name,
            )
    down = _places(frame.index, wanted, "the table", error)
    across = _places(frame.columns, wanted, "the table's columns", error)
    return wanted, entries[np.ix_(down, across)]


def _entries(frame: Any) -> np.ndarray[Any, Any]:
    """Return the entries of a frame, each with the precision of its column's type."""
    types = {str(dtype) for dtype in frame.dtypes}
    if len(types) < 2 and "Float32" not in types:
        return np.asarray(frame.to_numpy())
    found = np.empty(frame.shape, dtype=object)
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        dense = column.sparse.to_dense() if hasattr(column, "sparse") else column
        found[:, place] = list(dense.to_numpy())
    return found

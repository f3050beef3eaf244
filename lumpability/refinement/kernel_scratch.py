"""Zeros that take memory only where they are written to."""

from __future__ import annotations

from math import prod
from mmap import mmap
from typing import Any

import numpy as np

__all__ = ["blank"]

_LARGE = 1 << 20  # bytes; for fewer, to ask the system takes longer than it spares


def blank(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """Return zeros, a large array of them from the system itself.

    Memory that was freed before, which `numpy.zeros` may take, would have to be overwritten.

    Examples
    --------
    >>> blank((1_000, 1_000), np.uint64).any()
    np.False_
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size < _LARGE:
        return np.zeros(shape, dtype=dtype)
    return np.frombuffer(mmap(-1, size), dtype=dtype).reshape(shape)

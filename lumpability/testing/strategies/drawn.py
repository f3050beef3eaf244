"""Hypothesis in the place of a random number generator.

The library plants lumpings with the methods ``integers``, ``permutation`` and ``choice`` of numpy's
generators.  Given these, the same code draws from Hypothesis, which can then shrink what it finds: numbers
towards zero, orders towards the given one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

__all__ = ["DrawnNumbers"]


class DrawnNumbers:
    """The methods of `numpy.random.Generator` that unfolding a quotient uses, drawn by Hypothesis.

    Parameters
    ----------
    draw : callable
        What a function decorated with `hypothesis.strategies.composite` is given.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def integers(self, low: int, high: int | None = None, size: Any = None) -> Any:
        """Draw integers from low (0 if only one bound is given) up to high, exclusive."""
        low, high = (0, int(low)) if high is None else (int(low), int(high))
        number = st.integers(low, high - 1)
        if size is None:
            return self._draw(number)
        count = math.prod(size) if isinstance(size, tuple) else int(size)
        drawn = self._draw(st.lists(number, min_size=count, max_size=count))
        return np.array(drawn, dtype=np.int64).reshape(size)

    def permutation(self, count: int) -> Any:
        """Draw an order of the numbers 0 .. count - 1."""
        return np.array(self._draw(st.permutations(range(count))), dtype=np.int64)

    def choice(self, count: int, size: int, *, replace: bool) -> Any:
        """Draw different numbers out of 0 .. count - 1."""
        assert not replace
        left = list(range(count))
        chosen = [left.pop(self._draw(st.integers(0, len(left) - 1))) for _ in range(size)]
        return np.array(chosen, dtype=np.int64)

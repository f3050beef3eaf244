"""Lists of distinct numbers that files refer to by position."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.rationals import exact_text

IntArray = np.ndarray[Any, np.dtype[np.int64]]


class NumberList:
    """The distinct numbers of several arrays, in order of appearance.

    >>> numbers = NumberList()
    >>> numbers.codes(ExactArray.read([1, "1/2", 1])[0]).tolist(), numbers.texts
    ([0, 1, 0], ['1', '1/2'])
    """

    def __init__(self, text: Callable[[Exact], str] = exact_text) -> None:
        self.values: list[Exact] = []
        self._text = text
        self._number: dict[str, int] = {}

    @property
    def texts(self) -> list[str]:
        """The numbers as texts."""
        return list(self._number)

    def codes(self, array: ExactArray) -> IntArray:
        """Return the positions of an array's numbers in the list, which is extended."""
        table = np.empty(len(array.values), dtype=np.int64)
        for code, value in enumerate(array.values):
            table[code] = self._number.setdefault(self._text(value), len(self._number))
            if table[code] == len(self.values):
                self.values.append(value)
        codes: IntArray = table[array.codes]
        return codes


def array_of_codes(codes: Any, numbers: Sequence[Any]) -> ExactArray:
    """Return the array whose entries stand at these positions of a list of numbers."""
    used, places = np.unique(codes, return_inverse=True)
    values, _ = ExactArray.read([numbers[code] for code in used.tolist()])
    return ExactArray.of_values(values.codes[places], values.values)

"""The texts after ``state`` and ``action`` in a DRN file: exit rates, rewards, labels.

Most states share their text with many others, so each distinct text is parsed once, and states hold codes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from lumpability.formats.tokens import Array, Chunk, Spans
from lumpability.markov.attributes import Mask

__all__ = ["Attributes", "Parsed", "joined"]


@dataclass(frozen=True)
class Parsed:
    """A parsed text after ``state`` or ``action``: codes of numbers, and labels."""

    exit: int
    rewards: tuple[int, ...]
    labels: tuple[str, ...]


class Attributes:
    """The texts after ``state`` or ``action``: each distinct one parsed once, a code for each line."""

    def __init__(self, parse: Callable[[str, Callable[[], int]], Parsed]) -> None:
        self._parse = parse
        self._number: dict[str, int] = {}
        self._parsed: list[Parsed] = []
        self._codes: list[Array] = []
        self._owners: list[Array] = []
        self.count = 0

    def add(self, chunk: Chunk, spans: Spans, owners: Array | None = None) -> None:
        """Add lines; `owners` are the states they belong to, by default the next ones."""
        local, distinct = chunk.distinct(spans)
        table = np.empty(len(distinct), dtype=np.int64)
        for i in range(len(distinct)):
            text = chunk.text(distinct, i)
            table[i] = self._number.setdefault(text, len(self._parsed))
            if table[i] == len(self._parsed):
                line = partial(chunk.line_number, int(distinct.starts[i]))
                self._parsed.append(self._parse(text, line))
        self._codes.append(table[local].astype(np.int32))
        new = np.arange(self.count, self.count + len(spans)) if owners is None else owners
        self._owners.append(new.astype(np.int32))
        self.count += len(spans)

    def exits(self) -> Array:
        """Codes of the exit rates, shape (count,)."""
        return np.array([p.exit for p in self._parsed], dtype=np.int64)[joined(self._codes)]

    def rewards(self, j: int, n: int, absent: int) -> Array:
        """Codes of reward j for each of n states; the code `absent` for states without a line."""
        result = np.full(n, absent, dtype=np.int64)
        table = np.array([p.rewards[j] for p in self._parsed], dtype=np.int64)
        result[joined(self._owners)] = table[joined(self._codes)]
        return result

    def labels(self) -> dict[str, Mask]:
        """Which states carry each label, in order of first mention."""
        carriers: dict[str, list[int]] = {}
        for code, parsed in enumerate(self._parsed):
            for label in parsed.labels:
                carriers.setdefault(label, []).append(code)
        codes = joined(self._codes)
        result = {}
        for label, carrying in carriers.items():
            table = np.zeros(len(self._parsed), dtype=bool)
            table[carrying] = True
            result[label] = table[codes]
        return result


def joined(arrays: list[Array]) -> Array:
    """Concatenate arrays; no arrays give an empty array of integers."""
    return np.concatenate(arrays) if arrays else np.empty(0, dtype=np.int32)

"""Rows of a structure as plain lists, which a Python loop reads faster than arrays."""

from __future__ import annotations

from lumpability.numbers.exact_array import Exact
from lumpability.structure import WeightedStructure

__all__ = ["Entries"]


class Entries:
    """The rows of a structure."""

    def __init__(self, structure: WeightedStructure) -> None:
        self.starts: list[int] = structure.indptr.tolist()
        self.columns: list[int] = structure.indices.tolist()
        self.codes: list[int] = structure.weights.codes.tolist()
        self.values = structure.weights.values

    def sums(self, rows: list[int]) -> dict[int, Exact]:
        """Sum some rows, column by column, in O(entries); columns without entries are left out."""
        sums: dict[int, Exact] = {}
        values, columns, codes = self.values, self.columns, self.codes
        for row in rows:
            for position in range(self.starts[row], self.starts[row + 1]):
                column, weight = columns[position], values[codes[position]]
                sums[column] = sums[column] + weight if column in sums else weight
        return sums

    def row(self, row: int) -> list[tuple[int, Exact]]:
        """Return the entries of a row as (column, weight) pairs."""
        low, high = self.starts[row], self.starts[row + 1]
        weights = map(self.values.__getitem__, self.codes[low:high])
        return list(zip(self.columns[low:high], weights, strict=True))

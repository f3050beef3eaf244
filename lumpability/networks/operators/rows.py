"""The rows of a layer's matrix, channel by channel and tap by tap, as members of classes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.tensors.tensor import Reader
from lumpability.numbers.float_arrays import Array
from lumpability.structure.dense import DenseStructure, RowClasses


def incoming(
    algebra: Any,
    reader: Reader,
    known: Array,
    taps: int,
    share: Fraction,
    *,
    scaled: bool = False,
) -> RowClasses:
    """Return the rows of a matrix by classes of channels, each tap on its own; zeros are left out.

    With `scaled` the factors of a class are divided by its first one.  Which columns are multiples of each other does
    not depend on the scale of a row, and where a class is one channel, nothing is left to be multiplied.
    """
    live = np.flatnonzero((reader.facs != 0) & ~known)
    _, first, number = np.unique(reader.ids[live], return_index=True, return_inverse=True)
    factors = algebra.fractions_of(reader.facs[live])
    if scaled and len(live):
        alone = np.bincount(number)[number] == 1
        factors[alone] = Fraction(1)
        factors[~alone] = factors[~alone] / factors[first[number[~alone]]]
    fixed = np.flatnonzero(known & (reader.facs != 0))
    values = algebra.fractions_of(reader.facs[fixed]) * share
    return by_taps((live, number, factors), (fixed, values), taps)


def by_taps(
    members: tuple[Array, Array, Array], constants: tuple[Array, Array], taps: int
) -> RowClasses:
    """Return rows (channel, tap) by classes (class, tap), and constant rows."""
    (channels, classes, factors), (fixed, values) = members, constants
    step = np.arange(taps)
    key = (classes[:, None] * taps + step).ravel()
    order = np.argsort(key, kind="stable")
    return RowClasses(
        members=(channels[:, None] * taps + step).ravel()[order],
        starts=np.flatnonzero(np.diff(key[order], prepend=-1)),
        factors=np.repeat(factors, taps)[order],
        constant_rows=(fixed[:, None] * taps + step).ravel(),
        constants=np.repeat(values, taps),
    )


def structure_of(matrix: Array, bias: Array | None, rows: RowClasses) -> DenseStructure:
    """Return a layer as a structure; in double precision if rows are summed, where sums are mostly exact."""
    if len(rows.members) != rows.classes or len(rows.constant_rows):
        matrix = matrix.astype(np.float64, copy=False)
    return DenseStructure(matrix, bias, rows)


def aggregated(
    matrix: Array, bias: Array | None, rows: RowClasses, columns: Array
) -> tuple[Array, Array | None]:
    """Return the exact weights and bias of what is left."""
    structure = structure_of(matrix, bias, rows)
    weights = structure.entries(np.arange(structure.classes), columns)
    return weights, None if bias is None else structure.bias[columns]

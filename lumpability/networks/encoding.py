"""A layer as a weighted transition structure, refined by the same engine as chains.

The states are the units of a layer, the classes of rows below it, and one state for the bias.  Unit s has a
transition to every class C with the aggregated weight (A_{l-1} W_l)[C, s], and to the bias state with
b_l[s].  Classes and bias are kept apart from the start; units are not.  The coarsest stable partition then
has s and t in one block exactly when their columns of [A W; b] are equal.  For proportional merging every
column is first divided by the part of its first entry that the activation's group allows: columns are
multiples of each other exactly when these are equal.

This is the definition.  `lumpability.networks.proportional_columns` gives the same answer without edge lists.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lumpability.networks.proportional_columns import Columns
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.float_arrays import to_fractions
from lumpability.numbers.groups import Group
from lumpability.partition import Partition
from lumpability.refinement import refine
from lumpability.structure import WeightedStructure
from lumpability.structure.dense import DenseStructure

__all__ = ["encode", "group_by_engine"]


def encode(summed: DenseStructure, group: Group) -> tuple[WeightedStructure, list[Fraction]]:
    """Return a layer as a structure, and by what each unit's column was divided.

    Parameters
    ----------
    summed : DenseStructure
        Of n units over m classes of rows.
    group : Group

    Returns
    -------
    structure : WeightedStructure
        States 0 .. n - 1 are the units, n .. n + m - 1 the classes, n + m is the bias.
    divisors : list of Fraction, length n

    Examples
    --------
    >>> from lumpability.structure.dense import Incoming
    >>> layer = DenseStructure(np.array([[1.0, 2.0]]), np.array([1.0, 2.0]), Incoming.separate(1))
    >>> structure, divisors = encode(layer, Group.POSITIVE)
    >>> structure.row(1), divisors
    ([(2, Fraction(1, 1)), (3, Fraction(1, 1))], [Fraction(1, 1), Fraction(2, 1)])
    """
    units, classes = summed.columns, summed.classes
    every = np.arange(units)
    entries = np.vstack(
        [summed.fractions(np.arange(classes), every), to_fractions(summed.bias)[None]]
    )
    sources, targets, weights, divisors = [], [], [], []
    for unit in range(units):
        rows = np.flatnonzero(entries[:, unit] != 0)
        divisor = group.part(entries[rows[0], unit]) if len(rows) else Fraction(1)
        sources += [unit] * len(rows)
        targets += (units + rows).tolist()
        weights += [entries[row, unit] / divisor for row in rows.tolist()]
        divisors.append(divisor)
    start = np.arange(units + classes + 1)
    start[:units] = 0
    structure = WeightedStructure.from_edges(
        units + classes + 1,
        np.array(sources, dtype=np.int64),
        np.array(targets, dtype=np.int64),
        ExactArray.read(weights)[0],
        initial=Partition(start),
    )
    return structure, divisors


def group_by_engine(summed: DenseStructure, group: Group) -> Columns:
    """Group columns through `lumpability.refinement.refine`; the same as `columns.group_columns`."""
    structure, divisors = encode(summed, group)
    blocks = refine(structure).partition.restrict(np.arange(summed.columns))
    leader = blocks.representatives[blocks.labels].astype(np.int64)
    factors = {
        unit: divisors[unit] / divisors[first]
        for unit, first in enumerate(leader.tolist())
        if divisors[unit] != divisors[first]
    }
    zero = summed.zero_columns(np.arange(summed.columns))
    return Columns(leader, factors, zero)

"""Lifts: what became of the units of one layer, h = h^ A + a, exactly or nearly.

A column of A with one entry c > 0 puts the unit into the class of a unit of the reduced network, with the factor c; a
zero column makes it the constant a; a column with several entries makes it a linear combination.  Any A and a give
a sound bound of the difference of both networks; a bad guess only loosens it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lumpability.numbers.float_arrays import Array

__all__ = ["Lift"]


@dataclass(frozen=True, eq=False)
class Lift:
    """The lift of one layer.

    Attributes
    ----------
    matrix : float64 array, shape (reduced units, units)
    shift : float64 array, shape (units,)

    Examples
    --------
    >>> Lift.identity(2).matrix.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    matrix: Array
    shift: Array

    @classmethod
    def identity(cls, units: int) -> Lift:
        """Return the lift of a layer that stays as it is."""
        return cls(np.eye(units), np.zeros(units))

    @property
    def is_identity(self) -> bool:
        """Whether the layer stays as it is."""
        rows, columns = self.matrix.shape
        same = rows == columns and bool(np.array_equal(self.matrix, np.eye(rows)))
        return same and not self.shift.any()

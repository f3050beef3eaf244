"""Affine lifts from the units of a reduced layer to those of the original: h is about h^ A + a.

In a *class* lift every column of A has at most one entry, which is positive: unit s is about c times the unit
``source[s]``, or, with a zero column, the constant a.  In the products of A with weights, sums of two floats and
products of two floats are checked for exactness, so that the residual of an exact lumping is exactly zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.networks.difference.affine import AffineLayer, Matrix, as_dense
from lumpability.networks.difference.rounding import TINY, UNIT, down, gamma, up
from lumpability.numbers.float_arrays import Array, float_sum, is_safe, two_product, two_sum


@dataclass(frozen=True, eq=False)
class Lift:
    """A matrix A and a row vector a.

    Attributes
    ----------
    matrix : float64 array, shape (units of the reduced layer, units of the original), or None
        None is the identity.
    shift : float64 array, shape (units of the original,)

    Examples
    --------
    >>> lift = Lift(np.array([[1.0, 2.0, 0.0]]), np.array([0.0, 0.0, 5.0]))
    >>> lift.is_class, lift.source.tolist(), lift.factor.tolist()
    (True, [0, 0, -1], [1.0, 2.0, 0.0])
    """

    matrix: Array | None
    shift: Array

    @classmethod
    def identity(cls, units: int) -> Lift:
        """Return the lift of units to themselves."""
        return cls(None, np.zeros(units))

    @classmethod
    def of(cls, source: Array, factor: Array, shift: Array, units: int) -> Lift:
        """Return the lift of classes: by unit its source or -1, its factor, its constant."""
        matrix = np.zeros((units, len(source)))
        merged = np.flatnonzero(source >= 0)
        matrix[source[merged], merged] = factor[merged]
        same = units == len(source) and np.array_equal(matrix, np.eye(units))
        return cls(None if same else matrix, np.asarray(shift, dtype=np.float64))

    def __post_init__(self) -> None:
        parts = [self.shift] if self.matrix is None else [self.matrix, self.shift]
        if not all(np.isfinite(part).all() for part in parts):
            raise InvalidInput("a lift holds numbers that are not finite")

    @cached_property
    def full(self) -> Array:
        """The matrix, that of the identity too."""
        return np.eye(len(self.shift)) if self.matrix is None else self.matrix

    @cached_property
    def is_identity(self) -> bool:
        """Whether every unit stays as it is."""
        rows, columns = self.full.shape
        same = rows == columns and bool(np.array_equal(self.full, np.eye(rows)))
        return same and not self.shift.any()

    @cached_property
    def classes(self) -> Array:
        """For each unit, whether its column of A has at most one entry, which is positive."""
        if self.matrix is None:
            return np.ones(len(self.shift), dtype=bool)
        entries = (self.matrix != 0).sum(axis=0)
        return np.asarray((self.matrix >= 0).all(axis=0) & (entries <= 1))

    @cached_property
    def is_class(self) -> bool:
        """Whether this is so for all units."""
        return bool(self.classes.all())

    @cached_property
    def source(self) -> Array:
        """The unit of the reduced layer for each unit of a class, -1 for a constant."""
        if self.matrix is None:
            return np.arange(len(self.shift))
        if not len(self.matrix):
            return np.full(len(self.shift), -1)
        return np.where(self.matrix.any(axis=0), self.matrix.argmax(axis=0), -1)

    @cached_property
    def factor(self) -> Array:
        """The factor of each unit of a class, 0 for a constant."""
        return (
            np.ones(len(self.shift)) if self.matrix is None else self.matrix.max(axis=0, initial=0)
        )

    def lifted(self, coefficients: Array) -> Array:
        """Return A times coefficients of units of the original."""
        return coefficients if self.matrix is None else self.matrix @ coefficients

    def range_of(self, low: Array, high: Array) -> tuple[Array, Array]:
        """Return bounds of x A for x between low and high."""
        if self.matrix is None:
            return low, high
        positive, negative = np.maximum(self.matrix, 0), np.minimum(self.matrix, 0)
        size = np.maximum(np.abs(low), np.abs(high)) @ np.abs(self.matrix)
        slack = gamma(2 * len(self.matrix)) * size
        empty = ~self.matrix.any(axis=0)
        bottom = down(low @ positive + high @ negative - slack)
        top = up(high @ positive + low @ negative + slack)
        return np.where(empty, 0.0, bottom), np.where(empty, 0.0, top)

    def rows(self, weight: Matrix) -> tuple[Matrix, Matrix]:
        """Return A W and a bound of what was rounded."""
        if self.matrix is None:
            return weight, weight * 0
        dense = as_dense(weight)
        if not self.is_class or not is_safe(dense):
            size = np.abs(self.matrix) @ np.abs(dense)
            return self.matrix @ dense, gamma(len(self.shift)) * size + TINY * len(self.shift)
        merged = np.flatnonzero(self.source >= 0)
        merged = merged[np.argsort(self.source[merged], kind="stable")]
        classes, starts = np.unique(self.source[merged], return_index=True)
        product = np.zeros((self.matrix.shape[0], dense.shape[1]))
        error = np.zeros_like(product)
        sums, exact = float_sum(
            dense[merged], self.factor[merged], np.ones(len(merged), dtype=bool), starts
        )
        product[classes] = sums
        rounded = classes[~exact]
        if len(rounded):
            size = self.matrix[rounded] @ np.abs(dense)
            error[rounded] = gamma(len(merged)) * size + TINY * len(merged)
        return product, error

    def columns(self, weight: Matrix) -> tuple[Matrix, Matrix]:
        """Return W^ A and a bound of what was rounded; W^ may be a row vector."""
        if self.matrix is None:
            return weight, weight * 0
        dense = as_dense(weight)
        if not self.is_class:
            size = np.abs(dense) @ np.abs(self.matrix)
            return dense @ self.matrix, gamma(len(self.matrix)) * size + TINY * len(self.matrix)
        if not len(self.matrix):
            empty = np.zeros((*dense.shape[:-1], len(self.shift)))
            return empty, empty
        chosen = np.where(self.source >= 0, dense[..., self.source], 0.0)
        if np.all((self.factor == 1) | (self.factor == 0)):
            return chosen, np.zeros_like(chosen)
        if is_safe(chosen) and is_safe(self.factor):
            product, rest = two_product(chosen, np.broadcast_to(self.factor, chosen.shape))
            return product, np.abs(rest)
        product = chosen * self.factor
        return product, 2 * UNIT * np.abs(product) + TINY

    def shifted(self, weight: Matrix) -> tuple[Array, Array]:
        """Return a W and a bound of what was rounded."""
        if not self.shift.any():
            return np.zeros(weight.shape[1]), np.zeros(weight.shape[1])
        product, size = self.shift @ weight, np.abs(self.shift) @ abs(weight)
        return product, gamma(len(self.shift)) * size + TINY * len(self.shift)


def incoming(layer: AffineLayer, lifts: Sequence[Lift] = ()) -> Array:
    """Return the weights of a layer from all sources one below the other, and the biases as last row.

    With the lifts of the layers by their numbers, weights and biases are lifted: A W and a W + b.
    """
    rows, bias = [], layer.bias
    for source, matrix in layer.terms:
        dense = as_dense(matrix)
        rows.append(as_dense(lifts[source].rows(dense)[0]) if lifts else dense)
        bias = bias + lifts[source].shifted(dense)[0] if lifts else bias
    return np.vstack([*rows, bias])


def subtracted(a: Any, b: Any) -> tuple[Any, Any]:
    """Return a - b for arrays or sparse arrays, and a bound of what was rounded: zero where the result is exact."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        total, rest = two_sum(a, -b)
        return total, np.abs(rest)
    total = a - b
    return total, UNIT * abs(total)

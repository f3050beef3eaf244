"""The exact weights of one layer of a quotient, before they are rounded to a stored type."""

from __future__ import annotations

from dataclasses import dataclass

from lumpability.numbers.float_arrays import Array

__all__ = ["NewWeights"]


@dataclass(frozen=True, eq=False)
class NewWeights:
    """The exact weights of one stage of the quotient.

    Attributes
    ----------
    matrix : exact array, shape (row classes, classes)
        W^: live row classes of the layer below, live classes of this one.
    bias : exact array, shape (classes,), or None
        b^; None if the layer had none and needs none.
    skip : exact array of the shape of `matrix`, or None
        S: what the pre-activations of the layer below add; None if no unit is reflected there.
    """

    matrix: Array
    bias: Array | None
    skip: Array | None = None

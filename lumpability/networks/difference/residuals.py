"""Residuals of a reduced network under affine lifts: what the identities of a lumping miss.

With lifts h_l ~ h^_l A_l + a_l of every layer, A_0 = I and A_k = I,

    E_l = A_{l-1} W_l - W^_l A_l,    beta_l = a_{l-1} W_l + b_l - b^_l A_l

(one E for each source of a layer).  They are defined for every choice of lifts: a bad choice makes a bound looser,
never wrong.  An exact lumping is E = 0, beta = 0.  For d_l = h_l - (h^_l A_l + a_l) and t_l = z_l - z^_l A_l,

    t_l = h^_{l-1} E_l + d_{l-1} W_l + beta_l        for every input, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.networks.difference.affine import AffineLayer, AffineNetwork, Matrix
from lumpability.networks.difference.lifts import Lift, subtracted
from lumpability.networks.difference.rounding import UNIT
from lumpability.numbers.float_arrays import Array


@dataclass(frozen=True, eq=False)
class Residual:
    """The residual of one layer.

    Attributes
    ----------
    matrices, errors : tuple of Matrix
        E for each source, shape (units of the reduced source, units), and a bound of how far E is off.
    bias, bias_error : float64 arrays, shape (units,)
    """

    matrices: tuple[Matrix, ...]
    errors: tuple[Matrix, ...]
    bias: Array
    bias_error: Array


def aligned(first: AffineNetwork, second: AffineNetwork) -> bool:
    """Whether both networks have the same layers, their numbers of units aside."""
    return (
        first.inputs == second.inputs
        and first.outputs == second.outputs
        and len(first.layers) == len(second.layers)
        and all(
            a.sources == b.sources and a.activation.same_as(b.activation)
            for a, b in zip(first.layers, second.layers, strict=True)
        )
    )


def residuals(
    original: AffineNetwork, reduced: AffineNetwork, lifts: Sequence[Lift]
) -> list[Residual]:
    """Return the residual of every layer.

    - original, reduced: `aligned`
    - lifts: one for the inputs, then one for each layer; the first and the last are identities

    Raises `InvalidInput` if a lift does not fit its layers.
    """
    sizes = [(n.inputs, *(layer.units for layer in n.layers)) for n in (reduced, original)]
    if len(lifts) != len(sizes[0]):
        raise InvalidInput(f"{len(lifts)} lifts for {len(sizes[0])} layers, the inputs included")
    for number, (lift, *shape) in enumerate(zip(lifts, *sizes, strict=True)):
        given = [len(lift.shift)] * 2 if lift.matrix is None else [*lift.matrix.shape]
        if given != shape or len(lift.shift) != shape[1]:
            raise InvalidInput(
                f"the lift of layer {number} has shape {given}, but the layers have {shape} units",
                layer=number,
            )
    for number in (0, len(lifts) - 1):
        if not lifts[number].is_identity:
            raise InvalidInput("the lifts of the inputs and of the outputs are the identity")
    return [
        _residual(a, b, [lifts[source] for source in a.sources], lifts[number + 1])
        for number, (a, b) in enumerate(zip(original.layers, reduced.layers, strict=True))
    ]


def _residual(a: AffineLayer, b: AffineLayer, below: list[Lift], own: Lift) -> Residual:
    matrices, errors = [], []
    bias, bias_error = subtracted(a.bias, (lifted := own.columns(b.bias))[0])
    bias_error = bias_error + lifted[1]
    for lift, weight, reduced in zip(below, a.matrices, b.matrices, strict=True):
        left, left_error = lift.rows(weight)
        right, right_error = own.columns(reduced)
        matrix, error = subtracted(left, right)
        error = error + left_error + right_error
        if a.relative or b.relative:
            error = error + 2 * a.relative * abs(left) + 2 * b.relative * abs(right)
        matrices.append(matrix)
        errors.append(error)
        added, added_error = lift.shifted(weight)
        if lift.shift.any():
            bias = bias + added
            bias_error = bias_error + added_error + UNIT * np.abs(bias)
            bias_error = bias_error + 2 * a.relative * (np.abs(lift.shift) @ abs(weight))
    if a.bias_error is not None:
        bias_error = bias_error + a.bias_error
    if b.bias_error is not None:
        moved = b.bias_error if own.matrix is None else b.bias_error @ np.abs(own.matrix)
        bias_error = bias_error + moved
    return Residual(tuple(matrices), tuple(errors), bias, bias_error * (1 + 1e-9))

"""A bound on the change of outputs by rounding the quotient's weights, on a box of inputs.

Let E_l be the change of W^_l and beta_l that of b^_l by rounding, L a bound on the slope of the activation, and
h^ the values of the quotient before rounding.  Then the errors of the values satisfy, entry by entry,

    e_l <= L (e_{l-1} |W~_l| + |h^_{l-1}| |E_l| + |beta_l|),      e_0 = 0,

W~ being the stored weights.  |h^| is bounded over the box by interval arithmetic.  All terms are
non-negative; they are added in float64 and enlarged by one part in 10^9, which covers the rounding of
sums of up to a million terms.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lumpability.errors import NotJustified
from lumpability.networks.elementwise import Activate
from lumpability.networks.layers import Dense, Shape
from lumpability.networks.reshape import ShapeLayer
from lumpability.networks.unit_layout import fixed
from lumpability.numbers.float_arrays import Array, to_fractions

if TYPE_CHECKING:
    from lumpability.networks.lumping import NetworkLumping

_SLACK = 1 + 1e-9


def rounding_error_bound(lumping: NetworkLumping, low: Any, high: Any) -> Array:
    """Bound the change of every output that rounding the quotient's weights can cause.

    Raises `NotJustified` if a layer has no bound here: a convolution, sign, batch normalisation, a layer
    without units.

    - lumping: of a network of dense layers with activations of bounded slope
    - low, high: the box of inputs, broadcast to the inputs
    - returns float64 array, shape (outputs,)

    >>> from lumpability import lump
    >>> from lumpability.networks import Network
    >>> tiny = [[1], [2.0**-30]]
    >>> twins = Network.dense([([[1, 1]], None, "relu"), (tiny, None, None)], dtype="float32")
    >>> rounding_error_bound(lump(twins), -1, 1) * 2**30 < 1.001
    array([ True])
    """
    quotient = lumping.quotient
    if not lumping.rounding.rounded:
        return np.zeros(int(quotient.output_shape[-1] or 1))
    if any(weights.matrix.size == 0 for weights in lumping.weights):
        raise NotJustified("there is no error bound for a network that is constant in part")
    size = math.prod(fixed(quotient.input_shape))
    lower, upper = (np.broadcast_to(x, (size,)) * 1.0 for x in (low, high))
    error = np.zeros(size)
    exact = iter(lumping.weights)
    for layer, shape in zip(quotient.layers, quotient.shapes, strict=False):
        if isinstance(layer, Dense) and layer.weight.shape[0] == len(lower):
            weights = next(exact)
            reach = np.maximum(np.abs(lower), np.abs(upper)) + error
            change = _change(layer.weight, weights.matrix)
            shift = np.zeros(layer.units)
            if layer.bias is not None and weights.bias is not None:
                shift = _change(layer.bias, weights.bias)
            stored = layer.weight.astype(np.float64)
            error = (error @ np.abs(stored) + reach @ change + shift) * _SLACK
            lower, upper = _interval(layer, lower, upper)
        elif isinstance(layer, Activate) and layer.function.lipschitz is not None:
            slope = float(layer.function.lipschitz)
            error = error * slope * _SLACK
            reach = slope * np.maximum(np.abs(lower), np.abs(upper)) + abs(
                layer(np.zeros(1)).item()
            )
            lower, upper = -reach * _SLACK, reach * _SLACK
        elif not (isinstance(layer, ShapeLayer) and _keeps_order(layer, shape)):
            raise NotJustified(f"there is no error bound for a layer {layer.title} here")
    return error


def _keeps_order(layer: ShapeLayer, shape: Shape) -> bool:
    """Whether the numbers of an array are read in the same order before and after the layer."""
    numbers = np.arange(math.prod(fixed(shape))).reshape(fixed(shape))
    return bool(np.array_equal(layer(numbers).ravel(), numbers.ravel()))


def _change(stored: Array, exact: Array) -> Array:
    """Return |stored - exact|, rounded up."""
    if exact.dtype != object and np.array_equal(stored, exact):
        return np.zeros(stored.shape)
    difference = np.abs(to_fractions(stored) - to_fractions(exact))
    return np.asarray(difference.astype(np.float64) * _SLACK)


def _interval(layer: Dense, lower: Array, upper: Array) -> tuple[Array, Array]:
    weight = layer.weight.astype(np.float64)
    bias = np.zeros(layer.units) if layer.bias is None else layer.bias.astype(np.float64)
    middle, radius = (lower + upper) / 2, (upper - lower) / 2
    centre = middle @ weight + bias
    spread = (radius @ np.abs(weight)) * _SLACK
    spread += (np.abs(middle) @ np.abs(weight) + np.abs(bias)) * (_SLACK - 1)
    return centre - spread, centre + spread

"""Sound ranges of every unit on a box of inputs: interval arithmetic and CROWN, fed forward layer by layer.

CROWN (Zhang et al., Efficient neural network robustness certification, 2018) bounds a linear functional of the
units from below: from the last layer to the first, each activation is replaced by its lower line where the
coefficient is positive and by its upper line where it is negative, and each affine map by its matrix; on the
inputs the least value is taken.  The lines of a layer need the ranges of its arguments, which are computed first.
Every range is the intersection of both methods, and the next layer is bounded with it.

All bounds hold for real arithmetic with the stored weights; `lumpability.networks.difference.rounding` says how
the rounding of floats here is covered.  For n units a layer and L layers, O(L^2) products of n x n matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.difference.affine import AffineLayer, AffineNetwork, added, as_dense
from lumpability.networks.difference.lines import Lines, image, lines
from lumpability.networks.difference.rounding import TINY, UNIT, down, gamma, up
from lumpability.numbers.float_arrays import Array

Terms = dict[int, Array]
"""Coefficients of the values of layers by their numbers, shape (units, functionals); 0 is the input."""

_WIDTH = 1024
"""Functionals that are pushed back at once; bounds the memory."""


@dataclass(frozen=True, eq=False)
class Ranges:
    """Bounds of every unit; those of layer i of the network are at place i, counted from 0.

    Attributes
    ----------
    network : AffineNetwork
    input_low, input_high : float64 arrays, shape (inputs,)
    low, high : list of float64 array, shape (units,)
        Of the pre-activations z.
    post_low, post_high : list of float64 array
        Of the values h after the activation.
    lines : list of Lines
        Around the activations.
    errors : list of float64 array
        What rounding changes for each unit of a coefficient of its pre-activation that is pushed back.

    Examples
    --------
    >>> from lumpability import Network
    >>> from lumpability.networks.difference import affine_layers
    >>> network = affine_layers(Network.dense([([[1, -1]], None, "relu"), ([[1], [1]], None, None)]))
    >>> found = ranges(network, (-1, 2))
    >>> [(low.round(9).tolist(), high.round(9).tolist()) for low, high in zip(found.low, found.high)]
    [([-1.0, -2.0], [2.0, 1.0]), ([-0.0], [2.0])]
    """

    network: AffineNetwork
    input_low: Array
    input_high: Array
    low: list[Array]
    high: list[Array]
    post_low: list[Array]
    post_high: list[Array]
    lines: list[Lines]
    errors: list[Array]

    def post(self, layer: int) -> tuple[Array, Array]:
        """Return the bounds of the values of a layer by its number, 0 for the input."""
        if layer == 0:
            return self.input_low, self.input_high
        return self.post_low[layer - 1], self.post_high[layer - 1]

    def size(self, layer: int) -> Array:
        """Return bounds of the absolute values of a layer by its number."""
        low, high = self.post(layer)
        return np.maximum(np.abs(low), np.abs(high))

    def reach(self, layer: AffineLayer) -> Array:
        """Return bounds of the absolute values of what the rows of `incoming` read, 1 for the biases."""
        return np.concatenate([*(self.size(source) for source in layer.sources), np.ones(1)])

    def argument_size(self, layer: int) -> Array:
        """Return bounds of the absolute pre-activations of a layer by its number."""
        return np.maximum(np.abs(self.low[layer - 1]), np.abs(self.high[layer - 1]))


def box_ends(box: Any, inputs: int) -> tuple[Array, Array]:
    """Return both ends of a box as float64 arrays, shape (inputs,).

    - box: of a box the doubles around its ends; of a pair floats, taken literally: two numbers for all inputs,
      or two arrays with one number for each

    Raises `InvalidInput` if a number is not finite, the shape does not fit or a lower end lies above the upper
    one.
    """
    named = hasattr(box, "floats")
    pair = box.floats if named else box
    try:
        pair = tuple(pair)
        ends = [np.asarray(end) for end in pair]
    except (TypeError, ValueError):
        ends = []
    if len(ends) != 2 or any(end.dtype.kind not in "iuf" for end in ends):
        raise InvalidInput(
            "a box has a lower and an upper end: give a Box, as Box.read(path) reads one, or a pair (low, high) "
            "of floats"
        )
    found = []
    for name, end in zip(("low", "high"), ends, strict=True):
        values = end.astype(np.float64).ravel()
        if np.isfinite(values).all() and np.any(values.astype(end.dtype) != end.ravel()):
            raise InvalidInput(f"the box holds numbers in {name} that are no doubles: give a Box")
        # One number stands for all inputs only where it was written as a number, not as a list or a file.
        if values.size != inputs and (end.ndim or named):
            one = "1 number" if values.size == 1 else f"{values.size} numbers"
            raise InvalidInput(
                f"the box has {one} in {name}, but the network has {inputs} inputs",
                given=values.size,
                inputs=inputs,
            )
        if not np.isfinite(values).all():
            raise InvalidInput(f"the box holds numbers in {name} that are not finite")
        found.append(np.broadcast_to(values, (inputs,)).copy())
    low, high = found
    if np.any(low > high):
        place = int(np.flatnonzero(low > high)[0])
        raise InvalidInput(
            f"the box is empty: input {place} has low {low[place]:g} above high {high[place]:g}",
            input=place,
        )
    return low, high


def ranges(network: AffineNetwork, box: Any) -> Ranges:
    """Return bounds of all units of a network on a box of inputs.

    Parameters
    ----------
    network : AffineNetwork
    box : Box or (low, high)

    Raises
    ------
    InvalidInput
        If the box does not fit.

    Examples
    --------
    >>> from lumpability import Network
    >>> from lumpability.networks.difference import affine_layers
    >>> network = affine_layers(Network.dense([([[1]], [2], "relu"), ([[1]], None, None)]))
    >>> found = ranges(network, (-1, 2))
    >>> bool(found.low[0] > 0), found.high[-1].round(9).tolist()
    (True, [4.0])
    """
    low, high = box_ends(box, network.inputs)
    found = Ranges(network, low, high, [], [], [], [], [], [])
    with np.errstate(invalid="ignore", over="ignore"):
        for layer in network.layers:
            bottom, top = interval(layer, found)
            if found.low:  # on the first layer, an interval is exact
                _tighten(found, layer, bottom, top, np.arange(layer.units))
            _extend(found, layer, bottom, top)
    return found


class NoInput(NotJustified):
    """No input has the signs of units that a case asks for."""


def narrowed(parent: Ranges, number: int, unit: int, sign: int) -> Ranges:
    """Return bounds for the inputs at which the pre-activation of a unit has a sign, or is zero.

    Stable units of later layers keep their bounds.  Raises `NoInput` if there is no such input.
    """
    found = Ranges(parent.network, parent.input_low, parent.input_high, [], [], [], [], [], [])
    last = len(parent.network.layers)
    for place, layer in enumerate(parent.network.layers, start=1):
        low, high = parent.low[place - 1].copy(), parent.high[place - 1].copy()
        if place == number:
            end = low if sign > 0 else high
            end[unit] = 0.0
        elif place > number:
            bottom, top = interval(layer, found)
            low, high = np.fmax(low, bottom), np.fmin(high, top)
            straddling = (low < 0) & (high > 0)
            if place == last or layer.slopes is None:
                straddling[:] = True
            _tighten(found, layer, low, high, np.flatnonzero(straddling))
        if np.any(low > high):
            raise NoInput("no input of the box has the signs of a case")
        _extend(found, layer, low, high)
    return found


def _tighten(found: Ranges, layer: AffineLayer, low: Array, high: Array, units: Array) -> None:
    """Tighten bounds of some pre-activations of the next layer, in place."""
    for part in slices(len(units)):
        columns = units[part]
        below, above = _crown(layer, found, columns)
        low[columns], high[columns] = np.fmax(low[columns], below), np.fmin(high[columns], above)


def _crown(layer: AffineLayer, found: Ranges, columns: Array) -> tuple[Array, Array]:
    """Return bounds of some pre-activations of the next layer by back-substitution."""
    terms: Terms = {}
    for source, matrix in layer.terms:
        added(terms, source, both_signs(as_dense(matrix[:, columns])))
    error = np.tile((weight_error(layer, found) + 4 * UNIT * reach(layer, found))[columns], 2)
    below = least(found, terms, both_signs(layer.bias[columns]), error)
    count = len(below) // 2
    return below[:count], -below[count:]


def _extend(found: Ranges, layer: AffineLayer, low: Array, high: Array) -> None:
    """Record bounds of the pre-activations of the next layer."""
    found.low.append(low)
    found.high.append(high)
    bottom, top = image(layer, low, high)
    found.lines.append(lines(layer, low, high))
    found.post_low.append(bottom)
    found.post_high.append(top)
    scale = reach(layer, found)
    error = gamma(layer.units) * scale + weight_error(layer, found)
    found.errors.append(error + TINY * (1 + layer.units * np.sum(scale)))


def both_signs(values: Array) -> Array:
    """Return functionals and their negatives, along the last axis."""
    return np.concatenate([values, -values], axis=-1)


def slices(columns: int) -> list[slice]:
    """Return slices of columns that are handled together."""
    return [slice(start, start + _WIDTH) for start in range(0, columns, _WIDTH)]


def weight_error(layer: AffineLayer, found: Ranges) -> Array:
    """Return how far weights and biases that round move the pre-activations of a layer at most."""
    error = np.zeros(layer.units) if layer.bias_error is None else layer.bias_error.copy()
    if layer.relative:
        for source, size in zip(layer.sources, layer.sizes, strict=True):
            error += 2 * layer.relative * (found.size(source) @ size)
    return error


def reach(layer: AffineLayer, found: Ranges) -> Array:
    """Return bounds of the sums of |h| |W| + |b| of a layer, which scale its rounding."""
    total = np.abs(layer.bias)
    for source, size in zip(layer.sources, layer.sizes, strict=True):
        total = total + found.size(source) @ size
    return np.asarray(total)


def interval(layer: AffineLayer, found: Ranges) -> tuple[Array, Array]:
    """Return bounds of the pre-activations of a layer by interval arithmetic."""
    bottom, top = layer.bias.copy(), layer.bias.copy()
    for source, matrix, size in zip(layer.sources, layer.matrices, layer.sizes, strict=True):
        low, high = found.post(source)
        positive, negative = (matrix + size) / 2, (matrix - size) / 2
        bottom += low @ positive + high @ negative
        top += high @ positive + low @ negative
    count = sum(int(matrix.shape[0]) for matrix in layer.matrices)
    slack = gamma(2 * count) * reach(layer, found) + weight_error(layer, found)
    return down(bottom - slack), up(top + slack)


class Tally:
    """The constants of functionals that are pushed back, and what rounding may have changed.

    - total: float64 array, shape (functionals,)
    - slack (float64 array, shape (functionals,)): the functionals are not less than the total minus this, plus
      the terms that are pending
    """

    def __init__(self, constant: Array, error: Array) -> None:
        self.total = constant.astype(np.float64)
        self.slack = error + 4 * UNIT * np.abs(constant)

    def add(self, amount: Array, error: Array) -> None:
        """Add to the constants."""
        self.total = self.total + amount
        self.slack = self.slack + error + 4 * UNIT * np.abs(self.total)

    def bound(self) -> Array:
        """Return the lower bounds, once nothing is pending."""
        return down(self.total - self.slack * (1 + 1e-9))


def least(found: Ranges, terms: Terms, constant: Array, error: Array) -> Array:
    """Return lower bounds of linear functionals of units, minus an error.

    - found: of all layers that are read
    - terms (dict of int to float64 array, shape (units, functionals)): by the number of the layer, the
      coefficients of its values
    - constant, error: float64 arrays, shape (functionals,)
    - returns float64 array, shape (functionals,): not finite where numbers overflow: such a bound is no bound
    """
    pending, tally = dict(terms), Tally(constant, error)
    to_inputs(found, pending, tally)
    least_on_inputs(found, pending, tally)
    return tally.bound()


def to_inputs(found: Ranges, pending: Terms, tally: Tally) -> None:
    """Replace the values of all layers by lines of what they are computed from, in place, until inputs are left."""
    for number in range(max(pending, default=0), 0, -1):
        if number in pending:
            pushed = through_lines(found, number, pending.pop(number), tally)
            through_affine(found, number, pushed, pending, tally)


def least_on_inputs(found: Ranges, pending: Terms, tally: Tally) -> None:
    """Add the least values on the box of the terms of inputs."""
    if 0 in pending:
        positive, negative = np.maximum(pending[0], 0), np.minimum(pending[0], 0)
        error = gamma(2 * len(found.input_low)) * (found.size(0) @ np.abs(pending[0]))
        tally.add(found.input_low @ positive + found.input_high @ negative, error)


def through_lines(found: Ranges, number: int, coefficients: Array, tally: Tally) -> Array:
    """Replace the values of a layer by lines of their arguments; return the coefficients of these."""
    line = found.lines[number - 1]
    positive, negative = np.maximum(coefficients, 0), np.minimum(coefficients, 0)
    error = np.abs(line.low_shift) @ positive - np.abs(line.high_shift) @ negative
    tally.add(
        line.low_shift @ positive + line.high_shift @ negative, gamma(2 * len(coefficients)) * error
    )
    pushed: Array = positive * line.low_slope[:, None] + negative * line.high_slope[:, None]
    return pushed


def through_affine(found: Ranges, number: int, pushed: Array, pending: Terms, tally: Tally) -> None:
    """Replace the arguments of a layer, with these coefficients, by what they are computed from.

    The coefficients may be rounded products of two numbers.  Adds terms of earlier layers to `pending`.
    """
    layer = found.network.layers[number - 1]
    tally.add(layer.bias @ pushed, found.errors[number - 1] @ np.abs(pushed))
    for source, matrix in layer.terms:
        part = matrix @ pushed
        if source in pending:
            part = pending[source] + part
            tally.slack = tally.slack + 2 * UNIT * (found.size(source) @ np.abs(part))
        pending[source] = part

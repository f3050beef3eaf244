"""The ranges of all units of a network on a box, derived one from another in exact arithmetic.

Linear functionals of values are pushed back from the last layer to the inputs: each activation is replaced by its
lower line where the coefficient is positive and by its upper line where it is negative, each affine map by its
matrices, along the edges of the network; on the inputs the least value is taken.  Ranges of the pre-activations are
claims, and each is derived from those of the layers below it, by intervals or by pushing back.

Coefficients are rounded down to multiples of 2^-BITS, and what that loses is subtracted.  Weights that are not the
stored numbers (`AffineLayer.relative`, `bias_error`) move a pre-activation by at most `Side.errors`, which is
subtracted as well.  O(L^2) products of matrices for L layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lumpability.networks.difference.affine import AffineLayer, AffineNetwork, added, as_dense
from lumpability.networks.relaxed.lines import Ends, Lines, image, lines_of
from lumpability.networks.relaxed.scaled import Scaled
from lumpability.numbers.float_arrays import Array

BITS = 90
"""Coefficients are rounded to multiples of 2^-BITS, far below what floats round."""
_UNIT = 2.0**-BITS

Terms = dict[int, Scaled]
"""Coefficients of the values of layers by their numbers, shape (units, functionals); 0 is the input."""


class Refuted(Exception):
    """A claimed range does not follow from those below it."""


@dataclass(eq=False)
class Side:
    """One network with ranges of all units on a box; layer number i is at place i - 1, and of `posts` at place i."""

    network: AffineNetwork
    ends: list[Ends]  # of the pre-activations
    matrices: list[tuple[Scaled, ...]]
    biases: list[Scaled]
    posts: list[Ends]  # of the values; the first pair is the box
    lines: list[Lines] = field(default_factory=list)
    errors: list[Scaled] = field(default_factory=list)

    def linear(self, number: int) -> Array:
        """Whether act(z) = z for each unit of a layer on the box."""
        slopes = self.network.layers[number - 1].slopes
        if slopes is None:
            return np.zeros(self.network.layers[number - 1].units, dtype=bool)
        low = self.ends[number - 1][0]
        return np.asarray(~Scaled.zeros(*low.shape).exceeds(low) | (slopes == 1))


def side(
    network: AffineNetwork,
    box: Ends,
    ends: Sequence[tuple[Array, Array]],
    *,
    proved: bool = False,
) -> Side:
    """Return a network with claimed ranges.

    - ends: floats, of the pre-activations of every layer
    - proved: whether to derive every range, and raise `Refuted` if one does not follow
    """
    claimed = [(Scaled.of(low), Scaled.of(high)) for low, high in ends]
    if [low.shape for low, _ in claimed] != [(layer.units,) for layer in network.layers]:
        raise Refuted("there is not one range for each unit")
    matrices = [tuple(Scaled.of(as_dense(m)) for m in layer.matrices) for layer in network.layers]
    biases = [Scaled.of(layer.bias) for layer in network.layers]
    found = Side(network, claimed, matrices, biases, [box])
    for number, (layer, (low, high)) in enumerate(zip(network.layers, claimed, strict=True), 1):
        if low.exceeds(high).any():
            raise Refuted(f"a range of layer {number - 1} is empty")
        found.errors.append(_error(found, number, layer))
        if proved:
            _prove(found, number, low, high)
        found.posts.append(image(layer, low, high))
        found.lines.append(lines_of(layer, low, high))
    return found


def _error(found: Side, number: int, layer: AffineLayer) -> Scaled:
    """Return how far weights and biases that are not the stored ones move the pre-activations at most."""
    error = Scaled.of(np.zeros(layer.units) if layer.bias_error is None else layer.bias_error)
    if layer.relative:
        share = Scaled.of(layer.relative)
        for source, matrix in zip(layer.sources, found.matrices[number - 1], strict=True):
            low, high = found.posts[source]
            error = error + share * (low.size.most(high.size) @ matrix.size)
    return error


def _prove(found: Side, number: int, low: Scaled, high: Scaled) -> None:
    """Derive the claimed ranges of a layer from those of the layers below it."""
    bottom, top = _interval(found, number)
    for sign, missed in ((1, low.exceeds(bottom)), (-1, top.exceeds(high))):
        units = np.flatnonzero(missed)
        if len(units) and number > 1:
            if sign == 1:
                units = units[low[units].exceeds(_pushed(found, number, units, 1))]
            else:
                units = units[(-high[units]).exceeds(_pushed(found, number, units, -1))]
        if len(units):
            name = "above" if sign == 1 else "below"
            raise Refuted(
                f"unit {units[0]} of layer {number - 1} does not stay {name} what is claimed"
            )


def exact_ends(found: Side, number: int, units: Array) -> Ends:
    """Return the range of some units of a layer that follows from the claimed ranges below it."""
    bottom, top = (end[units] for end in _interval(found, number))
    if number > 1:
        bottom = bottom.most(_pushed(found, number, units, 1))
        top = top.least(-_pushed(found, number, units, -1))
    return bottom, top


def _interval(found: Side, number: int) -> Ends:
    """Return the range of a layer by interval arithmetic."""
    error = found.errors[number - 1]
    bottom, top = found.biases[number - 1] - error, found.biases[number - 1] + error
    layer = found.network.layers[number - 1]
    for source, matrix in zip(layer.sources, found.matrices[number - 1], strict=True):
        (low, high), above, below = found.posts[source], matrix.positive, matrix.negative
        bottom, top = bottom + low @ above + high @ below, top + high @ above + low @ below
    return bottom, top


def _pushed(found: Side, number: int, units: Array, sign: int) -> Scaled:
    """Return lower bounds of some pre-activations of a layer, for the sign -1 of their negatives."""
    pending: Terms = {}
    layer = found.network.layers[number - 1]
    for source, matrix in zip(layer.sources, found.matrices[number - 1], strict=True):
        part = matrix[:, units]
        added(pending, source, part if sign == 1 else -part)
    bias = found.biases[number - 1][units]
    constant = (bias if sign == 1 else -bias) - found.errors[number - 1][units]
    for below in range(number - 1, 0, -1):
        if below in pending:
            through, constant = through_lines(found, below, pending.pop(below), constant)
            constant = through_affine(found, below, through, pending, constant)
    return constant + least_of(pending[0], found.posts[0]) if 0 in pending else constant


def least_of(coefficients: Scaled, ends: Ends) -> Scaled:
    """Return the least values of functionals of numbers between ends."""
    low, high = ends
    return low @ coefficients.positive + high @ coefficients.negative


def rounded(coefficients: Scaled, low: Scaled) -> tuple[Scaled, Scaled]:
    """Round coefficients down, and return what that takes from functionals of numbers that are at least `low`."""
    fewer = coefficients.down(BITS)
    changed = (coefficients - fewer).nonzero
    return fewer, (low.negative @ Scaled.of(changed * 1.0)) * Scaled.of(_UNIT)


def multiplied(matrix: Scaled, coefficients: Scaled, low: Scaled) -> tuple[Scaled, Scaled]:
    """Multiply a matrix with coefficients, rounded down, and return what rounding takes as `rounded` does."""
    part, lost = matrix.matmul_down(coefficients, BITS)
    return part, (low.negative @ Scaled.of(lost * 1.0)) * Scaled.of(_UNIT)


def through_lines(found: Side, number: int, coefficients: Scaled, constant: Scaled) -> Ends:
    """Replace values of a layer by lines in their pre-activations."""
    line, above, below = found.lines[number - 1], coefficients.positive, coefficients.negative
    through = above * line.low_slope[:, None] + below * line.high_slope[:, None]
    through, loss = rounded(through, found.ends[number - 1][0])
    return through, constant + line.low_shift @ above + line.high_shift @ below + loss


def through_affine(
    found: Side, number: int, through: Scaled, pending: Terms, constant: Scaled
) -> Scaled:
    """Replace pre-activations of a layer by what they are computed from; return the constant."""
    constant = constant + found.biases[number - 1] @ through
    if found.errors[number - 1].nonzero.any():
        constant = constant - found.errors[number - 1] @ through.size
    layer = found.network.layers[number - 1]
    for source, matrix in zip(layer.sources, found.matrices[number - 1], strict=True):
        part, loss = multiplied(matrix, through, found.posts[source][0])
        added(pending, source, part)
        constant = constant + loss
    return constant

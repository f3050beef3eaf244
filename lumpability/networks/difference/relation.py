"""Which unit of a smaller network stands for which unit of the original, guessed from the weights.

From the inputs up, with the lift of the layers below: the incoming weights and bias of unit s, lifted, are compared
with the columns of the reduced layer, each with its best factor; then its outgoing weights with the rows of the
reduced layer; and a unit without a counterpart counts as constant, in the middle of its range.  Of these the one is
taken with the least interval bound of what it misses.  A wrong guess makes bounds looser, never wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.networks.difference.affine import AffineLayer, AffineNetwork, as_dense
from lumpability.networks.difference.lifts import Lift, incoming
from lumpability.networks.difference.ranges import Ranges
from lumpability.numbers.float_arrays import Array

_HEAD_START = 8.0


def given_lifts(relation: Sequence[Any], original: AffineNetwork) -> list[Lift]:
    """Return the lifts of all layers from those of the hidden ones: `Lift` objects or pairs (A, a)."""
    hidden = original.layers[:-1]
    pairs = isinstance(relation, list | tuple) and all(
        isinstance(item, Lift) or (isinstance(item, list | tuple) and len(item) == 2)
        for item in relation
    )
    if not pairs:
        raise InvalidInput("a relation is a list with a pair (A, a) for each hidden layer")
    if len(relation) != len(hidden):
        raise InvalidInput(
            f"the relation has {len(relation)} lifts, but the network has {len(hidden)} hidden layers"
        )
    lifts = [Lift.identity(original.inputs)]
    for number, (item, layer) in enumerate(zip(relation, hidden, strict=True), start=1):
        if isinstance(item, Lift):
            lift = item
        else:
            matrix, shift = (None if x is None else np.asarray(x, dtype=np.float64) for x in item)
            lift = Lift(matrix, np.zeros(layer.units) if shift is None else shift)
        shapes = [lift.shift.shape, *([] if lift.matrix is None else [lift.matrix.shape[1:]])]
        if any(shape != (layer.units,) for shape in shapes):
            raise InvalidInput(
                f"the lift of layer {number} does not have one column and one constant for each of "
                f"{layer.units} units",
                layer=number,
            )
        lifts.append(lift)
    return [*lifts, Lift.identity(original.outputs)]


def guessed_lifts(original: Ranges, reduced: Ranges) -> list[Lift]:
    """Return the lifts of two aligned networks.

    - original, reduced: on the region for which the lifts are to be good

    >>> from lumpability import Network
    >>> from lumpability.networks.difference import affine_layers, ranges
    >>> full = Network.dense([([[1, 3, 2]], [0, 1, 0], "relu"), ([[1], [1], [2]], None, None)])
    >>> less = Network.dense([([[3, 1]], [1, 0], "relu"), ([[1], [5]], None, None)])
    >>> lifts = guessed_lifts(*(ranges(affine_layers(n), (-1, 1)) for n in (full, less)))
    >>> lifts[1].matrix.tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 2.0]]
    """
    lifts = [Lift.identity(original.network.inputs)]
    pairs = list(zip(original.network.layers, reduced.network.layers, strict=True))
    for number in range(1, len(pairs)):
        after = [
            (layer, less)
            for layer, less in pairs[number:]
            if layer.sources == (number,) and layer.units == less.units
        ]
        lifts.append(_guess(original, reduced, number, lifts, after[:1]))
    return [*lifts, Lift.identity(original.network.outputs)]


def _guess(
    original: Ranges,
    reduced: Ranges,
    number: int,
    lifts: list[Lift],
    after: list[tuple[AffineLayer, AffineLayer]],
) -> Lift:
    a, b = (found.network.layers[number - 1] for found in (original, reduced))
    bottom, top = original.post(number)
    half = np.where(np.isfinite(top - bottom), (top - bottom) / 2, np.inf)
    middle = np.where(np.isfinite(half), bottom + half, 0.0)
    if not b.units:
        return Lift.of(np.full(a.units, -1), np.zeros(a.units), middle, 0)
    left, right, reach = incoming(a, lifts), incoming(b), reduced.reach(b)
    options = [] if a.units != b.units else [(np.arange(a.units), np.ones(a.units))]
    options += _options(left, right, scalable=a.slopes is not None)
    for layer, less in after:
        rows = [as_dense(x.matrices[0]).T for x in (layer, less)]
        options += [(best, 1 / by) for best, by in _options(*rows, scalable=a.slopes is not None)]
    source, factor = np.full(a.units, -1), np.zeros(a.units)
    # A counterpart moves along with the unit, and a constant does not: hence the head start.
    missed = _HEAD_START * half
    for candidate, by in options:
        off = reach @ np.abs(left - right[:, candidate] * by)
        better = _same_slopes(a, b, candidate) & (
            (off < missed / 2) | ((source < 0) & (off <= missed))
        )
        source, factor = np.where(better, candidate, source), np.where(better, by, factor)
        missed = np.where(better, off, missed)
    return Lift.of(source, factor, np.where(source >= 0, 0.0, middle), b.units)


def _same_slopes(a: AffineLayer, b: AffineLayer, candidate: Array) -> Array:
    if a.slopes is None or b.slopes is None:
        return np.ones(len(candidate), dtype=bool)
    return np.asarray(a.slopes == b.slopes[candidate])


def _options(left: Array, right: Array, *, scalable: bool) -> list[tuple[Array, Array]]:
    """Return for each column of `left` the nearest column of `right` and its factor, without and with a factor."""
    inner = left.T @ right
    own, theirs = (left**2).sum(axis=0), (right**2).sum(axis=0)
    found = [(np.argmin(theirs - 2 * inner, axis=1), np.ones(left.shape[1]))]
    if scalable:
        factor = np.maximum(inner, 0) / np.where(theirs > 0, theirs, 1)
        best = np.argmin(own[:, None] - factor * inner, axis=1)
        chosen = factor[np.arange(len(best)), best]
        found.append((best, np.where(chosen > 0, chosen, 1.0)))
    return found

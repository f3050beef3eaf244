"""Which unit of a smaller network stands for which unit of the original, guessed from the weights.

From the inputs up, with the lift of the layers below: the incoming weights and bias of unit s, lifted, are compared
with the columns of the reduced layer, each with its best factor; then its outgoing weights with the rows of the
reduced layer; and a unit without a counterpart counts as a constant, which the layer that reads it determines.  Of
these the one is taken with the least interval bound of what it misses.  A wrong guess makes bounds looser, never wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.networks.difference.affine import (
    AffineLayer,
    AffineNetwork,
    apply_activation,
    as_dense,
)
from lumpability.networks.difference.lifts import Lift, incoming
from lumpability.networks.difference.ranges import Ranges
from lumpability.numbers.float_arrays import Array

_HEAD_START = 8.0
_ROUNDED = 1e-9
"""Incoming weights that differ by a smaller share count as equal."""


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


def guessed_lifts(
    original: Ranges,
    reduced: Ranges,
    *,
    in_order: bool = False,
    kept: Mapping[int, Array] | None = None,
) -> list[Lift]:
    """Return the lifts of two aligned networks.

    - original, reduced: on the region for which the lifts are to be good
    - in_order: whether layers of equal size keep their units one by one, and others merge only what differs by less
      than a constant would
    - kept: by the number of a layer the units that the reduced one has, where they are known

    >>> from lumpability import Network
    >>> from lumpability.networks.difference import affine_layers, ranges
    >>> full = Network.dense([([[1, 3, 2]], [0, 1, 0], "relu"), ([[1], [1], [2]], None, None)])
    >>> less = Network.dense([([[3, 1]], [1, 0], "relu"), ([[1], [5]], None, None)])
    >>> lifts = guessed_lifts(*(ranges(affine_layers(n), (-1, 1)) for n in (full, less)))
    >>> lifts[1].matrix.tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 2.0]]
    """
    lifts = [Lift.identity(original.network.inputs)]
    for number in range(1, len(original.network.layers) + 1):
        known = None if kept is None else kept.get(number)
        tried = [
            (_guess(original, reduced, number, below, in_order=in_order, known=known), below)
            for below in _with_constants(original, reduced.network, lifts, number)
        ]
        (lift, _), below = min(tried, key=lambda one: one[0][1])
        lifts = [*below, lift]
    return lifts


def _with_constants(
    original: Ranges, reduced: AffineNetwork, lifts: list[Lift], number: int
) -> Iterator[list[Lift]]:
    """Yield lifts with some choices for units that this layer reads first; its biases say what was meant.

    Constants are the middles of their ranges, zeros, or what units without incoming weights would be.  Units that are
    only near to the counterpart of others may be constants too.
    """
    yield lifts
    layers = original.network.layers
    read = {source for layer in layers[: number - 1] for source in layer.sources}
    fresh = []
    for source in sorted({*layers[number - 1].sources} - read - {0}):
        constant = ~lifts[source].full.any(axis=0)
        shared = np.bincount(lifts[source].source + 1, minlength=1)[lifts[source].source + 1] > 1
        choices = [constant]
        if (shared & ~constant).any():
            columns = incoming(layers[source - 1], lifts)
            off = np.abs(columns - incoming(reduced.layers[source - 1]) @ lifts[source].full)
            near = off.sum(axis=0) > _ROUNDED * np.abs(columns).sum(axis=0)
            choices += [constant | (shared & near)]
        fresh.append((source, choices))
    for place, value in itertools.product((0, -1), ("zero", "bias", "middle")):
        changed = list(lifts)
        for source, choices in fresh:
            layer, lift, constant = layers[source - 1], lifts[source], choices[place]
            if not constant.any():
                continue
            shift = np.zeros(layer.units)
            if value == "bias":
                moved = (lifts[k].shifted(matrix)[0] for k, matrix in layer.terms)
                bias = sum(moved, start=layer.bias)
                shift = apply_activation(layer, bias)
            elif value == "middle":
                shift = _middle(*original.post(source))
            source_of, factor = (
                np.where(constant, -1, lift.source),
                np.where(constant, 0, lift.factor),
            )
            shift = np.where(constant, shift, lift.shift)
            changed[source] = Lift.of(source_of, factor, shift, len(lift.full))
        if any(one is not other for one, other in zip(changed, lifts, strict=True)):
            yield changed


def _guess(
    original: Ranges,
    reduced: Ranges,
    number: int,
    lifts: list[Lift],
    *,
    in_order: bool,
    known: Array | None,
) -> tuple[Lift, float]:
    """Return the lift of a layer, and the sum of what it misses of each unit."""
    a, b = (found.network.layers[number - 1] for found in (original, reduced))
    bottom, top = original.post(number)
    half = np.where(np.isfinite(top - bottom), (top - bottom) / 2, np.inf)
    middle = _middle(bottom, top)
    if not b.units:
        return Lift.of(np.full(a.units, -1), np.zeros(a.units), middle, 0), 0.0
    left, right, reach = incoming(a, lifts), incoming(b), reduced.reach(b)
    if number == len(original.network.layers) or (in_order and a.units == b.units):
        return Lift.identity(a.units), float((reach @ np.abs(left - right)).sum())
    options = [] if a.units != b.units else [(np.arange(a.units), np.ones(a.units))]
    options += _options(left, right, scalable=a.slopes is not None)
    if (above := _above(original, reduced, number)) is not None:
        found = _options(*above, scalable=a.slopes is not None)
        options += [(best, 1 / by) for best, by in found]
    source, factor = np.full(a.units, -1), np.zeros(a.units)
    # A counterpart moves along with the unit, and a constant does not: hence the head start.
    rounded = _ROUNDED * (reach @ np.abs(left))
    missed = np.maximum(half, rounded) if in_order else _HEAD_START * half
    for candidate, by in options:
        off = reach @ np.abs(left - right[:, candidate] * by)
        better = _same_slopes(a, b, candidate) & (
            (off < missed / 2) | ((source < 0) & (off <= missed))
        )
        source, factor = np.where(better, candidate, source), np.where(better, by, factor)
        missed = np.where(better, off, missed)
    if known is not None:
        source[known], factor[known] = np.arange(len(known)), 1.0
        missed[known] = reach @ np.abs(left[:, known] - right)
    lift = Lift.of(source, factor, np.where(source >= 0, 0.0, middle), b.units)
    return lift, float(missed.sum())


def _middle(bottom: Array, top: Array) -> Array:
    """Return the middles of ranges, 0 where there is none."""
    middle = bottom + (top - bottom) / 2
    return np.where(np.isfinite(middle), middle, 0.0)


def _above(original: Ranges, reduced: Ranges, number: int) -> tuple[Array, Array] | None:
    """Return the outgoing weights of both layers, by unit, into the first layer that reads them alone."""
    pairs = zip(original.network.layers, reduced.network.layers, strict=True)
    for layer, less in list(pairs)[number:]:
        if layer.sources == (number,) and layer.units == less.units:
            return as_dense(layer.matrices[0]).T, as_dense(less.matrices[0]).T
    return None


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
        off = own[:, None] - factor * inner
        best = np.argmax(off <= off.min(axis=1, keepdims=True) + _ROUNDED * own[:, None], axis=1)
        chosen = factor[np.arange(len(best)), best]
        chosen = np.where(chosen > 0, chosen, 1.0)
        # A factor of few digits is found off by an ulp.
        found += [(best, chosen.astype(np.float32).astype(np.float64)), (best, chosen)]
    return found

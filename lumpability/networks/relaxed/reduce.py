"""The reduced network of a network whose units were adjusted, and the lift between both.

Adjusting replaces the weights of some units: an inactive unit gets zeros, a unit that becomes a constant gets zeros
and the constant as bias, a unit that joins a class gets a multiple of the weights of another.  The exact lumping of
the adjusted network (`lumpability.networks.merging`) then removes all of them, with everything that only they used.

Active units, for which act(z) = z = h M + b, need no activation.  If a layer has more of them, after merging, than
the layer below has units, the units below are *carried* instead: copies with weight one, whose activation changes
nothing, because values after ReLU are not negative (an input x is carried as x - v with v <= x).  Then

    the next layer reads h M_next = h_carried (M M_next) + b M_next,

and no matrix is inverted.  The lift (A, a) says what became of each unit: h = h^ A + a, exactly or nearly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.difference import AffineLayer
from lumpability.networks.difference.lifts import Lift
from lumpability.networks.elementwise import Activate
from lumpability.networks.layers import Dense, Layer
from lumpability.networks.merging import MergedStage, merge
from lumpability.networks.network import Network
from lumpability.networks.quotient import quotient_network
from lumpability.numbers.float_arrays import Array, round_to
from lumpability.partition import Partition


@dataclass(frozen=True, eq=False)
class Reduced:
    """Weights and lifts of the layers from the first one with weights.

    - weights, biases: of the reduced layers; columns and rows for the units that stay
    - lifts: one for each layer, the last one the identity
    - stages: the exact lumping of the adjusted network
    - carried: units of each layer that carry one of the layer below
    - linear (list of bool array, shape (units,)): units that became linear combinations of carried ones
    """

    weights: list[Array]
    biases: list[Array]
    lifts: list[Lift]
    stages: list[MergedStage]
    carried: list[int]
    linear: list[Array]
    changed: list[Fraction] = field(default_factory=list)  # sums that doubles do not hold

    def in_doubles(self, values: Any) -> Array:
        """Return exact numbers as doubles, and record how far they are off."""
        rounded, changed = round_to(np.asarray(values), np.float64)
        self.changed.extend(changed.tolist())
        return rounded

    @property
    def left(self) -> list[int]:
        """The number of units of every layer that stay."""
        return [matrix.shape[1] for matrix in self.weights]


def reduce_units(
    layers: Sequence[AffineLayer],
    weights: Sequence[tuple[Array, Array]],
    active: Sequence[Array],
    below: Array,
    *,
    kind: str = "proportional",
    carry: bool = True,
) -> Reduced:
    """Reduce layers whose weights and biases were adjusted.

    - layers: a chain, from the first layer with weights to the output
    - weights: adjusted, in the type in which they are stored
    - active (sequence of bool array, shape (units,)): which units of each layer are their pre-activations on
      the region
    - below (float64 array, shape (inputs,)): numbers that the inputs of the first layer do not fall below on
      the region
    - kind: {"proportional", "exact"}
    - carry: whether active units may be replaced by carried ones
    """
    merged = _merged(layers, weights, kind)
    _, exact, _ = quotient_network(_dense(layers, weights), merged)
    found = Reduced([], [], [], merged, [], [])
    matrices = [found.in_doubles(one.matrix) for one in exact]
    biases = [
        np.zeros(matrix.shape[1]) if one.bias is None else found.in_doubles(one.bias)
        for one, matrix in zip(exact, matrices, strict=True)
    ]
    offset: Array | None = np.where(below >= 0, 0.0, below)
    for number, one in enumerate(merged):
        matrix, bias = matrices[number], biases[number]
        alive = one.partition.labels[active[number] & one.moving]
        straight = np.isin(one.kept, alive)
        used = np.any(matrix[:, straight] != 0, axis=1)
        last = number == len(merged) - 1
        slopes = layers[number].slopes
        linear = slopes is not None and bool((slopes == 1).all())
        if linear:
            offset = np.zeros(len(matrix))  # without an activation, copies may have any sign
        if last or not carry or offset is None or used.sum() >= straight.sum():
            _keep(found, one, matrix, bias)
        else:
            upper = matrices[number + 1]
            above, more = _carry(
                found, one, matrix, bias, above=upper, straight=straight, used=used, offset=offset
            )
            matrices[number + 1], biases[number + 1] = above, biases[number + 1] + more
        bounded = slopes is not None and not slopes.any()  # after ReLU nothing is negative
        if not found.left[-1] and number and found.left[-2]:
            # What the layer below computes cancels.  Formats have no empty axes: a zero unit stands in.
            found.weights[-1] = np.zeros((len(matrix), 1))
            found.biases[-1] = np.zeros(1)
            found.lifts[-1] = Lift(np.zeros((1, one.stage.units)), found.lifts[-1].shift)
            matrices[number + 1] = np.zeros((1, matrices[number + 1].shape[1]))
        offset = np.zeros(found.left[-1]) if bounded else None
    return found


def _merged(
    layers: Sequence[AffineLayer], weights: Sequence[tuple[Array, Array]], kind: str
) -> list[MergedStage]:
    """Return the exact lumping, in which every unit that goes is unused by itself.

    The units of a class can be unused together though each is used: their effects cancel.  Such units would need a
    joint lift, so they are kept apart, and stay.
    """
    network = _dense(layers, weights)
    within: list[Partition] | None = None
    while True:
        merged = merge(network, kind, within=within)
        labels, cancelled = [], False
        for number, one in enumerate(merged):
            apart = np.zeros(one.stage.units, dtype=bool)
            if number + 1 < len(merged):
                above = merged[number + 1]
                used = above.partition.representatives[above.live]
                rows = one.stage.matrix.shape[1] and above.stage.matrix[:, used].any(axis=1)
                apart = ~one.live[one.partition.labels] & one.moving & rows
            cancelled |= bool(apart.any())
            label = np.zeros(len(apart), dtype=np.int64)
            label[apart] = 1 + np.flatnonzero(apart)
            labels.append(Partition(label))
        if not cancelled:
            return merged
        within = (
            labels if within is None else [a.meet(b) for a, b in zip(within, labels, strict=True)]
        )


def _dense(layers: Sequence[AffineLayer], weights: Sequence[tuple[Array, Array]]) -> Network:
    chain: list[Layer] = []
    for layer, (matrix, bias) in zip(layers, weights, strict=True):
        chain.append(Dense(matrix, bias))
        if layer.activation.name != "identity":
            chain.append(Activate(layer.activation))
    return Network(tuple(chain), (None, len(weights[0][0])), weights[0][0].dtype)


def _class_lift(one: MergedStage, rows: int, place: Array) -> Lift:
    """Return the lift of units that are classes or constants; `place` has the row of each class or -1."""
    matrix, shift = np.zeros((rows, one.stage.units)), np.zeros(one.stage.units)
    for unit, value in one.constants.items():
        shift[unit] = float(value)
    where = place[one.partition.labels]
    units = np.flatnonzero(where >= 0)
    matrix[where[units], units] = one.carried[units].astype(np.float64)
    return Lift(matrix, shift)


def _keep(found: Reduced, one: MergedStage, matrix: Array, bias: Array) -> None:
    """Append the layer with a unit for each class that stays."""
    place = np.full(len(one.partition), -1)
    place[one.kept] = np.arange(len(one.kept))
    found.weights.append(matrix)
    found.biases.append(bias)
    found.lifts.append(_class_lift(one, len(one.kept), place))
    found.carried.append(0)
    found.linear.append(np.zeros(one.stage.units, dtype=bool))


def _carry(
    found: Reduced,
    one: MergedStage,
    matrix: Array,
    bias: Array,
    *,
    above: Array,
    straight: Array,
    used: Array,
    offset: Array,
) -> tuple[Array, Array]:
    """Append the layer with carried units in place of active ones; return the next matrix, and what its bias gains."""
    bent, carried = np.flatnonzero(~straight), np.flatnonzero(used)
    copies = np.zeros((len(matrix), len(carried)))
    copies[carried, np.arange(len(carried))] = 1
    shifts = offset[carried]
    found.weights.append(np.hstack([matrix[:, bent], copies]))
    found.biases.append(np.concatenate([bias[bent], -shifts]))
    combined = matrix[np.ix_(carried, np.flatnonzero(straight))]
    constant = bias[straight] + shifts @ combined
    place = np.full(len(one.partition), -1)
    place[one.kept[bent]] = np.arange(len(bent))
    lift = _class_lift(one, len(bent) + len(carried), place)
    linear = np.isin(one.partition.labels, one.kept[straight]) & one.moving
    number = np.zeros(len(one.partition), dtype=np.int64)
    number[one.kept[straight]] = np.arange(straight.sum())
    units = np.flatnonzero(linear)
    classes, factors = number[one.partition.labels[units]], one.carried[units].astype(np.float64)
    matrix_of_units, shift_of_units = lift.full.copy(), lift.shift.copy()
    matrix_of_units[len(bent) :, units] = combined[:, classes] * factors
    shift_of_units[units] = constant[classes] * factors
    found.lifts.append(Lift(matrix_of_units, shift_of_units))
    found.carried.append(len(carried))
    found.linear.append(linear)
    return np.vstack([above[bent], combined @ above[straight]]), constant @ above[straight]

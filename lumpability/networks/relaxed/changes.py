"""Units whose weights are replaced before the exact lumping of a network on a region, and what became of them.

Inactive units get zeros.  Units that become constants get zeros and the constant as bias.  A unit that becomes a
multiple of another one gets the same weights, and the rows that it feeds get the factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lumpability.networks.difference.lifts import Lift
from lumpability.networks.merging import reasons
from lumpability.networks.relaxed.rebuild import Frame
from lumpability.networks.relaxed.reduce import Reduced, reduce_units
from lumpability.networks.relaxed.stable import StableUnits
from lumpability.numbers.float_arrays import Array


@dataclass(frozen=True)
class RegionLayer:
    """The units of one layer, before and after.

    Attributes
    ----------
    layer : int
        The number of the layer with weights in the network.
    units, left : int
        Units before and after; `left` includes `carrying`.
    inactive : int
        Units that are zero on the region.
    carried : int
        Active units that became linear combinations of carried ones.
    carrying : int
        Units that carry one of the layer below.
    identical, proportional, constant, dead : int
        Units that were removed for other reasons.
    relaxed : int
        Units that became constants or joined classes nearly, not exactly.
    """

    layer: int
    units: int
    left: int
    inactive: int
    carried: int
    carrying: int
    identical: int
    proportional: int
    constant: int
    dead: int
    relaxed: int = 0


@dataclass(frozen=True, eq=False)
class Changes:
    """The units whose weights are replaced before the exact lumping.

    - inactive (list of bool array, shape (units,)): one for each layer with weights: units that get zeros
    - constants: units that become constants
    - classes: units that become a multiple of another one
    """

    inactive: list[Array]
    constants: list[dict[int, float]]
    classes: list[dict[int, tuple[int, float]]]

    @classmethod
    def on_region(cls, frame: Frame, stable: StableUnits | None) -> Changes:
        """Let inactive units of hidden layers go."""
        count = len(frame.layers)
        inactive = [np.zeros(layer.units, dtype=bool) for layer in frame.layers]
        if stable is not None:
            inactive[:-1] = [stable.inactive(frame.first + k) for k in range(count - 1)]
        return cls(inactive, [{} for _ in range(count)], [{} for _ in range(count)])

    def weights(self, frame: Frame) -> list[tuple[Array, Array]]:
        """Return the weights with all changes.

        A unit that becomes a multiple of another one gets the same weights, and the rows that it feeds get the
        factor, so that no product has to be exact for the exact lumping to merge them.
        """
        adjusted = []
        for number, stored in enumerate(frame.weights()):
            scaled = self.classes[number - 1] if number else {}
            new = self.constants[number] or scaled  # new numbers are doubles
            matrix, bias = (part.astype(np.float64) if new else part.copy() for part in stored)
            for unit, (_, factor) in scaled.items():
                matrix[unit] *= factor
            for unit, (leader, _) in self.classes[number].items():
                matrix[:, unit], bias[unit] = matrix[:, leader], bias[leader]
            zero = [*np.flatnonzero(self.inactive[number]), *self.constants[number]]
            matrix[:, zero], bias[zero] = 0, 0
            for unit, value in self.constants[number].items():
                bias[unit] = value
            adjusted.append((matrix, bias))
        return adjusted

    def reduced(
        self,
        frame: Frame,
        stable: StableUnits | None,
        *,
        kind: str = "proportional",
        carry: bool = True,
    ) -> Reduced:
        """Return the exact lumping of the changed network."""
        layers = frame.layers
        active = [np.zeros(layer.units, dtype=bool) for layer in layers]
        below = np.full(layers[0].matrices[0].shape[0], -np.inf)
        if stable is not None:
            active = [stable.active(frame.first + k).copy() for k in range(len(layers))]
            for number, joined in enumerate(self.classes):
                for unit, (leader, _) in joined.items():
                    active[number][unit] = active[number][leader]
            posts = [part.post(frame.first)[0] for part in stable.parts]
            below = np.min(posts, axis=0)
            # Few digits: then sums and products with it rarely round.
            step = np.exp2(np.floor(np.log2(np.maximum(np.abs(below), 2.0**-6))) - 6)
            below = np.floor(below / step) * step
        carry = carry and stable is not None and bool(np.isfinite(below).all())
        found = reduce_units(layers, self.weights(frame), active, below, kind=kind, carry=carry)
        for number, joined in enumerate(self.classes):
            if joined:
                found.lifts[number] = _scaled(found.lifts[number], joined)
        return found


def _scaled(lift: Lift, joined: dict[int, tuple[int, float]]) -> Lift:
    """Return the lift in which units that share the column of a leader are multiples of it again."""
    matrix, shift = lift.full.copy(), lift.shift.copy()
    for unit, (_, factor) in joined.items():
        matrix[:, unit] *= factor
        shift[unit] *= factor
    return Lift(matrix, shift)


def layer_table(frame: Frame, changes: Changes, reduced: Reduced) -> tuple[RegionLayer, ...]:
    """Count what became of the units of hidden layers."""
    rows = []
    for number, one in enumerate(reduced.stages[:-1]):
        counts = reasons(one)
        counts.pop("antiparallel")
        relaxed = len(changes.constants[number]) + len(changes.classes[number])
        inactive = int(changes.inactive[number].sum())
        counts["constant"] -= inactive + len(changes.constants[number])
        counts["identical"] -= len(changes.classes[number])
        rows.append(
            RegionLayer(
                layer=frame.layers[number].position or 0,
                units=one.stage.units,
                left=reduced.left[number],
                inactive=inactive,
                carried=int(reduced.linear[number].sum()),
                carrying=reduced.carried[number],
                relaxed=relaxed,
                **counts,
            )
        )
    return tuple(rows)

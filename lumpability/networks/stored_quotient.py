"""Whether a stored quotient is the one of the proof: every number, every setting, every arrangement.

The identity of a certificate is about exact matrices and the functions that follow them.  This module walks
through the network and the stored quotient side by side, layer by layer, and checks:

A weight matrix holds the exact weights, rounded to its type, with rows in the order in which units arrive.
A layer that acts unit by unit (PReLU, shift, scale, batch normalisation, pooling) has the settings of
the original and, for every unit that stays, the parameters of the first member of its class.
After each layer the numbers are arranged as in the network with all other units removed; this is found by
sending numbers of units and positions through the layers of both.
Barriers (joins, softmax, unknown operators) are unchanged.

Nothing here uses the code that made the quotient.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.activations import Activation
from lumpability.networks.bound_claims import BoundClaim, NewWeights
from lumpability.networks.joins import Join
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer, Shape
from lumpability.networks.network import Network
from lumpability.networks.reshape import ShapeLayer
from lumpability.networks.unit_layout import Units
from lumpability.numbers.float_arrays import Array, round_to


class StoredQuotient:
    """The walk through a network and its quotient."""

    def __init__(
        self,
        network: Network,
        quotient: Network,
        stages: tuple[BoundClaim, ...],
        weights: tuple[NewWeights, ...],
    ) -> None:
        self.network, self.quotient = network, quotient
        self.stages, self.weights = stages, weights
        self.largest_change = Fraction(0)
        """Largest difference between an exact and a stored number met so far."""
        self._skips: dict[int, tuple[Layer, ...]] = {}  # by position of the weights at the end

    def problem(self) -> str | None:
        """Return a difference from the claims in words, or None."""
        layers = self._aligned()
        if layers is None or self.network.input_shape != self.quotient.input_shape:
            return "the quotient has different layers"
        number_at = {one.stage.position: number for number, one in enumerate(self.stages)}
        shape = self.network.input_shape
        current: _Arrangement | None = None
        followers: tuple[int, ...] = ()
        for position, (layer, mine) in enumerate(zip(self.network.layers, layers, strict=True)):
            if mine is None:
                continue
            made = mine.output_shape(shape)
            arranged = True
            if position in number_at:
                number = number_at[position]
                one = self.stages[number]
                fine = self._same_weights(number, mine, current if one.stage.open else None)
                if fine:
                    current = _Arrangement.after_weights(one, mine, self.network, made)
                    followers, arranged = one.stage.after, bool(current)
            elif position in followers and current is not None:
                fine = self._same_function(layer, mine, current, shape == made)
                if fine:
                    current = current.through(layer, mine, self.network.shapes[position + 1], made)
                    arranged = bool(current)
            else:
                fine = self._same(layer, mine)
            if not fine or not arranged:
                return f"layer {position} differs from the quotient that was proved"
            shape = made
        same = shape == self.network.output_shape
        return None if same else "the quotient has another output shape"

    def _aligned(self) -> list[Layer | None] | None:
        """Return the quotient's layer for each of the network's, None for dropped ones; store the skips."""
        after: dict[int, int] = {}  # first layer of a join -> position of the weights it ends with
        for number in range(1, len(self.stages)):
            if self.weights[number].skip is not None:
                one, below = self.stages[number].stage, self.stages[number - 1].stage
                if not one.open or not below.after:
                    return None
                after[below.after[0]] = one.position
        joined = sum(position - first for first, position in after.items())
        dropped = self._dropped(len(self.network.layers) - len(self.quotient.layers) - joined)
        if dropped is None:
            return None
        given = iter(self.quotient.layers)
        slots: list[Layer | None] = []
        for position in range(len(self.network.layers)):
            if position in dropped:
                slots.append(None)
            elif position in after:
                inner = self._unjoined(next(given, None), position, after[position])
                if inner is None:
                    return None
                slots += inner
            elif position >= len(slots):
                slots.append(next(given, None))
        return slots

    def _dropped(self, count: int) -> range | None:
        """Return the missing layers if they are dense and below a layer that reads nothing; else None."""
        if count == 0:
            return range(0)
        empty = [number for number, one in enumerate(self.stages) if not one.live.any()]
        if not empty or count < 0:
            return None
        last = empty[-1] + 1
        first = last
        while self.stages[first].stage.open:
            first -= 1
        low, high = (self.stages[number].stage.position for number in (first, last))
        return range(low, high) if high - low == count else None

    def _unjoined(self, layer: Layer | None, first: int, last: int) -> list[Layer | None] | None:
        """Return the main branch of a join in place of the layers first .. last; store the other branch."""
        if not isinstance(layer, Join) or len(layer.branches) != 2:
            return None
        main, skip = layer.branches
        moves = [inner for inner in main if isinstance(inner, ShapeLayer)]
        same_moves = len(skip) == len(moves) + 1 and all(map(self._same, moves, skip[:-1]))
        if len(main) != last - first + 1 or not same_moves:
            return None
        self._skips[last] = skip
        return list(main)

    def _same_weights(self, number: int, mine: Layer, below: _Arrangement | None) -> bool:
        """Compare one layer with weights, and the skip beside it."""
        one, exact = self.stages[number], self.weights[number]
        fine = self._same_settings(one.stage.layer, mine, ("weight", "bias"))
        fine = fine and self._same_matrix(exact.matrix, mine, below)
        bias = exact.bias if exact.matrix.shape[1] else None
        fine = fine and self._same_bias(bias, mine)
        if exact.skip is None or not fine:
            return fine
        branch = self._skips.get(one.stage.position)
        if branch is None:
            return False
        skip = branch[-1]
        return (
            self._same_settings(mine, skip, ("weight", "bias"))
            and self._same_matrix(exact.skip, skip, below)
            and self._same_bias(None, skip)
        )

    def _same_matrix(self, exact: Array, mine: Layer, below: _Arrangement | None) -> bool:
        assert isinstance(mine, Dense | Conv)
        matrix = mine.matrix
        if exact.size == 0:  # a layer without units or inputs is stored as zero
            return not matrix.any()
        if below is None:
            return self._agree(exact, matrix)
        rows = below.fewer.rows_of_weight(mine)
        return (
            rows is not None
            and rows.size == len(matrix)
            and self._agree(exact, matrix[rows.ravel()])
        )

    def _same_bias(self, exact: Array | None, mine: Layer) -> bool:
        stored = mine.parameters.get("bias")
        if exact is None or stored is None:
            none = stored is None or not stored.any()
            return none and (exact is None or not np.array(exact != 0, dtype=bool).any())
        return self._agree(exact, stored)

    def _same_function(
        self, layer: Layer, mine: Layer, current: _Arrangement, keeps_shape: bool
    ) -> bool:
        """Compare a layer that acts unit by unit."""
        if isinstance(layer, ShapeLayer):
            return type(mine) is type(layer)  # the arrangement shows where it moves numbers
        names = tuple(layer.parameters)
        groups = (
            ("groups",) if isinstance(layer, Conv) else ()
        )  # as many as channels, by their shapes
        if not self._same_settings(layer, mine, (*names, *groups)):
            return False
        for name in names:
            values, stored = layer.parameters[name], mine.parameters[name]
            if isinstance(layer, BatchNorm | Conv):
                values = values[current.kept]
            elif not keeps_shape:
                return False
            else:
                values = current.units.by_unit(values)[current.kept]
                stored = current.fewer.by_unit(stored)
            if not self._agree(values, stored):
                return False
        return True

    def _same_settings(self, layer: Layer, mine: Layer, but: Iterable[str]) -> bool:
        """Compare everything but some arrays, and names."""
        if type(layer) is not type(mine):
            return False
        names = [item.name for item in fields(layer) if item.name not in (*but, "name")]  # type: ignore[arg-type]
        return all(self._same(getattr(layer, name), getattr(mine, name)) for name in names)

    def _same(self, one: Any, other: Any) -> bool:
        """Compare layers, or what they hold."""
        if isinstance(one, Layer):
            return self._same_settings(one, other, ())
        if isinstance(one, np.ndarray):
            return isinstance(other, np.ndarray) and self._agree(one, other)
        if isinstance(one, Activation):
            return one.same_as(other)
        if isinstance(one, tuple):
            return len(one) == len(other) and all(map(self._same, one, other))
        return bool(one == other)

    def _agree(self, exact: Array, stored: Array) -> bool:
        """Whether stored numbers are the exact ones, rounded to their type."""
        if exact.shape != stored.shape:
            return False
        expected, changed = round_to(exact, stored.dtype)
        self.largest_change = max(self.largest_change, max(changed.tolist(), default=Fraction(0)))
        return bool(np.array_equal(expected, stored))


class _Arrangement:
    """The positions of the units of a stage, in the network and in the quotient."""

    def __init__(self, units: Units, fewer: Units, kept: Array) -> None:
        self.units, self.fewer, self.kept = units, fewer, kept

    @classmethod
    def after_weights(
        cls, one: BoundClaim, mine: Layer, network: Network, shape: Shape
    ) -> _Arrangement:
        """The arrangement after a layer with weights; a stage without live units keeps its first."""
        layer = one.stage.layer
        units = Units.of_layer(layer, network.shapes[one.stage.position + 1])
        classes = np.flatnonzero(one.live) if one.live.any() else [0]
        return cls(units, Units.of_layer(layer, shape), one.partition.representatives[classes])

    def __bool__(self) -> bool:
        """Whether both agree after removing all units that do not stay."""
        left = self.units.keeping(self.kept)
        return left is not None and left.same_as(self.fewer)

    def through(self, layer: Layer, mine: Layer, shape: Shape, made: Shape) -> _Arrangement:
        """The arrangement after a layer that acts unit by unit."""
        return _Arrangement(
            self.units.through(layer, shape), self.fewer.through(mine, made), self.kept
        )

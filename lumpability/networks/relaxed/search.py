"""The search of `relax`: units by their prices, reductions by thresholds, bounds in floats.

Every unit has two prices: of becoming a constant, and of joining the class of another one with a factor
(`lumpability.networks.relaxed.costs`).  A threshold says which are paid; the exact lumping of the changed network
(`lumpability.networks.relaxed.reduce`) removes what is gone with all that only it used.  The difference of both
networks is bounded for each threshold that is tried (`lumpability.networks.difference.pair_bounds`), and thresholds
are halved until a tolerance or a number of units is met.  Nothing here proves anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lumpability.networks.difference import affine_layers, ranges
from lumpability.networks.difference.homogeneous import homogeneous, homogeneous_lift
from lumpability.networks.difference.lifts import Lift
from lumpability.networks.difference.pair_bounds import pair_ranges
from lumpability.networks.difference.residuals import residuals
from lumpability.networks.network import Network
from lumpability.networks.relaxed.certificate import refill
from lumpability.networks.relaxed.changes import Changes
from lumpability.networks.relaxed.costs import class_costs, gradient_bounds
from lumpability.networks.relaxed.rebuild import Frame
from lumpability.networks.relaxed.reduce import Reduced
from lumpability.networks.relaxed.stable import StableUnits, all_inputs, stable_units
from lumpability.notebook_hooks import Record
from lumpability.numbers.float_arrays import Array

By = Literal["constants", "classes", "both"]
_CURVE = 12
_MOST_STEPS = 40


@dataclass(frozen=True)
class Change(Record):
    """What was done to one neuron.

    Attributes
    ----------
    layer : int
        The number of its layer in the network.
    unit : int
    became : {"constant", "class"}
    value : float
        The constant, or the factor.
    of : int or None
        The neuron of the same layer whose multiple it became.
    cost : float
        Estimate of how far this alone moves an output.
    """

    layer: int
    unit: int
    became: str
    value: float
    of: int | None
    cost: float

    def __str__(self) -> str:
        what = f"the constant {self.value:.4g}"
        if self.of is not None:
            what = f"{self.value:.4g} times {self.layer}:{self.of}"
        return f"{self.layer}:{self.unit} became {what}, about {self.cost:.3g}"


@dataclass(frozen=True)
class CurvePoint(Record):
    """A number of units, and the difference that they allow.

    Attributes
    ----------
    units : int
        Hidden units left.
    bound : float
        Computed in floats; only that of the result is derived exactly.
    """

    units: int
    bound: float


@dataclass(frozen=True)
class _Tried:
    """One reduction: hidden units left, and the bound in floats."""

    left: int
    bound: float


class Search:
    """The reductions of one network for all thresholds."""

    def __init__(
        self,
        network: Network,
        region: Any,
        by: By,
        dtype: Any,
        progress: Callable[[int, int], object] | None,
    ) -> None:
        self.frame = Frame.of(network, dtype)
        self.by: By = "classes" if region is None else by
        self.progress = progress
        self.on_region = region is not None
        self.stable = (
            all_inputs(self.frame.affine)
            if region is None
            else stable_units(self.frame.affine, region)
        )
        layers, first = self.frame.layers, self.frame.first
        ends = [
            (low[: layer.units], high[: layer.units])
            for layer, low, high in zip(
                layers, self.stable.low[first:], self.stable.high[first:], strict=True
            )
        ]
        self.gradients = gradient_bounds(
            layers, [low for low, _ in ends], [high for _, high in ends]
        )
        (part,) = self.stable.parts
        posts = [part.post(first + k + 1) for k in range(len(layers))]
        self.posts = [
            (low[: layer.units], high[: layer.units])
            for layer, (low, high) in zip(layers, posts, strict=True)
        ]
        self.inputs = np.maximum(*map(np.abs, part.post(first)))[: len(layers[0].weight)]
        self.status = [self._status(number) for number in range(len(layers))]
        self.constant_costs, self.nearest = self._prices()
        prices = np.concatenate([*self.constant_costs, *self.nearest])
        self.thresholds = [-1.0, *np.unique(prices[np.isfinite(prices)]).tolist()]
        self.tried: dict[int, _Tried] = {}

    def _status(self, number: int) -> Array:
        """0 for unstable units, 1 for active ones, 2 for inactive ones, which go."""
        units = self.frame.layers[number].units
        if not self.on_region:
            return np.zeros(units, dtype=np.int64)
        place = self.frame.first + number
        return np.where(self.stable.inactive(place), 2, np.where(self.stable.active(place), 1, 0))

    def _prices(self) -> tuple[list[Array], list[Array]]:
        """Return the prices of becoming a constant, and of joining the nearest other unit, for hidden layers."""
        constants, nearest = [], []
        for number, layer in enumerate(self.frame.layers[:-1]):
            low, high = self.posts[number]
            # Only where act(c z) = c act(z) are constants and multiples of units as good as those of arguments.
            stays = (self.status[number] != 2) & (layer.slopes is not None)
            price = np.where(stays, (high - low) / 2 * self.gradients[number], np.inf)
            constants.append(price if self.by != "classes" else np.full(layer.units, np.inf))
            found = np.full(layer.units, np.inf)
            if self.by != "constants":
                columns, reach = self._columns(number, None)
                for unit in np.flatnonzero(stays).tolist():
                    others = np.flatnonzero(self.status[number] == self.status[number][unit])
                    others = others[others != unit]
                    if len(others):
                        least = class_costs(columns, reach, unit, others)[0].min()
                        found[unit] = _price(least, self.gradients[number][unit])
            nearest.append(found)
        return constants, nearest

    def _columns(self, number: int, below: Lift | None) -> tuple[Array, Array]:
        """Return the incoming weights of a layer, lifted by the classes below, and what rows read at most."""
        layer = self.frame.layers[number]
        reach = self.inputs if number == 0 else np.maximum(*map(np.abs, self.posts[number - 1]))
        columns = np.vstack([layer.weight, layer.bias])
        if below is not None:
            columns = np.vstack(
                [below.full @ layer.weight, below.shift @ layer.weight + layer.bias]
            )
        return columns, np.append(reach, 1.0)

    def plan(self, threshold: float) -> tuple[Changes, list[Change]]:
        """Return what is done to which unit if everything up to a price is paid."""
        frame = self.frame
        changes = Changes.on_region(frame, self.stable if self.on_region else None)
        told: list[Change] = []
        below: Lift | None = None
        for number in range(len(frame.layers) - 1):
            matrix = np.diag(np.where(changes.inactive[number], 0.0, 1.0))
            shift = np.zeros(len(matrix))
            columns, reach = self._columns(number, below)
            low, high = self.posts[number]
            prices, speed = self.constant_costs[number], self.gradients[number]
            leaders: dict[int, list[int]] = {0: [], 1: []}
            for unit in np.argsort(-speed * (high - low), kind="stable").tolist():
                status = int(self.status[number][unit])
                if status == 2:
                    continue
                price, best, factor = np.inf, -1, 0.0
                if leaders[status] and self.nearest[number][unit] <= 4 * threshold:
                    others = np.array(leaders[status])
                    costs, factors = class_costs(columns, reach, unit, others)
                    place = int(costs.argmin())
                    price, best = _price(costs[place], speed[unit]), leaders[status][place]
                    factor = float(factors[place])
                position = frame.layers[number].position or 0
                if price <= min(threshold, prices[unit]):
                    changes.classes[number][unit] = (best, factor)
                    matrix[unit, unit], matrix[best, unit] = 0.0, factor
                    told.append(Change(position, unit, "class", factor, best, float(price)))
                elif prices[unit] <= threshold:
                    value = float((low[unit] + high[unit]) / 2)
                    changes.constants[number][unit] = value
                    matrix[unit, unit], shift[unit] = 0.0, value
                    told.append(
                        Change(position, unit, "constant", value, None, float(prices[unit]))
                    )
                else:
                    leaders[status].append(unit)
            below = Lift(matrix, shift)
        return changes, sorted(told, key=lambda one: -one.cost)

    def reduced(self, index: int) -> tuple[Changes, list[Change], Reduced]:
        """Return the reduction for a threshold."""
        changes, told = self.plan(self.thresholds[index])
        found = changes.reduced(self.frame, self.stable if self.on_region else None)
        return changes, told, found

    def evaluate(self, index: int) -> _Tried:
        """Return units and bound for a threshold, computed in floats."""
        if index not in self.tried:
            reduced = self.reduced(index)[2]
            quotient, skipped, _ = self.frame.rebuilt(reduced.weights, reduced.biases)
            bound = _rough_bound(self.frame, self.stable, quotient, skipped, reduced.lifts)
            self.tried[index] = _Tried(sum(reduced.left[:-1]), bound)
            if self.progress is not None:
                self.progress(len(self.tried), _MOST_STEPS)
        return self.tried[index]

    def most(self, fits: Callable[[_Tried], bool]) -> int:
        """Return the largest threshold whose reduction fits, by halving; the first one always counts."""
        low, high = 0, len(self.thresholds)
        while high - low > 1:
            middle = (low + high) // 2
            if fits(self.evaluate(middle)):
                low = middle
            else:
                high = middle
        return low

    def fewest(self, exceeds: Callable[[_Tried], bool]) -> int:
        """Return the smallest threshold whose reduction does not exceed a number of units, or the largest."""
        return min(self.most(exceeds) + (exceeds(self.evaluate(0))), len(self.thresholds) - 1)

    def curve(self) -> tuple[CurvePoint, ...]:
        """Return the reductions that no other one beats, of those that were tried and some more."""
        for place in np.linspace(0, len(self.thresholds) - 1, _CURVE).round().astype(int).tolist():
            self.evaluate(place)
        points: list[CurvePoint] = []
        for tried in sorted(self.tried.values(), key=lambda one: (one.bound, one.left)):
            if not points or tried.left < points[-1].units:
                points.append(CurvePoint(tried.left, tried.bound))
        return tuple(points[::-1])


def _price(cost: float, gradient: float) -> float:
    """Return what a change of a unit costs in the outputs; one that cannot be made costs more than any other."""
    return cost * gradient if np.isfinite(cost) else np.inf


def _rough_bound(
    frame: Frame, stable: StableUnits, quotient: Network, skipped: int, lifts: list[Lift]
) -> float:
    """Return the bound of the difference, in floats."""
    before = [Lift.identity(layer.units) for layer in frame.affine.layers[: frame.first]]
    every = [*before, *lifts]
    fewer = refill(affine_layers(quotient), skipped, every, frame.affine)
    if stable.region is None:
        fewer, every = homogeneous(fewer), [*map(homogeneous_lift, every[:-1]), every[-1]]
    found = residuals(stable.network, fewer, [Lift.identity(fewer.inputs), *every])
    largest = 0.0
    for part in stable.parts:
        theirs = ranges(fewer, (part.input_low, part.input_high))
        pair = pair_ranges(part, theirs, [Lift.identity(fewer.inputs), *every], found)
        largest = max(largest, float(np.max(-pair.d_low[-1])), float(np.max(pair.d_high[-1])))
    return largest

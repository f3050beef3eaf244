"""Stable units: those that an activation of the ReLU family treats alike for all inputs of a box.

A unit with pre-activation z in [l, u] on the box is *inactive* if u <= 0: then relu(z) = 0.  It is *active* if
l >= 0: then act(z) = z, and z is an affine function of the layer below.  Bounds are those of
`lumpability.networks.difference.ranges`.  A box that is cut at the middles of some inputs gives more stable units,
because the bounds of the parts are tighter: the unit must be stable on every part.  The inputs to cut are chosen one
after another, each time the one that leaves the fewest units unstable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.networks.difference import AffineNetwork, Ranges, ranges
from lumpability.networks.difference.homogeneous import homogeneous, homogeneous_box
from lumpability.networks.difference.ranges import box_ends
from lumpability.networks.regions.box import Box
from lumpability.networks.relaxed.scaled import Scaled
from lumpability.networks.relaxed.side import exact_ends, side
from lumpability.numbers.float_arrays import Array

_NEAR = 1e-9
_MOST_BOXES = 1 << 16
_TRIED = 8
"""Inputs that are tried for each cut: the widest ones, weighted by what reads them."""


@dataclass(frozen=True, eq=False)
class StableUnits:
    """The ranges of all units on the parts of a box, and what is stable.

    - region: none for all inputs, with the homogenised network
    - cuts: inputs at whose middles the box is cut; see `Box.halves`
    - parts: one for each part
    - low, high (list of float64 array, shape (units,)): bounds of the pre-activations of each layer on the box

    >>> from lumpability import Network
    >>> from lumpability.networks.difference import affine_layers
    >>> layers = [([[1, 1, 1]], [1, 0, -3], "relu"), ([[1], [1], [1]], None, None)]
    >>> found = stable_units(affine_layers(Network.dense(layers)), Box([-1], [2]))
    >>> found.inactive(0).tolist(), found.active(0).tolist()
    ([False, False, True], [True, False, False])
    """

    network: AffineNetwork
    region: Box | None
    cuts: tuple[int, ...]
    parts: tuple[Ranges, ...]

    @cached_property
    def low(self) -> list[Array]:
        """Lower bounds of each layer."""
        every = zip(*(part.low for part in self.parts), strict=True)
        return [np.min(ends, axis=0) for ends in every]

    @cached_property
    def high(self) -> list[Array]:
        """Upper bounds of each layer."""
        every = zip(*(part.high for part in self.parts), strict=True)
        return [np.max(ends, axis=0) for ends in every]

    def inactive(self, layer: int) -> Array:
        """Return whether each unit of a layer (counted from 0) is zero on the box."""
        slopes = self.network.layers[layer].slopes
        falls = np.zeros(self.network.layers[layer].units, bool) if slopes is None else slopes == 0
        return np.asarray(falls & (self.high[layer] <= 0))

    def active(self, layer: int) -> Array:
        """Return whether each unit of a layer is its pre-activation on the box."""
        slopes = self.network.layers[layer].slopes
        if slopes is None:
            return np.zeros(self.network.layers[layer].units, dtype=bool)
        return np.asarray((self.low[layer] >= 0) | (slopes == 1))

    @property
    def unstable(self) -> tuple[int, float]:
        """The number of units that are neither, and the total width of their ranges."""
        count, width = 0, 0.0
        for layer in range(len(self.network.layers) - 1):
            left = ~(self.inactive(layer) | self.active(layer))
            count += int(left.sum())
            width += float((self.high[layer] - self.low[layer])[left].sum())
        return count, width


def stable_units(network: AffineNetwork, region: Any) -> StableUnits:
    """Return the stable units of a network on a box, which is not cut; raises what `cut_further` does."""
    return next(cut_further(network, region, 1))


def cut_further(
    network: AffineNetwork,
    region: Any,
    boxes: int,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> Iterator[StableUnits]:
    """Yield the stable units of a network on a box that is cut into 1, 2, 4, ... parts, at most so many.

    - region: a Box, or its two ends as `box_ends` takes them
    - progress: called after each cut with the number of parts and `boxes`

    Raises `InvalidInput` if the box has another number of inputs than the network, or `boxes` is not positive
    or too large.
    """
    if not isinstance(region, Box):
        region = Box(*box_ends(region, network.inputs))
    if region.n != network.inputs:
        raise InvalidInput(
            f"the box has {region.n} inputs, but the network has {network.inputs}",
            given=region.n,
            inputs=network.inputs,
        )
    if not 1 <= boxes <= _MOST_BOXES:
        raise InvalidInput(
            f"the region is cut into 1 to {_MOST_BOXES:,} boxes, not {boxes:,}", boxes=boxes
        )
    found = _on_parts(network, region, ())
    yield found
    while 2 ** (len(found.cuts) + 1) <= boxes and found.unstable[0]:
        tried = [_on_parts(network, region, (*found.cuts, k)) for k in _widest(network, region)]
        if not tried:
            return
        found = min(tried, key=lambda one: one.unstable)
        if progress is not None:
            progress(len(found.parts), boxes)
        yield found


def _on_parts(network: AffineNetwork, region: Box, cuts: Sequence[int]) -> StableUnits:
    parts = [sharp_ranges(network, part) for part in region.halves(cuts)]
    return StableUnits(network, region, tuple(cuts), tuple(parts))


def sharp_ranges(network: AffineNetwork, part: Box) -> Ranges:
    """Return ranges in which an end that is zero is not an ulp beside it.

    Floats cannot tell whether a unit that just touches zero is stable; exact arithmetic can.
    """
    found = ranges(network, part.floats)
    for layer in range(len(network.layers) - 1):
        low, high = found.low[layer], found.high[layer]
        near = _NEAR * (np.abs(low) + np.abs(high))
        units = np.flatnonzero(((low < 0) & (low > -near)) | ((high > 0) & (high < near)))
        if not len(units):
            continue
        ends = (Scaled.of(part.floats[0]), Scaled.of(part.floats[1]))
        pairs = list(zip(found.low, found.high, strict=True))
        bottom, top = exact_ends(side(network, ends, pairs), layer + 1, units)
        zero = Scaled.zeros(len(units))
        reached, ended = units[~zero.exceeds(bottom)], units[~top.exceeds(zero)]
        low[reached], high[ended] = np.maximum(low[reached], 0), np.minimum(high[ended], 0)
        found.post_low[layer][reached] = np.maximum(found.post_low[layer][reached], 0)
        found.post_high[layer][ended] = np.minimum(found.post_high[layer][ended], 0)
    return found


def _widest(network: AffineNetwork, region: Box) -> list[int]:
    """Return the inputs that are worth a cut."""
    low, high = region.floats
    read = np.zeros(network.inputs)
    for layer in network.layers:
        for source, matrix in layer.terms:
            if source == 0:
                read += np.asarray(abs(matrix).sum(axis=1)).ravel()
    weight = (high - low) * read
    order = np.argsort(-weight, kind="stable")[:_TRIED]
    return [int(k) for k in order if weight[k] > 0]


def all_inputs(network: AffineNetwork) -> StableUnits:
    """Return the ranges of the homogenised network, for bounds that hold for all inputs."""
    wide = homogeneous(network)
    return StableUnits(wide, None, (), (ranges(wide, homogeneous_box(network.inputs)),))

"""Random small networks, boxes and lifts."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import settings

from lumpability import Network
from lumpability.networks.difference import affine_layers, ranges
from lumpability.networks.difference.lifts import Lift
from lumpability.networks.layers import Dense, Layer
from lumpability.networks.regions import Box
from lumpability.networks.relaxed.scaled import Scaled
from lumpability.networks.relaxed.side import Side, side

FEWER = settings(max_examples=settings().max_examples // 4 + 1)
"""For properties that bound whole networks: a quarter of the examples of the profile."""


def dense(
    random: np.random.Generator, sizes: list[int], *, whole: bool = False, act: str = "relu"
) -> Network:
    """A network; with `whole` all weights are small integers, so that sums are exact."""

    def numbers(*shape: int) -> Any:
        found = random.integers(-4, 5, size=shape) if whole else random.normal(size=shape)
        return found * 1.0

    last = len(sizes) - 2
    layers = [
        (numbers(n, m), numbers(m), act if k < last else None)
        for k, (n, m) in enumerate(itertools.pairwise(sizes))
    ]
    return Network.dense(layers)


def box(random: np.random.Generator, inputs: int, width: float = 1.0) -> Box:
    """A box with decimals as ends."""
    low = [Fraction(int(k), 10) for k in random.integers(-9, 9, size=inputs)]
    widths = [Fraction(int(width * k), 10) for k in random.integers(0, 9, size=inputs)]
    return Box(low, [a + w for a, w in zip(low, widths, strict=True)])


def point(random: np.random.Generator, region: Box) -> list[Fraction]:
    """A rational point of a box, often on its border."""
    shares = [Fraction(int(k), 7) for k in random.choice([0, 1, 2, 3, 5, 7], size=region.n)]
    return [a + s * (b - a) for a, b, s in zip(region.low, region.high, shares, strict=True)]


def perturbed(random: np.random.Generator, network: Network, size: float = 1e-2) -> Network:
    """The network with other numbers near to its own."""
    layers: list[Layer] = []
    for layer in network.layers:
        if isinstance(layer, Dense):
            assert layer.bias is not None
            noise = [1 + size * random.normal(size=x.shape) for x in (layer.weight, layer.bias)]
            layers.append(Dense(layer.weight * noise[0], layer.bias * noise[1]))
        else:
            layers.append(layer)
    return Network(tuple(layers), network.input_shape, network.dtype)


def lift(random: np.random.Generator, rows: int, units: int) -> Lift:
    """Classes, constants, and columns that are a bad guess."""
    matrix, shift = np.zeros((rows, units)), np.zeros(units)
    for unit in range(units):
        kind = random.integers(0, 4)
        if kind == 0:
            shift[unit] = random.normal()
        elif kind == 1:
            matrix[:, unit] = random.normal(size=rows)
        else:
            matrix[random.integers(0, rows), unit] = random.choice([1.0, 0.5, 2.0])
    return Lift(matrix, shift)


def sides(one: Network, other: Network, region: Box) -> list[Side]:
    """Both networks with their ranges on a box, proved."""
    ends = (Scaled.of(region.floats[0]), Scaled.of(region.floats[1]))
    found = []
    for network in map(affine_layers, (one, other)):
        claims = ranges(network, region.floats)
        pairs = list(zip(claims.low, claims.high, strict=True))
        found.append(side(network, ends, pairs, proved=True))
    return found

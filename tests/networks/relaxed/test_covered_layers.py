"""Joins, pooling, convolutions, normalisation and other activations: explained, certified, and derived again."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import FEWER

from lumpability import Box, Network, explain_pruning
from lumpability.networks.difference import affine_layers, compare_networks
from lumpability.networks.elementwise import Activate, PReLU
from lumpability.networks.joins import Join
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.relaxed.certificate import RegionCertificate
from lumpability.networks.reshape import Flatten

SEEDS = st.integers(0, 2**32)
ACTIVATIONS = [
    Activate("relu"),
    Activate("leaky_relu", alpha=0.3),
    Activate("tanh"),
    Activate("sigmoid"),
    Activate("softplus"),
    Activate("softsign"),
    Activate("atan"),
    Activate("elu", alpha=0.7),
    Activate("clip", low=-0.25, high=0.5),
    PReLU(np.array(0.125)),
]


def pair(seed: int) -> tuple[Network, Network]:
    """A network of convolutions and joins, and a copy with other numbers near to its own."""
    random = np.random.default_rng(seed)
    act = ACTIVATIONS[int(random.integers(len(ACTIVATIONS)))]
    pool: Layer = [
        MaxPool((2, 2)),
        AveragePool((2, 2)),
        AveragePool((3, 3), pads=((1, 1), (1, 1))),
    ][int(random.integers(3))]
    numbers = [
        random.normal(size=shape)
        for shape in ((2, 1, 2, 2), (2,), (2,), (2,), (2,), (2, 2, 1, 1), (2, 2))
    ]

    def network(some: list[Any]) -> Network:
        weight, bias, shift, scale, mean, inner, last = some
        variance = np.full(2, 0.5)
        join = Join(((Conv(inner, None), act), ()))
        layers = (
            *(Conv(weight, bias), BatchNorm(scale, shift, mean, variance, 1e-3), act, join, pool),
            *(GlobalPool(), Flatten(1), Dense(last, shift)),
        )
        return Network(layers, (None, 1, 4, 4), np.dtype(np.float64))

    off = [x * (1 + 1e-3 * random.normal(size=x.shape)) for x in numbers]
    return network(numbers), network(off)


@FEWER
@given(SEEDS, SEEDS)
def test_the_certified_difference_holds_has_the_size_of_that_of_compare_and_nothing_less_is_accepted(
    seed: int, which: int
) -> None:
    whole, other = pair(seed)
    region = Box([-1] * 16, [1] * 16)
    found = explain_pruning(whole, other, region=region)
    points = np.random.default_rng(seed).choice([-1, -0.5, 0, 0.3, 1], size=(200, 16))
    gap = np.abs(affine_layers(whole)(points) - affine_layers(other)(points))
    assert gap.max() <= float(found.bound) + 1e-12
    # The checker does not know every method of the search: 120 pairs had ratios from .01 to 1.7.
    assert float(found.bound) <= 3 * compare_networks(whole, other, region=region).bound
    claims = found.certificate
    assert claims.verify()
    tight = replace(claims, bound=claims.bound - Fraction(1, 10**9))
    assert tight.verify().rejection.field == "bound"
    tight = tightened(claims, np.random.default_rng(which))
    assert tight.verify().rejection.field == "ranges"


def tightened(claims: RegionCertificate, random: np.random.Generator) -> RegionCertificate:
    """Move one end of one unit inward."""
    part = [[[end.copy() for end in ends] for ends in side] for side in claims.parts[0]]
    side = part[int(random.integers(2))]
    ends = side[int(random.integers(len(side)))]
    unit, upper = int(random.integers(len(ends[0]))), int(random.integers(2))
    ends[upper][unit] += (-1e-9 if upper else 1e-9) * max(1.0, abs(ends[upper][unit]))
    first, second = (tuple(map(tuple, one)) for one in part)
    return replace(claims, parts=((first, second),))  # type: ignore[arg-type]


def test_networks_with_other_activations_are_refused() -> None:
    networks = [
        Network.dense([([[1]], None, act), ([[1]], None, None)]) for act in ("tanh", "sigmoid")
    ]
    with pytest.raises(ValueError, match="same activations"):
        explain_pruning(*networks)

"""Random small networks and copies of them that are rounded, pruned, merged or permuted, with random relations."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import settings

from lumpability.networks import Network
from lumpability.networks.activations import activation
from lumpability.networks.difference import Lift
from lumpability.networks.elementwise import Activate
from lumpability.networks.joins import Join
from lumpability.networks.layers import Dense

FEWER = settings(max_examples=1 + settings().max_examples // 3)
"""For properties whose examples take tens of milliseconds."""

CHANGES = ["rounded", "pruned", "fewer", "permuted", "other", "same"]


def dense_pair(seed: int, *, function: str = "relu") -> tuple[Network, Network]:
    """Return a network with two inputs and two outputs, and a copy that is changed in one of several ways."""
    random = np.random.default_rng(seed)
    act = activation(function, **({"alpha": 0.25} if function == "leaky_relu" else {}))
    widths = [2, *random.integers(1, 5, size=random.integers(1, 4)).tolist(), 2]
    weights = [np.round(random.normal(size=pair) * 8) / 8 for pair in pairwise(widths)]
    biases = [np.round(random.normal(size=n) * 8) / 8 for n in widths[1:]]
    change = CHANGES[int(random.integers(len(CHANGES)))]
    changed = [changed_weights(random, w, change) for w in weights], biases
    if change == "fewer" and widths[1] > 1:
        kept = np.sort(random.choice(widths[1], size=widths[1] - 1, replace=False))
        changed = (
            [weights[0][:, kept], weights[1][kept], *weights[2:]],
            [biases[0][kept], *biases[1:]],
        )
    if change == "permuted":
        order = random.permutation(widths[1])
        changed = (
            [weights[0][:, order], weights[1][order], *weights[2:]],
            [biases[0][order], *biases[1:]],
        )
    return made(weights, biases, act), made(*changed, act)


def changed_weights(random: np.random.Generator, weight: np.ndarray, change: str) -> np.ndarray:
    """Return a weight matrix after a change that keeps its shape."""
    if change == "rounded":
        return np.round(weight * 4) / 4
    if change == "pruned":
        return np.where(np.abs(weight) < 0.5, 0.0, weight)
    if change == "other":
        return np.round(random.normal(size=weight.shape) * 8) / 8
    return weight


def made(weights: list[np.ndarray], biases: list[np.ndarray], act: Any) -> Network:
    """Return the network with these weights; the last layer has no activation."""
    layers = [(w, b, act) for w, b in zip(weights, biases, strict=True)]
    return Network.dense([*layers[:-1], (*layers[-1][:2], None)])


def joined_pair(seed: int) -> tuple[Network, Network]:
    """Return a network with a residual join, and a rounded copy."""
    random = np.random.default_rng(seed)
    sizes = [(2, 3), (3, 4), (4, 3), (3, 2)]
    weights = [np.round(random.normal(size=size) * 8) / 8 for size in sizes]

    def network(matrices: list[np.ndarray]) -> Network:
        first, up, down, last = (Dense(w, np.full(w.shape[1], 0.125)) for w in matrices)
        join = Join(((up, Activate("relu"), down), ()))
        layers = (first, Activate("relu"), join, Activate("leaky_relu", alpha=0.5), last)
        return Network(layers, (None, 2), np.float64)

    return network(weights), network([np.round(w * 4) / 4 for w in weights])


def random_relation(seed: int, a: Any, b: Any) -> list[Lift]:
    """Return lifts of the hidden layers of two affine networks that need not mean anything."""
    random = np.random.default_rng(seed)
    lifts = []
    for layer, less in zip(a.layers[:-1], b.layers[:-1], strict=True):
        matrix = np.round(random.normal(size=(less.units, layer.units)) * 2) / 2
        mixed = random.integers(3)
        if mixed < 2:  # classes, in the second case of some units only
            source = random.integers(-1, less.units, size=layer.units)
            of_class = random.random(layer.units) < 0.5 + (mixed == 0)
            matrix[:, of_class] = 0.0
            for unit, place in enumerate(source.tolist()):
                if place >= 0 and of_class[unit]:
                    matrix[place, unit] = float(random.integers(1, 4)) / 2
        lifts.append(Lift(matrix, np.round(random.normal(size=layer.units) * 2) / 2))
    return lifts

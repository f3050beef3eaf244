"""Small networks with something to merge, one for each kind of layer that may follow the weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lumpability import lump
from lumpability.networks import Network, NetworkLumping
from lumpability.networks.elementwise import Activate, PReLU, Scale, Shift, Softmax
from lumpability.networks.examples import planted
from lumpability.networks.joins import Join
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import Flatten, Reshape, Transpose


def integers(*shape: int, seed: int = 0) -> Any:
    """Random numbers that are not zero."""
    random = np.random.default_rng(seed)
    return random.integers(1, 9, size=shape) * random.choice([-1.0, 1.0], size=shape)


def doubled(weight: Any, axis: int) -> Any:
    """Units 0 .. n - 1, then their doubles."""
    return np.concatenate([weight, 2 * weight], axis=axis)


def dense(*after: Layer, units: int = 4) -> Network:
    """Two pairs of proportional units, what follows them, and a layer above."""
    first = Dense(doubled(integers(3, 2), 1), doubled(integers(2, seed=1), 0))
    layers = (first, *after, Dense(integers(units, 2, seed=2), integers(2, seed=3)))
    return Network(layers, (None, 3), np.float64)


def convolutional(*after: Layer, rows: int) -> Network:
    """The same with channels over five positions."""
    first = Conv(doubled(integers(2, 1, 2), 0), doubled(integers(2, seed=1), 0))
    layers = (first, Activate("relu"), *after, Dense(integers(rows, 2, seed=2)))
    return Network(layers, (None, 1, 6), np.float64)


def normalised() -> Network:
    two = np.array([1.0, 2.0])
    norm = BatchNorm(
        doubled(integers(2, seed=4), 0),
        np.concatenate([two, 4 * two]),
        doubled(integers(2, seed=5), 0),
        np.array([3.0, 8.0, 3.0, 8.0]),
        epsilon=1.0,
    )
    return dense(norm, Activate("relu"))


def depthwise() -> Network:
    filters = np.concatenate([integers(2, 1, 2, seed=6), 3 * integers(2, 1, 2, seed=6)])
    shifts = np.concatenate([np.ones(2), 6 * np.ones(2)])
    sides = ((1, 0),)
    filtered = Conv(filters, shifts, pads=sides, groups=4)
    return convolutional(filtered, Activate("relu"), Flatten(1), rows=20)


def residual() -> Network:
    inner: tuple[Layer, ...] = (Dense(integers(2, 2, seed=7)), Activate("relu"))
    network = dense(Activate("relu"))
    return replace(network, layers=(*network.layers, Join((inner, ())), Softmax()))


def reflected() -> Network:
    base = integers(4, 3)
    first = Dense(np.concatenate([base, -2 * base], axis=1))
    layers = (first, Activate("leaky_relu", alpha=0.25), Flatten(1), Dense(integers(6, 1, seed=2)))
    return Network(layers, (None, 4), np.float64)


def constant() -> Network:
    first = Dense(np.array([[1.0, 0.0, 2.0]]), np.array([1.0, 3.0, 5.0]))
    above = Dense(integers(3, 2, seed=2), integers(2, seed=3))
    return Network((first, Activate("relu"), above), (None, 1), np.float64)


def dead() -> Network:
    """Units 0 and 2 are multiples whose outgoing weights cancel; unit 1 stays."""
    first = Dense(np.array([[1.0, 3.0, 2.0], [1.0, -1.0, 2.0]]), np.array([1.0, 3.0, 2.0]))
    above = Dense(np.array([[2.0, 4.0], [1.0, 1.0], [-1.0, -2.0]]), integers(2, seed=3))
    return Network((first, Activate("relu"), above), (None, 2), np.float64)


def odd() -> Network:
    """Units that are each other's negatives."""
    weight, bias = integers(3, 2), integers(2, seed=1)
    first = Dense(np.concatenate([weight, -weight], axis=1), np.concatenate([bias, -bias]))
    return Network((first, Activate("tanh"), Dense(integers(4, 2, seed=2))), (None, 3), np.float64)


def rounded() -> Network:
    """Outgoing weights whose sum no float32 holds."""
    above = Dense(np.array([[1.0], [2.0**-30], [1.0]], dtype=np.float32))
    first = Dense(np.array([[1.0, 1.0, 2.0]], dtype=np.float32), np.ones(3, dtype=np.float32))
    return Network((first, Activate("relu"), above), (None, 1), np.float32)


NETWORKS = {
    "relu": dense(Activate("relu")),
    "leaky_relu": dense(Activate("leaky_relu", alpha=0.125)),
    "prelu": dense(PReLU(np.array([0.5, 0.25, 0.5, 0.25]))),
    "shift": dense(Shift(doubled(np.array([1.0, 3.0]), 0)), Activate("relu")),
    "scale": dense(Activate("relu"), Scale(np.array([2.0, 3.0, 5.0, 7.0]))),
    "division": dense(Activate("relu"), Scale(np.array([2.0, 4.0, 8.0, 2.0]), divide=True)),
    "batch_norm": normalised(),
    "convolution": convolutional(Flatten(1), rows=20),
    "transposed": convolutional(Transpose((0, 2, 1)), Reshape((-1, 20)), rows=20),
    "maximum": convolutional(MaxPool((2,), (2,), ((1, 0),)), Flatten(1), rows=12),
    "average": convolutional(AveragePool((2,), (1,)), Flatten(1), rows=16),
    "depthwise": depthwise(),
    "global": convolutional(GlobalPool(maximum=True), Flatten(1), rows=4),
    "input": Network((Shift(integers(3)), *dense(Activate("relu")).layers), (None, 3), np.float64),
    "residual": residual(),
    "reflected": reflected(),
    "constant": constant(),
    "dead": dead(),
    "rounded": rounded(),
    "tanh": odd(),
    "layers": planted([3, 4, 3, 2], 2, seed=4)[0],
    "float32": planted([3, 4, 2], 3, dtype=np.float32)[0],
}


def lumped(name: str) -> NetworkLumping:
    """The lumping of one of them; units of opposite sign merge where that is its point."""
    return lump(NETWORKS[name], antiparallel=name == "reflected")

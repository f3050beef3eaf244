"""Example networks: small ones with names, and networks with a planted quotient.

A planted network is made from a small one: every hidden neuron is copied with factors that the activation
passes, its outgoing weights are divided among the copies, and the copies are shuffled.  The lumping has to
find the small network again.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.networks.activations import Activation, activation
from lumpability.networks.elementwise import Activate
from lumpability.networks.layers import Dense, Layer
from lumpability.networks.network import Network
from lumpability.numbers.float_arrays import Array
from lumpability.numbers.groups import Group

__all__ = ["copied", "planted", "quantised", "unequal_factors", "widened"]


def unequal_factors() -> Network:
    """Return the counterexample to testing plain sums of incoming weights.

    The first layer computes r and 2 r with r = relu(x + 1).  The neurons s = r + 2 r + 1 and t = 2 r + 1
    of the second have equal plain sums of weights (1 + 1 and 2 + 0) and equal biases, and yet
    differ: s = 4, 7, 13 and t = 3, 5, 9 at x = 0, 1, 3.

    Examples
    --------
    >>> network = unequal_factors()
    >>> [network.exact([x]).tolist() for x in (0, 1, 3)] == [[4, 3], [7, 5], [13, 9]]
    True
    """
    return Network.dense(
        [
            ([[1, 2]], [1, 2], "relu"),
            ([[1, 2], [1, 0]], [1, 1], "relu"),
            ([[1, 0], [0, 1]], None, None),
        ]
    )


def planted(
    sizes: Sequence[int],
    copies: int,
    *,
    function: str | Activation = "relu",
    seed: int = 0,
    dtype: Any = np.float64,
    bits: int = 6,
) -> tuple[Network, Network]:
    """Return a network with planted copies, and the small network it was made from.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden layers, outputs of the small network.
    copies : int
        Copies of every hidden neuron.
    function : str or Activation
        Of the hidden layers.
    seed : int
    dtype : numpy float type
    bits : int
        Weights are integers of this many bits, so that all sums fit the type.

    Examples
    --------
    >>> from lumpability import lump
    >>> wide, small = planted([3, 4, 2], copies=3)
    >>> wide.hidden_neurons, lump(wide).quotient.hidden_neurons
    (12, 4)
    """
    if copies < 1 or len(sizes) < 2:
        raise InvalidInput("planting needs at least one copy and two sizes")
    random = np.random.default_rng(seed)
    act = activation(function)
    matrices, biases = [], []
    for below, above in pairwise(sizes):
        matrices.append(_integers(random, (below, above), bits))
        biases.append(_integers(random, (above,), bits))
    small = wide = _dense(matrices, biases, act, dtype)
    for layer in range(len(sizes) - 2):
        owner = random.permutation(np.repeat(np.arange(sizes[layer + 1]), copies))
        factors = _factors(random, act, len(owner))
        share = _integers(random, (len(owner), sizes[layer + 2]), bits)
        wide = copied(wide, layer, owner, factors, share)
    return wide, small


def copied(network: Network, layer: int, owner: Array, factors: Array, share: Array) -> Network:
    """Return a dense network with copies in place of the units of one hidden layer: the same function.

    - network: as `Network.dense` builds it
    - layer: which hidden layer, counted from 0
    - owner (array of int, shape (units,)): the unit of which each copy is one; every unit occurs
    - factors (array of float, shape (units,)): the factor of each copy; the activation must pass it
    - share (array of float, shape (units, units of the next layer)): outgoing weights; those of first copies
      are adjusted so that the next layer receives the same sums

    >>> network = Network.dense([([[1]], [1], "relu"), ([[6]], None, None)])
    >>> wide = copied(network, 0, np.array([0, 0]), np.array([1.0, 2.0]), np.array([[9.0], [2.0]]))
    >>> [layer.weight.tolist() for layer in wide.layers if isinstance(layer, Dense)]
    [[[1.0, 2.0]], [[2.0], [2.0]]]
    """
    layers = list(network.layers)
    places = [place for place, layer in enumerate(layers) if isinstance(layer, Dense)]
    inner, act, outer = layers[places[layer]], layers[places[layer] + 1], layers[places[layer + 1]]
    assert isinstance(inner, Dense)
    assert isinstance(outer, Dense)
    assert isinstance(act, Activate)
    carried = np.array([float(act.function.carry(Fraction(float(c)))) for c in factors])
    total = np.zeros(outer.weight.shape)
    np.add.at(total, owner, share * carried[:, None])
    first = np.array([int(np.flatnonzero(owner == k)[0]) for k in range(inner.units)])
    # Shares of the outgoing weights that add up when carried factors are taken into account.
    shared = share.astype(outer.weight.dtype)
    shared[first] += (outer.weight - total) / carried[first][:, None]
    bias = None if inner.bias is None else inner.bias[owner] * factors
    layers[places[layer]] = Dense(
        (inner.weight[:, owner] * factors).astype(inner.weight.dtype),
        None if bias is None else bias.astype(inner.weight.dtype),
    )
    layers[places[layer + 1]] = Dense(shared, outer.bias)
    return Network(tuple(layers), network.input_shape, network.dtype)


def widened(network: Network, copies: int, *, seed: int = 0) -> Network:
    """Return a dense network with every hidden neuron copied and its outgoing weights divided (Net2WiderNet).

    Parameters
    ----------
    network : Network
        As `Network.dense` builds it.
    copies : int
        A power of two, so that the division is exact.

    Examples
    --------
    >>> small = Network.dense([([[1, 2]], [0, 1], "relu"), ([[1], [3]], None, None)])
    >>> wide = widened(small, 4)
    >>> wide.hidden_neurons, wide.exact([5]).tolist() == small.exact([5]).tolist()
    (8, True)
    """
    if copies & (copies - 1):
        raise InvalidInput(f"{copies} copies: the division is exact for powers of two only")
    random = np.random.default_rng(seed)
    layers: list[Layer] = []
    order: Array | None = None
    dense = [i for i, layer in enumerate(network.layers) if isinstance(layer, Dense)]
    for number, layer in enumerate(network.layers):
        if isinstance(layer, Dense):
            weight, bias = layer.weight, layer.bias
            if order is not None:
                weight = weight[order] / weight.dtype.type(copies)
            if number != dense[-1]:
                order = random.permutation(np.repeat(np.arange(layer.units), copies))
                weight = weight[:, order]
                bias = None if bias is None else bias[order]
            layers.append(Dense(np.ascontiguousarray(weight), bias))
        else:
            layers.append(layer)
    return Network(tuple(layers), network.input_shape, network.dtype)


def quantised(sizes: Sequence[int], *, levels: int = 3, seed: int = 0) -> Network:
    """Return a ReLU network whose weights take few values, as after 2-bit quantisation.

    >>> network = quantised([3, 9, 2], levels=2, seed=1)
    >>> sorted(set(network.layers[0].weight.ravel().tolist()))
    [-1.0, 0.0]
    """
    random = np.random.default_rng(seed)
    values = np.arange(levels) - levels // 2
    matrices = [random.choice(values, size=shape) for shape in pairwise(sizes)]
    biases = [np.zeros(size) for size in sizes[1:]]
    return _dense(matrices, biases, activation("relu"), np.float32)


def _dense(matrices: list[Array], biases: list[Array], act: Activation, dtype: Any) -> Network:
    last = len(matrices) - 1
    layers = [
        (matrix, bias, act if number < last else None)
        for number, (matrix, bias) in enumerate(zip(matrices, biases, strict=True))
    ]
    return Network.dense(layers, dtype=dtype)


def _integers(random: Any, shape: tuple[int, ...], bits: int) -> Array:
    """Integers that are not zero."""
    values = random.integers(1, 1 << bits, size=shape)
    return np.asarray((values * random.choice([-1, 1], size=shape)).astype(np.float64))


def _factors(random: Any, act: Activation, count: int) -> Array:
    if act.group is Group.ONE:
        return np.ones(count)
    sizes = (
        np.ones(count)
        if act.group is Group.SIGNS
        else random.choice([1.0, 2.0, 0.5, 4.0], size=count)
    )
    return sizes if act.group is Group.POSITIVE else sizes * random.choice([-1.0, 1.0], size=count)

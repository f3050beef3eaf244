"""Small dense networks: with neurons that are often multiples of others, and with planted copies."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from lumpability.networks.activations import Activation, activation
from lumpability.networks.examples import copied
from lumpability.networks.layers import Dense
from lumpability.networks.network import Network
from lumpability.numbers.float_arrays import Array
from lumpability.numbers.groups import Group
from lumpability.partition import Partition

RATIONAL = ("relu", activation("leaky_relu", alpha=0.25), "abs", "identity", "sign")
"""Activations with rational values at rational numbers: `Network.exact` computes with them."""

_LARGEST_WEIGHT = 3
_POSITIVE = (1.0, 2.0, 0.5, 4.0)
_FACTORS = {
    Group.ONE: (1.0,),
    Group.SIGNS: (1.0, -1.0),
    Group.POSITIVE: _POSITIVE,
    Group.ANY: (*_POSITIVE, -1.0, -2.0),
}
"""Powers of two, so that floats hold the products."""


@st.composite
def networks(
    draw: st.DrawFn,
    *,
    activations: Sequence[str | Activation] = RATIONAL,
    max_inputs: int = 2,
    min_hidden_layers: int = 0,
    max_hidden_layers: int = 2,
    max_width: int = 4,
    max_outputs: int = 2,
) -> Network:
    """Dense networks with small integer weights.

    Parameters
    ----------
    activations : sequence of str or Activation
        Names in `lumpability.networks.activations`; one is drawn for all hidden layers.
    max_inputs, min_hidden_layers, max_hidden_layers, max_width, max_outputs : int

    Examples
    --------
    >>> from hypothesis import find
    >>> from lumpability import lump
    >>> def merges(network):
    ...     return len(lump(network).partition) < lump(network).partition.n
    >>> find(networks(max_inputs=1), merges)
    Network(1 -> 1, 2 hidden neurons, 7 parameters)
    """
    width = st.integers(1, max_width)
    hidden = st.lists(width, min_size=min_hidden_layers, max_size=max_hidden_layers)
    sizes = [
        draw(st.integers(1, max_inputs)), *draw(hidden), draw(st.integers(1, max_outputs)),
    ]  # fmt: skip
    function = draw(st.sampled_from(list(activations))) if len(sizes) > 2 else None
    layers: list[tuple[Array, Array, str | Activation | None]] = []
    for below, above in pairwise(sizes):
        columns = np.array(_columns(draw, below + 1, above), dtype=np.float64)
        last = len(layers) == len(sizes) - 2
        layers.append((columns[:, :-1].T, columns[:, -1], None if last else function))
    return Network.dense(layers)


def _columns(draw: st.DrawFn, entries: int, count: int) -> list[list[int]]:
    """Draw weights and bias of each unit of a layer, often once or twice those of another unit."""
    weight = st.integers(-_LARGEST_WEIGHT, _LARGEST_WEIGHT)
    columns: list[list[int]] = []
    for unit in range(count):
        model = unit - draw(st.integers(0, unit))
        if model < unit:
            factor = draw(st.integers(1, 2))
            columns.append([factor * x for x in columns[model]])
        else:
            columns.append(draw(st.lists(weight, min_size=entries, max_size=entries)))
    return columns


@st.composite
def lumpable_networks(
    draw: st.DrawFn,
    *,
    activations: Sequence[str | Activation] = RATIONAL,
    max_inputs: int = 2,
    max_hidden_layers: int = 2,
    max_width: int = 2,
    max_outputs: int = 2,
    max_copies: int = 2,
) -> tuple[Network, list[Partition], list[list[Fraction]]]:
    """Networks with built-in copies of neurons, their classes, and their factors.

    A small network is drawn; every hidden neuron is copied with factors that the activation passes, its
    outgoing weights are divided among the copies, and the copies are shuffled.

    Parameters
    ----------
    activations : sequence of str or Activation
    max_inputs, max_hidden_layers, max_width, max_outputs : int
        Of the small network; it has at least one hidden layer.
    max_copies : int
        Largest number of neurons added to a hidden layer.

    Returns
    -------
    strategy of (network, partitions, factors)
        For every layer with weights, the planted classes, and the factor of each neuron over the first of
        its class.

    Examples
    --------
    >>> from hypothesis import find
    >>> network, partitions, factors = find(
    ...     lumpable_networks(activations=["relu"]), lambda planted: len(planted[1][0]) < planted[1][0].n
    ... )
    >>> network, partitions[0], [str(factor) for factor in factors[0]]
    (Network(1 -> 1, 2 hidden neurons, 7 parameters), Partition([[0, 1]]), ['1', '1'])
    """
    function = draw(st.sampled_from(list(activations)))
    network = draw(
        networks(
            activations=[function],
            max_inputs=max_inputs,
            min_hidden_layers=1,
            max_hidden_layers=max_hidden_layers,
            max_width=max_width,
            max_outputs=max_outputs,
        )
    )
    factor = st.sampled_from(_FACTORS[activation(function).group])
    units = [layer.units for layer in network.layers if isinstance(layer, Dense)]
    partitions, factors = [], []
    for layer, (count, above) in enumerate(pairwise(units)):
        unit = st.integers(0, count - 1)
        owner = [*range(count), *draw(st.lists(unit, max_size=max_copies))]
        owner = draw(st.permutations(owner))
        scale = draw(st.lists(factor, min_size=len(owner), max_size=len(owner)))
        row = st.lists(st.integers(0, 2), min_size=above, max_size=above)
        share = draw(st.lists(row, min_size=len(owner), max_size=len(owner)))
        network = copied(
            network, layer, np.array(owner), np.array(scale), np.array(share, dtype=np.float64)
        )
        partition = Partition(np.array(owner))
        first = partition.representatives[partition.labels].tolist()
        partitions.append(partition)
        factors.append(
            [Fraction(c) / Fraction(scale[f]) for c, f in zip(scale, first, strict=True)]
        )
    partitions.append(Partition.discrete(units[-1]))
    factors.append([Fraction(1)] * units[-1])
    return network, partitions, factors

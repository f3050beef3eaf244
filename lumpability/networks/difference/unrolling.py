"""From the layers of a network, or the nodes of its graph, to affine layers: `affine_layers`."""

from __future__ import annotations

import math

import numpy as np

from lumpability.errors import NotJustified
from lumpability.networks.difference.affine import AffineNetwork
from lumpability.networks.difference.builder import Builder, Value
from lumpability.networks.difference.graph_unrolling import graph_affine_layers
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.source import graph_of
from lumpability.networks.joins import Opaque
from lumpability.networks.network import Network
from lumpability.networks.unit_layout import fixed

__all__ = ["affine_layers"]


def affine_layers(network: Network | GraphNetwork) -> AffineNetwork:
    """Return a network as affine layers with elementwise activations.

    Parameters
    ----------
    network : Network or GraphNetwork
        Of dense layers, convolutions, batch normalisation, shifts and scales, pooling, reshapes and residual
        joins, with ReLU, leaky ReLU, PReLU, tanh, sigmoid, softplus, softsign, atan, ELU, clip.

    Raises
    ------
    NotJustified
        If a layer is not covered; the error names it and carries ``layer``, its number.

    Examples
    --------
    >>> found = affine_layers(Network.dense([([[1, 2]], [0, 1], "relu"), ([[1], [-1]], None, None)]))
    >>> [(layer.weight.tolist(), layer.activation.name) for layer in found.layers]
    [([[1.0, 2.0]], 'relu'), ([[1.0], [-1.0]], 'identity')]
    """
    graph = network if isinstance(network, GraphNetwork) else _graph_of_opaque(network)
    if graph is not None:
        return graph_affine_layers(graph)
    assert isinstance(network, Network)
    shape = fixed(network.input_shape)
    numbers = np.arange(math.prod(shape)).reshape(shape)
    builder = Builder(numbers.size)
    value = Value(0, numbers)
    for position, layer in enumerate(network.layers):
        try:
            value = builder.follow(layer, value, position)
        except NotJustified as error:
            raise NotJustified(f"layer {position}: {error}", layer=position) from None
    return builder.network(value)


def _graph_of_opaque(network: Network) -> GraphNetwork | None:
    """Return the graph that a network with unknown layers was read from, or None."""
    opaque = any(isinstance(layer, Opaque) for layer in network.layers)
    return graph_of(network) if opaque else None

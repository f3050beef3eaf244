"""Which networks were read from which graphs: a reader says so, and `lumpability.lump` asks.

A network of layers does not hold its graph, so that a network which is made from it never does by mistake.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.network import Network

__all__ = ["graph_of", "read_from"]

_GRAPHS: WeakKeyDictionary[Any, GraphNetwork] = WeakKeyDictionary()


def read_from(network: Network, graph: GraphNetwork) -> Network:
    """Record the graph that a network describes as layers, and return the network."""
    _GRAPHS[network] = graph
    return network


def graph_of(network: Network) -> GraphNetwork | None:
    """Return the graph that a network was read from, or None.

    Examples
    --------
    >>> graph_of(Network.dense([([[1]], None, None)])) is None
    True
    """
    return _GRAPHS.get(network)

"""Which networks were read from which graphs: a reader says so, and `lumpability.lump` asks.

A network of layers does not hold its graph, so that a network which is made from it never does by mistake.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.network import Network

__all__ = ["graph_of", "read_from"]

_GRAPHS: WeakKeyDictionary[Any, tuple[GraphNetwork, bool]] = WeakKeyDictionary()


def read_from(network: Network, graph: GraphNetwork, *, reduces_more: bool) -> Network:
    """Record the graph that a network describes as layers, and return the network.

    Parameters
    ----------
    reduces_more : bool
        Whether units leave the graph that stay in the layers, so that `lump` reduces the graph.
    """
    _GRAPHS[network] = (graph, reduces_more)
    return network


def graph_of(network: Network, *, always: bool = False) -> GraphNetwork | None:
    """Return the graph that a network was read from if it reduces more than the layers, or `always`; else None.

    Examples
    --------
    >>> graph_of(Network.dense([([[1]], None, None)]), always=True) is None
    True
    """
    graph, reduces_more = _GRAPHS.get(network, (None, False))
    return graph if always or reduces_more else None

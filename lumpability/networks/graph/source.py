"""What is known of a network beside its layers: the graph that it was read from, and notes for its file.

A reader says which graph a network was read from, and `lumpability.lump` asks.  A network that holds on a region alone
says so in its file.  Both are kept beside the network, so that one that is made from it never has them by mistake.
"""

from __future__ import annotations

import copyreg
from typing import Any
from weakref import WeakKeyDictionary

from lumpability.errors import InvalidInput
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.network import Network

_GRAPHS: WeakKeyDictionary[Network, tuple[GraphNetwork, bool]] = WeakKeyDictionary()
_NOTES: WeakKeyDictionary[Network, dict[str, str]] = WeakKeyDictionary()


def read_from(network: Network, graph: GraphNetwork, *, reduces_more: bool) -> Network:
    """Record the graph that a network describes as layers, and return the network.

    - reduces_more: whether units leave the graph that stay in the layers, so that `lump` reduces the graph
    """
    _GRAPHS[network] = (graph, reduces_more)
    return network


def graph_of(network: Network, *, always: bool = False) -> GraphNetwork | None:
    """Return the graph that a network was read from if it reduces more than the layers, or `always`; else None.

    >>> graph_of(Network.dense([([[1]], None, None)]), always=True) is None
    True
    """
    graph, reduces_more = _GRAPHS.get(network, (None, False))
    return graph if always or reduces_more else None


def graph_behind(network: Network | GraphNetwork) -> GraphNetwork:
    """Return a graph itself, or the one that a network of layers was read from.

    Raises `InvalidInput` if there is none.
    """
    if isinstance(network, GraphNetwork):
        return network
    found = graph_of(network, always=True)
    if found is None:
        raise InvalidInput("the certificate is about graphs: read the network from its ONNX file")
    return found


def note(network: Network, **texts: str) -> Network:
    """Record notes about a network, and return it.

    >>> network = note(Network.dense([([[1]], None, None)]), region="0 <= x <= 1")
    >>> notes_of(network)
    {'region': '0 <= x <= 1'}
    """
    _NOTES.setdefault(network, {}).update(texts)
    return network


def notes_of(network: Network) -> dict[str, str]:
    """Return the notes about a network."""
    return dict(_NOTES.get(network, {}))


def _restored(
    state: dict[str, Any], graph: tuple[GraphNetwork, bool] | None, notes: dict[str, str] | None
) -> Network:
    """Return a network with what was known beside it."""
    network = object.__new__(Network)
    vars(network).update(state)
    if graph is not None:
        _GRAPHS[network] = graph
    if notes is not None:
        _NOTES[network] = notes
    return network


# Copies of a network, here and in other processes, know its graph and its notes.
copyreg.pickle(Network, lambda one: (_restored, (vars(one), _GRAPHS.get(one), _NOTES.get(one))))

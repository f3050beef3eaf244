"""Notes about networks: short texts that go into the files to which they are written.

A network that holds on a region alone says so in its file.  Notes are kept beside the network, so that one that is
made from it never has them by mistake.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from lumpability.networks.network import Network

__all__ = ["note", "notes_of"]

_NOTES: WeakKeyDictionary[Network, dict[str, str]] = WeakKeyDictionary()


def note(network: Network, **texts: str) -> Network:
    """Record notes about a network, and return it.

    Examples
    --------
    >>> network = note(Network.dense([([[1]], None, None)]), region="0 <= x <= 1")
    >>> notes_of(network)
    {'region': '0 <= x <= 1'}
    """
    _NOTES.setdefault(network, {}).update(texts)
    return network


def notes_of(network: Network) -> dict[str, str]:
    """Return the notes about a network."""
    return dict(_NOTES.get(network, {}))

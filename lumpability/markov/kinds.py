"""The kinds of chain lumpability by name."""

from __future__ import annotations

from lumpability.errors import InvalidInput
from lumpability.markov.bisimulation import Bisimulation
from lumpability.markov.kind import Kind
from lumpability.markov.ordinary import Ordinary

__all__ = ["KINDS", "find_kind"]

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Ordinary(), Bisimulation())}


def find_kind(name: str) -> Kind:
    """Return the kind of that name.

    Raises
    ------
    InvalidInput
        If there is none; the message lists the names.

    Examples
    --------
    >>> find_kind("ordinary").name
    'ordinary'
    """
    if name not in KINDS:
        raise InvalidInput(f"unknown kind {name!r}: choose one of {', '.join(KINDS)}", kind=name)
    return KINDS[name]

"""The kinds of chain lumpability by name."""

from __future__ import annotations

from lumpability.errors import InvalidInput
from lumpability.markov.bisimulation import Bisimulation
from lumpability.markov.exact import Exact
from lumpability.markov.kind import Kind
from lumpability.markov.ordinary import Ordinary
from lumpability.markov.proportional import Proportional
from lumpability.markov.strict import Strict
from lumpability.markov.weak import Weak

__all__ = ["KINDS", "find_kind"]

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (Ordinary(), Exact(), Strict(), Proportional(), Bisimulation(), Weak())
}


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

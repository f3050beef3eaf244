"""The kinds of chain lumpability by name."""

from __future__ import annotations

from lumpability.errors import InvalidInput
from lumpability.markov.kinds.bisimulation import Bisimulation
from lumpability.markov.kinds.exact import Exact
from lumpability.markov.kinds.kind import Kind
from lumpability.markov.kinds.ordinary import Ordinary
from lumpability.markov.kinds.proportional import Proportional
from lumpability.markov.kinds.strict import Strict
from lumpability.markov.kinds.weak import Weak
from lumpability.vocabulary import unknown_word

__all__ = ["KINDS", "find_kind"]

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (Ordinary(), Exact(), Strict(), Proportional(), Bisimulation(), Weak())
}


def find_kind(kind: str | Kind) -> Kind:
    """Return the kind of that name; an object that is a kind is returned as it is.

    Raises
    ------
    InvalidInput
        If there is none; the message lists the names.

    Examples
    --------
    >>> find_kind("ordinary").name
    'ordinary'
    """
    if isinstance(kind, Kind):
        return kind
    given: object = kind
    if isinstance(given, type) and issubclass(given, Kind):
        raise InvalidInput(f"give an object of the kind: {given.__name__}()")
    if not isinstance(kind, str) or kind not in KINDS:
        raise unknown_word("kind", kind, KINDS)
    return KINDS[kind]

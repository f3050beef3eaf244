"""Pictures and pages of values: classes that models and results inherit, answered by layers above.

Chains, networks, lumpings and explanations have pictures and pages, but drawing is in a layer above them.
So their ``_repr_html_``, ``to_html`` and ``player`` import `lumpability.show.displays` or
`lumpability.teaching.player` when a value is first shown: docs/decisions/0004-pictures-from-above.md.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Drawn", "Played", "Player", "Shown", "Told"]


class Player(Protocol):
    """A page that plays a lumping step by step.

    Attributes
    ----------
    html : str
        The page, complete: one file that loads nothing.
    """

    @property
    def html(self) -> str:
        """The page."""

    def write(self, path: str | Path) -> None:
        """Write the page to a file, whole or not at all."""


class Shown:
    """A value with a small table for notebooks; None where that would be too large.

    Examples
    --------
    >>> from lumpability import Partition
    >>> Partition.of([{0, 1}, {2}])._repr_html_() is not None
    True
    """

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        shown: str | None = _displays().html(self)
        return shown


class Drawn(Shown):
    """A value with a picture as well.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> CTMC.from_rates({("a", "b"): 1})._repr_svg_().startswith("<svg")
    True
    """

    __slots__ = ()

    def _repr_svg_(self) -> str | None:
        shown: str | None = _displays().svg(self)
        return shown


class Told(Shown):
    """An explanation, which has a page."""

    __slots__ = ()

    def to_html(self) -> str:
        """Return a small self-contained page."""
        told: str = _displays().page(self)
        return told


class Played(Drawn):
    """A lumping, which has a player."""

    __slots__ = ()

    def player(self, *, title: str | None = None) -> Player:
        """Return the lumping as a page that plays it step by step in a browser; see `Player`.

        Parameters
        ----------
        title : str, optional

        Examples
        --------
        >>> from lumpability import lump
        >>> from lumpability.markov.examples import land_of_oz
        >>> lump(land_of_oz()).player(title="The weather")
        Player('The weather')
        """
        played: Player = import_module("lumpability.teaching.player").player(self, title=title)
        return played


def _displays() -> Any:
    return import_module("lumpability.show.displays")

"""Pictures and pages of values: classes that models and results inherit, answered by layers above.

Chains, networks, lumpings and explanations have pictures and pages, but drawing is in a layer above them.
So their ``_repr_html_``, ``to_html`` and ``player`` import `lumpability.show.displays` or
`lumpability.teaching.player` when a value is first shown: docs/decisions/0004-pictures-from-above.md.
"""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol


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


class Record:
    """A dataclass that can also be given as plain data."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `json.dumps` accepts; exact numbers are texts such as "1/3".

        >>> from lumpability.markov.explanation import Group
        >>> Group(3, ("a", "b")).to_json()
        {'size': 3, 'first': ['a', 'b']}
        """
        shown = (item.name for item in fields(self) if item.repr)  # type: ignore[arg-type]
        return {name: plain(getattr(self, name)) for name in shown}


def plain(value: Any) -> Any:
    """Return a value as plain data: records as objects, tuples as lists, exact numbers as texts."""
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


class Shown:
    """A value with a small table for notebooks; None where that would be too large.

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

    >>> from lumpability import CTMC
    >>> CTMC.from_rates({("a", "b"): 1})._repr_svg_().startswith("<svg")
    True
    """

    __slots__ = ()

    def _repr_svg_(self) -> str | None:
        shown: str | None = _displays().svg(self)
        return shown


class Told(Record, Shown):
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

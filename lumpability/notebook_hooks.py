"""How values show themselves in notebooks: methods of models ask here, and layers above answer.

Chains, networks, lumpings and explanations have pictures and pages, but know nothing of drawing: that is a layer
above them.  Their ``_repr_html_``, ``to_html`` and ``player`` therefore call these functions, which import
`lumpability.show.displays` or `lumpability.teaching.player` when something is first shown.  Why so: docs/decisions/0004-pictures-from-above.md.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Player", "html", "page", "player", "svg"]


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


def _displays() -> Any:
    return import_module("lumpability.show.displays")


def html(value: Any) -> str | None:
    """Return a small table and a picture, or None where that would be too large.

    Examples
    --------
    >>> from lumpability import Partition
    >>> html(Partition.of([{0, 1}, {2}])) is not None
    True
    """
    shown: str | None = _displays().html(value)
    return shown


def svg(value: Any) -> str | None:
    """Return a picture, or None where there would be too much in it.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> svg(CTMC.from_rates({("a", "b"): 1})).startswith("<svg")
    True
    """
    shown: str | None = _displays().svg(value)
    return shown


def page(explanation: Any) -> str:
    """Return a whole document that tells an explanation: one file that loads nothing."""
    told: str = _displays().page(explanation)
    return told


def player(lumping: Any, *, title: str | None = None) -> Player:
    """Return a `lumpability.teaching.player.page.Player` of a lumping."""
    played: Player = import_module("lumpability.teaching.player").player(lumping, title=title)
    return played

"""The player: a lumping as one HTML page that plays it step by step.  See `page`."""

from __future__ import annotations

from typing import Any

from lumpability.errors import InvalidInput
from lumpability.markov.lumping import Lumping
from lumpability.networks.lumping import NetworkLumping
from lumpability.teaching.player.chains import chain_story
from lumpability.teaching.player.networks import network_story
from lumpability.teaching.player.page import Player

__all__ = ["Player", "player"]


def player(lumping: Any, *, title: str | None = None) -> Player:
    """Return the player of a lumping.

    Parameters
    ----------
    lumping : Lumping or NetworkLumping
    title : str, optional

    Raises
    ------
    InvalidInput
        For anything else.

    Examples
    --------
    >>> from lumpability import lump
    >>> from lumpability.markov.examples import land_of_oz
    >>> player(lump(land_of_oz()), title="The weather")
    Player('The weather')
    """
    if isinstance(lumping, Lumping):
        return Player(chain_story(lumping, title))
    if isinstance(lumping, NetworkLumping):
        return Player(network_story(lumping, title))
    raise InvalidInput(f"a {type(lumping).__name__} cannot be played: give the result of lump")

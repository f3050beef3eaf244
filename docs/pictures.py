"""Draw the pictures of README and the landing page into docs/_static: `python docs/pictures.py`.

The player's picture needs a browser: open what `player_page` writes and take a picture of the window.
"""

from __future__ import annotations

from pathlib import Path

from lumpability import CTMC, lump
from lumpability.markov.examples import machine_repair
from lumpability.networks.examples import planted
from lumpability.show.pictures import Picture, picture
from lumpability.teaching.player import player

STATIC = Path(__file__).resolve().parent / "_static"


def overview() -> Picture:
    """Two machines and a repairer, with the quotient beside."""
    rates = {("both", "left"): 0.1, ("both", "right"): 0.1, ("left", "none"): 0.1}
    rates |= {("right", "none"): 0.1, ("left", "both"): 2, ("right", "both"): 2}
    rates |= {("none", "left"): 1, ("none", "right"): 1}
    return picture(lump(CTMC.from_rates(rates, labels={"running": ["both", "left", "right"]})))


def network() -> Picture:
    """A network whose hidden neurons have two copies each, with the quotient beside."""
    return picture(lump(planted([2, 2, 2, 1], copies=2)[0]))


def player_page(path: str | Path) -> None:
    """Write the page of the player whose picture README shows."""
    player(lump(machine_repair(3, repairers=1))).write(path)


PICTURES = {"overview": overview, "network": network}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        draw().write(STATIC / f"{name}.svg")

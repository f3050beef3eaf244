"""Colours, patterns and letters for blocks, so that colour is never the only mark.

The colours are those of Okabe and Ito (2008), which people with any of the common colour vision
deficiencies can tell apart, made lighter where black letters would not be readable (contrast at
least 4.5 to 1).  There are few colours; from the eighth block on, a pattern is drawn over them.
"""

from __future__ import annotations

COLOURS = ("#56b4e9", "#e69f00", "#2bb58c", "#f0e442", "#ec7f45", "#d48cb6", "#b9b9b9")
"""Fills, readable under black text."""

PATTERNS = ("", "stripes", "dots", "cross")
"""The patterns drawn over a colour; the first is none."""


def colour(number: int) -> str:
    """Return the colour of a block."""
    return COLOURS[number % len(COLOURS)]


def pattern(number: int) -> str:
    """Return the pattern of a block; no two of the first 28 blocks have the same colour and pattern."""
    return PATTERNS[number // len(COLOURS) % len(PATTERNS)]


def letter(number: int) -> str:
    """Return the name of a block: A to Z, then A1 to Z1, A2 and so on; all different."""
    turn, place = divmod(number, 26)
    return chr(ord("A") + place) + (str(turn) if turn else "")

"""The player: one HTML file that holds everything it needs.

The page is a template with four insertions: the style, the script, the data, and a policy that allows only
the style and the script, by their hashes, and no network access.  The data are JSON without any character that
could end its element; the script makes text nodes of them, never markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from lumpability.files import writing
from lumpability.show.palette import COLOURS, PATTERNS

_SCRIPTS = (
    "exact",
    "dom",
    "history",
    "chain",
    "network",
    "pairs",
    "draw",
    "matrix",
    "network-view",
    "turn",
    "page",
)
_FRAME_HEIGHT = 760


@dataclass(frozen=True, eq=False, repr=False)
class Player:
    """A lumping to be played step by step in a browser.

    Attributes
    ----------
    story : dict
        The model and the history of its lumping, as plain data.

    Examples
    --------
    >>> from lumpability import lump
    >>> from lumpability.markov.examples import land_of_oz
    >>> player = lump(land_of_oz()).player()
    >>> player
    Player('DTMC with 3 states, ordinary lumping')
    >>> player.html.startswith("<!DOCTYPE html>")
    True
    """

    story: dict[str, Any]

    @cached_property
    def html(self) -> str:
        """The complete page."""
        script = _wrapped([_asset(f"{name}.js") for name in _SCRIPTS])
        style = _asset("player.css") + _colours()
        policy = (
            f"default-src 'none'; script-src 'sha256-{_hash(script)}'; "
            f"style-src 'sha256-{_hash(style)}'; base-uri 'none'; form-action 'none'"
        )
        palette = {"colours": len(COLOURS), "patterns": len(PATTERNS)}
        return Template(_asset("page.html")).substitute(
            policy=policy,
            version=_version(),
            title=html.escape(self.story["title"]),
            style=style,
            script=script,
            story=_data({**self.story, "palette": palette}),
        )

    def write(self, path: str | Path) -> None:
        """Write the page to a file, whole or not at all.

        Parameters
        ----------
        path : str or Path
            An existing file is replaced; the file is compressed if its name ends in ``.gz``.

        Raises
        ------
        FormatError
            If the file cannot be written.
        """
        with writing(path) as file:
            file.write(self.html.encode())

    def _repr_html_(self) -> str:
        # The sandbox allows only scripts: the page can reach neither the notebook nor its cookies.
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" sandbox="allow-scripts" '
            f'title="{html.escape(self.story["title"])}" width="100%" height="{_FRAME_HEIGHT}" '
            'style="border: 0"></iframe>'
        )

    def __repr__(self) -> str:
        return f"Player({self.story['title']!r})"


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _wrapped(scripts: list[str]) -> str:
    return "\n".join(['"use strict";', "{", *scripts, "}", ""])


def _colours() -> str:
    return "".join(
        f'[data-colour="{number}"] {{ --block: {colour}; }}\n'
        for number, colour in enumerate(COLOURS)
    )


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data(story: dict[str, Any]) -> str:
    """Return JSON that is safe inside a script element; lone surrogates become escapes as well."""
    text = json.dumps(story, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _version() -> str:
    from lumpability import __version__

    return __version__

"""Reasons as pages: the frame and the style of what explanations of chains and of networks show.

Everything that comes from a model is escaped by whoever fills the frame.  Tables need no script and read well
on light and dark pages: colours are those of the page around, lines are drawn in its text colour.
"""

from __future__ import annotations

from html import escape

__all__ = ["fragment", "page"]

_STYLE = """
.lumpability-reasons { font: 0.95em/1.45 system-ui, sans-serif; max-width: 60em; overflow-x: auto }
.lumpability-reasons table { border-collapse: collapse; margin: 0.3em 0 0.8em }
.lumpability-reasons th, .lumpability-reasons td { border: 1px solid; padding: 0.15em 0.6em;
  text-align: left; vertical-align: top; border-color: color-mix(in srgb, currentcolor 30%, transparent) }
.lumpability-reasons td.number { text-align: right; font-variant-numeric: tabular-nums }
.lumpability-reasons pre { white-space: pre-wrap; margin: 0.3em 0 }
"""


def page(title: str, body: str) -> str:
    """Return a whole document.

    Examples
    --------
    >>> page("a < b", "<p>text</p>").splitlines()[3]
    '<title>a &lt; b</title>'
    """
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{escape(title)}</title>
<meta name="viewport" content="width=device-width">
<style>:root {{ color-scheme: light dark }} body {{ margin: 1.5em }}</style>
{fragment(body)}
</html>
"""


def fragment(body: str) -> str:
    """Return a part of a page, with its style."""
    return f'<div class="lumpability-reasons"><style>{_STYLE}</style>{body}</div>'

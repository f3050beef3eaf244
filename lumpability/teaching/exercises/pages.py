"""A page of headings, paragraphs, lists, tables and code, written as Markdown, LaTeX or HTML.

These are the parts of a sheet of exercises.  Texts are plain and escaped for the markup, so the name of a state
cannot become a command, a tag or a table cell.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template

from lumpability.numbers import latex
from lumpability.show.text import printable


@dataclass(frozen=True)
class Heading:
    """A title; level 1 occurs once."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Items:
    """A numbered list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A table with headings; cells are short."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Code:
    """Lines shown as they are."""

    text: str


@dataclass(frozen=True)
class Hidden:
    """One line in a comment; without "-->" or line ends."""

    text: str


Item = Heading | Text | Items | Grid | Code | Hidden


def render(items: Sequence[Item], markup: str) -> str:
    r"""Write a page.

    - items: headings, texts, lists, tables, code and comments, in order
    - markup: {"markdown", "latex", "html"}

    >>> print(render([Heading("States", 1), Grid(("", "a|b"), (("c", "1/2"),))], "markdown"))
    # States
    <BLANKLINE>
    |   | a\|b |
    |---|---|
    | c | 1/2 |
    <BLANKLINE>
    """
    write, frame = _MARKUPS[markup]
    title = next((item.text for item in items if isinstance(item, Heading)), "")
    body = "\n".join(write(item) for item in items)
    if frame is None:
        return body
    text = resources.files(__package__).joinpath("assets", frame).read_text(encoding="utf-8")
    return Template(text).substitute(title=html.escape(title), body=body)


def _markdown(item: Item) -> str:
    def safe(text: str) -> str:
        return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", printable(text))

    match item:
        case Heading(text, level):
            return f"{'#' * level} {safe(text)}\n"
        case Text(text):
            return f"{safe(text)}\n"
        case Items(texts):
            return "".join(f"{i}. {safe(text)}\n" for i, text in enumerate(texts, 1))
        case Grid(columns, rows):
            lines = [
                f"| {' | '.join(safe(cell) or ' ' for cell in row)} |" for row in (columns, *rows)
            ]
            lines.insert(1, "|" + "---|" * len(columns))
            return "\n".join(lines) + "\n"
        case Code(text):
            return f"```json\n{text}\n```\n"
        case Hidden(text):
            return f"<!-- {text} -->\n"


def _latex(item: Item) -> str:
    def safe(text: str) -> str:
        return latex.sentence(printable(text))

    def row(texts: Sequence[str]) -> str:
        cells = (latex.value(printable(text)) for text in texts[1:])
        return " & ".join([safe(texts[0]), *cells]) + r" \\"

    match item:
        case Heading(text, level):
            return f"\\{'section' if level == 1 else 'subsection'}*{{{safe(text)}}}\n"
        case Text(text):
            return f"{safe(text)}\n"
        case Items(texts):
            points = "".join(f"  \\item {safe(text)}\n" for text in texts)
            return f"\\begin{{enumerate}}\n{points}\\end{{enumerate}}\n"
        case Grid(columns, rows):
            lines = [" & ".join(map(safe, columns)) + r" \\", r"\hline", *map(row, rows)]
            shape = "l|" + "r" * (len(columns) - 1)
            inner = "\n".join(lines)
            return (
                f"\\begin{{center}}\n\\begin{{tabular}}{{{shape}}}\n{inner}\n"
                "\\end{tabular}\n\\end{center}\n"
            )
        case Code(text):
            return f"\\begin{{verbatim}}\n{text}\n\\end{{verbatim}}\n"
        case Hidden(text):
            return f"% {text}\n"


def _html(item: Item) -> str:
    def safe(text: str) -> str:
        return html.escape(printable(text))

    match item:
        case Heading(text, level):
            return f"<h{level}>{safe(text)}</h{level}>"
        case Text(text):
            return f"<p>{safe(text)}</p>"
        case Items(texts):
            return "<ol>\n" + "".join(f"<li>{safe(text)}</li>\n" for text in texts) + "</ol>"
        case Grid(columns, rows):
            head = "".join(f'<th scope="col">{safe(cell)}</th>' for cell in columns)
            body = "\n".join(
                f'<tr><th scope="row">{safe(row[0])}</th>'
                + "".join(f"<td>{safe(cell)}</td>" for cell in row[1:])
                + "</tr>"
                for row in rows
            )
            return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"
        case Code(text):
            return f"<pre>{chr(10).join(map(safe, text.splitlines()))}</pre>"
        case Hidden(text):
            return f"<!-- {text} -->"


_MARKUPS: dict[str, tuple[Callable[[Item], str], str | None]] = {
    "markdown": (_markdown, None),
    "latex": (_latex, "sheet.tex"),
    "html": (_html, "sheet.html"),
}
"""For each markup the function that writes an item, and the file around all items."""

"""Tables as plain data, and the ways to show them: aligned text, rich on a terminal, HTML.

A `Table` holds texts in rows.  `as_text` uses only the standard library and gives the same characters everywhere,
for pipes, files and tests.  `as_rich` is for terminals and imports rich when it is called.  Names come from files
that anybody may have written, so `printable` escapes characters that could move a cursor or colour a screen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows of texts under a title.

    >>> print(as_text(Table("sizes", (("states", "8"), ("blocks", "3")), right=frozenset({1}))))
    sizes
      states  8
      blocks  3
    """

    title: str
    rows: tuple[tuple[str, ...], ...]  # all of one length
    columns: tuple[str, ...] = ()  # headings; none for a table of names and values
    right: frozenset[int] = frozenset()  # columns of numbers, aligned at the right


def printable(text: str) -> str:
    r"""Escape what is not printable: control characters, line ends, lone surrogates.

    >>> print(printable("up\x1b[2J\n"))
    up\x1b[2J\n
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_text(table: Table) -> str:
    """Return a table as lines of aligned text, without trailing blanks.

    >>> print(as_text(Table("", (("0", "a, b"), ("12", "c")), columns=("block", "members"), right=frozenset({0}))))
      block  members
          0  a, b
         12  c
    """
    rows = [tuple(map(printable, row)) for row in table.rows]
    lines = [table.columns, *rows] if table.columns else rows
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [printable(table.title)] if table.title else []
    for line in lines:
        cells = (
            cell.rjust(width) if i in table.right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        shown.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(shown)


def as_html(table: Table) -> str:
    """Return a table as HTML, names escaped.

    >>> as_html(Table("", (("label", "<up>"),)))
    '<table><tbody><tr><th style="text-align:left">label</th><td style="text-align:left">&lt;up&gt;</td></tr></tbody></table>'
    """

    def cell(number: int, text: str, tag: str) -> str:
        side = "right" if number in table.right else "left"
        return f'<{tag} style="text-align:{side}">{escape(printable(text))}</{tag}>'

    def row(texts: tuple[str, ...], first: str, tag: str) -> str:
        cells = (cell(i, text, first if i == 0 else tag) for i, text in enumerate(texts))
        return f"<tr>{''.join(cells)}</tr>"

    title = f"<caption>{escape(printable(table.title))}</caption>" if table.title else ""
    head = f"<thead>{row(table.columns, 'th', 'th')}</thead>" if table.columns else ""
    body = "".join(row(texts, "th", "td") for texts in table.rows)
    return f"<table>{title}{head}<tbody>{body}</tbody></table>"


def as_rich(tables: Iterable[Table]) -> Any:
    """Return tables as one rich renderable, which wraps long cells to the width of the terminal.

    >>> import io, rich.console
    >>> console = rich.console.Console(file=io.StringIO(), width=60)
    >>> console.print(as_rich([Table("sizes", (("states", "[8]"),))]))
    >>> print(console.file.getvalue())
    sizes
      states  [8]
    """
    from rich.console import Group
    from rich.table import Table as Grid
    from rich.text import Text

    shown: list[Any] = []
    for table in tables:
        if shown:
            shown.append(Text())
        grid = Grid(box=None, pad_edge=False, show_header=bool(table.columns), header_style="dim")
        grid.add_column("")  # indentation
        for i, heading in enumerate(table.columns or [""] * max(map(len, table.rows), default=0)):
            name = i == 0 and not table.columns
            grid.add_column(
                Text(heading),
                justify="right" if i in table.right else "left",
                style="cyan" if name else "",
                no_wrap=name or i in table.right,
                overflow="fold",
            )
        for row in table.rows:
            grid.add_row("", *(Text(printable(cell)) for cell in row))
        if table.title:
            shown.append(Text(printable(table.title), style="bold"))
        shown.append(grid)
    return Group(*shown)

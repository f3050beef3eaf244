"""The displays behind `lumpability.notebook_hooks`: a picture, a page and HTML for each class of values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from html import escape
from typing import Any

from lumpability.errors import SizeLimit
from lumpability.markov.answer import Answer
from lumpability.markov.base import MarkovChain
from lumpability.markov.lumping import Lumping
from lumpability.markov.solve.solution import Solution
from lumpability.networks.lumping import NetworkLumping
from lumpability.networks.network import Network
from lumpability.numbers.rationals import brief
from lumpability.partition import Partition
from lumpability.show.explanations import fragment, page
from lumpability.show.graphs import short
from lumpability.show.palette import letter
from lumpability.show.pictures import picture
from lumpability.show.text import Table, as_html, printable
from lumpability.structure import WeightedStructure
from lumpability.vocabulary import count

__all__ = ["html", "page", "svg"]

LARGEST_MATRIX = 12
"""States up to which a notebook shows a matrix."""
_CELL = "padding:2px 8px;text-align:center;border:1px solid #8886"
_THICK = "2px solid currentColor"

_LARGEST_PARTITION = 200
_LARGEST_ANSWER = 50


def svg(value: Any) -> str | None:
    """Return a picture, or None if the value is too large to draw.

    >>> from lumpability.markov.examples import hypercube_walk
    >>> svg(hypercube_walk(3)).count("<circle"), svg(hypercube_walk(8))
    (8, None)
    """
    try:
        return picture(value).svg
    except SizeLimit:
        return None


@singledispatch
def html(value: Any) -> str | None:
    """Return a small table with a picture, or None if the value is too large.

    A notebook then shows one line of text, the `repr` of the value.
    """
    return fragment(value)


@html.register
def _(value: MarkovChain) -> str | None:
    rows = [("states", f"{value.n:,}"), ("transitions", f"{value.matrix.m:,}")]
    if value.labels:
        rows.append(("labels", ", ".join(value.labels)))
    if value.rewards:
        rows.append(("rewards", ", ".join(value.rewards)))
    matrix = matrix_html(value.matrix, value.states) if value.n <= LARGEST_MATRIX else ""
    return _with_picture(value, Table(type(value).__name__, tuple(rows)), matrix)


@html.register
def _(value: Lumping) -> str | None:
    chain, stats = value.chain, value.stats
    rows = (
        ("states", f"{stats.states:,} → {stats.blocks:,}"),
        ("transitions", f"{stats.transitions:,} → {stats.block_transitions:,}"),
        ("proof", stats.proof),
    )
    small = chain.n <= LARGEST_MATRIX
    matrix = matrix_html(chain.matrix, chain.states, value.partition) if small else ""
    return _with_picture(value, Table(f"{value.kind} lumping", rows), matrix)


@html.register
def _(value: Network) -> str | None:
    rows = tuple(
        (str(row["layer"]), row["title"], str(row["shape"]), f"{row['parameters']:,}")
        for row in value.describe()
    )
    columns = ("layer", "what", "shape", "parameters")
    return _with_picture(value, Table("Network", rows, columns, frozenset({0, 3})), "")


@html.register
def _(value: NetworkLumping) -> str | None:
    rows = tuple(
        (str(row.layer), row.title, f"{row.units:,}", f"{row.left:,}", row.held or "")
        for row in value.table
    )
    columns = ("layer", "what", "units", "left", "kept because")
    table = Table(f"{value.kind} lumping", rows, columns, frozenset({0, 2, 3}))
    return _with_picture(value, table, "")


@html.register
def _(value: Answer) -> str:
    return _first_rows(value.quantity, value.columns, value.records())


@html.register
def _(value: Solution) -> str:
    return _first_rows("", ("state", "value"), list(value.items()))


def _first_rows(title: str, columns: tuple[str, ...], records: Sequence[tuple[Any, ...]]) -> str:
    rows = [tuple(_number(item) for item in record) for record in records[:_LARGEST_ANSWER]]
    if len(records) > len(rows):
        title = f"{title} (of {len(records):,} rows the first {len(rows)})".strip()
    return as_html(Table(title, tuple(rows), columns, frozenset({len(columns) - 1})))


def _number(item: Any) -> str:
    return f"{item:.10g}" if isinstance(item, float) else brief(item)


@html.register
def _(value: Partition) -> str | None:
    if value.n > _LARGEST_PARTITION:
        return None
    rows = tuple(
        (letter(number), ", ".join(map(str, block.tolist())))
        for number, block in enumerate(value.blocks)
    )
    title = f"{count(value.n, 'state')} in {count(len(value), 'block')}"
    return as_html(Table(title, rows, ("block", "states")))


def _with_picture(value: Any, table: Table, more: str) -> str | None:
    drawn = svg(value)
    return None if drawn is None else f"<div>{as_html(table)}{drawn}{more}</div>"


def matrix_html(
    matrix: WeightedStructure, names: Sequence[Any], partition: Partition | None = None
) -> str:
    """Return a matrix as a table, states ordered by blocks, thick lines between blocks.

    Parameters
    ----------
    matrix : WeightedStructure
    names : sequence
        Of the states.
    partition : Partition, optional

    Examples
    --------
    >>> matrix = WeightedStructure.from_edges(2, [0], [1], ["1/3"])
    >>> "1/3" in matrix_html(matrix, ["a", "b"], Partition.trivial(2))
    True
    """
    blocks = Partition.trivial(matrix.n) if partition is None else partition
    order = [state for block in blocks.blocks for state in block.tolist()]
    first = {block[0] for block in (one.tolist() for one in blocks.blocks)}
    titles = {state: escape(short(printable(str(names[state])))) for state in order}
    head = "".join(f'<th style="padding:2px 8px">{titles[state]}</th>' for state in order)
    rows = []
    for state in order:
        entries = dict(matrix.row(state))
        cells = "".join(
            f'<td style="{_CELL}{_edges(top=state in first, left=column in first)}'
            f'{_edges(bottom=state == order[-1], right=column == order[-1])}">'
            f"{escape(brief(entries[column])) if column in entries else ''}</td>"
            for column in order
        )
        rows.append(
            f'<tr><th style="text-align:right;padding:2px 8px">{titles[state]}</th>{cells}</tr>'
        )
    table = f"<tr><td></td>{head}</tr>{''.join(rows)}"
    return (
        f'<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">{table}</table>'
    )


def _edges(**sides: bool) -> str:
    """Return the thick borders of a cell."""
    return "".join(f";border-{side}:{_THICK}" for side, thick in sides.items() if thick)

"""What `lumpability.notebook_hooks` asks for: a picture, a page and a piece of HTML for each class of values."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from lumpability.errors import SizeLimit
from lumpability.markov.base import MarkovChain
from lumpability.markov.lumping import Lumping
from lumpability.networks.lumping import NetworkLumping
from lumpability.networks.network import Network
from lumpability.partition import Partition
from lumpability.show.explanations import fragment, page
from lumpability.show.matrices import LARGEST_MATRIX, matrix_html
from lumpability.show.palette import letter
from lumpability.show.pictures import picture
from lumpability.show.text import Table, as_html, count

__all__ = ["html", "page", "svg"]

_LARGEST_PARTITION = 200


def svg(value: Any) -> str | None:
    """Return a picture, or None where there would be too much in it.

    Examples
    --------
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
    """Return a small table with a picture, or None where that would be too large.

    A notebook then shows the one line that the value is represented by.
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

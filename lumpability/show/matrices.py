"""A matrix whose blocks are outlined, as an HTML table and as text for TeX."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from lumpability.numbers.rationals import shown
from lumpability.partition import Partition
from lumpability.show.graphs import short
from lumpability.show.text import printable
from lumpability.structure import WeightedStructure

__all__ = ["LARGEST_MATRIX", "matrix_html"]

LARGEST_MATRIX = 12
"""States up to which a notebook shows a matrix."""

_CELL = "padding:2px 8px;text-align:center;border:1px solid #8886"
_THICK = "2px solid currentColor"


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
            f'<td style="{_CELL}{_borders(state in first, column in first)}'
            f'{_ends(state == order[-1], column == order[-1])}">'
            f"{escape(shown(entries[column])) if column in entries else ''}</td>"
            for column in order
        )
        rows.append(
            f'<tr><th style="text-align:right;padding:2px 8px">{titles[state]}</th>{cells}</tr>'
        )
    table = f"<tr><td></td>{head}</tr>{''.join(rows)}"
    return (
        f'<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">{table}</table>'
    )


def _ends(bottom: bool, right: bool) -> str:
    return (f";border-bottom:{_THICK}" if bottom else "") + (
        f";border-right:{_THICK}" if right else ""
    )


def _borders(top: bool, left: bool) -> str:
    return (f";border-top:{_THICK}" if top else "") + (f";border-left:{_THICK}" if left else "")

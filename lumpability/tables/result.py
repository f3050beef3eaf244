"""The result of `lump_table`, and how it is made of what an engine has found.

An engine returns what it found as queries or generators (`Found`).  Files are written from these piece by
piece, the same bytes for every engine.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import require
from lumpability.markov.chains import CTMC, DTMC, MarkovChain
from lumpability.markov.kinds import find_kind
from lumpability.partition import Partition
from lumpability.quotient import Stats
from lumpability.structure import WeightedStructure
from lumpability.tables.certificate import (
    TableCertificate,
    digest_of_blocks,
    digest_of_quotient,
)
from lumpability.tables.database import Database
from lumpability.tables.generator import has_wide_quotient
from lumpability.tables.output import blocks_schema, quotient_schema, regrouped, write_table
from lumpability.tables.reading import Edges, read_numbers
from lumpability.tables.session import identifier
from lumpability.tables.task import Task

SMALL_QUOTIENT = 1_000_000
"""Transitions of a quotient that is returned as a chain."""


@dataclass(frozen=True, eq=False)
class TableLumping:
    """The coarsest lumping of an edge table.

    Attributes
    ----------
    kind : str
    stats : Stats
        Sizes, the engine, seconds, and the identity that was checked exactly.
    rounds : int
        Rounds on tables, or sweeps over them; 0 if the chain was lumped in memory.
    partition : Partition or None
        The blocks of the states in the order of their keys; None if the caller wanted a file of them instead.
    quotient : CTMC, DTMC or None
        The lumped chain, whose states are the numbers of blocks; None beyond a million transitions.
    blocks_file, quotient_file : Path or None
        The files that were written.

    Examples
    --------
    >>> import tempfile
    >>> from lumpability.markov.examples import components
    >>> from lumpability.tables import lump_table, write_chain
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_chain(components(3), f"{folder}/edges.parquet", f"{folder}/states.parquet")
    ...     lumping = lump_table(f"{folder}/edges.parquet", states=f"{folder}/states.parquet")
    >>> lumping, lumping.quotient
    (TableLumping(ordinary: 27 states -> 10 blocks, Q V = V Q^ holds exactly), CTMC(10 states, 18 transitions))
    """

    kind: str
    stats: Stats
    rounds: int
    partition: Partition | None
    quotient: MarkovChain | None
    blocks_file: Path | None = None
    quotient_file: Path | None = None

    def __repr__(self) -> str:
        stats = self.stats
        return f"TableLumping({self.kind}: {stats.states} states -> {stats.blocks} blocks, {stats.proof})"


@dataclass(frozen=True, eq=False)
class Found:
    """The partition and the quotient that an engine has found and proved."""

    blocks: int
    transitions: int  # between blocks
    respected: int  # blocks of the initial partition
    rounds: int
    numbers: Callable[
        [], Iterator[Any]
    ]  # batches of ``block``, the number of every state's block, in order
    entries: Callable[
        [], Iterator[Any]
    ]  # batches of the transitions between blocks, see `quotient_schema`
    matrix: Callable[[], WeightedStructure]  # of the quotient
    partition: Callable[[], Partition]
    least: str  # a query of ``block`` and ``least``, the least member


def conclude(
    task: Task, session: Database, edges: Edges, engine: str, found: Found
) -> TableLumping:
    """Write the files that were asked for, and return the result."""
    metadata = {"kind": task.kind, "states": edges.n, "blocks": found.blocks, "time": edges.time}
    if task.output is not None:
        batches = _with_keys(session, edges, found.numbers())
        write_table(task.output, batches, blocks_schema(edges.key), metadata)
    if task.quotient is not None:
        schema = quotient_schema(wide=has_wide_quotient(edges, task.kind))
        write_table(task.quotient, found.entries(), schema, metadata)
    if task.certificate is not None:
        TableCertificate(
            kind=task.kind,
            time=edges.time,
            states=edges.n,
            transitions=edges.rows,
            denominator=edges.denominator,
            respected=tuple(session.recall("columns")),
            blocks=found.blocks,
            partition=digest_of_blocks(found.numbers()),
            quotient=digest_of_quotient(found.entries()),
        ).write(task.certificate)
    small = found.transitions <= SMALL_QUOTIENT
    chain = CTMC([[0]]) if edges.time == "continuous" else DTMC([[1]])
    stats = Stats(
        states=edges.n,
        transitions=edges.rows,
        blocks=found.blocks,
        block_transitions=found.transitions,
        respected_blocks=found.respected,
        engine=engine,
        seconds=clock.perf_counter() - task.started,
        proof=f"{find_kind(task.kind).identity(chain)} holds exactly",
    )
    return TableLumping(
        task.kind,
        stats,
        found.rounds,
        found.partition() if task.output is None else None,
        _quotient_chain(task, session, edges, found) if small else None,
        task.output,
        task.quotient,
    )


def _with_keys(session: Database, edges: Edges, numbers: Iterator[Any]) -> Iterator[Any]:
    """Put the keys of states before the numbers of their blocks."""
    arrow = require("pyarrow", extra="tables")
    kept, listed = blocks_schema(edges.key), "SELECT key AS state FROM numbers ORDER BY s"
    first, keys = 0, None
    if not edges.dense:
        keys = regrouped(session.batches(listed, beside=True), arrow.schema([kept.field("state")]))
    for table in regrouped(numbers, arrow.schema([kept.field("block")])):
        if keys is None:
            state = arrow.array(np.arange(first, first + table.num_rows))
            first += table.num_rows
        else:
            state = next(keys).column("state")
        yield from table.add_column(0, kept.field("state"), state).to_batches()


def _quotient_chain(task: Task, session: Database, edges: Edges, found: Found) -> MarkovChain:
    """Return the quotient as a chain, with the labels and rewards that its blocks respect."""
    columns = [name for name in session.recall("columns") if name != "initial"]
    starts = _starts(task, session, edges, found) if edges.starts else None
    given = {"initial": starts, "float_tolerance": task.float_tolerance}
    return chain_of(session, edges, found.matrix(), found.least, columns, **given)


def _starts(task: Task, session: Database, edges: Edges, found: Found) -> dict[int, Fraction]:
    """Return the initial probabilities of blocks, zeros left out."""
    query = "FROM listed WHERE initial <> 0 ORDER BY 1"
    kind = session.columns("listed")["initial"]
    given = [row[0] for row in session.run(f"SELECT DISTINCT initial {query}")]
    values = read_numbers(given, kind, "initial", task.float_tolerance)
    rank = "dense_rank() OVER (ORDER BY initial) - 1"
    rows = session.arrays(f"SELECT CAST(state AS BIGINT) AS s, {rank} AS code {query}")
    totals: dict[int, Fraction] = {}
    low = 0
    for batch in found.numbers():
        blocks = batch.column("block").to_numpy()
        own = slice(*np.searchsorted(rows["s"], [low, low + len(blocks)]))
        pairs = blocks[rows["s"][own] - low] * len(given) + rows["code"][own]
        for pair, count in zip(*np.unique(pairs, return_counts=True), strict=True):
            block, code = divmod(int(pair), len(given))
            totals[block] = totals.get(block, Fraction(0)) + values[code] * int(count)
        low += len(blocks)
    return totals


def chain_of(
    session: Database,
    edges: Edges,
    matrix: WeightedStructure,
    least: str,
    columns: Iterable[str],
    **attributes: Any,
) -> MarkovChain:
    """Return a chain with columns of the table of states; `least` is a query of ``block`` and ``least``, a state."""
    kept: dict[str, list[Any]] = {name: [] for name in columns}
    if kept:
        names = ", ".join(f"listed.{identifier(name)}" for name in kept)
        rows = f"SELECT {names} FROM ({least}) b JOIN listed ON listed.state = b.least ORDER BY b.block"
        for row in session.run(rows):
            for values, value in zip(kept.values(), row, strict=True):
                values.append(value)
    if "initial" in kept and edges.starts:
        attributes["initial"] = kept["initial"]
    kind = CTMC if edges.time == "continuous" else DTMC
    return kind(
        matrix,
        labels={name: np.array(kept[name], dtype=bool) for name in edges.labels if name in kept},
        rewards={name: kept[name] for name in edges.rewards if name in kept},
        **attributes,
    )

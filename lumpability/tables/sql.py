"""Refinement by SQL: the table of the matrix is written, and rounds run until a proof holds.

Nothing is held in memory for longer than a statement.  On DuckDB, what a statement needs beyond the limit goes to
disk; the table of transitions, integers over the common denominator, takes 4 to 8 bytes for each; a round
reads it once, with a filter for what was renamed, and has a fixed cost of about 30 ms.  Spark has tables of
Parquet files, and a fixed cost of some seconds.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure
from lumpability.tables.database import Database
from lumpability.tables.dialects import BITS, DUCKDB, Dialect
from lumpability.tables.generator import (
    is_balanced,
    is_listed_once,
    quotient,
    quotient_rows,
    write_generator,
)
from lumpability.tables.reading import Edges
from lumpability.tables.result import Found
from lumpability.tables.rounds import Finish, Rounds
from lumpability.tables.statements import Statements
from lumpability.tables.task import Task


def refine_by_sql(
    task: Task,
    session: Database,
    edges: Edges,
    *,
    dialect: Dialect = DUCKDB,
    finish: Finish | None = None,
    bits: int = BITS,
) -> Found:
    """Refine by rounds of SQL.

    - finish: finishes in memory what fits there, see `hybrid`
    - bits: of the values of blocks; few force collisions, which tests do
    """
    saved = session.recall("rows")
    if saved is None:
        saved = write_generator(session, edges, task.kind, dialect)
        session.remember("respected", session.value("SELECT count(DISTINCT label) FROM state"))
        session.remember("rows", saved)
    rows, moduli = saved[0], tuple(saved[1])
    rounds = Rounds(
        session,
        Statements(dialect, edges.n, moduli, bits),
        balanced=is_balanced(task.kind, edges.time),
        rows=rows,
        listed_once=lambda: is_listed_once(session, edges, task.kind),
        report=task.progress,
        finish=finish,
    )
    session.workspace.keep = True
    rounds.run()
    return _found(task, session, edges, rounds)


def _found(task: Task, session: Database, edges: Edges, rounds: Rounds) -> Found:
    moduli = rounds.statements.moduli
    entries = quotient(task.kind, edges, moduli)
    blocks, transitions = session.run(
        f"SELECT (SELECT count(*) FROM blocks), (SELECT count(*) FROM ({entries}))"
    )[0]

    def matrix() -> WeightedStructure:
        columns: list[list[Any]] = [[], [], [], []]
        for batch in quotient_rows(session, edges, task.kind, moduli):
            for column, part in zip(columns, batch.columns, strict=True):
                column.extend(part.to_pylist())
        sources, targets = (np.array(column, dtype=np.int64) for column in columns[:2])
        numbers = [Fraction(int(a), int(b)) for a, b in zip(*columns[2:], strict=True)]
        weights, _ = ExactArray.read(numbers)
        return WeightedStructure.from_edges(blocks, sources, targets, weights)

    return Found(
        blocks=blocks,
        transitions=transitions,
        respected=session.recall("respected"),
        rounds=rounds.number,
        numbers=lambda: session.batches("SELECT block FROM final ORDER BY s"),
        entries=lambda: quotient_rows(session, edges, task.kind, moduli),
        matrix=matrix,
        partition=lambda: Partition(session.arrays("SELECT block FROM final ORDER BY s")["block"]),
        least="SELECT block, least FROM blocks",
    )

"""Refinement on DuckDB: the tables are prepared, and rounds run until a proof holds.

Nothing is held in memory for longer than a statement; what a statement needs beyond the limit goes to disk.
The table of transitions, integers over the common denominator, takes 4 to 8 bytes for each.  A round reads
it once, with a filter for what was renamed; its fixed cost is about 30 ms.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure
from lumpability.tables.dialects import BITS, DUCKDB
from lumpability.tables.generator import is_balanced, quotient, write_generator
from lumpability.tables.reading import Edges
from lumpability.tables.result import Found
from lumpability.tables.rounds import Finish, Rounds
from lumpability.tables.session import Session
from lumpability.tables.statements import Statements
from lumpability.tables.task import Task

__all__ = ["refine_on_duckdb"]


def refine_on_duckdb(
    task: Task,
    session: Session,
    edges: Edges,
    *,
    finish: Finish | None = None,
    bits: int = BITS,
) -> Found:
    """Refine by rounds on DuckDB.

    Parameters
    ----------
    finish : callable, optional
        Finishes in memory what fits there, see `hybrid`.
    bits : int
        Of the values of blocks; few force collisions, which tests do.
    """
    rows = session.recall("rows")
    if rows is None:
        rows = write_generator(session, edges, task.kind)
        session.remember("respected", session.value("SELECT count(DISTINCT label) FROM state"))
        session.remember("rows", rows)
    rounds = Rounds(
        session,
        Statements(DUCKDB, edges.n, 2 if task.kind == "strict" else 1, bits),
        balanced=is_balanced(task.kind, edges.time),
        rows=rows,
        report=task.progress,
        finish=finish,
    )
    session.workspace.keep = True
    rounds.run()
    return _found(task, session, edges, rounds)


def _found(task: Task, session: Session, edges: Edges, rounds: Rounds) -> Found:
    entries = quotient(task.kind, edges)
    blocks, transitions = session.run(
        f"SELECT (SELECT count(*) FROM blocks), (SELECT count(*) FROM ({entries}))"
    )[0]

    def matrix() -> WeightedStructure:
        rows = session.run(f"{entries} ORDER BY source, target")
        weights, _ = ExactArray.read([Fraction(int(a), int(b)) for *_, a, b in rows])
        sources, targets = (np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1))
        return WeightedStructure.from_edges(blocks, sources, targets, weights)

    return Found(
        blocks=blocks,
        transitions=transitions,
        respected=session.recall("respected"),
        rounds=rounds.number,
        numbers=lambda: session.batches("SELECT block FROM final ORDER BY s"),
        entries=lambda: session.batches(f"{entries} ORDER BY source, target"),
        matrix=matrix,
        partition=lambda: Partition(session.arrays("SELECT block FROM final ORDER BY s")["block"]),
        least="SELECT block, least FROM blocks",
    )

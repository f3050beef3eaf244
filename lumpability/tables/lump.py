"""`lump_table`: the coarsest lumping of an edge table, by the engine that its size needs.

=========  =====================================================  ====================================
engine     what it holds in memory                                kinds
=========  =====================================================  ====================================
memory     all transitions: the chain is lumped as any other      ordinary, bisimulation, exact, strict
stream     some 10 bytes for each state; reads the transitions    ordinary, bisimulation
           from disk once a sweep (`streaming`)
hybrid     nothing for long: rounds on DuckDB, until the rows     ordinary, bisimulation, exact, strict
           that can still split fit into memory (`hybrid`)
duckdb     nothing for long: rounds on DuckDB to the end          the same
           (`rounds`)
spark      what Spark holds; the same rounds on a cluster         the same
           (`spark`)
=========  =====================================================  ====================================

All give the same partition, with the same numbers of blocks, and all prove it.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lumpability.errors import (
    FormatError,
    InvalidInput,
    InvalidValue,
    NotJustified,
    SizeLimit,
    TrivialLumping,
    warn,
)
from lumpability.markov.kinds import find_kind
from lumpability.numbers.rationals import DEFAULT_TOLERANCE
from lumpability.tables.database import Database
from lumpability.tables.dialects import DUCKDB, SPARK
from lumpability.tables.generator import STREAMED_KINDS, TABLE_KINDS
from lumpability.tables.hybrid import finish_in_memory
from lumpability.tables.in_memory import refine_in_memory
from lumpability.tables.initial import respected_columns, write_initial_state
from lumpability.tables.output import WRITTEN
from lumpability.tables.reading import (
    Edges,
    number_listed_states,
    open_tables,
    opened,
    read_edges,
)
from lumpability.tables.result import Found, TableLumping, conclude
from lumpability.tables.rounds import RoundReport
from lumpability.tables.session import DATABASES, Session
from lumpability.tables.spark import SparkDatabase
from lumpability.tables.sql import refine_by_sql
from lumpability.tables.task import Task
from lumpability.tables.workspace import Workspace, read_bytes
from lumpability.vocabulary import refuses_unknown_options, unknown_word

TableEngine = Literal["auto", "memory", "stream", "hybrid", "duckdb", "spark"]
TABLE_ENGINES = ("memory", "stream", "hybrid", "duckdb", "spark")
"""The engines of `lump_table`."""
_TIMES = {"ctmc": "continuous", "dtmc": "discrete"}


@refuses_unknown_options
def lump_table(
    edges: str | Path,
    *,
    states: str | Path | None = None,
    table: str = "edges",
    type: Literal["ctmc", "dtmc"] | None = None,  # noqa: A002  # the word of `read`
    kind: str = "ordinary",
    respect: Iterable[str] | str | None = None,
    ignore: Iterable[str] | str = (),
    float_tolerance: float = DEFAULT_TOLERANCE,
    engine: TableEngine = "auto",
    memory: int | str | None = None,
    threads: int | None = None,
    spark: Any = None,
    temp: str | Path | None = None,
    resume: bool = False,
    output: str | Path | None = None,
    quotient: str | Path | None = None,
    certificate: str | Path | None = None,
    progress: Callable[[RoundReport], None] | None = None,
) -> TableLumping:
    r"""Compute the coarsest lumping of a Markov chain given as a table of transitions, exactly.

    Parameters
    ----------
    edges : path
        A Parquet file, a folder of them, a CSV file, or a DuckDB database, with columns ``source``,
        ``target`` and ``rate`` (1/time) or ``probability``.  Parallel transitions are summed.
    states : path, optional
        A table of all states in the same formats: ``state``, labels (boolean columns), rewards
        (numbers), ``initial``.  By default the states are those that transitions mention.
    table : str
        The table of a database.
    type : {"ctmc", "dtmc"}, optional
        By default a DTMC if the numbers are called ``probability``, otherwise a CTMC.
    kind : {"ordinary", "bisimulation", "exact", "strict"}
        As for `lumpability.lump`.  Tables have no "proportional", which compares shares and not sums.
    respect, ignore : iterable of str, optional
        As for `lumpability.lump`.
    float_tolerance : float
        Largest relative change when a float is read as the rational that was meant.
    engine : {"auto", "memory", "stream", "hybrid", "duckdb", "spark"}
        All give the same answer; "auto" chooses by sizes and `memory`.
    memory : int or str, optional
        Bytes, or a text such as "4GB"; by default half of what the machine has.
    threads : int, optional
        All cores by default.
    spark : pyspark.sql.SparkSession, optional
        The session of the engine "spark"; by default the active one, or a new one.
    temp : path, optional
        Folder for the checkpoint and for what does not fit into memory; by default a temporary one.
        The executors of a Spark cluster must see it under the same name.
    resume : bool
        Go on after the last full round of a run that ended early, with the same `temp`.
    output, quotient : path, optional
        Files to write, ``.parquet`` or ``.csv``: the block of every state, and the lumped chain.
    certificate : path, optional
        File with which others check the file of blocks, see `TableCertificate`.
    progress : callable, optional
        Called with a `RoundReport` after every round.

    Returns
    -------
    TableLumping

    Raises
    ------
    FormatError, InvalidInput
        If a table cannot be read, or has missing columns, nulls, negative rates or unknown states.
    NotJustified
        For a kind that the engine does not have.
    SizeLimit
        If `memory` is too small, or numbers are too large for the engine.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from lumpability.tables import lump_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     edges, states = Path(folder) / "edges.csv", Path(folder) / "states.csv"
    ...     _ = edges.write_text("source,target,rate\na,c,0.5\nb,c,1/2\nc,a,2\n")
    ...     _ = states.write_text("state,goal\na,false\nb,false\nc,true\n")
    ...     lumping = lump_table(edges, states=states, engine="duckdb")
    >>> lumping
    TableLumping(ordinary: 3 states -> 2 blocks, Q V = V Q^ holds exactly)
    >>> lumping.partition, lumping.quotient.matrix.row(0)
    (Partition([[0, 1], [2]]), [(1, Fraction(1, 2))])
    """
    if engine not in ("auto", *TABLE_ENGINES):
        raise unknown_word("engine", engine, ["auto", *TABLE_ENGINES])
    _check_kind(kind)
    if threads is not None and threads < 1:
        raise InvalidValue(f"threads={threads}: there must be one at least", value=threads)
    limit = read_bytes(memory)
    task = Task(
        edges=Path(edges),
        states=None if states is None else Path(states),
        table=table,
        type=type,
        kind=kind,
        respect=find_kind(kind).respects if respect is None else respect,
        ignore=ignore,
        float_tolerance=float_tolerance,
        output=None if output is None else Path(output),
        quotient=None if quotient is None else Path(quotient),
        certificate=None if certificate is None else Path(certificate),
        progress=progress,
        started=clock.perf_counter(),
    )
    _check_files(task)
    with Workspace(temp, resume=resume) as workspace:
        if engine == "spark":
            with closing(SparkDatabase(spark, workspace)) as cluster:
                return _run(task, cluster, engine)
        with Session(workspace, memory=limit, threads=threads) as session:
            return _run(task, session, engine)


@dataclass(frozen=True)
class Inspection:
    """What was read of an edge table, and the engine for ordinary lumping within a limit of memory."""

    edges: Edges
    engine: str


def inspect_table(
    edges: str | Path,
    *,
    states: str | Path | None = None,
    table: str = "edges",
    type: Literal["ctmc", "dtmc"] | None = None,  # noqa: A002  # the word of `read`
    float_tolerance: float = DEFAULT_TOLERANCE,
    memory: int | str | None = None,
) -> Inspection:
    """Read an edge table as `lump_table` does, and check it; see there for parameters and errors.

    Examples
    --------
    >>> import tempfile
    >>> from lumpability.markov.examples.families import components
    >>> from lumpability.tables import write_family
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_family(components(6), f"{folder}/edges.parquet", f"{folder}/states.parquet")
    ...     found = inspect_table(f"{folder}/edges.parquet")
    >>> found.edges.n, found.edges.rows, found.engine
    (729, 4374, 'memory')
    """
    given: dict[str, Any] = {
        "table": table,
        "time": time_of(type),
        "float_tolerance": float_tolerance,
    }
    with opened(edges, states, memory=memory, **given) as (session, found):
        return Inspection(found, choose(found, "ordinary", session.memory))


def time_of(type: str | None) -> str | None:  # noqa: A002  # the word of `read`
    """Return the time of a chain of this type, and None for none."""
    if type is not None and type not in _TIMES:
        raise unknown_word("type", type, list(_TIMES))
    return None if type is None else _TIMES[type]


def _check_kind(kind: str) -> None:
    """Raise `NotJustified` for a kind that tables do not have, and `InvalidInput` for an unknown one."""
    if kind not in TABLE_KINDS:
        raise NotJustified(
            f"{find_kind(kind).name} lumping is not for edge tables, which compare sums: choose one of "
            f"{', '.join(TABLE_KINDS)}, or read the table into a chain",
            kind=kind,
        )


def _check_files(task: Task) -> None:
    """Raise `FormatError` if a file cannot be what it is said to be."""
    read = [path.resolve() for path in (task.edges, task.states) if path is not None]
    for path in (task.output, task.quotient):
        if path is not None and not str(path).lower().endswith(WRITTEN):
            raise FormatError(
                "tables are written as .parquet or .csv: the output is the block of every state, and the "
                "quotient is the lumped chain",
                path=path,
            )
        if path is not None and path.resolve() in read:
            raise FormatError("is read: write to another file", path=path)
    if task.table != "edges" and not str(task.edges).lower().endswith(DATABASES):
        raise FormatError("is no database, which has tables by name", path=task.edges)


def _run(task: Task, session: Database, engine: str) -> TableLumping:
    edges = _resumed(task, session)
    if edges is None:
        edges = read_edges(
            session,
            task.edges,
            task.states,
            table=task.table,
            time=time_of(task.type),
            float_tolerance=task.float_tolerance,
        )
        columns = respected_columns(edges, task.respect, task.ignore)
        write_initial_state(session, edges, columns, task.states, task.float_tolerance)
        session.remember("columns", columns)
        session.remember("edges", asdict(edges))
        session.remember("identity", task.identity())
    chosen = choose(edges, task.kind, session.memory) if engine == "auto" else engine
    found = conclude(task, session, edges, chosen, _refine(task, session, edges, chosen))
    if found.stats.blocks == 1 < edges.n and found.stats.respected_blocks == 1:
        warn(
            "all states fall into one block, because nothing that is respected tells them apart: give "
            "a table of states with labels or rewards",
            TrivialLumping,
        )
    return found


def _refine(task: Task, session: Database, edges: Edges, engine: str) -> Found:
    if isinstance(session, Session) and engine == "memory":
        return refine_in_memory(task, session, edges)
    if isinstance(session, Session) and engine == "stream":
        if edges.n * _BYTES_STREAMED > session.memory:
            raise SizeLimit(
                f"the arrays of {edges.n:,} states do not fit into {session.memory >> 20} MiB: give more memory, or "
                "use engine='hybrid'"
            )
        from lumpability.tables.streaming import refine_by_streaming  # loads the compiler

        return refine_by_streaming(task, session, edges)
    finish = finish_in_memory if engine == "hybrid" else None
    dialect = SPARK if engine == "spark" else DUCKDB
    return refine_by_sql(task, session, edges, dialect=dialect, finish=finish)


def _resumed(task: Task, session: Database) -> Edges | None:
    """Return what an earlier run has read, if it was about the same tables and options."""
    if not session.workspace.resumed:
        return None
    identity, saved = session.recall("identity"), session.recall("edges")
    if identity is None or saved is None:
        return None
    if identity != task.identity():
        raise InvalidInput(
            f"the checkpoint in {session.workspace.folder} is of other tables or options: run without resume",
            path=str(session.workspace.folder),
        )
    open_tables(session, task.edges, task.states, table=task.table)
    edges = Edges.restored(saved)
    number_listed_states(session, edges)
    return edges


def choose(edges: Edges, kind: str, memory: int) -> str:
    """Return the engine for ``engine="auto"``: the first one whose needs the memory meets.

    Examples
    --------
    >>> few = Edges(10, 100, "continuous", "BIGINT", True, 1, (1,), 1, (), (), False)
    >>> choose(few, "ordinary", 10**9)
    'memory'
    """
    left = memory - _PROGRAM
    if edges.rows * _BYTES_OF_ROW + edges.n * _BYTES_OF_STATE <= left:
        return "memory"
    streams = kind in STREAMED_KINDS and edges.numerators is not None
    if streams and edges.n * _BYTES_STREAMED <= left:
        return "stream"
    return "hybrid"


_BYTES_OF_ROW, _BYTES_OF_STATE = 40, 100
_BYTES_STREAMED = 10
_PROGRAM = 256 << 20  # bytes, before anything is read

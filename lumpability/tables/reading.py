"""Reading edge tables: Parquet files and folders, CSV files, and tables of DuckDB databases.

A table of transitions has the columns ``source``, ``target`` and a number: ``rate`` (1/time), ``probability``
or ``weight``; or ``numerator`` and ``denominator``.  Numbers are integers, decimals, texts such as "1/3", or
floats, read as the rationals that were meant.  They are read once for each distinct value, and become
integers over their common denominator.  Keys of states are integers or texts; states are numbered in the
order of their keys, 0 .. n-1, so row order, cuts into files and the engine do not matter.
A table of states has the column ``state``; booleans in other columns are labels, numbers are rewards, and
``initial`` is the initial distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidInput, SizeLimit, require
from lumpability.files import reading
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.rationals import DEFAULT_TOLERANCE, read_text, shown
from lumpability.tables.database import Database
from lumpability.tables.output import metadata_of
from lumpability.tables.session import CSV, DATABASES, INTEGERS, PARQUET, Session, identifier
from lumpability.tables.workspace import Workspace, read_bytes

SUFFIXES = (*PARQUET, *CSV, *DATABASES)
"""Of the names of files that hold tables; a folder holds Parquet files."""
_NUMBERS = {"rate": "continuous", "weight": "continuous", "probability": "discrete"}
FLOATS = {"FLOAT": np.float32, "DOUBLE": np.float64}
LARGEST_WORD = 1 << 63
"""Integers of 64 bits are smaller."""
MOST_VALUES = 1 << 20
"""Distinct numbers that are read one by one; of more, only integers are taken."""


@dataclass(frozen=True)
class Edges:
    """What was read of the tables; the rows stay where they are."""

    n: int  # states
    rows: int  # transitions as listed, parallel ones and zeros included
    time: str  # continuous or discrete
    key: str  # BIGINT or STRING: the type of the keys of states
    dense: bool  # whether the keys are 0 .. n-1
    denominator: int  # common to all rates
    numerators: (
        tuple[int, ...] | None
    )  # of distinct rates; None if there are too many, which are integers then
    largest: int  # numerator
    labels: tuple[str, ...]  # columns of the table of states
    rewards: tuple[str, ...]
    starts: bool  # whether there is an initial distribution

    @classmethod
    def restored(cls, data: dict[str, Any]) -> Edges:
        """Return what was saved as plain data."""
        lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
        return cls(**(data | lists))

    @property
    def values(self) -> list[Fraction]:
        """The distinct rates, zero perhaps among them."""
        return [Fraction(numerator, self.denominator) for numerator in self.numerators or ()]

    def number_of(self, column: str, numbers: str) -> tuple[str, str]:
        """Return an expression for the number of the state with a key, and the join that it needs."""
        key = f"CAST({column} AS {self.key})"
        if self.dense:
            return key, ""
        return f"{numbers}.s", f" JOIN numbers {numbers} ON {key} = {numbers}.key"


def is_table(path: str | Path) -> bool:
    """Whether a path names an edge table: by its suffix, or because it is a folder.

    Examples
    --------
    >>> is_table("edges.parquet"), is_table("chain.drn.gz")
    (True, False)
    """
    return str(path).lower().endswith(SUFFIXES) or Path(path).is_dir()


def open_tables(
    session: Database, edges: Path, states: Path | None, *, table: str = "edges"
) -> tuple[str, dict[str, str], int | None]:
    """Name the tables for statements: ``raw``, and ``raw_states`` if there is a table of states.

    Returns the time of the chain, the other columns of the states with their types, and the number of states of a
    quotient that says it.
    """
    with reading(edges):
        numbers = [*_NUMBERS, "numerator", "denominator"]
        relation = session.relation(edges, table, "given", text=numbers)
        time = _open_edges(session, relation, edges)
        written = metadata_of(edges)
    count = written.get("blocks")
    if written.get("time") in ("continuous", "discrete") and isinstance(count, int):
        time = written["time"]
    else:
        count = None
    if states is None:
        return time, {}, count
    with reading(states):
        relation = session.relation(states, "states", "given_states", text=())
        columns = session.columns(relation)
        if "state" not in columns:
            raise FormatError(f"has no column 'state'; it has {', '.join(columns)}", path=states)
        session.run(f"CREATE OR REPLACE TEMP VIEW raw_states AS SELECT * FROM {relation}")
    return time, {name: kind for name, kind in columns.items() if name != "state"}, None


def _open_edges(session: Database, relation: str, path: Path) -> str:
    columns = session.columns(relation)
    named = [name for name in _NUMBERS if name in columns]
    number = named[0] if named else None
    quotient = "numerator" in columns and "denominator" in columns
    missing = [name for name in ("source", "target") if name not in columns]
    if number is None and not quotient:
        missing.append("rate")
    if missing:
        raise FormatError(
            f"has no column {' and no column '.join(map(repr, missing))}; it has {', '.join(columns)}",
            path=path,
        )
    if len(named) > 1:
        raise FormatError(f"has the columns {' and '.join(map(repr, named))}: give one", path=path)
    if number is not None and not _is_number(columns[number]):
        raise FormatError(
            f"the column {number!r} is {columns[number]}: rates are integers, decimals, floats, or texts "
            "such as 1/3",
            path=path,
        )
    if number is None:
        exact = "CAST({0} AS STRING)"
        rate = f"{exact.format('numerator')} || '/' || {exact.format('denominator')}"
    else:
        rate = number
    session.run(
        f"CREATE OR REPLACE TEMP VIEW raw AS SELECT source, target, {rate} AS rate FROM {relation}"
    )
    return _NUMBERS.get(number or "rate", "continuous")


def _is_number(kind: str) -> bool:
    return kind in INTEGERS or kind in FLOATS or kind.startswith(("DECIMAL", "VARCHAR"))


def read_edges(
    session: Database,
    edges: Path,
    states: Path | None,
    *,
    table: str = "edges",
    time: str | None = None,
    float_tolerance: float = DEFAULT_TOLERANCE,
) -> Edges:
    """Open the tables and read keys, numbers and states; leaves the tables ``numbers`` and ``rates``.

    Raises `InvalidInput` for nulls, negative or malformed numbers, duplicate states, and states that the table of
    states lacks.

    - time: by default that of the column of numbers
    """
    named, attributes, count = open_tables(session, edges, states, table=table)
    with reading(edges):
        rows = _check_nulls(session, "raw", ("source", "target", "rate"))
        key = _key_type(session, listed=states is not None)
        numerators, denominator, largest = _read_rates(session, float_tolerance)
    if states is not None:
        with reading(states):
            _check_nulls(session, "raw_states", ("state", *attributes))
    with reading(edges if states is None else states):
        n, dense = _number_states(session, key, count, listed=states is not None)
    if states is not None:
        with reading(edges):
            _check_known(session, key, n, dense)
    sorts = {name: _sort(name, kind, states) for name, kind in attributes.items()}
    if sorts.get("initial") == "initial":
        with reading(states or edges):
            _check_initial(session, attributes["initial"], float_tolerance)
    labels = tuple(name for name, sort in sorts.items() if sort == "label")
    rewards = tuple(name for name, sort in sorts.items() if sort == "reward")
    found = Edges(
        n, rows, time or named, key, dense, denominator, numerators, largest, labels, rewards,
        sorts.get("initial") == "initial",
    )  # fmt: skip
    number_listed_states(session, found)
    return found


def key_of(session: Database, edges: Edges, state: int) -> Any:
    """Return the key of a state by its number."""
    if edges.dense:
        return state
    return session.value(f"SELECT key FROM numbers WHERE s = {state}")


@contextmanager
def opened(
    edges: str | Path,
    states: str | Path | None,
    *,
    memory: int | str | None = None,
    threads: int | None = None,
    temp: str | Path | None = None,
    **given: Any,
) -> Iterator[tuple[Session, Edges]]:
    """Read tables with DuckDB, for as long as they are used; other options as of `read_edges`."""
    paths = Path(edges), None if states is None else Path(states)
    with (
        Workspace(temp) as workspace,
        Session(workspace, memory=read_bytes(memory), threads=threads) as session,
    ):
        yield session, read_edges(session, *paths, **given)


def number_listed_states(session: Database, edges: Edges) -> None:
    """Name the table of states, if there is one, with numbers in place of keys: the view ``listed``."""
    others = [*edges.labels, *edges.rewards, *(["initial"] if edges.starts else [])]
    if others:
        number, join = edges.number_of("raw_states.state", "numbers")
        columns = ", ".join([f"{number} AS state", *map(identifier, others)])
        session.run(f"CREATE OR REPLACE TEMP VIEW listed AS SELECT {columns} FROM raw_states{join}")


def _sort(name: str, kind: str, path: Path | None) -> str:
    if kind == "BOOLEAN":
        return "label"
    if kind != "VARCHAR" and _is_number(kind):
        return "initial" if name == "initial" else "reward"
    raise FormatError(
        f"the column {name!r} is {kind}: labels are BOOLEAN, and rewards are numbers",
        path=path or "",
    )


def _check_initial(session: Database, kind: str, float_tolerance: float) -> None:
    """Check that the initial probabilities are none below zero, and sum to one."""
    found = session.run("SELECT initial, count(*) FROM raw_states GROUP BY initial")
    given = read_numbers([row[0] for row in found], kind, "initial", float_tolerance)
    _check_sign(min(given.values, default=Fraction(0)), "initial probability")
    total = sum(value * row[1] for value, row in zip(given, found, strict=True))
    if total != 1:
        raise InvalidInput(
            f"the initial distribution sums to {shown(total)}, not to 1", total=total
        )


def read_numbers(given: list[Any], kind: str, column: str, float_tolerance: float) -> ExactArray:
    """Return numbers of a column as rationals; floats are read as those that were meant.

    Raises `InvalidInput` for a number that is not finite.
    """
    if kind not in FLOATS:
        return ExactArray.read([read_text(x) if isinstance(x, str) else x for x in given])[0]
    for number in given:
        if not isfinite(number):
            raise InvalidInput(f"the column {column!r} holds {number}, which is no number")
    return ExactArray.read(np.array(given, dtype=FLOATS[kind]), float_tolerance=float_tolerance)[0]


def _check_nulls(session: Database, relation: str, columns: Sequence[str]) -> int:
    counts = ", ".join(f"count({identifier(column)})" for column in columns)
    total, *present = session.run(f"SELECT count(*), {counts} FROM {relation}")[0]
    for column, count in zip(columns, present, strict=True):
        if count < total:
            raise InvalidInput(
                f"{total - count} of {total} rows have no {column}",
                column=column,
                rows=total - count,
            )
    return int(total)


def _key_type(session: Database, *, listed: bool) -> str:
    """Return the common type of the keys of states."""
    found = set()
    columns = [("raw", "source"), ("raw", "target"), *([("raw_states", "state")] if listed else [])]
    for relation, column in columns:
        kind = session.columns(relation)[column]
        if kind not in INTEGERS and kind != "VARCHAR":
            raise InvalidInput(
                f"the column {column!r} is {kind}: keys of states are integers or texts",
                column=column,
            )
        if kind in ("UBIGINT", "HUGEINT", "UHUGEINT"):
            least, most = session.run(f"SELECT min({column}), max({column}) FROM {relation}")[0]
            if max(-least - 1, most) >= LARGEST_WORD:
                raise InvalidInput(
                    f"the column {column!r} holds integers beyond 64 bits, with a sign: give keys as texts"
                )
        found.add("STRING" if kind == "VARCHAR" else "BIGINT")
    if len(found) > 1:
        raise InvalidInput("some keys of states are integers and others are texts: give one type")
    return found.pop()


def _read_rates(
    session: Database, float_tolerance: float
) -> tuple[tuple[int, ...] | None, int, int]:
    """Make the table ``rates`` of the distinct numbers; return them over their denominator, and the largest."""
    kind = session.columns("raw")["rate"]
    found = session.run(f"SELECT DISTINCT rate FROM raw LIMIT {MOST_VALUES + 1}")
    if len(found) > MOST_VALUES:
        if kind not in INTEGERS:
            raise SizeLimit(
                f"there are more than {MOST_VALUES} distinct rates: give them as integers over a common "
                "denominator",
                limit=MOST_VALUES,
            )
        least, most = session.run("SELECT min(rate), max(rate) FROM raw")[0]
        _check_sign(Fraction(int(least)), "rate")
        session.drop("rates")
        return None, 1, int(most)
    given = [row[0] for row in found]
    array = read_numbers(given, kind, "rate", float_tolerance)
    _check_sign(min(array.values, default=Fraction(0)), "rate")
    integers, denominator = array.integers if len(array) else ([], 1)
    order = sorted(range(len(integers)), key=integers.__getitem__)
    code = {old: new for new, old in enumerate(order)}
    numerators = tuple(integers[old] for old in order)
    largest = max(numerators, default=0)
    width = "BIGINT" if largest < LARGEST_WORD else "STRING"
    pyarrow = require("pyarrow", extra="tables")
    table = pyarrow.table(
        {
            "rate": pyarrow.array([str(x) for x in given] if kind in INTEGERS else given),
            "w": [str(integers[old]) for old in array.codes.tolist()],
            "code": [code[old] for old in array.codes.tolist()],
        }
    )
    session.register("new_rates", table)
    session.store(
        "rates",
        f"SELECT CAST(rate AS {'STRING' if kind == 'VARCHAR' else kind}) AS rate, CAST(w AS {width}) AS w, code FROM new_rates",
    )
    return numerators, int(denominator), largest


def _check_sign(least: Fraction, what: str) -> None:
    if least < 0:
        raise InvalidInput(f"there is a negative {what} {shown(least)}", value=least)


def _number_states(
    session: Database, key: str, count: int | None, *, listed: bool
) -> tuple[int, bool]:
    """Number the states in the order of their keys; returns how many there are, and if the keys are the numbers.

    - count: of states with the keys 0, 1, ..., if it is known
    """
    session.drop("numbers")
    if count is not None:
        ends = "(SELECT source AS key FROM raw UNION ALL SELECT target FROM raw)"
        least, most = session.run(f"SELECT min(key), max(key) FROM {ends}")[0]
        if least is None or (key == "BIGINT" and least >= 0 and most < count):
            return count, True
    if listed:
        keys = f"SELECT CAST(state AS {key}) AS key FROM raw_states"
        total = session.value("SELECT count(*) FROM raw_states")
        if not (key == "BIGINT" and session.ascends(keys)) and total > session.value(
            f"SELECT count(DISTINCT key) FROM ({keys})"
        ):
            twice = session.value(
                f"SELECT key FROM ({keys}) GROUP BY key HAVING count(*) > 1 ORDER BY key LIMIT 1"
            )
            raise InvalidInput(f"the state {twice!r} is listed more than once", state=twice)
    else:
        keys = (
            f"SELECT CAST(source AS {key}) AS key FROM raw "
            f"UNION SELECT CAST(target AS {key}) AS key FROM raw"
        )
        session.store("numbers", f"SELECT key FROM ({keys})")
        keys = "SELECT key FROM numbers"
        total = session.value("SELECT count(*) FROM numbers")
    least, most = session.run(f"SELECT min(key), max(key) FROM ({keys})")[0]
    dense = key == "BIGINT" and (total == 0 or (least == 0 and most == total - 1))
    if dense:
        session.drop("numbers")
    else:
        session.store(
            "numbers", f"SELECT row_number() OVER (ORDER BY key) - 1 AS s, key FROM ({keys})"
        )
    return int(total), dense


def _check_known(session: Database, key: str, n: int, dense: bool) -> None:
    """Check that the table of states has all sources and targets."""
    for column in ("source", "target"):
        if dense:
            unknown = f"SELECT {column} FROM raw WHERE {column} < 0 OR {column} >= {n}"
        else:
            unknown = f"SELECT {column} FROM raw ANTI JOIN numbers ON CAST({column} AS {key}) = numbers.key"
        found = session.run(f"{unknown} LIMIT 1")
        if found:
            raise InvalidInput(
                f"a transition has the {column} {found[0][0]!r}, which the table of states lacks",
                state=found[0][0],
            )

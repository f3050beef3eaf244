"""A DuckDB database in a working folder: statements, limits of memory, transactions, and errors in plain words.

The database file is the checkpoint of a run.  DuckDB writes a transaction whole or not at all, so a run that
is killed leaves the state after its last full round, and `Workspace` finds it again.  Larger results than
the memory limit go to the folder ``spill`` beside the file.
"""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

from lumpability.errors import FormatError, InvalidInput, LumpabilityError, SizeLimit, require
from lumpability.tables.workspace import BUSY, SPILL, Workspace

_OLDEST = (1, 5)
_SMALL_MEMORY = 512 << 20  # bytes; with less, one thread alone gets through
_BATCH = 1 << 18  # rows
_LITTLE = 64 << 20  # bytes
_PROGRAM = 200 << 20  # bytes that programs take before they do anything
CSV, DATABASES = (".csv", ".csv.gz", ".tsv"), (".duckdb", ".db")
PARQUET = (".parquet", ".pq")
"""Suffixes of files that hold tables."""
INTEGERS = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
    "HUGEINT", "UHUGEINT",
}  # fmt: skip
"""Types of integers."""
_KEYS = ("source", "target", "state")
_DIGITS = 38  # of decimals
_SQLITE = b"SQLite format 3"


def quoted(text: str | Path) -> str:
    """Return a text as a literal of SQL.

    Examples
    --------
    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + str(text).replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return the name of a column as an identifier of SQL.

    Examples
    --------
    >>> identifier("all up")
    '"all up"'
    """
    return '"' + name.replace('"', '""') + '"'


class Session:
    """One connection to the database of a workspace; see `Workspace`.

    - memory: bytes that the process may use; DuckDB gets what programs leave of them
    - threads: all cores by default
    """

    def __init__(self, workspace: Workspace, *, memory: int, threads: int | None = None) -> None:
        duckdb = require("duckdb", extra="tables")
        check_version(duckdb, _OLDEST, "DuckDB")
        self.memory, self.workspace = memory, workspace
        self.threads = 1 if memory < _SMALL_MEMORY else threads or os.cpu_count() or 1
        settings = {
            "memory_limit": f"{max(memory - _PROGRAM, memory // 2) >> 20}MiB",
            "threads": self.threads,
            "temp_directory": str(workspace.folder / SPILL),
            "preserve_insertion_order": "false",
            "enable_external_file_cache": "false",  # files are read in order, and seldom twice
            "autoinstall_known_extensions": "false",  # nothing is fetched from anywhere
        }
        with translated(memory):
            self.connection = duckdb.connect(str(workspace.database), config=settings)
            _quieten(self.connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows."""
        with translated(self.memory):
            rows: list[tuple[Any, ...]] = self.connection.execute(statement).fetchall()
        return rows

    def value(self, statement: str) -> Any:
        """Return the only value of a query."""
        return self.run(statement)[0][0]

    def store(self, name: str, select: str, *, temporary: bool = False) -> None:
        """Make a table of what a query returns, in place of the one that has the name."""
        self.run(f"CREATE OR REPLACE {'TEMP ' * temporary}TABLE {name} AS {select}")

    def append(self, name: str, select: str) -> None:
        """Add to a table what a query returns."""
        self.run(f"INSERT INTO {name} {select}")

    def relabel(self, select: str, *, few: bool) -> None:
        """Give renamed states their new names in the table ``state``; `select` returns all states."""
        if few:
            self.run(
                "UPDATE state SET label = renamed.label FROM renamed WHERE state.s = renamed.u"
            )
        else:
            self.store("state", select)

    def shrink(self) -> None:
        """Give the memory of what was read back; statements go on with as little as they can."""
        self.run(f"SET memory_limit = '{_LITTLE >> 20}MiB'")
        self.threads = 1

    def register(self, name: str, table: Any) -> None:
        """Give an Arrow table a name for statements."""
        self.connection.register(name, table)

    def batches(
        self, select: str, *, beside: bool = False, listed: bool = False
    ) -> Generator[Any, None, None]:
        """Yield the rows of an ordered query as Arrow record batches, in order.

        - beside: whether other queries run before the last row is read; then no temporary view is known
        - listed: whether the order is that of the table; joins keep it where one thread runs
        """
        connection = self.connection.cursor() if beside else self.connection
        with translated(self.memory):
            _quieten(connection)
            connection.execute("SET preserve_insertion_order = true").fetchall()
            connection.execute(f"SET threads = {1 if listed else self.threads}").fetchall()
            reader = connection.sql(select).to_arrow_reader(_BATCH)
            try:
                yield from reader
            finally:
                reader.close()

    def arrays(self, select: str) -> dict[str, Any]:
        """Return the columns of a query as arrays."""
        with translated(self.memory):
            found = self.connection.sql(select).fetchnumpy()
        return {name: np.asarray(column) for name, column in found.items()}

    def drop(self, name: str) -> None:
        """Remove a table, if there is one of that name."""
        self.run(f"DROP TABLE IF EXISTS {name}")

    def ascends(self, select: str) -> bool:
        """Whether the only column of a query, integers, ascends without repetition in the order of its table."""
        last = None
        for batch in self.batches(select):
            values = batch.column(0).to_numpy()
            if len(values):
                if np.any(values[1:] <= values[:-1]) or (last is not None and values[0] <= last):
                    return False
                last = values[-1]
        return True

    def relation(self, path: Path, table: str, name: str, *, text: Sequence[str]) -> str:
        """Return what to select from, for a path.

        - table: of a database, which is attached under a name
        - text: columns of CSV files that are read as text, because they hold exact numbers
        """
        lower = path.name.lower()
        if not path.exists():
            raise FormatError("cannot be read: No such file or directory", path=path)
        if path.is_file() and not path.stat().st_size:
            raise FormatError("is empty", path=path)
        pattern = glob.escape(str(path))
        if path.is_dir():
            if not any(path.rglob("*.parquet")):
                raise FormatError("holds no .parquet file", path=path)
            return self._parquet(f"{pattern}/**/*.parquet", "union_by_name = true")
        if lower.endswith(CSV):
            return self._csv(path, pattern, text)
        if lower.endswith(DATABASES):
            return self._attached(path, table, name)
        return self._parquet(pattern)

    def _parquet(self, pattern: str, *options: str) -> str:
        wide = f"SELECT name FROM parquet_schema({quoted(pattern)}) WHERE precision > {_DIGITS}"
        for (column,) in self.run(f"{wide} LIMIT 1"):  # DuckDB reads them as floats
            raise InvalidInput(
                f"the column {column!r} has decimals of more than {_DIGITS} digits: give texts"
            )
        return f"read_parquet({', '.join([quoted(pattern), *options])})"

    def _csv(self, path: Path, pattern: str, text: Sequence[str]) -> str:
        """Return the reader of a CSV file: numbers are texts, and so are keys unless all are integers."""
        reader = f"read_csv({quoted(pattern)}, header = true, quote = '\"', escape = '\"'"
        found = self.columns(f"{reader}, sample_size = -1)")
        if len(found) == 1 and re.search(r"[,;|\t]", next(iter(found))):
            raise FormatError("has rows with other columns than its first line", path=path)
        keys = [column for column in _KEYS if column in found]
        if any(found[column] != "BIGINT" for column in keys):
            found |= dict.fromkeys(keys, "VARCHAR")
        found |= {column: "VARCHAR" for column in text if column in found}
        types = ", ".join(f"{quoted(column)}: {quoted(kind)}" for column, kind in found.items())
        return f"{reader}, types = {{{types}}})"

    def _attached(self, path: Path, table: str, name: str) -> str:
        with path.open("rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE:
                raise FormatError("is a database of SQLite, and not of DuckDB", path=path)
        database = f"database_name = {quoted(name)}"
        if not self.run(f"SELECT 1 FROM duckdb_databases() WHERE {database}"):
            self.run(f"ATTACH {quoted(path)} AS {name} (READ_ONLY)")
        known = [
            row[0]
            for row in self.run(
                f"SELECT table_name FROM duckdb_tables() WHERE {database} "
                f"UNION ALL SELECT view_name FROM duckdb_views() WHERE {database} AND NOT internal"
            )
        ]
        if table not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise FormatError(f"has no table {table!r}; it has {listed}", path=path)
        return f"{name}.{identifier(table)}"

    def columns(self, relation: str) -> dict[str, str]:
        """Return the names of the columns of a table, in lower case, with their types."""
        return {
            name.lower(): kind for name, kind, *_ in self.run(f"DESCRIBE SELECT * FROM {relation}")
        }

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything that is done inside, or nothing."""
        self.run("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            with suppress(Exception):  # an error may have ended the transaction
                self.connection.execute("ROLLBACK").fetchall()
            raise
        self.run("COMMIT")

    def remember(self, name: str, value: Any) -> None:
        """Write plain data into the checkpoint."""
        self.run("CREATE TABLE IF NOT EXISTS notes (name VARCHAR PRIMARY KEY, text VARCHAR)")
        text = quoted(json.dumps(value))
        self.run(f"INSERT OR REPLACE INTO notes VALUES ({quoted(name)}, {text})")

    def recall(self, name: str) -> Any:
        """Return what was written into the checkpoint under a name, or None."""
        if not self.value("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'notes'"):
            return None
        found = self.run(f"SELECT text FROM notes WHERE name = {quoted(name)}")
        return json.loads(found[0][0]) if found else None


def _quieten(connection: Any) -> None:
    """Switch off DuckDB's bar of progress, which it would print; in a notebook without widgets it cannot be set."""
    if connection.execute("SELECT current_setting('enable_progress_bar')").fetchone() != (False,):
        connection.execute("SET enable_progress_bar = false").fetchall()


def check_version(module: Any, oldest: tuple[int, int], name: str) -> None:
    """Raise `InvalidInput` if an engine of SQL is older than a version."""
    found = module.__version__
    if tuple(int(part) for part in found.split(".")[:2]) < oldest:
        raise InvalidInput(
            f"edge tables need {name} {'.'.join(map(str, oldest))} or newer, and this is {found}: "
            f"pip install --upgrade {module.__name__}",
            version=found,
        )


_NO_SPACE: Sequence[str] = (
    "No space left",
    "File too large",
    "max_temp_directory_size",
    "not enough disk space",
)
_LOCKED = "Could not set lock"
_OF_USERS = (
    "IOException", "ConversionException", "InvalidInputException", "OutOfRangeException", "SerializationException",
    "HTTPException", "CatalogException", "BinderException",
)  # fmt: skip
"""Errors that files of users cause."""


@contextmanager
def translated(memory: int) -> Iterator[None]:
    """Turn errors of DuckDB into errors of this library, in one sentence, and interrupted queries into interrupts.

    - memory: the limit in bytes, which the message names
    """
    duckdb = require("duckdb", extra="tables")
    try:
        yield
    except (duckdb.InterruptException, RuntimeError) as error:  # a signal came during a query
        if "nterrupted" not in str(error):
            raise
        raise KeyboardInterrupt from error
    except duckdb.Error as error:
        text = _sentence(error)
        if any(part in str(error) for part in _NO_SPACE):  # in errors of several classes
            raise FormatError("the disk is full", path="the working folder (temp)") from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise SizeLimit(
                f"a memory limit of {memory >> 20} MiB is too small for this table: give more memory",
                memory=memory,
            ) from error
        if _LOCKED in text:
            raise InvalidInput(BUSY) from error
        if type(error).__name__ in _OF_USERS:
            raise InvalidInput(text) from error
        raise LumpabilityError(f"internal error: {text}") from error


def _sentence(error: Exception) -> str:
    """Return what an error of DuckDB says, without its class and its advice."""
    first, *others = re.sub(r"^[A-Z][A-Za-z ]* Error: ", "", str(error).strip()).splitlines()
    if first.startswith("Error when sniffing file"):
        return "is no table: rows have other columns than the first line, or a quote is not closed"
    line = re.match(r"CSV Error on Line: (\d+)", first)
    return f"line {line[1]}: {others[1]}" if line and len(others) > 1 else first

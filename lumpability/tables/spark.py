"""Edge tables on a cluster: the statements of refinement, run by Spark.

Every table is a folder of Parquet files in a working folder that all executors see under one name, and every
round is committed by one small file that lists them; a run that ends early goes on from there.  What Spark has no
integers of 128 bits for is summed in two halves of 64 bits (`dialects`); ANSI mode turns any overflow into
an error.  The session is the caller's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidInput, require
from lumpability.tables.session import CSV, DATABASES, check_version
from lumpability.tables.workspace import SPARK_FOLDER, Workspace

_OLDEST = (4, 0)
_MANIFEST = "tables.json"
_MEMORY = 1 << 40  # bytes: Spark bounds memory itself, so that proofs need no ranges
_TYPES = {
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
}
_SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
}


class SparkDatabase:
    """The tables of a refinement in a Spark session, by default the one that is active, or a new one.

    All executors must see the folder of the workspace under its name.
    """

    memory = _MEMORY

    def __init__(self, spark: Any, workspace: Workspace) -> None:
        check_version(require("pyspark", extra="spark"), _OLDEST, "Spark")
        if spark is None:
            spark = require("pyspark.sql", extra="spark").SparkSession.builder.getOrCreate()
        self.spark, self.workspace = spark, workspace
        self.before = {name: spark.conf.get(name) for name in _SETTINGS}
        for name, value in _SETTINGS.items():
            spark.conf.set(name, value)
        self.folder = workspace.folder.absolute() / SPARK_FOLDER
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tables: dict[str, str] = {}
        self.notes: dict[str, Any] = {}
        self.number, self.open = 0, False
        manifest = self.folder / _MANIFEST
        if workspace.resumed and manifest.exists():
            saved = json.loads(manifest.read_text(encoding="utf-8"))
            self.tables, self.notes, self.number = saved["tables"], saved["notes"], saved["number"]
            for name in self.tables:
                self._view(name)
        self._clear()

    def close(self) -> None:
        """Give the session its settings back."""
        for name, value in self.before.items():
            self.spark.conf.set(name, value)

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows."""
        with _translated():
            return [tuple(row) for row in self.spark.sql(statement).collect()]

    def value(self, statement: str) -> Any:
        """Return the only value of a query."""
        return self.run(statement)[0][0]

    def store(self, name: str, select: str, *, temporary: bool = False) -> None:
        """Make a table of what a query returns, in place of the one that has the name."""
        self.number += 1
        table = f"{name}-{self.number}"
        with _translated():
            self.spark.sql(select).write.parquet(str(self.folder / table))
        self.tables[name] = table
        self._view(name)

    def append(self, name: str, select: str) -> None:
        """Add to a table what a query returns."""
        with _translated():
            rows = self.spark.sql(select)
            rows.write.mode("append").parquet(str(self.folder / self.tables[name]))
        self._view(name)

    def drop(self, name: str) -> None:
        """Remove a table, if there is one of that name."""
        self.tables.pop(name, None)
        self.spark.catalog.dropTempView(name)

    def _view(self, name: str) -> None:
        path = str(self.folder / self.tables[name])
        with _translated():
            self.spark.read.parquet(path).createOrReplaceTempView(name)

    def relabel(self, select: str, *, few: bool) -> None:
        """Give renamed states their new names in the table ``state``; `select` returns all states."""
        self.store("state", select)

    def register(self, name: str, table: Any) -> None:
        """Give an Arrow table a name for statements."""
        with _translated():
            self.spark.createDataFrame(table).createOrReplaceTempView(name)

    def arrays(self, select: str) -> dict[str, Any]:
        """Return the columns of a query as arrays."""
        with _translated():
            table = self.spark.sql(select).toArrow()
        return {name: np.asarray(table.column(name)) for name in table.column_names}

    def batches(self, select: str, *, beside: bool = False) -> Iterator[Any]:
        """Yield the rows of an ordered query as Arrow record batches, in order."""
        parquet = require("pyarrow.parquet", extra="tables")
        self.number += 1
        folder = self.folder / f"rows-{self.number}"
        with _translated():
            self.spark.sql(select).write.parquet(str(folder))
        for path in sorted(folder.glob("part-*.parquet")):
            yield from parquet.ParquetFile(path).iter_batches()
        shutil.rmtree(folder, ignore_errors=True)

    def ascends(self, select: str) -> bool:
        """Return False: rows of Spark have no order."""
        return False

    def columns(self, relation: str) -> dict[str, str]:
        """Return the names of the columns of a table, in lower case, with their types as DuckDB names them."""
        with _translated():
            types = self.spark.sql(f"SELECT * FROM {relation}").dtypes
        return {name.lower(): _TYPES.get(kind, kind.upper()) for name, kind in types}

    def relation(self, path: Path, table: str, name: str, *, text: Sequence[str]) -> str:
        """Return what to select from, for a Parquet file or a folder of Parquet files."""
        if str(path).lower().endswith((*CSV, *DATABASES)):
            raise FormatError("the spark engine reads Parquet files", path=path)
        if not path.exists():
            raise FormatError("cannot be read: No such file or directory", path=path)
        with _translated():
            read = self.spark.read.option("recursiveFileLookup", str(path.is_dir()).lower())
            read.parquet(str(path.absolute())).createOrReplaceTempView(name)
        return name

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything that is done inside, or nothing."""
        self.open = True
        try:
            yield
        finally:
            self.open = False
        self._commit()

    def remember(self, name: str, value: Any) -> None:
        """Write plain data into the checkpoint."""
        self.notes[name] = value
        if not self.open:
            self._commit()

    def recall(self, name: str) -> Any:
        """Return what was written into the checkpoint under a name, or None."""
        return self.notes.get(name)

    def _commit(self) -> None:
        saved = {"tables": self.tables, "notes": self.notes, "number": self.number}
        fresh = self.folder / f"{_MANIFEST}.new"
        fresh.write_text(json.dumps(saved), encoding="utf-8")
        fresh.replace(self.folder / _MANIFEST)
        self._clear()

    def _clear(self) -> None:
        """Remove the folders of tables that have been replaced."""
        used = {_MANIFEST, *self.tables.values()}
        for path in self.folder.iterdir():
            if path.name not in used:
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn errors of Spark into errors of this library, in one sentence."""
    errors = require("pyspark.errors", extra="spark")
    try:
        yield
    except errors.PySparkException as error:
        raise InvalidInput(f"Spark: {str(error).strip().splitlines()[0]}") from error

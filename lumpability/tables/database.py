"""What rounds and proofs need from an engine of SQL: DuckDB in one process, or Spark on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from lumpability.tables.workspace import Workspace

__all__ = ["Database"]


class Database(Protocol):
    """What rounds need from an engine of SQL."""

    memory: int
    workspace: Workspace

    def disk(self) -> int:
        """Return how many bytes the working folder takes."""

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows."""

    def value(self, statement: str) -> Any:
        """Return the only value of a query."""

    def store(self, name: str, select: str, *, temporary: bool = False) -> None:
        """Make a table of what a query returns, in place of the one that has the name."""

    def arrays(self, select: str) -> dict[str, Any]:
        """Return the columns of a query as arrays."""

    def register(self, name: str, table: Any) -> None:
        """Give an Arrow table a name for statements."""

    def drop(self, name: str) -> None:
        """Remove a table, if there is one of that name."""

    def columns(self, relation: str) -> dict[str, str]:
        """Return the names of the columns of a table, in lower case, with their types as DuckDB names them."""

    def relation(self, path: Path, table: str, name: str, *, text: Sequence[str]) -> str:
        """Return what to select from, for a path."""

    def ascends(self, select: str) -> bool:
        """Whether it is cheap to see that the only column of a query ascends without repetition."""

    def batches(self, select: str, *, beside: bool = False) -> Iterator[Any]:
        """Yield the rows of an ordered query as Arrow record batches, in order."""

    def append(self, name: str, select: str) -> None:
        """Add to a table what a query returns."""

    def relabel(self, select: str, *, few: bool) -> None:
        """Give renamed states their new names in the table ``state``; `select` returns all states."""

    def transaction(self) -> AbstractContextManager[None]:
        """Write everything that is done inside, or nothing."""

    def remember(self, name: str, value: Any) -> None:
        """Write plain data into the checkpoint."""

    def recall(self, name: str) -> Any:
        """Return what was written into the checkpoint under a name, or None."""

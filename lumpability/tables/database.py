"""What rounds and proofs need from an engine of SQL: DuckDB in one process, or Spark on a cluster."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

__all__ = ["Database"]


class Database(Protocol):
    """What rounds need from an engine of SQL."""

    memory: int

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

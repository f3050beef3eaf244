"""What `lump_table` was asked, as its engines take it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumpability.tables.rounds import RoundReport
from lumpability.version import __version__


@dataclass(frozen=True)
class Task:
    """The arguments of `lump_table`, read."""

    edges: Path
    states: Path | None
    table: str
    type: str | None
    kind: str
    respect: Iterable[str] | str
    ignore: Iterable[str] | str
    float_tolerance: float
    output: Path | None
    quotient: Path | None
    certificate: Path | None
    progress: Callable[[RoundReport], None] | None
    started: float

    def identity(self) -> list[Any]:
        """Return what must be the same when a run is resumed, as plain data."""
        files = [
            [str(part), part.stat().st_size, part.stat().st_mtime_ns]
            for path in (self.edges, self.states)
            for part in _files(path)
        ]
        respect = self.respect if isinstance(self.respect, str) else list(self.respect)
        ignore = self.ignore if isinstance(self.ignore, str) else list(self.ignore)
        options = [self.table, self.type, self.kind, respect, ignore, self.float_tolerance]
        return [__version__, files, *options]


def _files(path: Path | None) -> list[Path]:
    if path is None:
        return []
    return sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path]

"""Edge tables as chains: Parquet files and folders, CSV files and DuckDB databases; see `lumpability.tables`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lumpability.files import opened
from lumpability.formats.assembly import warn_of_loss
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.rationals import DEFAULT_TOLERANCE
from lumpability.tables import read_table, write_chain

_PIECE = 1 << 20


def read_edge_table(
    path: str | Path,
    *,
    float_tolerance: float = DEFAULT_TOLERANCE,
    type: Literal["ctmc", "dtmc"] | None = None,  # noqa: A002  # the word of `read`
    max_bytes: int | None = None,
) -> MarkovChain:
    """Read a table of transitions that fits into memory; see `read_table`."""
    if Path(path).suffix.lower() == ".gz":  # DuckDB unpacks without a limit
        with opened(path, max_bytes=max_bytes) as stream:
            while stream.read(_PIECE):
                pass
    return read_table(path, type=type, float_tolerance=float_tolerance)


def write_edge_table(chain: MarkovChain, path: str | Path) -> None:
    """Write the transitions alone; warns `LossyWrite` if the chain has labels, rewards, names or an initial distribution."""
    write_chain(chain, path)
    parts = {
        "labels": chain.labels,
        "rewards": chain.rewards,
        "names of states": chain.states.named,
        "initial distribution": chain.initial,
    }
    lost = [name for name, part in parts.items() if part is not None and part]
    if lost:
        warn_of_loss(
            path,
            f"transitions have no {', '.join(lost)}; lumpability.tables.write_chain writes a table of states, too",
        )

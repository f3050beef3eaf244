"""A table whose chain fits into memory, read as a chain of the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from lumpability.errors import SizeLimit
from lumpability.files import reading
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.rationals import DEFAULT_TOLERANCE
from lumpability.tables.in_memory import structure_of
from lumpability.tables.lump import choose, time_of
from lumpability.tables.reading import opened
from lumpability.tables.result import chain_of


def read_table(
    edges: str | Path,
    *,
    states: str | Path | None = None,
    table: str = "edges",
    type: Literal["ctmc", "dtmc"] | None = None,  # noqa: A002  # the word of `read`
    float_tolerance: float = DEFAULT_TOLERANCE,
) -> MarkovChain:
    r"""Read a table of transitions as a chain; `lump_table` takes tables of any size.

    Parameters
    ----------
    edges, states, table, type, float_tolerance
        As for `lump_table`.  Labels, rewards and the initial distribution are those of the table of states.

    Returns
    -------
    CTMC or DTMC
        Its states have the keys of the table as names, unless these are 0 .. n-1.

    Raises
    ------
    FormatError, InvalidInput
        If a table cannot be read.
    SizeLimit
        If the chain does not fit into half of the machine's memory.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "edges.csv")
    ...     _ = path.write_text("source,target,rate\nup,down,1/3\ndown,up,2\n")
    ...     chain = read_table(path)
    >>> chain, list(chain.states)
    (CTMC(2 states, 2 transitions), ['down', 'up'])
    """
    reading_of: dict[str, Any] = {
        "table": table,
        "time": time_of(type),
        "float_tolerance": float_tolerance,
    }
    with opened(edges, states, **reading_of) as (session, found):
        if choose(found, "ordinary", session.memory) != "memory":
            raise SizeLimit(
                f"{edges}: {found.rows:,} transitions of {found.n:,} states do not fit into memory as a chain: "
                "lump the table first, with lump and --quotient small.parquet",
                path=str(edges),
            )
        given: dict[str, Any] = {"float_tolerance": float_tolerance}
        columns = [*found.labels, *found.rewards]
        least = f"SELECT s AS block, s AS least FROM range({found.n}) AS numbered(s)"
        if not found.dense:
            given["states"] = [row[0] for row in session.run("SELECT key FROM numbers ORDER BY s")]
        if found.starts:
            columns.append("initial")
        with reading(edges):
            return chain_of(session, found, structure_of(session, found), least, columns, **given)

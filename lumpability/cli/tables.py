"""The commands for edge tables: the options that only tables have, and the reports."""

from __future__ import annotations

import functools
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import click

from lumpability.cli import options
from lumpability.cli.command import Outcome
from lumpability.cli.console import Stages
from lumpability.cli.failures import dashed
from lumpability.cli.report import Report, change_of_size
from lumpability.errors import FormatError, SizeLimit
from lumpability.formats import FORMATS
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.rationals import shown
from lumpability.show.text import Table
from lumpability.tables import TableLumping, inspect_table, lump_table, read_table
from lumpability.tables.reading import is_table
from lumpability.tables.rounds import RoundReport
from lumpability.vocabulary import keywords

_NOT_HERE = ("edges", "output", "progress", "spark", "threads", "float_tolerance")
_OPTIONS = {
    "states": options.file_option(
        "--states",
        default="what transitions mention",
        about="Edge tables: a table of all states, with labels (boolean columns) and rewards (numbers).",
    ),
    "table": click.option(
        "--table",
        metavar="NAME",
        show_default="edges",
        help="Edge tables: the table of a DuckDB database that holds the transitions.",
    ),
    "memory": click.option(
        "--memory",
        metavar="SIZE",
        show_default="half of the machine's",
        help="Edge tables: memory to use, such as 4GB; what does not fit goes to disk.",
    ),
    "temp": options.file_option(
        "--temp",
        metavar="DIR",
        default="a temporary one",
        about="Edge tables: folder for the checkpoint and for what does not fit into memory.",
    ),
    "resume": click.option(
        "--resume",
        is_flag=True,
        default=None,
        help="Edge tables: go on after the last round of a run that ended early, with the same --temp.",
    ),
    "quotient": options.file_option(
        "--quotient",
        about="Edge tables: write the lumped chain, as a table (.parquet, .csv) or a chain (.drn, ...); -o writes "
        "the blocks.",
    ),
}


def table_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add options that only edge tables have; the command gets those that were given as ``tables``."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_tables(*arguments: Any, **given: Any) -> Any:
            ours = {name: given.pop(name) for name in names}
            ours = {name: value for name, value in ours.items() if value is not None}
            return command(*arguments, tables=ours, **given)

        added: Callable[..., Any] = with_tables
        for name in reversed(names):
            added = _OPTIONS[name](added)
        return added

    return decorate


def _reading(read: Any) -> dict[str, Any]:
    """Return how numbers are read; refuse options of reading that tables do not have."""
    used = {name: read.keywords.get(name) for name in ("float_tolerance", "type")}
    defaults = signature(read.func).parameters
    for name, value in read.keywords.items():
        if name not in used and value not in (None, defaults[name].default):
            raise click.UsageError(f"{dashed(name)} is not for an edge table")
    return used


def refuse_table_options(tables: dict[str, Any], model: Path) -> None:
    """Refuse options of edge tables for another file."""
    for name in tables:
        raise click.UsageError(f"{dashed(name)} is for edge tables, and {model.name} is none")


def lump_table_file(
    stages: Stages,
    path: Path,
    asked: dict[str, Any],
    *,
    read: Any,
    write: Callable[[Any, Path], None],
    output: Path | None,
    report: Path | None,
) -> Outcome:
    """Lump an edge table, and report sizes, the proof and the files.

    - asked: the options of `lump_table`, and None for those of other models that were not given
    - read, write: `lumpability.read` and `write`, with the options for numbers
    """
    given = {name: value for name, value in asked.items() if value is not None}
    known = [name for name in keywords(lump_table) if name not in _NOT_HERE]
    for name in given:
        if name not in known:
            words = ", ".join(map(dashed, known))
            raise click.UsageError(
                f"{dashed(name)} is not for an edge table, which has {words}; lumpability convert makes a chain of it"
            )
    chain_file = _chain_file(given)
    reading = _reading(read)
    with stages("lumping", path.name):
        progress = functools.partial(_show, stages)
        lumping = lump_table(path, **given, **reading, output=output, progress=progress)
        if chain_file is not None:
            if lumping.quotient is None:
                raise SizeLimit(
                    f"{chain_file}: the lumped chain has {lumping.stats.block_transitions:,} transitions, which are "
                    "too many for this format: name it .parquet or .csv"
                )
            write(lumping.quotient, chain_file)
    stats = lumping.stats
    write_blocks = "Hint: write the block of every state with -o, for example -o blocks.parquet"
    return Outcome(
        lambda: {
            "path": str(path),
            "model": describe_table(stats.states, stats.transitions),
            "lumping": _data(lumping),
        },
        [_table(lumping)],
        read=path,
        written={
            "blocks": output,
            "quotient": chain_file or lumping.quotient_file,
            "certificate": asked["certificate"],
            "report": report,
        },
        hint=write_blocks if output is None else "",
    )


def _chain_file(given: dict[str, Any]) -> Path | None:
    """Take the name of a file for the lumped chain that is no table out of the options."""
    path: Path | None = given.get("quotient")
    if path is None or is_table(path):
        return None
    chains = [name for name, known in FORMATS.items() if known.writer and "chain" in known.holds]
    if not path.name.lower().endswith(tuple(chains)):
        raise FormatError(f"a lumped chain is written as {', '.join(chains)}", path=path)
    del given["quotient"]
    return path


def read_table_file(path: Path, read: Any, **tables: Any) -> MarkovChain:
    """Read an edge table, and perhaps a table of states, as a chain."""
    return read_table(path, **_reading(read), **tables)


def describe_table_file(path: Path, read: Any, **tables: Any) -> Report:
    """Report the sizes of an edge table, what its states have, and how its numbers were read."""
    found = inspect_table(path, **_reading(read), **tables)
    edges, engine = found.edges, found.engine
    data = describe_table(edges.n, edges.rows)
    data |= {
        "time": edges.time,
        "keys": "texts" if edges.key == "STRING" else "integers",
        "distinct_rates": None if edges.numerators is None else len(edges.numerators),
        "denominator": str(edges.denominator),
        "labels": list(edges.labels),
        "rewards": list(edges.rewards),
        "initial": edges.starts,
        "engine": engine,
    }
    distinct = "many" if edges.numerators is None else f"{len(edges.numerators):,}"
    rows = (
        ("states", f"{edges.n:,}, keys are {data['keys']}"),
        ("transitions", f"{edges.rows:,}"),
        ("time", edges.time),
        ("distinct rates", f"{distinct}, over the common denominator {shown(edges.denominator)}"),
        ("labels", ", ".join(edges.labels) or "none"),
        ("rewards", ", ".join(edges.rewards) or "none"),
        ("initial distribution", "given" if edges.starts else "none"),
        ("engine", f"{engine}, for ordinary lumping within this memory"),
    )
    return Report(data, (Table("Edge table", rows),))


def describe_table(states: int, transitions: int) -> dict[str, Any]:
    """Return the sizes of an edge table as plain data."""
    return {"class": "edge table", "states": states, "transitions": transitions}


def _show(stages: Stages, report: RoundReport) -> None:
    stages.detail(
        f"round {report.number}: {report.blocks:,} blocks, {report.pending:,} states pending, "
        f"{report.disk / 1e6:,.0f} MB of disk"
    )


def _data(lumping: TableLumping) -> dict[str, Any]:
    stats = lumping.stats
    return {
        "kind": lumping.kind,
        "blocks": stats.blocks,
        "transitions": stats.block_transitions,
        "initial_blocks": stats.respected_blocks,
        "proof": stats.proof,
        "coarsest": True,
        "engine": stats.engine,
        "rounds": lumping.rounds,
        "seconds": stats.seconds,
    }


def _table(lumping: TableLumping) -> Table:
    stats = lumping.stats
    rows = (
        ("states", change_of_size(stats.states, stats.blocks)),
        ("transitions", f"{stats.transitions:,} -> {stats.block_transitions:,}"),
        ("initial blocks", f"{stats.respected_blocks:,}"),
        ("proof", stats.proof),
        *([("rounds", f"{lumping.rounds:,}")] if lumping.rounds else []),
        ("time", f"{stats.seconds:.2f} s, proof included ({stats.engine})"),
    )
    return Table(f"Edge table, {lumping.kind} lumping", rows)

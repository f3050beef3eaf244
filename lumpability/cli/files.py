"""`lumpability info` describes a file; `lumpability convert` rewrites it in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lumpability.cli import options
from lumpability.cli.command import Outcome, command
from lumpability.cli.console import Stages
from lumpability.cli.models import describe
from lumpability.cli.tables import (
    describe_table_file,
    read_table_file,
    refuse_table_options,
    table_options,
)
from lumpability.cli.weights import describe_weights_file, is_streamed
from lumpability.show.text import Table
from lumpability.tables.reading import is_table


@command("info", examples="Example: lumpability info chain.umb")
@options.file_argument("model")
@options.reading
@table_options("states", "table", "memory")
def info_command(
    stages: Stages, *, model: Path, read: options.Read, tables: dict[str, Any]
) -> Outcome:
    """Show what MODEL holds.

    For a chain: sizes, labels, rewards, and how its numbers were read. For a network: sizes, layers, and
    the barriers at which nothing merges. For an edge table: sizes, labels, rewards, and the engine.
    """
    if not is_table(model):
        refuse_table_options(tables, model)
    with stages("reading", model.name):
        if is_table(model):
            report = describe_table_file(model, read, **tables)
        elif is_streamed(model, read):
            report = describe_weights_file(model)
        else:
            report = describe(read(model))
    return Outcome(lambda: {"path": str(model), "model": report.data}, report.tables)


@command("convert", examples="Example: lumpability convert chain.tra chain.drn.gz")
@options.file_argument("source")
@options.file_argument("target")
@options.reading
@options.writing
@table_options("states", "table")
def convert_command(
    stages: Stages,
    *,
    source: Path,
    target: Path,
    read: options.Read,
    write: options.Write,
    tables: dict[str, Any],
) -> Outcome:
    """Rewrite the model SOURCE as TARGET.

    The suffixes choose the formats. A warning names what the format of TARGET cannot hold. An edge table
    becomes a chain, with the labels and rewards of the table of states that --states names.
    """
    if not is_table(source):
        refuse_table_options(tables, source)
    with stages("reading", source.name):
        model = read_table_file(source, read, **tables) if tables else read(source)
    with stages("writing", target.name):
        write(model, target)
    report = describe(model)
    return Outcome(
        lambda: {"path": str(source), "model": report.data, "written": str(target)},
        [*report.tables, Table("files", (("read", str(source)), ("written", str(target))))],
    )

"""`lumpability info` describes a file; `lumpability convert` rewrites it in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability.cli import options
from lumpability.cli.console import Stages, show, show_json
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


@click.command("info", epilog="Example: lumpability info chain.umb")
@options.file_argument("model")
@options.reading
@table_options("states", "table", "memory")
@options.as_json
@options.debug
def info_command(*, model: Path, read: options.Read, as_json: bool, tables: dict[str, Any]) -> None:
    """Show what MODEL holds.

    For a chain: sizes, labels, rewards, and how its numbers were read. For a network: sizes, layers, and
    the barriers at which nothing merges. For an edge table: sizes, labels, rewards, and the engine.
    """
    if not is_table(model):
        refuse_table_options(tables, model)
    with Stages() as stages, stages("reading", model.name):
        if is_table(model):
            report = describe_table_file(model, read, **tables)
        elif is_streamed(model, read):
            report = describe_weights_file(model)
        else:
            report = describe(read(model))
    if as_json:
        show_json("info", path=str(model), model=report.data, seconds=stages.seconds)
    else:
        show(*report.tables)


@click.command("convert", epilog="Example: lumpability convert chain.tra chain.drn.gz")
@options.file_argument("source")
@options.file_argument("target")
@options.reading
@options.writing
@table_options("states", "table")
@options.as_json
@options.debug
def convert_command(
    *,
    source: Path,
    target: Path,
    read: options.Read,
    write: options.Write,
    as_json: bool,
    tables: dict[str, Any],
) -> None:
    """Rewrite the model SOURCE as TARGET.

    The suffixes choose the formats. A warning names what the format of TARGET cannot hold. An edge table
    becomes a chain, with the labels and rewards of the table of states that --states names.
    """
    if not is_table(source):
        refuse_table_options(tables, source)
    with Stages() as stages:
        with stages("reading", source.name):
            model = read_table_file(source, read, **tables) if tables else read(source)
        with stages("writing", target.name):
            write(model, target)
    report = describe(model)
    if as_json:
        show_json(
            "convert",
            path=str(source),
            model=report.data,
            written=str(target),
            seconds=stages.seconds,
        )
    else:
        show(*report.tables, Table("files", (("read", str(source)), ("written", str(target)))))

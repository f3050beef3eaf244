"""`lumpability info` and `lumpability convert`: look at a file, rewrite it in another format."""

from __future__ import annotations

from pathlib import Path

import click

from lumpability import formats
from lumpability.cli.console import Stages, show, show_json
from lumpability.cli.options import debug_option, file_argument, json_option, reading_options
from lumpability.cli.models import describe
from lumpability.show.text import Table

__all__ = ["convert_command", "info_command"]


@click.command("info")
@file_argument("model")
@reading_options
@json_option
@debug_option
def info_command(model: Path, tolerance: float, normalize: bool, as_json: bool) -> None:
    """Show what MODEL holds: sizes, labels, rewards, how its numbers were read.

    \b
    Example:
      lumpability info chain.umb
    """
    with Stages() as stages, stages("reading", model.name):
        report = describe(formats.read(model, tolerance=tolerance, normalize=normalize))
    if as_json:
        show_json("info", path=str(model), model=report.data, seconds=stages.seconds)
    else:
        show(*report.tables)


@click.command("convert")
@file_argument("source")
@file_argument("target")
@reading_options
@json_option
@debug_option
def convert_command(
    source: Path, target: Path, tolerance: float, normalize: bool, as_json: bool
) -> None:
    """Rewrite the model SOURCE as TARGET; the suffixes choose the formats.

    \b
    Example:
      lumpability convert chain.tra chain.drn.gz
    """
    with Stages() as stages:
        with stages("reading", source.name):
            model = formats.read(source, tolerance=tolerance, normalize=normalize)
        with stages("writing", target.name):
            formats.write(model, target)
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
        show(*report.tables, Table("written", (("model", str(target)),)))

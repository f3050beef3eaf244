"""`lumpability lump`: the coarsest lumping of a model in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from lumpability.cli.chains import respecting
from lumpability.cli.console import Stages, show, show_json
from lumpability.cli.failures import tell
from lumpability.cli.models import describe, summarise
from lumpability.cli.options import (
    Read,
    Write,
    debug_option,
    file_argument,
    json_option,
    kind_option,
    names,
    reading_options,
    writing_options,
)
from lumpability.cli.partition_file import read_partition, write_partition
from lumpability.refinement import ENGINES, Engine
from lumpability.show.text import Table
from lumpability.verbs import lump

__all__ = ["lump_command"]

_EXAMPLES = """\b
Examples:
  lumpability lump chain.drn.gz -o small.drn
  lumpability lump chain.npz --kind bisimulation --ignore deadlock --json
  lumpability lump chain.tra --respect up,reward:cost --partition blocks.json
"""


@click.command("lump", epilog=_EXAMPLES)
@file_argument("model")
@kind_option
@click.option(
    "--respect",
    metavar="NAMES",
    multiple=True,
    callback=names,
    help="What a block may not mix, separated by commas: labels, rewards, initial, or single ones by "
    'name (label:up or up). --respect "" is nothing.  [default: labels,rewards]',
)
@click.option(
    "--ignore",
    metavar="NAMES",
    multiple=True,
    callback=names,
    help="Labels and rewards, by name, not to respect.",
)
@click.option(
    "--initial",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A partition that must be refined as well (same form as for check).",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Write the lumped model; the suffix chooses the format.",
)
@click.option(
    "--partition",
    "partition_output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the partition: blocks of states (.json), or block numbers, one on each line.",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="Implementation of the refinement; the answer is the same.",
)
@reading_options
@writing_options
@json_option
@debug_option
def lump_command(
    *,
    model: Path,
    kind: str | None,
    respect: Sequence[str] | None,
    ignore: Sequence[str] | None,
    initial: Path | None,
    output: Path | None,
    partition_output: Path | None,
    engine: Engine,
    read: Read,
    write: Write,
    as_json: bool,
) -> None:
    """Compute the coarsest lumping of MODEL.

    The coarsest lumping of its kind is unique and found exactly: states share a block unless what must
    be respected, or the rates into blocks, tell them apart.
    """
    with Stages() as stages:
        with stages("reading", model.name):
            chain = read(model)
            start = None if initial is None else read_partition(initial, chain.states)
        with stages("lumping"):
            lumping = lump(
                chain,
                kind=kind,
                respect=respecting(chain, kind, respect, ignore),
                initial=start,
                engine=engine,
                progress=stages.progress,
            )
        with stages("writing"):
            if output is not None:
                write(lumping.quotient, output)
            if partition_output is not None:
                write_partition(lumping.partition, partition_output, chain.states)
        summary, model_report = summarise(lumping), describe(chain)
    written = {"quotient": output, "partition": partition_output}
    if as_json:
        show_json(
            "lump",
            path=str(model),
            model=model_report.data,
            lumping=summary.data,
            written={k: None if v is None else str(v) for k, v in written.items()},
            seconds=stages.seconds,
        )
        return
    files = [("read", f"{model}  ({stages.seconds['reading']:.2f} s)")]
    files += [("written", str(path)) for path in written.values() if path is not None]
    show(*summary.tables, Table("files", tuple(files)))
    if output is None:
        tell("write the lumped model with -o, for example -o small.drn", sort="Hint")

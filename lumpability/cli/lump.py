"""`lumpability lump`: the coarsest lumping of a model in a file; `shrink` is its other name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from lumpability.cli.console import Stages, document, show
from lumpability.cli.failures import tell
from lumpability.cli.models import arguments, describe, summarise, units
from lumpability.cli.options import (
    Read,
    Write,
    debug_option,
    file_argument,
    initial_option,
    json_option,
    kind_option,
    names,
    reading_options,
    respect_option,
    writing_options,
)
from lumpability.cli.partition_file import write_partition
from lumpability.dispatch import lump
from lumpability.files import writing
from lumpability.networks import Network
from lumpability.refinement import ENGINES
from lumpability.show.text import Table

__all__ = ["lump_command", "shrink_command"]

_EXAMPLES = """\b
Examples:
  lumpability lump chain.drn.gz -o small.drn
  lumpability lump chain.npz --kind bisimulation --ignore deadlock --json
  lumpability lump chain.tra --respect up,reward:cost --partition blocks.json
  lumpability lump chain.drn --html play.html
  lumpability lump net.onnx -o small.onnx --compare 1000 --report report.json
"""
_TOLD = ("box", "compare")


def _box(
    ctx: click.Context, parameter: click.Parameter, value: tuple[float, float] | None
) -> tuple[float, float] | None:
    if value is not None and not -math.inf < value[0] <= value[1] < math.inf:
        raise click.BadParameter("give two finite numbers, the smaller first")
    return value


@click.command("lump", epilog=_EXAMPLES)
@file_argument("model")
@kind_option
@respect_option
@click.option(
    "--ignore",
    metavar="NAMES",
    multiple=True,
    callback=names,
    help="Chains: labels and rewards, by name, not to respect.",
)
@initial_option
@click.option(
    "--engine",
    type=click.Choice(["auto", *ENGINES]),
    help="Chains: implementation of the refinement; the answer is the same.  [default: auto]",
)
@click.option(
    "--antiparallel",
    is_flag=True,
    default=None,
    help="Networks: merge neurons of opposite sign too, with a skip past the activation, where that "
    "leaves fewer parameters.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32", "float64"]),
    help="Networks: type of the new weights.  [default: as stored]",
)
@click.option(
    "--strict",
    is_flag=True,
    default=None,
    help="Networks: refuse if that type cannot hold a new weight, rather than round it.",
)
@click.option(
    "--compare",
    type=click.IntRange(min=1),
    metavar="N",
    help="Networks: run both at N random points in onnxruntime and tell the largest difference.",
)
@click.option(
    "--box",
    type=float,
    nargs=2,
    metavar="LOW HIGH",
    callback=_box,
    help="Networks: range of the inputs for which the effect of rounding is bounded.  [default: -1 1]",
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
    "--html",
    "page",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page that plays the lumping step by step in a browser; one file, loads nothing.",
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a proof that others can check: .json or .json.gz, for the command verify.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what --json prints to a file.",
)
@reading_options
@writing_options
@json_option
@debug_option
def lump_command(
    *,
    model: Path,
    kind: str | None,
    output: Path | None,
    partition_output: Path | None,
    certificate: Path | None,
    page: Path | None,
    report: Path | None,
    read: Read,
    write: Write,
    as_json: bool,
    **options: Any,
) -> None:
    """Compute the coarsest lumping of MODEL, a Markov chain or a neural network.

    The coarsest lumping of its kind is unique and found exactly: states share a block unless what must
    be respected, or the rates into blocks, tell them apart. Neurons are merged if they are proportional,
    and removed if they are constant or dead; the lumped network computes the same function.
    """
    given = {name: value for name, value in options.items() if value is not None}
    with Stages() as stages:
        with stages("reading", model.name):
            loaded = read(model)
            asked = arguments(loaded, kind, given, stages.progress)
        with stages("lumping"):
            lumping = lump(loaded, kind=kind, **asked)
        with stages("reporting"):
            told = {name: given[name] for name in _TOLD if name in given}
            summary, described = summarise(lumping, **told), describe(loaded)
        with stages("writing"):
            if output is not None:
                write(lumping.quotient, output)
            if partition_output is not None:
                write_partition(lumping.partition, partition_output, units(loaded))
            if certificate is not None:
                lumping.certificate().write(certificate)
            if page is not None:
                lumping.player(title=model.name).write(page)
    written = {
        "quotient": output,
        "partition": partition_output,
        "html": page,
        "certificate": certificate,
        "report": report,
    }
    if as_json or report is not None:
        text = document(
            str(click.get_current_context().info_name),
            path=str(model),
            model=described.data,
            lumping=summary.data,
            written={name: None if path is None else str(path) for name, path in written.items()},
            seconds=stages.seconds,
        )
    if report is not None:
        with writing(report) as file:
            file.write(f"{text}\n".encode())
    if as_json:
        click.echo(text)
        return
    files = [("read", f"{model}  ({stages.seconds['reading']:.2f} s)")]
    files += [("written", str(path)) for path in written.values() if path is not None]
    show(*summary.tables, Table("files", tuple(files)))
    if output is None:
        suffix = "onnx" if isinstance(loaded, Network) else "drn"
        tell(f"write the lumped model with -o, for example -o small.{suffix}", sort="Hint")


shrink_command = click.Command(
    "shrink",
    params=lump_command.params,
    callback=lump_command.callback,
    help="""The same as lump, for networks that were masked or pruned.

    Rows and channels that were set to zero really go, with whatever depended on them alone: arrays
    become smaller and the function stays the same.""",
    epilog="Example: lumpability shrink pruned.onnx -o small.onnx",
)

"""`lumpability lump`: the coarsest lumping of a model in a file; `shrink` is its other name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from lumpability.cli import options
from lumpability.cli.console import Stages, deliver
from lumpability.cli.failures import tell
from lumpability.cli.models import describe, layer_options, lumped, summarise, units
from lumpability.cli.networks import BOX
from lumpability.cli.partition_file import write_partition
from lumpability.cli.tables import lump_table_file, refuse_table_options, table_options
from lumpability.cli.weights import is_streamed, lump_weights_file
from lumpability.files import together
from lumpability.formats.interval_drn import write_interval_drn
from lumpability.markov.approximate import ApproximateLumping
from lumpability.tables.reading import is_table

_EXAMPLES = """\b
Examples:
  lumpability lump chain.drn.gz -o small.drn
  lumpability lump chain.npz --kind bisimulation --ignore deadlock --json
  lumpability lump chain.tra --respect up,reward:cost --partition blocks.json
  lumpability lump chain.drn --html play.html
  lumpability lump measured.drn --tolerance 1% -o small.drn --interval intervals.drn
  lumpability lump dice.drn --horizon 10 --partition blocks.json
  lumpability lump net.onnx -o small.onnx --compare 1000 --report report.json
  lumpability lump edges.parquet --states states.parquet --memory 4GB -o blocks.parquet
"""


def _box(
    ctx: click.Context, parameter: click.Parameter, value: tuple[float, float] | None
) -> tuple[float, float] | None:
    if value is not None and not -math.inf < value[0] <= value[1] < math.inf:
        raise click.BadParameter("give two finite numbers, the smaller first")
    return value


@click.command("lump", epilog=_EXAMPLES)
@options.file_argument("model")
@options.lumping
@options.tolerance
@options.reward_tolerance
@options.horizon
@click.option(
    "--compare",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="not run",
    help="Networks: run both at N random points in onnxruntime and report the largest difference.",
)
@click.option(
    "--time",
    is_flag=True,
    default=None,
    help="Networks: measure how long one run takes in onnxruntime, before and after.",
)
@click.option(
    "--range",
    "inputs",
    type=float,
    nargs=2,
    metavar="LOW HIGH",
    callback=_box,
    show_default="{:g} {:g}".format(*BOX),
    help="Networks: range of the inputs for which the effect of rounding is bounded.",
)
@options.file_option(
    "-o", "--output", metavar="OUT", about="Write the lumped model; the suffix chooses the format."
)
@options.file_option(
    "--partition",
    about="Write the partition: blocks of states (.json), a table of states and blocks (.csv), or block "
    "numbers, one on each line.",
)
@options.file_option(
    "--html",
    about="Write a page that plays the lumping step by step in a browser; one file, loads nothing.",
)
@options.file_option(
    "--certificate",
    about="Write a proof that others can check: .json or .json.gz, for the command verify.",
)
@options.file_option(
    "--interval",
    about="With --tolerance: write the interval chain on blocks, for Storm: .drn or .drn.gz.",
)
@options.file_option("--report", about="Write what --json prints to a file.")
@options.reading
@options.writing
@table_options("states", "table", "memory", "temp", "resume", "quotient")
@options.as_json
@options.debug
@together()
def lump_command(
    *,
    model: Path,
    compare: int | None,
    time: bool | None,
    inputs: tuple[float, float] | None,
    output: Path | None,
    partition: Path | None,
    certificate: Path | None,
    html: Path | None,
    interval: Path | None,
    report: Path | None,
    read: options.Read,
    write: options.Write,
    as_json: bool,
    tables: dict[str, Any],
    **asked: Any,
) -> None:
    """Compute the coarsest lumping of MODEL, a chain or a network.

    The coarsest lumping of a kind is unique, and it is found exactly. States share a block unless labels,
    rewards or the rates into blocks tell them apart. Neurons are merged if they are proportional, and
    removed if they are constant or dead; the lumped network computes the same function.

    With --tolerance, states of a chain are merged whose rates nearly agree. The lumped model then has the means
    of the rates, and --interval writes their least and largest values.

    With --horizon, states of a chain share a block unless so many steps can tell them apart.

    An edge table (.parquet, .csv, .duckdb, or a folder of Parquet files) with the columns source, target and
    rate may be larger than memory; so may a .safetensors with gated layers, gate_proj, up_proj and down_proj, whose
    equal units are merged.
    """
    if is_table(model):
        others = {"compare": compare, "range": inputs, "html": html, "partition": partition}
        others |= {"certificate": certificate, "interval": interval}
        lump_table_file(
            model,
            asked={**asked, **others, **tables},
            read=read,
            write=write,
            output=output,
            report=report,
            as_json=as_json,
        )
        return
    refuse_table_options(tables, model)
    if is_streamed(model, read):
        others = {"compare": compare, "time": time, "range": inputs, "html": html}
        others |= {"certificate": certificate, "interval": interval, "partition": partition}
        lump_weights_file(
            model,
            asked={**asked, **others},
            read=read,
            output=output,
            report=report,
            as_json=as_json,
        )
        return
    told = {
        name: value
        for name, value in (("compare", compare), ("box", inputs), ("time", time))
        if value is not None
    }
    options_told = {"range" if name == "box" else name for name in told}
    written = {
        "quotient": output,
        "partition": partition,
        "html": html,
        "certificate": certificate,
        "interval": interval,
        "report": report,
    }
    _refuse_outputs(asked, interval, output=output, html=html, certificate=certificate)
    with Stages() as stages:
        with stages("reading", model.name):
            loaded = read(model)
        with stages("lumping"):
            alone = html is not None or (partition is not None and asked.get("region") is not None)
            lumping = lumped(loaded, asked, stages, for_networks=options_told, layers=alone)
        with stages("reporting"):
            summary = summarise(lumping, **told)
            described = describe(loaded, *layer_options(asked))
        with stages("writing"):
            if certificate is not None:  # first, because it may be refused
                lumping.certificate().write(certificate)
            if output is not None:
                write(lumping.quotient, output)
            if partition is not None:
                named = loaded if loaded.domain == "chain" else lumping.network
                write_partition(lumping.partition, partition, units(named))
            if interval is not None and isinstance(lumping, ApproximateLumping):
                write_interval_drn(lumping.interval, interval, nominal=lumping.quotient)
            if html is not None:
                lumping.player(title=model.name).write(html)
    deliver(
        str(click.get_current_context().info_name),
        model,
        model=described.data,
        lumping=summary.data,
        written=written,
        tables=summary.tables,
        seconds=stages.seconds,
        as_json=as_json,
    )
    if not as_json and output is None and asked.get("horizon") is None:
        suffix = "drn" if loaded.domain == "chain" else "onnx"
        tell(f"write the lumped model with -o, for example -o small.{suffix}", sort="Hint")


def _refuse_outputs(
    asked: dict[str, Any], interval: Path | None, *, output: Path | None, **proofs: Path | None
) -> None:
    """Refuse outputs that a lumping with a tolerance or a horizon, or without one, does not have."""
    if asked.get("tolerance") is None and interval is not None:
        raise click.UsageError("--interval is for a lumping with --tolerance")
    for option, lacking in (("tolerance", proofs), ("horizon", {"output": output, **proofs})):
        for name, path in lacking.items():
            if asked.get(option) is not None and path is not None:
                raise click.UsageError(f"--{name} is for a lumping without --{option}")


shrink_command = click.Command(
    "shrink",
    params=lump_command.params,
    callback=lump_command.callback,
    help="""The same as lump, for networks that were masked or pruned.

    Rows and channels that were set to zero are removed, with everything that depends on them alone: arrays
    become smaller, and the function stays the same.""",
    epilog="Example: lumpability shrink pruned.onnx -o small.onnx",
    hidden=True,
)

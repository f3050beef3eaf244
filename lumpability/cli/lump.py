"""`lumpability lump`: the coarsest lumping of a model in a file; `shrink` is its other name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from lumpability.cli import options
from lumpability.cli.command import Outcome, command
from lumpability.cli.console import Stages
from lumpability.cli.failures import dashed
from lumpability.cli.models import describe, layer_options, lumped, summarise, units
from lumpability.cli.networks import BOX
from lumpability.cli.partition_file import write_partition
from lumpability.cli.tables import lump_table_file, refuse_table_options, table_options
from lumpability.cli.weights import is_streamed, lump_weights_file
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


@command("lump", examples=_EXAMPLES)
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
@options.certificate
@options.file_option(
    "--interval",
    about="With --tolerance: write the interval chain on blocks, for Storm: .drn or .drn.gz.",
)
@options.file_option("--report", about="Write what --json prints to a file.")
@options.reading
@options.writing
@table_options("states", "table", "memory", "temp", "resume", "quotient")
def lump_command(
    stages: Stages,
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
    tables: dict[str, Any],
    **asked: Any,
) -> Outcome:
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
    for_networks = {"compare": compare, "range": inputs, "time": time}
    written = {
        "quotient": output,
        "partition": partition,
        "html": html,
        "certificate": certificate,
        "interval": interval,
        "report": report,
    }
    if is_table(model) or is_streamed(model, read):
        others = {
            name: path for name, path in written.items() if name not in ("quotient", "report")
        }
        given = {**asked, **for_networks, **others}
        if is_table(model):
            given |= tables
            return lump_table_file(
                stages, model, given, read=read, write=write, output=output, report=report
            )
        refuse_table_options(tables, model)
        return lump_weights_file(stages, model, given, read=read, output=output, report=report)
    refuse_table_options(tables, model)
    _refuse_outputs(asked, interval, output=output, html=html, certificate=certificate)
    with stages("reading", model.name):
        loaded = read(model)
    with stages("lumping"):
        alone = html is not None or (partition is not None and asked.get("region") is not None)
        told = {name: value for name, value in for_networks.items() if value is not None}
        lumping = lumped(loaded, asked, stages, for_networks=told, layers=alone)
    with stages("reporting"):
        summary = summarise(
            lumping, **{"inputs" if name == "range" else name: x for name, x in told.items()}
        )
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
    suffix = "drn" if loaded.domain == "chain" else "onnx"
    hint = f"Hint: write the lumped model with -o, for example -o small.{suffix}"
    return Outcome(
        lambda: {"path": str(model), "model": described.data, "lumping": summary.data},
        summary.tables,
        read=model,
        written=written,
        hint=hint if output is None and asked["horizon"] is None else "",
    )


def _refuse_outputs(
    asked: dict[str, Any], interval: Path | None, *, output: Path | None, **proofs: Path | None
) -> None:
    """Refuse outputs that a lumping with a tolerance or a horizon, or without one, does not have."""
    if asked["tolerance"] is None and interval is not None:
        raise click.UsageError("--interval is for a lumping with --tolerance")
    for option, lacking in (("tolerance", proofs), ("horizon", {"output": output, **proofs})):
        for name, path in lacking.items():
            if asked[option] is not None and path is not None:
                raise click.UsageError(f"{dashed(name)} is for a lumping without {dashed(option)}")


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

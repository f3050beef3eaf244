"""`lumpability relax`: fewer units than an exact lumping leaves, for a difference that is proved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability import formats
from lumpability.cli import options
from lumpability.cli.command import Outcome, command
from lumpability.cli.console import Stages
from lumpability.cli.models import describe, summarise
from lumpability.cli.regions import read_region
from lumpability.errors import InvalidInput
from lumpability.show.text import Table

_EXAMPLES = """\b
Examples:
  lumpability relax net.onnx --box digit.vnnlib --tolerance 0.01 -o small.onnx
  lumpability relax net.onnx --box box.json --units 40 --certificate proof.json
  lumpability relax widened.onnx --tolerance 0.05
"""
_SHOWN = 20


@command("relax", examples=_EXAMPLES)
@options.file_argument("model")
@options.region
@click.option(
    "--tolerance",
    metavar="T",
    show_default="none",
    help="The largest difference of an output; without --region a multiple of max(1, |x|).",
)
@click.option(
    "--units",
    type=click.IntRange(min=0),
    metavar="N",
    show_default="none",
    help="Instead of --tolerance: the largest number of hidden units that may be left.",
)
@click.option(
    "--by",
    type=click.Choice(["both", "constants", "classes"]),
    default="both",
    show_default=True,
    help="Whether neurons become constants, multiples of others, or what costs less.",
)
@options.dtype
@options.file_option(
    "-o",
    "--output",
    metavar="OUT",
    about="Write the smaller network; the suffix chooses the format.",
)
@options.certificate
@options.file_option("--plot", about="Draw units left against bounds: .pdf, .png or .svg.")
def relax_command(
    stages: Stages,
    *,
    model: Path,
    region: Path | None,
    output: Path | None,
    certificate: Path | None,
    plot: Path | None,
    **asked: Any,
) -> Outcome:
    """Reduce a network further than exactly, and prove the cost.

    Neurons become constants, in the middle of their range, or multiples of other neurons. The bound of the
    difference is derived in exact arithmetic and holds for every input of the region, in real arithmetic
    with the stored weights.
    """
    if (asked["tolerance"] is None) == (asked["units"] is None):
        raise click.UsageError("give either --tolerance or --units")
    with stages("reading", model.name):
        loaded: Any = formats.read(model)
        if loaded.domain != "network":
            raise InvalidInput(f"relax is for networks that are chains of layers; {model} is not")
        box = read_region(region)
    with stages("relaxing"):
        from lumpability.networks.relaxed.relaxation import relax

        relaxed: Any = relax(loaded, region=box, **asked, progress=stages.progress)
    with stages("writing"):
        if certificate is not None:
            relaxed.certificate().write(certificate)
        if output is not None:
            formats.write(relaxed.quotient, output)
        if plot is not None:
            from lumpability.show.plots import relaxation_curve, save

            save(relaxation_curve(relaxed), plot)
    summary = summarise(relaxed)
    points = tuple((f"{point.units:,}", f"{point.bound:.3g}") for point in relaxed.curve)
    curve = Table(
        "units left and bounds (in floats)", points, ("units", "bound"), frozenset({0, 1})
    )
    done = tuple((str(change),) for change in relaxed.changes[:_SHOWN])
    name = "dearest changes" if len(relaxed.changes) > _SHOWN else "changes"
    changes = Table(
        f"{name}, {len(relaxed.changes)} in all", done, ("neuron, and what it costs alone",)
    )
    write = "Hint: write the smaller network with -o, for example -o small.onnx"
    return Outcome(
        lambda: {
            "path": str(model),
            "model": describe(loaded).data,
            "lumping": summary.data,
        },
        [*summary.tables, curve, *([changes] if done else [])],
        written={"quotient": output, "certificate": certificate, "plot": plot},
        hint=write if output is None else "",
    )

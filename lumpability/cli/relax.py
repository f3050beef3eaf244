"""`lumpability relax`: fewer units than an exact lumping leaves, for a difference that is proved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability import formats
from lumpability.cli import options
from lumpability.cli.console import Stages, show, show_json
from lumpability.cli.failures import tell
from lumpability.cli.models import describe, summarise
from lumpability.cli.regions import read_region
from lumpability.errors import InvalidInput
from lumpability.files import together
from lumpability.show.text import Table

_EXAMPLES = """\b
Examples:
  lumpability relax net.onnx --box digit.vnnlib --tolerance 0.01 -o small.onnx
  lumpability relax net.onnx --box box.json --units 40 --certificate proof.json
  lumpability relax widened.onnx --tolerance 0.05
"""
_SHOWN = 20


@click.command("relax", epilog=_EXAMPLES)
@options.file_argument("model")
@options.file_option(
    "--region",
    "--box",
    default="all inputs",
    about="The box of inputs for which the bound holds: a .vnnlib file, or JSON with the lists low and high.",
)
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
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32", "float64"]),
    show_default="as stored",
    help="Type of the new weights.",
)
@options.file_option(
    "-o",
    "--output",
    metavar="OUT",
    about="Write the smaller network; the suffix chooses the format.",
)
@options.file_option("--certificate", about="Write a proof of the bound, for the command verify.")
@options.file_option("--plot", about="Draw units left against bounds: .pdf, .png or .svg.")
@options.as_json
@options.debug
@together()
def relax_command(
    *,
    model: Path,
    region: Path | None,
    output: Path | None,
    certificate: Path | None,
    plot: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Reduce a network further than exactly, and prove the cost.

    Neurons become constants, in the middle of their range, or multiples of other neurons. The bound of the
    difference is derived in exact arithmetic and holds for every input of the region, in real arithmetic
    with the stored weights.
    """
    if (asked["tolerance"] is None) == (asked["units"] is None):
        raise click.UsageError("give either --tolerance or --units")
    with Stages() as stages:
        with stages("reading", model.name):
            loaded: Any = formats.read(model)
            if loaded.domain != "network":
                raise InvalidInput(
                    f"relax is for networks that are chains of layers; {model} is not"
                )
            box = read_region(region)
        with stages("relaxing"):
            from lumpability.networks.relaxed.relaxation import relax

            relaxed = relax(loaded, region=box, **asked, progress=stages.progress)
        with stages("writing"):
            if certificate is not None:
                relaxed.certificate().write(certificate)
            if output is not None:
                formats.write(relaxed.quotient, output)
            if plot is not None:
                from lumpability.show.plots import relaxation_curve, save

                save(relaxation_curve(relaxed), plot)
    summary = summarise(relaxed)
    written = {"quotient": output, "certificate": certificate, "plot": plot}
    if as_json:
        show_json(
            "relax",
            path=str(model),
            model=describe(loaded).data,
            lumping=summary.data,
            written={name: None if path is None else str(path) for name, path in written.items()},
            seconds=stages.seconds,
        )
        return
    points = tuple((f"{point.units:,}", f"{point.bound:.3g}") for point in relaxed.curve)
    curve = Table(
        "units left and bounds (in floats)", points, ("units", "bound"), frozenset({0, 1})
    )
    done = tuple((str(change),) for change in relaxed.changes[:_SHOWN])
    more = len(relaxed.changes) - _SHOWN
    name = "dearest changes" if more > 0 else "changes"
    changes = Table(
        f"{name}, {len(relaxed.changes)} in all", done, ("neuron, and what it costs alone",)
    )
    show(*summary.tables, curve, *([changes] if done else []))
    if output is None:
        tell("write the smaller network with -o, for example -o small.onnx", sort="Hint")

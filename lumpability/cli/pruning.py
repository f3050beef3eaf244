"""`lumpability explain-pruning`: what a pruning method did to a network, and how far its outputs can move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability import formats
from lumpability.cli import options
from lumpability.cli.console import Stages, show_json
from lumpability.files import writing
from lumpability.networks.regions import Box
from lumpability.show.text import printable

__all__ = ["explain_pruning_command"]

_EXAMPLES = """\b
Examples:
  lumpability explain-pruning net.onnx pruned.onnx --box box.json
  lumpability explain-pruning net.onnx int8.onnx --html what.html
"""


@click.command("explain-pruning", epilog=_EXAMPLES)
@options.file_argument("original")
@options.file_argument("smaller")
@options.file_option(
    "--region",
    "--box",
    default="all inputs",
    about="The box of inputs for which the bound holds: a .vnnlib file, or JSON with the lists low and high.",
)
@click.option("--brief", is_flag=True, help="Print layers only, not every neuron.")
@options.file_option("--certificate", about="Write a proof of the bound, for the command verify.")
@options.file_option("--html", about="Also write the explanation to a small page.")
@options.as_json
@options.debug
def explain_pruning_command(
    *,
    original: Path,
    smaller: Path,
    region: Path | None,
    brief: bool,
    certificate: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Say what was done to ORIGINAL to get SMALLER, neuron by neuron, and certify the difference.

    Neurons are kept, rescaled, merged with others, made constant or dropped; weights are set to zero, rounded,
    quantised or of lower rank. Whatever it was, the difference of the outputs is bounded for every input of the
    region, and the bound is derived in exact arithmetic.
    """
    with Stages() as stages:
        with stages("reading", f"{original.name}, {smaller.name}"):
            networks: list[Any] = [formats.read(path) for path in (original, smaller)]
            box = None if region is None else Box.read(region)
        with stages("explaining"):
            from lumpability.networks.relaxed.explain import explain_pruning

            found = explain_pruning(networks[0], networks[1], region=box)
        with stages("writing"):
            if certificate is not None:
                found.certificate.write(certificate)
            if html is not None:
                with writing(html) as file:
                    file.write(found.to_html().encode())
    if as_json:
        written = {"certificate": certificate, "html": html}
        show_json(
            "explain-pruning",
            original=str(original),
            smaller=str(smaller),
            explanation=found.to_json(),
            written={name: None if path is None else str(path) for name, path in written.items()},
            seconds=stages.seconds,
        )
        return
    lines = str(found).splitlines() if not brief else [found.meaning, *map(str, found.layers)]
    click.echo("\n".join(map(printable, lines)))

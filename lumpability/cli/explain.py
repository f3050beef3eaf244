"""`lumpability explain`: why two states share a block of the coarsest lumping, or why they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability.cli import options
from lumpability.cli.console import Stages, show_json
from lumpability.cli.models import describe, lumped, subject
from lumpability.files import writing
from lumpability.show.text import printable

_EXAMPLES = """\b
Examples:
  lumpability explain chain.drn.gz 17 42
  lumpability explain chain.npz 17 42 --kind exact --json
  lumpability explain chain.json up down --html reason.html
  lumpability explain net.onnx 0:3 0:8
"""


@click.command("explain", epilog=_EXAMPLES)
@options.file_argument("model")
@click.argument("state")
@click.argument("other")
@options.lumping
@options.file_option("--html", about="Also write the explanation to a small page.")
@options.reading
@options.as_json
@options.debug
def explain_command(
    *,
    model: Path,
    state: str,
    other: str,
    html: Path | None,
    read: options.Read,
    as_json: bool,
    **asked: Any,
) -> None:
    """Say why STATE and OTHER share a block of the coarsest lumping of MODEL, or why they do not.

    States of a chain are given by name or number. For two states in one block the command prints their
    sums into every block, which are equal. For two others it prints the shortest chain of splits that
    separates them, down to a label, a reward or another respected property, and a formula that holds in
    STATE and not in OTHER.

    For a network STATE and OTHER are neurons: 2:17 is neuron (or channel) 17 of layer 2; for graphs conv:17
    is that of the node that writes conv, as info names it.
    """
    with Stages() as stages:
        with stages("reading", model.name):
            loaded = subject(read(model), *asked.values())
        with stages("lumping"):
            lumping = lumped(loaded, asked, stages, layers=loaded.domain == "network")
        with stages("explaining"):
            explanation = lumping.explain(state, other)
            text = str(explanation)
        if html is not None:
            with stages("writing"), writing(html) as file:
                file.write(explanation.to_html().encode("utf-8", errors="backslashreplace"))
    if as_json:
        show_json(
            "explain",
            path=str(model),
            model=describe(loaded).data,
            explanation=explanation.to_json(),
            written={"html": None if html is None else str(html)},
            seconds=stages.seconds,
        )
    else:
        click.echo("\n".join(map(printable, text.splitlines())))

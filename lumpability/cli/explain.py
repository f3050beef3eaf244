"""`lumpability explain`: why two states share a block or do not, or what was done to a network to get another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability.cli import options
from lumpability.cli.console import Stages, show_json
from lumpability.cli.models import describe, lumped, subject
from lumpability.cli.pruning import tell_pruning
from lumpability.files import writing
from lumpability.show.text import printable

_EXAMPLES = """\b
Examples:
  lumpability explain chain.drn.gz 17 42
  lumpability explain chain.npz 17 42 --kind exact --json
  lumpability explain chain.json up down --html reason.html
  lumpability explain net.onnx 0:3 0:8
  lumpability explain net.onnx pruned.onnx --box digit.vnnlib
"""


@click.command("explain", epilog=_EXAMPLES)
@options.file_argument("model")
@click.argument("state")
@click.argument("other", required=False)
@options.lumping
@click.option("--brief", is_flag=True, help="Two networks: print layers only, not every neuron.")
@options.file_option(
    "--certificate", about="Two networks: write a proof of the bound, for the command verify."
)
@options.file_option("--html", about="Also write the explanation to a small page.")
@options.reading
@options.as_json
@options.debug
def explain_command(
    *,
    model: Path,
    state: str,
    other: str | None,
    brief: bool,
    certificate: Path | None,
    html: Path | None,
    read: options.Read,
    as_json: bool,
    **asked: Any,
) -> None:
    """Say why STATE and OTHER share a block of the coarsest lumping of MODEL, or why they do not.

    With two files of networks, lumpability explain ORIGINAL SMALLER, say what was done to ORIGINAL to get
    SMALLER. Neurons are kept, rescaled, merged with others, made constant or dropped; weights are set to zero,
    rounded, quantised or of lower rank. The difference of the outputs is bounded for every input of the region,
    and the bound is derived in exact arithmetic.

    States of a chain are given by name or number. For two states in one block the command prints their
    sums into every block, which are equal. For two others it prints the shortest chain of splits that
    separates them, down to a label, a reward or another respected property, and a formula that holds in
    STATE and not in OTHER.

    For a network STATE and OTHER are neurons: 2:17 is neuron (or channel) 17 of layer 2; for graphs conv:17
    is that of the node that writes conv, as info names it.
    """
    if other is None:
        if not Path(state).is_file():
            raise click.UsageError(
                f"{state} is no file: give two states or neurons of one model, or the files of two networks"
            )
        region = asked.pop("region", None)
        for name, value in asked.items():
            if value:
                raise click.UsageError(f"--{name.replace('_', '-')} is not for two networks")
        tell_pruning(
            model,
            Path(state),
            region=region,
            brief=brief,
            certificate=certificate,
            html=html,
            as_json=as_json,
        )
        return
    for option, given in (("--brief", brief), ("--certificate", certificate)):
        if given:
            raise click.UsageError(f"{option} is for two networks, not for two states of one model")
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

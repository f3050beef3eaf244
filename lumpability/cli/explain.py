"""`lumpability explain`: why two states share a block or do not, or what was done to a network to get another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability.cli import options
from lumpability.cli.failures import dashed
from lumpability.cli.pruning import tell_pruning
from lumpability.cli.separation import tell_states

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
    """Say why STATE and OTHER share a block, or why they do not.

    The blocks are those of the coarsest lumping of MODEL.

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
    two_networks = {"brief": brief, "certificate": certificate}
    if other is not None:
        _refuse(two_networks, "two networks, not for two states of one model")
        tell_states(model, state, other, asked=asked, read=read, html=html, as_json=as_json)
        return
    if not Path(state).is_file():
        raise click.UsageError(
            f"{state} is no file: give two states or neurons of one model, or the files of two networks"
        )
    region = asked.pop("region", None)
    _refuse(asked, "two states of one model, not for two networks")
    written = {"html": html, "certificate": certificate}
    tell_pruning(model, Path(state), region=region, brief=brief, as_json=as_json, written=written)


def _refuse(given: dict[str, Any], users: str) -> None:
    """Refuse options of the other question."""
    for name, value in given.items():
        if value:
            raise click.UsageError(f"{dashed(name)} is for {users}")

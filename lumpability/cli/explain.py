"""`lumpability explain`: why two states share a block or do not, or what was done to a network to get another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability import formats
from lumpability.cli import options
from lumpability.cli.command import Outcome, command
from lumpability.cli.console import Stages
from lumpability.cli.failures import dashed
from lumpability.cli.models import describe, layer_options, lumped, subject
from lumpability.cli.regions import read_region
from lumpability.files import writing

_EXAMPLES = """\b
Examples:
  lumpability explain chain.drn.gz 17 42
  lumpability explain chain.npz 17 42 --kind exact --json
  lumpability explain chain.json up down --html reason.html
  lumpability explain net.onnx 0:3 0:8
  lumpability explain net.onnx pruned.onnx --box digit.vnnlib
"""


@command("explain", examples=_EXAMPLES)
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
def explain_command(
    stages: Stages,
    *,
    model: Path,
    state: str,
    other: str | None,
    brief: bool,
    certificate: Path | None,
    html: Path | None,
    read: options.Read,
    **asked: Any,
) -> Outcome:
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
    if other is None:
        found, about = _two_networks(stages, model, state, asked)
        text = "\n".join([found.meaning, *map(str, found.layers)]) if brief else str(found)
    else:
        two_networks = {"brief": brief, "certificate": certificate}
        _refuse(two_networks, "two networks, not for two states of one model")
        found, about = _two_states(stages, read, model, (state, other), asked)
        text = str(found)
    with stages("writing"):
        if certificate is not None:
            found.certificate.write(certificate)
        if html is not None:
            with writing(html) as file:
                file.write(found.to_html().encode("utf-8", errors="backslashreplace"))
    return Outcome(
        lambda: {**about, "explanation": found.to_json()},
        text=text,
        written={"html": html, "certificate": certificate},
    )


def _two_states(
    stages: Stages, read: options.Read, model: Path, pair: tuple[str, str], asked: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Explain two states or neurons of one model."""
    with stages("reading", model.name):
        loaded = subject(read(model), *layer_options(asked))
    with stages("lumping"):
        lumping = lumped(loaded, asked, stages, layers=loaded.domain == "network")
    with stages("explaining"):
        found = lumping.explain(*pair)
    described = describe(loaded, *layer_options(asked)).data
    return found, {"path": str(model), "model": described}


def _two_networks(
    stages: Stages, original: Path, smaller: str, asked: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Explain what was done to a network to get another one."""
    if not Path(smaller).is_file():
        raise click.UsageError(
            f"{smaller} is no file: give two states or neurons of one model, or the files of two networks"
        )
    region = asked.pop("region", None)
    _refuse(asked, "two states of one model, not for two networks")
    with stages("reading", f"{original.name}, {Path(smaller).name}"):
        networks: list[Any] = [formats.read(path) for path in (original, smaller)]
        box = read_region(region)
    with stages("explaining"):
        from lumpability.networks.relaxed.explain import explain_pruning

        found = explain_pruning(*networks, region=box)
    return found, {"original": str(original), "smaller": smaller}


def _refuse(given: dict[str, Any], users: str) -> None:
    """Refuse options of the other question."""
    for name, value in given.items():
        if value:
            raise click.UsageError(f"{dashed(name)} is for {users}")

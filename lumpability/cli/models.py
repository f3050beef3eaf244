"""The functions of the commands for both sorts of models: read partitions, lump, report.

`lumpability.cli.chains` and `lumpability.cli.networks` have the same functions for their models; the `domain` of
a model chooses between them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from lumpability.cli import chains, graphs, networks, regions
from lumpability.cli.console import Stages
from lumpability.cli.failures import dashed
from lumpability.cli.partition_file import read_partition
from lumpability.cli.report import Report
from lumpability.dispatch import lump
from lumpability.errors import InvalidInput
from lumpability.markov import Lumping
from lumpability.markov.attributes import States
from lumpability.networks import NetworkLumping
from lumpability.networks.graph.source import graph_of
from lumpability.partition import Partition
from lumpability.quotient import Verdict
from lumpability.show.text import Table
from lumpability.vocabulary import count

if TYPE_CHECKING:
    from lumpability.networks.graph.reduce import GraphLumping
    from lumpability.networks.relaxed.lumping import RegionLumping

_WINGS: dict[str, Any] = {
    "chain": chains,
    "network": networks,
    "graph": graphs,
    "region": regions,
}


def subject(model: Any, *options: Any) -> Any:
    """Return the graph that a network was read from if the verbs work on it; with an option for layers, the layers."""
    if model.domain != "network" or any(option is not None for option in options):
        return model
    source = graph_of(model)
    return model if source is None else source


def layer_options(options: Mapping[str, Any]) -> list[Any]:
    """Return the values of the options of `lump` that only layers have, None for one that was not given."""
    return [options.get(name) for name in ("kind", "within", "dtype", "antiparallel", "engine")]


def describe(model: Any, *options: Any) -> Report:
    """Report the sizes of a model, its labels, and how its numbers were read.

    A network that `lump` reduces as the graph that it was read from is described as that graph, without an option for
    layers.
    """
    shown = subject(model, *options)
    report: Report = _WINGS[shown.domain].describe(shown)
    return report


def units(model: Any) -> States:
    """Return the names of the states or neurons, as partition files use them."""
    names: States = _WINGS[model.domain].units(model)
    return names


def summarise(
    lumping: Lumping | NetworkLumping | GraphLumping | RegionLumping, **asked: Any
) -> Report:
    """Report the sizes of a lumping, its proof, and everything else that was requested."""
    domain = getattr(type(lumping), "domain", None) or lumping.quotient.domain
    report: Report = _WINGS[domain].summarise(lumping, **asked)
    return report


def judge(model: Any, partition: Partition, verdict: Verdict) -> Report:
    """Report whether a partition is a lumping, with the witness if it is not."""
    wing = _WINGS[model.domain]
    data = {
        "kind": verdict.kind,
        "lumpable": bool(verdict),
        "blocks": len(partition),
        "text": verdict.text,
        **wing.evidence(model, partition, verdict),
    }
    rows = [
        ("verdict", "yes" if verdict else "no"),
        ("partition", f"{count(partition.n, wing.UNIT)} in {count(len(partition), 'block')}"),
        ("proof" if verdict else "because", verdict.text.partition(": ")[2]),
    ]
    if data.get("mixed"):
        rows.append(("mixed", f"{', '.join(data['mixed'])}: not constant on blocks"))
    title = f"{type(model).__name__}: is the partition a lumping ({verdict.kind})?"
    return Report(data, (Table(title, tuple(rows)),))


def lumped(
    model: Any,
    options: dict[str, Any],
    stages: Stages,
    *,
    for_networks: Collection[str] = (),
    layers: bool = False,
) -> Lumping | NetworkLumping:
    """Lump a model with the options that were given on the command line.

    Raises `click.UsageError` if an option is not for this class of model.

    - options: options of `lump`, None where one was not given; ``within`` is the path of a partition file
    - stages: shows the progress
    - for_networks: options of the command that only networks have
    - layers: whether the caller needs a lumping of layers, and not the reduction of a graph
    """
    given = {name: value for name, value in options.items() if value is not None}
    if "within" in given:
        given["within"] = read_partition(given["within"], units(model))
    if "region" in given:
        if layers:
            raise click.UsageError("this needs a lumping for all inputs: leave --region out")
        given["region"] = regions.read_region(given["region"])
    if layers and subject(model, *layer_options(given)).domain == "graph":
        raise InvalidInput(
            "a page, and a proof to read, show layers, and lump reduces this network as a graph: leave it out"
            + (
                ", or give --kind proportional for the layers alone"
                if model.domain == "network"
                else ""
            )
        )
    if model.domain == "chain":
        given |= dict.fromkeys(for_networks)  # `lump` refuses them, and names the existing options
    with options_of(model):
        lumping: Lumping | NetworkLumping = lump(model, **given, progress=stages.progress)
    return lumping


@contextmanager
def options_of(model: Any) -> Iterator[None]:
    """Turn the error for an option that a verb does not have for a model into a usage error."""
    try:
        yield
    except InvalidInput as error:
        if "option" not in error.evidence:
            raise
        known = [dashed(name) for name in error.evidence["known"] if name != "progress"]
        raise click.UsageError(
            f"{dashed(error.evidence['option'])} is not for a {type(model).__name__}, which has "
            f"{', '.join(known)}"
        ) from None

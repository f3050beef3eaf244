"""The reports of the commands about networks that are graphs; see `models`.

A summary lists the units that are kept whole, with their parameters and the node that needs them.  It says
"irreducible" only if every unit was examined.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lumpability.cli.report import Report, execution, rounding, size_rows
from lumpability.errors import InvalidInput
from lumpability.markov.attributes import States
from lumpability.networks.graph.layers import Held, LayerReport, LayerSummary, barriers_of
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.reduce import GraphLumping
from lumpability.partition import Partition
from lumpability.quotient import Verdict
from lumpability.show.text import Table
from lumpability.vocabulary import count

UNIT = "unit"
"""The noun for what is merged, in the singular."""

_SIZES = {"hidden_neurons": "hidden neurons", "parameters": "parameters", "bytes": "bytes"}


def describe(network: GraphNetwork) -> Report:
    """Report sizes, inputs and outputs, nodes with weights, and the units that cannot be examined."""
    layers = network.layers
    data: dict[str, Any] = {
        "class": type(network).__name__,
        "digest": network.digest,
        **{
            role: [{"name": name, "dtype": kind, "shape": shape} for name, kind, shape in found]
            for role, found in network.ends.items()
        },
        **network.sizes,
        "nodes": len(network.index.nodes),
        "replaceable": network.index.replaceable,
        "layers": [vars(layer) for layer in layers],
        "barriers": barriers_of(network.held),
    }
    rows = [
        (role, f"{name}, {kind}, {' x '.join(map(str, shape)) or 'a single number'}")
        for role, found in network.ends.items()
        for name, kind, shape in found
    ]
    rows += [(name, f"{data[key]:,}") for key, name in _SIZES.items()]
    rows += [("nodes", f"{data['nodes']:,}"), *_replaceable(network), *_held_rows(network.held)]
    columns = ("layer", "kind", *_COLUMNS, "leave together with")
    lines = tuple(_layer_line(layer) for layer in layers)
    tables = (
        Table("Network (graph)", tuple(rows)),
        Table("layers with weights", lines, columns, frozenset(range(2, 7))),
    )
    return Report(data, tables)


def units(network: GraphNetwork) -> States:
    """Return a name for each unit of layers with weights: conv_3:17 is unit 17 of the node that writes conv_3."""
    names = [f"{layer.output}:{unit}" for layer in network.layers for unit in range(layer.units)]
    return States(len(names), names)


def evidence(network: GraphNetwork, partition: Partition, verdict: Verdict) -> dict[str, Any]:
    """Return the two units that refute a partition."""
    return {"witness": None if verdict.witness is None else verdict.witness.to_json()}


def summarise(
    lumping: GraphLumping, *, inputs: Any = None, compare: int | None = None, time: bool = False
) -> Report:
    """Report sizes before and after, what was not examined, the proof, rounding, a measurement.

    - inputs: must be None: rounding is bounded for chains of layers
    - compare: number of random points at which onnxruntime runs the file as it is and the quotient
    - time: whether to measure how long both take in onnxruntime
    """
    if inputs is not None:
        raise InvalidInput(
            "the effect of rounding is bounded for networks that are chains of layers"
        )
    timed, lines = execution(
        None if compare is None else lumping.compare(compare), lumping.latency() if time else None
    )
    data = {**lumping.report(), **timed}
    rows = size_rows(data, _SIZES)
    rows += [("result", lumping.result), *_held_rows(lumping.held), *_replaceable(lumping.network)]
    if lumping.integers:
        told = "units stay where sums of their weights are no integers of the stored type"
        rows.append(("integers", f"{', '.join(lumping.integers[:3])}: {told}"))
    found = lumping.rounding
    told = rounding(found.weights, found.rounded, found.largest, "its type")
    rows += [("proof", lumping.stats.proof), ("new weights", told)]
    rows += lines
    rows.append(("time", f"{lumping.stats.seconds:.2f} s, proof included"))
    tables = Table("Network (graph), lumped", tuple(rows)), layers_left(lumping.table)
    return Report(data, tables)


def layers_left(table: Iterable[LayerReport]) -> Table:
    """Return what became of the units of each node with weights."""
    columns = ("layer", "kind", "left", *_COLUMNS, "leave together with")
    lines = tuple(_layer_line(layer, f"{layer.left:,}") for layer in table)
    return Table("units by layer", lines, columns, frozenset(range(2, 8)))


_COLUMNS = ("units", "different", "zero", "held", "parameters")
_FEW = 3


def _layer_line(layer: LayerSummary, *first: str) -> tuple[str, ...]:
    held = sum(layer.held.values())
    numbers = (layer.units, layer.classes, layer.zero, held, layer.parameters)
    coupled = ", ".join(layer.coupled[:_FEW])
    more = len(layer.coupled) - _FEW
    shown = f"{coupled} and {more} more" if more > 0 else coupled
    return (layer.output, layer.title, *first, *(f"{number:,}" for number in numbers), shown)


def _held_rows(held: dict[str, Held]) -> list[tuple[str, str]]:
    return [
        ("held", f"{count(found.units, 'unit')}, {count(found.parameters, 'parameter')}: {reason}")
        for reason, found in held.items()
    ]


def _replaceable(network: GraphNetwork) -> list[tuple[str, str]]:
    number = len(network.index.replaceable)
    if not number or network.model.ir_version < 4:
        return []
    told = "can be replaced by callers of the model: nothing is concluded from their values"
    return [("note", f"{count(number, 'weight')} {told}")]

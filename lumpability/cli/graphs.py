"""The reports of the commands about networks that are graphs; see `models`.

A summary lists the units that were not examined, with the reason.  It says "irreducible" only if all were examined.
"""

from __future__ import annotations

from typing import Any

from lumpability.cli.report import Report, change_of_size
from lumpability.errors import InvalidInput
from lumpability.markov.attributes import States
from lumpability.networks.graph.network import GraphNetwork, LayerSummary
from lumpability.networks.graph.reduce import GraphLumping
from lumpability.partition import Partition
from lumpability.quotient import Verdict
from lumpability.show.text import Table, count

__all__ = ["describe", "judge", "summarise", "units"]

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
        **_sizes(network),
        "nodes": len(network.index.nodes),
        "replaceable": network.index.replaceable,
        "layers": [vars(layer) for layer in layers],
        "barriers": _barriers(network.held),
    }
    rows = [
        (role, f"{name}, {kind}, {' x '.join(map(str, shape)) or 'a single number'}")
        for role, found in network.ends.items()
        for name, kind, shape in found
    ]
    rows += [(name, f"{data[key]:,}") for key, name in _SIZES.items()]
    rows += [("nodes", f"{data['nodes']:,}"), *_replaceable(network), *_held_rows(network.held)]
    columns = ("layer", "kind", "units", "zero", "not examined")
    lines = tuple(_layer_line(layer) for layer in layers)
    tables = (
        Table("Network (graph)", tuple(rows)),
        Table("layers with weights", lines, columns, frozenset({2, 3, 4})),
    )
    return Report(data, tables)


def units(network: GraphNetwork) -> States:
    """Refuse: units of graphs have no numbers that partition files could use."""
    raise InvalidInput(
        "partition files are for chains and for networks that are chains of layers; this is a graph: "
        "--certificate writes which units stay"
    )


def summarise(lumping: GraphLumping, *, box: Any = None, compare: int | None = None) -> Report:
    """Report sizes before and after, what was not examined, the proof, rounding, a measurement.

    Parameters
    ----------
    box : object
        Must be None: rounding is bounded for chains of layers.
    compare : int, optional
        Number of random points at which onnxruntime runs the file as it is and the quotient.
    """
    if box is not None:
        raise InvalidInput(
            "the effect of rounding is bounded for networks that are chains of layers"
        )
    measured = None if compare is None else lumping.compare(compare)
    before, after = _sizes(lumping.network), _sizes(lumping.quotient)
    data = {
        "kind": "proportional",
        "before": before,
        "after": after,
        "irreducible": lumping.is_irreducible,
        "result": _result(lumping),
        "proof": lumping.proof,
        "layers": [vars(layer) for layer in lumping.layers],
        "barriers": _barriers(lumping.held),
        "replaceable": lumping.network.index.replaceable,
        "rounding": {
            "weights": lumping.weights,
            "rounded": lumping.rounded,
            "largest": str(lumping.largest),
        },
        "comparison": None
        if measured is None
        else {
            "points": measured.points,
            "bitwise_equal": measured.bitwise_equal,
            "largest_difference": str(measured.largest_difference),
        },
    }
    rows = [(name, change_of_size(before[key], after[key])) for key, name in _SIZES.items()]
    rows += [
        ("result", _result(lumping)),
        *_held_rows(lumping.held),
        *_replaceable(lumping.network),
    ]
    rows += [("proof", lumping.proof), ("new weights", _rounding(lumping))]
    told = "floats may add up in another order; --compare N measures what that changes"
    rows.append(("execution", told if measured is None else str(measured)))
    rows.append(("time", f"{lumping.seconds:.2f} s, proof included"))
    columns = ("layer", "kind", "before", "after", "zero", "not examined")
    lines = tuple(
        (
            layer.output,
            layer.title,
            *(f"{n:,}" for n in (layer.units, layer.left, layer.zero, sum(layer.held.values()))),
        )
        for layer in lumping.layers
    )
    layers = Table("units by layer", lines, columns, frozenset({2, 3, 4, 5}))
    return Report(data, (Table("Network (graph), lumped", tuple(rows)), layers))


def judge(network: GraphNetwork, partition: Partition, verdict: Verdict) -> Report:
    """Refuse; see `units`."""
    raise AssertionError("no partition of a graph can be read")


def _sizes(network: GraphNetwork) -> dict[str, int]:
    return {
        "hidden_neurons": network.hidden_neurons,
        "parameters": network.parameter_count,
        "bytes": network.byte_count,
    }


def _layer_line(layer: LayerSummary) -> tuple[str, ...]:
    numbers = (layer.units, layer.zero, sum(layer.held.values()))
    return (layer.output, layer.title, *(f"{number:,}" for number in numbers))


def _barriers(held: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {"title": reason, "why": "not examined", "units": number} for reason, number in held.items()
    ]


def _held_rows(held: dict[str, int]) -> list[tuple[str, str]]:
    return [
        ("not examined", f"{count(number, 'unit')}: {reason}") for reason, number in held.items()
    ]


def _replaceable(network: GraphNetwork) -> list[tuple[str, str]]:
    number = len(network.index.replaceable)
    if not number or network.model.ir_version < 4:
        return []
    told = "can be replaced by callers of the model: nothing is concluded from their values"
    return [("note", f"{count(number, 'weight')} {told}")]


def _result(lumping: GraphLumping) -> str:
    if lumping.is_irreducible:
        return "irreducible: all units were examined and none can leave"
    if lumping.is_unchanged:
        return "no unit that was examined can leave"
    until = " before rounding" if lumping.rounded else ""
    return f"smaller, and the same function for every input{until}"


def _rounding(lumping: GraphLumping) -> str:
    if not lumping.rounded:
        return f"each of the {lumping.weights:,} is representable in its type: none was rounded"
    return (
        f"{lumping.rounded:,} of {lumping.weights:,} are not representable in their type and were rounded, by at "
        f"most {float(lumping.largest):.3g} (--exact-weights refuses)"
    )

"""The reports of the commands about neural networks; see `models`.

A summary says what "exact" covers: the function over the reals for the stored weights.  It says whether the
stored type holds every new weight, how far rounding can move outputs if it does not, and what was measured.
"""

from __future__ import annotations

from typing import Any

from lumpability.cli.report import Report, execution, rounding, size_rows
from lumpability.errors import NotJustified
from lumpability.formats.onnx_compare import compare_in_onnxruntime, latency_in_onnxruntime
from lumpability.markov.attributes import States
from lumpability.networks import Network, NetworkLumping
from lumpability.networks.graph.reduce import reduce_graph
from lumpability.networks.graph.source import graph_of
from lumpability.networks.joins import Join, Opaque
from lumpability.networks.lumping import LayerReport
from lumpability.networks.rounding_bound import rounding_error_bound
from lumpability.networks.weight_stages import stages_of
from lumpability.partition import Partition
from lumpability.quotient import Verdict
from lumpability.show.text import Table

UNIT = "neuron"
"""The noun for what is merged, in the singular."""

BOX = (-1.0, 1.0)
"""Range of all inputs for which the effect of rounding is bounded, unless another one is given."""

SIZES = {
    "hidden_neurons": "hidden neurons",
    "parameters": "parameters",
    "operations": "operations",
    "bytes": "bytes",
}
"""The keys of sizes in reports, and their names."""
_REASONS = ("identical", "proportional", "antiparallel", "constant", "dead")


def describe(network: Network) -> Report:
    """Report sizes, input and output, layers and barriers of a network."""
    ends = (
        ("input", network.input_name, list(network.input_shape)),
        ("output", network.output_name, list(network.output_shape)),
    )
    data: dict[str, Any] = {
        "class": type(network).__name__,
        "dtype": str(network.dtype),
        **{role: {"name": name, "shape": shape} for role, name, shape in ends},
        **network.sizes,
        "layers": network.describe(),
        "barriers": _barriers(network),
    }
    rows = [(role, f"{name}, {_shape(shape)}") for role, name, shape in ends]
    rows.append(("type", data["dtype"]))
    rows += [(name, f"{data[key]:,}") for key, name in SIZES.items()]
    rows += _barrier_rows(network)
    layers = tuple(
        (str(row["layer"]), row["title"], _shape(row["shape"]), f"{row['parameters']:,}")
        for row in data["layers"]
    )
    columns = ("layer", "kind", "shape after it", "parameters")
    tables = [Table("Network", tuple(rows)), Table("layers", layers, columns, frozenset({0, 3}))]
    return Report(data, tuple(tables))


def units(network: Network) -> States:
    """Return a name for each neuron (channel) of layers with weights: 2:17 is neuron 17 of layer 2."""
    names = [
        f"{stage.position}:{unit}" for stage in stages_of(network) for unit in range(stage.units)
    ]
    return States(len(names), names)


def summarise(
    lumping: NetworkLumping,
    *,
    inputs: tuple[float, float] = BOX,
    compare: int | None = None,
    time: bool = False,
) -> Report:
    """Report sizes and layers before and after, the proof and its meaning, rounding, a measurement.

    - inputs: range of all inputs, for which the effect of rounding is bounded
    - compare: number of random points at which onnxruntime runs both networks
    - time: whether to measure how long both take in onnxruntime
    """
    report = lumping.report()
    bound, effect = _effect_of_rounding(lumping, inputs)
    source = graph_of(lumping.network)
    graph = None if source is None else reduce_graph(source)
    pair = (lumping.network, lumping.quotient)
    timed, lines = execution(
        None if compare is None else compare_in_onnxruntime(*pair, compare),
        latency_in_onnxruntime(*pair) if time else None,
    )
    data = {
        **report,
        "irreducible": lumping.is_irreducible,
        "proof": lumping.stats.proof,
        "engine": lumping.stats.engine,
        "factors": [[str(factor) for factor in layer] for layer in lumping.factors],
        "barriers": _barriers(lumping.network),
        "bound": bound,
        "graph": None if graph is None else graph.quotient.sizes,
        **timed,
    }
    made, kept = lumping.rounding, str(lumping.quotient.dtype)
    rows = size_rows(report, SIZES)
    if lumping.network.dtype != lumping.quotient.dtype:
        rows.append(("type", f"{lumping.network.dtype} -> {kept}, of inputs and outputs too"))
    same = f"smaller, and the same function for every input{' before rounding' if made.rounded else ''}"
    rows.append(("result", lumping.result.partition(";")[0] if lumping.is_irreducible else same))
    if graph is not None:
        before, after = graph.network.hidden_neurons, graph.quotient.hidden_neurons
        told = "layers were reduced, as an option asks; without options for layers"
        rows.append(("graph", f"{told}, {before - after:,} of {before:,} units leave the graph"))
    rows += _barrier_rows(lumping.network)
    rows += [
        ("proof", lumping.stats.proof.partition(";")[0]),
        ("meaning", report["meaning"].partition(";")[0]),
        ("new weights", rounding(made.weights, made.rounded, made.largest, kept)),
    ]
    if effect:
        rows.append(("rounding", effect))
    rows += lines
    rows.append(("time", f"{lumping.stats.seconds:.2f} s, proof included ({lumping.stats.engine})"))
    title = f"Network, {lumping.kind} lumping"
    return Report(data, (Table(title, tuple(rows)), _layer_table(lumping)))


def evidence(network: Network, partition: Partition, verdict: Verdict) -> dict[str, Any]:
    """Return the two neurons and sums that refute a partition."""
    return {"witness": None if verdict.witness is None else verdict.witness.to_json()}


def _barriers(network: Network) -> list[dict[str, Any]]:
    """Return the layers that prevent merging on both sides, with the reason."""
    why = {
        Join: "branches that are added: their inside is not examined",
        Opaque: "an unknown operator, kept unchanged",
    }
    return [
        {"layer": number, "title": layer.title, "why": reason}
        for number, layer in enumerate(network.layers)
        for sort, reason in why.items()
        if isinstance(layer, sort)
    ]


def _barrier_rows(network: Network) -> list[tuple[str, str]]:
    return [
        ("barrier", f"layer {found['layer']}, {found['title']}: {found['why']}")
        for found in _barriers(network)
    ]


def _layer_table(lumping: NetworkLumping) -> Table:
    """Return one line for each layer with weights: how many neurons went, and for which reason."""
    columns = ("layer", "kind", "before", "after", *_REASONS, "kept because")
    rows = tuple(_layer_row(row) for row in lumping.table)
    return Table("neurons by layer", rows, columns, frozenset({0, *range(2, 9)}))


def _layer_row(row: LayerReport) -> tuple[str, ...]:
    counts = [row.units, row.left, *(getattr(row, reason) for reason in _REASONS)]
    return (str(row.layer), row.title, *(f"{number:,}" for number in counts), row.held or "")


def _effect_of_rounding(
    lumping: NetworkLumping, box: tuple[float, float]
) -> tuple[dict[str, Any] | None, str]:
    """Return a bound on how far rounding moves outputs, as data and in words; nothing if no weight was rounded."""
    if not lumping.rounding.rounded:
        return None, ""
    inputs = f"for inputs between {box[0]:g} and {box[1]:g}"
    try:
        largest = float(rounding_error_bound(lumping, *box).max(initial=0.0))
    except NotJustified as error:
        return {"box": [str(end) for end in box], "largest": None}, f"no bound: {error}"
    text = f"moves no output by more than {largest:.3g} {inputs} (--range)"
    return {"box": [str(end) for end in box], "largest": str(largest)}, text


def _shape(sizes: list[int | None]) -> str:
    return " x ".join("free" if size is None else str(size) for size in sizes) or "a single number"

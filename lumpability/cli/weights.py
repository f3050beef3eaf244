"""The commands for a ``.safetensors`` without a list of layers: its gated layers, of any size, are streamed."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import click

from lumpability.cli.command import Outcome
from lumpability.cli.console import Stages
from lumpability.cli.failures import dashed
from lumpability.cli.report import Report, change_of_size, rounding
from lumpability.formats.streamed_weights import WeightsLumping, gated_layers, lump_weights
from lumpability.formats.weights import DESCRIPTION, Stored
from lumpability.show.text import Table
from lumpability.tables.workspace import half_of_memory
from lumpability.vocabulary import count


def is_streamed(path: Path, read: Any) -> bool:
    """Whether a ``.safetensors`` has gated layers by name, or --layers and is too large for memory; `read` has those."""
    if path.suffix.lower() != ".safetensors":
        return False
    stored = Stored(path, 0)
    if DESCRIPTION in stored.metadata:
        return False
    if read.keywords["layers"] is not None:
        return path.stat().st_size > half_of_memory()
    return bool(gated_layers(stored))


def describe_weights_file(path: Path) -> Report:
    """Report the sizes of the tensors, and the gated layers among them; weights are not read."""
    tensors = Stored(path, 0).tensors
    found = [layer for layer, *_ in gated_layers(tensors)]
    ends = [tensor["data_offsets"] for tensor in tensors.values()]
    data = {
        "class": "weights",
        "tensors": len(tensors),
        "parameters": sum(prod(tensor["shape"]) for tensor in tensors.values()),
        "bytes": sum(high - low for low, high in ends),
        "types": sorted({tensor["dtype"] for tensor in tensors.values()}),
        "gated_layers": len(found),
        "hidden_units": sum(tensors[f"{layer}.weight"]["shape"][0] for layer in found),
    }
    units = f"{count(data['gated_layers'], 'layer')} with {data['hidden_units']:,} hidden units"
    rows = [(name, f"{data[name]:,}") for name in ("tensors", "parameters", "bytes")]
    rows += [("types", ", ".join(data["types"])), ("gated", units if found else "none by name")]
    return Report(data, (Table("Weights without a list of layers", tuple(rows)),))


def lump_weights_file(
    stages: Stages,
    path: Path,
    asked: dict[str, Any],
    *,
    read: Any,
    output: Path | None,
    report: Path | None,
) -> Outcome:
    """Lump the layers of a file that were named, or its gated layers, and report sizes and rounding."""
    for name, value in asked.items():
        if value is not None and name != "exact_weights":
            raise click.UsageError(
                f"{dashed(name)} is not for weights without a list of layers, which have --exact-weights"
            )
    described = describe_weights_file(path)
    with stages("lumping", path.name):
        lumping = lump_weights(
            path,
            output,
            layers=read.keywords["layers"],
            exact_weights=bool(asked["exact_weights"]),
        )
    return Outcome(
        lambda: {"path": str(path), "model": described.data, "lumping": _data(lumping)},
        [_table(lumping)],
        read=path,
        written={"quotient": output, "report": report},
    )


def _data(lumping: WeightsLumping) -> dict[str, Any]:
    made = lumping.rounding
    return {
        "layers": [vars(layer) for layer in lumping.layers],
        "parameters": lumping.parameters,
        "reduced_parameters": lumping.reduced_parameters,
        "rounded": None if made is None else made.rounded,
        "largest_change": None if made is None else str(made.largest),
        "seconds": lumping.seconds,
    }


def _table(lumping: WeightsLumping) -> Table:
    units = (sum(layer.units for layer in lumping.layers), sum(x.kept for x in lumping.layers))
    made = lumping.rounding
    rows = [
        ("hidden units", f"{change_of_size(*units)}, in {count(len(lumping.layers), 'layer')}"),
        ("parameters", change_of_size(lumping.parameters, lumping.reduced_parameters)),
        (
            "proof",
            "rows of merged units are equal, bit by bit, and columns are added; or one gate and one column",
        ),
        ("time", f"{lumping.seconds:.2f} s"),
    ]
    if made is not None:
        told = rounding(made.weights, made.rounded, made.largest, "the stored type")
        rows.append(("new weights", told))
    return Table("Weights, equal hidden units", tuple(rows))

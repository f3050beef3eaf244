"""The reports of the commands about networks that were reduced on a region; see `models`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumpability.cli.graphs import layers_left
from lumpability.cli.networks import SIZES
from lumpability.cli.report import Report, execution, size_rows
from lumpability.errors import InvalidInput
from lumpability.formats.onnx_compare import compare_in_onnxruntime, latency_in_onnxruntime
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.regions import Box
from lumpability.show.text import Table

if TYPE_CHECKING:
    from lumpability.networks.relaxed.changes import RegionLayer
    from lumpability.networks.relaxed.lumping import RegionLumping

_REASONS = ("inactive", "carried", "identical", "proportional", "constant", "dead", "relaxed")


_PLACED = re.compile(r"(.+):([1-9][0-9]{0,3})")


def read_region(path: Path | None) -> Box | None:
    """Return the box of a file; FILE:2 is the second one of several."""
    if path is None:
        return None
    placed = None if path.exists() else _PLACED.fullmatch(str(path))
    if placed is None:
        return Box.read(path)
    boxes, number = Box.read_all(placed[1]), int(placed[2])
    if number > len(boxes):
        count = "one box" if len(boxes) == 1 else f"{len(boxes)} boxes"
        raise InvalidInput(f"{placed[1]} holds {count}, and no number {number}")
    return boxes[number - 1]


def summarise(
    lumping: RegionLumping, *, inputs: Any = None, compare: int | None = None, time: bool = False
) -> Report:
    """Report sizes before and after, the region, the bound and its meaning, a measurement.

    - inputs: must be None: the effect of rounding is bounded on the region
    - compare: number of random points of the region at which onnxruntime runs both networks
    - time: whether to measure how long both take in onnxruntime
    """
    if inputs is not None:
        raise InvalidInput("the effect of rounding is bounded on the region: leave --range out")
    measured = None
    if compare is not None:
        ends = None if lumping.region is None else lumping.region.floats
        measured = compare_in_onnxruntime(lumping.network, lumping.quotient, compare, ends=ends)
    took = latency_in_onnxruntime(lumping.network, lumping.quotient) if time else None
    timed, lines = execution(measured, took)
    report = lumping.report()
    data = {**report, "irreducible": lumping.is_irreducible, **timed}
    rows = size_rows(report, SIZES)
    if lumping.region is not None:
        parts = len(lumping.claims.parts)
        cut = "" if parts == 1 else f", cut into {parts} parts"
        rows.append(("region", f"{lumping.region}{cut}"))
    rows += [
        ("result", lumping.claims.meaning),
        ("proof", lumping.stats.proof),
        ("meaning", report["meaning"]),
        ("new weights", _rounding(lumping)),
    ]
    rows += lines if measured is not None else lines[1:]
    rows.append(("time", f"{lumping.stats.seconds:.2f} s, proof included"))
    units_left: tuple[Any, ...] = lumping.table
    if isinstance(lumping.network, GraphNetwork):
        table = layers_left(units_left)
    else:
        columns = ("layer", "before", "after", *_REASONS, "carrying")
        layers = tuple(_line(row) for row in units_left)
        table = Table("neurons by layer", layers, columns, frozenset(range(len(columns))))
    name = "on a region" if lumping.region is not None else "relaxed"
    return Report(data, (Table(f"Network, lumped {name}", tuple(rows)), table))


def _line(row: RegionLayer) -> tuple[str, ...]:
    counts = [row.units, row.left, *(getattr(row, name) for name in _REASONS), row.carrying]
    return (str(row.layer), *(f"{number:,}" for number in counts))


def _rounding(lumping: RegionLumping) -> str:
    if not lumping.rounding.rounded:
        return "none was rounded"
    return (
        f"rounded by at most {float(lumping.rounding.largest):.3g}; the result includes it (--dtype float64 rounds less, "
        "--exact-weights carries nothing)"
    )

"""The data of the player for a lumping of a network: plain data, exact numbers as texts.

The browser gets the stored weights and the merges, layer by layer, and forms the aggregated columns of
U = [A W; b] itself, in exact arithmetic.  Every stage lists the rows of the next weight matrix that a unit feeds,
so convolutions need nothing special.  Above a size limit there are only the tables.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from lumpability.networks.lumping import NetworkLumping
from lumpability.networks.merging import MergedStage
from lumpability.networks.network import Network
from lumpability.numbers.float_arrays import to_fractions
from lumpability.numbers.rationals import shown
from lumpability.show.layout import place_layers
from lumpability.show.network_graphs import MOST_IN_LAYER, filter_width, network_graph, unit_counts
from lumpability.show.text import printable
from lumpability.teaching.player.numbers import WeightTable
from lumpability.vocabulary import count

MOST_WEIGHTS = 60_000
"""Largest number of nonzero weights that the browser gets."""

_REASONS = ("identical", "proportional", "antiparallel", "constant", "dead")
_NAMES = 5_000
_LISTED = 60


def network_story(lumping: NetworkLumping, title: str | None = None) -> dict[str, Any]:
    """Return the data of the player, for `json.dumps`.

    >>> from lumpability import Network, lump
    >>> network = Network.dense([([[1, 2]], None, "relu"), ([[1], [1]], None, None)])
    >>> story = network_story(lump(network))
    >>> story["level"], [layer["title"] for layer in story["layers"]]
    ('units', ['input', 'Dense, relu', 'Dense'])
    """
    network, stages = lumping.network, lumping.stages
    sizes = unit_counts([one.stage for one in stages])
    weights = sum(int(np.count_nonzero(one.stage.matrix)) for one in stages)
    drawn = bool(stages) and max(sizes) <= MOST_IN_LAYER and weights <= MOST_WEIGHTS
    table = WeightTable()
    return {
        "sort": "network",
        "title": printable(
            title
            or f"Network with {count(network.hidden_neurons, 'hidden neuron')}, {lumping.kind} lumping"
        ),
        "kind": lumping.kind,
        "verdict": lumping.result,
        "proof": lumping.stats.proof,
        "counts": {
            "hidden": [network.hidden_neurons, lumping.quotient.hidden_neurons],
            "parameters": [network.parameter_count, lumping.quotient.parameter_count],
        },
        "level": "units" if drawn else "overview",
        "layers": [_input(sizes[0]), *_layers(lumping)],
        "stages": [_stage(one, table) for one in stages] if drawn else [],
        "weights": table.to_json(),
        "graph": _graph(sizes) if drawn else None,
        "quotient": _quotient(lumping.quotient) if drawn else None,
        "classes": _classes(lumping),
    }


def _input(size: int) -> dict[str, Any]:
    return {
        "title": "input",
        "position": "in",
        "units": size,
        "left": size,
        "held": "input",
        "allows": None,
    }


def _layers(lumping: NetworkLumping) -> list[dict[str, Any]]:
    found = []
    for one, row in zip(lumping.stages, lumping.table, strict=True):
        after = [lumping.network.layers[number].title for number in one.stage.after]
        found.append(
            {
                "position": str(one.stage.position),
                "title": printable(", ".join([one.stage.layer.title, *after])),
                "units": row.units,
                "left": row.left,
                "held": row.held,
                "allows": None if row.held is not None else one.group.name,
                "uniform": one.stage.is_uniform,
                "function": printable(", ".join(after)),
                "reasons": {name: getattr(row, name) for name in _REASONS},
            }
        )
    return found


def _stage(one: MergedStage, table: WeightTable) -> dict[str, Any]:
    """Return the weights of a stage, the sources of its rows, and the classes of its units."""
    matrix, incoming = one.stage.matrix, one.summed.below
    rows, units = np.nonzero(matrix)
    exact = to_fractions(matrix[rows, units]).tolist()
    bias = one.stage.layer.bias
    offsets = [] if bias is None else to_fractions(bias).tolist()
    bounds = [*incoming.starts.tolist(), len(incoming.members)]
    members, factors = incoming.members.tolist(), incoming.factors.tolist()
    return {
        "entries": [
            [row, unit, table.code(value)]
            for row, unit, value in zip(rows.tolist(), units.tolist(), exact, strict=True)
        ],
        "bias": [table.code(value) for value in offsets],
        "rows": len(matrix),
        "open": one.stage.open,
        "width": filter_width(one.stage),
        "feeds": None if one.stage.rows is None else one.stage.rows.tolist(),
        "incoming": [
            [[members[k], table.code(factors[k])] for k in range(low, high)]
            for low, high in pairwise(bounds)
        ],
        "known": [
            [row, table.code(value)]
            for row, value in zip(
                incoming.constant_rows.tolist(), incoming.constants.tolist(), strict=True
            )
        ],
        "partition": one.partition.labels.tolist(),
        "factors": [table.code(factor) for factor in one.factors.tolist()],
        "constants": {str(unit): shown(value) for unit, value in one.constants.items()},
        "live": one.live.tolist(),
    }


def _graph(sizes: list[int]) -> dict[str, Any]:
    placed = place_layers(sizes)
    points = placed.points.tolist()
    return {
        "width": placed.width,
        "height": placed.height,
        "radius": placed.radius,
        "middles": list(placed.middles),
        "names": [""] * len(points),
        "points": points,
        "arrows": [],
    }


def _quotient(quotient: Network) -> dict[str, Any]:
    """Return the data for drawing the quotient."""
    graph = network_graph(quotient)
    return {
        "width": graph.width,
        "height": graph.height,
        "radius": graph.radius,
        "points": graph.points.tolist(),
        "links": "".join(arrow.line for arrow in graph.arrows),
        "headings": [list(heading) for heading in graph.headings],
    }


def _classes(lumping: NetworkLumping) -> list[dict[str, Any]]:
    """Return the classes with several units, for the table, largest first."""
    found = []
    for one in lumping.stages:
        sizes = one.partition.blocks.sizes
        constant = one.constant_classes
        for number in np.flatnonzero((sizes > 1) | ~one.live).tolist():
            members = one.partition.blocks[number].tolist()
            state = "constant" if constant[number] else "merged" if one.live[number] else "unused"
            found.append(
                {
                    "layer": str(one.stage.position),
                    "members": members[:_LISTED],
                    "size": len(members),
                    "factors": list(dict.fromkeys(shown(one.factors[unit]) for unit in members)),
                    "state": state,
                }
            )
    found.sort(key=lambda one: (int(one["layer"]), -one["size"]))
    return found[:_NAMES]

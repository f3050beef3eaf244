"""Networks as graphs ready to be drawn: layers from left to right, merged units coloured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lumpability.errors import SizeLimit
from lumpability.networks.layers import Conv
from lumpability.networks.merging import MergedStage
from lumpability.networks.network import Network
from lumpability.networks.weight_stages import Stage, stages_of
from lumpability.numbers.float_arrays import Array
from lumpability.show.arrows import Arrow
from lumpability.show.graphs import Graph
from lumpability.show.layout import place_layers

MOST_IN_LAYER = 160
"""Largest number of units in a layer of a network that is drawn unit by unit."""

_MOST_LINKS = 3000
_MOST_WEIGHTS = 24  # links that show their weights
_PARTED = 0.3, 0.42  # where the weight stands, in turn by unit below


def filter_width(stage: Stage) -> int:
    """Return how many rows of the weight matrix of a first layer belong to one input."""
    if not isinstance(stage.layer, Conv):
        return 1
    return int(np.prod(stage.layer.weight.shape[2:]))


def unit_counts(stages: Sequence[Stage]) -> list[int]:
    """Return the number of inputs, and of the units of every layer with weights."""
    if not stages:
        return [0]
    return [len(stages[0].matrix) // filter_width(stages[0]), *(stage.units for stage in stages)]


def class_colours(stages: Sequence[MergedStage]) -> tuple[list[list[int]], list[list[int]]]:
    """Return the number of the class of each unit, layer by layer, of a network and of its quotient.

    Classes of several units are numbered in each layer; a unit by itself has -1.
    """
    before, after = [], []
    for stage in stages:
        several = stage.partition.blocks.sizes > 1
        number = np.where(several, np.cumsum(several) - 1, -1)
        before.append(number[stage.partition.labels].tolist())
        after.append(number[stage.kept].tolist())
    return before, after


def network_graph(network: Network, colours: Sequence[Sequence[int]] | None = None) -> Graph:
    """Return the graph of a network; classes get a colour and a letter, few links their weights.

    Links are left out if there are thousands of them, and after barriers.

    Raises `SizeLimit` if a layer is too wide to be drawn.

    - colours: the number of the class of each unit, layer by layer, -1 for none; see `class_colours`

    >>> graph = network_graph(Network.dense([([[1, 2]], None, "relu"), ([[1], [1]], None, None)]))
    >>> graph.names, [(arrow.source, arrow.target) for arrow in graph.arrows]
    (('in:0', '0:0', '0:1', '2:0'), [(0, 1), (0, 2), (1, 3), (2, 3)])
    """
    stages = stages_of(network)
    sizes = unit_counts(stages)
    if max(sizes) > MOST_IN_LAYER:
        raise SizeLimit(
            f"a layer of {max(sizes)} units is too wide to be drawn (at most {MOST_IN_LAYER})",
            units=max(sizes),
        )
    layers = place_layers(sizes)
    positions = ["in", *(str(stage.position) for stage in stages)]
    found = _links(stages, sizes)
    links = sorted(found) if len(found) <= _MOST_LINKS else []
    places = layers.points.tolist()
    weights = [found[link] if len(links) <= _MOST_WEIGHTS else "" for link in links]
    arrows = [_line(a, b, places[a], places[b]) for a, b in links]
    blocks = [-1] * sizes[0]
    for number, size in enumerate(sizes[1:]):
        blocks += [-1] * size if colours is None else colours[number]
    return Graph(
        names=tuple(
            f"{position}:{unit}"
            for position, size in zip(positions, sizes, strict=True)
            for unit in range(size)
        ),
        notes=("",) * len(places),
        blocks=tuple(blocks),
        points=layers.points,
        radius=layers.radius,
        arrows=tuple(arrows),
        weights=tuple(weights),
        width=layers.width,
        height=layers.height,
        headings=tuple(
            (x, position, f"{size:,}")
            for x, position, size in zip(layers.middles, positions, sizes, strict=True)
        ),
    )


def _line(source: int, target: int, start: Sequence[float], end: Sequence[float]) -> Arrow:
    """Return a link, whose weight stands where links to other units have parted from it."""
    parted = _PARTED[source % len(_PARTED)]
    x, y = (a + parted * (b - a) for a, b in zip(start, end, strict=True))
    return Arrow(source, target, "M{:g} {:g}L{:g} {:g}".format(*start, *end), "", x, y)


def _links(stages: Sequence[Stage], sizes: Sequence[int]) -> dict[tuple[int, int], str]:
    """Return pairs of units with a weight between them, and the weight if there is one only."""
    found: dict[tuple[int, int], str] = {}
    start = 0
    for number, stage in enumerate(stages):
        owners = _owners(stages, number)
        if owners is not None:
            rows, units = np.nonzero(stage.matrix)
            below = (owners[rows] + start).tolist()
            above = (units + start + sizes[number]).tolist()
            weights = stage.matrix[rows, units].tolist()
            for *link, weight in zip(below, above, weights, strict=True):
                pair = (link[0], link[1])
                found[pair] = "" if pair in found else f"{weight:.4g}"
        start += sizes[number]
    return found


def _owners(stages: Sequence[Stage], number: int) -> Array | None:
    """Return the unit below that each row of a weight matrix reads; None after a barrier."""
    stage = stages[number]
    if number == 0:
        return np.arange(len(stage.matrix)) // filter_width(stage)
    feeds = stages[number - 1].rows
    if not stage.open or feeds is None:
        return None
    owners = np.zeros(len(stage.matrix), dtype=np.int64)
    owners[feeds] = np.arange(len(feeds))[:, None]
    return owners

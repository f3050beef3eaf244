"""Networks as graphs ready to be drawn: layers from left to right, merged units coloured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lumpability.errors import SizeLimit
from lumpability.networks.layers import Conv
from lumpability.networks.network import Network
from lumpability.networks.weight_stages import Stage, stages_of
from lumpability.numbers.float_arrays import Array
from lumpability.partition import Partition
from lumpability.show.arrows import Arrow
from lumpability.show.graphs import Graph
from lumpability.show.layout import place_layers

MOST_IN_LAYER = 160
"""Largest number of units in a layer of a network that is drawn unit by unit."""

_MOST_LINKS = 3000


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


def network_graph(network: Network, partitions: Sequence[Partition] | None = None) -> Graph:
    """Return the graph of a network; classes of several units get a colour and a letter.

    Links are left out if there are thousands of them, and after barriers.

    Raises `SizeLimit` if a layer is too wide to be drawn.

    - partitions: of the units of each layer with weights

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
    links = _links(stages, sizes)
    places = layers.points.tolist()
    arrows = [
        Arrow(a, b, "M{:g} {:g}L{:g} {:g}".format(*places[a], *places[b]), "", 0.0, 0.0)
        for a, b in (links if len(links) <= _MOST_LINKS else [])
    ]
    blocks = [-1] * sizes[0]
    for number, size in enumerate(sizes[1:]):
        blocks += [-1] * size if partitions is None else _numbers(partitions[number])
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
        weights=("",) * len(arrows),
        width=layers.width,
        height=layers.height,
        headings=tuple(
            (x, position, f"{size:,}")
            for x, position, size in zip(layers.middles, positions, sizes, strict=True)
        ),
    )


def _links(stages: Sequence[Stage], sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return pairs of units with a weight between them."""
    found: set[tuple[int, int]] = set()
    start = 0
    for number, stage in enumerate(stages):
        owners = _owners(stages, number)
        if owners is not None:
            rows, units = np.nonzero(stage.matrix)
            below = (owners[rows] + start).tolist()
            found.update(zip(below, (units + start + sizes[number]).tolist(), strict=True))
        start += sizes[number]
    return sorted(found)


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


def _numbers(partition: Partition) -> list[int]:
    """Number the classes of several units; -1 for a unit by itself."""
    several = partition.blocks.sizes > 1
    number = np.where(several, np.cumsum(several) - 1, -1)
    return [int(block) for block in number[partition.labels]]

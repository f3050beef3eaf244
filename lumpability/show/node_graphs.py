"""Networks that are graphs, ready to be drawn: layers and joins from left to right, with the units that stay.

A layer shows how many of its units stay, a join its operator.  Nodes that treat every unit by itself are left out: an
arrow leads from a layer or join to the next ones.
"""

from __future__ import annotations

from typing import Any

from lumpability.errors import SizeLimit
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.reduce import GraphLumping
from lumpability.show.arrows import Arrow
from lumpability.show.graphs import LARGEST_DRAWN, Graph
from lumpability.show.layout import place_layers

_LEFT, _HELD, _NEITHER = 0, 1, -1


def node_graph(value: GraphNetwork | GraphLumping) -> Graph:
    """Return the drawing of a graph, or of what leaves it; layers that lose units have a colour, and so have held ones.

    Raises `SizeLimit` if there are too many layers and joins to be drawn.

    >>> from lumpability import lump
    >>> from lumpability.networks.graph.examples import residual
    >>> graph = node_graph(lump(residual()))
    >>> graph.names, graph.notes[1]
    (('x', '4/8', '4/8', 'Add', '2/2'), 'MatMul a: 4 of 8 units stay')
    """
    network = value.network if isinstance(value, GraphLumping) else value
    table = value.table if isinstance(value, GraphLumping) else value.layers
    left = {item.output: getattr(item, "left", item.units) for item in table}
    layers = {item.output: item for item in table}
    names: list[str] = [item.name for item in network.index.inputs]
    notes, blocks, depth = ["input"] * len(names), [_NEITHER] * len(names), [0] * len(names)
    reached: dict[str, tuple[int, ...]] = {name: (k,) for k, name in enumerate(names)}
    pairs: list[tuple[int, int]] = []
    for call in network.analysis.calls:
        if call is None:
            continue
        below = {k: None for name in call.node.input for k in reached.get(name, ())}
        outputs = [name for name in call.node.output if name]
        layer = layers.get(outputs[0])
        moving = [name for name in dict.fromkeys(call.node.input) if name in reached]
        if layer is None and len(moving) < 2:
            reached.update(dict.fromkeys(outputs, tuple(below)))
            continue
        here = len(names)
        pairs += [(k, here) for k in below]
        depth.append(1 + max((depth[k] for k in below), default=0))
        reached.update(dict.fromkeys(outputs, (here,)))
        if layer is None:
            names.append(call.op)
            notes.append(f"{call.op} {outputs[0]}")
            blocks.append(_NEITHER)
            continue
        stay = left[layer.output]
        names.append(f"{stay}/{layer.units}")
        notes.append(f"{layer.title} {layer.output}: {stay} of {layer.units} units stay")
        blocks.append(_LEFT if stay < layer.units else _HELD if layer.held else _NEITHER)
    if len(names) > LARGEST_DRAWN:
        raise SizeLimit(
            f"a graph of {len(names)} layers and joins is too large to be drawn (at most {LARGEST_DRAWN})",
            units=len(names),
        )
    return _placed(names, notes, blocks, depth, pairs)


def _placed(
    names: list[str], notes: list[str], blocks: list[int], depth: list[int], pairs: Any
) -> Graph:
    """Put vertices into columns by their depth."""
    order = sorted(range(len(names)), key=lambda k: depth[k])
    columns = [depth.count(k) for k in range(max(depth, default=0) + 1)]
    place = {k: number for number, k in enumerate(order)}
    found = place_layers(columns)
    spots = found.points.tolist()
    arrows = [
        Arrow(
            place[a],
            place[b],
            _path(spots[place[a]], spots[place[b]], depth[b] - depth[a]),
            "",
            0.0,
            0.0,
        )
        for a, b in pairs
    ]
    return Graph(
        names=tuple(names[k] for k in order),
        notes=tuple(notes[k] for k in order),
        blocks=tuple(blocks[k] for k in order),
        points=found.points,
        radius=found.radius,
        arrows=tuple(arrows),
        weights=("",) * len(arrows),
        width=found.width,
        height=found.height,
    )


def _path(start: list[float], end: list[float], columns: int) -> str:
    """Return a line to the next column, or a bow over what lies between."""
    (x, y), (to_x, to_y) = start, end
    if columns < 2:
        return f"M{x:g} {y:g}L{to_x:g} {to_y:g}"
    high = min(y, to_y) - 30.0 - 14.0 * min(columns, 4)
    return f"M{x:g} {y:g}Q{(x + to_x) / 2:g} {high:g} {to_x:g} {to_y:g}"

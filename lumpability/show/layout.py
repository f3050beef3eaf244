"""The positions of the states of a chain and the neurons of a network, without randomness.

Chains: stress majorisation (Gansner, Koren and North 2004).  The stress of a drawing is the sum over pairs
of (|x_i - x_j| / d_ij - 1)^2, with d_ij the number of steps between two states in the undirected graph.  Every
iteration replaces the positions by the minimum of a quadratic bound, so the stress falls.  It starts from a
few fixed drawings, and the best result is taken.  O(n^2) for each of a fixed number of iterations.  A graph that is a
path, such as a birth-death chain, is laid out along a line, which turns back where the page ends.
Networks: one column for each layer, or several columns side by side for a wide layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Points = np.ndarray[Any, np.dtype[np.float64]]

_ITERATIONS = 300
_GOLDEN = 2.399963229728653  # the golden angle: no two points of the spiral are in line
_STRETCH = 1.7
_LANE, _LANE_OF_MANY = 40, 32


def spread(n: int, pairs: Any, *, width: float, height: float) -> Points:
    """Return positions of the vertices of a graph in a box, shape (n, 2).

    - pairs (array_like of int, shape (m, 2)): edges; directions, loops and repetitions do not matter
    - width, height: of the box

    O(n^2) memory; meant for graphs of at most a few hundred vertices.

    >>> spread(3, [(0, 1), (1, 2)], width=200, height=100).tolist()
    [[0.0, 50.0], [100.0, 50.0], [200.0, 50.0]]
    """
    box = np.array([width, height])
    if n < 2:
        return np.asarray(np.full((n, 2), 0.5) * box)
    distances = _distances(n, np.asarray(pairs, dtype=np.int64).reshape(-1, 2))
    tried = [_majorised(start, distances) for start in _starts(n, distances)]
    best = min(tried, key=lambda points: round(_stress(points, distances), 6))
    return np.asarray(np.round(_fitted(_turned(best), box), 1), dtype=np.float64)


def along_a_line(n: int, pairs: Any, *, pitch: float, width: float, row: float) -> Points | None:
    """Return positions on a line for a graph that is a path; None for another one.

    - pairs: array_like of int, shape (m, 2)
    - pitch: between neighbours
    - width: where the line turns back
    - row: between a line and the next one

    >>> along_a_line(4, [(0, 1), (1, 0), (1, 2), (2, 3)], pitch=10, width=20, row=50).tolist()
    [[0.0, 0.0], [10.0, 0.0], [10.0, 50.0], [0.0, 50.0]]
    >>> along_a_line(3, [(0, 1), (1, 2), (2, 0)], pitch=10, width=20, row=50) is None
    True
    """
    near: list[set[int]] = [set() for _ in range(n)]
    for source, target in pairs:
        if source != target:
            near[source].add(target)
            near[target].add(source)
    ends = [vertex for vertex in range(n) if len(near[vertex]) == 1]
    if len(ends) != 2 or any(len(others) != 2 for v, others in enumerate(near) if v not in ends):
        return None
    order, before = [ends[0]], -1
    while len(order) < n:
        onward = near[order[-1]] - {before}
        if not onward:  # there is a circle besides the path
            return None
        before = order[-1]
        order += onward
    lanes = -(-n // (int(width // pitch) + 1))
    lane = -(-n // lanes)  # of equal lengths
    place = np.arange(n)
    rows, columns = place // lane, place % lane
    columns = np.where(rows % 2, lane - 1 - columns, columns)
    points = np.empty((n, 2))
    points[order] = np.column_stack([columns * pitch, rows * row])
    return points


def longest_way(n: int, pairs: Any) -> int:
    """Return the largest number of steps between two vertices of one component; directions do not matter."""
    if n == 0:
        return 0
    distances = _distances(n, np.asarray(pairs, dtype=np.int64).reshape(-1, 2))
    connected = distances[0] < n if n > 1 else np.ones(1, dtype=bool)
    return int(distances[np.ix_(connected, connected)].max())


@dataclass(frozen=True, eq=False)
class Layers:
    """The positions of the units of a network."""

    points: Points  # shape (units, 2): layer after layer
    middles: tuple[float, ...]  # the middle of each layer, from left to right
    radius: float
    width: float
    height: float


def place_layers(sizes: Sequence[int]) -> Layers:
    """Place the layers from left to right, and the units of wide layers in several columns side by side."""
    largest = max(*sizes, 1)
    lane = largest if largest <= _LANE else _LANE_OF_MANY
    pitch = float(min(44, max(13, 560 / min(lane, largest))))
    lanes = [max(1, -(-size // lane)) for size in sizes]
    height = max(212.0, pitch * min(lane, largest) + 56)
    taken = sum(count - 1 for count in lanes) * pitch
    gap = max(44.0, (max(310.0, 66.0 * len(sizes)) - taken) / max(len(sizes) - 1, 1))
    gap = min(gap, 310.0)
    left, placed, middles = 55.0, [np.empty((0, 2))], []
    for size, count in zip(sizes, lanes, strict=True):
        unit = np.arange(size)
        longest = -(-size // count)
        y = 56 + (height - 56) / 2 + (unit % longest - (longest - 1) / 2) * pitch
        placed.append(np.column_stack([left + unit // longest * pitch, y]))
        middles.append(round(left + (count - 1) * pitch / 2, 1))
        left += (count - 1) * pitch + gap
    points = np.asarray(np.round(np.concatenate(placed), 1), dtype=np.float64)
    return Layers(points, tuple(middles), round(0.36 * pitch, 1), round(left - gap + 55, 1), height)


def _distances(n: int, pairs: Any) -> Points:
    """Return the steps between vertices; between components, one more than the largest inside any."""
    near = np.zeros((n, n), dtype=bool)
    near[pairs[:, 0], pairs[:, 1]] = near[pairs[:, 1], pairs[:, 0]] = True
    distances = np.full((n, n), np.inf)
    reached = np.eye(n, dtype=bool)
    new, steps = reached, 0
    while new.any():
        distances[new] = steps
        new = (new.astype(np.float32) @ near > 0) & ~reached
        reached |= new
        steps += 1
    distances[np.isinf(distances)] = steps
    return distances


def _starts(n: int, distances: Points) -> list[Points]:
    """Return circles in the order of numbers and of distances from vertex 0, and a spiral."""
    turn = np.arange(n) * (2 * np.pi / n)
    circle = np.column_stack([np.cos(turn), np.sin(turn)]) * max(n / 6, 1)
    # A circle can be a saddle point of the stress; a small unevenness moves away from it.
    circle *= 1 + 0.03 * np.cos(_GOLDEN * np.arange(n))[:, None]
    other = np.empty_like(circle)
    other[np.lexsort((np.arange(n), distances[0]))] = circle
    angle, radius = _GOLDEN * np.arange(n), np.sqrt(np.arange(n) + 0.5)
    spiral = np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None]
    return [circle, other, spiral]


def _between(points: Points) -> Points:
    gaps = points[:, None] - points[None]
    return np.asarray(np.sqrt((gaps**2).sum(axis=2)))


def _stress(points: Points, distances: Points) -> float:
    apart = distances > 0
    return float(((_between(points)[apart] / distances[apart] - 1) ** 2).sum())


def _majorised(points: Points, distances: Points) -> Points:
    """Lower the stress by a fixed number of iterations of weighted averages."""
    apart = distances > 0
    weights = np.where(apart, 1 / np.where(apart, distances, 1) ** 2, 0)
    total = weights.sum(axis=1)
    for _ in range(_ITERATIONS):
        lengths = _between(points)
        ratio = np.where(lengths > 1e-9, distances / np.maximum(lengths, 1e-9), 0)
        pull = weights * ratio
        points = (pull.sum(axis=1)[:, None] * points - pull @ points + weights @ points) / total[
            :, None
        ]
    return points


def _turned(points: Points) -> Points:
    """Turn the longer axis of a drawing to the horizontal, vertex 0 to the upper left."""
    centred = points - points.mean(axis=0)
    xx, yy = (centred**2).sum(axis=0)
    xy = (centred[:, 0] * centred[:, 1]).sum()
    angle = -0.5 * np.arctan2(2 * xy, xx - yy) if abs(xx - yy) + abs(xy) > 1e-6 * (xx + yy) else 0.0
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = centred @ turn
    return np.asarray(turned * np.where(turned[0] > 1e-6, -1, 1))


def _fitted(points: Points, box: Points) -> Points:
    """Scale to a box; the scales of the two directions differ by at most a factor."""
    low, high = points.min(axis=0), points.max(axis=0)
    size = high - low
    flat = size < 0.05 * size.max()  # a line that is not quite straight
    factor = np.where(flat, np.inf, box / np.where(flat, 1, size))
    factor = np.minimum(factor, _STRETCH * factor.min())
    factor[flat] = 0
    return np.asarray((points - (low + high) / 2) * factor + box / 2)

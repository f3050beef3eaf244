"""The paths of arrows between vertices, as SVG.

Two arrows in opposite directions bend away from each other.  An arrow that would cross a third vertex is bent
until it does not.  A loop stands on its vertex and points away from the middle of the drawing.  A bend is a
quadratic curve whose control point lies beside the middle of the line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

_BENDS = (0.0, 0.22, -0.22, 0.42, -0.42, 0.65, -0.65)
_RETURN = 0.14
_HEAD = 7.0
_LABELS = (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74)


@dataclass(frozen=True)
class Arrow:
    """A drawn arrow."""

    source: int
    target: int
    line: str  # path of the line, without the head
    head: str  # path of the head, a triangle
    # x, y: the place of its text.
    x: float
    y: float


def arrows(points: Any, pairs: Iterable[tuple[int, int]], radius: float) -> list[Arrow]:
    """Return the arrows of a graph.

    - points (array_like, shape (n, 2)): the positions of the vertices
    - pairs: all different
    - radius: of a vertex

    O(n) for each arrow.
    """
    sheet = _Sheet.of(points, radius)
    given = list(pairs)
    known = set(given)
    drawn = []
    for source, target in given:
        if source == target:
            arrow = _loop(source, sheet)
        else:
            arrow = _bent(source, target, sheet, _RETURN if (target, source) in known else None)
        sheet.taken.append((arrow.x, arrow.y))
        drawn.append(arrow)
    return drawn


@dataclass(frozen=True, eq=False)
class _Sheet:
    """The occupied places: vertices and texts."""

    places: Any
    radius: float
    taken: list[tuple[float, float]]

    @classmethod
    def of(cls, points: Any, radius: float) -> _Sheet:
        places = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        return cls(places, radius, [(float(x), float(y)) for x, y in places])

    def is_free(self, point: Any) -> bool:
        """Whether there is room for a text of a few digits."""
        x, y = point.tolist()
        return all(abs(x - a) > 36 or abs(y - b) > 15 for a, b in self.taken)


def _bent(source: int, target: int, sheet: _Sheet, least: float | None) -> Arrow:
    places, radius = sheet.places, sheet.radius
    start, end = places[source], places[target]
    length = max(math.dist(start, end), 1e-9)
    normal = np.array([end[1] - start[1], start[0] - end[0]])  # to the left; as long as the line
    others = np.delete(places, [source, target], axis=0)
    bends = _BENDS if least is None else (least, least + 0.18, least + 0.36)
    free = (b for b in bends if _clearance(start, end, normal * b, others) > 1.25 * radius)
    bend = next(free, bends[0])
    control = (start + end) / 2 + normal * bend
    begin, tip = _towards(start, control, radius), _towards(end, control, radius)
    head = min(_HEAD, length / 3)
    base = _towards(tip, control, head)
    aside = normal / length * (9 if bend >= 0 else -9)
    labels = [
        start * (1 - t) ** 2 + 2 * t * (1 - t) * control + end * t**2 + aside for t in _LABELS
    ]
    label = next((one for one in labels if sheet.is_free(one)), labels[0])
    return Arrow(
        source,
        target,
        f"M{_at(begin)} Q{_at(control)} {_at(base)}",
        _triangle(tip, control, head),
        *map(_short, label.tolist()),
    )


def _clearance(start: Any, end: Any, offset: Any, others: Any) -> float:
    """Return the distance of the nearest other vertex from a curve."""
    if not len(others):
        return math.inf
    t = np.linspace(0.05, 0.95, 19)[:, None]
    curve = start * (1 - t) ** 2 + 2 * t * (1 - t) * ((start + end) / 2 + offset) + end * t**2
    return float(np.sqrt(((curve[:, None] - others[None]) ** 2).sum(axis=2)).min())


def _loop(vertex: int, sheet: _Sheet) -> Arrow:
    centre, radius = sheet.places[vertex], sheet.radius
    away = centre - sheet.places.mean(axis=0)
    size = math.hypot(*away)
    # Names stand below their vertices, so a loop points up, unless the vertex is clearly at a side.
    angle = math.atan2(away[1], away[0]) if size > 1e-9 else -math.pi / 2
    if math.sin(angle) > -0.3:
        angle = -math.pi / 2 + (0.75 if math.cos(angle) > 0 else -0.75) * (size > 1e-9)
    left, right = (
        centre + radius * np.array([math.cos(angle + turn), math.sin(angle + turn)])
        for turn in (-0.5, 0.5)
    )
    reach = radius + 24
    first, second = (
        centre + reach * np.array([math.cos(angle + turn), math.sin(angle + turn)])
        for turn in (-0.5, 0.5)
    )
    base = _towards(right, second, _HEAD)
    label = centre + (radius + 24) * np.array([math.cos(angle), math.sin(angle)])
    return Arrow(
        vertex,
        vertex,
        f"M{_at(left)} C{_at(first)} {_at(second)} {_at(base)}",
        _triangle(right, second, _HEAD),
        *map(_short, label.tolist()),
    )


def _towards(start: Any, end: Any, length: float) -> Any:
    """Return the point at a distance from `start` in the direction of `end`."""
    return start + (end - start) * (length / max(math.dist(start, end), 1e-9))


def _triangle(tip: Any, origin: Any, size: float) -> str:
    way = (tip - origin) / max(math.dist(tip, origin), 1e-9)
    side = np.array([-way[1], way[0]]) * (size / 2 + 0.25)
    base = tip - way * (size + 0.5)
    return f"M{_at(tip)} L{_at(base + side)} L{_at(base - side)} Z"


def _short(value: float) -> float:
    return round(value, 1) + 0.0


def _at(point: Any) -> str:
    return " ".join(f"{_short(value):g}" for value in point.tolist())

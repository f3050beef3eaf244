"""A graph ready to be drawn: the positions and texts of its vertices, and its arrows.

All ways to draw it (SVG, DOT, TikZ, the player) use this one value, so that all show the same picture.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.numbers.rationals import brief
from lumpability.partition import Partition
from lumpability.show.arrows import Arrow, arrows
from lumpability.show.layout import Points, along_a_line, longest_way, spread
from lumpability.show.text import printable

LARGEST_DRAWN = 64
"""Largest number of vertices of a drawn chain; nobody could read a drawing with more."""

_MARGIN = 46.0
_RADIUS = 7.0, 19.0
_PITCH, _ROW, _WIDEST = 72.0, 120.0, 1000.0  # of graphs along a line


@dataclass(frozen=True, eq=False)
class Graph:
    """A directed graph with the positions of all its parts."""

    names: tuple[str, ...]  # of the vertices, printable
    notes: tuple[str, ...]  # a note about each vertex, or ""
    # The block of each vertex, which determines colour, pattern and letter; -1 for none.
    blocks: tuple[int, ...]
    points: Points  # shape (n, 2)
    radius: float  # of a vertex
    arrows: tuple[Arrow, ...]
    weights: tuple[str, ...]  # text at each arrow
    width: float
    height: float
    # Texts above the picture, one below the other, with their positions; for the layers of a network.
    headings: tuple[tuple[float, str, str], ...] = ()

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        edges: Iterable[tuple[int, int, str]],
        *,
        notes: Sequence[str] = (),
        blocks: Sequence[int] = (),
    ) -> Graph:
        """Lay out a graph.

        Examples
        --------
        >>> graph = Graph.of(["a", "b"], [(0, 1, "1/2")])
        >>> graph.points.tolist(), graph.weights
        ([[46.0, 46.0], [266.5, 46.0]], ('1/2',))
        """
        n = len(names)
        given = list(edges)
        pairs = [(source, target) for source, target, _ in given]
        pitch = _pitch(names, [weight for _, _, weight in given])
        line = along_a_line(n, pairs, pitch=pitch, width=_WIDEST, row=_ROW) if n > 2 else None
        margin = _MARGIN
        if line is not None:
            margin = max(margin, pitch / 2)
            inner, width = line, float(line[:, 0].max()) + 2 * margin
        else:
            scale = (max(n, 1) / 12) ** 0.4
            width, height = max(280.0, 640 * scale), max(206.0, 410 * scale)
            if n > 2:  # long graphs get room for their texts
                width = max(width, min(_WIDEST, longest_way(n, pairs) * pitch * 0.8 + 2 * _MARGIN))
            inner = spread(n, pairs, width=width - 2 * _MARGIN, height=height - 2 * _MARGIN)
        low, high = inner[:, 1].min(initial=math.inf), inner[:, 1].max(initial=0)
        height = max(high - low, 0) + 2 * _MARGIN  # flat drawings get no space around
        points = np.round(inner + np.array([margin, _MARGIN - low]), 1) if n else inner
        radius = _radius(points)
        return cls(
            tuple(map(printable, names)),
            tuple(map(printable, notes)) if notes else ("",) * n,
            tuple(blocks) if blocks else tuple(range(n)),
            points,
            radius,
            tuple(arrows(points, pairs, radius)),
            tuple(weight for _, _, weight in given),
            round(width, 1),
            round(height, 1),
        )


def short(text: str, length: int = 12) -> str:
    """Shorten a text that is too long for a picture.

    >>> short("up"), short("{up, down, broken}")
    ('up', '{up, down, …')
    """
    return text if len(text) <= length else text[: length - 1] + "…"


def attributes(chain: MarkovChain, state: int, names: Collection[str] | None = None) -> list[str]:
    """Return the labels and rewards of a state as texts, for some names or all.

    >>> chain = CTMC.from_rates({("a", "b"): 1}, labels={"goal": ["b"]}, rewards={"cost": {"b": "1/2"}})
    >>> attributes(chain, 1)
    ['goal', 'cost 1/2']
    """
    found = [
        name
        for name, mask in chain.labels.items()
        if mask[state] and (names is None or f"label:{name}" in names)
    ]
    for name, reward in chain.rewards.items():
        if names is not None and f"reward:{name}" not in names:
            continue
        values = [part[state] for part in reward.parts if part[state] != 0]
        found += [f"{name} {brief(value)}" for value in values]
    return found


def chain_graph(chain: MarkovChain, partition: Partition | None = None) -> Graph:
    """Return the graph of a chain, coloured by the blocks of a partition.

    Without a partition, the colours are the blocks that its labels and rewards tell apart, if there are any.
    Self-loops of a CTMC have no effect on its probabilities and are left out.

    >>> graph = chain_graph(CTMC.from_rates({("a", "b"): 1, ("b", "a"): "1/3"}))
    >>> graph.names, graph.weights, graph.blocks
    (('a', 'b'), ('1', '1/3'), (-1, -1))
    """
    blocks = chain.respected() if partition is None else partition
    plain = partition is None and len(blocks) == 1
    matrix = chain.matrix.without_diagonal() if isinstance(chain, CTMC) else chain.matrix
    triples: Any = zip(
        matrix.sources().tolist(), matrix.indices.tolist(), matrix.weights, strict=True
    )
    return Graph.of(
        [str(state) for state in chain.states],
        [(source, target, brief(weight)) for source, target, weight in triples],
        notes=[", ".join(attributes(chain, state)) for state in range(chain.n)],
        blocks=[-1] * chain.n if plain else blocks.labels.tolist(),
    )


def _pitch(names: Sequence[str], weights: Sequence[str]) -> float:
    """Return the distance between neighbours at which names and weights do not overlap."""
    name = max((len(short(text)) for text in names), default=0)
    weight = max((len(short(text, 16)) for text in weights), default=0)
    return min(max(7.0 * name + 14, 6.6 * weight + 2 * _RADIUS[1] + 6, _PITCH), 170.0)


def _radius(points: Points) -> float:
    low, high = _RADIUS
    if len(points) < 2:
        return high
    gaps = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    nearest = float(gaps[gaps > 0].min(initial=10 * high))
    return round(min(max(0.3 * nearest, low), high), 1)

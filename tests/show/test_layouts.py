"""Drawings are the same everywhere, fit their box, and keep vertices apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC
from lumpability.show.arrows import arrows
from lumpability.show.graphs import Graph, chain_graph
from lumpability.show.layout import along_a_line, longest_way, place_layers, spread
from lumpability.show.palette import COLOURS, colour, letter, pattern


@st.composite
def graphs(draw):
    n = draw(st.integers(1, 14))
    vertex = st.integers(0, n - 1)
    return n, draw(st.lists(st.tuples(vertex, vertex), max_size=30, unique=True))


@given(graphs())
def test_every_vertex_is_in_the_box_and_no_two_are_in_one_place(graph):
    n, pairs = graph
    points = spread(n, pairs, width=400, height=300)
    assert points.shape == (n, 2)
    assert np.isfinite(points).all()
    assert (points >= -0.1).all()
    assert (points <= np.array([400.1, 300.1])).all()
    assert len({tuple(point) for point in points.tolist()}) == n


@given(graphs())
def test_a_drawing_depends_on_the_graph_only(graph):
    n, pairs = graph
    first = spread(n, pairs, width=400, height=300)
    again = spread(n, pairs[::-1] + pairs, width=400, height=300)
    assert np.array_equal(first, again)


@given(graphs())
def test_every_arrow_is_drawn_with_finite_numbers(graph):
    n, pairs = graph
    points = spread(n, pairs, width=400, height=300)
    drawn = arrows(points, pairs, 8)
    assert [(arrow.source, arrow.target) for arrow in drawn] == pairs
    assert not any("nan" in arrow.line + arrow.head for arrow in drawn)
    assert all(np.isfinite([arrow.x, arrow.y]).all() for arrow in drawn)


def test_a_graph_without_edges_and_an_empty_one_can_be_drawn():
    assert spread(0, [], width=10, height=10).shape == (0, 2)
    assert len({tuple(p) for p in spread(4, [], width=10, height=10).tolist()}) == 4


@pytest.mark.parametrize("sizes", [[0], [1], [2, 128, 1], [160, 160], [1] * 20])
def test_units_of_layers_do_not_overlap(sizes):
    placed = place_layers(sizes)
    assert len(placed.points) == sum(sizes)
    assert len(placed.middles) == len(sizes)
    gaps = np.sqrt(((placed.points[:, None] - placed.points[None]) ** 2).sum(axis=2))
    others = gaps[~np.eye(len(gaps), dtype=bool)]
    assert len(others) == 0 or others.min() >= 2 * placed.radius
    assert (placed.points[:, 1] <= placed.height).all()
    assert (placed.points[:, 0] <= placed.width).all()


def test_blocks_differ_in_colour_or_pattern_and_always_in_letter():
    assert len({(colour(i), pattern(i)) for i in range(28)}) == 28
    assert len({letter(i) for i in range(5000)}) == 5000


@pytest.mark.parametrize("fill", COLOURS)
def test_letters_are_readable_on_every_colour(fill):
    def luminance(text):
        parts = [int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    # The contrast that WCAG 2 asks of normal text.
    assert (luminance(fill) + 0.05) / (luminance("#101114") + 0.05) >= 4.5


@pytest.mark.parametrize("states", [3, 11, 40])
def test_names_of_a_birth_death_chain_do_not_overlap(states):
    rates = {(i, j): "1/7" for i in range(states) for j in (i - 1, i + 1) if 0 <= j < states}
    graph = chain_graph(
        CTMC.from_rates({(f"level {i}", f"level {j}"): w for (i, j), w in rates.items()})
    )
    for row in np.unique(graph.points[:, 1]):
        columns = np.sort(graph.points[graph.points[:, 1] == row, 0])
        assert (np.diff(columns) > 7 * len("level 10")).all()
    assert graph.points[:, 0].max() < graph.width
    assert graph.width < 1500


@given(st.permutations(range(9)))
def test_a_path_is_a_line_however_its_vertices_are_numbered(order):
    pairs = [*itertools.pairwise(order)]
    points = along_a_line(9, pairs, pitch=10, width=1000, row=50)
    gaps = [abs(points[a] - points[b]).sum() for a, b in pairs]
    assert gaps == [10] * 8
    assert longest_way(9, pairs) == 8
    assert along_a_line(9, [*pairs, (order[0], order[8])], pitch=10, width=99, row=5) is None


def test_a_path_beside_a_circle_is_no_line():
    pairs = [(0, 1), (2, 3), (3, 4), (4, 2)]
    assert along_a_line(5, pairs, pitch=10, width=99, row=5) is None
    assert np.isfinite(Graph.of([*"abcde"], [(a, b, "") for a, b in pairs]).points).all()

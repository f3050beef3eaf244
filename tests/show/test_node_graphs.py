"""Pictures of networks that are graphs: layers, joins, skips, and what left."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")

from lumpability import lump
from lumpability.errors import SizeLimit
from lumpability.networks.graph.examples import residual
from lumpability.show import node_graphs
from lumpability.show.pictures import picture


def test_layers_say_how_many_units_stay_and_a_skip_bows_over_what_it_passes() -> None:
    drawn = picture(lump(residual()))
    assert drawn.graph.names == ("x", "4/8", "4/8", "Add", "2/2")
    assert drawn.graph.blocks == (-1, 0, 0, -1, -1)
    links = {(arrow.source, arrow.target): arrow.line for arrow in drawn.graph.arrows}
    assert set(links) == {(0, 1), (1, 2), (1, 3), (2, 3), (3, 4)}
    assert [pair for pair, line in links.items() if "Q" in line] == [(1, 3)]
    assert "MatMul a: 4 of 8 units stay" in drawn.svg
    assert picture(residual()).graph.names[1] == "8/8"
    assert "4/8" in drawn.dot


def test_graphs_that_nobody_could_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_graphs, "LARGEST_DRAWN", 3)
    with pytest.raises(SizeLimit, match="5 layers and joins"):
        picture(residual())

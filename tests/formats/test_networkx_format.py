from __future__ import annotations

from fractions import Fraction

import pytest

from lumpability import CTMC, DTMC
from lumpability.errors import InvalidChain
from lumpability.formats.networkx_format import from_networkx, to_networkx

networkx = pytest.importorskip("networkx")


def test_a_graph_holds_all_of_a_chain(repair):
    graph = to_networkx(repair)
    assert graph.nodes["worn"] == {
        "labels": ["ok", "needs care"],
        "rewards": {
            "cost": {"state": Fraction(1, 7), "action": Fraction(0)},
            "time": {"state": Fraction(1)},
        },
        "initial": Fraction(0),
    }
    assert graph.edges["worn", "up"] == {"weight": Fraction(1, 10)}
    assert from_networkx(graph).equals(repair)
    assert type(repair).from_networkx(graph).equals(repair)
    given = type(repair).from_networkx(graph, labels={"on": ["up"]}, initial="up")
    assert list(given.labels) == ["on"]
    assert list(given.rewards) == ["cost", "time"]
    assert given.initial[given.states.index("up")] == 1


def test_graphs_made_by_hand_are_read():
    graph = networkx.MultiDiGraph(type="ctmc")
    graph.add_edge("a", "b", weight=0.1)
    graph.add_edge("a", "b", weight="0.2")
    graph.nodes["b"]["labels"] = ["goal"]
    graph.nodes["b"]["rewards"] = {"cost": {"state": 1}}
    chain = from_networkx(graph)
    assert chain.matrix.row(0) == [(1, Fraction(3, 10))]
    assert chain.labels["goal"].tolist() == [False, True]
    assert list(chain.rewards["cost"].state) == [0, 1]
    assert chain.reading.distinct == 1


def test_what_is_missing_is_said():
    graph = networkx.DiGraph()
    graph.add_edge("a", "b", weight=1)
    with pytest.raises(InvalidChain, match="say type='CTMC' or type='DTMC'"):
        from_networkx(graph)
    with pytest.raises(InvalidChain, match="row 'b' has no transitions"):
        from_networkx(graph, type="DTMC")
    assert isinstance(from_networkx(graph, type="CTMC"), CTMC)
    graph.add_edge("b", "a", weight=1)
    assert isinstance(from_networkx(graph, type="DTMC"), DTMC)
    graph.nodes["a"]["labels"] = "ok"
    with pytest.raises(InvalidChain, match="the labels of node 'a' are 'ok', not a list of names"):
        CTMC.from_networkx(graph)
    graph.nodes["a"].update({"labels": ["ok"], "rewards": {"r": 3}})
    with pytest.raises(InvalidChain, match="is not a mapping with 'state' and 'action'"):
        from_networkx(graph, type="CTMC")

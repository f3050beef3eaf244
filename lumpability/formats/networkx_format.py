"""Chains as networkx graphs and back, with labels, rewards and the initial distribution.

A node is a state; an edge carries its exact weight; `lumpability.markov.graph_attributes` says where labels, rewards
and the initial distribution are.  The graph's attribute ``type`` is that of the chain.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.errors import InvalidChain, require
from lumpability.formats.assembly import chain_class
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.rationals import DEFAULT_TOLERANCE


def to_networkx(chain: MarkovChain) -> Any:
    """Return a chain as a `networkx.DiGraph` with exact weights.

    - chain: meant for up to some 100,000 states: every node and edge is a Python object

    Raises `MissingDependency` if networkx is not installed.

    >>> from lumpability.markov import CTMC
    >>> graph = to_networkx(CTMC.from_rates({("a", "b"): "1/3"}, labels={"ok": ["a"]}))
    >>> graph.edges["a", "b"]["weight"], graph.nodes["a"]
    (Fraction(1, 3), {'labels': ['ok']})
    """
    graph = require("networkx", extra="graph").DiGraph(
        type=type(chain).__name__,
        labels=list(chain.labels),
        rewards={
            name: {"state": reward.state is not None, "action": reward.action is not None}
            for name, reward in chain.rewards.items()
        },
    )
    states = list(chain.states)
    graph.add_nodes_from(states)
    for name, mask in chain.labels.items():
        for i in np.flatnonzero(mask).tolist():
            graph.nodes[states[i]].setdefault("labels", []).append(name)
    for name, reward in chain.rewards.items():
        parts = {"state": reward.state, "action": reward.action}
        for part, numbers in parts.items():
            for i, value in enumerate(numbers or ()):
                rewards = graph.nodes[states[i]].setdefault("rewards", {})
                rewards.setdefault(name, {})[part] = value
    for i, value in enumerate(chain.initial or ()):
        graph.nodes[states[i]]["initial"] = value
    sources, weights = chain.matrix.sources().tolist(), chain.matrix.weights
    for source, target, weight in zip(sources, chain.matrix.indices.tolist(), weights, strict=True):
        graph.add_edge(states[source], states[target], weight=weight)
    return graph


def from_networkx(
    graph: Any,
    *,
    type: str | None = None,  # noqa: A002  # as for files
    weight: str = "weight",
    float_tolerance: float = DEFAULT_TOLERANCE,
    normalize: bool = False,
) -> MarkovChain:
    """Build a chain from a graph as `to_networkx` makes it.

    - graph: parallel edges are summed
    - type: "CTMC" or "DTMC"; by default the graph's attribute ``type``
    - weight: the edge attribute that holds the rate or probability
    - float_tolerance, normalize: as for `CTMC` and `DTMC`

    Raises `InvalidChain` if the type is not given, an edge has no weight, or the numbers are not a chain's.

    >>> from lumpability.markov import DTMC
    >>> chain = DTMC.from_rates({("a", "b"): 1, ("b", "a"): 1}, labels={"x": []}, initial="b")
    >>> from_networkx(to_networkx(chain)).equals(chain)
    True
    """
    given = type or graph.graph.get("type")
    kind = None if given is None else chain_class(str(given))
    if kind is None:
        raise InvalidChain(f"the graph's type is {given!r}: say type='CTMC' or type='DTMC'")
    return kind.from_networkx(
        graph, weight=weight, float_tolerance=float_tolerance, normalize=normalize
    )

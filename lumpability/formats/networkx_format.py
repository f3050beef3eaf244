"""Chains as networkx graphs and back, with labels, rewards and the initial distribution.

A node is a state; an edge carries its exact weight.  Node attributes: ``labels`` (a list of names),
``rewards`` (name -> {"state": ..., "action": ...}) and ``initial`` (a probability), each only if the state has
some.  The graph's attributes ``labels``, ``rewards`` and ``type`` list all names, so that a
label no state carries is not lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidChain, require
from lumpability.formats.assembly import chain_class
from lumpability.formats.tokens import shown
from lumpability.markov.attributes import Mask, Reward
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.exact_array import ExactArray
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
    States that are the integers 0 .. n-1 in order are not names of their own: the chain has none.

    >>> from lumpability.markov import DTMC
    >>> chain = DTMC.from_rates({("a", "b"): 1, ("b", "a"): 1}, labels={"x": []}, initial="b")
    >>> from_networkx(to_networkx(chain)).equals(chain)
    True
    """
    given = type or graph.graph.get("type")
    kind = None if given is None else chain_class(str(given))
    if kind is None:
        raise InvalidChain(f"the graph's type is {given!r}: say type='CTMC' or type='DTMC'")
    nodes = list(graph.nodes)
    rewards = _rewards(graph, nodes)
    initial = [graph.nodes[node].get("initial", 0) for node in nodes]
    named = kind.from_networkx(
        graph,
        weight=weight,
        labels=_labels(graph, nodes),
        rewards=rewards,
        initial=initial if any("initial" in graph.nodes[node] for node in nodes) else None,
        float_tolerance=float_tolerance,
        normalize=normalize,
    )
    if nodes != list(range(len(nodes))):
        return named
    chain = kind(named.matrix, labels=named.labels, rewards=named.rewards, initial=named.initial)
    chain.reading, chain.rescaled = named.reading, named.rescaled
    return chain


def _labels(graph: Any, nodes: list[Any]) -> dict[str, Mask]:
    labels = {name: np.zeros(len(nodes), dtype=bool) for name in graph.graph.get("labels", ())}
    for i, node in enumerate(nodes):
        for name in graph.nodes[node].get("labels", ()):
            labels.setdefault(name, np.zeros(len(nodes), dtype=bool))[i] = True
    return labels


def _rewards(graph: Any, nodes: list[Any]) -> dict[str, Reward]:
    given = {name: dict(parts) for name, parts in graph.graph.get("rewards", {}).items()}
    for node in nodes:
        for name, parts in graph.nodes[node].get("rewards", {}).items():
            if not isinstance(parts, Mapping) or not set(parts) <= {"state", "action"}:
                raise InvalidChain(
                    f"the reward {shown(str(name))!r} of node {node!r} is not a mapping with 'state' and "
                    "'action'",
                    node=node,
                )
            given.setdefault(name, {}).update(dict.fromkeys(parts, True))
    return {
        name: Reward(
            **{part: _column(graph, nodes, name, part) for part, is_ in parts.items() if is_}
        )
        for name, parts in given.items()
    }


def _column(graph: Any, nodes: list[Any], name: str, part: str) -> ExactArray:
    numbers = [
        graph.nodes[node].get("rewards", {}).get(name, {}).get(part, Fraction(0)) for node in nodes
    ]
    return ExactArray.read(numbers)[0]

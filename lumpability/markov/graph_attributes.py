"""The attributes of the nodes of a networkx graph: labels, rewards, the initial distribution.

A node has ``labels`` (a list of names), ``rewards`` (name -> {"state": ..., "action": ...}) and ``initial`` (a
probability), each only if the state has some.  The graph's own attributes ``labels`` and ``rewards`` list all names,
so that a label no state carries is not lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidChain
from lumpability.markov.attributes import Mask, Reward
from lumpability.numbers.exact_array import ExactArray


def graph_attributes(graph: Any, nodes: list[Any]) -> dict[str, Any]:
    """Return labels, rewards and the initial distribution, as a chain's constructor takes them.

    Raises `InvalidChain` if an attribute of one of these names is of another form.
    """
    given = [graph.nodes[node] for node in nodes]
    initial = [data.get("initial", 0) for data in given]
    return {
        "labels": _labels(graph, nodes),
        "rewards": _rewards(graph, nodes),
        "initial": initial if any("initial" in data for data in given) else None,
    }


def _labels(graph: Any, nodes: list[Any]) -> dict[str, Mask]:
    labels = {name: np.zeros(len(nodes), dtype=bool) for name in graph.graph.get("labels", ())}
    for i, node in enumerate(nodes):
        names = graph.nodes[node].get("labels", ())
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise InvalidChain(
                f"the labels of node {node!r} are {names!r}, not a list of names", node=node
            )
        for name in names:
            labels.setdefault(name, np.zeros(len(nodes), dtype=bool))[i] = True
    return labels


def _rewards(graph: Any, nodes: list[Any]) -> dict[str, Reward]:
    given = {name: dict(parts) for name, parts in graph.graph.get("rewards", {}).items()}
    for node in nodes:
        rewards = graph.nodes[node].get("rewards", {})
        if not isinstance(rewards, Mapping):
            raise InvalidChain(
                f"the rewards of node {node!r} are not a mapping from names", node=node
            )
        for name, parts in rewards.items():
            if not isinstance(parts, Mapping) or not set(parts) <= {"state", "action"}:
                raise InvalidChain(
                    f"the reward {name!r} of node {node!r} is not a mapping with 'state' and 'action'",
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

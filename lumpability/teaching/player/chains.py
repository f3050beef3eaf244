"""The data of the player for a lumping of a chain: plain data, exact numbers as texts.

The player draws the states if there are few.  If there are more, it draws the final blocks, one dot each, because
a history of splits is about these (`lumpability.split_history`).  If there are too many blocks, it shows an
overview.  In every case the browser computes all sums again from the matrix, in exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lumpability.markov.attributes import block_name
from lumpability.markov.chains import CTMC
from lumpability.markov.kinds.kind import Condition
from lumpability.markov.lumping import Lumping
from lumpability.numbers.rationals import shown
from lumpability.partition import Partition
from lumpability.quotient import collapse
from lumpability.show.graphs import LARGEST_DRAWN, Graph, attributes, chain_graph, short
from lumpability.show.text import printable
from lumpability.teaching.player.numbers import WeightTable
from lumpability.teaching.player.splits import playable_history
from lumpability.vocabulary import count

_NAMES = 20_000
_PLAYED = 10_000  # final blocks; a history of them has less than twice as many nodes
_MEMBERS = 12
_DENSE = 1600


def chain_story(lumping: Lumping, title: str | None = None) -> dict[str, Any]:
    """Return the data of the player, for `json.dumps`.

    >>> from lumpability import lump
    >>> from lumpability.markov.examples import land_of_oz
    >>> story = chain_story(lump(land_of_oz()))
    >>> story["level"], story["identity"], [unit["name"] for unit in story["units"]]
    ('states', 'P V = V P^', ['rain', 'nice', 'snow'])
    """
    chain, partition = lumping.chain, lumping.partition
    stats, kind = lumping.stats, lumping.notion
    view = _view(lumping)
    sort = type(chain).__name__
    telling = _telling(lumping)
    return {
        "sort": "chain",
        "title": printable(title or f"{sort} with {count(chain.n, 'state')}, {kind.name} lumping"),
        "chain": sort,
        "kind": kind.name,
        "identity": kind.identity(chain),
        "preserves": kind.preserves,
        "counts": {"states": stats.states, "blocks": stats.blocks},
        "level": view.level,
        "units": view.units,
        "conditions": view.conditions,
        "generator": isinstance(chain, CTMC) and not kind.scaled,
        "proportional": kind.scaled,
        "matrix": next(c for c in kind.identity(chain) if c in "QPR"),
        "weights": view.weights,
        "graph": view.graph,
        "quotient": _quotient(lumping),
        "history": _history(lumping),
        "blocks": [
            {
                "name": printable(block_name(chain.states, partition, block)),
                "size": int(size),
                "notes": attributes(chain, int(partition.representatives[block])),
                "must": attributes(chain, int(partition.representatives[block]), telling),
            }
            for block, size in enumerate(partition.blocks.sizes[:_NAMES].tolist())
        ],
        "states": [printable(str(chain.states[state])) for state in range(min(chain.n, _NAMES))],
        "of": partition.labels[:_NAMES].tolist(),
    }


def _telling(lumping: Lumping) -> set[str]:
    """Return the labels and rewards that tell the blocks of the initial partition apart."""
    chain, respected = lumping.chain, lumping.respected

    def tells(codes: Any) -> bool:
        blocks = Partition(codes)
        return len(blocks) > 1 and respected.refines(blocks)

    labels = {f"label:{name}" for name, mask in chain.labels.items() if tells(mask)}
    rewards = {
        f"reward:{name}"
        for name, reward in chain.rewards.items()
        if any(tells(part.codes) for part in reward.parts)
    }
    return labels | rewards


@dataclass(frozen=True)
class _View:
    """The drawing: states, blocks, or nothing."""

    level: str
    units: list[dict[str, Any]]
    conditions: list[dict[str, Any]]
    weights: dict[str, Any]
    graph: dict[str, Any] | None


def _view(lumping: Lumping) -> _View:
    chain, partition = lumping.chain, lumping.partition
    if chain.n <= LARGEST_DRAWN:
        factors = lumping.factors
        units = [
            {
                "name": printable(str(name)),
                "size": 1,
                "block": block,
                "notes": attributes(chain, state),
                "kappa": None if factors is None else shown(factors[state]),
            }
            for state, (name, block) in enumerate(
                zip(chain.states, partition.labels.tolist(), strict=True)
            )
        ]
        return _drawn("states", units, lumping.notion.conditions(chain))
    if len(partition) <= LARGEST_DRAWN:
        units = [
            {
                "name": printable(block_name(chain.states, partition, block)),
                "size": int(size),
                "block": block,
                "notes": attributes(chain, int(partition.representatives[block])),
                "kappa": None,
            }
            for block, size in enumerate(partition.blocks.sizes.tolist())
        ]
        conditions = [
            Condition(collapse(one.matrix, partition), one.direction)
            for one in lumping.notion.conditions(chain)
        ]
        return _drawn("blocks", units, conditions)
    return _View("overview", [], [], {"parameters": [], "divisor": {}, "values": []}, None)


def _drawn(level: str, units: list[dict[str, Any]], conditions: Sequence[Condition]) -> _View:
    table = WeightTable()
    found = []
    for condition in conditions:
        matrix = condition.matrix.explicit()
        codes = [table.code(value) for value in matrix.weights.values]
        rows, columns = matrix.sources().tolist(), matrix.indices.tolist()
        sources, targets = (rows, columns) if condition.direction == "out" else (columns, rows)
        entries = [
            [source, target, codes[code]]
            for source, target, code in zip(
                sources, targets, matrix.weights.codes.tolist(), strict=True
            )
        ]
        found.append({"direction": condition.direction, "entries": sorted(entries)})
    positive = table.positive
    edges = [
        (source, target, table.texts[code])
        for source, target, code in found[0]["entries"]
        if source != target or positive[code]
    ]
    graph = Graph.of([unit["name"] for unit in units], edges)
    return _View(level, units, found, table.to_json(), drawn_graph(graph))


def drawn_graph(graph: Graph) -> dict[str, Any]:
    """Return the data with which a browser draws a graph."""
    return {
        "width": graph.width,
        "height": graph.height,
        "radius": graph.radius,
        "names": [short(name) for name in graph.names],
        "points": graph.points.tolist(),
        "arrows": [
            {
                "source": arrow.source,
                "target": arrow.target,
                "line": arrow.line,
                "head": arrow.head,
                "at": [arrow.x, arrow.y],
                "text": short(weight, 16),
            }
            for arrow, weight in zip(graph.arrows, graph.weights, strict=True)
        ],
    }


def _quotient(lumping: Lumping) -> dict[str, Any] | None:
    quotient = lumping.quotient
    if quotient.n > LARGEST_DRAWN or quotient.matrix.m > _DENSE:
        return None
    return drawn_graph(chain_graph(quotient))


def _history(lumping: Lumping) -> dict[str, Any] | None:
    if len(lumping.partition) > _PLAYED:
        return None
    small = len(lumping.partition) <= LARGEST_DRAWN
    history = playable_history(lumping) if small else lumping.history
    names = ("order", "starts", "ends", "split_node", "splitter", "condition", "first_part")
    return {
        **{name: getattr(history, name).tolist() for name in names},
        "roots": history.roots,
        "sums": [shown(value) for value in history.sums],
    }

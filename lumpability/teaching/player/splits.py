"""A history of splits in the order in which a teacher would make them: small foreign splitters first.

Any order of splits proves the partition the coarsest (`lumpability.split_history`).  An engine takes the order that is
fast.  Here each step looks for the smallest block that splits another one; a block is split by itself only if nothing
else splits anything.  O(k^3) exact additions for each of at most k splits of k final blocks, so it is for pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.markov.lumping import Lumping
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.quotient import collapse
from lumpability.split_history import History

Node = tuple[int, ...]  # final blocks
Sums = dict[int, Exact]


def playable_history(lumping: Lumping) -> History:
    """Return a history of splits of a small lumping, each by the smallest splitter.

    >>> from lumpability import CTMC, lump
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 2}, labels={"goal": ["c"]})
    >>> history = playable_history(lump(chain))
    >>> history.blocks(int(history.split_node[0])), history.blocks(int(history.splitter[0])), history.sums
    ([0, 2], [1], ExactArray([1, 2]))
    """
    return _Telling(lumping).history()


class _Telling:
    def __init__(self, lumping: Lumping) -> None:
        chain, partition = lumping.chain, lumping.partition
        self.scaled = lumping.notion.scaled
        self.sizes = partition.blocks.sizes.tolist()
        self.rows: list[list[dict[int, Exact]]] = []
        for condition in lumping.notion.conditions(chain):
            matrix = collapse(condition.matrix, partition).explicit()
            self.rows.append([dict(matrix.row(block)) for block in range(len(partition))])
        start = lumping.respected.restrict(partition.representatives)
        self.nodes: list[Node] = [tuple(block.tolist()) for block in start.blocks]
        self.alive = list(range(len(self.nodes)))
        self.roots = len(self.nodes)
        self.splits: list[tuple[int, int, int, list[int]]] = []
        self.sums: list[Exact] = []
        self.children: dict[int, list[int]] = {}

    def history(self) -> History:
        """Split until every node is a final block."""
        while True:
            split = next(self._candidates(), None)
            if split is None:
                break
            self._make(*split)
        order: list[int] = []
        spans: dict[int, tuple[int, int]] = {}
        for root in range(self.roots):
            self._place(root, order, spans)
        bounds = [self.roots, *(parts[-1] + 1 for *_, parts in self.splits)]
        ends = [spans[node] for node in range(len(self.nodes))]
        return History(
            np.array(order, dtype=np.int64),
            np.array([low for low, _ in ends], dtype=np.int64),
            np.array([high for _, high in ends], dtype=np.int64),
            self.roots,
            np.array([split[0] for split in self.splits], dtype=np.int64),
            np.array([split[1] for split in self.splits], dtype=np.int64),
            np.array([split[2] for split in self.splits], dtype=np.int64),
            np.array(bounds, dtype=np.int64),
            ExactArray.of_values(np.arange(len(self.sums)), self.sums),
        )

    def _candidates(self) -> Iterator[tuple[int, int, int, Sums]]:
        """Yield splits, the best first: node, splitter, condition and the value of every final block."""
        by_size = sorted(self.alive, key=lambda node: (self._size(node), node))
        for own in (False, True):
            for splitter in by_size:
                inside = set(self.nodes[splitter])
                for condition in range(len(self.rows)):
                    for node in [splitter] if own else self.alive:
                        if len(self.nodes[node]) < 2 or (node == splitter) != own:
                            continue
                        if own and self.scaled:
                            continue
                        values = {
                            b: self._value(condition, b, inside, node) for b in self.nodes[node]
                        }
                        if len(set(values.values())) > 1:
                            yield node, splitter, condition, values

    def _size(self, node: int) -> int:
        return sum(self.sizes[block] for block in self.nodes[node])

    def _value(self, condition: int, block: int, inside: set[int], node: int) -> Exact:
        row = self.rows[condition][block]
        total = _added(weight for target, weight in row.items() if target in inside)
        if not self.scaled:
            return total
        members = set(self.nodes[node])
        leaving = _added(weight for target, weight in row.items() if target not in members)
        return total / leaving if leaving != 0 else total

    def _make(self, node: int, splitter: int, condition: int, values: Sums) -> None:
        parts: dict[Exact, list[int]] = {}
        for block, value in values.items():
            parts.setdefault(value, []).append(block)
        numbers = list(range(len(self.nodes), len(self.nodes) + len(parts)))
        self.nodes += [tuple(members) for members in parts.values()]
        self.sums += list(parts)
        self.splits.append((node, splitter, condition, numbers))
        self.children[node] = numbers
        place = self.alive.index(node)
        self.alive[place : place + 1] = numbers

    def _place(self, node: int, order: list[int], spans: dict[int, tuple[int, int]]) -> None:
        low = len(order)
        if node in self.children:
            for part in self.children[node]:
                self._place(part, order, spans)
        else:
            order += self.nodes[node]
        spans[node] = (low, len(order))


def _added(weights: Any) -> Exact:
    total: Exact = Fraction(0)
    for weight in weights:
        total = total + weight
    return total

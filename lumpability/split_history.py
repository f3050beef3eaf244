"""Splits that prove a partition the coarsest: a forest over the final blocks, no two of which can be merged.

The roots are the blocks of the initial partition.  A split divides a node whose members have different
sums of weights into a splitter, which is an earlier node.  Every stable partition that refines the roots
separates what a split separates.  Proof by induction: all nodes so far are unions of its blocks; so is the
splitter; hence members of one of its blocks have equal sums into the splitter, and the parts are unions of
its blocks.  The leaves are single final blocks, so no stable partition merges two of them, and the final
partition is the coarsest.  It is stable itself, so one member represents each final block: a history is
about the quotient, not about the states, and checking it needs no engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import ExactArray

IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class History:
    """A forest of splits, as arrays.

    Nodes are numbered in the order in which they arise: first the roots, then the parts of the first split,
    and so on.  Every node is a range of `order`.

    Attributes
    ----------
    order : array of int, shape (blocks,)
        The final blocks, arranged so that every node is a range.
    starts, ends : array of int, shape (nodes,)
        Node v is the union of the final blocks ``order[starts[v]:ends[v]]``.
    roots : int
        Nodes 0 .. roots - 1 are the blocks that had to be refined.
    split_node, splitter : array of int, shape (splits,)
        The node that a split divides, and the node into which its sums go.
    condition : array of int, shape (splits,)
        Which of the kind's matrices the sums belong to: 0, or for strict lumpability also 1.
    first_part : array of int, shape (splits + 1,)
        The parts of split i are the nodes ``first_part[i] .. first_part[i + 1] - 1``; ``first_part[0]`` is
        `roots`, and the last entry is the number of nodes.
    sums : ExactArray, shape (nodes - roots,)
        For every part the sum into the splitter of each of its members; for proportional lumpability
        the share of that sum in the rate out of the split node (0 if that rate is 0); then no
        splitter overlaps the split node.
    """

    order: IntArray
    starts: IntArray
    ends: IntArray
    roots: int
    split_node: IntArray
    splitter: IntArray
    condition: IntArray
    first_part: IntArray
    sums: ExactArray

    @property
    def splits(self) -> int:
        """The number of splits."""
        return len(self.split_node)

    def blocks(self, node: int) -> list[int]:
        """Return the final blocks of which a node is the union, in ascending order."""
        return sorted(self.order[self.starts[node] : self.ends[node]].tolist())

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `json.dumps` accepts: numbers as text, so that they stay exact.

        >>> from lumpability import CTMC, lump
        >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 2}, labels={"goal": ["c"]})
        >>> lump(chain).history.to_json()["splits"]
        [{'node': 0, 'splitter': 0, 'condition': 0, 'parts': [2, 3], 'sums': ['-1', '-2']}]
        """
        texts = [str(value) for value in self.sums.values]
        sums = [texts[code] for code in self.sums.codes.tolist()]
        bounds = self.first_part.tolist()
        splits = [
            {
                "node": node,
                "splitter": splitter,
                "condition": condition,
                "parts": list(range(low, high)),
                "sums": sums[low - self.roots : high - self.roots],
            }
            for node, splitter, condition, low, high in zip(
                self.split_node.tolist(),
                self.splitter.tolist(),
                self.condition.tolist(),
                bounds[:-1],
                bounds[1:],
                strict=True,
            )
        ]
        return {
            "order": self.order.tolist(),
            "nodes": list(zip(self.starts.tolist(), self.ends.tolist(), strict=True)),
            "roots": self.roots,
            "splits": splits,
        }

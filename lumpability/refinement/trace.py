"""What a refinement leaves behind: splits, witnesses, the trace.  Plain data, readable as JSON.

The trace is a forest.  Its first nodes are the blocks of the initial partition; a split replaces a
node by its parts, which become new nodes.  At any moment the current partition is the set of leaves,
so every node is a union of final blocks.  A split records why it was made: the states of one part have
another sum of weights into the splitter than the states of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lumpability.exact_array import Exact
from lumpability.rationals import shown

__all__ = ["Split", "Trace", "Witness"]


@dataclass(frozen=True)
class Witness:
    """Two states of one block with different sums of weights into the same block.

    Attributes
    ----------
    state, other : int
        The two states, which share a block.
    block : int
        The block into which (or, for `direction` "in", from which) the sums are taken.
    total, other_total : Exact
        The two sums.
    direction : {"out", "in"}

    Examples
    --------
    >>> from fractions import Fraction
    >>> print(Witness(0, 2, 1, Fraction(3, 2), Fraction(1)))
    states 0 and 2: 3/2 against 1 into block 1
    """

    state: int
    other: int
    block: int
    total: Exact
    other_total: Exact
    direction: str = "out"

    def __str__(self) -> str:
        way = "into" if self.direction == "out" else "from"
        return (
            f"states {self.state} and {self.other}: {shown(self.total)} against {shown(self.other_total)} "
            f"{way} block {self.block}"
        )


@dataclass(frozen=True)
class Split:
    """One block falls apart because its states have different sums into the splitter.

    Attributes
    ----------
    node : int
        The block that splits.
    splitter : int
        The node whose states the sums run over.
    parts : tuple of int
        The new nodes.
    sums : tuple of Exact
        The sum into the splitter of every state of each part.
    """

    node: int
    splitter: int
    parts: tuple[int, ...]
    sums: tuple[Exact, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data: numbers as text, so that they stay exact."""
        return {
            "node": self.node,
            "splitter": self.splitter,
            "parts": list(self.parts),
            "sums": [str(total) for total in self.sums],
        }


@dataclass(frozen=True)
class Trace:
    """The history of a refinement: initial blocks, then splits in order.

    Attributes
    ----------
    roots : int
        Nodes 0 .. roots - 1 are the blocks of the initial partition.
    splits : sequence of Split
    leaf_of_block : tuple of int
        The node that each block of the final partition ended as.
    """

    roots: int
    splits: Sequence[Split] = field(default_factory=tuple)
    leaf_of_block: tuple[int, ...] = ()

    def final_blocks(self) -> dict[int, list[int]]:
        """Return for each node the final blocks of which it is the union."""
        union: dict[int, list[int]] = {
            leaf: [block] for block, leaf in enumerate(self.leaf_of_block)
        }
        for split in reversed(self.splits):
            union[split.node] = sorted(b for part in split.parts for b in union[part])
        return union

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `json.dumps` accepts."""
        return {
            "roots": self.roots,
            "splits": [split.to_json() for split in self.splits],
            "leaf_of_block": list(self.leaf_of_block),
        }

"""A history of splits, replayed: no coarser partition that respects the same is a lumping.

See `lumpability.split_history` for why a history is a proof.  What has to be checked of it is little, because
the final partition is a lumping: one row of sums speaks for each final block.

1. The nodes are a forest: roots tile the final blocks, the parts of a split tile its node, no node is
   split twice, and those that are not split are single blocks.
2. The roots are exactly the classes of what must be respected.
3. A splitter was there before the parts of its split.
4. Every member of a part has the recorded sum into the splitter, and different parts of a split have
   different sums.

The last is in `lumpability.certificate.replay`, the others are here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.certificate.replay import Replay, refuse
from lumpability.partition import Partition
from lumpability.split_history import History
from lumpability.structure import WeightedStructure

__all__ = ["replay"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]


def replay(
    history: History,
    matrices: list[WeightedStructure],
    respected: Partition,
    *,
    proportional: bool = False,
) -> None:
    """Check that a history proves that no two blocks can be merged.

    Raises `Contradiction` if it does not.

    Parameters
    ----------
    matrices : list of WeightedStructure, each of k states
        The sums of one member of each block, for every condition of the kind.
    respected : Partition
        Of the k blocks, by what must be respected.
    proportional : bool
        Whether recorded sums are shares of what leaves the split node.
    """
    _check_forest(history, respected.n, len(matrices))
    _check_roots(history, respected)
    touched = np.zeros(len(history.sums), dtype=np.int64)
    for number, matrix in enumerate(matrices):
        splits = np.flatnonzero(history.condition == number)
        if len(splits):
            Replay.of(history, matrix, splits, proportional).run(touched)
    nonzero = np.array([value != 0 for value in history.sums.values], dtype=bool)
    sizes = (history.ends - history.starts)[history.roots :]
    missing = np.flatnonzero(nonzero[history.sums.codes] & (touched != sizes))
    if len(missing):
        part = history.roots + int(missing[0])
        refuse(f"node {part} has members whose sum into the splitter is zero, not what is recorded")


def _check_forest(history: History, blocks: int, conditions: int) -> None:
    starts, ends, roots = history.starts, history.ends, history.roots
    first, node = history.first_part, history.split_node
    nodes, splits = len(starts), len(node)
    fits = len(ends) == nodes == roots + len(history.sums) and len(first) == splits + 1
    if not fits or not len(history.splitter) == len(history.condition) == splits:
        refuse("its columns have lengths that do not belong together")
    if not np.array_equal(np.sort(history.order), np.arange(blocks)):
        refuse(f"its order does not hold each of {blocks} blocks once")
    if nodes and not ((starts >= 0) & (starts < ends) & (ends <= blocks)).all():
        refuse("a node is no range of blocks")
    if not _tiles(starts[:roots], ends[:roots], 0, blocks):
        refuse("the roots do not tile the blocks")
    if first[0] != roots or first[-1] != nodes or (np.diff(first) < 2).any():
        refuse("a split has fewer than two parts, or parts of its own that it does not name")
    if splits and not ((node >= 0) & (node < first[:-1])).all():
        refuse("a node is split before it is there")
    if splits and not ((history.splitter >= 0) & (history.splitter < first[:-1])).all():
        refuse("a splitter is not there before the parts of its split")
    if splits and not ((history.condition >= 0) & (history.condition < conditions)).all():
        refuse("a split refers to a condition that the kind does not have")
    inner = np.bincount(node, minlength=nodes)
    if inner.max(initial=0) > 1:
        refuse(f"node {int(inner.argmax())} is split twice")
    if ((inner == 0) & (ends - starts > 1)).any():
        left = int(np.flatnonzero((inner == 0) & (ends - starts > 1))[0])
        refuse(f"node {left} stays together, although it holds {ends[left] - starts[left]} blocks")
    begins, lasts = first[:-1], first[1:] - 1
    behind = np.ones(nodes, dtype=bool)  # whether a node starts where the one before it ends
    behind[1:] = starts[1:] == ends[:-1]
    behind[begins] = True
    tiled = (starts[begins] == starts[node]) & (ends[lasts] == ends[node])
    if not (tiled.all() and behind[roots:].all()):
        refuse("the parts of a split do not tile its node")
    _check_different(history, splits)


def _tiles(starts: IntArray, ends: IntArray, low: int, high: int) -> bool:
    return bool(np.array_equal(np.append(low, ends), np.append(starts, high)))


def _check_different(history: History, splits: int) -> None:
    """Refuse a split two of whose parts have one sum."""
    owner = np.repeat(np.arange(splits), np.diff(history.first_part))
    keys = np.sort(owner * max(len(history.sums.values), 1) + history.sums.codes)
    if (keys[1:] == keys[:-1]).any():
        refuse("two parts of a split have the same sum into the splitter")


def _check_roots(history: History, respected: Partition) -> None:
    sizes = (history.ends - history.starts)[: history.roots]
    root = np.empty(respected.n, dtype=np.int64)
    root[history.order] = np.repeat(np.arange(history.roots), sizes)
    if Partition(root) != respected:
        refuse("the roots are not the blocks of what must be respected")

"""Names for blocks: short, readable, and different for different blocks."""

from __future__ import annotations

from typing import Any

from lumpability.markov.attributes import States
from lumpability.partition import Partition

__all__ = ["block_name", "block_names"]

_SHOWN = 4


def block_name(states: States, partition: Partition, block: int) -> str:
    """Name a block by its first members: "{a, b, c, d, ... 7 more}".

    Examples
    --------
    >>> block_name(States(6), Partition([0, 1, 1, 1, 1, 1]), 1)
    '{1, 2, 3, 4, ... 1 more}'
    """
    members = partition.blocks[block]
    shown = [str(states[i]) for i in members[:_SHOWN].tolist()]
    if len(members) > _SHOWN:
        shown.append(f"... {len(members) - _SHOWN} more")
    return "{" + ", ".join(shown) + "}"


def block_names(states: States, partition: Partition) -> list[Any] | None:
    """Return names for the states of the quotient; a block of one keeps its state's name.

    Examples
    --------
    >>> block_names(States(3, ["a", "b", "c"]), Partition([0, 1, 0]))
    ['{a, c}', 'b']
    """
    if not states.named or len(partition) == partition.n:
        return list(states) if states.named else None
    singles = partition.blocks.sizes == 1
    names: dict[Any, None] = {}
    for block, first in enumerate(partition.representatives.tolist()):
        name = states[first] if singles[block] else block_name(states, partition, block)
        while name in names:  # a state may itself be called "{a, b}"
            name = f"{name}'"
        names[name] = None
    return list(names)

"""Refinement in rounds, as one does it by hand.

In every round each state is observed: its sums into (or from) every block of the partition so far, which
of them depends on the kind.  States that share a block and differ in a sum are separated, all at once.
Rounds are canonical, unlike single splits, whose order is free; the last partition is the same.
"""

from __future__ import annotations

from lumpability.markov.chains import MarkovChain
from lumpability.markov.kinds import find_kind
from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.refinement.definition import block_sums, rounds

__all__ = ["Observation", "block_text", "observations", "rounds_of"]

Observation = dict[tuple[str, int], Exact]
"""For (direction, block) a sum that is not zero: into the block for "out", from it for "in"."""


def observations(chain: MarkovChain, partition: Partition, *, kind: str) -> list[Observation]:
    """Return what one round compares of every state.

    Parameters
    ----------
    chain : CTMC or DTMC
    partition : Partition
    kind : str
        For "proportional" the sums are shares of what leaves the block.

    Returns
    -------
    list of dict
        For each state the sums that are not zero, by direction and block.

    Examples
    --------
    >>> from lumpability.markov.examples import land_of_oz
    >>> chain = land_of_oz()
    >>> observations(chain, Partition.of([0, 1, 0]), kind="ordinary")[0]
    {('out', 0): Fraction(3, 4), ('out', 1): Fraction(1, 4)}
    """
    found: list[Observation] = [{} for _ in range(chain.n)]
    chosen = find_kind(kind)
    for condition in chosen.conditions(chain):
        for state, own in enumerate(partition.labels.tolist()):
            sums = chosen.normal.of(block_sums(condition.matrix, partition, state), own)
            found[state].update({(condition.direction, b): total for b, total in sums.items()})
    return found


def rounds_of(chain: MarkovChain, *, kind: str) -> list[Partition]:
    """Return the partitions after 0, 1, 2, ... rounds, up to the one that no round splits.

    Parameters
    ----------
    chain : CTMC or DTMC
    kind : str

    Returns
    -------
    list of Partition
        The first is by what the kind respects (labels and rewards), the last the coarsest lumping.

    Notes
    -----
    O(rounds x transitions).

    Examples
    --------
    >>> from lumpability.markov.examples import machine_repair
    >>> [len(partition) for partition in rounds_of(machine_repair(3), kind="ordinary")]
    [2, 4]
    """
    chosen = find_kind(kind)
    matrices = [condition.matrix for condition in chosen.conditions(chain)]
    return list(rounds(matrices, chain.respected(chosen.respects), chosen.normal))


def block_text(chain: MarkovChain, partition: Partition, block: int) -> str:
    """Return all members of a block, in braces: exercises are small.

    Examples
    --------
    >>> from lumpability.markov.examples import land_of_oz
    >>> block_text(land_of_oz(), Partition.of([0, 1, 0]), 0)
    '{rain, snow}'
    """
    members = (str(chain.states[state]) for state in partition.blocks[block].tolist())
    return "{" + ", ".join(members) + "}"

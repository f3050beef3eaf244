"""Whether a partition is stable, decided in exact arithmetic, without any engine.

V is the indicator of the partition, n x k: V[s, C] = 1 iff s is in C.  M^ has for block B the sums of the
row of its first member into every block C: M^[B, C] = sum of M[s, u], u in C.  The partition is stable
exactly when M V = V M^: every state of B has the same sums as its first.
"""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter

import numpy as np

from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.partition import Partition
from lumpability.refinement.definition import signature
from lumpability.refinement.witness import Witness
from lumpability.structure import WeightedStructure

__all__ = [
    "block_sums",
    "disagreement",
    "first_rows",
    "initial_of_blocks",
    "is_stable",
    "witness_between",
]

_CHUNK = 1 << 22


def block_sums(structure: WeightedStructure, partition: Partition, state: int) -> dict[int, Exact]:
    """Return the non-zero sums of weights of one state into each block.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 0], [1, 2], [1, 2])
    >>> block_sums(structure, Partition.of([0, 1, 1]), 0)
    {1: Fraction(3, 1)}
    """
    return dict(sorted(signature(structure, partition, state), key=itemgetter(0)))


def first_rows(structure: WeightedStructure, partition: Partition) -> WeightedStructure:
    """Return M^: the sums of the rows of the first members of blocks; O(their transitions), plus sorting.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 0, 1, 2], [1, 2, 0, 0], ["1/2", "1/2", 1, 1])
    >>> rows = first_rows(structure, Partition.of([{0}, {1, 2}]))
    >>> rows.row(0), rows.row(1)
    ([(1, Fraction(1, 1))], [(0, Fraction(1, 1))])
    """
    owner, positions = structure.entries_of(partition.representatives)
    columns = partition.labels[structure.indices[positions]]
    if structure.closed:  # sums into the own block are left to the understood diagonal
        other = columns != owner
        owner, columns, positions = owner[other], columns[other], positions[other]
    weights = ExactArray(structure.weights.codes[positions], structure.weights.values)
    rows = WeightedStructure.from_edges(
        len(partition), owner, columns, weights, initial=initial_of_blocks(structure, partition)
    )
    return replace(rows, closed=structure.closed)


def initial_of_blocks(structure: WeightedStructure, partition: Partition) -> Partition | None:
    """Return the initial partition of the structure on blocks; None stands for a single block.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [], [], [], initial=Partition.of([0, 0, 1]))
    >>> initial_of_blocks(structure, Partition.of([{0}, {1}, {2}]))
    Partition([[0, 1], [2]])
    """
    if len(structure.initial) == 1:
        return None
    return structure.initial.restrict(partition.representatives)


def is_stable(structure: WeightedStructure, partition: Partition) -> bool:
    """Whether M V = V M^, decided on rational components of the weights.

    Raises
    ------
    ValueError
        If the weights have no `components`.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], ["x + y", "y + x"])
    >>> is_stable(structure, Partition.of([{0, 2}, {1}])), is_stable(structure, Partition.trivial(3))
    (True, False)
    """
    if structure.weights.is_rational:
        return disagreement(structure, partition) is None
    components = structure.weights.components
    if components is None:
        raise ValueError("these rational functions have too many monomials")
    distinct = (ExactArray.of_values(weights.codes, weights.values) for weights in components)
    return all(
        disagreement(replace(structure, weights=weights), partition) is None for weights in distinct
    )


def disagreement(structure: WeightedStructure, partition: Partition) -> Witness | None:
    """Check M V = V M^ exactly; return a witness against it, or None if it holds.

    Parameters
    ----------
    structure : WeightedStructure
    partition : Partition
        Of the same states.

    Notes
    -----
    Every row is compared with the row of its block's first member: O(m) exact additions in chunks of
    rows, with memory for about four million entries at a time.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [1, 2])
    >>> print(disagreement(structure, Partition.of([{0, 2}, {1}])))
    states 0 and 2: 1 against 2 into block 1
    """
    structure = structure.explicit()
    quotient = first_rows(structure, partition)
    negated = quotient.weights.map(lambda weight: -weight)
    labels = partition.labels
    expected = np.diff(quotient.indptr)[labels] if structure.n else np.empty(0, dtype=np.int64)
    work = np.concatenate([[0], np.cumsum(np.diff(structure.indptr) + expected)])
    low = 0
    while low < structure.n:
        high = max(low + 1, int(np.searchsorted(work, work[low] + _CHUNK, side="right")) - 1)
        states = np.arange(low, min(high, structure.n))
        owner, positions = structure.entries_of(states)
        owner_of_expected, expected_positions = quotient.entries_of(labels[states])
        found = ExactArray(structure.weights.codes[positions], structure.weights.values)
        minus = ExactArray(negated.codes[expected_positions], negated.values)
        indptr, columns, differences = sum_entries(
            (len(states), len(partition)),
            np.concatenate([owner, owner_of_expected]),
            np.concatenate(
                [labels[structure.indices[positions]], quotient.indices[expected_positions]]
            ),
            found.concatenate(minus),
        )
        nonzero = np.array([value != 0 for value in differences.values], dtype=bool)
        wrong = np.flatnonzero(nonzero[differences.codes])
        if len(wrong):
            row = int(np.searchsorted(indptr, wrong[0], side="right")) - 1
            state, own = low + row, int(labels[low + row])
            blocks = columns[wrong[wrong < indptr[row + 1]]].tolist()
            # Another block says more than the own one, whose sum holds the diagonal of a generator.
            block = next((b for b in blocks if b != own), blocks[0])
            first = int(partition.representatives[own])
            return witness_between(structure, partition, first, state, block)
        low = high
    return None


def witness_between(
    structure: WeightedStructure, partition: Partition, state: int, other: int, block: int
) -> Witness:
    """Return the witness that two states have different sums into a block."""
    zero: Exact = 0
    first = block_sums(structure, partition, state).get(block, zero)
    second = block_sums(structure, partition, other).get(block, zero)
    return Witness(state, other, block, first, second)

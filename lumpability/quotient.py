"""Collapse a structure along a partition, carry vectors across, check the identity that proves it.

V is the indicator of the partition, n x k: V[s, C] = 1 iff s is in C.  The collapse of M takes for
block B the sums of the row of its first member into every block C: M^[B, C] = sum of M[s, u], u in C.
The partition is stable exactly when M V = V M^.  `disagreement` checks that in exact arithmetic; it
does not use the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from operator import itemgetter
from typing import Any

import numpy as np

from lumpability.exact_array import Exact, ExactArray
from lumpability.integers import smallest_unsigned
from lumpability.partition import Partition
from lumpability.refinement import COMPILE_BEYOND
from lumpability.refinement.reference import signature
from lumpability.refinement.witness import Witness
from lumpability.sparse_sums import sum_entries
from lumpability.structure import WeightedStructure

__all__ = [
    "Verdict",
    "block_sums",
    "collapse",
    "disagreement",
    "project",
    "pull_back",
    "spread",
]

_CHUNK = 1 << 22


@dataclass(frozen=True)
class Verdict:
    """Whether a partition is a lumping of some kind; falsy when it is not.

    Attributes
    ----------
    kind : str
    witness : object or None
        What shows that it is not: for chains a `Witness` (two states of one block, a block, two sums).
    text : str
        The verdict in words, with the names of the model.
    explanation : object or None
        For chains the transitions behind the two sums, see `lumpability.markov.reasons.Step`.

    Examples
    --------
    >>> bool(Verdict("ordinary", None, "yes")), bool(Verdict("ordinary", Witness(0, 1, 0, 1, 2), "no"))
    (True, False)
    """

    kind: str
    witness: Any
    text: str
    explanation: Any = field(default=None, kw_only=True, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.witness is None

    def __str__(self) -> str:
        return self.text


def block_sums(structure: WeightedStructure, partition: Partition, state: int) -> dict[int, Exact]:
    """Return the non-zero sums of weights of one state into each block.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 0], [1, 2], [1, 2])
    >>> block_sums(structure, Partition.of([0, 1, 1]), 0)
    {1: Fraction(3, 1)}
    """
    return dict(sorted(signature(structure, partition, state), key=itemgetter(0)))


def collapse(structure: WeightedStructure, partition: Partition) -> WeightedStructure:
    """Return the structure on blocks given by the rows of their first members.

    It is the quotient if the partition is stable; `disagreement` tells.  O(transitions of the first
    members).

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 0, 1, 2], [1, 2, 0, 0], ["1/2", "1/2", 1, 1])
    >>> quotient = collapse(structure, Partition.of([{0}, {1, 2}]))
    >>> quotient.row(0), quotient.row(1)
    ([(1, Fraction(1, 1))], [(0, Fraction(1, 1))])
    """
    blocks = len(partition)
    if blocks == structure.n:
        return structure  # canonical numbering: every state is its own block
    initial = None  # one block
    if len(structure.initial) > 1:
        initial = structure.initial.restrict(partition.representatives)
    if structure.m > COMPILE_BEYOND:
        from lumpability.refinement.kernel_collapse import collapse as collapse_compiled

        collapsed = collapse_compiled(structure, partition, initial)
        if collapsed is not None:
            return collapsed
    owner, positions = structure.entries_of(partition.representatives)
    columns = partition.labels[structure.indices[positions]]
    if structure.closed:  # sums into the own block are left to the understood diagonal
        other = columns != owner
        owner, columns, positions = owner[other], columns[other], positions[other]
    weights = ExactArray(structure.weights.codes[positions], structure.weights.values)
    collapsed = WeightedStructure.from_edges(blocks, owner, columns, weights, initial=initial)
    return replace(collapsed, closed=structure.closed)


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
    quotient = collapse(structure, partition)
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


def project(vector: ExactArray, partition: Partition) -> ExactArray:
    """Sum a vector over blocks: x V, shape (len(partition),); exact, O(n).

    Examples
    --------
    >>> vector, _ = ExactArray.read(["1/2", "1/3", "1/6"])
    >>> project(vector, Partition.of([0, 1, 0]))
    ExactArray([2/3, 1/3])
    """
    blocks = len(partition)
    if blocks == partition.n:
        return vector  # canonical numbering: every state is its own block
    support = vector.support()
    if not len(support):
        return ExactArray.constant(Fraction(0), blocks)
    if len(support) == 1 < blocks:  # as of most initial distributions
        state = int(support[0])
        codes = np.zeros(blocks, dtype=np.uint8)
        codes[partition.labels[state]] = 1
        return ExactArray(codes, (_zero_in(vector), vector[state]))
    reached = partition.labels[support]
    order = np.argsort(reached, kind="stable")
    reached, starts = np.unique(reached[order], return_index=True)
    sums = vector.take(support[order]).segment_sums(np.append(starts, len(support)))
    if len(reached) == blocks:
        return sums
    number = {_zero_in(vector): 0}  # of each distinct sum
    renamed = [number.setdefault(value, len(number)) for value in sums.values]
    codes = np.zeros(blocks, dtype=smallest_unsigned(len(number)))
    codes[reached] = np.array(renamed)[sums.codes]
    return ExactArray(codes, tuple(number))


def _zero_in(vector: ExactArray) -> Exact:
    """Return the zero of a vector that has one: of its field, if parameters occur."""
    return next(value for value in vector.values if not value)


def pull_back(vector: ExactArray, partition: Partition) -> ExactArray:
    """Give every state the value of its block: V f, shape (n,).

    Examples
    --------
    >>> vector, _ = ExactArray.read([5, 7])
    >>> pull_back(vector, Partition.of([0, 1, 0]))
    ExactArray([5, 7, 5])
    """
    return vector.take(partition.labels)


def spread(vector: ExactArray, partition: Partition) -> ExactArray:
    """Give every state its equal share of the value of its block: x diag(1/|C|) V^T, shape (n,).

    Examples
    --------
    >>> vector, _ = ExactArray.read(["1/3", "2/3"])
    >>> spread(vector, Partition.of([0, 1, 1]))
    ExactArray([1/3, 1/3, 1/3])
    """
    shares = [
        value / size for value, size in zip(vector, partition.blocks.sizes.tolist(), strict=True)
    ]
    return ExactArray.of_values(partition.labels, shares)

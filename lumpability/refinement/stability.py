"""The exact decision whether a partition is stable, without an accelerator.

V is the indicator of the partition, n x k: V[s, C] = 1 iff s is in C.  M^ has for block B the sums of the
row of its first member into every block C: M^[B, C] = sum of M[s, u], u in C.  The partition is stable exactly when
M V = V M^: every state of B has the same sums as the first state of B.  Under another normal form than `SUMS`,
the normal forms of the sums are the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.partition import Partition
from lumpability.refinement.definition import block_sums
from lumpability.refinement.normal_form import SUMS, NormalForm
from lumpability.refinement.witness import Witness
from lumpability.structure import Structure, WeightedStructure

__all__ = ["disagreement", "first_rows", "initial_of_blocks", "is_stable"]

Array = np.ndarray[Any, Any]


def first_rows(structure: WeightedStructure, partition: Partition) -> WeightedStructure:
    """Return M^: the sums of the rows of the first members of blocks; O(their transitions), plus sorting.

    >>> structure = WeightedStructure.from_edges(3, [0, 0, 1, 2], [1, 2, 0, 0], ["1/2", "1/2", 1, 1])
    >>> rows = first_rows(structure, Partition.of([{0}, {1, 2}]))
    >>> rows.row(0), rows.row(1)
    ([(1, Fraction(1, 1))], [(0, Fraction(1, 1))])
    """
    owner, positions = structure.entries_of(partition.representatives)
    columns = partition.labels[structure.indices[positions]]
    if structure.closed:  # the implicit diagonal determines sums into the own block
        other = columns != owner
        owner, columns, positions = owner[other], columns[other], positions[other]
    weights = ExactArray(structure.weights.codes[positions], structure.weights.values)
    rows = WeightedStructure.from_edges(
        len(partition), owner, columns, weights, within=initial_of_blocks(structure, partition)
    )
    return replace(rows, closed=structure.closed)


def initial_of_blocks(structure: WeightedStructure, partition: Partition) -> Partition | None:
    """Return the initial partition of the structure on blocks; None means a single block.

    >>> structure = WeightedStructure.from_edges(3, [], [], [], within=Partition.of([0, 0, 1]))
    >>> initial_of_blocks(structure, Partition.of([{0}, {1}, {2}]))
    Partition([[0, 1], [2]])
    """
    if len(structure.within) == 1:
        return None
    return structure.within.restrict(partition.representatives)


def is_stable(structure: WeightedStructure, partition: Partition) -> bool:
    """Whether M V = V M^; for rational functions decided one monomial at a time.

    Raises `ValueError` if the weights have no `components`.

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


def disagreement(
    structure: Structure, partition: Partition, normal: NormalForm = SUMS
) -> Witness | None:
    """Decide exactly whether a partition is stable; return a witness against it, or None.

    The witness is the first state, in ascending order, whose normal form is not that of the first member of its
    block, and the first block in which the two differ, their own block last.
    O(m) exact additions, chunk by chunk; each chunk sums the rows of its blocks' first members again.  States
    that are alone are skipped.

    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [1, 2])
    >>> print(disagreement(structure, Partition.of([{0, 2}, {1}])))
    states 0 and 2: 1 against 2 into block 1
    """
    first = partition.representatives[partition.labels]
    for chunk in structure.chunks():
        states = chunk[first[chunk] != chunk]
        if len(states):
            firsts, place = np.unique(first[states], return_inverse=True)
            forms = _normal_forms(structure, partition, np.concatenate([firsts, states]), normal)
            wrong = _first_unequal(forms, len(firsts) + np.arange(len(states)), place)
            if wrong is not None:
                state, other = int(firsts[place[wrong]]), int(states[wrong])
                return _witness(structure, partition, state, other, normal)
    return None


def _normal_forms(
    structure: Structure, partition: Partition, states: Array, normal: NormalForm
) -> WeightedStructure:
    """Return the normal forms of the block sums of some states, a row for each."""
    owner, targets, weights = structure.rows(states)
    shape = len(states), len(partition)
    summed = sum_entries(shape, owner, partition.labels[targets], weights)
    sums = WeightedStructure.without_zeros(*summed, None)
    return normal.of_rows(sums, partition.labels[states])


def _first_unequal(rows: WeightedStructure, some: Array, others: Array) -> int | None:
    """Return the first place at which rows of one list differ from those of another."""
    lengths = np.diff(rows.indptr)
    same_length = np.flatnonzero(lengths[some] == lengths[others])
    owner, positions = rows.entries_of(some[same_length])
    _, expected = rows.entries_of(others[same_length])
    different = (rows.indices[positions] != rows.indices[expected]) | (
        rows.weights.codes[positions] != rows.weights.codes[expected]
    )
    wrong = lengths[some] != lengths[others]
    wrong[same_length[owner[different]]] = True
    found = np.flatnonzero(wrong)
    return int(found[0]) if len(found) else None


def _witness(
    structure: Structure, partition: Partition, state: int, other: int, normal: NormalForm
) -> Witness:
    own = int(partition.labels[state])
    first, second = (normal.of(block_sums(structure, partition, s), own) for s in (state, other))
    zero: Exact = 0
    differ = [b for b in sorted({*first, *second}) if first.get(b, zero) != second.get(b, zero)]
    # Prefer another block to the own one, whose sum holds the diagonal of a generator.
    block = next((b for b in differ if b != own), differ[0])
    return Witness(state, other, block, first.get(block, zero), second.get(block, zero))

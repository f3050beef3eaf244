"""The compiled checks say what the definition says: sums into blocks agree, modulo p or in 64 bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_rounds import take

from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import prime
from lumpability.partition import Partition
from lumpability.refinement import definition, kernel
from lumpability.refinement.kernel.arrays import Rows
from lumpability.refinement.kernel.quotient import expected_sums, first_unstable
from lumpability.structure import WeightedStructure

P = prime(0, 57)  # sums of 128 residues are below 2^64


def members_alone(partition: Partition) -> np.ndarray:
    return partition.blocks.sizes[partition.labels] == 1


def plain_sums(state: int, rows: Rows, p: int, labels: np.ndarray) -> dict[int, int]:
    found: dict[int, int] = {}
    for i in range(int(rows.indptr[state]), int(rows.indptr[state + 1])):
        block = int(labels[rows.indices[i]])
        if not (rows.closed and block == labels[state]):
            weight = int(rows.residues[rows.codes[i]])
            found[block] = (found.get(block, 0) + weight) % (p or 2**64)
    return {block: total for block, total in found.items() if total}


def check_against_the_definition(
    low: int, high: int, rows: Rows, p: int, partition: Partition
) -> None:
    labels, first = partition.labels, partition.representatives
    sums = [plain_sums(state, rows, p, labels) for state in range(len(labels))]
    differing = [s for s in range(low, high) if sums[s] != sums[first[labels[s]]]]
    count = len(partition)
    scratch = np.zeros((2, count), dtype=np.uint64)
    expected = expected_sums(rows, members_alone(partition), partition, scratch[0])
    assert not scratch.any()
    found = first_unstable(low, high, 1, rows, np.uint64(p), labels, expected, scratch)
    assert found == (differing[0] if differing else -1)
    assert not scratch.any()


@given(
    p=st.sampled_from([0, 3, 5, P]),
    n=st.integers(1, 6),
    closed=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    low=st.integers(0, 3),
)
@settings(max_examples=300)
def test_the_first_state_with_other_sums_is_found(p, n, closed, seed, low):
    """Few residues and many transitions, so that sums agree often, and often only modulo p."""
    random = np.random.default_rng(seed)
    structure = WeightedStructure.from_edges(
        n, random.integers(0, n, 4 * n), random.integers(0, n, 4 * n), random.integers(1, 4, 4 * n)
    )
    numbers = random.integers(-2, 3, len(structure.weights.values)).tolist()
    table = np.array([number % (p or 2**64) for number in numbers], dtype=np.uint64)
    rows = Rows(structure.indptr, structure.indices, structure.weights.codes, table, closed)
    partition = Partition(random.integers(0, 3, n))
    check_against_the_definition(min(low, n), n, rows, p, partition)


@given(
    p=st.sampled_from([0, 7, P]),
    wanted=st.integers(0, 4),
    terms=st.integers(1, 3),
    extra=st.integers(0, 2),
    closed=st.booleans(),
    spoilt=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    bounds=st.tuples(st.integers(0, 14), st.integers(0, 14)),
)
@settings(max_examples=500)
def test_rows_alike_in_any_order_and_any_number_of_terms_agree(
    p, wanted, terms, extra, closed, spoilt, seed, bounds
):
    """States of a block have up to `wanted` sums of up to so many terms, shuffled, and weights that cancel.

    One weight may be another one than it should be.
    """
    random = np.random.default_rng(seed)
    partition = Partition(random.integers(0, 4, 14))
    members = [np.flatnonzero(partition.labels == block) for block in range(len(partition))]
    numbers = np.arange(-3, 4)
    table = np.array([number % (p or 2**64) for number in numbers.tolist()], dtype=np.uint64)
    size = min(wanted, len(partition))
    totals = [
        dict(
            zip(
                random.permutation(len(partition))[:size].tolist(),
                random.integers(-2, 3, size).tolist(),
                strict=True,
            )
        )
        for _ in members
    ]
    counts, entries = [0], []
    for own in partition.labels.tolist():
        row = []
        for block, total in totals[own].items():
            row += [(block, total), *[(block, 1), (block, -1)] * int(random.integers(terms))]
        for block in random.integers(0, len(partition), random.integers(extra + 1)).tolist():
            row += [(block, 2), (block, -2)]
        if closed:
            row += [(own, int(weight)) for weight in random.integers(-3, 4, extra)]
        entries += [row[i] for i in random.permutation(len(row))]
        counts.append(len(row))
    codes = np.array([weight + 3 for _, weight in entries], dtype=np.uint8)
    if spoilt and len(codes):
        codes[random.integers(len(codes))] = random.integers(7)
    indices = np.array([random.choice(members[block]) for block, _ in entries], dtype=np.int32)
    rows = Rows(np.cumsum(counts), indices, codes, table, closed)
    check_against_the_definition(min(bounds), max(bounds), rows, p, partition)


@pytest.mark.parametrize("shift", [0, 70])
@given(seed=st.integers(0, 2**32 - 1))
def test_the_weights_that_matter_are_looked_up_where_there_are_many(shift, seed):
    random = np.random.default_rng(seed)
    weights = [int(w) << shift for w in random.integers(1, 4, 20)]
    structure = WeightedStructure.from_edges(
        8,
        random.integers(0, 8, 20),
        random.integers(0, 8, 20),
        ExactArray.read(weights)[0],
        within=Partition(random.integers(0, 2, 8)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "_FEW_WEIGHTS", 0)
        take("by rounds", patch)
        found = kernel.refine(structure, structure.within)
    assert found == definition.refine([structure], structure.within)


@given(
    terms=st.integers(1, 40),
    other=st.integers(0, 40),
    spoilt=st.booleans(),
)
def test_sums_as_large_as_they_get_are_compared_modulo_the_prime(terms, other, spoilt):
    """Weights p - 1, which add up to nearly 2^64, and as many ones cancel, or all but one of them."""
    p = prime(0, 64 - (80).bit_length())
    table = np.array([p - 1, 1], dtype=np.uint64)
    first = [0] * terms + [1] * terms
    second = [0] * other + [1] * other + [1] * spoilt
    pointers = np.cumsum([0, len(first), len(second)])
    indices = np.zeros(len(first) + len(second), dtype=np.int32)
    codes = np.array(first + second, dtype=np.uint8)
    rows = Rows(pointers, indices, codes, table, False)
    check_against_the_definition(0, 2, rows, p, Partition([0, 0]))

"""The compiled checks say what the definition says: sums into blocks agree, modulo p or in 64 bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumpability.exact_array import ExactArray
from lumpability.integers import prime
from lumpability.partition import Partition
from lumpability.refinement import kernel, reference
from lumpability.refinement.kernel_arrays import Rows
from lumpability.refinement.kernel_check import first_rows, first_unstable, used_codes
from lumpability.structure import WeightedStructure
from lumpability.testing import partitions, structures

P = prime(0)
drawn_pairs = structures(max_states=7).flatmap(
    lambda structure: st.tuples(st.just(structure), partitions(states=structure.n))
)


def members_alone(partition: Partition) -> np.ndarray:
    return partition.blocks.sizes[partition.labels] == 1


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
    partition = Partition(random.integers(0, 3, n))
    numbers = random.integers(-2, 3, len(structure.weights.values)).tolist()
    table = np.array([number % (p or 2**64) for number in numbers], dtype=np.uint64)
    rows = Rows(structure.indptr, structure.indices, structure.weights.codes, table, closed)
    labels, first = partition.labels, partition.representatives
    low = min(low, structure.n)

    def sums(state: int) -> dict[int, int]:
        found: dict[int, int] = {}
        for i in range(int(structure.indptr[state]), int(structure.indptr[state + 1])):
            block = int(labels[structure.indices[i]])
            if not (closed and block == labels[state]):
                entry = int(table[structure.weights.codes[i]])
                found[block] = (found.get(block, 0) + entry) % (p or 2**64)
        return {block: total for block, total in found.items() if total}

    differing = [s for s in range(low, structure.n) if sums(s) != sums(int(first[labels[s]]))]
    modulus, alone, scratch = np.uint64(p), members_alone(partition), np.zeros(len(first), np.uint64)
    expected = first_rows(first, rows, modulus, alone, labels)
    found = first_unstable(low, structure.n, rows, modulus, labels, expected, scratch)
    assert not scratch.any()
    assert found == (differing[0] if differing else -1)


@given(drawn_pairs)
def test_the_weights_used_are_those_of_states_that_share_a_block(pair):
    structure, partition = pair
    alone = members_alone(partition)
    used = np.zeros(len(structure.weights.values), dtype=np.bool_)
    used_codes(structure.indptr, structure.weights.codes, alone, used)
    codes = {
        int(code)
        for state in np.flatnonzero(~alone)
        for code in structure.weights.codes[structure.indptr[state] : structure.indptr[state + 1]]
    }
    assert set(np.flatnonzero(used).tolist()) == codes


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
        initial=Partition(random.integers(0, 2, 8)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "_FEW", 0)
        found = kernel.refine(structure, structure.initial)
    assert found == reference.refine(structure, structure.initial)

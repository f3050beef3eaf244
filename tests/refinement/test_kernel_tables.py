"""Tables of machine integers that decide about sums of rationals and of rational functions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import quotient
from lumpability.errors import InvalidInput
from lumpability.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.refinement import kernel, kernel_collapse, refine, worklist
from lumpability.refinement.kernel_tables import combined_table, deciding_tables
from lumpability.structure import WeightedStructure

FUNCTIONS = [
    "x",
    "2*x",
    "y",
    "x + y",
    "x*y",
    "1/x",
    "x/(x + y)",
    "y/(x + y)",
    "1",
    f"{2**70}*x",
    "x/3",
]


def sums_modulo(p: int, table: np.ndarray, codes: list[int]) -> int:
    total = sum(int(table[code]) for code in codes)
    return total % (p or 1 << 64)


@given(
    names=st.lists(st.sampled_from(FUNCTIONS), min_size=1, max_size=6, unique=True),
    data=st.data(),
)
def test_sums_are_equal_exactly_when_they_are_in_every_deciding_table(names, data):
    weights = ExactArray.read(names)[0]
    terms = st.lists(st.integers(0, len(weights.values) - 1), max_size=4)
    first, second = data.draw(terms), data.draw(terms)
    zero = weights.values[0] - weights.values[0]
    equal = sum((weights.values[c] for c in first), start=zero) == sum(
        (weights.values[c] for c in second), start=zero
    )
    tables = list(deciding_tables(weights.components, 4))
    assert equal == all(sums_modulo(p, t, first) == sums_modulo(p, t, second) for p, t in tables)


@given(seed=st.integers(0, 10_000), names=st.lists(st.sampled_from(FUNCTIONS), min_size=1))
def test_the_kernel_refines_rational_functions_as_the_worklist_does(seed, names):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    weights = [names[i] for i in rng.integers(0, len(names), 3 * n)]
    edges = rng.integers(0, n, (2, 3 * n))
    structure = WeightedStructure.from_edges(n, *edges, weights)
    start = Partition(rng.integers(0, 2, n))
    partition = kernel.refine(structure, start)
    assert partition == worklist.refine(structure, start)
    collapsed = quotient.collapse(structure, partition)
    assert kernel_collapse.collapse(structure, partition, collapsed.initial).equals(collapsed)
    hollow = replace(structure.without_diagonal(), closed=True)
    assert kernel.refine(hollow, start) == worklist.refine(hollow.explicit(), start)


def test_functions_with_too_many_monomials_are_refused_by_the_kernel_and_left_to_the_rounds():
    names = [f"1/(x + {i})" for i in range(1, 80)]
    n = len(names)
    structure = WeightedStructure.from_edges(2 * n, np.arange(n), np.arange(n) + n, names)
    assert structure.weights.components is None
    with pytest.raises(InvalidInput, match="too many monomials"):
        kernel.refine(structure, structure.initial)
    assert len(refine(structure).partition) == n + 1


def test_different_functions_are_told_apart_by_the_first_prime(monkeypatch):
    """Not by a later one: combined residues of different functions do not collide by accident."""
    attempts = []

    def counted(components, p, seed):
        attempts.append(p)
        return combined_table(components, p, seed)

    monkeypatch.setattr(kernel, "combined_table", counted)
    k = len(FUNCTIONS)
    sink = 2 * k + 1  # state 0 is alone, and nothing goes there
    structure = WeightedStructure.from_edges(
        sink + 1, np.arange(1, sink), np.full(2 * k, sink), FUNCTIONS * 2
    )
    start = Partition.of([0] + [1] * (2 * k) + [2])
    assert kernel.refine(structure, start) == Partition.of([k, *range(k), *range(k), k + 1])
    assert len(attempts) == 1


@given(seed=st.integers(0, 10_000), k=st.integers(1, 4))
def test_the_compiled_collapse_adds_up_rational_functions(seed, k):
    """Even where only some monomials of two sums agree."""
    rng = np.random.default_rng(seed)
    n, m = 4 * k, 12 * k
    weights = [FUNCTIONS[i] for i in rng.integers(0, len(FUNCTIONS), m)]
    sources = np.append(rng.integers(0, n, m - n), np.arange(n))
    structure = WeightedStructure.from_edges(n, sources, rng.integers(0, n, m), weights)
    partition = Partition(rng.integers(0, k, n))
    expected = quotient.collapse(structure, partition)
    found = kernel_collapse.collapse(structure, partition, expected.initial)
    assert found is not None
    assert found.equals(expected)

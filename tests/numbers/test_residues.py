"""Tables of machine integers that decide about sums of rationals and of rational functions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import count, islice
from math import prod

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lumpability.errors import InvalidInput
from lumpability.numbers import exact_array
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import prime
from lumpability.numbers.residues import combined_residues, deciding_residues, moduli
from lumpability.partition import Partition
from lumpability.refinement import kernel, refine, worklist
from lumpability.refinement.kernel import quotient as compiled
from lumpability.refinement.kernel import settle
from lumpability.refinement.stability import first_rows
from lumpability.structure import WeightedStructure
from lumpability.testing import rationals

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


@given(terms=st.integers(1, 2**34), width=st.integers(60, 400))
def test_sums_of_residues_stay_below_the_word(terms, width):
    """So that the check may add them up without reducing them."""
    weights = ExactArray.read([1 << width, Fraction(1, 3)])[0]
    tables = dict(deciding_residues(weights.components, terms))
    assert all(terms * (p - 1) < 2**64 for p in tables)
    assert prod(p or 2**64 for p in tables) > 2 * terms * 3 << width


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
    tables = list(deciding_residues(weights.components, 4))
    assert equal == all(sums_modulo(p, t, first) == sums_modulo(p, t, second) for p, t in tables)


@given(
    weights=st.lists(rationals(), min_size=2, max_size=6, unique=True),
    scale=st.sampled_from([1, 2**64, 2**70 + 1, Fraction(prime(0) << 70, 5)]),
    narrow=st.booleans(),
    terms=st.sampled_from([1, 2**20, 2**40]),
)
def test_tables_decide_whether_weights_are_equal_however_wide_they_are(
    weights, scale, narrow, terms
):
    """What all of them confuse is more than any sum of so many terms."""
    array = ExactArray.read([weight * scale for weight in weights])[0]
    with pytest.MonkeyPatch.context() as patch:
        if not narrow:
            patch.setattr(exact_array, "_NARROW_BITS", -1)
        tables = list(deciding_residues(array.components, terms))
    largest = max(abs(value) for value in array.values) * array.denominator
    assert prod(p or 1 << 64 for p, _ in tables) > 2 * largest * terms
    rows = list(zip(*(table.tolist() for _, table in tables), strict=True))
    assert len(set(rows)) == len(array.values)


@given(
    weights=st.lists(rationals(), min_size=1, max_size=6),
    scale=st.sampled_from([1, Fraction(1, 3), 2**64, Fraction(2**70, 5)]),
    p=st.sampled_from([0, prime(0), 7]),
    data=st.data(),
)
def test_equal_sums_of_weights_are_equal_in_the_combined_residues(weights, scale, p, data):
    """A weight and minus the sum of others; shared powers of two do not make weights vanish."""
    codes = data.draw(st.lists(st.integers(0, len(weights) - 1), max_size=4))
    total = sum((weights[code] for code in codes), start=Fraction(0))
    array = ExactArray.read([weight * scale for weight in [*weights, total]])[0]
    assume(p == 0 or array.denominator % p)
    table = combined_residues(array.components, p, 0)
    places = [int(array.codes[code]) for code in codes]
    assert sums_modulo(p, table, places) == int(table[array.codes[-1]])
    if p == 0:
        assert len(set(table.tolist())) == len(array.values)


@given(denominator=st.sampled_from([1, 2, 6, prime(0), 2 * prime(0) * prime(1), 3 * prime(1)]))
def test_moduli_are_2_to_the_64_and_then_all_primes_that_divide_no_denominator(denominator):
    array = ExactArray.read([1, Fraction(1, denominator)])[0]
    found = list(islice(moduli(array.components), 4))
    suitable = (p for p in map(prime, count()) if denominator % p)
    assert found == [0, *islice(suitable, 3)]


@pytest.mark.parametrize(
    ("weights", "told_apart"),
    [
        ([1, 2, -3], True),
        ([1, 1 + 2**23], True),
        ([1, 1 + 2**24], False),
        ([5, 7, 7 + 2**70], False),
        ([-1, -1 - 2**30], False),
        ([Fraction(1, 3), Fraction(1, 3) + 2**25], False),
        ([2**24, 1 + 2**24], False),  # the first is one from nothing
        ([2**70, 3 * 2**70, 5 * 2**71], True),  # in lowest terms 1, 3 and 10
    ],
)
def test_2_to_the_64_is_a_modulus_unless_weights_differ_by_a_large_power_of_two(
    weights, told_apart
):
    array = ExactArray.read(weights)[0]
    assert next(moduli(array.components)) == (0 if told_apart else prime(0))


def test_every_monomial_must_be_told_apart_and_wide_denominators_leave_only_primes(monkeypatch):
    for names, modulus in (
        (["x", "x/3"], 0),
        (["x", "y"], 0),
        (["x + y", f"x + {1 + 2**24}*y"], prime(0)),
        (["x + y", "3*x + y"], 0),
    ):
        assert next(moduli(ExactArray.read(names)[0].components)) == modulus
    array = ExactArray.read(["1/3", "2/7"])[0]
    monkeypatch.setattr(exact_array, "_NARROW_BITS", -1)
    assert next(moduli(array.components)) == prime(0)


@given(seed=st.integers(0, 10_000), names=st.lists(st.sampled_from(FUNCTIONS), min_size=1))
def test_the_kernel_refines_rational_functions_as_the_worklist_does(seed, names):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    weights = [names[i] for i in rng.integers(0, len(names), 3 * n)]
    edges = rng.integers(0, n, (2, 3 * n))
    structure = WeightedStructure.from_edges(n, *edges, weights)
    start = Partition(rng.integers(0, 2, n))
    partition = kernel.refine(structure, start)
    assert partition == worklist.refine([structure], start)
    collapsed = first_rows(structure, partition)
    assert compiled.collapse(structure, partition).equals(collapsed)
    hollow = replace(structure.without_diagonal(), closed=True)
    assert kernel.refine(hollow, start) == worklist.refine([hollow.explicit()], start)


def test_functions_with_too_many_monomials_are_refused_by_the_kernel_and_left_to_the_rounds():
    names = [f"1/(x + {i})" for i in range(1, 80)]
    n = len(names)
    structure = WeightedStructure.from_edges(2 * n, np.arange(n), np.arange(n) + n, names)
    assert structure.weights.components is None
    with pytest.raises(InvalidInput, match="too many monomials"):
        kernel.refine(structure, structure.within)
    assert len(refine(structure).partition) == n + 1


def test_different_functions_are_told_apart_by_the_first_prime(monkeypatch):
    """Not by a later one: combined residues of different functions do not collide by accident."""
    attempts = []

    def counted(components, p, seed):
        attempts.append(p)
        return combined_residues(components, p, seed)

    monkeypatch.setattr(kernel, "combined_residues", counted)
    monkeypatch.setattr(settle, "_ROW_LENGTH", 0)
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
    expected = first_rows(structure, partition)
    found = compiled.collapse(structure, partition)
    assert found.equals(expected)

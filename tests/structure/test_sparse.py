from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from lumpability.errors import InvalidInput, InvalidPartition, InvalidValue
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure

weights = st.one_of(
    st.integers(-3, 3).map(Fraction),
    st.sampled_from([Fraction(1, 3), Fraction(-1, 6), Fraction(10**30), Fraction(-(2**70), 7)]),
)


@st.composite
def edge_lists(draw):
    """Draw transitions with parallel ones, zeros, and pairs that cancel."""
    n = draw(st.integers(0, 6))
    states = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(states, states, weights), max_size=20)) if n else []
    return n, edges


@st.composite
def structures(draw):
    n, edges = draw(edge_lists())
    labels = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    return build(n, edges, within=Partition(labels))


def build(n, edges, **options):
    sources, targets, numbers = ([edge[k] for edge in edges] for k in range(3))
    return WeightedStructure.from_edges(n, sources, targets, numbers, **options)


def dense(structure):
    """Return the matrix as nested lists of exact numbers."""
    matrix = [[Fraction(0)] * structure.n for _ in range(structure.n)]
    for s in range(structure.n):
        for u, weight in structure.row(s):
            matrix[s][u] += weight
    return matrix


def summed(n, edges):
    matrix = [[Fraction(0)] * n for _ in range(n)]
    for s, u, weight in edges:
        matrix[s][u] += weight
    return matrix


def assert_in_compressed_form(structure):
    assert structure.indptr.dtype == np.int64
    assert structure.indices.dtype == np.int32
    assert structure.indptr[0] == 0
    assert structure.indptr[-1] == structure.m == len(structure.weights)
    for s in range(structure.n):
        columns = [u for u, _ in structure.row(s)]
        assert columns == sorted(set(columns))
    assert all(weight != 0 for weight in structure.weights)
    assert structure.within.n == structure.n


# Building


@given(edge_lists())
@example((0, []))
@example((3, []))
@example((1, [(0, 0, Fraction(1)), (0, 0, Fraction(-1))]))
@example((2, [(1, 0, Fraction(10**40)), (1, 0, Fraction(1 - 10**40))]))
def test_edges_give_the_matrix_with_parallel_ones_summed(given_edges):
    n, edges = given_edges
    structure = build(n, edges)
    assert_in_compressed_form(structure)
    assert dense(structure) == summed(n, edges)
    assert structure.within == Partition.trivial(n)


@given(edge_lists(), st.data())
def test_rows_in_any_column_order_with_duplicates_give_the_same(given_edges, data):
    n, edges = given_edges
    edges = sorted(edges, key=lambda edge: edge[0])
    indptr = np.searchsorted([s for s, _, _ in edges], range(n + 1)) if edges else [0] * (n + 1)
    dtype = data.draw(st.sampled_from([np.int8, np.uint8, np.int32, np.uint32, np.int64]))
    indices = np.array([u for _, u, _ in edges], dtype=dtype)
    structure = WeightedStructure.from_rows(indptr, indices, [w for _, _, w in edges])
    assert_in_compressed_form(structure)
    assert dense(structure) == summed(n, edges)


@given(structures())
def test_compressed_rows_are_taken_as_they_are(structure):
    again = WeightedStructure.from_rows(
        structure.indptr, structure.indices, structure.weights, within=structure.within
    )
    assert again.equals(structure)
    assert again.within == structure.within


@given(edge_lists(), st.randoms(), st.sampled_from([1, 2, 5]))
@example((4, [(3, 0, Fraction(1)), (3, 1, Fraction(1))]), None, 1)
def test_rows_are_checked_in_chunks_of_any_size(given_edges, random, chunk):
    n, edges = given_edges
    if random is not None:
        random.shuffle(edges)
    edges = sorted(edges, key=lambda edge: edge[0])
    indptr = [sum(s < row for s, _, _ in edges) for row in range(n + 1)]
    columns, numbers = [u for _, u, _ in edges], [w for _, _, w in edges]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lumpability.structure.sparse._CHUNK", chunk)
        structure = WeightedStructure.from_rows(indptr, np.array(columns, dtype=np.int64), numbers)
        loops = structure.loops()
        if columns:
            columns[-1] = n
            with pytest.raises(InvalidInput, match=f"transition {len(columns) - 1} has target {n}"):
                WeightedStructure.from_rows(indptr, np.array(columns, dtype=np.int64), numbers)
    assert_in_compressed_form(structure)
    assert dense(structure) == summed(n, edges)
    assert loops.tolist() == np.flatnonzero(structure.sources() == structure.indices).tolist()


def test_rows_without_duplicates_are_sorted_without_sums():
    rows = csr_array(([3.0, 1.0, 2.0, 0.5], [2, 0, 1, 0], [0, 2, 2, 4]), shape=(3, 3))
    weights = ExactArray.read(rows.data)[0]
    structure = WeightedStructure.from_rows(rows.indptr, rows.indices, weights)
    assert structure.indices.tolist() == [0, 2, 0, 1]
    assert structure.weights.values is weights.values
    assert rows.indices.tolist() == [2, 0, 1, 0]
    assert list(weights) == [3, 1, 2, Fraction(1, 2)]


def test_the_matrix_for_scipy_may_be_written_to():
    structure = build(3, [(0, 1, Fraction(1)), (2, 2, Fraction(1, 2))])
    matrix = structure.to_scipy()
    assert matrix.indices.dtype == matrix.indptr.dtype == np.int32
    matrix.indices[:] = 0
    matrix.data[:] = 0
    matrix.eliminate_zeros()
    assert structure.to_scipy().todense().tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0.5]]


def test_unsigned_columns_in_descending_order_are_sorted():
    indices = np.array([2, 0, 1, 1], dtype=np.uint32)
    structure = WeightedStructure.from_rows([0, 2, 4, 4], indices, [1, 2, 3, 4])
    assert structure.row(0) == [(0, 2), (2, 1)]
    assert structure.row(1) == [(1, 7)]


def test_the_given_matrix_is_neither_frozen_nor_shared():
    matrix = csr_array(np.array([[0.0, 1.0], [2.0, 0.0]]))
    structure = WeightedStructure.from_rows(matrix.indptr, matrix.indices, matrix.data)
    matrix.indices[:] = 0
    matrix.indptr[1] = 0
    matrix.data[:] = 5
    assert dense(structure) == [[0, 1], [2, 0]]
    for array in (structure.indptr, structure.indices):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_floats_are_read_as_what_was_meant():
    structure = build(2, [(0, 1, 0.1), (0, 1, 0.2), (1, 0, 1 / 3)])
    assert dense(structure) == [[0, Fraction(3, 10)], [Fraction(1, 3), 0]]


def test_symbolic_weights_are_summed_and_dropped_when_they_cancel():
    structure = build(
        3, [(0, 1, "mu"), (0, 1, "1/2"), (1, 2, "mu"), (1, 2, "-mu"), (2, 0, "mu + 1/2")]
    )
    assert_in_compressed_form(structure)
    assert structure.m == 2
    assert structure.row(0)[0][1] == structure.row(2)[0][1]
    assert structure.row(1) == []
    diagonal = structure.row_sums().map(lambda x: -x)
    assert all(total == 0 for total in structure.with_diagonal(diagonal).row_sums())


# Derived structures


def transpose(matrix):
    return [list(column) for column in zip(*matrix, strict=True)]


@given(structures())
def test_the_transposed_structure_is_the_transposed_matrix(structure):
    transposed = structure.transposed
    assert_in_compressed_form(transposed)
    assert dense(transposed) == transpose(dense(structure))
    assert transposed.within == structure.within
    assert transposed.transposed.equals(structure)
    assert structure.transposed is transposed


@given(structures(), st.sampled_from([1, 2, 3, 1 << 20]), st.data())
def test_replacing_the_diagonal(structure, chunk, data):
    n = structure.n
    diagonal = data.draw(st.lists(weights, min_size=n, max_size=n))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lumpability.structure.sparse._CHUNK", chunk)
        changed = structure.with_diagonal(ExactArray.read(diagonal)[0])
    expected = dense(structure)
    for s in range(n):
        expected[s][s] = diagonal[s]
    assert_in_compressed_form(changed)
    assert dense(changed) == expected
    assert changed.within == structure.within


@given(structures())
def test_removing_the_diagonal(structure):
    expected = dense(structure)
    for s in range(structure.n):
        expected[s][s] = Fraction(0)
    plain = structure.without_diagonal()
    assert_in_compressed_form(plain)
    assert dense(plain) == expected
    assert plain.without_diagonal() is plain


@given(structures(), st.data())
def test_renumbering_permutes_rows_columns_and_the_initial_partition(structure, data):
    order = data.draw(st.permutations(range(structure.n)))
    matrix = dense(structure)
    renumbered = structure.renumber(order)
    assert_in_compressed_form(renumbered)
    assert dense(renumbered) == [[matrix[s][u] for u in order] for s in order]
    assert renumbered.within == structure.within.restrict(order)
    assert renumbered.renumber(np.argsort(order)).equals(structure)


@given(structures())
def test_row_sums_are_exact(structure):
    assert list(structure.row_sums()) == [sum(row) for row in dense(structure)]


@given(structures())
def test_sources_are_the_sources_of_the_transitions(structure):
    pairs = list(zip(structure.sources().tolist(), structure.indices.tolist(), strict=True))
    assert pairs == [(s, u) for s in range(structure.n) for u, _ in structure.row(s)]


@given(structures(), st.data())
def test_entries_of_some_rows(structure, data):
    states = data.draw(
        st.lists(st.sampled_from(range(structure.n))) if structure.n else st.just([])
    )
    owner, positions = structure.entries_of(np.array(states, dtype=np.int64))
    found = [[] for _ in states]
    for i, position in zip(owner.tolist(), positions.tolist(), strict=True):
        found[i].append((structure.indices[position], structure.weights[position]))
    assert found == [structure.row(s) for s in states]


@given(structures())
def test_scipy_gets_the_nearest_floats(structure):
    matrix = structure.to_scipy().toarray()
    assert matrix.tolist() == [[float(x) for x in row] for row in dense(structure)]


@given(structures(), structures())
def test_equality_is_equality_of_matrices(one, other):
    assert one.equals(other) == (dense(one) == dense(other))


def test_another_initial_partition():
    structure = build(3, [(0, 1, 1)])
    changed = structure.starting_from(Partition.of([{0, 2}, {1}]))
    assert changed.within == Partition([0, 1, 0])
    assert changed.equals(structure)
    assert structure.within == Partition.trivial(3)


def test_repr_is_one_line():
    assert repr(build(3, [(0, 1, 1)])) == "WeightedStructure(3 states, 1 transitions)"


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, [0], [2], [1]), "transition 0 has target 2, but states are 0 .. 1"),
        ((2, [0, -1], [1, 1], [1, 1]), "transition 1 has source -1, but states are 0 .. 1"),
        ((2, [0], [1, 1], [1, 1]), "1 sources, 2 targets and 2 weights"),
        ((2, [0], [1], [1, 1]), "1 sources, 1 targets and 2 weights"),
        ((2, [0.5], [1], [1]), "source states must be integers, not float64"),
        ((2, ["0"], [1], [1]), "source states must be integers"),
        ((0, [0], [0], [1]), "transition 0 has source 0"),
        ((-1, [], [], []), "-1 states: 0 to 2147483647 are supported"),
        ((2**31, [], [], []), "2147483648 states: 0 to 2147483647 are supported"),
    ],
)
def test_edges_that_fit_no_matrix_are_refused(arguments, message):
    with pytest.raises(InvalidInput) as caught:
        WeightedStructure.from_edges(*arguments)
    assert message in str(caught.value)


def test_the_evidence_is_the_position():
    with pytest.raises(InvalidInput) as caught:
        WeightedStructure.from_edges(2, [0, 0, 5], [0, 1, 1], [1, 1, 1])
    assert (caught.value.position, caught.value.state) == (2, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0, 0], [1, 1]), "row pointers must run from 0 to the number of entries, 2"),
        (([1, 2], [0, 0], [1, 1]), "row pointers must run from 0 to the number of entries, 2"),
        (([], [], []), "row pointers must run from 0 to the number of entries, 0"),
        (([0, 2, 1, 2], [0, 0], [1, 1]), "row pointers must not decrease"),
        (([0, 1], [0], [1, 1]), "1 columns but 2 weights"),
        (([0, 1], [1], [1]), "transition 0 has target 1, but states are 0 .. 0"),
        (([0, 1], [0.0], [1]), "target states must be integers, not float64"),
    ],
)
def test_rows_that_fit_no_matrix_are_refused(arguments, message):
    with pytest.raises(InvalidInput) as caught:
        WeightedStructure.from_rows(*arguments)
    assert message in str(caught.value)


def test_weights_that_are_no_numbers_are_refused_with_their_position():
    with pytest.raises(InvalidValue, match="position 1"):
        build(2, [(0, 1, 1), (1, 0, float("nan"))])


@pytest.mark.parametrize("order", [[0, 0, 1], [0, 1], [0, 1, 3], [0, 1, -1], []])
def test_an_order_must_be_a_permutation(order):
    with pytest.raises(InvalidInput, match=r"every state 0 \.\. 2 once"):
        build(3, [(0, 1, 1)]).renumber(order)


def test_an_initial_partition_of_another_size_is_refused():
    with pytest.raises(InvalidPartition, match="the partition has 3 states, the model 2"):
        build(2, [(0, 1, 1)], within=Partition.trivial(3))
    with pytest.raises(InvalidPartition, match="the partition has 3 states, the model 2"):
        build(2, [(0, 1, 1)]).starting_from(Partition.trivial(3))

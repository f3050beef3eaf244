"""What users have in hand, pandas' Series above all, is matched by names and never misread."""

import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sympy

from lumpability import CTMC, DTMC
from lumpability.errors import InvalidChain, InvalidInput, InvalidPartition, InvalidValue
from lumpability.partition import Partition

pd: Any = pytest.importorskip("pandas")

NAMES = ["a", "b", "c", "d"]
RING = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])


def ring(**given):
    return DTMC(RING, states=NAMES, **given)


def label(value, **given):
    return CTMC(RING, labels={"x": value}, **given).labels["x"].tolist()


MASK = [True, True, True, False]


@pytest.mark.parametrize(
    "value",
    [
        MASK,
        tuple(MASK),
        np.array(MASK),
        np.array(MASK, dtype=object),
        [np.True_, True, True, False],
        pd.Series(MASK),
        pd.Series(MASK[::-1], index=[3, 2, 1, 0]),
        pd.Series(MASK, dtype="boolean"),
        dict(enumerate(MASK)),
        {0: True, 1: True, 2: True},
        [0, 1, 2],
        {0, 1, 2},
        pd.Series([0, 1, 2]),
        lambda state: state < 3,
    ],
)
def test_every_way_to_give_a_label_is_read_alike(value):
    assert label(value) == MASK


def test_a_series_is_matched_by_its_index():
    order = ["d", "c", "b", "a"]
    chain = ring(
        labels={"x": pd.Series([False, False, True, True], index=order)},
        rewards={"r": pd.Series([4, 3, 2, 0.1], index=order)},
        initial=pd.Series([0, 0, 0.75, 0.25], index=order),
    )
    assert chain.labels["x"].tolist() == [True, True, False, False]
    assert list(chain.rewards["r"].state) == [Fraction(1, 10), 2, 3, 4]
    assert list(chain.initial) == [Fraction(1, 4), Fraction(3, 4), 0, 0]
    blocks = pd.Series(["u", "v", "u", "v"], index=order)
    assert Partition.of(blocks, states=chain.states) == Partition([1, 0, 1, 0])


@pytest.mark.parametrize(
    "index", [["a", "b", "c"], ["a", "b", "c", "e"], ["a", "b", "c", "c"], None]
)
def test_a_series_with_another_index_is_refused(index):
    series = pd.Series([Fraction(1, 4)] * (len(index) if index else 4), index=index)
    for given in ({"rewards": {"r": series}}, {"initial": series}):
        with pytest.raises(InvalidChain, match="index"):
            ring(**given)
    with pytest.raises(InvalidPartition, match="index"):
        Partition.of(series, states=NAMES)


@pytest.mark.parametrize(
    "value",
    [
        MASK[:3],
        np.array(MASK[:3]),
        True,
        [True, 0],
        ["e"],
        "ab",
        1.5,
        {0: 1, 1: 1},
        pd.DataFrame({"x": MASK}),
    ],
)
def test_labels_that_could_mean_several_things_are_refused(value):
    with pytest.raises(InvalidChain):
        label(value)


@pytest.mark.parametrize("value", [[1, 1, 1, 0], [0, 0, 0, 0], np.array([0, 1, 1, 1])])
def test_zeros_and_ones_for_all_states_that_name_one_twice_tell_both_readings(value):
    with pytest.raises(InvalidChain, match="zeros and ones that names"):
        label(value)


def test_a_list_that_names_a_state_twice_warns():
    with pytest.warns(UserWarning, match="names 2 twice"):
        assert label([2, 2, 1]) == [False, True, True, False]
    chain = CTMC([[0, 1], [1, 0]], labels={"all": [1, 0]})
    assert chain.labels["all"].tolist() == [True, True]


def test_booleans_are_names_where_states_are_called_so():
    chain = CTMC([[0, 1], [1, 0]], states=[False, True], labels={"on": [True]})
    assert chain.labels["on"].tolist() == [False, True]


@pytest.mark.parametrize(
    "frame", [pd.DataFrame({"r": [1, 2, 3, 4]}), np.arange(4).reshape(2, 2), [[1, 2], [3, 4]]]
)
def test_a_table_is_no_vector(frame):
    for given in ({"rewards": {"r": frame}}, {"initial": frame}):
        with pytest.raises(InvalidInput):
            CTMC(RING, **given)
    if isinstance(frame, pd.DataFrame):
        with pytest.raises(InvalidPartition):
            Partition.of(frame)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of numpy.matrix itself
@pytest.mark.parametrize("sort", [np.matrix, sympy.Matrix, lambda numbers: [numbers]])
def test_a_row_or_a_column_is_a_vector(sort):
    vector = sort([1, 2, 3, 4])
    assert list(CTMC(RING, rewards={"r": vector}).rewards["r"].state) == [1, 2, 3, 4]


PROBABILITIES = np.array([[0.5, 0.5, 0], [0.25, 0.25, 0.5], [0, 0, 1]])


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of numpy.matrix itself
@pytest.mark.parametrize(
    "matrix",
    [
        lambda: scipy.sparse.csr_matrix(PROBABILITIES).todense(),
        PROBABILITIES.astype(np.float32),
        PROBABILITIES.astype(np.float16),
        np.ma.masked_array(PROBABILITIES),
        pd.DataFrame(PROBABILITIES),
        sympy.Matrix(PROBABILITIES),
        sympy.SparseMatrix(PROBABILITIES),
        scipy.sparse.csr_array(PROBABILITIES.astype(np.float32)),
    ],
)
def test_every_kind_of_matrix_is_read_alike(matrix):
    matrix = matrix() if callable(matrix) else matrix
    assert DTMC(matrix).equals(DTMC(PROBABILITIES))


def test_a_table_names_its_states_and_is_matched_by_name():
    frame = pd.DataFrame(PROBABILITIES, index=NAMES[:3], columns=NAMES[:3])
    expected = DTMC(PROBABILITIES, states=NAMES[:3])
    assert DTMC(frame[["c", "a", "b"]]).equals(expected)
    assert DTMC(frame.loc[["b", "c", "a"]], states=NAMES[:3]).equals(expected)
    with pytest.raises(InvalidChain, match="column 'c' of the table has no row"):
        DTMC(frame.drop(index="c"))
    with pytest.raises(InvalidChain, match="lacks 'c'"):
        DTMC(frame.drop(columns="c"))


def test_masked_entries_are_refused():
    with pytest.raises(InvalidInput, match="masked"):
        DTMC(np.ma.masked_array(PROBABILITIES, mask=PROBABILITIES == 0.25))


def test_symbols_without_assumptions_are_the_library_s():
    p = sympy.Symbol("p")
    chain = DTMC(sympy.Matrix([[p, 1 - p], [0, 1]]))
    assert chain.equals(DTMC([["p", "1 - p"], [0, 1]]))
    with pytest.raises(InvalidValue, match="sign"):
        CTMC([[0, sympy.Symbol("q", negative=True)], [1, 0]])


def test_single_precision_means_short_decimals():
    rows = np.array([[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3], [0.12345, 0.87655, 0]], np.float32)
    chain = DTMC(rows)
    assert [list(map(str, (x for _, x in chain.matrix.row(i)))) for i in range(3)] == [
        ["1/10", "1/5", "7/10"],
        ["1/3"] * 3,
        ["2469/20000", "17531/20000"],
    ]
    assert chain.equals(DTMC([list(row) for row in rows]))  # numpy's scalars keep their type
    assert (chain.reading.nearest, chain.reading.neighbours) == (6, 0)
    assert chain.reading.distinct == 6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        half = DTMC(np.array([[0.1, 0.2, 0.7], [0, 0.95, 0.05], [0, 0, 1]], np.float16))
    assert half.matrix.row(0) == [(0, Fraction(1, 10)), (1, Fraction(1, 5)), (2, Fraction(7, 10))]


def test_a_mask_with_a_missing_value_is_refused():
    mask = pd.Series([True, None, False, True], index=NAMES, dtype="boolean")
    with pytest.raises(InvalidChain, match="missing value"):
        ring(labels={"x": mask})
    assert ring(labels={"x": mask.fillna(False)}).labels["x"].tolist() == [True, False, False, True]


def test_states_and_blocks_say_what_they_hold():
    chain = CTMC.from_rates({("a", "b"): 1, ("b", "a"): 1})
    assert repr(chain.states) == "States(['a', 'b'])"
    assert repr(Partition.of([{0, 1}, {2}]).blocks) == "Blocks([[0, 1], [2]])"


@pytest.mark.parametrize("what", ["labels", "rewards"])
def test_labels_and_rewards_are_mappings(what):
    with pytest.raises(InvalidChain, match=f"{what} are a mapping from names, not a list"):
        CTMC([[0, 1], [1, 0]], **{what: ["a"]})


def test_every_column_of_a_frame_is_read_with_its_own_precision():
    short = np.array([0, 0.1], np.float32)
    for columns in (
        {"a": short, "b": [0.3, 0]},
        {"a": short, "b": [3, 0]},
        {"a": pd.array(short, dtype="Float32"), "b": pd.array([3, 0], dtype="Float32")},
        {"a": pd.arrays.SparseArray(short), "b": [3, 0]},
    ):
        chain = CTMC(pd.DataFrame(columns, index=["a", "b"]))
        assert chain.matrix.row(1) == [(0, Fraction(1, 10))]


@pytest.mark.parametrize("shape", [(1, 4), (4, 1)])
def test_a_mask_may_be_a_row_or_a_column(shape):
    assert label(np.array(MASK).reshape(shape)) == MASK


def test_numbers_of_numpy_name_states():
    assert label(np.array(2)) == label(np.int64(2)) == [False, False, True, False]
    assert list(CTMC(RING, initial=np.int64(2)).initial) == [0, 0, 1, 0]
    assert list(map(type, CTMC(RING, states=np.array(list("abcd"))).states)) == [str] * 4


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: CTMC.from_rates([("a", "b")]), "triples"),
        (lambda: CTMC.from_rates({"a": 1, "b": 2}), "mapping"),
        (lambda: CTMC.from_rates(5), "not iterable"),
        (lambda: CTMC.from_rates([(["a"], "b", 1)]), "name of a state cannot be looked up"),
        (lambda: CTMC(RING, states=[[0], [1], [2], [3]]), "name of a state cannot be looked up"),
    ],
)
def test_transitions_and_names_of_another_form_are_refused_in_words(build, text):
    with pytest.raises(InvalidChain, match=text):
        build()

"""Chains: construction from everything, validation at the door."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Partition, Reward, read
from lumpability.errors import InvalidChain, InvalidInput, InvalidValue, SizeLimit
from lumpability.numbers.exact_array import ExactArray

RATES = {("up", "down"): "1/10", ("down", "up"): 2}


def dense(structure) -> list[list[Fraction]]:
    rows = [[Fraction(0)] * structure.n for _ in range(structure.n)]
    for s in range(structure.n):
        for u, w in structure.row(s):
            rows[s][u] = w
    return rows


@pytest.mark.parametrize(
    "matrix",
    [
        [[-1, 1], [2, -2]],
        [[0, 1], [2, 0]],
        np.array([[-1.0, 1.0], [2.0, -2.0]]),
        np.array([[0, 1], [2, 0]]),
        scipy.sparse.csr_array(np.array([[-1.0, 1.0], [2.0, -2.0]])),
        scipy.sparse.coo_matrix(np.array([[0, 1], [2, 0]])),
        [["0", "1"], [Fraction(2), 0.0]],
    ],
)
def test_a_ctmc_is_built_from_generators_and_from_rates_of_any_type(matrix):
    chain = CTMC(matrix)
    assert dense(chain.generator()) == [[-1, 1], [2, -2]]
    assert dense(chain.matrix) == [[0, 1], [2, 0]]


@pytest.mark.parametrize(
    "matrix",
    [
        [["1/3", "2/3"], [1, 0]],
        [[1 / 3, 2 / 3], [1, 0]],
        np.array([[1 / 3, 2 / 3], [1.0, 0.0]]),
        scipy.sparse.csc_array(np.array([[1 / 3, 2 / 3], [1.0, 0.0]])),
    ],
)
def test_a_dtmc_is_built_from_matrices_of_any_type(matrix):
    assert dense(DTMC(matrix).matrix) == [[Fraction(1, 3), Fraction(2, 3)], [1, 0]]


def test_from_rates_takes_mappings_triples_and_tables():
    pandas = pytest.importorskip("pandas")
    triples = [(s, t, r) for (s, t), r in RATES.items()]
    table = pandas.DataFrame(triples, columns=["source", "target", "rate"])
    chains = [CTMC.from_rates(x) for x in (RATES, triples, iter(triples), table)]
    assert all(chain.equals(chains[0]) for chain in chains)
    assert list(chains[0].states) == ["up", "down"]


def test_a_table_without_the_columns_is_refused():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(
        InvalidChain, match="needs the columns source, target and rate; it has a, b"
    ):
        CTMC.from_rates(pandas.DataFrame({"a": [1], "b": [2]}))


def test_parallel_transitions_are_summed():
    chain = CTMC.from_rates([("a", "b", 0.1), ("a", "b", 0.2), ("b", "a", 1)])
    assert chain.matrix.row(0) == [(1, Fraction(3, 10))]


def test_from_networkx_keeps_node_order_and_sums_parallel_edges():
    networkx = pytest.importorskip("networkx")
    graph = networkx.MultiDiGraph()
    graph.add_nodes_from(["z", "a"])
    graph.add_edge("a", "z", rate="1/3")
    graph.add_edge("a", "z", rate="1/3")
    chain = CTMC.from_networkx(graph, weight="rate")
    assert list(chain.states) == ["z", "a"]
    assert chain.matrix.row(1) == [(0, Fraction(2, 3))]
    with pytest.raises(InvalidChain, match="no attribute 'weight'"):
        CTMC.from_networkx(graph)
    with pytest.raises(InvalidChain, match="undirected"):
        CTMC.from_networkx(networkx.Graph())


def test_from_function_explores_breadth_first_and_starts_there():
    chain = DTMC.from_function(lambda k: [((k + 1) % 5, "1/2"), ((k + 2) % 5, "1/2")], start=3)
    assert list(chain.states) == [3, 4, 0, 1, 2]
    assert list(chain.initial) == [1, 0, 0, 0, 0]


def test_from_function_stops_at_max_states():
    with pytest.raises(SizeLimit, match="more than 100 states are reachable from 0"):
        CTMC.from_function(lambda k: {k + 1: 1}, start=0, max_states=100)


def test_states_of_any_hashable_kind_and_labels_in_three_forms():
    chain = CTMC.from_rates(
        {((0, 0), (0, 1)): 1, ((0, 1), (0, 0)): 1},
        labels={
            "list": [(0, 0)],
            "one": (0, 1),
            "array": np.array([True, True]),
            "predicate": lambda s: s[1] == 1,
        },
    )
    assert {name: mask.tolist() for name, mask in chain.labels.items()} == {
        "list": [True, False],
        "one": [False, True],
        "array": [True, True],
        "predicate": [False, True],
    }


def test_initial_distributions_in_three_forms():
    for initial in ("up", {"up": 1}, np.array([1, 0]), [1.0, 0.0]):
        assert list(CTMC.from_rates(RATES, initial=initial).initial) == [1, 0]


def test_rewards_in_three_forms():
    vector = ExactArray.read([0, "1/2"])[0]
    chain = CTMC.from_rates(
        RATES, rewards={"a": {"down": "1/2"}, "b": [0, 0.5], "c": Reward(action=vector)}
    )
    assert list(chain.rewards["a"].state) == list(chain.rewards["b"].state) == [0, Fraction(1, 2)]
    assert chain.rewards["c"].state is None
    assert list(chain.rewards["c"].action) == [0, Fraction(1, 2)]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CTMC([[0, 1]]), "must be square"),
        (lambda: CTMC(np.zeros((2, 3))), "must be square, not 2 x 3"),
        (lambda: CTMC([[0, 1], [2]]), "must be square"),
        (lambda: CTMC([[-1, "1.1"], [0, 0]]), "row 0 of the generator sums to 1/10, not to 0"),
        (lambda: CTMC([[0, -1], [1, 0]]), "the rate of 0 -> 1 is negative: -1"),
        (lambda: CTMC([[-1, 0.5], [1, 0]]), "row 0 of the generator sums to -1/2"),
        (lambda: DTMC([[0.5, 0.4999999], [1, 0]]), "row 0 sums to 9999999/10000000"),
        (lambda: DTMC([[1.5, -0.5], [1, 0]]), "the probability of 0 -> 1 is negative: -1/2"),
        (lambda: DTMC([[0, 1], [0, 0]]), "row 1 has no transitions"),
        (lambda: CTMC.from_rates(RATES, states=["up"]), "'down' is not in states"),
        (lambda: CTMC.from_rates(RATES, states=["up", "down", "up"]), "'up' occurs twice"),
        (lambda: CTMC([[0, 1], [1, 0]], states=["a"]), "1 state names for 2 states"),
        (lambda: CTMC.from_rates(RATES, labels={"x": ["off"]}), "label 'x' names 'off'"),
        (lambda: CTMC.from_rates(RATES, labels={"x": np.array([True])}), "1 entries for 2 states"),
        (lambda: CTMC.from_rates(RATES, rewards={"x": [1]}), "reward 'x' has 1 entries"),
        (lambda: CTMC.from_rates(RATES, rewards={"x": {"off": 1}}), "reward 'x' names 'off'"),
        (lambda: CTMC.from_rates(RATES, initial={"up": "1/2"}), "sums to 1/2, not to 1"),
        (lambda: CTMC.from_rates(RATES, initial={"up": 2, "down": -1}), "holds the negative -1"),
        (lambda: CTMC.from_rates(RATES, initial="off"), "names 'off', which is not a state"),
    ],
)
def test_matrices_and_attributes_that_fit_no_chain_are_refused(build, message):
    with pytest.raises(InvalidChain, match=message):
        build()


def test_the_error_carries_the_row_and_its_sum():
    with pytest.raises(InvalidChain) as caught:
        DTMC([[0.5, 0.4999999], [1, 0]])
    assert (caught.value.row, caught.value.total) == (0, Fraction(9999999, 10**7))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused(bad):
    with pytest.raises(InvalidValue, match="not a finite number"):
        CTMC([[0, bad], [1, 0]])
    with pytest.raises(InvalidValue, match="not a finite number"):
        CTMC(scipy.sparse.csr_array(np.array([[0, bad], [1, 0]])))


def test_normalize_rescales_rows_exactly_and_says_by_how_much():
    chain = DTMC([["0.5", "0.4999999"], [1, 0]], normalize=True)
    assert chain.matrix.row(0) == [(0, Fraction(5000000, 9999999)), (1, Fraction(4999999, 9999999))]
    assert chain.rescaled == Fraction(1, 10**7)
    assert DTMC([[0.5, 0.5], [1, 0]], normalize=True).rescaled == 0
    with pytest.raises(InvalidChain, match="row 1 has no transitions"):
        DTMC([[0, 1], [0, 0]], normalize=True)


def test_normalize_takes_the_diagonal_of_a_generator_from_the_rates():
    chain = CTMC([[-5, 1], [2, -2]], normalize=True)
    assert dense(chain.generator()) == [[-1, 1], [2, -2]]
    assert chain.rescaled == 4


def test_floats_that_were_meant_to_sum_to_one_do():
    DTMC([[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3], [1 - 0.95, 0.95, 0]])
    thirds = DTMC([[1 / 3, 1 / 3, 1 - 1 / 3 - 1 / 3]] * 3)
    assert thirds.reading.neighbours >= 1


def test_self_loops_of_a_ctmc_show_in_the_rates_but_not_in_the_generator():
    chain = CTMC([[5, 2], [1, 0]])
    assert dense(chain.matrix) == [[5, 2], [1, 0]]
    assert dense(chain.generator()) == [[-2, 2], [1, -1]]
    assert list(chain.exit_rates) == [2, 1]


@pytest.mark.parametrize("n", [0, 1, 3])
def test_empty_single_state_and_isolated_chains(n):
    chain = CTMC(np.zeros((n, n)))
    assert (chain.n, chain.matrix.m, chain.generator().m) == (n, 0, 0)
    assert DTMC(np.eye(n)).matrix.m == n


def test_respecting_labels_and_rewards_by_name():
    chain = CTMC.from_rates(
        {("a", "b"): 1, ("b", "c"): 1, ("c", "a"): 1},
        labels={"x": ["a"], "y": ["b"]},
        rewards={"r": {"c": 5}},
        initial="a",
    )
    assert chain.respected() == Partition.discrete(3)
    assert chain.respected("labels") == Partition.discrete(3)
    assert chain.respected(["x"]) == chain.respected("label:x") == Partition.of([0, 1, 1])
    assert chain.respected(["reward:r"]) == Partition.of([0, 0, 1])
    assert chain.respected("initial") == Partition.of([0, 1, 1])
    assert chain.respected(()) == Partition.trivial(3)
    with pytest.raises(
        InvalidChain, match="no 'z' to respect; the chain has label:x, label:y, reward:r"
    ):
        chain.respected(["z"])


def test_symbolic_rates():
    chain = CTMC.from_rates({("up", "down"): "2*lam", ("down", "up"): "mu"})
    assert not chain.is_rational
    assert [str(w) for _, w in chain.generator().row(0)] == ["-2*lam", "2*lam"]
    with pytest.raises(InvalidValue, match="the sign of parameter x is unknown"):
        CTMC.from_rates({("a", "b"): pytest.importorskip("sympy").Symbol("x", real=True)})


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.fractions(min_value=0, max_value=9)),
        max_size=15,
    ),
    st.permutations(range(6)),
)
def test_renumbering_and_back_is_the_identity(edges, order):
    chain = CTMC.from_rates(
        edges, states=range(6), labels={"even": [0, 2, 4]}, rewards={"r": {1: 2}}, initial=3
    )
    back = np.argsort(np.array(order))
    assert chain.renumber(order).renumber(back).equals(chain)


def test_chains_differ_when_anything_differs():
    base = CTMC.from_rates(RATES, labels={"l": ["up"]}, rewards={"r": [1, 2]}, initial="up")
    others = [
        CTMC.from_rates(RATES),
        CTMC.from_rates(RATES, labels={"l": ["down"]}, rewards={"r": [1, 2]}, initial="up"),
        CTMC.from_rates(RATES, labels={"l": ["up"]}, rewards={"r": [1, 3]}, initial="up"),
        CTMC.from_rates(RATES, labels={"l": ["up"]}, rewards={"r": [1, 2]}, initial="down"),
        CTMC.from_rates(
            {**RATES, ("up", "down"): 3}, labels={"l": ["up"]}, rewards={"r": [1, 2]}, initial="up"
        ),
    ]
    assert base.equals(base)
    assert not any(base.equals(other) for other in others)


def test_things_that_are_no_matrix_are_refused():
    with pytest.raises(InvalidInput):
        CTMC(np.array([["a", "b"], ["c", "d"]]))
    with pytest.raises(InvalidInput):
        CTMC(7)


def test_rows_with_huge_sums_are_refused_in_one_short_sentence():
    with pytest.raises(InvalidChain, match=r"sums to about 1.0e5000 .an integer of 16610 bits."):
        DTMC([["1e5000", 1], [1, 0]])


def test_floats_that_were_divided_by_their_sum_are_a_distribution():
    rows = np.random.default_rng(0).random((40, 40))
    rows /= rows.sum(axis=1, keepdims=True)
    chain = DTMC(rows)
    assert set(chain.matrix.row_sums().values) == {1}
    assert 0 < chain.rescaled < Fraction(1, 10**15)
    assert "rows divided by sums that are off by up to" in str(chain.reading)
    with pytest.raises(InvalidChain, match="not to 1"):
        DTMC(rows * (1 + 1e-9))
    with pytest.raises(InvalidChain, match="not to 1"):
        DTMC([["0.3333333333333", "0.6666666666666"], [0, 1]])  # exact numbers mean what they say


def test_integer_states_are_in_ascending_order_however_they_are_mentioned():
    pandas = pytest.importorskip("pandas")
    rates = {(5, -1): 1, (2, 5): "1/2", (-1, 2): 3}
    chain = CTMC.from_rates(rates)
    assert list(chain.states) == [-1, 2, 5]
    table = pandas.DataFrame([(s, t, float(Fraction(r))) for (s, t), r in rates.items()])
    table.columns = ["source", "target", "rate"]
    assert CTMC.from_rates(table).equals(chain)
    assert CTMC.from_rates(table.astype({"source": object})).equals(chain)
    far = CTMC.from_rates({(10**15, 0): 1, (0, 10**15): 2})
    assert list(far.states) == [0, 10**15]
    wide = pandas.DataFrame({"source": [10**15, 0], "target": [0, 10**15], "rate": [1, 2]})
    assert CTMC.from_rates(wide).equals(far)
    assert list(CTMC.from_rates({("b", "a"): 1, (1, "b"): 1}).states) == ["b", "a", 1]
    assert CTMC.from_rates([]).n == 0


def test_a_table_is_read_in_about_the_time_of_a_sparse_matrix():
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(0)
    n, m = 20_000, 200_000
    ends, rates = random.integers(0, n, (2, m)), random.choice([1.0, 0.5, 0.1], m)
    table = pandas.DataFrame({"source": ends[0], "target": ends[1], "rate": rates})

    def seconds(build) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            build()
            times.append(time.process_time() - start)
        return min(times)

    sparse = seconds(lambda: CTMC(scipy.sparse.coo_array((rates, ends), shape=(n, n))))
    assert seconds(lambda: CTMC.from_rates(table)) < 8 * sparse + 0.05


@pytest.mark.parametrize("form", ["matrix", "rates", ".tra", ".npz"])
def test_floats_that_were_divided_by_their_sum_are_a_chain_in_every_form(form, tmp_path):
    random = np.random.default_rng(3)
    matrix = random.random((40, 40))
    matrix /= matrix.sum(axis=1, keepdims=True)
    entries = [(i, j, float(matrix[i, j])) for i in range(40) for j in range(40)]
    if form == "matrix":
        chain = DTMC(matrix)
    elif form == "rates":
        chain = DTMC.from_rates(entries)
    else:
        path = tmp_path / f"chain{form}"
        if form == ".tra":
            lines = [f"{i} {j} {x!r}" for i, j, x in entries]
            path.write_text("\n".join(["40 1600", *lines]))
        else:
            scipy.sparse.save_npz(path, scipy.sparse.csr_array(matrix))
        chain = read(path, type="dtmc")
    assert chain.matrix.row_sums().values == (1,)
    assert 0 < chain.reading.rescaled <= Fraction(1, 10**12)
    assert "divided by sums" in str(chain.reading)
    with pytest.raises(InvalidChain, match="not to 1"):
        DTMC([[0.5, 0.5 + 1e-11], [0, 1]])


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_table_with_a_missing_state_is_refused(missing):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(
        {"source": ["a", "b"], "target": ["b", missing], "rate": [1, 2]}, index=[7, 8]
    )
    with pytest.raises(InvalidChain, match="row 8 of the table has no target"):
        CTMC.from_rates(table)
    with pytest.raises(InvalidChain, match="equals no name"):
        CTMC.from_rates([(0, float("nan"), 1)])


def test_states_are_shown_and_unknown_ones_are_told_with_the_nearest():
    chain = CTMC.from_rates({("up", "down"): 1}, labels={"ok": ["up"]})
    assert repr(chain.states) == "States(['up', 'down'])"
    assert repr(CTMC([[0] * 9] * 9).states) == "States([0, 1, 2, 3, 4, 5, ... 3 more])"
    with pytest.raises(InvalidChain, match="no state 'dwon': did you mean 'down'"):
        chain.states.index("dwon")
    with pytest.raises(InvalidChain, match="which is not a state: did you mean 'down'"):
        CTMC([[0, 1], [1, 0]], states=["up", "down"], labels={"bad": ["dwon"]})
    with pytest.raises(
        InvalidInput, match="MarkovChain has no option 'label': did you mean 'labels'"
    ):
        CTMC.from_rates({("up", "down"): 1}, label={})

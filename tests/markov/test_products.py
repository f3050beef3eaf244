"""Products of components, and their quotient by symmetry."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from lumpability import CTMC, DTMC, Partition, lump
from lumpability.errors import InvalidInput, SizeLimit
from lumpability.markov import compose, symmetric
from lumpability.markov.solve import stationary

MACHINE = CTMC(
    [[0, "1/10", 0], [0, 0, 2], [3, 1, 0]],
    states=["up", "failed", "repair"],
    labels={"up": ["up"], "repair": ["repair"]},
    initial="up",
)


@pytest.mark.parametrize("copies", [1, 2, 3, 4, 6])
def test_the_coarsest_lumping_of_like_components_is_the_symmetric_quotient(copies):
    whole, small = compose([MACHINE] * copies), symmetric(MACHINE, copies)
    assert (whole.n, small.n) == (3**copies, comb(copies + 2, copies))
    lumping = lump(whole)
    kinds = [tuple(sorted(state, key=MACHINE.states.index)) for state in whole.states]
    assert lumping.partition == Partition.of(kinds.__getitem__, states=whole.n)
    # Blocks are numbered by their first members, which are the sorted tuples in order.
    assert lumping.quotient.matrix.equals(small.matrix)
    for name, mask in lumping.quotient.labels.items():
        assert np.array_equal(mask, small.labels[name])


def test_the_symmetric_quotient_is_strict():
    lumping = lump(compose([MACHINE] * 3), kind="strict", respect=("labels",))
    assert len(lumping.partition) == symmetric(MACHINE, 3).n


def test_the_stationary_distribution_of_a_product_is_the_product():
    other = CTMC([[0, 5], [1, 0]])
    whole = compose([MACHINE, other])
    pi = [a * b for a in stationary(MACHINE).values for b in stationary(other).values]
    assert list(stationary(whole).values) == pi


def test_the_generator_of_a_product_is_the_kronecker_sum():
    other = CTMC([[0, 5], [1, 0]], initial={0: "1/3", 1: "2/3"}, labels={"up": [1]})
    whole = compose([MACHINE, other], labels="any")
    first = MACHINE.generator().explicit().to_scipy().toarray()
    second = other.generator().explicit().to_scipy().toarray()
    expected = np.kron(first, np.eye(2)) + np.kron(np.eye(3), second)
    assert np.array_equal(whole.generator().explicit().to_scipy().toarray(), expected)
    assert list(whole.initial)[:2] == [*other.initial]
    assert np.flatnonzero(~whole.labels["up"]).tolist() == [2, 4]
    assert "repair" not in whole.labels  # the other component has no such label


def test_the_matrix_of_a_product_of_dtmcs_is_the_kronecker_product():
    coin = DTMC([["1/3", "2/3"], [1, 0]], labels={"tails": [1]})
    whole = compose([coin, coin], labels="all")
    one = coin.matrix.to_scipy().toarray()
    assert np.allclose(whole.matrix.to_scipy().toarray(), np.kron(one, one))
    assert whole.matrix.row(0)[0][1] == coin.matrix.row(0)[0][1] ** 2
    assert len(lump(compose([coin] * 3)).partition) == 4


def test_components_may_have_parameters():
    machine = CTMC.from_rates({("up", "down"): "f", ("down", "up"): "r"}, labels={"up": ["up"]})
    assert lump(compose([machine] * 3)).quotient.matrix.equals(symmetric(machine, 3).matrix)


def test_self_loops_of_components_are_kept():
    loop = CTMC([[4, 1], [1, 0]])
    assert compose([loop, loop]).matrix.row(0)[0] == (0, 8)
    assert symmetric(loop, 2).matrix.row(0)[0] == (0, 8)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: compose([]), InvalidInput),
        (lambda: compose([MACHINE, DTMC([[1]])]), InvalidInput),
        (lambda: compose([MACHINE], labels="some"), InvalidInput),
        (lambda: compose([MACHINE] * 30), SizeLimit),
        (lambda: symmetric(DTMC([[1]]), 2), InvalidInput),
        (lambda: symmetric(MACHINE, 0), InvalidInput),
        (lambda: symmetric(MACHINE, 10_000), SizeLimit),
    ],
)
def test_what_cannot_be_composed_is_refused(call, error):
    with pytest.raises(error):
        call()

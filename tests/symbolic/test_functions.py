"""Symbolic proofs: expressions agree for what lumping returns and differ for what it should not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy

from lumpability import Network, lump
from lumpability.errors import NotJustified, SizeLimit
from lumpability.networks.elementwise import Activate, PReLU, Scale, Shift, Softmax
from lumpability.networks.examples import planted, unequal_factors
from lumpability.networks.joins import Join, Opaque
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import Flatten
from lumpability.symbolic import Rule, prove
from lumpability.symbolic.functions import compare_functions


@pytest.mark.parametrize(
    "function", ["relu", "leaky_relu", "abs", "identity", "sign", "tanh", "sigmoid", "gelu", "clip"]
)
def test_planted_networks_and_their_quotients_are_the_same_expression(function: str) -> None:
    wide, _ = planted([2, 2, 2, 2], 3, function=function)
    lumping = lump(wide)
    assert lumping.quotient.hidden_neurons < wide.hidden_neurons
    same = compare_functions(lumping.network, lumping.quotient)
    assert same, str(same)
    assert same.differences == (0, 0)
    assert [str(x) for x in same.inputs] == ["x0", "x1"]


def rules(network: Network) -> list[str]:
    function = prove(lump(network)).function
    assert function is not None
    return [str(rule) for rule in function.rules]


def test_the_rules_name_the_factors_that_occur() -> None:
    network = Network.dense([([[1, 2, 3]], [1, 2, 3], "relu"), ([[1], [1], [1]], None, None)])
    assert rules(network) == ["relu(2*x) = 2*relu(x)", "relu(3*x) = 3*relu(x)"]
    odd = Network.dense([([[1, -1]], [1, -1], "tanh"), ([[2], [1]], None, None)])
    assert rules(odd) == ["tanh(-x) = -tanh(x)"]
    assert str(Rule("sign", sympy.Rational(1, 2), 1)) == "sign(1/2*x) = sign(x)"


def test_reflections_are_used_for_antiparallel_units() -> None:
    weight = [[1, -2, 3, -3], [4, -8, 1, -1], [5, -10, 2, -2]]
    network = Network.dense([(weight, None, "relu"), ([[1], [2], [3], [4]], None, None)])
    lumping = lump(network, antiparallel=True)
    assert lumping.quotient.hidden_neurons == 2
    proof = prove(lumping)
    assert proof
    assert proof.function is not None
    assert str(proof.function.rules[0]) == "relu(-2*x) = 2*relu(x) - 2*x"
    assert "units of opposite sign were merged" in proof.title


@pytest.mark.parametrize("layer", [0, 2, 4])
def test_a_mutated_quotient_is_not_proved(layer: int) -> None:
    lumping = lump(planted([2, 2, 2, 1], 2)[0])
    layers = [*lumping.quotient.layers]
    dense = layers[layer]
    assert isinstance(dense, Dense)
    weight = dense.weight.copy()
    weight[0, 0] = np.nextafter(weight[0, 0], np.inf)
    layers[layer] = replace(dense, weight=weight)
    forged = replace(lumping, quotient=replace(lumping.quotient, layers=tuple(layers)))
    proof = prove(forged)
    assert not proof
    assert "output 0 differs by" in str(proof)


def test_the_unsound_merge_by_plain_sums_is_not_proved() -> None:
    network = unequal_factors()
    lumping = lump(network)
    merged = Network.dense([([[1]], [1], "relu"), ([[3]], [1], "relu"), ([[1, 1]], None, None)])
    assert prove(lumping)
    assert not prove(replace(lumping, quotient=merged))


def test_other_numbers_of_outputs_are_not_proved() -> None:
    lumping = lump(Network.dense([([[1, 2]], None, None)]))
    less = Network.dense([([[1]], None, None)])
    proof = prove(replace(lumping, quotient=less))
    assert not proof
    assert str(proof) == "not proved: 2 outputs against 1"


def image(*after: Layer) -> Network:
    base = np.arange(1.0, 5).reshape(2, 1, 2)
    layers = (Conv(np.concatenate([base, 2 * base]), np.array([1.0, 2, 2, 4])), *after)
    network = Network(layers, (None, 1, 5), np.float64)
    width = int(network.output_shape[-1] or 0)
    return replace(network, layers=(*layers, Dense(np.arange(1.0, 2 * width + 1).reshape(-1, 2))))


def test_what_lies_between_weights_has_a_symbolic_form() -> None:
    one, two = np.ones(4), np.array([1.0, 1, 2, 2])
    norm = BatchNorm(one, two, two, np.full(4, 2.0), epsilon=0.5)  # irrational deviations
    relu = Activate("relu")
    for after in (
        (norm, relu, MaxPool((2,), (1,), ((1, 0),)), Flatten(1)),
        (relu, AveragePool((2,), (2,)), Flatten(1)),
        (PReLU(np.full((4, 1), 0.25)), GlobalPool(maximum=True), Flatten(1)),
        (relu, GlobalPool(), Flatten(1), Shift(two), Scale(two, divide=True)),
    ):
        lumping = lump(image(*after))
        assert lumping.quotient.hidden_neurons == 2
        assert prove(lumping)


def test_joins_softmax_and_constants_have_a_symbolic_form() -> None:
    inner: tuple[Layer, ...] = (Dense(np.array([[1.0, 2], [3, 4]])), Activate("softplus"))
    base = Network.dense([([[1, 2, 0]], [0, 0, 3], "relu"), ([[1, 2], [3, 4], [5, 6]], None, None)])
    network = replace(base, layers=(*base.layers, Join((inner, ())), Softmax()))
    lumping = lump(network)
    assert lumping.quotient.hidden_neurons == network.hidden_neurons - 2
    assert prove(lumping)
    constant = Network.dense([([[1, 1]], None, "relu"), ([[1], [-1]], [7], None)])
    function = prove(lump(constant)).function
    assert function is not None
    assert function.original == function.reduced == (7,)


def test_sizes_beyond_the_limit_are_refused() -> None:
    lumping = lump(planted([2, 3, 2], 2)[0])
    with pytest.raises(SizeLimit, match="24 multiplications, more than the 10") as caught:
        prove(lumping, largest=10)
    assert (caught.value.size, caught.value.limit) == (24, 10)


def test_operators_that_are_not_understood_have_no_symbolic_form() -> None:
    network = Network((Opaque(b"", ("Einsum",), (None, 1)),), (None, 1), np.float64)
    lumping: Any = replace(lump(unequal_factors()), network=network)
    with pytest.raises(NotJustified, match="opaque Einsum"):
        prove(lumping)

"""Symbolic proofs of network lumpings: the identity of every layer, and the same function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy

from lumpability import Network, NetworkLumping, Partition, lump
from lumpability.networks.examples import planted, unequal_factors
from lumpability.networks.layers import Dense
from lumpability.symbolic import prove


def twins() -> Network:
    """Two neurons, the second twice the first."""
    return Network.dense([([[1, 2]], [1, 2], "relu"), ([[3], [4]], None, None)])


def with_weight(lumping: NetworkLumping, layer: int, weight: np.ndarray) -> NetworkLumping:
    """The lumping with other weights in one layer of its quotient."""
    layers = [*lumping.quotient.layers]
    dense = layers[layer]
    assert isinstance(dense, Dense)
    layers[layer] = replace(dense, weight=weight)
    return replace(lumping, quotient=replace(lumping.quotient, layers=tuple(layers)))


def test_the_matrices_hold_bias_and_weights_with_a_first_coordinate_one() -> None:
    proof = prove(lump(twins()))
    assert {name: matrix.tolist() for name, matrix in proof.matrices.items()} == {
        "A_0": [[1, 0], [0, 1]],
        "W_1": [[1, 1, 2], [0, 1, 2]],
        "W^_1": [[1, 1], [0, 1]],
        "A_1": [[1, 0, 0], [0, 1, 2]],
        "W_2": [[1, 0], [0, 3], [0, 4]],
        "W^_2": [[1, 0], [0, 11]],
        "A_2": [[1, 0], [0, 1]],
    }
    assert [one.text for one in proof.identities] == ["A_0 W_1 = W^_1 A_1", "A_1 W_2 = W^_2 A_2"]
    assert "\\hat{W}_{2} A_{2}" in proof.latex()
    assert "\\operatorname{relu}(2 x) = 2 \\operatorname{relu}(x)" in proof.latex()
    assert "h = h^ A  =>" in proof.pretty()


@pytest.mark.parametrize("function", ["relu", "abs", "identity", "tanh", "sigmoid"])
def test_planted_lumpings_satisfy_the_identity_of_every_layer(function: str) -> None:
    wide, _ = planted([2, 3, 2, 2], 2, function=function)
    proof = prove(lump(wide))
    assert proof, str(proof)
    assert len(proof.identities) == 3
    assert all(one.difference == sympy.zeros(*one.difference.shape) for one in proof.identities)


def test_constants_belong_to_the_class_of_one_and_unused_classes_feed_nothing() -> None:
    first = ([[1, 2, 0, 5]], [1, 2, -3, 7], "relu")
    network = Network.dense([first, ([[3], [4], [1], [0]], [0.5], None)])
    proof = prove(lump(network))
    assert proof
    # Unit 2 is -3 before the activation and 0 after it; unit 3 is read by nothing.
    assert proof.matrices["A_1"].tolist() == [[1, 0, 0, -3, 0], [0, 1, 2, 0, 0], [0, 0, 0, 0, 1]]
    assert proof.matrices["B_1"].tolist() == [[1, 0, 0, 0, 0], [0, 1, 2, 0, 0], [0, 0, 0, 0, 1]]
    assert proof.matrices["W^_2"].tolist() == [[1, sympy.Rational(1, 2)], [0, 11], [0, 0]]
    assert proof.identities[1].text == "B_1 W_2 = W^_2 A_2"


def test_a_changed_weight_of_the_quotient_is_shown_twice() -> None:
    proof = prove(with_weight(lump(twins()), 2, np.array([[12.0]])))
    assert not proof
    assert proof.identities[0].holds
    assert proof.identities[1].failures == [(1, 1, -1)]
    assert str(proof) == (
        "not proved: A_1 W_2 = W^_2 A_2 fails in (class 1, unit 0): 11 against 12; "
        "output 0 differs by -relu(x0 + 1) as far as the rules tell"
    )


def test_rounded_weights_are_not_proved() -> None:
    network = Network.dense(
        [([[1, 3]], [1, 3], "relu"), ([[0.1], [0.2]], None, None)], dtype=np.float32
    )
    lumping = lump(network)
    assert lumping.rounding.rounded
    assert not prove(lumping)
    assert prove(lump(network, dtype=np.float64))


def test_the_unsound_merge_by_plain_sums_is_not_proved() -> None:
    lumping = lump(unequal_factors())
    assert prove(lumping)
    merged = Network.dense([([[1]], [1], "relu"), ([[3]], [1], "relu"), ([[1, 1]], None, None)])
    proof = prove(replace(lumping, quotient=merged))
    assert not proof
    assert (
        "no identity for each layer: layer 2 of the quotient has 1 inputs and 1 units"
        in proof.title
    )
    assert proof.identities == ()


def test_a_wrong_partition_of_units_is_not_proved_layer_by_layer() -> None:
    network = Network.dense([([[1, 2, 5]], [1, 2, 0], "relu"), ([[3], [4], [1]], None, None)])
    lumping = lump(network)
    one, last = lumping.stages
    wrong = replace(one, claim=replace(one.claim, partition=Partition.of([0, 1, 1])))
    proof = prove(replace(lumping, stages=(wrong, last)))
    assert not proof
    assert not proof.identities[0].holds
    assert proof.function  # the quotient itself is right


def test_the_title_counts_the_classes_that_the_quotient_leaves_out() -> None:
    network = Network.dense([([[1, 2, 5]], [1, 2, 0], "relu"), ([[3], [4], [0]], None, None)])
    proof = prove(lump(network))
    assert proof
    assert (
        "3 neurons to 1; what is constant or dead is left out of it: 1 of the classes"
        in proof.title
    )

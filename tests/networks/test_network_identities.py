"""The identity of every layer in fractions, and the statements made of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import Network, NetworkLumping, lump
from lumpability.errors import InvalidInput, NotJustified, SizeLimit
from lumpability.networks.elementwise import Activate, Scale
from lumpability.networks.examples import planted
from lumpability.networks.identities import LayerIdentity, layer_identities, network_statement
from lumpability.networks.layers import Conv, Dense
from lumpability.networks.pooling import MaxPool
from lumpability.networks.reshape import Flatten


def identities(lumping: NetworkLumping) -> list[LayerIdentity]:
    claims = [one.claim for one in lumping.stages]
    return layer_identities(lumping.network, lumping.quotient, claims, lumping.kind)


def holds(layers: Sequence[LayerIdentity]) -> bool:
    return all(
        bool((one.rows.matrix() @ one.matrix == one.quotient @ one.units.matrix()).all())
        for one in layers
    )


@given(
    st.sampled_from(["relu", "leaky_relu", "abs", "tanh", "sigmoid", "identity"]),
    st.integers(0, 1000),
)
def test_every_layer_of_a_planted_lumping_satisfies_its_identity(function: str, seed: int) -> None:
    wide, _ = planted([2, 3, 2, 2], 2, function=function, seed=seed)
    layers = identities(lump(wide))
    assert [one.layer for one in layers] == [0, 2, 4]
    assert holds(layers)


def test_rows_of_convolutions_go_by_class_and_position() -> None:
    base = np.arange(1.0, 5).reshape(2, 1, 2)
    layers = (
        Conv(np.concatenate([base, 2 * base]), np.array([1.0, 2, 2, 4])),
        Activate("relu"),
        MaxPool((2,), (1,)),
        Flatten(1),
        Dense(np.arange(1.0, 25).reshape(-1, 2)),
    )
    lumping = lump(Network(layers, (None, 1, 5), np.float64))
    first, last = identities(lumping)
    assert first.units.count == 3
    assert last.rows.count == 1 + 2 * 3
    assert holds([first, last])


def test_constants_and_unused_classes_have_their_place() -> None:
    first = ([[1, 2, 0, 5]], [1, 2, -3, 7], "relu")
    network = Network.dense([first, ([[3], [4], [1], [0]], [0.5], None)])
    one, last = identities(lump(network))
    assert one.units.labels == (1, 1, 0, 2)
    assert one.units.factors == (1, 2, -3, 1)
    assert one.units.unused == (2,)
    assert last.rows.labels == (0, 1, 1, 0, 2)
    assert last.rows.factors == (1, 1, 2, 0, 1)
    assert last.quotient.tolist() == [[1, 0.5], [0, 11], [0, 0]]
    assert holds([one, last])


def test_where_there_is_more_to_show_than_weights_it_is_said() -> None:
    weight = [[1, -2, 3, -3], [4, -8, 1, -1], [5, -10, 2, -2]]
    network = Network.dense([(weight, None, "relu"), ([[1], [2], [3], [4]], None, None)])
    with pytest.raises(NotJustified, match="units of opposite sign"):
        identities(lump(network, antiparallel=True))
    empty = Network.dense([([[0, 0]], [1, 2], "relu"), ([[1], [2]], None, None)])
    with pytest.raises(NotJustified, match="do not have the same layers"):
        identities(lump(empty))
    scaled = Network(
        (
            Dense(np.array([[1.0, 2.0]])),
            Scale(np.array([0.0, 1.0])),
            Dense(np.array([[1.0], [1.0]])),
        ),
        (None, 1),
        np.float64,
    )
    with pytest.raises(NotJustified, match="because of what follows its weights"):
        identities(lump(scaled))


def test_claims_and_quotients_that_do_not_fit_are_refused() -> None:
    lumping = lump(planted([2, 3, 2], 2)[0])
    claims = [one.claim for one in lumping.stages]
    with pytest.raises(InvalidInput, match="1 claims for 2 layers"):
        layer_identities(lumping.network, lumping.quotient, claims[:1], lumping.kind)
    with pytest.raises(InvalidInput, match="layer 0 of the quotient has 2 inputs and 6 units"):
        layer_identities(lumping.network, lumping.network, claims, lumping.kind)


def test_rounded_large_and_weightless_networks_have_no_statement() -> None:
    layers = [([[1, 3]], [1, 3], "relu"), ([[0.1], [0.2]], None, None)]
    lumping = lump(Network.dense(layers, dtype=np.float32))
    claims = [one.claim for one in lumping.stages]
    with pytest.raises(NotJustified, match="weights of the quotient were rounded") as caught:
        network_statement(
            lumping.network,
            lumping.quotient,
            claims,
            lumping.kind,
            largest_change=lumping.rounding.largest,
        )
    assert caught.value.change == lumping.rounding.largest
    bare = Network((Activate("relu"),), (None, 2), np.float64)
    with pytest.raises(NotJustified, match="without weights"):
        network_statement(bare, bare, [], "proportional")
    large = Network.dense([(np.ones((1, 201)), None, None)])
    with pytest.raises(SizeLimit, match="201 rows or columns"):
        network_statement(large, large, [], "proportional")

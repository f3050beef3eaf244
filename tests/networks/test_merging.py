"""Merging finds the planted network, and refuses what the literature gets wrong."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import check, lump
from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks import Network
from lumpability.networks.elementwise import Activate, PReLU, Scale, Shift, Softmax
from lumpability.networks.examples import planted, unequal_factors, widened
from lumpability.networks.layers import BatchNorm, Conv, Dense
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import Flatten, Reshape, Transpose
from lumpability.testing import assert_same_function, lumpable_networks


def dense(*layers: Any) -> Network:
    return Network.dense(layers)


@pytest.mark.parametrize("function", ["relu", "leaky_relu", "abs", "identity", "sign"])
@pytest.mark.parametrize("seed", range(3))
def test_planted_copies_are_found_and_the_function_is_identical_in_rationals(
    function: str, seed: int
) -> None:
    wide, small = planted([3, 6, 5, 2], 4, function=function, seed=seed)
    lumping = lump(wide)
    assert lumping.quotient.hidden_neurons <= small.hidden_neurons
    assert lumping.rounding.rounded == 0
    assert_same_function(wide, lumping.quotient)


@pytest.mark.parametrize("function", ["tanh", "sigmoid", "softplus", "gelu", "silu", "elu", "clip"])
def test_planted_copies_under_other_activations_are_found(function: str) -> None:
    wide, small = planted([3, 6, 5, 2], 3, function=function)
    lumping = lump(wide)
    assert lumping.quotient.hidden_neurons == small.hidden_neurons
    x = np.random.default_rng(1).normal(size=(20, 3))
    np.testing.assert_allclose(lumping.quotient(x), wide(x), rtol=1e-9, atol=1e-6)


@given(
    planted=lumpable_networks(activations=["tanh", "sigmoid"]),
    kind=st.sampled_from(["proportional", "exact"]),
)
def test_the_dense_specialisation_and_the_shared_engine_agree(planted: Any, kind: str) -> None:
    """Of functions with rational values tests/laws shows the same, and more."""
    fast = lump(planted[0], kind=kind)
    slow = lump(planted[0], kind=kind, engine="definition")
    assert fast.partition == slow.partition
    assert fast.factors == slow.factors
    assert (fast.stats.engine, slow.stats.engine) == ("columns", "definition")


def test_plain_sums_with_unequal_factors_below_do_not_merge() -> None:
    network = unequal_factors()
    lumping = lump(network)
    assert [len(p) for p in lumping.partitions] == [1, 2, 2]
    assert not check(network, {0: [{0, 1}], 1: [{0, 1}]})


def test_negative_factors_do_not_merge_under_relu_but_do_under_odd_and_even_functions() -> None:
    def network(function: str) -> Network:
        return dense(([[1, -1]], [1, -1], function), ([[1], [1]], None, None))

    assert lump(network("relu")).quotient.hidden_neurons == 2
    assert lump(network("abs")).quotient.hidden_neurons == 1
    # tanh(z) + tanh(-z) cancels: the class is dead and the network constant
    assert lump(network("tanh")).quotient.hidden_neurons == 0
    verdict = check(network("relu"), {0: [{0, 1}]})
    assert verdict.witness.factor == -1


@pytest.mark.parametrize("function", ["sigmoid", "tanh", "gelu", "softplus"])
def test_factors_other_than_signs_do_not_merge_under_functions_that_are_not_homogeneous(
    function: str,
) -> None:
    network = dense(([[1, 2]], [1, 2], function), ([[1], [1]], None, None))
    assert lump(network).is_irreducible


def test_factors_come_from_columns_and_not_from_zero_biases() -> None:
    network = dense(([[1, 3], [2, 7]], [0, 0], "relu"), ([[1], [1]], None, None))
    assert lump(network).is_irreducible
    network = dense(([[1, 3], [2, 6]], [0, 0], "relu"), ([[1], [1]], None, None))
    assert lump(network).factors[0] == [1, 3]
    network = dense(([[1, 3], [2, 6]], [1, -3], "relu"), ([[1], [1]], None, None))
    assert lump(network).is_irreducible


def test_exact_kind_merges_equal_columns_only() -> None:
    network = dense(([[1, 2, 1]], [1, 2, 1], "relu"), ([[1], [1], [1]], None, None))
    assert lump(network, kind="exact").quotient.hidden_neurons == 2
    assert lump(network).quotient.hidden_neurons == 1


def test_factors_stay_dyadic_where_the_representative_is_divided() -> None:
    network = dense(([[3, 1]], [3, 1], "relu"), ([[1], [1]], None, None))
    lumping = lump(network)
    assert lumping.factors[0] == [3, 1]
    assert lumping.rounding.rounded == 0
    assert_same_function(network, lumping.quotient)


def test_constants_fold_into_the_next_bias_and_merge_what_only_then_agrees() -> None:
    network = dense(
        ([[1, 0, 0]], [0, 2, -1], "relu"),
        ([[1, 1], [1, 3], [5, 7]], [4, 0], "relu"),
        ([[1], [1]], None, None),
    )
    lumping = lump(network)
    # relu(2) = 2 and relu(-1) = 0: biases 4 + 2 and 0 + 6
    assert [row.constant for row in lumping.table] == [2, 0, 0]
    assert lumping.quotient.hidden_neurons == 2
    assert_same_function(network, lumping.quotient)


def test_a_constant_with_an_irrational_value_stays() -> None:
    network = dense(([[1, 0]], [0, 1], "tanh"), ([[1], [1]], None, None))
    assert lump(network).is_irreducible
    network = dense(([[1, 0]], [0, 0], "sigmoid"), ([[1], [1]], None, None))
    assert lump(network).quotient.layers[-1].bias.tolist() == [0.5]  # type: ignore[attr-defined]


def test_dead_neurons_are_removed_backwards_and_repeatedly() -> None:
    network = dense(
        ([[1, 2], [3, 5]], None, "relu"),
        ([[1, 0], [0, 1]], None, "relu"),
        ([[1], [0]], None, None),
    )
    lumping = lump(network)
    assert [row.dead for row in lumping.table] == [1, 1, 0]
    assert lumping.quotient.hidden_neurons == 2


def test_a_network_that_is_constant_collapses_to_its_bias() -> None:
    network = dense(([[1, 1]], None, "relu"), ([[1], [-1]], [7], None))
    quotient = lump(network).quotient
    assert quotient.hidden_neurons == 0
    assert quotient.exact([5]).tolist() == [7]


def test_rounding_is_counted_refused_or_avoided_as_asked() -> None:
    one, tiny = np.float32(1), np.float32(2.0**-30)
    network = Network.dense(
        [([[1, 1]], None, "relu"), ([[one], [tiny]], None, None)], dtype=np.float32
    )
    lumping = lump(network)
    assert (lumping.rounding.rounded, lumping.rounding.largest) == (1, Fraction(1, 2**30))
    assert "rounded" in lumping.report()["meaning"]
    wide = lump(network, dtype="float64")
    assert wide.rounding.rounded == 0
    assert wide.quotient.dtype == np.float64
    with pytest.raises(NotJustified, match="1 of 2 new weights"):
        lump(network, exact_weights=True)


def test_sums_beyond_53_bits_are_compared_exactly() -> None:
    third, tiny = 1 / 3, 2.0**-60
    rows = [[1.0, 1.0], [third, third], [tiny, tiny]]
    layers: list[Any] = [
        ([[1, 1, 1]], None, "relu"),
        (rows, [1, 1], "relu"),
        ([[1], [1]], None, None),
    ]
    assert lump(Network.dense(layers)).quotient.hidden_neurons == 2
    rows[2][1] = 2.0**-61
    lumping = lump(Network.dense(layers))
    assert [row.left for row in lumping.table] == [1, 2, 1]
    assert lumping.rounding.rounded == 2


def test_columns_that_agree_after_rounding_only_stay_apart() -> None:
    column = np.array([1.0, 0.1, 0.7, 1 / 3])
    network = dense(
        (np.stack([column, 3 * column], axis=1), None, "relu"), ([[1], [1]], None, None)
    )
    assert lump(network).is_irreducible  # 3 * 0.1 is not 0.1 + 0.1 + 0.1 in float64


def test_unknown_options_are_named() -> None:
    network = unequal_factors()
    with pytest.raises(InvalidInput, match="choose one of proportional, exact"):
        lump(network, kind="ordinary")
    with pytest.raises(
        InvalidInput, match="unknown engine 'structure': it is called 'definition' now"
    ):
        lump(network, engine="structure")


# --- convolutions, normalisation, pooling -----------------------------------------------------------


def convolutional(*, pads: int, bias: float, factor: float = 2.0) -> Network:
    random = np.random.default_rng(2)
    base = random.integers(-4, 5, size=(2, 1, 3, 3)).astype(np.float64)
    first = np.concatenate([base, factor * base, np.zeros((1, 1, 3, 3))])
    biases = np.array([1, 2, factor, 2 * factor, bias])
    second = random.integers(-4, 5, size=(2, 5, 2, 2)).astype(np.float64)
    out = random.integers(-4, 5, size=(2, 2)).astype(np.float64)
    side = ((pads, pads), (pads, pads))
    return Network(
        (
            Conv(first, biases),
            Activate("relu"),
            MaxPool((2, 2), (1, 1)),
            Conv(second, None, pads=side),
            Activate("relu"),
            GlobalPool(),
            Flatten(1),
            Dense(out),
        ),
        (None, 1, 6, 6),
        np.float64,
    )


def test_channels_merge_through_pooling_and_constants_fold_without_padding() -> None:
    network = convolutional(pads=0, bias=3.0)
    lumping = lump(network)
    assert [row.left for row in lumping.table] == [2, 2, 2]
    assert lumping.table[0].constant == 1
    assert_same_function(network, lumping.quotient)


def test_before_a_padded_convolution_only_zero_constants_fold() -> None:
    kept = lump(convolutional(pads=1, bias=3.0))
    assert kept.table[0].constant == 0
    assert kept.table[0].left == 3
    assert_same_function(kept.network, kept.quotient)
    folded = lump(convolutional(pads=1, bias=-3.0))
    assert folded.table[0].constant == 1
    assert folded.table[0].left == 2
    assert_same_function(folded.network, folded.quotient)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1)])
def test_merged_channels_are_followed_through_reshape_and_transpose(order: tuple[int, ...]) -> None:
    random = np.random.default_rng(3)
    base = random.integers(-4, 5, size=(2, 1, 2, 2)).astype(np.float64)
    layers = (
        Conv(np.concatenate([base, 2 * base]), None),
        Activate("relu"),
        Transpose(order),
        Reshape((-1, 16)),
        Dense(random.integers(-4, 5, size=(16, 3)).astype(np.float64)),
    )
    network = Network(layers, (None, 1, 3, 3), np.float64)
    lumping = lump(network)
    assert lumping.quotient.hidden_neurons == 2
    assert_same_function(network, lumping.quotient)


def test_batch_normalisation_merges_what_its_parameters_allow() -> None:
    def network(mean: float, variance: float) -> Network:
        norm = BatchNorm(
            np.array([1.0, 3.0, 0.0]),
            np.array([1.0, 6.0, 5.0]),
            np.array([0.5, mean, 0.0]),
            np.array([2.0, variance, 1.0]),
            epsilon=0.0,
        )
        first = Dense(np.array([[1.0, 2.0, 1.0]]), np.array([1.0, 2.0, 4.0]))
        layers = (first, norm, Activate("relu"), Dense(np.array([[1.0], [1], [1]])))
        return Network(layers, (None, 1), np.float64)

    merged = lump(network(mean=1.0, variance=2.0))
    # scale 0 makes the third unit the constant 5; the second is 2 * 3 times the first
    assert [row.left for row in merged.table] == [1, 1]
    assert merged.table[0].constant == 1
    x = np.linspace(-3, 3, 7)[:, None]
    np.testing.assert_allclose(merged.quotient(x), merged.network(x), rtol=1e-12)
    assert lump(network(mean=0.5, variance=2.0)).table[0].left == 2
    assert lump(network(mean=1.0, variance=3.0)).table[0].left == 2


def test_shift_scale_and_prelu_belong_to_the_unit() -> None:
    def network(slope: float, shift: float) -> Network:
        layers = (
            Dense(np.array([[1.0, 2.0], [3.0, 6.0]])),
            PReLU(np.array([0.5, slope])),
            Shift(np.array([1.0, shift])),
            Scale(np.array([2.0, 4.0]), divide=True),
            Activate("relu"),
            Dense(np.array([[1.0], [5]])),
        )
        return Network(layers, (None, 2), np.float64)

    merged = lump(network(0.5, 2.0))
    assert merged.quotient.hidden_neurons == 1
    assert_same_function(merged.network, merged.quotient)
    assert lump(network(0.25, 2.0)).is_irreducible
    assert lump(network(0.5, 1.0)).is_irreducible


def test_nothing_is_merged_across_a_barrier() -> None:
    twin = Dense(np.array([[1.0, 1.0]]))
    last = Dense(np.array([[1.0], [2]]))
    network = Network((twin, Softmax(), last), (None, 1), np.float64)
    lumping = lump(network)
    assert lumping.is_irreducible
    assert lumping.table[0].held == "before Softmax"
    grouped = Conv(np.ones((2, 2, 1)), groups=2)
    network = Network((Conv(np.ones((4, 1, 1))), grouped), (None, 1, 4), np.float64)
    assert [row.held for row in lump(network).table] == [
        "before a grouped convolution",
        "grouped convolution",
    ]


def test_a_convolution_that_is_constant_keeps_one_channel_for_the_layer_above() -> None:
    layers = (
        Conv(np.zeros((3, 1, 2)), np.array([1.0, 2, 3])),
        Activate("relu"),
        Flatten(1),
        Dense(np.arange(24.0).reshape(12, 2)),
    )
    network = Network(layers, (None, 1, 5), np.float64)
    lumping = lump(network)
    assert lumping.table[0].constant == 3
    assert lumping.quotient.hidden_neurons == 1
    assert_same_function(network, lumping.quotient)


def depthwise(filters: list[list[float]], biases: list[float], pads: int) -> Network:
    random = np.random.default_rng(6)
    base = random.integers(1, 5, size=(1, 1, 2)).astype(np.float64)
    layers = (
        Conv(np.concatenate([base, 2 * base, 0 * base]), np.array([1.0, 2, 3])),
        Activate("relu"),
        Conv(
            np.array(filters, float)[:, None],
            np.array(biases, float),
            pads=((pads, pads),),
            groups=3,
        ),
        Activate("relu"),
        Conv(random.integers(1, 5, size=(2, 3, 1)).astype(np.float64)),
    )
    return Network(layers, (None, 1, 5), np.float64)


def test_depthwise_filters_belong_to_their_channel() -> None:
    # Channel 1 is twice channel 0, its filter three times, its bias six times; channel 2 is constant.
    network = depthwise([[1, -2], [3, -6], [1, 1]], [1, 6, -1], pads=0)
    lumping = lump(network)
    assert [row.left for row in lumping.table] == [1, 2]
    assert lumping.table[0].constant == 1
    filtered = lumping.quotient.layers[2]
    assert isinstance(filtered, Conv)
    assert filtered.groups == 1
    assert_same_function(network, lumping.quotient)
    for filters, biases in (
        ([[1, -2], [3, -5], [1, 1]], [1, 6, -1]),
        ([[1, -2], [3, -6], [1, 1]], [1, 5, -1]),
        ([[1, -2], [-3, 6], [1, 1]], [1, -6, -1]),  # a negative factor before ReLU
    ):
        apart = lump(depthwise(filters, biases, pads=0))
        assert [row.left for row in apart.table] == [2, 2]
        assert_same_function(apart.network, apart.quotient)


def test_a_constant_is_not_constant_after_a_padded_filter() -> None:
    padded = lump(depthwise([[1, -2], [3, -6], [1, 1]], [1, 6, -1], pads=1))
    assert padded.table[0].constant == 0
    assert padded.table[0].left == 2
    assert_same_function(padded.network, padded.quotient)
    nothing = lump(depthwise([[1, -2], [3, -6], [0, 0]], [1, 6, 2], pads=1))
    assert nothing.table[0].constant == 1
    assert_same_function(nothing.network, nothing.quotient)


def test_average_pooling_that_counts_padding_keeps_constants() -> None:
    def network(include: bool) -> Network:
        layers = (
            Conv(np.array([[[1.0]], [[0.0]]]), np.array([0.0, 1.0])),
            AveragePool((2,), (1,), ((1, 0),), include_pad=include),
            Flatten(1),
            Dense(np.arange(6.0).reshape(6, 1)),
        )
        return Network(layers, (None, 1, 3), np.float64)

    assert lump(network(include=True)).table[0].constant == 0
    folded = lump(network(include=False))
    assert folded.table[0].constant == 1
    assert_same_function(folded.network, folded.quotient)


def test_widened_networks_fall_back_to_their_size_even_after_pruning() -> None:
    random = np.random.default_rng(4)
    base = Network.dense(
        [
            (random.normal(size=(5, 20)), random.normal(size=20), "relu"),
            (random.normal(size=(20, 10)), random.normal(size=10), "relu"),
            (random.normal(size=(10, 3)), None, None),
        ],
        dtype=np.float32,
    )
    wide = widened(base, 4)
    lumping = lump(wide)
    assert lumping.quotient.hidden_neurons == 30
    assert lumping.rounding.rounded == 0
    assert_same_function(wide, lumping.quotient, points=[[1, -2, 3, "1/3", 0]])


def test_units_spread_over_channels_are_put_where_they_arrive() -> None:
    random = np.random.default_rng(8)
    base = random.integers(-4, 5, size=(2, 1, 2)).astype(np.float64)
    layers = (
        Conv(np.concatenate([base, 2 * base, base[:1]]), None),
        Activate("relu"),
        Transpose((0, 2, 1)),
        Reshape((-1, 15, 1)),
        Conv(random.integers(-4, 5, size=(2, 15, 1)).astype(np.float64)),
    )
    network = Network(layers, (None, 1, 4), np.float64)
    lumping = lump(network)
    assert lumping.quotient.hidden_neurons == 2
    assert_same_function(network, lumping.quotient)


def test_neurons_whose_merged_weights_are_beyond_their_type_stay_apart() -> None:
    for kind, large in ((np.float16, 6e4), (np.float32, 3e38), (np.float64, 1.5e308)):
        network = Network.dense(
            [([[1, 1, 1, 2]], None, "relu"), ([[large], [large], [1], [1]], None, None)], dtype=kind
        )
        assert lump(network).quotient.hidden_neurons == 4
        assert lump(network, antiparallel=True).quotient.hidden_neurons == 4
    assert lump(network, within={0: [[0], [1], [2, 3]]}).quotient.hidden_neurons == 3
    with pytest.raises(NotJustified, match="within= may keep classes apart"):
        lump(network).certificate()
    halves = Network.dense([([[1, 1]], None, "relu"), ([[6e4], [6e4]], None, None)])
    with pytest.raises(NotJustified, match=r"can hold: give dtype='float64'"):
        lump(Network.dense([([[1e5]], None, "relu"), ([[1]], None, None)]), dtype="float16")
    assert lump(halves, dtype="float16").quotient.hidden_neurons == 2


def test_constants_stay_units_if_the_next_bias_cannot_hold_them() -> None:
    layers = (([[0, 3]], [300, 0], "relu"), ([[300], [1]], [0], None))
    assert lump(Network.dense(layers)).quotient.hidden_neurons == 1
    assert lump(Network.dense(layers, dtype=np.float16)).quotient.hidden_neurons == 2


@given(st.integers(0, 2**32), st.floats(0, 4.8))
def test_half_precision_networks_are_lumped_whatever_their_weights(
    seed: int, digits: float
) -> None:
    random = np.random.default_rng(seed)
    layers = (
        (random.uniform(-1, 1, (1, 6)), None, "relu"),
        (random.uniform(-1, 1, (6, 1)) * 10**digits, None, None),
    )
    network = Network.dense(layers, dtype=np.float16)
    quotient = lump(network).quotient
    for layer in quotient.layers:
        assert all(np.isfinite(values).all() for values in layer.parameters.values())
    assert digits > 2 or quotient.hidden_neurons <= 2  # sums of large weights keep units apart

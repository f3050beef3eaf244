"""Mutations: a certificate rejects every change of what the network's function depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from lumpability import lump
from lumpability.networks import Network, NetworkLumping
from lumpability.networks.certificate import NetworkCertificate
from lumpability.networks.elementwise import Activate, PReLU, Scale, Shift, Softmax
from lumpability.networks.examples import planted
from lumpability.networks.joins import Join
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer
from lumpability.networks.narrowing import NewWeights
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.shaping import Flatten, Reshape, Transpose
from lumpability.partition import Partition


def integers(*shape: int, seed: int = 0) -> Any:
    """Random numbers that are not zero."""
    random = np.random.default_rng(seed)
    return random.integers(1, 9, size=shape) * random.choice([-1.0, 1.0], size=shape)


def doubled(weight: Any, axis: int) -> Any:
    """Units 0 .. n - 1, then their doubles."""
    return np.concatenate([weight, 2 * weight], axis=axis)


def dense(*after: Layer, units: int = 4) -> Network:
    """Two pairs of proportional units, what follows them, and a layer above."""
    first = Dense(doubled(integers(3, 2), 1), doubled(integers(2, seed=1), 0))
    layers = (first, *after, Dense(integers(units, 2, seed=2), integers(2, seed=3)))
    return Network(layers, (None, 3), np.float64)


def convolutional(*after: Layer, rows: int) -> Network:
    """The same with channels over five positions."""
    first = Conv(doubled(integers(2, 1, 2), 0), doubled(integers(2, seed=1), 0))
    layers = (first, Activate("relu"), *after, Dense(integers(rows, 2, seed=2)))
    return Network(layers, (None, 1, 6), np.float64)


def normalised() -> Network:
    two = np.array([1.0, 2.0])
    norm = BatchNorm(
        doubled(integers(2, seed=4), 0),
        np.concatenate([two, 4 * two]),
        doubled(integers(2, seed=5), 0),
        np.array([3.0, 8.0, 3.0, 8.0]),
        epsilon=1.0,
    )
    return dense(norm, Activate("relu"))


def depthwise() -> Network:
    filters = np.concatenate([integers(2, 1, 2, seed=6), 3 * integers(2, 1, 2, seed=6)])
    shifts = np.concatenate([np.ones(2), 6 * np.ones(2)])
    sides = ((1, 0),)
    filtered = Conv(filters, shifts, pads=sides, groups=4)
    return convolutional(filtered, Activate("relu"), Flatten(1), rows=20)


def residual() -> Network:
    inner: tuple[Layer, ...] = (Dense(integers(2, 2, seed=7)), Activate("relu"))
    network = dense(Activate("relu"))
    return replace(network, layers=(*network.layers, Join((inner, ())), Softmax()))


def reflected() -> Network:
    base = integers(4, 3)
    first = Dense(np.concatenate([base, -2 * base], axis=1))
    layers = (first, Activate("leaky_relu", alpha=0.25), Flatten(1), Dense(integers(6, 1, seed=2)))
    return Network(layers, (None, 4), np.float64)


def constant() -> Network:
    first = Dense(np.array([[1.0, 0.0, 2.0]]), np.array([1.0, 3.0, 5.0]))
    above = Dense(integers(3, 2, seed=2), integers(2, seed=3))
    return Network((first, Activate("relu"), above), (None, 1), np.float64)


NETWORKS = {
    "relu": dense(Activate("relu")),
    "leaky_relu": dense(Activate("leaky_relu", alpha=0.125)),
    "prelu": dense(PReLU(np.array([0.5, 0.25, 0.5, 0.25]))),
    "shift": dense(Shift(doubled(np.array([1.0, 3.0]), 0)), Activate("relu")),
    "scale": dense(Activate("relu"), Scale(np.array([2.0, 3.0, 5.0, 7.0]))),
    "division": dense(Activate("relu"), Scale(np.array([2.0, 4.0, 8.0, 2.0]), divide=True)),
    "batch_norm": normalised(),
    "convolution": convolutional(Flatten(1), rows=20),
    "transposed": convolutional(Transpose((0, 2, 1)), Reshape((-1, 20)), rows=20),
    "maximum": convolutional(MaxPool((2,), (2,), ((1, 0),)), Flatten(1), rows=12),
    "average": convolutional(AveragePool((2,), (1,)), Flatten(1), rows=16),
    "depthwise": depthwise(),
    "global": convolutional(GlobalPool(maximum=True), Flatten(1), rows=4),
    "input": Network((Shift(integers(3)), *dense(Activate("relu")).layers), (None, 3), np.float64),
    "residual": residual(),
    "reflected": reflected(),
    "constant": constant(),
    "float32": planted([3, 4, 2], 3, dtype=np.float32)[0],
}


@pytest.fixture(params=NETWORKS, ids=list(NETWORKS))
def lumping(request: pytest.FixtureRequest) -> NetworkLumping:
    return lump(NETWORKS[request.param], antiparallel=request.param == "reflected")


def changed_layers(layer: Layer) -> Iterator[Layer]:
    """Every layer that differs in one stored number or setting, by as little as possible."""
    if isinstance(layer, Join):
        for b, branch in enumerate(layer.branches):
            for i, inner in enumerate(branch):
                for other in changed_layers(inner):
                    changed = (*branch[:i], other, *branch[i + 1 :])
                    yield Join((*layer.branches[:b], changed, *layer.branches[b + 1 :]))
        return
    for name, values in layer.parameters.items():
        for index in np.ndindex(values.shape):
            for towards in (-np.inf, np.inf):
                array = values.copy()
                array[index] = np.nextafter(array[index], values.dtype.type(towards))
                yield replace(layer, **{name: array})  # type: ignore[type-var]
    for kind, change in CHANGES:
        if isinstance(layer, kind):
            yield change(layer)
    if isinstance(layer, Activate) and "alpha" in layer.function.parameters:
        alpha = layer.function.parameters["alpha"]
        yield Activate(layer.function.name, alpha=float(np.nextafter(alpha, 1)))


CHANGES: list[tuple[type[Layer], Callable[[Any], Layer]]] = [
    (BatchNorm, lambda layer: replace(layer, epsilon=float(np.nextafter(layer.epsilon, 2)))),
    (Scale, lambda layer: replace(layer, divide=not layer.divide)),
    (Activate, lambda layer: Activate("tanh")),
    (Transpose, lambda layer: Reshape((0, 5, 2))),  # the same shape, other places
    (AveragePool, lambda layer: replace(layer, include_pad=not layer.include_pad)),
    (AveragePool, lambda layer: MaxPool(layer.kernel, layer.strides, layer.pads)),
    (GlobalPool, lambda layer: GlobalPool(maximum=not layer.maximum)),
    (MaxPool, lambda layer: replace(layer, pads=((0, 1),))),
    (MaxPool, lambda layer: replace(layer, ceil=not layer.ceil)),
    (Softmax, lambda layer: Softmax(axis=0)),
    (Conv, lambda layer: replace(layer, dilations=(2,), pads=((layer.pads[0][0] + 1, 0),))),
]


def test_every_stored_number_and_every_setting_of_the_quotient_counts(
    lumping: NetworkLumping,
) -> None:
    certificate = lumping.certificate()
    assert certificate.verify()
    assert lumping.quotient.hidden_neurons < lumping.network.hidden_neurons
    layers = lumping.quotient.layers
    count = 0
    for position, layer in enumerate(layers):
        for other in changed_layers(layer):
            changed = (*layers[:position], other, *layers[position + 1 :])
            forged = replace(lumping.quotient, layers=changed)
            assert not replace(certificate, quotient=forged).verify(), (position, other)
            count += 1
    assert count >= 2 * lumping.quotient.parameter_count


def changed_weights(weights: NewWeights) -> Iterator[NewWeights]:
    for field in fields(weights):
        values = getattr(weights, field.name)
        for index in np.ndindex(() if values is None else values.shape):
            if values is not None:
                array = values.copy()
                number = array[index]
                array[index] = (
                    number + Fraction(1, 2**70)
                    if isinstance(number, Fraction)
                    else np.nextafter(number, np.inf)
                )
                yield replace(weights, **{field.name: array})


def test_every_exact_weight_of_the_claim_counts(lumping: NetworkLumping) -> None:
    certificate = lumping.certificate()
    for number, weights in enumerate(certificate.weights):
        for other in changed_weights(weights):
            forged = [*certificate.weights]
            forged[number] = other
            assert not replace(certificate, weights=tuple(forged)).verify()


def with_stage(certificate: NetworkCertificate, number: int, **changes: Any) -> NetworkCertificate:
    stages = [*certificate.stages]
    stages[number] = replace(stages[number], **changes)
    return replace(certificate, stages=tuple(stages))


def test_swapped_factors_are_rejected(lumping: NetworkLumping) -> None:
    certificate = lumping.certificate()
    for number, stage in enumerate(certificate.stages):
        moving = [unit for unit in range(stage.stage.units) if unit not in stage.constants]
        for field in ("factors", "carried"):
            values = getattr(stage, field)
            for unit in moving:
                for other in moving[:unit]:
                    if values[unit] != values[other]:
                        swapped = values.copy()
                        swapped[[unit, other]] = values[[other, unit]]
                        assert not with_stage(certificate, number, **{field: swapped}).verify()


def test_a_neuron_in_another_class_is_rejected(lumping: NetworkLumping) -> None:
    certificate = lumping.certificate()
    for number, stage in enumerate(certificate.stages):
        labels = stage.partition.labels
        for unit in range(stage.stage.units):
            for target in (*range(len(stage.partition)), len(stage.partition)):
                if target == labels[unit]:
                    continue
                moved = np.array(labels)
                moved[unit] = target
                partition = Partition(moved)
                if partition == stage.partition:
                    continue  # alone before and after
                for live in (stage.live, np.ones(len(partition), dtype=bool)):
                    forged = with_stage(certificate, number, partition=partition, live=live)
                    assert not forged.verify()


def test_a_dropped_or_invented_constant_is_rejected() -> None:
    certificate = lump(NETWORKS["constant"]).certificate()
    first = certificate.stages[0]
    assert first.constants == {1: Fraction(3)}
    assert not with_stage(certificate, 0, constants={}).verify()
    assert not with_stage(certificate, 0, constants={1: Fraction(2)}).verify()
    assert not with_stage(certificate, 0, constants={**first.constants, 0: Fraction(0)}).verify()
    assert not with_stage(certificate, 0, live=np.ones_like(first.live)).verify()


def test_a_constant_before_a_padded_convolution_is_rejected() -> None:
    def network(pads: int) -> Network:
        first = Conv(np.array([[[1.0]], [[0.0]]]), np.array([0.0, 2.0]))
        second = Conv(np.ones((1, 2, 2)), pads=((pads, pads),))
        return Network((first, second), (None, 1, 3), np.float64)

    folded, padded = lump(network(0)).certificate(), network(1)
    quotient = replace(
        folded.quotient,
        layers=(folded.quotient.layers[0], replace(folded.quotient.layers[1], pads=((1, 1),))),  # type: ignore[type-var]
    )
    assert folded.verify()
    verdict = replace(folded, network=padded, quotient=quotient).verify()
    assert "padded" in str(verdict)
    assert not verdict


def test_another_rounding_than_the_one_claimed_is_rejected() -> None:
    tiny = [[1], [2.0**-30]]
    network = Network.dense([([[1, 1]], None, "relu"), (tiny, None, None)], dtype=np.float32)
    certificate = lump(network).certificate()
    less = replace(certificate.rounding, largest=Fraction(1, 2**31))
    assert certificate.verify()
    assert not replace(certificate, rounding=less).verify()


def test_rounded_slopes_are_counted_like_rounded_weights() -> None:
    network = dense(PReLU(np.array([0.1, 0.25, 0.1, 0.25])))
    narrow = lump(network, dtype="float32")
    assert (narrow.rounding.rounded, narrow.certificate().verify().witness) == (1, None)
    assert narrow.rounding.largest == abs(Fraction(0.1) - Fraction(float(np.float32(0.1))))


def test_dead_units_that_share_a_class_with_a_constant_must_still_be_multiples() -> None:
    first = Dense(np.array([[1.0, 0, 1, 2]]), np.array([0.0, 3, 1, 5]))
    network = Network(
        (first, Activate("relu"), Dense(np.array([[1.0], [1], [1], [-1]]))), (None, 1), np.float64
    )
    certificate = lump(network).certificate()
    # Units 2 and 3 differ, and their outgoing weights only seem to cancel.
    partition, live = Partition([0, 1, 1, 1]), np.array([True, False])
    forged = with_stage(certificate, 0, partition=partition, live=live)
    below, above = certificate.weights
    assert below.bias is not None
    weights = (
        replace(below, matrix=below.matrix[:, :1], bias=below.bias[:1]),
        replace(above, matrix=above.matrix[:1]),
    )
    verdict = replace(forged, weights=weights).verify()
    assert not verdict
    assert "dead units [2, 3]" in str(verdict)

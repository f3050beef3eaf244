"""Networks as practice makes them: widened and trained on, quantised, initialised with constants."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from lumpability import lump
from lumpability.networks import Network

Weights = list[tuple[np.ndarray, np.ndarray]]


def network_of(weights: Weights) -> Network:
    layers: list[Any] = [(w, b, "relu") for w, b in weights[:-1]]
    return Network.dense([*layers, (*weights[-1], None)], dtype=np.float64)


def same_in_rationals(network: Network, other: Network, inputs: int) -> bool:
    points = product([-2, Fraction(1, 3), 5], repeat=inputs)
    return all(network.exact(list(x)).tolist() == other.exact(list(x)).tolist() for x in points)


def trained(weights: Weights, steps: int, seed: int) -> Weights:
    """Gradient descent on a smooth target, every column by the same operations in the same order.

    Sums are written out along an axis: a matrix product may add up different columns differently.
    """
    random = np.random.default_rng(seed)
    weights = [(w.copy(), b.copy()) for w, b in weights]
    for _ in range(steps):
        x = random.integers(-4, 5, size=(8, len(weights[0][0]))) / 4
        activations, signs = [x], []
        for w, b in weights:
            z = (activations[-1][:, :, None] * w[None]).sum(axis=1) + b
            signs.append(z > 0)
            activations.append(np.where(z > 0, z, 0))
        z = (activations[-2][:, :, None] * weights[-1][0][None]).sum(axis=1) + weights[-1][1]
        delta = z - np.sin(x.sum(axis=1, keepdims=True))
        for k in range(len(weights) - 1, -1, -1):
            w, b = weights[k]
            step = (activations[k][:, :, None] * delta[:, None, :]).sum(axis=0) / 64
            below = (delta[:, None, :] * w[None]).sum(axis=2)
            weights[k] = (w - step, b - delta.sum(axis=0) / 64)
            if k:
                delta = below * signs[k - 1]
    return weights


def widened(weights: Weights, copies: int) -> Weights:
    """Net2WiderNet: hidden neurons are copied, and what goes out of them is shared evenly."""
    last, before, result = len(weights) - 1, 1, []
    for k, (w, b) in enumerate(weights):
        after = 1 if k == last else copies
        result.append((np.tile(w, (before, after)) / before, np.tile(b, after)))
        before = after
    return result


@pytest.mark.parametrize("copies", [2, 4])
def test_a_widened_network_stays_reducible_however_long_it_is_trained_on(copies: int) -> None:
    """Copies get the same gradients as long as nobody adds noise, so they remain copies."""
    random = np.random.default_rng(3)
    start = [
        (random.normal(size=(2, 6)), random.normal(size=6)),
        (random.normal(size=(6, 5)), random.normal(size=5)),
        (random.normal(size=(5, 1)), random.normal(size=1)),
    ]
    base = trained(start, 20, seed=0)
    wide = widened(base, copies)
    assert same_in_rationals(network_of(base), network_of(wide), 2)
    further = network_of(trained(wide, 30, seed=1))
    lumping = lump(further)
    assert further.hidden_neurons == 11 * copies
    assert lumping.quotient.hidden_neurons == 11
    if not lumping.rounding.rounded:
        assert same_in_rationals(further, lumping.quotient, 2)
    assert lumping.certificate().verify()


def test_noise_in_one_weight_of_a_copy_keeps_it_apart() -> None:
    weights = widened([(np.eye(2), np.ones(2)), (np.ones((2, 1)), np.zeros(1))], 2)
    weights[0][0][0, 3] = np.nextafter(weights[0][0][0, 3], 1)
    assert lump(network_of(weights)).quotient.hidden_neurons == 3


def test_two_bit_weights_leave_as_many_neurons_as_there_are_directions() -> None:
    """Four values of weights and three inputs: at most so many columns differ in more than a factor."""
    random = np.random.default_rng(2)
    levels = np.array([-1.0, -0.5, 0.5, 1.0])
    first, bias = random.choice(levels, size=(3, 300)), random.choice(levels, size=300)
    network = network_of([(first, bias), (np.ones((300, 2)), np.zeros(2))])
    columns = [tuple(map(Fraction, column)) for column in np.vstack([first, bias]).T.tolist()]
    directions = {tuple(x / abs(column[0]) for x in column) for column in columns}
    lumping = lump(network)
    assert lumping.table[0].left == len(directions) < 200
    assert same_in_rationals(network, lumping.quotient, 3)


@pytest.mark.parametrize("value", [0.5, 1.0])
def test_constant_initialisation_makes_every_layer_one_neuron(value: float) -> None:
    sizes = [3, 16, 8, 2]
    weights = [(np.full((a, b), value), np.zeros(b)) for a, b in pairwise(sizes)]
    lumping = lump(network_of(weights))
    assert [row.left for row in lumping.table] == [1, 1, 2]
    assert same_in_rationals(network_of(weights), lumping.quotient, 3)

"""Laws of lumping networks, and the bridge from chains to networks.

A network lumper takes a `Network` and the keyword ``kind`` ("proportional" or "exact") and returns something with
the attributes ``quotient`` and ``partitions`` (one of each layer with weights).  `lumpability.lump` is one.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lumpability.dispatch import check
from lumpability.markov.chains import MarkovChain
from lumpability.networks.examples import widened
from lumpability.networks.network import Network
from lumpability.partition import Partition
from lumpability.testing.assertions import assert_lumpable, assert_same_function
from lumpability.testing.definitions import all_partitions
from lumpability.testing.laws.law import Draw, Law, law
from lumpability.testing.strategies import (
    lumpable_chains,
    lumpable_networks,
    networks,
    permutations_of,
    rationals,
)

NetworkLumper = Callable[..., Any]
_KINDS = ("proportional", "exact")
_AIXIA = "Ressi, Romanello, Rossi and Piazza 2022"

NETWORK_LAWS: dict[str, Law] = {}
"""Laws of lumping networks by name; the last one lumps a chain, too."""


def _inputs(draw: Draw, network: Network) -> list[list[Fraction]]:
    size = network.input_shape[-1] or 1
    point = st.lists(rationals(), min_size=size, max_size=size)
    drawn: list[list[Fraction]] = draw(st.lists(point, min_size=1, max_size=3))
    return drawn


@law(NETWORK_LAWS, _AIXIA, networks(), variants=_KINDS, replaceable=True)
def same_function(lump: NetworkLumper, network: Network, draw: Draw, variant: str) -> None:
    """The quotient has the value of the network at every input, in rational arithmetic."""
    quotient = lump(network, kind=variant).quotient
    assert_same_function(network, quotient, points=_inputs(draw, network))


@law(NETWORK_LAWS, _AIXIA, networks(), variants=_KINDS, replaceable=True)
def lumped_networks_are_irreducible(
    lump: NetworkLumper, network: Network, draw: Draw, variant: str
) -> None:
    """Lumping the quotient leaves nothing to merge or remove."""
    once = lump(network, kind=variant).quotient
    twice = lump(once, kind=variant).quotient
    assert _size(twice) == _size(once), f"{once!r} became {twice!r}"


def _size(network: Network) -> tuple[int, int]:
    return network.hidden_neurons, network.parameter_count


@law(NETWORK_LAWS, _AIXIA, networks(), variants=_KINDS, replaceable=True)
def order_of_neurons(lump: NetworkLumper, network: Network, draw: Draw, variant: str) -> None:
    """Hidden neurons in another order give the same classes."""
    renumbered, order = draw(permutations_of(network))
    found = lump(network, kind=variant).partition
    again = lump(renumbered, kind=variant).partition
    assert again == found.restrict(order), f"{again}, expected {found.restrict(order)}"


@law(NETWORK_LAWS, _AIXIA, lumpable_networks(), variants=("proportional",))
def planted_copies(lump: NetworkLumper, planted: Any, draw: Draw, variant: str) -> None:
    """Copies that were built in are a lumping, and no more neurons are left than originals."""
    network, partitions, _ = planted
    assert_lumpable(network, dict(enumerate(partitions)), kind=variant)
    originals = sum(len(partition) for partition in partitions[:-1])
    left = lump(network, kind=variant).quotient.hidden_neurons
    assert left <= originals, f"{left} neurons are left of {originals} and their copies"


@law(
    NETWORK_LAWS,
    "Chen, Goodfellow and Shlens 2016 (Net2WiderNet)",
    networks(min_hidden_layers=1),
    variants=_KINDS,
)
def widening(lump: NetworkLumper, network: Network, draw: Draw, variant: str) -> None:
    """Lumping a network that was widened by copies gives the size that it gives without the copies."""
    copies, seed = draw(st.sampled_from([2, 4])), draw(st.integers(0, 1000))
    wide = lump(widened(network, copies, seed=seed), kind=variant).quotient
    small = lump(network, kind=variant).quotient
    assert _size(wide) == _size(small), f"{wide!r} is left of the wide network, {small!r} without"
    assert_same_function(wide, network, points=_inputs(draw, network))


@law(NETWORK_LAWS, _AIXIA, networks(), variants=_KINDS, replaceable=True)
def coarsest_classes(lump: NetworkLumper, network: Network, draw: Draw, variant: str) -> None:
    """Layer by layer, no coarser classes pass the check on top of those below: all merges are tried."""
    found = lump(network, kind=variant).partitions
    for layer, partition in enumerate(found[:-1]):
        for merge in all_partitions(len(partition)):
            if len(merge) < len(partition):
                coarser = Partition(merge.labels[partition.labels])
                classes = {**dict(enumerate(found[:layer])), layer: coarser}
                assert not check(network, classes, kind=variant), f"layer {layer} allows {coarser}"


@law(NETWORK_LAWS, _AIXIA, networks())
def equal_neurons_are_proportional(
    lump: NetworkLumper, network: Network, draw: Draw, variant: str
) -> None:
    """Exact merging is proportional merging with factors 1, so it leaves at least as many neurons."""
    exact = lump(network, kind="exact").quotient.hidden_neurons
    proportional = lump(network, kind="proportional").quotient.hidden_neurons
    assert exact >= proportional, f"{exact} neurons are left by equality, {proportional} by factors"


def unfolded(chain: MarkovChain, partition: Partition, steps: int) -> tuple[Network, Network]:
    """Return k steps of a DTMC as a linear network, and the same of its exact quotient's unrolling.

    A layer without activation is one step x -> x P; the network takes one number for each block, gives it
    to all states of the block, and sums over blocks at the end.  Probabilities are multiplied by their
    common denominator L, so that all weights are integers: the value is (L P)^k.

    - partition: an exact lumping
    - steps: at least one
    - returns whole, Network: V^T L P, L P, ..., L P, V
    - returns small, Network: N, ..., N, W with N = W L P^ W^-1, W = diag(|C|): the result that exact merging
      must have

    >>> from lumpability import DTMC
    >>> chain = DTMC([[0, "1/2", "1/2"], [1, 0, 0], [1, 0, 0]])
    >>> whole, small = unfolded(chain, Partition([0, 1, 1]), 2)
    >>> whole, small, small.layers[0].weight.tolist()
    (Network(2 -> 2, 6 hidden neurons, 21 parameters), Network(2 -> 2, 4 hidden neurons, 12 parameters), [[0.0, 1.0], [4.0, 0.0]])
    """
    denominator = chain.matrix.weights.denominator
    step = np.zeros((chain.n, chain.n))
    for state in range(chain.n):
        for target, weight in chain.matrix.row(state):
            step[state, target] = float(weight * denominator)
    indicator = np.eye(len(partition))[partition.labels]
    start = indicator.T @ step
    matrices = [start, *[step] * (steps - 1), indicator]
    # Columns of states of one block are equal, so one of them represents all.
    small = start[:, partition.representatives]
    sizes = np.diag(partition.blocks.sizes.astype(np.float64))
    return (
        Network.dense([(matrix, None, None) for matrix in matrices]),
        Network.dense([(matrix, None, None) for matrix in [*[small] * steps, sizes]]),
    )


def _discrete() -> st.SearchStrategy[tuple[MarkovChain, Partition]]:
    return lumpable_chains(kind="exact", time="discrete", max_block_size=2)


@law(NETWORK_LAWS, "Buchholz 1994 and Ressi et al. 2022: A M = M^ A in both", _discrete())
def bridge_between_the_wings(lump: NetworkLumper, case: Any, draw: Draw, variant: str) -> None:
    """An exact lumping of a DTMC merges every layer of the linear network that unrolls steps of it.

    The start is uniform inside blocks, and the merged network is the unrolled quotient.
    """
    chain, partition = case
    steps = draw(st.integers(1, 3))
    whole, small = unfolded(chain, partition, steps)
    assert_lumpable(whole, dict.fromkeys(range(steps), partition), kind="exact")
    assert_same_function(whole, small)
    # Unrolling the quotient of the chain gives that network too: N = W L P^ W^-1.
    quotient = lump(chain, kind="exact", within=partition).quotient
    denominator, sizes = chain.matrix.weights.denominator, partition.blocks.sizes.tolist()
    weights = small.layers[0].parameters["weight"].tolist()
    for block, row in enumerate(weights):
        expected = [Fraction(0)] * len(row)
        for target, weight in quotient.matrix.row(block):
            expected[target] = denominator * weight * sizes[block] / sizes[target]
        assert row == expected, f"row {block} is {row}, and the quotient's {expected}"
    merged = lump(whole, kind="exact").quotient
    assert_same_function(whole, merged)
    assert merged.hidden_neurons <= steps * len(partition), f"{merged!r} has too many neurons"

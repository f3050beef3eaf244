"""Laws of certificates: true claims are verified, and changed ones are rejected.

A certifier is a lumper of chains, or of networks, whose answer has a method ``certificate``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.networks.layers import Dense
from lumpability.networks.network import Network
from lumpability.partition import Partition
from lumpability.testing.laws.law import Draw, Law, law
from lumpability.testing.laws.lumping import Case, cases
from lumpability.testing.strategies import networks
from lumpability.testing.strategies.lumpable import KINDS

Certifier = Callable[..., Any]
_SOURCE = "a certificate is a claim that anybody can check"

CERTIFIER_LAWS: dict[str, Law] = {}
"""Laws of certificates of chain lumpings by name."""

NETWORK_CERTIFIER_LAWS: dict[str, Law] = {}
"""Laws of certificates of network lumpings by name."""


@law(CERTIFIER_LAWS, _SOURCE, cases, variants=KINDS)
def certificates_verify(lump: Certifier, case: Case, draw: Draw, variant: str) -> None:
    """The certificate of a lumping verifies for its chain: it is a lumping, and the coarsest one."""
    chain, within = case
    lumping = lump(chain, kind=variant, within=within)
    verification = lumping.certificate().verify(chain, lumping.quotient)
    assert verification, f"{lumping.partition} is rejected: {verification}"
    assert verification.coarsest, f"{lumping.partition} is not shown to be coarsest: {verification}"


@law(CERTIFIER_LAWS, _SOURCE, cases, variants=KINDS)
def certificates_of_other_chains(lump: Certifier, case: Case, draw: Draw, variant: str) -> None:
    """A certificate is rejected for a chain with one rate changed, and for a changed quotient."""
    chain, within = case
    lumping = lump(chain, kind=variant, within=within)
    certificate = lumping.certificate()
    assert not certificate.verify(_changed(draw, chain)), "another chain is accepted"
    other = _changed(draw, lumping.quotient)
    assert not certificate.verify(chain, other), "another quotient is accepted"


def _changed(draw: Draw, chain: MarkovChain) -> MarkovChain:
    """Change a rate by as little as 1e-12, or add a transition with that probability."""
    rows = [[Fraction(0)] * chain.n for _ in range(chain.n)]
    for state, row in enumerate(rows):
        for target, weight in chain.matrix.row(state):
            row[target] = weight
    state = draw(st.integers(0, chain.n - 1))
    target = draw(st.integers(0, chain.n - 1))
    epsilon = Fraction(1, 10 ** draw(st.integers(0, 12)))
    if isinstance(chain, CTMC):
        rows[state][target] += epsilon
    else:
        # The whole row is scaled; if that changes nothing, the state gets a new transition.
        rows[state] = [(1 - epsilon) * weight for weight in rows[state]]
        rows[state][target] += epsilon
        if dict(chain.matrix.row(state)) == {target: 1}:
            rows.append([Fraction(s == chain.n) for s in range(chain.n + 1)])
            for row in rows[:-1]:
                row.append(Fraction(0))
    return type(chain)(rows)


@law(CERTIFIER_LAWS, _SOURCE, cases, variants=KINDS)
def certificates_of_other_partitions(lump: Certifier, case: Case, draw: Draw, variant: str) -> None:
    """A certificate with another partition in it is rejected, whether finer or coarser."""
    chain, within = case
    certificate = lump(chain, kind=variant, within=within).certificate()
    labels = certificate.partition.labels.copy()
    state = draw(st.integers(0, chain.n - 1))
    labels[state] = draw(st.integers(0, len(certificate.partition)))
    other = Partition(labels)
    if other != certificate.partition:
        verification = replace(certificate, partition=other).verify(chain)
        assert not verification, f"{other} in place of {certificate.partition}: {verification}"


@law(NETWORK_CERTIFIER_LAWS, _SOURCE, networks(), variants=("proportional", "exact"))
def network_certificates_verify(
    lump: Certifier, network: Network, draw: Draw, variant: str
) -> None:
    """The certificate of a network's lumping verifies for the network and its quotient."""
    lumping = lump(network, kind=variant)
    verification = lumping.certificate().verify(network, lumping.quotient)
    assert verification, f"rejected: {verification}"
    assert verification.coarsest, f"not shown to be coarsest: {verification}"


@law(NETWORK_CERTIFIER_LAWS, _SOURCE, networks(), variants=("proportional", "exact"))
def certificates_of_other_networks(
    lump: Certifier, network: Network, draw: Draw, variant: str
) -> None:
    """A certificate is rejected for a network, or a quotient, with one weight changed in its last bit."""
    lumping = lump(network, kind=variant)
    certificate = lumping.certificate()
    other = _nudged(draw, network)
    assert not certificate.verify(other, lumping.quotient), "another network is accepted"
    if any(layer.parameters for layer in lumping.quotient.layers):
        other = _nudged(draw, lumping.quotient)
        assert not certificate.verify(network, other), "another quotient is accepted"


def _nudged(draw: Draw, network: Network) -> Network:
    """Change one number of one layer as little as its type allows."""
    layers = list(network.layers)
    places = [i for i, layer in enumerate(layers) if isinstance(layer, Dense) and layer.weight.size]
    if not places:  # only a bias is left
        places = [i for i, layer in enumerate(layers) if isinstance(layer, Dense)]
    place = draw(st.sampled_from(places))
    layer = layers[place]
    assert isinstance(layer, Dense)
    weight, bias = layer.weight.copy(), layer.bias
    if weight.size:
        index = draw(st.integers(0, weight.size - 1))
        weight.flat[index] = np.nextafter(weight.flat[index], np.inf)
    else:
        assert bias is not None
        bias = np.nextafter(bias, np.inf)
    layers[place] = Dense(weight, bias)
    return replace(network, layers=tuple(layers))

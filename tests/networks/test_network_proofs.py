"""The certificate accepts what is right and rejects every change; `check` explains what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import pytest

from lumpability import check, lump
from lumpability.errors import InvalidPartition
from lumpability.networks import Network
from lumpability.networks.certificate import NetworkCertificate
from lumpability.networks.claims import Subject
from lumpability.networks.examples import planted, unequal_factors
from lumpability.networks.layers import Dense
from lumpability.networks.weight_stages import stages_of


@pytest.fixture
def certificate() -> NetworkCertificate:
    wide, _ = planted([3, 4, 4, 2], 3, seed=9)
    return lump(wide).certificate()


def test_a_certificate_holds_and_says_what_it_proves(certificate: NetworkCertificate) -> None:
    verdict = certificate.verify()
    assert verdict
    assert "A W = W^ A" in str(verdict)


@pytest.mark.parametrize("layer", range(2))
def test_every_changed_factor_is_rejected(certificate: NetworkCertificate, layer: int) -> None:
    claim = certificate.layers[layer]
    for unit in range(claim.partition.n):
        values = claim.factors.copy()
        values[unit] *= Fraction(3, 2)
        forged = [*certificate.layers]
        forged[layer] = replace(claim, factors=values)
        assert not replace(certificate, layers=tuple(forged)).verify()


def test_a_verdict_names_units_classes_and_sums() -> None:
    network = unequal_factors()
    verdict = check(network, {0: [{0, 1}], 1: [{0, 1}]})
    assert not verdict
    witness = verdict.witness
    assert (witness.unit, witness.other, witness.total, witness.other_total) == (0, 1, 1, 1)
    assert str(witness).startswith(
        "units 0 and 1 of layer 2: their sums from inputs [0, 1] are 3 and 2"
    )
    assert json.loads(json.dumps(witness.to_json()))["sums"] == ["1", "1"]
    assert "<p>units 0 and 1 of layer 2: their sums" in witness.to_html()
    assert check(network, {0: [{0, 1}]})
    names = [
        f"{stage.position}:{unit}" for stage in stages_of(network) for unit in range(stage.units)
    ]
    assert check(network, [names[:2], *([name] for name in names[2:])])
    with pytest.raises(InvalidPartition, match="'9:0'"):
        check(network, [["9:0"]])


def test_partitions_of_the_wrong_shape_are_refused() -> None:
    network = unequal_factors()
    with pytest.raises(InvalidPartition, match="another layer"):
        check(network, [0, 1, 1, 2, 3, 4])
    with pytest.raises(InvalidPartition, match="no layer 7"):
        check(network, {7: [{0}]})


def test_outputs_are_never_merged() -> None:
    network = Network.dense([([[1, 1]], None, None)])
    assert lump(network).is_irreducible
    verdict = check(network, {0: [{0, 1}]})
    assert "output" in str(verdict)


def test_a_stored_quotient_that_differs_from_the_proof_is_rejected(
    certificate: NetworkCertificate,
) -> None:
    quotient = certificate.quotient
    assert quotient is not None
    first = quotient.layers[0]
    assert isinstance(first, Dense)
    other = replace(first, weight=first.weight + 1)
    forged = replace(quotient, layers=(other, *quotient.layers[1:]))
    assert "another reduced network" in str(certificate.verify(quotient=forged))
    resealed = replace(certificate, reduced=Subject.of(forged))
    assert "layer 0 differs from the quotient that was proved" in str(
        resealed.verify(quotient=forged)
    )

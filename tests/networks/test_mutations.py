"""Mutations with a story; `test_certificate_attacks` changes everything else."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from network_attacks import with_layer
from small_networks import NETWORKS, dense

from lumpability import lump
from lumpability.networks import Network
from lumpability.networks.claims import Subject
from lumpability.networks.elementwise import Activate, PReLU
from lumpability.networks.layers import Conv, Dense
from lumpability.partition import Partition


def test_a_dropped_or_invented_constant_is_rejected() -> None:
    certificate = lump(NETWORKS["constant"]).certificate()
    first = certificate.layers[0]
    assert first.constants == {1: Fraction(3)}
    assert not with_layer(certificate, 0, constants={}).verify()
    assert not with_layer(certificate, 0, constants={1: Fraction(2)}).verify()
    assert not with_layer(certificate, 0, constants={**first.constants, 0: Fraction(0)}).verify()
    assert not with_layer(certificate, 0, live=np.ones_like(first.live)).verify()


def test_a_constant_before_a_padded_convolution_is_rejected() -> None:
    def network(pads: int) -> Network:
        first = Conv(np.array([[[1.0]], [[0.0]]]), np.array([0.0, 2.0]))
        second = Conv(np.ones((1, 2, 2)), pads=((pads, pads),))
        return Network((first, second), (None, 1, 3), np.float64)

    folded, padded = lump(network(0)).certificate(), network(1)
    assert folded.quotient is not None
    first, second = folded.quotient.layers
    quotient = replace(folded.quotient, layers=(first, replace(second, pads=((1, 1),))))  # type: ignore[type-var]
    assert folded.verify()
    forged = replace(folded, original=Subject.of(padded), reduced=Subject.of(quotient))
    verdict = forged.verify(padded, quotient)
    assert "padded" in str(verdict)
    assert not verdict


def test_another_rounding_than_the_one_claimed_is_rejected() -> None:
    tiny = [[1], [2.0**-30]]
    network = Network.dense([([[1, 1]], None, "relu"), (tiny, None, None)], dtype=np.float32)
    certificate = lump(network).certificate()
    assert certificate.verify()
    assert not replace(certificate, largest_change=Fraction(1, 2**31)).verify()


def test_rounded_slopes_are_counted_like_rounded_weights() -> None:
    network = dense(PReLU(np.array([0.1, 0.25, 0.1, 0.25])))
    narrow = lump(network, dtype="float32")
    assert (narrow.rounding.rounded, bool(narrow.certificate().verify())) == (1, True)
    assert narrow.rounding.largest == abs(Fraction(0.1) - Fraction(float(np.float32(0.1))))


def test_dead_units_that_share_a_class_with_a_constant_must_still_be_multiples() -> None:
    first = Dense(np.array([[1.0, 0, 1, 2]]), np.array([0.0, 3, 1, 5]))
    network = Network(
        (first, Activate("relu"), Dense(np.array([[1.0], [1], [1], [-1]]))), (None, 1), np.float64
    )
    certificate = lump(network).certificate()
    live = np.array([True, False])
    # Units 2 and 3 differ, and their outgoing weights only seem to cancel.
    mixed = with_layer(certificate, 0, partition=Partition([0, 1, 1, 1]), live=live)
    assert "constants share a class" in str(mixed.verify())
    apart = Partition([0, 1, 2, 2])
    verdict = with_layer(certificate, 0, partition=apart, live=np.array([True, False, False]))
    assert "A W = W^ A fails for unit 3: not 1 times unit 2" in str(verdict.verify())

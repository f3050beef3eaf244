"""What a network certificate exports is the statement of its lumping, and only if it holds."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from lumpability import lump
from lumpability.errors import InvalidInput
from lumpability.networks import certificate as certificates
from lumpability.networks.examples import unequal_factors
from lumpability.symbolic import export


def test_a_certificate_exports_what_its_lumping_exports(tmp_path):
    lumping = lump(unequal_factors())
    lumping.certificate().write(tmp_path / "certificate.json")
    read = certificates.NetworkCertificate.read(tmp_path / "certificate.json")
    text = read.export("coq", lumping.network, lumping.quotient)
    assert text == lumping.certificate().export("coq") == export(lumping)


def test_a_certificate_that_does_not_hold_is_not_exported():
    certificate = replace(lump(unequal_factors()).certificate(), largest_change=Fraction(-1))
    with pytest.raises(InvalidInput, match="does not hold, and is not exported"):
        certificate.export("coq")


def test_a_certificate_from_a_file_needs_the_networks_for_an_export():
    certificate = replace(lump(unequal_factors()).certificate(), network=None, quotient=None)
    with pytest.raises(InvalidInput, match="needs both networks"):
        certificate.export("coq")


def test_an_unknown_language_is_refused():
    with pytest.raises(InvalidInput, match="choose coq"):
        lump(unequal_factors()).certificate().export("isabelle")

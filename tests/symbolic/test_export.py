"""Exports of lumpings: the same from a lumping and from its certificate, refused where they say nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy

from lumpability import Network, Partition, lump
from lumpability.errors import InvalidInput, NotJustified
from lumpability.markov.examples import (
    exact_not_ordinary,
    machine_repair,
    proportional_not_ordinary,
)
from lumpability.networks.examples import planted
from lumpability.symbolic import export, statement_of
from lumpability.symbolic.matrices import compare


@pytest.mark.parametrize("language", ["coq", "lean"])
@pytest.mark.parametrize("kind", ["ordinary", "bisimulation", "exact", "strict", "proportional"])
def test_a_certificate_is_exported_like_its_lumping(kind: str, language: str) -> None:
    for chain in (machine_repair(2), proportional_not_ordinary("3/2")):
        lumping = lump(chain, kind=kind)
        assert lumping.certificate().export(language, chain) == export(lumping, language)


def test_the_quotient_that_is_exported_is_that_of_the_lumping() -> None:
    lumping = lump(exact_not_ordinary(), kind="exact")
    other = replace(lumping, quotient=lump(exact_not_ordinary(), initial=[0, 1, 1]).quotient)
    with pytest.raises(InvalidInput, match="labels must lie"):
        statement_of(replace(lumping, partition=Partition.discrete(3)))
    assert export(other, "coq") != export(lumping, "coq")


def test_what_is_no_lumping_or_no_language_is_refused() -> None:
    lumping = lump(machine_repair(2))
    with pytest.raises(InvalidInput, match="no export to 'agda': choose one of coq, lean"):
        export(lumping, "agda")
    with pytest.raises(InvalidInput, match="a CTMC is no lumping"):
        statement_of(lumping.chain)


def test_factors_that_do_not_pass_the_activation_are_refused() -> None:
    lumping = lump(planted([2, 3, 2], 2, function="relu")[0])
    layers = list(lumping.network.layers)
    layers[1] = Network.dense([([[1]], None, "sigmoid")]).layers[1]
    forged = replace(lumping, network=replace(lumping.network, layers=tuple(layers)))
    with pytest.raises(NotJustified, match="does not pass what follows"):
        statement_of(forged)


def test_matrices_that_cannot_be_multiplied_are_refused() -> None:
    one, two = sympy.ones(1, 2), sympy.ones(1, 1)
    with pytest.raises(InvalidInput, match=r"have shapes \(1, 2\) and \(1, 1\)"):
        compare("a b = c", [one, two], [two], "a", "b")
    with pytest.raises(InvalidInput, match="sides of a = b have shapes"):
        compare("a = b", [one], [two], "a", "b")

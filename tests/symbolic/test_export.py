"""Exports of lumpings: the same from a lumping and from its certificate, refused where they say nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy

from lumpability import Network, Partition, lump
from lumpability.errors import InvalidInput
from lumpability.markov.examples import (
    exact_not_ordinary,
    machine_repair,
    proportional_not_ordinary,
)
from lumpability.networks.examples import planted
from lumpability.symbolic import export, statement_of
from lumpability.symbolic.matrices import compare


@pytest.mark.parametrize("kind", ["ordinary", "bisimulation", "exact", "strict", "proportional"])
def test_a_certificate_is_exported_like_its_lumping(kind: str) -> None:
    for chain in (machine_repair(2), proportional_not_ordinary("3/2")):
        lumping = lump(chain, kind=kind)
        assert lumping.certificate().export("coq", chain) == export(lumping)


def test_a_lumping_that_does_not_hold_is_not_exported() -> None:
    lumping = lump(exact_not_ordinary(), kind="exact")
    other = lump(exact_not_ordinary(), within=[0, 1, 1]).quotient
    for forged in (
        replace(lumping, quotient=other),
        replace(lumping, partition=Partition.trivial(3)),
    ):
        with pytest.raises(InvalidInput, match="does not hold for this chain"):
            statement_of(forged)


def test_what_is_no_lumping_or_no_language_is_refused() -> None:
    lumping = lump(machine_repair(2))
    with pytest.raises(InvalidInput, match="no export to 'agda': choose coq"):
        export(lumping, "agda")
    with pytest.raises(InvalidInput, match="a CTMC is not a lumping"):
        statement_of(lumping.chain)


def test_factors_that_do_not_pass_the_activation_are_refused() -> None:
    lumping = lump(planted([2, 3, 2], 2, function="relu")[0])
    layers = list(lumping.network.layers)
    layers[1] = Network.dense([([[1]], None, "sigmoid")]).layers[1]
    forged = replace(lumping, network=replace(lumping.network, layers=tuple(layers)))
    with pytest.raises(InvalidInput, match="does not hold"):
        statement_of(forged)


def test_matrices_that_cannot_be_multiplied_are_refused() -> None:
    one, two = sympy.ones(1, 2), sympy.ones(1, 1)
    with pytest.raises(InvalidInput, match=r"have shapes \(1, 2\) and \(1, 1\)"):
        compare("a b = c", [one, two], [two], "a", "b")
    with pytest.raises(InvalidInput, match="sides of a = b have shapes"):
        compare("a = b", [one], [two], "a", "b")

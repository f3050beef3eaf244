"""Certificates of every kind: made, written, read, verified, printed."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Certificate, Partition, lump
from lumpability.certificate.digest import Digest
from lumpability.errors import InvalidInput
from lumpability.markov import MarkovChain
from lumpability.markov.examples import machine_repair
from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure
from lumpability.testing import ctmcs, dtmcs, labelled, lumpable_chains, parametric_chains

KINDS = ["ordinary", "bisimulation", "exact", "strict", "proportional"]


def certified(chain: MarkovChain, kind: str, **options: object) -> Certificate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a single block is as good as any
        return lump(chain, kind=kind, **options).certificate()


@pytest.fixture
def through_a_file(tmp_path_factory: pytest.TempPathFactory):
    """Write a certificate and read it back."""
    path = tmp_path_factory.mktemp("certificates") / "certificate.json"

    def write_and_read(certificate: Certificate) -> Certificate:
        certificate.write(path)
        return Certificate.read(path)

    return write_and_read


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_certificate_proves_after_a_round_trip_that_the_lumping_is_the_coarsest(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chains = labelled(ctmcs() if kind == "proportional" else st.one_of(ctmcs(), dtmcs()))
    planted = lumpable_chains(kind=kind).map(lambda pair: pair[0])
    chain = data.draw(st.one_of(chains, planted))
    initial = data.draw(
        st.none() | st.lists(st.integers(0, 1), min_size=chain.n, max_size=chain.n).map(np.array)
    )
    certificate = certified(chain, kind, within=initial)
    path = tmp_path_factory.getbasetemp() / f"{kind}.json"
    certificate.write(path)
    verification = Certificate.read(path).verify(chain, lump_quotient(chain, kind, initial))
    assert verification, verification
    assert verification.sound
    assert verification.coarsest
    schema = json.loads(
        files("lumpability").joinpath("schemas/certificate.schema.json").read_text()
    )
    jsonschema.validate(json.loads(path.read_text()), schema)


def lump_quotient(chain: MarkovChain, kind: str, initial: object) -> MarkovChain:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lump(chain, kind=kind, within=initial).quotient


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)  # rational functions take their time
@given(chain=labelled(parametric_chains(min_states=3, max_states=4)))
def test_with_parameters_the_identity_is_proved_between_rational_functions(
    kind: str, chain: MarkovChain, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certificate = certified(chain, kind)
    path = tmp_path_factory.getbasetemp() / f"parametric-{kind}.json"
    certificate.write(path)
    verification = Certificate.read(path).verify(chain)
    assert verification, verification
    assert verification.coarsest


def test_a_rational_function_that_only_looks_different_is_accepted_and_another_is_not(
    through_a_file,
) -> None:
    rates = {("a", "c"): "x/(x + y)", ("b", "c"): "x/(x + y)", ("c", "a"): "x", ("c", "b"): "y"}
    chain = CTMC.from_rates(rates, labels={"goal": ["c"]})
    alike = CTMC.from_rates(
        {**rates, ("b", "c"): "(x**2 + x*y)/(x + y)**2"}, labels={"goal": ["c"]}
    )
    other = CTMC.from_rates({**rates, ("b", "c"): "x/(x + 2*y)"}, labels={"goal": ["c"]})
    certificate = through_a_file(lump(chain).certificate())
    assert certificate.verify(chain)
    assert certificate.verify(alike)
    assert not certificate.verify(other)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_sums_factors_and_partitions_are_rejected_with_parameters_too(kind: str) -> None:
    rates = {
        ("a", "c"): "x",
        ("b", "c"): "x",
        ("c", "a"): "y",
        ("c", "b"): "y",
        ("c", "d"): "x/(x + y)",
    }
    chain = CTMC.from_rates(rates, labels={"goal": ["c"]}, initial="c")
    certificate = lump(chain, kind=kind).certificate()
    assert certificate.verify(chain).coarsest
    history, blocks = certificate.history, len(certificate.partition)
    assert blocks < chain.n
    for part in range(len(history.sums)):
        for value in ("x + y", "2*x", "x*y/y + 1", 5):
            sums = list(history.sums)
            sums[part] = value
            wrong = replace(history, sums=ExactArray.read(sums)[0])
            assert not replace(certificate, history=wrong).verify(chain)
    labels = certificate.partition.labels
    for merged in {tuple(np.where(labels == b, 0, labels)) for b in range(1, blocks)}:
        wrong = replace(certificate, partition=Partition(np.array(merged)), history=None)
        assert wrong.verify(chain).rejection.field in ("partition", "quotient")
    if kind == "proportional":
        for value in ("x", 2, "z"):
            factors = list(certificate.kappa)
            factors[2] = value
            wrong = replace(certificate, kappa=ExactArray.read(factors)[0])
            assert not wrong.verify(chain)


def test_numbers_that_fit_no_machine_word_are_verified_exactly(through_a_file) -> None:
    tiny, huge = "1/" + "7" * 60, "9" * 50
    rates = {("a", "c"): tiny, ("b", "c"): tiny, ("c", "a"): huge, ("a", "b"): 1, ("b", "a"): 2}
    chain = CTMC.from_rates(rates, labels={"goal": ["c"]})
    certificate = through_a_file(lump(chain).certificate())
    assert len(certificate.partition) == 2
    assert certificate.verify(chain).coarsest
    off = CTMC.from_rates({**rates, ("b", "c"): f"{tiny[:-1]}8"}, labels={"goal": ["c"]})
    assert not certificate.verify(off)


def test_denominators_with_nothing_in_common_are_verified_exactly(through_a_file) -> None:
    primes = [p for p in range(2, 700) if all(p % q for q in range(2, p))]
    rates = {(i, len(primes)): f"1/{p}" for i, p in enumerate(primes)}
    rates |= {(len(primes) + 1 + i, len(primes)): f"1/{p}" for i, p in enumerate(primes)}
    chain = CTMC.from_rates(rates, labels={"goal": [len(primes)]})
    certificate = through_a_file(lump(chain).certificate())
    assert certificate.denominator is None
    assert len(certificate.partition) == len(primes) + 1
    assert certificate.verify(chain).coarsest


def test_empty_and_single_state_chains_have_certificates(through_a_file) -> None:
    for n in (0, 1):
        chain = CTMC(WeightedStructure.from_edges(n, [], [], []))
        for kind in KINDS:
            assert through_a_file(certified(chain, kind)).verify(chain)


def test_names_of_states_do_not_matter_to_a_certificate() -> None:
    chain = machine_repair(3)
    certificate = lump(chain).certificate()
    unnamed = CTMC(chain.matrix, labels=chain.labels, initial=chain.initial)
    assert certificate.verify(unnamed)


def test_without_a_history_only_soundness_is_proved_and_that_is_said() -> None:
    chain = machine_repair(3)
    verification = replace(lump(chain).certificate(), history=None).verify(chain)
    assert verification
    assert (verification.sound, verification.coarsest) == (True, False)
    assert "is not claimed" in str(verification)


def test_a_given_quotient_must_be_the_one_that_is_named() -> None:
    chain = machine_repair(3)
    lumping = lump(chain)
    certificate = lumping.certificate()
    assert certificate.verify(chain, lumping.quotient)
    rejected = certificate.verify(chain, chain)
    assert rejected.rejection.field == "quotient"


def test_a_rejection_names_the_states_that_show_it() -> None:
    chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
    other = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 3, ("c", "a"): 2}, labels={"goal": ["c"]})
    certificate = replace(lump(chain).certificate(), model=Digest.of(other))
    verification = certificate.verify(other)
    assert verification.rejection.states == (0, 2)
    assert "sums into block 1 are 1 and 3" in str(verification)


def test_other_things_than_chains_are_refused_with_the_reason() -> None:
    certificate = lump(machine_repair(3)).certificate()
    with pytest.raises(InvalidInput, match="CTMC or DTMC, not a str"):
        certificate.verify("machines.json")


def test_a_five_state_certificate_prints_everything_needed_to_verify_it_by_hand() -> None:
    chain = DTMC.from_rates(
        {
            ("start", "left"): "1/4",
            ("start", "right"): "1/4",
            ("start", "end"): "1/2",
            ("left", "start"): "1/3",
            ("left", "end"): "2/3",
            ("right", "start"): "1/3",
            ("right", "end"): "2/3",
            ("end", "end"): 1,
            ("trap", "left"): 1,
        },
        labels={"done": ["end"]},
    )
    assert str(lump(chain).certificate()).splitlines()[2:] == [
        "respected  label:done",
        "blocks     B0 = {0}; B1 = {1, 2}; B2 = {3}; B3 = {4}",
        "sound      P V = V P^: members s of one block have equal sums of P[s, u] over u in each block",
        "           from B0: into B1 1/2, into B2 1/2",
        "           from B1: into B0 1/3, into B2 2/3",
        "           from B2: into B2 1",
        "           from B3: into B1 1",
        "coarsest   N0 = {B0, B1, B3}, N1 = {B2} must stay apart",
        "           N0 by sums into N0: N2 = {B3} 1, N3 = {B0} 1/2, N4 = {B1} 1/3",
    ]


def test_files_are_small_and_packed_ones_smaller(tmp_path: Path) -> None:
    n = 20_000
    states = np.arange(n - 1)
    chain = CTMC(
        WeightedStructure.from_edges(n, states, states + 1, np.ones(n - 1, dtype=int)),
        labels={"end": [n - 1]},
    )
    certificate = lump(chain).certificate()
    certificate.write(tmp_path / "line.json")
    certificate.write(tmp_path / "line.json.gz")
    assert (tmp_path / "line.json").stat().st_size < 45 * n
    assert (tmp_path / "line.json.gz").stat().st_size < 15 * n
    assert Certificate.read(tmp_path / "line.json.gz").verify(chain).coarsest


def test_an_export_is_a_file_for_a_proof_assistant() -> None:
    chain = machine_repair(3)
    text = lump(chain).certificate().export("coq", chain)
    assert "Q V = V Q^" in text
    with pytest.raises(InvalidInput, match="no export to 'agda'"):
        lump(chain).certificate().export("agda", chain)
    with pytest.raises(InvalidInput, match="does not hold for this chain"):
        lump(chain).certificate().export("coq", machine_repair(4))


@pytest.mark.parametrize("kind", KINDS)
def test_two_identities_hold_and_one_holds(kind: str) -> None:
    chain = machine_repair(3)
    text = str(certified(chain, kind).verify(chain))
    assert (" hold exactly" in text) == (kind == "strict")
    assert (" holds exactly" in text) == (kind != "strict")

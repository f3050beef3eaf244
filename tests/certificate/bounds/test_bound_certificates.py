"""Certificates of intervals: what was proved is accepted from a file, and no mutant of it is accepted wrongly."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumpability import CTMC, DTMC
from lumpability.certificate import BoundCertificate, domain_of
from lumpability.certificate.bounds.proofs import Evidence
from lumpability.certificate.bounds.vector import Vector
from lumpability.errors import FormatError
from lumpability.markov import MarkovChain
from lumpability.markov.approximate.bounds import Interval, bounds
from lumpability.markov.solve import (
    expected_reward_until,
    hitting_probabilities,
    long_run,
    stationary,
    transient,
)
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition

RATES = [[0, 1, "1/3", 0], [2, 0, 0, "1/7"], ["1/2", 0, 0, 1], [0, "3/4", 1, 0]]
STEPS = [["1/2", "1/4", "1/4", 0], [0, "1/3", "1/3", "1/3"], ["1/5", 0, "1/5", "3/5"], [0, 0, 1, 0]]
LABELS = {"up": [0, 1], "goal": [3]}
COST = {"cost": [1, 2, 0, 4]}


def chains() -> list[MarkovChain]:
    return [
        CTMC(RATES, labels=LABELS, rewards=COST, initial=0),
        DTMC(STEPS, labels=LABELS, rewards=COST, initial=0),
    ]


def answered(chain: MarkovChain) -> Iterator[tuple[Interval, float]]:
    """Intervals of all kinds with the value that each contains."""
    found, up = bounds(chain, [0, 0, 1, 2]), np.array([1, 1, 0, 0])
    cost = np.array([1, 2, 0, 4])
    now = transient(chain, 3).floats()
    for over in ("hull", "members"):
        yield found.transient(3, of="up", over=over), float(now @ up)
    yield found.transient(3, of=[1, 2, 0, 4], initial={1: "1/2", 2: "1/2"}), float("nan")
    yield found.time_bounded("goal", 2), float("nan")
    masses = stationary(chain).floats()
    for accuracy in (None, 1e-9):
        yield found.stationary("cost", accuracy=accuracy), float(masses @ cost)
        yield found.long_run("up", accuracy=accuracy), float(long_run(chain).floats() @ up)
        yield (
            found.hitting("goal", accuracy=accuracy),
            float(hitting_probabilities(chain, "goal").floats()[0]),
        )
        yield found.hitting([3], accuracy=accuracy), 1.0
        earned = expected_reward_until(chain, "cost", "goal").floats()[0]
        yield found.expected("cost", until="goal", accuracy=accuracy), float(earned)


def all_answered() -> list[tuple[MarkovChain, Interval, float]]:
    return [(chain, *pair) for chain in chains() for pair in answered(chain)]


def test_every_kind_is_accepted_after_a_round_trip_and_follows_the_schema(tmp_path: Path) -> None:
    jsonschema: Any = pytest.importorskip("jsonschema")
    schema = json.loads(files("lumpability").joinpath("schemas/bound.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    path = tmp_path / "bound.json"
    for chain, interval, value in all_answered():
        certificate = interval.certify()
        certificate.write(path)
        assert domain_of(path) == "bound"
        jsonschema.validate(json.loads(path.read_text()), schema)
        read = BoundCertificate.read(path)
        verification = read.verify(chain)
        assert verification, (interval, verification)
        assert verification.sound
        assert not verification.coarsest
        first = path.read_bytes()
        read.write(path)
        assert path.read_bytes() == first
        assert np.isnan(value) or interval.lower - 1e-9 <= value <= interval.upper + 1e-9


def contains(certificate: BoundCertificate, value: float) -> bool:
    slack = Fraction(1, 10**8)
    return certificate.lower - slack <= Fraction(value) <= certificate.upper + slack


def mutants(certificate: BoundCertificate, rng: random.Random) -> Iterator[BoundCertificate]:
    """The certificate with one of its parts changed: ends tightened, vectors, steps, rate, partition."""

    def changed(**parts: Any) -> BoundCertificate:
        return BoundCertificate(**{**vars(certificate), **parts})

    width = certificate.upper - certificate.lower
    for share in (Fraction(1, 10**9), Fraction(1, 3), Fraction(2)):
        more = share * (width + Fraction(1, 1000))
        yield changed(lower=certificate.lower + more)
        yield changed(upper=certificate.upper - more)
    yield changed(lower=certificate.upper, upper=certificate.lower)
    for side in ("below", "above"):
        evidence: Evidence = getattr(certificate, side)
        yield changed(**{side: replace(evidence, vectors=())})
        yield changed(**{side: replace(evidence, vectors=(*evidence.vectors, *evidence.vectors))})
        for steps in {0, 1, evidence.steps // 2, evidence.steps + 7} - {evidence.steps}:
            yield changed(**{side: replace(evidence, steps=steps)})
        for i, vector in enumerate(evidence.vectors):
            values = list(vector.exact())
            for change in (Fraction(1, 2**40), Fraction(-1, 3), Fraction(5)):
                place = rng.randrange(len(values))
                other = [v + change if j == place else v for j, v in enumerate(values)]
                yield changed(**{side: with_vector(evidence, i, other)})
            for scale in (Fraction(0), Fraction(-1), Fraction(99, 100)):
                yield changed(**{side: with_vector(evidence, i, [scale * v for v in values])})
            yield changed(**{side: with_vector(evidence, i, values[:-1])})
    if certificate.rate is not None:
        for factor in (Fraction(1, 4), Fraction(2), Fraction(-1)):
            yield changed(rate=certificate.rate * factor)
    yield changed(over="hull" if certificate.over == "members" else "members")
    yield changed(partition=Partition([0, 1, 1, 2]))
    yield changed(partition=Partition([0, 0, 0, 0]))
    if certificate.asked.time is not None:
        yield changed(asked=replace(certificate.asked, time=Fraction(-1)))
    if certificate.asked.start is not None:
        yield changed(asked=replace(certificate.asked, start=ExactArray.read([2, -1, 0, 0])[0]))
        yield changed(asked=replace(certificate.asked, start=ExactArray.read([1, 1, 0, 0])[0]))


def with_vector(evidence: Evidence, i: int, values: list[Fraction]) -> Evidence:
    vectors = list(evidence.vectors)
    vectors[i] = Vector.of(ExactArray.read(values)[0])
    return replace(evidence, vectors=tuple(vectors))


def test_no_mutant_is_accepted_that_claims_something_false() -> None:
    rng, tried, rejected = random.Random(7), 0, 0
    for chain, interval, value in all_answered():
        for mutant in mutants(interval.certify(), rng):
            verification = mutant.verify(chain)
            tried += 1
            rejected += not verification
            if verification and not np.isnan(value) and same_question(mutant, interval):
                assert contains(mutant, value), (interval, mutant)
            if mutant.lower > interval.lower and mutant.lower > interval.upper:
                assert not verification
    assert tried > 800
    assert rejected > tried // 2


def same_question(mutant: BoundCertificate, interval: Interval) -> bool:
    return mutant.asked is interval.certify().asked


def test_a_tightened_end_is_rejected_by_name() -> None:
    for chain, interval, _ in all_answered():
        certificate = interval.certify()
        for field, end in (
            ("lower", interval.lower + Fraction(1, 10**9) * (abs(interval.lower) + 1)),
            ("upper", interval.upper - Fraction(1, 10**9) * (abs(interval.upper) + 1)),
        ):
            mutant = BoundCertificate(**{**vars(certificate), field: end})
            verification = mutant.verify(chain)
            assert not verification
            assert verification.rejection.field == field


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"kind": "stationary"', '"kind": "ordinary"', "kind"),
        ('"over": "members"', '"over": "nobody"', "over"),
        ('"steps": 0', '"steps": -1', "whole number"),
        ('"of": "reward:cost"', '"of": [0]', "where 4 should be"),
        ('"domain": "bound"', '"domain": "chain"', "about a chain"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "bound.json"
    bounds(chains()[0], [0, 0, 1, 2]).stationary("cost").certify().write(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(FormatError, match=message):
        BoundCertificate.read(path)


def test_a_chain_with_parameters_is_not_the_one_of_a_certificate() -> None:
    chain = CTMC([[0, 1], [1, 0]])
    certificate = bounds(chain, [0, 1]).stationary([1, 0]).certify()
    assert not certificate.verify(CTMC([[0, "x"], [1, 0]]))

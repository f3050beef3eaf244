"""Certificates of regions: what is right is accepted, every mutant that claims more is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import region_attacks
from hypothesis import given
from hypothesis import strategies as st
from random_networks import FEWER, box, dense, point

from lumpability import Network, lump, relax
from lumpability.errors import FormatError, InvalidInput
from lumpability.networks.regions import Box
from lumpability.networks.relaxed.certificate import RegionCertificate
from lumpability.networks.relaxed.lumping import RegionLumping

SEEDS = st.integers(0, 2**32)


def example(seed: int = 3, **options: Any) -> RegionLumping:
    random = np.random.default_rng(seed)
    network = dense(random, [3, 6, 5, 2])
    return lump(network, region=box(random, 3, width=0.5), **options)


def test_a_certificate_survives_its_file(tmp_path: Path) -> None:
    lumping = example(dtype="float32", boxes=4)
    for name in ("c.json", "c.json.gz"):
        lumping.certificate().write(tmp_path / name)
        found = RegionCertificate.read(tmp_path / name)
        assert found.bound == lumping.bound > 0
        assert found.verify(lumping.network, lumping.quotient)
    again = tmp_path / "again.json"
    found.write(again)
    assert again.read_bytes() == (tmp_path / "c.json").read_bytes()


def test_a_certificate_about_all_inputs_survives_its_file(tmp_path: Path) -> None:
    relaxed = relax(example().network, units=4)
    relaxed.certificate().write(tmp_path / "c.json")
    found = RegionCertificate.read(tmp_path / "c.json")
    assert found.region is None
    assert found.verify(relaxed.network, relaxed.quotient)


def test_an_absurd_bound_is_refused_when_the_file_is_read(tmp_path: Path) -> None:
    claims = replace(example().certificate(), bound=Fraction(10**400))
    claims.write(tmp_path / "c.json")
    with pytest.raises(FormatError, match="beyond the range of doubles"):
        RegionCertificate.read(tmp_path / "c.json")


def test_no_attack_on_a_file_is_wrongly_accepted() -> None:
    counts = dict(region_attacks.run(every=61))
    assert sum(count.total() for count in counts.values()) > 150
    assert not sum(count["wrongly accepted"] for count in counts.values())
    assert sum(count["still right"] for count in counts.values()) < 60


def test_files_follow_the_published_schema(tmp_path: Path) -> None:
    jsonschema: Any = pytest.importorskip("jsonschema")
    schema = json.loads(
        resources.files("lumpability")
        .joinpath("schemas", "region-certificate.schema.json")
        .read_text()
    )
    relaxed = relax(example().network, units=4)
    for number, found in enumerate((example(dtype="float16", boxes=2), example(), relaxed)):
        found.certificate().write(tmp_path / f"{number}.json")
        document = json.loads((tmp_path / f"{number}.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(document)


def test_both_networks_are_needed_and_others_are_refused(tmp_path: Path) -> None:
    lumping = example()
    lumping.certificate().write(tmp_path / "c.json")
    found = RegionCertificate.read(tmp_path / "c.json")
    with pytest.raises(InvalidInput, match="needs both networks"):
        found.verify(lumping.network)
    for pair in ((lumping.quotient, lumping.quotient), (lumping.network, lumping.network)):
        assert found.verify(*pair).rejection.field == "digest"


@FEWER
@given(SEEDS)
def test_a_bound_tightened_by_a_billionth_is_refused(seed: int) -> None:
    claims = example(seed, dtype="float16").certificate()
    assert claims.verify()
    if claims.bound > Fraction(1, 10**9):
        verdict = replace(claims, bound=claims.bound - Fraction(1, 10**9)).verify()
        assert verdict.rejection.field == "bound"


def mutants(random: np.random.Generator, claims: RegionCertificate) -> RegionCertificate:
    """Change one number, place or box of a certificate."""
    kind = random.integers(0, 6)
    lifts, parts = list(claims.lifts), list(claims.parts)
    number = int(random.integers(0, len(lifts)))
    if kind == 0:
        lifts[number] = replace(
            lifts[number], matrix=random.permutation(lifts[number].full, axis=1)
        )
    elif kind == 1:
        shift = lifts[number].shift + random.normal(size=lifts[number].shift.shape)
        lifts[number] = replace(lifts[number], shift=shift)
    elif kind in (2, 3):
        part = [[[end.copy() for end in pair] for pair in side] for side in parts[0]]
        side = part[int(random.integers(0, 2))]
        end = side[int(random.integers(0, len(side)))][int(random.integers(0, 2))]
        if end.size:
            end[int(random.integers(0, end.size))] += random.normal() * 10.0 ** random.integers(
                -9, 1
            )
        parts[0] = tuple(tuple(map(tuple, one)) for one in part)
    elif kind == 4:
        assert claims.region is not None
        wider = Box(claims.region.low - Fraction(1, 2), claims.region.high + Fraction(1, 3))
        return replace(claims, region=wider)
    else:
        return replace(claims, bound=claims.bound * Fraction(int(random.integers(0, 10)), 10))
    return replace(claims, lifts=tuple(lifts), parts=tuple(parts))


@FEWER
@given(SEEDS)
def test_no_mutant_that_is_accepted_claims_more_than_holds(seed: int) -> None:
    random = np.random.default_rng(seed)
    lumping = example(seed, dtype="float16", boxes=2)
    changed = mutants(random, lumping.certificate())
    if not changed.verify():
        return
    assert changed.region is not None
    for _ in range(5):
        x = point(random, changed.region)
        gap = lumping.network.exact(x) - lumping.quotient.exact(x)
        assert max(map(abs, gap.tolist())) <= changed.bound


def test_a_reduced_network_with_another_weight_is_refused() -> None:
    lumping = example()
    layers = list(lumping.quotient.layers)
    layers[0] = replace(layers[0], weight=layers[0].weight * 1.5)  # type: ignore[type-var,attr-defined]
    other = replace(lumping.quotient, layers=tuple(layers))
    assert not lumping.certificate().verify(quotient=other)
    from lumpability.networks.claims import Subject

    forged = replace(lumping.certificate(), reduced=Subject.of(other))
    assert not forged.verify(quotient=other)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"0x1', '"nan', "finite number"),
        ('"0x1', '"inf', "finite number"),
        ('"0x1', '"1.5', "finite number"),
        ('p+0"', 'p+5000"', "finite number"),
        ('"kind": "region"', '"kind": "exact"', "is of the kind"),
        ('"domain": "region"', '"domain": "network"', "is about a network"),
        ('"bound": "', '"bound": "-', "negative 'bound'|integer"),
        ('"low": ["', '"low": ["99', "no box"),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    path = tmp_path / "c.json"
    example(dtype="float16").certificate().write(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(FormatError, match=told) as caught:
        RegionCertificate.read(path)
    assert "\n" not in str(caught.value)


def test_a_certificate_without_parts_or_layers_proves_nothing() -> None:
    claims = example().certificate()
    assert not replace(claims, parts=()).verify()
    assert not replace(claims, lifts=claims.lifts[:-1]).verify()
    assert not replace(claims, cuts=(7,)).verify()
    assert not replace(claims, skipped=1).verify()


def test_a_network_of_another_size_is_refused() -> None:
    lumping = example()
    assert not lumping.certificate().verify(Network.dense([([[1]], None, None)]))


def test_the_written_file_says_which_region(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from lumpability import write

    lumping = example()
    write(lumping.quotient, tmp_path / "small.onnx")
    model = onnx.load(tmp_path / "small.onnx")
    told = {item.key: item.value for item in model.metadata_props}
    assert lumping.region is not None
    assert json.loads(told["lumpability.region"]) == lumping.region.to_json()
    assert told["lumpability.bound"] == str(lumping.bound)

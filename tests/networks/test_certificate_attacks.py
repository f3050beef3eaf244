"""Certificates of networks as files: they come back whole, and nothing that is wrong gets past the checker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from importlib import resources
from itertools import groupby, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from network_attacks import damaged_files, file_verdict, mutants, verdict
from published_networks import published_files
from small_networks import NETWORKS, lumped

from lumpability import lump, read, write
from lumpability.errors import FormatError, InvalidInput, SizeLimit
from lumpability.networks import Network, NetworkCertificate
from lumpability.networks.claims import Subject, network_digest, read_network_claims
from lumpability.networks.joins import Opaque
from lumpability.partition import Partition

LARGE = ("N=M=24", "N=M=32", "N=M=64")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_mutant_is_rejected_or_still_right(name: str) -> None:
    lumping = lumped(name)
    certificate = lumping.certificate()
    assert certificate.verify()
    outcomes = [verdict(mutant) for mutant in mutants(lumping)]
    assert "wrongly accepted" not in outcomes
    assert outcomes.count("rejected") > 0.95 * len(outcomes) > 50


@pytest.mark.parametrize("name", ["reflected", "constant", "dead"])
def test_every_damaged_file_is_rejected_or_still_right(name: str, tmp_path: Path) -> None:
    lumping = lumped(name)
    lumping.certificate().write(tmp_path / "whole.json")
    damaged = damaged_files((tmp_path / "whole.json").read_bytes())
    for attack, text in islice(damaged, 0, None, 7):  # the script tries all
        assert file_verdict(lumping, text, tmp_path) != "wrongly accepted", (attack, text)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_a_certificate_comes_back_from_its_file(name: str, suffix: str, tmp_path: Path) -> None:
    lumping = lumped(name)
    path = tmp_path / f"certificate{suffix}"
    lumping.certificate().write(path)
    found = NetworkCertificate.read(path)
    assert found.verify(lumping.network)
    verification = found.verify(lumping.network, lumping.quotient)
    assert (verification.sound, verification.coarsest) == (True, True)
    assert "the reduced network holds W^" in str(verification)
    assert found.network is None
    found.write(tmp_path / f"again{suffix}")
    assert (tmp_path / f"again{suffix}").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", NETWORKS)
def test_files_follow_the_published_schema(name: str, tmp_path: Path) -> None:
    jsonschema: Any = pytest.importorskip("jsonschema")
    schema = json.loads(
        resources.files("lumpability")
        .joinpath("schemas", "network-certificate.schema.json")
        .read_text()
    )
    path = tmp_path / "certificate.json"
    lumped(name).certificate().write(path)
    jsonschema.Draft202012Validator(schema).validate(json.loads(path.read_text()))


@given(
    st.integers(0, 2**20),
    st.sampled_from(["relu", "tanh", "abs", "identity", "sigmoid", "leaky_relu"]),
    st.sampled_from(["proportional", "exact"]),
    st.booleans(),
)
def test_every_lumping_is_sound_and_coarsest(
    seed: int, function: str, kind: str, antiparallel: bool
) -> None:
    """Small integers as weights make duplicates, constants and dead units frequent."""
    random = np.random.default_rng(seed)
    sizes = [2, 5, 4, 2]
    layers: list[Any] = [
        (random.integers(-1, 2, (a, b)), random.integers(-1, 2, b), function)
        for a, b in pairwise(sizes)
    ]
    lumping = lump(Network.dense(layers), kind=kind, antiparallel=antiparallel)
    verification = lumping.certificate().verify()
    assert (verification.sound, verification.coarsest) == (True, True), str(verification)


def test_a_lumping_that_is_not_the_coarsest_is_sound_but_rejected() -> None:
    network = NETWORKS["relu"]
    certificate = lump(network, kind="exact").certificate()
    layers = tuple(
        replace(claim, admits=None if claim.held else "positive factors")
        for claim in certificate.layers
    )
    finer = replace(certificate, kind="proportional", layers=layers)
    verification = finer.verify()
    assert (bool(verification), verification.sound, verification.coarsest) == (False, True, False)
    assert re.fullmatch(
        "rejected: the classes are a lumping, but layer 0: units . and . are in different classes and could "
        "be merged",
        str(verification),
    )


@pytest.mark.parametrize(
    ("name", "layer", "changes", "words"),
    [
        ("constant", 0, {"constants": {}, "live": np.ones(3, dtype=bool)}, "could be folded"),
        ("dead", 0, {"live": np.ones(2, dtype=bool)}, "is dead: nothing that stays uses its class"),
    ],
)
def test_what_could_be_spared_is_named(
    name: str, layer: int, changes: dict[str, Any], words: str
) -> None:
    certificate = lumped(name).certificate()
    layers = [*certificate.layers]
    layers[layer] = replace(layers[layer], **changes)
    forged = replace(certificate, layers=tuple(layers), quotient=None)
    verification = forged.verify()
    assert verification.sound
    assert words in str(verification)


def test_columns_that_no_float_tells_apart_are_compared_exactly() -> None:
    lead, other = 1.9, np.nextafter(1.9, 2)
    assert 1 / lead == 1 / other
    columns = [[lead, other], [1.0, 1.0]]
    lumping = lump(Network.dense([(columns, None, "relu"), ([[1, 2], [3, 4]], None, None)]))
    certificate = lumping.certificate()
    assert lumping.is_irreducible
    assert certificate.verify().coarsest
    together = replace(
        certificate.layers[0], partition=Partition([0, 0]), live=np.ones(1, dtype=bool)
    )
    forged = replace(certificate, layers=(together, certificate.layers[1]))
    assert "A W = W^ A fails for unit 1" in str(forged.verify())


def test_digests_do_not_depend_on_the_format(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    for name in (
        "relu",
        "batch_norm",
        "convolution",
        "transposed",
        "average",
        "residual",
        "float32",
    ):
        network = NETWORKS[name]
        expected = network_digest(network)
        for suffix in (".onnx", ".onnx.gz", ".npz"):
            path = tmp_path / f"{name}{suffix}"
            write(network, path)
            assert network_digest(read(path)) == expected, (name, suffix)
        narrow = replace(network, input_name="x", output_name="y")
        assert network_digest(narrow) == expected


def test_digests_tell_apart_what_computes_something_else() -> None:
    networks = [*NETWORKS.values()]
    networks += [
        replace(network, input_shape=(7, *network.input_shape[1:])) for network in networks
    ]
    assert len({network_digest(network) for network in networks}) == len(networks)


def test_a_certificate_from_a_file_asks_for_its_network(tmp_path: Path) -> None:
    lumped("relu").certificate().write(tmp_path / "c.json")
    with pytest.raises(InvalidInput, match="needs the network"):
        NetworkCertificate.read(tmp_path / "c.json").verify()


def edited(change: Callable[[str], str], folder: Path) -> Path:
    path = folder / "c.json"
    lumped("reflected").certificate().write(path)
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))
    return path


BAD = {
    "version": (lambda s: s.replace('"version": 1', '"version": 2'), "version 2"),
    "format": (lambda s: s.replace("lumpability/certificate", "other"), "format 'other'"),
    "domain": (lambda s: s.replace('"network",', '"chain",', 1), "about a chain"),
    "kind": (lambda s: s.replace('"proportional"', '"approximate"'), "kind 'approximate'"),
    "twice": (lambda s: s.replace('"kind"', '"library": "0",\n"kind"'), "the key 'library'"),
    "missing": (lambda s: s.replace('  "dead": []', ""), "where"),
    "huge": (lambda s: s.replace('"units": 6', '"units": ' + "9" * 10**6), "moderate size"),
    "absurd": (lambda s: s.replace('"units": 6', '"units": 2147483647'), "does not number"),
    "long": (
        lambda s: s.replace('"largest_change": "0"', f'"largest_change": "{"7" * 5000}"'),
        "integer in text",
    ),
    "zero": (lambda s: s.replace('"largest_change": "0"', '"largest_change": "1/0"'), "by zero"),
    "deep": (lambda s: s.replace('"layers": [', '"layers": ' + "[" * 10**6), "where"),
    "decimal": (lambda s: s.replace('"units": 6', '"units": 6.5'), "where"),
    "order": (lambda s: s.replace('"classes": [0,1,2,', '"classes": [1,0,2,'), "first members"),
    "negative": (lambda s: s.replace('"classes": [0', '"classes": [-1'), "whole numbers"),
    "number": (lambda s: s.replace('"factors": [', '"factors": [99999,'), "most"),
    "units": (lambda s: s.replace('"scaled": [3', '"scaled": [7'), "most"),
    "more": (lambda s: s + "{}", "after its end"),
    "empty": (lambda s: "", "cut off"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    change, words = BAD[case]
    with pytest.raises(FormatError, match=words):
        NetworkCertificate.read(edited(change, tmp_path))


def test_files_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    lumped("reflected").certificate().write(path)
    with pytest.raises(SizeLimit, match="more than 100 bytes"):
        read_network_claims(path, max_bytes=100)
    huge = replace(lumped("reflected").certificate(), largest_change=Fraction(1, 10**5000))
    with pytest.raises(SizeLimit, match="bits is too long"):
        huge.write(path)
    assert NetworkCertificate.read(path)  # the old file is whole


def test_a_certificate_is_about_one_network_only() -> None:
    certificate = lumped("relu").certificate()
    verification = certificate.verify(NETWORKS["leaky_relu"], certificate.quotient)
    assert "about another network" in str(verification)
    assert not verification.sound
    other = replace(certificate, reduced=Subject.of(NETWORKS["relu"]))
    assert "about another reduced network" in str(other.verify())


CHECKER = """
import sys
for name in ("refinement", "quotient", "networks.merging", "networks.columns", "networks.narrowing"):
    sys.modules[f"lumpability.{name}"] = None  # importing it raises
from lumpability import read
from lumpability.networks import NetworkCertificate
for path, certificate, reduced in zip(*[iter(sys.argv[1:])] * 3):
    verification = NetworkCertificate.read(certificate).verify(read(path), read(reduced))
    print(path, verification.sound, verification.coarsest, verification)
"""


def published() -> Iterator[Any]:
    """The networks of each folder, to be checked by one process; large ones by one each."""
    paths = published_files(".onnx", ".onnx.gz", ".nnet")
    large = [path for path in paths if any(size in path.name for size in LARGE)]
    for folder, found in groupby(paths, lambda path: path.parent):
        yield pytest.param([path for path in found if path not in large], id=folder.name)
    for path in large:
        yield pytest.param([path], id=path.name, marks=pytest.mark.slow)


@pytest.mark.parametrize("paths", [*published()])
def test_published_networks_verify_where_nothing_but_the_checker_is(
    paths: list[Path], tmp_path: Path
) -> None:
    if any(path.suffix != ".nnet" for path in paths):
        pytest.importorskip("onnx")
    arguments: list[str] = []
    for path in paths:
        lumping = lump(read(path), kind="proportional")
        certificate, reduced = (tmp_path / f"{path.name}{end}" for end in (".json", ".npz"))
        lumping.certificate().write(certificate)
        if any(isinstance(layer, Opaque) for layer in lumping.quotient.layers):
            reduced = path  # only ONNX holds what is not understood
        else:
            write(lumping.quotient, reduced)
        arguments += map(str, (path, certificate, reduced))
    result = subprocess.run(
        [sys.executable, "-c", CHECKER, *arguments], capture_output=True, text=True, check=False
    )
    verdicts = result.stdout.splitlines()
    assert len(verdicts) == len(paths), result.stderr
    for path, line in zip(paths, verdicts, strict=True):
        assert line.startswith(f"{path} True True proportional, proved: ")

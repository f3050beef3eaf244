"""Files that are no certificates: refused with the reason, in bounded time and memory."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lumpability
from lumpability import CTMC, Certificate, lump
from lumpability.certificate.digest import Digest
from lumpability.errors import FormatError, InvalidInput
from lumpability.markov.examples import machine_repair
from lumpability.numbers.exact_array import ExactArray
from lumpability.split_history import History
from lumpability.structure import WeightedStructure

MEGABYTES, SECONDS = 1200, 60

READ = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]) << 20,) * 2)
from lumpability import Certificate
from lumpability.errors import InvalidInput
try:
    Certificate.read(sys.argv[1])
except InvalidInput as error:
    print(error)
"""


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    lump(machine_repair(3)).certificate().write(tmp_path / "good.json")
    found: dict[str, Any] = json.loads((tmp_path / "good.json").read_text())
    return found


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Read bytes as a certificate, which must be refused; return the reason."""

    def refuse(content: bytes, name: str = "bad.json") -> str:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInput) as caught:
            Certificate.read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        return str(caught.value)

    return refuse


def with_value(document: dict[str, Any], *path: str, value: Any) -> bytes:
    changed = json.loads(json.dumps(document))
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(changed).encode()


def test_other_versions_and_formats_are_named(document, refused) -> None:
    assert "is version 2 of 'lumpability/certificate'; this library reads version 1" in refused(
        with_value(document, "version", value=2)
    )
    assert "is of the format 'lumpability/chain'" in refused(
        with_value(document, "format", value="lumpability/chain")
    )
    assert "is about a network, not about a chain" in refused(
        with_value(document, "domain", value="network")
    )
    assert "is of the kind 'weak'" in refused(with_value(document, "kind", value="weak"))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"{}", b"\x00" * 100, b"\xff\xfe", b'{"format": 1}', b"[" * 10**6],
)
def test_what_is_no_certificate_at_all_is_refused(content: bytes, refused) -> None:
    refused(content)


def test_keys_that_are_missing_unknown_repeated_or_misplaced_are_refused(document, refused) -> None:
    text = json.dumps(document)
    for key in document:
        refused(json.dumps({k: v for k, v in document.items() if k != key}).encode())
        twice = text.replace(f'"{key}":', f'"{key}": {json.dumps(document[key])}, "{key}":', 1)
        assert "should be" in refused(twice.encode())
    assert "'another'" in refused(text.replace('"kind"', '"another": 1, "kind"', 1).encode())
    assert "more after its end" in refused(text.encode() + b"{}")
    assert "where '}' should be" in refused(text[:-1].encode() + b', "more": 1}')


def test_truncated_files_are_refused_wherever_they_end(document, refused) -> None:
    text = json.dumps(document).encode()
    for end in range(0, len(text), 37):
        refused(text[:end])
    packed = gzip.compress(text)
    for end in range(0, len(packed), 37):
        refused(packed[:end], "cut.json.gz")
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0xFF
    refused(bytes(damaged), "damaged.json.gz")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model", "states"), 2**31 - 1),
        (("model", "states"), 2**31),
        (("model", "states"), 10**30),
        (("model", "states"), -1),
        (("partition",), [0] * 9),
        (("partition",), [0] * 7),
        (("partition",), [1, 0, 0, 0, 0, 0, 0, 0]),
        (("partition",), [0, 9, 0, 0, 0, 0, 0, 0]),
        (("partition",), [[0] * 8]),
        (("numbers",), ["1/0"]),
        (("numbers",), ["1.5"]),
        (("numbers",), ["9" * 5000]),
        (("numbers",), ["1/" + "9" * 5000]),
        (("numbers",), ["__import__('os')"]),
        (("numbers",), [1]),
        (("parameters",), ["x"] * 2),
        (("denominator",), "-1"),
        (("denominator",), "9" * 5000),
        (("denominator",), 3),
        (("respected",), ["label:operational"] * 2),
        (("history", "order"), [0] * 5),
        (("history", "sizes"), [2**31]),
        (("history", "split_node"), [5, 5]),
        (("history", "split_node"), [0, 10**9]),
        (("history", "parts"), [2]),
        (("history", "sums"), [99, 99, 99, 99]),
        (("history", "condition"), [2, 2]),
        (("quotient", "overall"), "0" * 64),
        (("matrix", "row_sizes"), [9, 9, 9, 9]),
        (("matrix", "targets"), [4] * 6),
        (("kappa",), [0]),
    ],
)
def test_absurd_values_are_refused(document, refused, path, value) -> None:
    refused(with_value(document, *path, value=value))


def test_parameters_must_be_declared_and_expressions_moderate(tmp_path: Path, refused) -> None:
    chain = CTMC.from_rates({("a", "c"): "x", ("b", "c"): "2*x"}, labels={"goal": ["c"]})
    lump(chain).certificate().write(tmp_path / "good.json")
    document = json.loads((tmp_path / "good.json").read_text())
    assert document["parameters"] == ["x"]
    assert "mentions 'y'" in refused(with_value(document, "numbers", value=["y", "x"]))
    refused(with_value(document, "numbers", value=["(x+1)**64**64", "x"]))
    refused(with_value(document, "numbers", value=["__import__('os').system('true')", "x"]))


def head(document: dict[str, Any], states: int) -> bytes:
    """Return a certificate up to its partition, for a chain of so many states."""
    changed = json.loads(json.dumps(document))
    text = json.dumps(changed)
    text = text.replace('"states": 8', f'"states": {states}', 1)
    model = dict(changed["model"], states=states)
    overall = Digest(**{k: v for k, v in model.items() if k != "overall"}).overall
    return (
        text.replace(changed["model"]["overall"], overall, 1)
        .partition('"partition": [')[0]
        .encode()
    )


def bombs(document: dict[str, Any]) -> dict[str, bytes]:
    """Small packed files that unpack to hundreds of megabytes."""
    start = head(document, 2**31 - 1)
    numbers = start.partition(b'"numbers": ')[0]
    zeros = b"0," * (1 << 20)
    return {
        "zeros": b"".join([start, b'"partition": [', zeros * 40]),
        "texts": numbers + b'"numbers": [' + b",".join(b'"%d"' % i for i in range(4 * 10**5)),
        "one text": numbers + b'"numbers": ["' + b"1" * (100 << 20),
        "one number": b"".join([start, b'"partition": [', b"1" * (100 << 20)]),
        "brackets": b"".join([start, b'"partition": ', b"[" * (100 << 20)]),
        "spaces": b"".join([start, b'"partition": ', b" " * (100 << 20)]),
        "short for its size": start + b'"partition": [0, 1]}',
    }


BOMBS = ["zeros", "texts", "one text", "one number", "brackets", "spaces", "short for its size"]


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_in_bounded_time_and_memory(name: str, document, tmp_path: Path) -> None:
    path = tmp_path / "bomb.json.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(bombs(document)[name])
    root = str(Path(lumpability.__file__).resolve().parent.parent)
    result = subprocess.run(
        [sys.executable, "-c", READ, str(path), str(MEGABYTES)],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    assert "bomb.json.gz" in result.stdout


def line_with_long_history(n: int) -> tuple[CTMC, Certificate]:
    """A line taken apart from its end, each node by sums into itself: a proof of quadratic length."""
    states, splits = np.arange(n - 1), np.arange(n - 2)
    chain = CTMC(
        WeightedStructure.from_edges(n, states, states + 1, np.ones(n - 1, dtype=int)),
        labels={"end": [n - 1]},
    )
    nodes = np.append(0, 2 + 2 * splits[:-1])
    history = History(
        order=np.arange(n),
        starts=np.append([0, n - 1], np.column_stack([0 * splits, n - 2 - splits]).ravel()),
        ends=np.append([n - 1, n], np.column_stack([n - 2 - splits, n - 1 - splits]).ravel()),
        roots=2,
        split_node=nodes,
        splitter=nodes,
        condition=0 * splits,
        first_part=2 + 2 * np.arange(n - 1),
        sums=ExactArray.read(np.tile([0, -1], n - 2))[0],
    )
    return chain, replace(lump(chain).certificate(), history=history)


def test_a_history_that_takes_too_long_to_replay_is_refused() -> None:
    chain, certificate = line_with_long_history(20)
    assert certificate.verify(chain).coarsest
    chain, certificate = line_with_long_history(2500)
    verification = certificate.verify(chain)
    assert verification.sound
    assert not verification
    assert "its splitters are too large" in verification.rejection.reason


def test_nothing_is_left_behind_where_a_certificate_cannot_be_written(tmp_path: Path) -> None:
    certificate = lump(machine_repair(3)).certificate()
    with pytest.raises(FormatError):
        certificate.write(tmp_path / "missing" / "proof.json")
    (tmp_path / "proof.json").mkdir()
    with pytest.raises(FormatError):
        certificate.write(tmp_path / "proof.json")
    assert [p.name for p in tmp_path.iterdir()] == ["proof.json"]

"""A budgeted run of the fuzzer; the long one is made on purpose, see tests/fuzz/fuzzing.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from differential import compare
from fuzz_targets import targets
from fuzzing import fuzz, outcome

CORPUS = Path(__file__).parent / "corpus"


def test_every_file_is_read_before_it_is_changed(tmp_path):
    found = {target.name: outcome(target) for target in targets(tmp_path)}
    assert set(found.values()) == {"read"}, found
    assert len(found) > 20


def test_small_chains_with_hostile_weights_are_lumped_as_by_brute_force():
    counts, findings = compare(seed=1, runs=150)
    assert findings == []
    assert counts["equal"] == 150


def test_some_hundred_changed_files_are_read_or_refused():
    counts, findings = fuzz(seed=1, inputs=100, seconds=10)
    assert list(findings) == []
    assert counts["refused"] > 20
    assert counts["read"] > 5


@pytest.mark.slow
def test_twenty_seconds_of_changed_files_find_nothing():
    counts, findings = fuzz(seed=2, inputs=10**6, seconds=20)
    assert list(findings) == []
    assert sum(counts.values()) > 500


@pytest.mark.parametrize("kept", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_what_was_once_wrong_is_read_or_refused(kept, tmp_path):
    name = kept.name.partition("-")[2]
    found = [target for target in targets(tmp_path) if target.path.name == name]
    if not found:
        pytest.skip(f"{name} needs an optional package")
    (target,) = found
    target.path.write_bytes(kept.read_bytes())
    assert outcome(target) in ("read", "refused")

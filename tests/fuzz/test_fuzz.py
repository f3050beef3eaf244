"""A budgeted run of the fuzzer; the long one is made on purpose, see tests/fuzz/fuzzing.py."""

from __future__ import annotations

import pytest
from fuzzing import fuzz


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

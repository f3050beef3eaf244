"""Benchmarks are run on purpose, not here; but what they share must not change under them unnoticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "benchmarks"
CHECKOUT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "name",
    [
        "edge_tables",
        "growth",
        "lumping_against_storm",
        "network_layers",
        "start_up",
        "certified_differences",
        "jittered_chains",
        "masked_modules",
    ],
)
def test_a_benchmark_can_be_started(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / f"{name}.py"), "--help"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage:" in done.stdout

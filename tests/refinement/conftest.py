"""What tests of engines share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def in_a_new_process(tmp_path: Path) -> Run:
    """Run a program in an interpreter of its own, which finds nothing compiled but what earlier ones left."""

    def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "default::ResourceWarning", "-c", program],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )

    return run

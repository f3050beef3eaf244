"""The compiled kernel with numba's checks of array bounds, and as plain Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.refinement.kernel.compiling import add_product, interpreted_add_product

HERE = Path(__file__).resolve().parent
KERNEL = HERE.parents[1] / "lumpability" / "refinement" / "kernel"
words = st.integers(0, 2**64 - 1).map(np.uint64)


@numba.njit
def compiled_add_product(high: Any, low: Any, x: Any, y: Any) -> Any:
    return add_product(high, low, x, y)


# The sum has to fit 128 bits.
@given(high=st.integers(0, 2**62).map(np.uint64), low=words, x=words, y=words.map(lambda w: w >> 2))
def test_the_product_without_a_compiler_is_the_compiled_one(
    high: Any, low: Any, x: Any, y: Any
) -> None:
    expected = (int(high) << 64) + int(low) + int(x) * int(y)
    for high_part, low_part in (
        interpreted_add_product(high, low, x, y),
        compiled_add_product(high, low, x, y),
    ):
        assert (int(high_part) << 64) + int(low_part) == expected


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"])
def test_the_kernel_obeys_the_laws_with_bounds_checked_and_without_a_compiler(
    setting: str, tmp_path: Path
) -> None:
    """Bounds are checked in code compiled for the purpose, kept apart from the usual one."""
    command = [
        # One process: two would compile the same code at the same time.
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--numprocesses=0",
        # Arithmetic modulo 2^64 wraps around, which is silent when compiled.
        "-W", "ignore:overflow encountered:RuntimeWarning",
        "-k", "path_alone and kernel or test_kernel_follow or test_kernel_settle",
        str(HERE / "test_refining_laws.py"),
        str(HERE.parent / "refinement" / "kernel" / "test_kernel_follow.py"),
        str(HERE.parent / "refinement" / "kernel" / "test_kernel_settle.py"),
    ]  # fmt: skip
    environment = {**os.environ, setting: "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=HERE.parents[1]
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout


def test_the_compiled_code_can_be_read_in_one_sitting() -> None:
    files = list(KERNEL.glob("*.py"))
    assert len(files) <= 10
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files) <= 2600

"""What all tests share: Hypothesis profiles and the way to the real models.

LUMPABILITY_PROFILE chooses how many examples each property is tried on: quick (default), ci
(reproducible), few (reproducible; tells whether a property can be tried at all) or thorough.
LUMPABILITY_SHARED names the folder with the real chains and networks; by default it is `shared`
beside the checkout.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Test processes share the cores: threads of BLAS that wait for each other make each of them slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Exact arithmetic on a busy machine has no deadline worth failing for.
settings.register_profile("quick", max_examples=30, deadline=None)
settings.register_profile(
    "ci", max_examples=25, deadline=None, derandomize=True, database=None, print_blob=True
)
settings.register_profile("few", settings.get_profile("ci"), max_examples=5)
settings.register_profile(
    "thorough",
    max_examples=10_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("LUMPABILITY_PROFILE", "quick"))

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real chains and networks; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("LUMPABILITY_SHARED", CHECKOUT.parent / "shared")).resolve()
    if not folder.is_dir():
        pytest.skip(f"the real models are not here: {folder} does not exist")
    return folder


@pytest.fixture(scope="session")
def shared_file(shared: Path) -> Callable[[str], Path]:
    """Find a file in the shared folder, or skip the test that wants it."""

    def find(relative: str) -> Path:
        path = shared / relative
        if not path.exists():
            pytest.skip(f"{path} does not exist")
        return path

    return find


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The source checkout that the tests lie in; skips when they were copied elsewhere."""
    if not (CHECKOUT / "README.md").is_file():
        pytest.skip("the tests run outside a checkout")
    return CHECKOUT

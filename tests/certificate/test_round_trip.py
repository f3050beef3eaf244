"""Real chains: lumped here, verified in a process that cannot load the engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from itertools import product
from pathlib import Path

import pytest

import lumpability
from lumpability import lump, read

SOME = ["brp64_5.drn.gz", "embedded8.umb", "herman11.drn.gz", "polling10.npz", "tandem127.npz"]
OTHERS = [
    "brp64_5.npz",
    "cluster64.npz",
    "crowds5_10.npz",
    "egl5_8.npz",
    "embedded8.drn.gz",
    "embedded8.npz",
    "fms4.npz",
    "fms5.npz",
    "herman11.npz",
    "kanban3.npz",
    "kanban4.npz",
    "leader5_8.npz",
    "mapk4.npz",
    "nand20_4.npz",
    "p2p4_4.npz",
    "polling10.drn.gz",
    "tandem127.umb",
    "tandem511.npz",
]

VERIFY = """
import sys
for engine in ("lumpability.refinement", "lumpability.quotient", "lumpability.markov.lumping", "numba"):
    sys.modules[engine] = None  # importing it is now an error
import json
from lumpability import Certificate, read
certificate = Certificate.read(sys.argv[1])
verification = certificate.verify(read(sys.argv[2]))
print(json.dumps([verification.sound, verification.coarsest, len(certificate.partition), str(verification)]))
"""


def verified_elsewhere(certificate: Path, model: Path) -> tuple[bool, bool, int]:
    """Verify in a fresh process; return sound, coarsest and the number of blocks."""
    root = str(Path(lumpability.__file__).resolve().parent.parent)
    result = subprocess.run(
        [sys.executable, "-c", VERIFY, str(certificate), str(model)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert result.returncode == 0, result.stderr
    sound, coarsest, blocks, text = json.loads(result.stdout)
    assert sound, text
    return sound, coarsest, blocks


def round_trip(model: Path, folder: Path, kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some files have nothing to respect
        lumping = lump(read(model), kind=kind)
    lumping.certificate().write(folder / "proof.json.gz")
    found = verified_elsewhere(folder / "proof.json.gz", model)
    assert found == (True, True, len(lumping.partition))


@pytest.mark.parametrize("name", SOME)
def test_a_lumping_of_a_real_chain_is_verified_where_the_engine_cannot_be_loaded(
    name: str, shared_file, tmp_path: Path
) -> None:
    if name.endswith(".umb"):
        pytest.importorskip("umbi")
    round_trip(shared_file(f"chains/{name}"), tmp_path, "ordinary")


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_a_lumping_of_every_other_chain_is_verified_as_well(
    name: str, shared_file, tmp_path: Path
) -> None:
    if name.endswith(".umb"):
        pytest.importorskip("umbi")
    round_trip(shared_file(f"chains/{name}"), tmp_path, "ordinary")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *product(
            ["embedded8.npz", "polling10.npz", "brp64_5.npz"],
            ["bisimulation", "exact", "strict", "proportional"],
        ),
        ("cluster64.npz", "exact"),
    ],
)
def test_other_kinds_of_lumpings_of_real_chains_are_verified_as_well(
    name: str, kind: str, shared_file, tmp_path: Path
) -> None:
    if kind == "proportional" and name.startswith("brp"):
        pytest.skip("proportional lumping is for continuous time")
    round_trip(shared_file(f"chains/{name}"), tmp_path, kind)

"""Differential test: Storm's strong bisimulation and ours find the same blocks.

Storm refines in double precision with a tolerance, so the chains drawn here have rates that are exact in
both worlds: small integers and their sums.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lumpability import CTMC, DTMC, lump
from lumpability.formats import read

stormpy = pytest.importorskip("stormpy", reason="stormpy is not installed")
transformations = pytest.importorskip("stormpy.transformations")

from lumpability.formats.storm import to_stormpy  # noqa: E402  (after the skip)

CHAINS = Path(__file__).parents[3] / "shared" / "chains"
pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")


def storm_blocks(chain: CTMC | DTMC) -> int:
    strong = transformations.BisimulationType.STRONG
    quotient = transformations.perform_bisimulation(
        to_stormpy(chain, exact=False), None, bisimulation_type=strong
    )
    return int(quotient.nr_states)


@pytest.mark.parametrize(
    "name",
    ["embedded8", "polling10", "herman11", "p2p4_4", "brp64_5", "egl5_8", "crowds5_10", "fms4"],
)
def test_block_counts_on_real_chains_agree_with_storm_run_here(name):
    path = CHAINS / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"no real chains at {CHAINS}")
    chain = read(path)
    plain = chain.rebuilt(chain.matrix, labels=chain.labels, initial=chain.initial)
    assert len(lump(plain, kind="bisimulation").partition) == storm_blocks(plain)


@pytest.mark.parametrize("seed", range(30))
def test_block_counts_on_random_chains_agree_with_storm(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 40))
    rates = rng.integers(0, 3, (n, n)) * (rng.random((n, n)) < 3 / n)
    rates[np.arange(n), (np.arange(n) + 1) % n] += 1
    labels = {"goal": rng.random(n) < 0.3}
    chains = [CTMC(rates, labels=labels, initial=0)]
    total = rates.sum(axis=1)
    if np.all((total & (total - 1)) == 0):  # powers of two: probabilities exact in binary
        chains.append(DTMC(rates / total[:, None], labels=labels, initial=0))
    for chain in chains:
        assert len(lump(chain, kind="bisimulation").partition) == storm_blocks(chain)

"""Real chains: block counts that Storm computes too, renumbering, reading of floats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lumpability import CTMC, DTMC, Partition, check, lump, read
from lumpability.numbers.exact_array import ExactArray
from lumpability.refinement import refine
from lumpability.structure import WeightedStructure

CHAINS = Path(__file__).parents[3] / "shared" / "chains"
needs_chains = pytest.mark.skipif(not CHAINS.is_dir(), reason=f"no real chains at {CHAINS}")
pytestmark = needs_chains

# Blocks of the bisimulation that respects every label but `init`, as Storm 2 computes them.
BLOCKS = {
    "embedded8": 1900,
    "polling10": 15360,
    "tandem127": 32640,
    "cluster64": 75725,
    "kanban3": 58400,
    "fms4": 35910,
    "mapk4": 99535,
    "p2p4_4": 70,
    "herman11": 63,
    "crowds5_10": 121,
    "egl5_8": 2032,
    "nand20_4": 226072,
    "brp64_5": 2642,
    "leader5_8": 12,
}


def load(name: str) -> CTMC | DTMC:
    return read(CHAINS / f"{name}.npz")


@pytest.mark.parametrize("name", BLOCKS)
def test_block_counts_are_those_of_storm(name):
    lumping = lump(load(name), kind="bisimulation", respect="labels")
    assert len(lumping.partition) == BLOCKS[name]


def test_without_the_deadlock_label_crowds_has_81_blocks():
    chain = load("crowds5_10")
    respect = [label for label in chain.labels if label != "deadlock"]
    assert len(lump(chain, respect=respect).partition) == 81


@pytest.mark.parametrize(
    ("name", "blocks"), [("embedded8", 1076), ("cluster64", 75725), ("p2p4_4", 70)]
)
def test_ordinary_lumpability_is_coarser_than_bisimulation(name, blocks):
    """embedded8 has rates inside blocks: 1,076 blocks against 1,900."""
    assert len(lump(load(name), respect="labels").partition) == blocks


@pytest.mark.parametrize(
    ("name", "blocks"), [("embedded8", 2117), ("nand20_4", 249403), ("egl5_8", 2968)]
)
def test_respecting_rewards_as_well_is_finer(name, blocks):
    assert len(lump(load(name), kind="bisimulation").partition) == blocks


def test_reading_floats_literally_leaves_more_blocks_of_nand():
    """254,364 instead of 226,072: 1 - 0.95 and 1/20 stay apart (docs/decisions/0001)."""
    chain = load("nand20_4")
    with np.load(CHAINS / "nand20_4.npz", allow_pickle=False) as file:
        weights, reading = ExactArray.read(file["data"], float_tolerance=0)
        structure = WeightedStructure.from_rows(file["indptr"], file["indices"], weights)
    assert reading.neighbours == 0
    assert len(refine(structure, chain.respected("labels")).partition) == 254364


@pytest.mark.parametrize("name", ["kanban4", "tandem511", "nand20_4", "fms5"])
@pytest.mark.parametrize("kind", ["ordinary", "bisimulation"])
def test_renumbering_the_states_renumbers_the_partition(name, kind):
    chain = load(name)
    order = np.random.default_rng(1).permutation(chain.n)
    partition = lump(chain, kind=kind).partition
    assert lump(chain.renumber(order), kind=kind).partition == partition.restrict(order)


@pytest.mark.parametrize("name", ["embedded8", "crowds5_10", "cluster64"])
def test_the_independent_check_accepts_the_lumping_and_rejects_a_merge(name):
    chain = load(name)
    partition = lump(chain).partition
    assert check(chain, partition)
    sizes = partition.blocks.sizes
    first, second = np.argsort(-sizes)[:2]
    merged = np.where(partition.labels == second, first, partition.labels)
    verdict = check(chain, Partition(merged))
    assert not verdict
    members = Partition(merged).blocks[verdict.witness.block]
    matrix = chain.generator() if isinstance(chain, CTMC) else chain.matrix
    for state, total in (
        (verdict.witness.state, verdict.witness.total),
        (verdict.witness.other, verdict.witness.other_total),
    ):
        assert sum(w for u, w in matrix.row(state) if u in set(members.tolist())) == total


@pytest.mark.parametrize("name", ["embedded8", "polling10", "brp64_5", "herman11"])
@pytest.mark.parametrize("engine", ["worklist", "kernel"])
def test_engines_agree_on_real_chains(name, engine):
    chain = load(name)
    assert lump(chain, engine=engine).partition == lump(chain).partition

"""All kinds on real chains: counts, proofs, and how the kinds refine one another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from lumpability import CTMC, check, lump

# Blocks of the coarsest lumping that respects every label but `init`, for each kind.
BLOCKS = {
    "embedded8": {"ordinary": 1076, "proportional": 1076, "exact": 7140},
    "cluster64": {"ordinary": 75725, "proportional": 75725, "exact": 75725},
    "kanban3": {"ordinary": 58400, "proportional": 58400, "exact": 58400},
}


def load(folder: Path, name: str) -> CTMC:
    path = folder / "chains" / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"the real model is not here: {path} does not exist")
    with np.load(path, allow_pickle=False) as file:
        n = len(file["indptr"]) - 1
        matrix = scipy.sparse.csr_array((file["data"], file["indices"], file["indptr"]), (n, n))
        names = [str(label) for label in file["label_names"]]
        return CTMC(
            matrix, labels={x: file[f"label{i}"] for i, x in enumerate(names) if x != "init"}
        )


@pytest.mark.parametrize(
    "name",
    # The large one as the others; its ordinary lumping has a test of its own.
    [pytest.param(n, marks=pytest.mark.slow) if n == "cluster64" else n for n in BLOCKS],
)
def test_kinds_on_real_chains_have_their_counts_and_refine_one_another(shared, name):
    chain = load(shared, name)
    found = {kind: lump(chain, kind=kind, respect="labels").partition for kind in BLOCKS[name]}
    assert {kind: len(partition) for kind, partition in found.items()} == BLOCKS[name]
    assert found["ordinary"].refines(found["proportional"])
    strict = lump(chain, kind="strict", respect="labels").partition
    assert strict.refines(found["ordinary"].meet(found["exact"]))
    assert all(check(chain, found[kind], kind=kind) for kind in found if chain.n < 100_000)


def test_a_moved_state_of_a_real_chain_is_caught_for_every_kind(shared):
    chain = load(shared, "embedded8")
    for kind in BLOCKS["embedded8"]:
        partition = lump(chain, kind=kind, respect="labels").partition
        block = int(np.argmax(partition.blocks.sizes))
        labels = partition.labels.copy()
        labels[partition.blocks[block][0]] = (block + 1) % len(partition)
        verdict = check(chain, labels, kind=kind)
        assert not verdict
        assert verdict.witness.total != verdict.witness.other_total

"""The real models: every file reads, and the same model says the same in every format."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from lumpability import CTMC, DTMC, formats
from lumpability.markov.chains import MarkovChain

SIZES = {
    "brp64_5": (DTMC, 5192, 6915),
    "cluster64": (CTMC, 151060, 733216),
    "crowds5_10": (DTMC, 111294, 261444),
    "egl5_8": (DTMC, 156670, 157693),
    "embedded8": (CTMC, 8548, 36041),
    "fms4": (CTMC, 35910, 237120),
    "fms5": (CTMC, 152712, 1111482),
    "herman11": (DTMC, 2048, 177148),
    "kanban3": (CTMC, 58400, 446400),
    "kanban4": (CTMC, 454475, 3979850),
    "leader5_8": (DTMC, 131521, 164288),
    "mapk4": (CTMC, 99535, 910872),
    "nand20_4": (DTMC, 308162, 476472),
    "p2p4_4": (CTMC, 65536, 524289),
    "polling10": (CTMC, 15360, 89600),
    "tandem127": (CTMC, 32640, 113283),
    "tandem511": (CTMC, 523776, 1829379),
}


def test_every_real_chain_reads(shared):
    suffixes = (".npz", ".drn.gz", *([".umb"] if find_spec("umbi") else []))
    paths = (shared / "chains" / f"{name}{suffix}" for name in SIZES for suffix in suffixes)
    found = [path for path in paths if path.is_file()]
    assert found
    for path in found:
        chain = formats.read(path)
        assert chain.initial is not None
        expected = SIZES[path.name.split(".")[0]]
        assert (type(chain), chain.n, chain.matrix.m) == expected


@pytest.mark.parametrize(
    "other",
    [
        "brp64_5.drn.gz",
        "embedded8.drn.gz",
        "herman11.drn.gz",
        "polling10.drn.gz",
        "embedded8.umb",
        "tandem127.umb",
    ],
)
def test_one_model_is_the_same_in_every_format(shared_file, other):
    if other.endswith(".umb"):
        pytest.importorskip("umbi")
    first = formats.read(shared_file(f"chains/{other.split('.')[0]}.npz"))
    second = formats.read(shared_file(f"chains/{other}"))
    # Storm leaves labels that no state carries (deadlock) out of a DRN file.
    carried = {
        name: mask for name, mask in first.labels.items() if mask.any() or name in second.labels
    }
    assert set(first.labels) - set(carried) <= {"deadlock"}
    assert without_labels(first, carried).equals(second)


def without_labels(chain: MarkovChain, labels: dict[str, np.ndarray]) -> MarkovChain:
    return type(chain)(chain.matrix, labels=labels, rewards=chain.rewards, initial=chain.initial)


@pytest.mark.parametrize("suffix", [".drn.gz", ".tra", ".npz", ".umb", ".json.gz"])
@pytest.mark.parametrize("model", ["embedded8", "brp64_5", "polling10"])
def test_real_models_go_through_every_format_unchanged(shared_file, tmp_path, model, suffix):
    if suffix == ".umb":
        pytest.importorskip("umbi")
    chain = formats.read(shared_file(f"chains/{model}.npz"))
    path = tmp_path / f"chain{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        formats.write(chain, path)
    again = formats.read(path)
    assert again.reading.distinct == 0
    assert again.equals(chain)


@pytest.mark.parametrize(
    ("source", "constants", "model"),
    [
        ("embedded.sm", "MAX_COUNT=8", "embedded8"),
        ("brp.pm", "N=64,MAX=5", "brp64_5"),
        ("tandem.sm", "c=127", "tandem127"),
        ("herman11.pm", "", "herman11"),
        pytest.param("kanban.sm", "t=3", "kanban3", marks=pytest.mark.slow),
        pytest.param("cluster.sm", "N=64", "cluster64", marks=pytest.mark.slow),
        pytest.param("fms.sm", "n=4", "fms4", marks=pytest.mark.slow),
    ],
)
def test_doubles_are_read_as_what_the_source_says(shared_file, source, constants, model):
    """Storm explores the PRISM source with rationals; the file was explored with doubles."""
    pytest.importorskip("stormpy")
    exact = formats.read(shared_file(f"chains/prism-language/{source}"), constants=constants)
    assert exact.reading.distinct == 0
    read = formats.read(shared_file(f"chains/{model}.npz"))
    assert read.reading.distinct > 0
    assert exact.matrix.equals(read.matrix)
    for name in exact.labels.keys() & read.labels.keys():
        assert np.array_equal(exact.labels[name], read.labels[name])
    for name in exact.rewards.keys() & read.rewards.keys():
        assert exact.rewards[name].equals(read.rewards[name])


@pytest.mark.parametrize(
    ("name", "blocks"), [("embedded8", 1900), ("brp64_5", 2642), ("herman11", 63)]
)
def test_storm_lumps_what_we_write_into_as_many_blocks(shared_file, tmp_path, name, blocks):
    stormpy = pytest.importorskip("stormpy")
    chain = formats.read(shared_file(f"chains/{name}.npz"))
    carried = [mask for mask in chain.labels.values() if mask.any()]
    labels = {f"label{k}": mask for k, mask in enumerate(carried)}  # names its properties can hold
    path: Path = tmp_path / "chain.drn"
    formats.write(type(chain)(chain.matrix, labels=labels, initial=chain.initial), path)
    model = stormpy.build_model_from_drn(str(path))  # stormpy minimises doubles only
    properties = stormpy.parse_properties(";".join(f'P=? [F "{name}"]' for name in labels))
    quotient = stormpy.transformations.perform_bisimulation(model, properties)
    assert quotient.nr_states == blocks

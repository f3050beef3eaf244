"""The models by name: files of ../shared, sources in PRISM's language, generated families.

A name is that of a file without its suffix (``kanban4``), of a source below (``kanban5``), or a family and a
size (``torus_walk:500``).  What has been built is kept as plain arrays in a folder (`Store`), so that a
process that measures something loads it in no time, and holds nothing else.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from lumpability import CTMC, DTMC, Partition
from lumpability.formats import read
from lumpability.markov import examples
from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure
from suite import families

__all__ = ["Store", "build", "generated", "names"]

Chain = CTMC | DTMC
CHAINS = Path(__file__).parents[4] / "shared" / "chains"

FAMILIES: dict[str, Callable[[int], Chain]] = {
    "components": examples.components,
    "ehrenfest": examples.ehrenfest,
    "herman": families.herman,
    "leader": lambda processes: families.leader(processes, 8),
    "machine_repair": examples.machine_repair,
    "marked_path": families.marked_path,
    "peer_to_peer": lambda blocks: families.peer_to_peer(4, blocks),
    "planted_blocks": families.planted_blocks,
    "polling": examples.polling,
    "polling_of_design": families.polling_of_design,
    "tandem": lambda size: examples.tandem(size, size),
    "torus_walk": examples.torus_walk,
}

# File, values of constants, and what properties ask about and the source gives no label.
SOURCES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "brp20000_10": ("brp.pm", "N=20000,MAX=10", ("srep!=0&!recv", "s=5&srep=2")),
    "cluster256": ("cluster.sm", "N=256", ()),
    "crowds5_20": ("crowds.pm", "TotalRuns=5,CrowdSize=20", ("observe0>1",)),
    "egl7_4": ("egl.pm", "N=7,L=4", ()),
    "fms7": ("fms.sm", "n=7", ("P1=n",)),
    "kanban5": ("kanban.sm", "t=5", ("x4=0",)),
    "nand60_1": ("nand.pm", "N=60,K=1", ("s=4&z/N<0.1",)),
    "tandem1023": ("tandem.sm", "c=1023", ("sc=c", "sc=c&sm=c&ph=2")),
}

# Few blocks: ehrenfest, machine_repair, components, planted_blocks; some lumping: polling, torus_walk; none:
# tandem, and marked_path, which needs as many rounds as it has states.
GENERATED: dict[str, tuple[int, ...]] = {
    "components": (7, 9, 11, 13),
    "ehrenfest": (10, 13, 16, 19),
    "machine_repair": (10, 13, 16, 20),
    "marked_path": (10_000, 100_000, 1_000_000, 10_000_000),
    "planted_blocks": (1_000, 10_000, 100_000, 1_000_000),
    "polling": (8, 10, 13, 16),
    "tandem": (57, 182, 577, 1825),
    "torus_walk": (50, 158, 500, 1581),
}
# Of about 10^8 transitions: for those who have 24 GiB and some patience.
LARGE = {
    "ehrenfest": 22,
    "marked_path": 100_000_000,
    "planted_blocks": 10_000_000,
    "polling": 18,
    "tandem": 5773,
    "torus_walk": 5000,
}
OF_DESIGN = ("herman:15", "leader:6", "peer_to_peer:5", "polling_of_design:14")


def generated(*, large: bool) -> dict[str, list[str]]:
    """Return the members of each family in order of size, with or without the largest."""
    sizes = {family: [*some] for family, some in GENERATED.items()}
    if large:
        for family, size in LARGE.items():
            sizes[family].append(size)
    return {family: [f"{family}:{size}" for size in some] for family, some in sizes.items()}


def names(*, large: bool) -> list[str]:
    """Return every model that can be had here."""
    files = [path.stem for path in sorted(CHAINS.glob("*.npz"))]
    sources = [name for name, (file, _, _) in SOURCES.items() if _source(file).exists()]
    members = [name for family in generated(large=large).values() for name in family]
    return [*files, *sources, *OF_DESIGN, *members]


def _source(file: str) -> Path:
    return CHAINS / "prism-language" / file


def build(name: str) -> Chain:
    """Read or generate a model."""
    family, _, size = name.partition(":")
    if family in FAMILIES:
        return FAMILIES[family](int(size))
    if name not in SOURCES:
        return read(CHAINS / f"{name}.npz")
    file, constants, goals = SOURCES[name]
    source = _source(file)
    lines = [f'label "goal{i}" = {goal};' for i, goal in enumerate(goals)]
    with tempfile.TemporaryDirectory() as folder:
        labelled = Path(folder) / file
        labelled.write_text(source.read_text() + "\n" + "\n".join(lines) + "\n")
        return read(labelled, constants=constants, exact=False)


@dataclass(frozen=True)
class Store:
    """A folder of models as plain arrays, with labels, without rewards: Storm would ignore them."""

    folder: Path

    def load(self, name: str) -> Chain:
        """Return a model that is stored; it starts in state 0, as Storm wants some initial state."""
        place = self._place(name)
        about = json.loads((place / "about.json").read_text())
        indptr, indices, codes = (
            np.load(place / f"{part}.npy") for part in ("indptr", "indices", "codes")
        )
        values = tuple(Fraction(value) for value in about["values"])
        structure = WeightedStructure(
            indptr, indices, ExactArray(codes, values), Partition.trivial(len(indptr) - 1)
        )
        labels = {
            label: np.load(place / f"label{i}.npy") for i, label in enumerate(about["labels"])
        }
        return (CTMC if about["kind"] == "CTMC" else DTMC)(structure, labels=labels, initial=0)

    def prepare(self, name: str) -> None:
        """Build and store a model, unless it is there."""
        if name in self:
            return
        chain = build(name)
        matrix = chain.matrix
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            new = Path(scratch) / "model"
            new.mkdir()
            np.save(new / "indptr.npy", matrix.indptr)
            np.save(new / "indices.npy", matrix.indices)
            np.save(new / "codes.npy", matrix.weights.codes)
            for i, mask in enumerate(chain.labels.values()):
                np.save(new / f"label{i}.npy", mask)
            about = {
                "kind": type(chain).__name__,
                "states": chain.n,
                "transitions": matrix.m,
                "labels": list(chain.labels),
                "values": [str(value) for value in matrix.weights.values],
            }
            (new / "about.json").write_text(json.dumps(about))
            new.replace(self._place(name))

    def transitions(self, name: str) -> int:
        """Return how many transitions a stored model has."""
        return int(json.loads((self._place(name) / "about.json").read_text())["transitions"])

    def __contains__(self, name: str) -> bool:
        return self._place(name).exists()

    def _place(self, name: str) -> Path:
        return self.folder / name.replace(":", "-")

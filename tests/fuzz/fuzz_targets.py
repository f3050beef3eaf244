"""What is attacked: readers of every format, certificates, partition files; and what must hold after each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fuzz_bounds import bound_attacks
from fuzz_networks import network_attacks

from lumpability import CTMC, DTMC, Reward, check, formats, lump
from lumpability.certificate import Certificate
from lumpability.cli.partition_file import read_partition, write_partition
from lumpability.markov.chains import MarkovChain
from lumpability.markov.examples import proportional_not_ordinary
from lumpability.numbers.exact_array import ExactArray

__all__ = ["Target", "targets"]

ACTION = Reward(ExactArray.read([1, "1/3", 0])[0], ExactArray.read([2, 0, 0])[0])
CHAINS: dict[str, MarkovChain] = {
    "ctmc": CTMC.from_rates(
        {("a", "b"): "1/3", ("b", "b"): "0.25", ("b", "c"): 10**20},
        labels={"ok": ["a"], "two words": ["b", "c"]},
        rewards={"cost": ACTION},
        initial="a",
    ),
    "dtmc": DTMC([["1/3", "2/3", 0], [0, 0, 1], ["1/7", 0, "6/7"]], labels={"end": [2]}, initial=0),
    "parametric": CTMC(
        [[0, "x/(y + 1)", "1"], ["x - y", 0, 2], [1, "2*x", 0]], labels={"end": [2]}
    ),
}
SUFFIXES = (
    ".drn",
    ".drn.gz",
    ".json",
    ".json.gz",
    ".npz",
    *([".umb"] if find_spec("umbi") else []),
)
NETWORK_SUFFIXES = [
    ".nnet",
    ".npz",
    *([".safetensors"] if find_spec("safetensors") else []),
    *([".onnx", ".onnx.gz"] if find_spec("onnxruntime") else []),
]


@dataclass(frozen=True)
class Target:
    """A file, and what is done with it: `use` raises AssertionError if something wrong is accepted."""

    name: str
    path: Path
    use: Callable[[Path], None]

    @property
    def suffix(self) -> str:
        """The suffix that says how the file is changed."""
        name = self.path.name
        return name[name.index(".") :]


def targets(folder: Path) -> list[Target]:
    """Write a file for every target."""
    found = []
    for name, chain in CHAINS.items():
        for suffix in SUFFIXES:
            path = folder / f"{name}{suffix}"
            try:
                formats.write(chain, path)
            except Exception:  # noqa: BLE001  # a format without parameters
                continue
            found.append(Target(path.name, path, _read))
    tra = folder / "files" / "m.tra"
    tra.parent.mkdir()
    formats.write(CHAINS["dtmc"], tra)
    found += [Target(p.name, p, lambda _: _read(tra)) for p in sorted(tra.parent.iterdir())]
    for name, path, use in [*network_attacks(folder, NETWORK_SUFFIXES), *bound_attacks(folder)]:
        found.append(Target(name, path, use))
    for kind, chain in (
        ("ordinary", CHAINS["ctmc"]),
        ("proportional", proportional_not_ordinary()),
    ):
        path = folder / f"{kind}.json"
        lump(chain, kind=kind).certificate().write(path)
        found.append(Target(f"certificate {kind}", path, _certificate(chain, kind)))
    for suffix in (".json", ".txt", ".csv"):
        path = folder / f"partition{suffix}"
        write_partition(lump(CHAINS["ctmc"]).partition, path, CHAINS["ctmc"].states)
        found.append(Target(path.name, path, _partition))
    return found


def _read(path: Path) -> None:
    chain = formats.read(path)
    if isinstance(chain, DTMC):
        assert all(total == 1 for total in chain.matrix.row_sums().values), (
            "a row does not sum to one"
        )
    copy = path.with_name("copy.json")
    formats.write(chain, copy)
    assert formats.read(copy).equals(chain), "what was read is written as something else"


def _certificate(chain: MarkovChain, kind: str) -> Callable[[Path], None]:
    coarsest = lump(chain, kind=kind).partition

    def use(path: Path) -> None:
        certificate = Certificate.read(path)
        verification = certificate.verify(chain)
        if verification:
            assert check(chain, certificate.partition, kind=certificate.kind), (
                "not a lumping, accepted"
            )
        if verification and verification.coarsest and certificate.kind == kind:
            respected = certificate.partition.refines(coarsest)
            assert respected, "coarser than the coarsest, accepted"

    return use


def _partition(path: Path) -> None:
    chain = CHAINS["ctmc"]
    check(chain, read_partition(path, chain.states))

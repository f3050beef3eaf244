"""What is attacked of claims that hold up to a bound: certificates of intervals and of regions, boxes, edge tables.

What must hold: a certificate that is accepted, and still asks the question that it was made for, holds the right value;
two networks differ by no more than the accepted bound at points of the accepted region.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

from lumpability import CTMC, Network, lump
from lumpability.certificate.bounds.certificate import BoundCertificate
from lumpability.markov.approximate.bounds import bounds
from lumpability.markov.solve import expected_reward_until, hitting_probabilities, stationary
from lumpability.networks.regions import Box
from lumpability.networks.relaxed.certificate import RegionCertificate
from lumpability.tables.certificate import TableCertificate

__all__ = ["bound_attacks"]

CHAIN = CTMC.from_rates(
    {("a", "b"): 1, ("b", "a"): 3, ("b", "c"): "1/3", ("c", "a"): 2, ("a", "d"): "1/10"}
    | {("c", "d"): 1, ("d", "a"): 5},
    labels={"on": ["a"], "goal": ["d"]},
    rewards={"cost": [1, 2, "5/2", 0]},
    initial="a",
)
BLOCKS = [0, 0, 1, 2]
Attack = tuple[str, Path, Callable[[Path], None]]


def bound_attacks(folder: Path) -> list[Attack]:
    """Write the files; return a name, a path and a use for each."""
    face = bounds(CHAIN, BLOCKS)
    right: dict[str, tuple[Any, Fraction]] = {
        "stationary": (face.stationary("on"), stationary(CHAIN)["a"]),
        "hitting": (face.hitting("goal"), hitting_probabilities(CHAIN, "goal")["a"]),
        "expected": (
            face.expected("cost", until="goal"),
            expected_reward_until(CHAIN, "cost", "goal")["a"],
        ),
    }
    found: list[Attack] = []
    for name, (question, value) in right.items():
        path = folder / f"interval_{name}.json"
        certificate = question.certify()
        certificate.write(path)
        found.append((f"certificate of an interval, {name}", path, _interval(certificate, value)))
    network = Network.dense([([[1, 1]], [0, -3], "relu"), ([[1], [1]], None, None)])
    lumping = lump(network, region=Box([0], [2]))
    path = folder / "region.json"
    lumping.certificate().write(path)
    found.append(("certificate of a region", path, _region(network, lumping.quotient)))
    Box([0, "-1/2"], ["0.5", 1]).write(folder / "box.json")
    (folder / "box.vnnlib").write_text(
        "(declare-const X_0 Real)\n(declare-const X_1 Real)\n(declare-const Y_0 Real)\n"
        "(assert (<= X_0 0.5))\n(assert (>= X_0 -1e-1))\n(assert (<= X_1 2))\n(assert (>= X_1 1))\n"
        "(assert (<= Y_0 0))\n"
    )
    found += [(name, folder / name, _box) for name in ("box.json", "box.vnnlib")]
    path = folder / "table.json"
    TableCertificate(
        "ordinary", "continuous", 3, 4, 60, ("label:on",), 2, "ab" * 32, "cd" * 32
    ).write(path)
    found.append(
        ("certificate of a table", path, lambda path: TableCertificate.read(path) and None)
    )
    return found


def _interval(original: BoundCertificate, value: Fraction) -> Callable[[Path], None]:
    def use(path: Path) -> None:
        claim = BoundCertificate.read(path)
        if claim.verify(CHAIN) and claim.asked == original.asked:
            assert claim.lower <= value <= claim.upper, "an interval without the value, accepted"

    return use


def _region(network: Network, reduced: Network) -> Callable[[Path], None]:
    def use(path: Path) -> None:
        claim = RegionCertificate.read(path)
        if not claim.verify(network, reduced):
            return
        sides: list[Any] = [(-7, 0, 1, 20)]
        if claim.region is not None:
            sides = list(zip(claim.region.low, claim.region.high, strict=True))
        for point in product(*sides):
            one, two = network.exact(list(point)), reduced.exact(list(point))
            scale = 1 if claim.region is not None else max(1, *(abs(x) for x in point))
            apart = max(abs(Fraction(a) - Fraction(b)) for a, b in zip(one, two, strict=True))
            assert apart <= claim.bound * scale, "networks differ by more than the bound, accepted"

    return use


def _box(path: Path) -> None:
    box = Box.read(path)
    assert all(low <= high for low, high in zip(box.low, box.high, strict=True)), "an empty box"

"""Attacks on the files of certificates of regions: every field is changed, in every way that fits its type.

    python tests/networks/relaxed/region_attacks.py [N]

certifies small networks, changes their files in one place each, and asks the checker, with N about every
N-th mutant.  A file that is
accepted must still be right: its region lies in that of the original file and its bound is not smaller, or
`compare` proves the bound on its region.  Prints the counts and keeps them in docs/guides/region-attacks.txt.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from random_networks import box, dense, perturbed

from lumpability import Network, compare, explain_pruning, lump, relax
from lumpability.errors import FormatError, InvalidInput, SizeLimit
from lumpability.networks.elementwise import Activate
from lumpability.networks.joins import Join
from lumpability.networks.layers import Conv, Dense
from lumpability.networks.relaxed.certificate import RegionCertificate
from lumpability.networks.reshape import Reshape

RESULTS = Path(__file__).parents[3] / "docs" / "guides" / "region-attacks.txt"


def certificates() -> dict[str, RegionCertificate]:
    """Return certificates of small networks of several kinds."""
    random = np.random.default_rng(5)
    network, region = dense(random, [2, 5, 4, 2]), box(random, 2)
    curved = dense(random, [2, 3, 2], act="tanh")
    inner = (Dense(random.normal(size=(2, 2)), None), Activate("relu"))
    joined = Network((Join((inner, ())), Dense(random.normal(size=(2, 1)))), (None, 2), np.float64)
    conv = Conv(random.normal(size=(2, 1, 2)), random.normal(size=2))
    image = Network(
        (conv, Activate("relu"), Reshape((0, -1)), Dense(random.normal(size=(4, 1)))),
        (None, 1, 3),
        np.float64,
    )
    return {
        "dense, on a region": lump(network, region=region, dtype="float32", boxes=2).certificate(),
        "dense, relaxed": relax(network, region=region, units=4).certificate(),
        "dense, all inputs": relax(network, units=6).certificate(),
        "tanh": explain_pruning(curved, perturbed(random, curved), region=region).certificate,
        "join": explain_pruning(joined, _less(joined), region=region).certificate,
        "convolution": explain_pruning(image, _less(image), region=box(random, 3)).certificate,
    }


def _less(network: Network) -> Network:
    *layers, last = network.layers
    assert isinstance(last, Dense)
    return Network((*layers, Dense(np.round(last.weight, 1))), network.input_shape, network.dtype)


def mutants(text: str) -> Iterator[tuple[str, str]]:
    """Yield what is attacked, and the file."""
    document = json.loads(text)
    for path, value in _places(document):
        field = str(path[0])
        for other in _others(value):
            changed = copy.deepcopy(document)
            _parent(changed, path)[path[-1]] = other
            yield field, json.dumps(changed)
        changed = copy.deepcopy(document)
        del _parent(changed, path)[path[-1]]
        yield f"{field}: left out", json.dumps(changed)
        parent = _parent(changed := copy.deepcopy(document), path)
        if isinstance(parent, list):
            parent.insert(path[-1], parent[path[-1]])
            yield f"{field}: repeated", json.dumps(changed)
            if path[-1] and parent[0] != value:
                changed = copy.deepcopy(document)
                parent = _parent(changed, path)
                parent[0], parent[path[-1]] = parent[path[-1]], parent[0]
                yield f"{field}: swapped", json.dumps(changed)
    for key, value in document.items():
        yield "a key twice", text.replace("{", "{" + json.dumps({key: value})[1:-1] + ",", 1)
    for cut in range(0, len(text), max(1, len(text) // 40)):
        yield "file cut off", text[:cut]


def _places(item: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    pairs = (
        item.items()
        if isinstance(item, dict)
        else enumerate(item)
        if isinstance(item, list)
        else ()
    )
    for key, value in pairs:
        yield (*path, key), value
        yield from _places(value, (*path, key))


def _parent(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        document = document[key]
    return document


def _others(value: Any) -> Iterator[Any]:
    yield from (None, [], {}, "", "nan", "inf", "-1", "1e999999", "9" * 400, 1 << 70, -1, 1.5)
    if isinstance(value, int):
        yield from (value + 1, value - 1)
    if isinstance(value, str) and "0x" in value:
        number = float.fromhex(value)
        ends = (np.nextafter(number, -np.inf), np.nextafter(number, np.inf))
        moved = (*ends, number - 1e-9, number + 1e-9, -number, 2 * number, number / 2, 0.0)
        yield from (float(x).hex() for x in moved)
    elif isinstance(value, str):
        yield value[:-1]
        try:
            exact = Fraction(value)
        except ValueError:
            return
        yield from (str(exact + by) for by in (Fraction(1, 10**9), -Fraction(1, 10**9), -1, 1))
        yield from (str(exact * by) for by in (-1, Fraction(1, 2), 1 - Fraction(1, 2**200)))


def verdict(text: str, original: RegionCertificate, path: Path) -> str:
    """Return what became of a file."""
    path.write_text(text, encoding="utf-8")
    assert original.network is not None
    assert original.quotient is not None
    try:
        claim = RegionCertificate.read(path)
        if not claim.verify(original.network, original.quotient):
            return "rejected"
    except (FormatError, InvalidInput, SizeLimit):
        return "rejected"
    return "still right" if _holds(claim, original) else "wrongly accepted"


def _holds(claim: RegionCertificate, original: RegionCertificate) -> bool:
    ours, theirs = claim.region, original.region
    within = theirs is None
    if ours is not None and theirs is not None and ours.n == theirs.n:
        # Bounds are derived on the doubles around a box.
        (low, high), (least, most) = ours.floats, theirs.floats
        within = bool(np.all(low >= least) and np.all(high <= most))
    if within and claim.bound >= original.bound:
        return True
    found = compare(original.network, original.quotient, region=ours, cases=50)
    return Fraction(found.bound) <= claim.bound + Fraction(1, 10**12)


def run(every: int = 1) -> list[tuple[str, Counter[str]]]:
    """Attack, with every so many mutants only; return the counts of verdicts by what is attacked."""
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "proof.json"
        for certificate in certificates().values():
            certificate.write(path)
            text = path.read_text(encoding="utf-8")
            assert verdict(text, certificate, path) == "still right"
            for number, (field, changed) in enumerate(mutants(text)):
                if number % every == 0 and changed != text:
                    counts.setdefault(field, Counter())[verdict(changed, certificate, path)] += 1
    return sorted(counts.items())


def main(every: int) -> None:
    """Attack and keep the table."""
    columns = ("rejected", "still right", "wrongly accepted")
    found = run(every)
    found.append(("all", sum((count for _, count in found), Counter())))
    lines = [f"| attack | mutants | {' | '.join(columns)} |", "|---|---|---|---|---|"]
    for field, count in found:
        cells = [f"{n:,}" for n in (count.total(), *(count[name] for name in columns))]
        lines.append(f"| {field} | {' | '.join(cells)} |")
    some = "" if every == 1 else f", one mutant of {every}"
    title = f"Attacks on the files of {len(certificates())} certificates of regions{some}"
    RESULTS.write_text(f"{title}\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)

"""Attacks on certificates of chains: every field changed, every rate moved, every seal forged.

    python tests/certificate/certificate_attacks.py [chains]

lumps random small chains by every kind, changes certificate or chain in one place by as little as possible,
with the hashes left as they are or forged to fit, and asks reader and checker.  A mutant that is accepted
must still be true in everything that it proves, which `certificate_judge` decides by definitions.  Prints
the counts and keeps them in docs/guides/certificates-attacked.txt.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from certificate_judge import KINDS, Judge

from lumpability import CTMC, DTMC, Certificate, lump
from lumpability.certificate.chain_file import digest_object
from lumpability.certificate.digest import Digest
from lumpability.errors import InvalidInput
from lumpability.markov import MarkovChain, Reward
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition

RESULTS = Path(__file__).parents[2] / "docs" / "guides" / "certificates-attacked.txt"
TOLD = ("library", "reading")
"""Fields that say how a certificate came about; they are told, and nothing is proved of them."""

Document = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Mutant:
    """A certificate that does not belong to a chain, or hardly; as a document, or as text."""

    attack: str
    document: Document | bytes
    chain: MarkovChain

    @property
    def text(self) -> bytes:
        """What the file holds."""
        if isinstance(self.document, bytes):
            return self.document
        return json.dumps(self.document).encode()


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: "rejected", "true" (accepted and right), "told" or "WRONG"."""

    attack: str
    verdict: str
    reason: str


def certified(chain: MarkovChain, kind: str, **options: Any) -> Document:
    """Return the certificate of the coarsest lumping of a chain, as JSON."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # one block only is fine here
        path = Path(folder) / "certificate.json"
        lump(chain, kind=kind, **options).certificate().write(path)
        document: Document = json.loads(path.read_bytes())
        return document


def mutants(document: Document, chain: MarkovChain, random: Random) -> Iterator[Mutant]:
    """Yield every attack on a certificate and its chain."""
    for changes in (_changed_values(document), _changed_meaning(document, chain)):
        for attack, changed in changes:
            if changed != document:
                yield Mutant(attack, changed, chain)
    for attack, text in _changed_text(document, random):
        yield Mutant(attack, text, chain)
    for attack, other in _changed_chains(chain):
        yield Mutant(f"model: {attack}", document, other)
        yield Mutant(f"model: {attack}, hashes forged", forged(document, other), other)


def forged(document: Document, chain: MarkovChain) -> Document:
    """Return the certificate with all that is computed from chain and partition computed anew."""
    judge, changed = Judge(chain), copy.deepcopy(document)
    numbers = [Fraction(text) for text in document["numbers"]]
    kappa = changed["kappa"]
    factors = None if kappa is None else [numbers[code] for code in kappa]
    partition = Partition.of(changed["partition"], states=chain.n)
    quotient = judge.quotient(partition, changed["kind"], factors)
    changed["model"], changed["denominator"] = judge.digest, judge.denominator
    changed["quotient"] = digest_object(Digest.of(quotient))
    changed["matrix"] = None
    return changed


def _changed_values(document: Document) -> Iterator[tuple[str, Document]]:
    """Change every leaf and every list of the document by as little as possible."""
    for path in _paths(document):
        name = ".".join(str(step) for step in path if not isinstance(step, int))
        value = _at(document, path)
        for how, other in _variants(value):
            yield f"{name}: {how}", _with(document, path, other)
        if isinstance(path[-1], str):
            yield f"{name}: key dropped", _without(document, path)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for step, item in items:
        yield from _paths(item, (*path, step))


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def _with(document: Document, path: tuple[Any, ...], value: Any) -> Document:
    changed = copy.deepcopy(document)
    _at(changed, path[:-1])[path[-1]] = value
    return changed


def _without(document: Document, path: tuple[Any, ...]) -> Document:
    changed = copy.deepcopy(document)
    del _at(changed, path[:-1])[path[-1]]
    return changed


def _variants(value: Any) -> Iterator[tuple[str, Any]]:
    if value is None:
        yield "a value for nothing", []
        yield "a value for nothing", "1"
    elif isinstance(value, bool | int):
        for other in (value + 1, value - 1, 0, 2**31, 2**70):
            if other != value:
                yield "number changed", other
        yield "number as text", str(value)
        yield "number as decimal", float(value)
    elif isinstance(value, str):
        yield "nothing for a text", None
        yield "text changed", _other_text(value)
        yield "text emptied", ""
    elif isinstance(value, list):
        yield "nothing for a list", None
        yield "list emptied", []
        for i, item in enumerate(value):
            yield "entry dropped", [*value[:i], *value[i + 1 :]]
            yield "entry repeated", [*value[: i + 1], item, *value[i + 1 :]]
            if i and value[i - 1] != item:
                yield "entries swapped", [*value[: i - 1], item, value[i - 1], *value[i + 1 :]]
        if len(value) > 1:
            yield "list reversed", value[::-1]
    elif isinstance(value, dict):
        yield "nothing for an object", None
        yield "object emptied", {}


def _other_text(text: str) -> str:
    """Change a number by the smallest amount, a hash or name in one character."""
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        return text[:-1] + ("0" if text[-1:] != "0" else "1")
    return str(value + Fraction(1, value.denominator))


def _changed_text(document: Document, random: Random) -> Iterator[tuple[str, bytes]]:
    """Cut, repeat and garble the text of the file."""
    text = json.dumps(document).encode()
    for _ in range(6):
        yield "file: cut off", text[: random.randrange(len(text))]
        at = random.randrange(len(text))
        yield "file: a byte changed", text[:at] + bytes([random.randrange(256)]) + text[at + 1 :]
        yield "file: a byte dropped", text[:at] + text[at + 1 :]
    keys = list(document)
    for one, other in pairwise(keys):
        swapped = {key: document[{one: other, other: one}.get(key, key)] for key in keys}
        order = [{one: other, other: one}.get(key, key) for key in keys]
        yield "file: keys reordered", json.dumps({key: document[key] for key in order}).encode()
        yield "file: values swapped", json.dumps(swapped).encode()
    for key in keys:
        twice = f'{{"{key}": {json.dumps(document[key])}, '.encode() + text[1:]
        yield "file: key repeated", twice
    yield "file: more after the end", text + text
    yield "file: nested deeply", text.replace(b"[", b"[" * 5000, 1)


def _changed_meaning(document: Document, chain: MarkovChain) -> Iterator[tuple[str, Document]]:
    """Change what is claimed, and forge everything else to fit."""
    labels = document["partition"]
    blocks = max(labels) + 1
    for one in range(blocks):
        for other in range(one + 1, blocks):
            merged = [one if label == other else label for label in labels]
            yield from _repartitioned("blocks merged", document, chain, merged)
    for state in range(len(labels)):
        for block in range(blocks + 1):
            moved = [block if s == state else label for s, label in enumerate(labels)]
            what = "state moved" if block < blocks else "block split"
            yield from _repartitioned(what, document, chain, moved)
    for kind in KINDS:
        if kind != document["kind"] and (kind == "proportional") == (document["kappa"] is not None):
            yield "kind changed, hashes forged", forged({**document, "kind": kind}, chain)
    names = document["respected"]
    for name in (
        "label:a",
        "label:b",
        "reward:cost",
        "initial",
        "label:none",
        "reward:",
        "deadlock",
    ):
        if name not in names:
            yield "respected: name added", {**document, "respected": [*names, name]}
    if document["history"] is not None:
        for attack, history in _changed_history(document["history"], len(document["numbers"])):
            yield f"history: {attack}", {**document, "history": history}
        yield "history: dropped", {**document, "history": None}


def _repartitioned(
    attack: str, document: Document, chain: MarkovChain, labels: list[int]
) -> Iterator[tuple[str, Document]]:
    partition = Partition(np.array(labels))
    changed = {**document, "partition": partition.labels.tolist()}
    if changed["partition"] == document["partition"]:
        return
    yield attack, changed
    sealed = forged(changed, chain)
    yield f"{attack}, hashes forged", sealed
    yield f"{attack}, hashes forged, history dropped", {**sealed, "history": None}
    yield f"{attack}, hashes and history forged", {**sealed, "history": _lie(document, partition)}
    yield (
        f"{attack}, hashes and roots forged",
        {
            **sealed,
            "initial": partition.labels.tolist(),
            "history": {
                **_lie(document, partition),
                "roots": [1] * len(partition),
                "split_node": [],
                "splitter": [],
                "parts": [],
                "sizes": [],
                "sums": [],
            },
        },
    )


def _lie(document: Document, partition: Partition) -> Document:
    """Return a history that takes a partition apart in one split for each root, by invented sums."""
    history = document["history"] or {"roots": [len(partition)]}
    roots = len(history["roots"])
    sizes = [len(partition) - roots + 1] + [1] * (roots - 1) if len(partition) >= roots else [1]
    blocks = sizes[0]
    split = blocks > 1
    return {
        "order": list(range(len(partition))),
        "roots": sizes,
        "split_node": [0] * split,
        "splitter": [len(sizes) - 1] * split,
        "condition": None,
        "parts": [blocks] * split,
        "sizes": [1] * blocks * split,
        "sums": [i % max(len(document["numbers"]), 1) for i in range(blocks)] * split,
    }


def _changed_history(history: Document, numbers: int) -> Iterator[tuple[str, Document]]:
    splits = len(history["split_node"])
    for i in range(splits):
        nodes = len(history["roots"]) + sum(history["parts"])
        for node in range(nodes):
            if node != history["splitter"][i]:
                yield "splitter changed", _with(history, ("splitter", i), node)
        conditions = history["condition"] or [0] * splits
        conditions = [1 - c if j == i else c for j, c in enumerate(conditions)]
        yield "condition changed", {**history, "condition": conditions}
        yield "split dropped", _split_dropped(history, i)
        for j in range(i):
            order = [i if k == j else j if k == i else k for k in range(splits)]
            yield "splits swapped", _reordered(history, order)
    for i in range(len(history["sums"])):
        for code in range(numbers):
            if code != history["sums"][i]:
                yield "sum forged", _with(history, ("sums", i), code)


def _split_dropped(history: Document, split: int) -> Document:
    """Leave a split out, and number the nodes after it anew."""
    low = sum(history["parts"][:split])
    high = low + history["parts"][split]
    first, gone = len(history["roots"]) + low, high - low

    def renumbered(nodes: list[int]) -> list[int]:
        kept = [node for i, node in enumerate(nodes) if i != split]
        return [node - gone if node >= first + gone else node for node in kept]

    changed = copy.deepcopy(history)
    changed["split_node"] = renumbered(history["split_node"])
    changed["splitter"] = renumbered(history["splitter"])
    for key in ("condition", "parts"):
        if changed[key] is not None:
            del changed[key][split]
    for key in ("sizes", "sums"):
        del changed[key][low:high]
    return changed


def _reordered(history: Document, order: list[int]) -> Document:
    """Write down the splits in another order, with their parts, and name nodes accordingly."""
    roots, parts = len(history["roots"]), history["parts"]
    first = [roots + sum(parts[:i]) for i in range(len(parts))]
    moved = [p for i in order for p in range(first[i], first[i] + parts[i])]
    number = {node: roots + place for place, node in enumerate(moved)}
    changed = copy.deepcopy(history)
    for key in ("split_node", "splitter"):
        changed[key] = [number.get(history[key][i], history[key][i]) for i in order]
    for key in ("condition", "parts"):
        if changed[key] is not None:
            changed[key] = [history[key][i] for i in order]
    for key in ("sizes", "sums"):
        changed[key] = [history[key][node - roots] for node in moved]
    return changed


def _changed_chains(  # noqa: PLR0912  # one branch for each sort of change
    chain: MarkovChain,
) -> Iterator[tuple[str, MarkovChain]]:
    """Change the chain in one place by as little as possible."""
    rows = [dict(chain.matrix.row(s)) for s in range(chain.n)]
    least = Fraction(1, chain.matrix.weights.denominator)

    def rebuilt(changed: list[dict[int, Any]], **parts: Any) -> MarkovChain:
        matrix = [[row.get(u, 0) for u in range(chain.n)] for row in changed]
        options = {
            "labels": chain.labels,
            "rewards": chain.rewards,
            "initial": chain.initial,
            **parts,
        }
        return type(chain)(matrix, **options)

    for s, row in enumerate(rows):
        for u, weight in row.items():
            for change in (least, -least, Fraction(1, 10**30), weight):
                if weight + change <= 0 or isinstance(chain, DTMC):
                    continue
                yield (
                    "a rate changed",
                    rebuilt([*rows[:s], {**row, u: weight + change}, *rows[s + 1 :]]),
                )
            others = [v for v in range(chain.n) if v != u]
            for v in others[:2]:
                moved = {**row, u: row.get(v, Fraction(0)), v: weight}
                yield "two weights swapped", rebuilt([*rows[:s], moved, *rows[s + 1 :]])
                share = Fraction(1, 10**30)
                shifted = {**row, u: weight - share, v: row.get(v, Fraction(0)) + share}
                yield "weight shifted", rebuilt([*rows[:s], shifted, *rows[s + 1 :]])
    for name, mask in chain.labels.items():
        for s in range(chain.n):
            flipped = mask.copy()
            flipped[s] = not flipped[s]
            yield "a label changed", rebuilt(rows, labels={**chain.labels, name: flipped})
        yield (
            "a label dropped",
            rebuilt(rows, labels={k: m for k, m in chain.labels.items() if k != name}),
        )
    for name, reward in chain.rewards.items():
        for part in ("state", "action"):
            if getattr(reward, part) is None:
                continue
            for s in range(chain.n):
                values = list(getattr(reward, part))
                values[s] += Fraction(1, 10**30)
                parts = {"state": reward.state, "action": reward.action}
                other = Reward(**{**parts, part: ExactArray.read(values)[0]})
                yield "a reward changed", rebuilt(rows, rewards={**chain.rewards, name: other})
    if chain.initial is not None:
        for s in range(chain.n):
            yield "another start", rebuilt(rows, initial=s)
        yield "no start", rebuilt(rows, initial=None)
    if isinstance(chain, DTMC):
        yield "another class", CTMC(chain.matrix, labels=chain.labels)


class Arena:
    """Where mutants meet reader, checker and judge."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "mutant.json"
        self._judges: dict[int, Judge] = {}
        self._chains: list[MarkovChain] = []  # kept, so that their ids stay theirs

    def outcome(self, mutant: Mutant) -> Outcome:
        """Say what became of a mutant; an exception of another class than expected is a bug."""
        self._path.write_bytes(mutant.text)
        try:
            verification = Certificate.read(self._path).verify(mutant.chain)
        except InvalidInput as error:
            return Outcome(mutant.attack, "rejected", str(error))
        if not verification:
            return Outcome(mutant.attack, "rejected", str(verification))
        return Outcome(mutant.attack, self._judged(mutant), str(verification))

    def _judged(self, mutant: Mutant) -> str:
        try:
            document = json.loads(mutant.text)
        except ValueError:
            return "WRONG"
        chain = mutant.chain
        if id(chain) not in self._judges:
            self._judges[id(chain)] = Judge(chain)
            self._chains.append(chain)
        if not self._judges[id(chain)].is_right(document):
            return "WRONG"
        return "told" if mutant.attack.partition(":")[0].partition(".")[0] in TOLD else "true"


def random_chain(random: Random, kind: str, n: int) -> MarkovChain:
    """Return a small chain in which some states are often alike."""
    continuous = kind == "proportional" or random.random() < 0.6
    numbers = [
        Fraction(0),
        Fraction(0),
        Fraction(1),
        Fraction(1),
        Fraction(2),
        Fraction(1, 3),
        Fraction(7, 10),
    ]
    rows = [[random.choice(numbers) for _ in range(n)] for _ in range(n)]
    for _ in range(random.randrange(n)):  # copies of rows and columns, some of them scaled
        s, t = random.sample(range(n), 2)
        factor = random.choice([1, 1, 2]) if kind == "proportional" else 1
        rows[t] = [factor * x for x in rows[s]]
        if kind in ("exact", "strict"):
            for row in rows:
                row[t] = row[s]
    if not continuous:
        rows = [
            [x / sum(row) for x in row] if sum(row) else [Fraction(s == u) for u in range(n)]
            for s, row in enumerate(rows)
        ]
    mask = np.array([random.random() < 0.3 for _ in range(n)])

    def reward() -> ExactArray:
        return ExactArray.read([random.choice([0, 0, 0, 1]) for _ in range(n)])[0]

    rewards = {}
    if random.random() < 0.3:
        rewards["cost"] = Reward(
            state=reward() if random.random() < 0.7 else None,
            action=reward() if random.random() < 0.5 else None,
        )
        if not rewards["cost"].parts:
            del rewards["cost"]
    initial = random.choice([None, 0, {0: Fraction(1, 2), n - 1: Fraction(1, 2)}])
    return (CTMC if continuous else DTMC)(
        rows, labels={"a": mask}, rewards=rewards, initial=initial
    )


def attacked(count: int, seed: int = 1) -> Counter[tuple[str, str]]:
    """Attack the certificates of so many chains of every kind; count attacks and outcomes."""
    random, counts = Random(seed), Counter[tuple[str, str]]()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(count):
            for kind in KINDS:
                chain = random_chain(random, kind, random.randrange(2, 7))
                options = {}
                if random.random() < 0.2:
                    options["within"] = [random.randrange(2) for _ in range(chain.n)]
                document = certified(chain, kind, **options)
                arena = Arena(Path(folder))
                assert arena.outcome(Mutant("nothing", document, chain)).verdict in ("true", "told")
                for mutant in mutants(document, chain, random):
                    outcome = arena.outcome(mutant)
                    counts[outcome.attack, outcome.verdict] += 1
                    if outcome.verdict == "WRONG":
                        sys.stderr.write(f"accepted, and wrong: {outcome}\n{mutant.text!r}\n")
    return counts


def table(details: Counter[tuple[str, str]], chains: int) -> str:
    """Return the counts as text, one line for each field or sort of attack."""
    verdicts = ("rejected", "true", "told", "WRONG")
    counts = Counter[tuple[str, str]]()
    for (attack, verdict), number in details.items():
        field, _, how = attack.partition(":")
        forging = ", hashes forged" if how.endswith("hashes forged") else ""
        counts[attack if field == "file" else field + forging, verdict] += number
    attacks = sorted({attack for attack, _ in counts})
    width = max(map(len, attacks))
    lines = [
        f"{chains} random chains of 2 to 6 states for each of {len(KINDS)} kinds; mutants of certificate or chain.",
        "true: accepted, and everything that is proved holds, by definition; told: accepted, for only a",
        "field changed that says how the certificate came about; wrong: accepted although something is false.",
        "",
        f"{'attack':{width}s} {'mutants':>8s} {'rejected':>8s} {'true':>8s} {'told':>8s} {'wrong':>8s}",
    ]
    totals = Counter[str]()
    for attack in attacks:
        row = [counts[attack, verdict] for verdict in verdicts]
        totals.update(dict(zip(verdicts, row, strict=True)))
        lines.append(f"{attack:{width}s} {sum(row):8d} " + " ".join(f"{x:8d}" for x in row))
    row = [totals[verdict] for verdict in verdicts]
    lines.append(f"{'all':{width}s} {sum(row):8d} " + " ".join(f"{x:8d}" for x in row))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    chains = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    found = table(attacked(chains), chains)
    sys.stdout.write(found)
    RESULTS.write_text(found)
